//! The whole store in a few steps: small enough for an interpreter that checks every access to memory (`.ci/miri`), and the same everywhere else.

use sesshu_engine::intake::{Row, ShotRecord};
use sesshu_engine::ticket::{Municipality, Ticket, TicketLine};
use sesshu_engine::{LogOutcome, Match, Options, RecordOutcome, Store};
use sesshu_proto::v1::{Resident, Shot};

const CHIYODA: &str = "131016";

fn line(number: u64) -> TicketLine {
    TicketLine::parse(&format!("21{CHIYODA}{number:010}")).expect("a ticket line")
}

fn shot(number: u64, dose: u32) -> ShotRecord {
    let shot = Shot { date: 20_210_412, dose, lot: "EW4811".into(), ..Shot::default() };
    ShotRecord::check(line(number), shot).expect("a shot")
}

/// How many shots the store has of a ticket, and whether it has a row.
fn found(store: &Store, ticket: Ticket) -> (usize, bool) {
    match store.view().match_ticket(ticket) {
        Match::Matched(person) => (person.shots().expect("shots").len(), true),
        Match::Orphan(person) => (person.shots().expect("shots").len(), false),
        Match::NotFound => (0, false),
        Match::Damaged(damage) => panic!("{damage}"),
    }
}

#[test]
fn a_reader_beside_the_writer_sees_shots_come_and_none_go() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    // The interpreter knows no hard links, which is how a store makes its own key.
    std::fs::write(directory.path().join("store.key"), "5e".repeat(32)).unwrap();
    let (store, _) = Store::open(&path, Options::default()).unwrap();
    let mut load = store.load(Municipality::parse(CHIYODA).unwrap()).unwrap();
    let resident = Resident { name: "見本　花子".into(), birth_date: 19_400_000, ..Resident::default() };
    load.push(Row::check(1, None, resident, 2).unwrap()).unwrap();
    load.commit(None).unwrap();

    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while seen < 2 {
                let (shots, has_row) = found(&store, line(1).ticket());
                assert!(has_row && shots >= seen, "{shots} shots after {seen}");
                seen = shots;
                std::thread::yield_now();
            }
        });
        for dose in 1..=2 {
            assert_eq!(store.record(shot(1, dose)).unwrap().outcome, RecordOutcome::Recorded);
        }
        assert_eq!(store.record(shot(2, 1)).unwrap().outcome, RecordOutcome::Orphan);
        reader.join().unwrap();
    });
    store.close().unwrap();
    drop(store);

    let (store, opened) = Store::open(&path, Options::default()).unwrap();
    assert_eq!(opened.log, LogOutcome::Closed);
    assert_eq!([1, 2, 3].map(|number| found(&store, line(number).ticket())), [(2, true), (1, false), (0, false)]);
}
