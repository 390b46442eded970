//! A person is found by My Number in every municipality, and no such answer leaves before the access log tells of it for good.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;

use sesshu_engine::disk::{Call, Fault, PlannedFault, Unsynced};
use sesshu_engine::error::{AccessError, OpenError};
use sesshu_engine::intake::{Change, Row};
use sesshu_engine::limits::ELSEWHERE_MAX;
use sesshu_engine::ticket::Ticket;
use sesshu_engine::{Access, MyNumberQuestion, Store};
use sesshu_proto::v1::ResidentStatus;
use sesshu_tests::machine::{Machine, draw};
use sesshu_tests::{CHIYODA, NAHA, Place, SAPPORO, flip, municipality, my_number, resident, rng, row, shot, ticket};

/// A third municipality.
const SENDAI: u32 = 41_009;

fn with(number: u64, index: u64, version: u32) -> Row {
    Row::check(number, Some(my_number(index)), resident(number, version), 0).unwrap()
}

fn register(store: &Store, code: u32, rows: impl IntoIterator<Item = Row>) {
    let mut load = store.load(municipality(code)).unwrap();
    rows.into_iter().for_each(|row| load.push(row).unwrap());
    load.commit(None).unwrap();
}

fn change(store: &Store, change: Change) {
    store.change(&[change]).unwrap().pop().unwrap().unwrap();
}

fn ask(store: &Store, index: u64, purpose: &str) -> Result<Vec<Ticket>, AccessError> {
    let view = store.view();
    let question = MyNumberQuestion { my_number: my_number(index), purpose, who: "窓口 1" };
    let found = store.with_my_number(&view, &question, 100)?;
    assert!(!found.more);
    Ok(found.people.iter().map(|person| person.ticket()).collect())
}

fn found(store: &Store, index: u64) -> Vec<(u32, u64)> {
    let tickets = ask(store, index, "転入").unwrap();
    tickets.iter().map(|ticket| (ticket.municipality().code(), ticket.number())).collect()
}

fn entries(store: &Store) -> Vec<Access> {
    let mut entries = Vec::new();
    store.accesses(|access| entries.push(access)).unwrap();
    entries
}

#[test]
fn a_my_number_is_found_wherever_its_row_lies_and_only_there() {
    let place = Place::in_memory();
    let store = place.open();
    register(&store, CHIYODA, (1..=50).map(|number| with(number, number, 1)));
    register(&store, NAHA, [with(7, 3, 1), with(8, 900, 1), row(9, 1)]);
    assert_eq!(found(&store, 3), [(CHIYODA, 3), (NAHA, 7)]);
    assert_eq!(found(&store, 60), []);
    // Moved away, which is said without the My Number; another number; none any more; a new resident elsewhere.
    let moved = Change::status(ticket(CHIYODA, 3), ResidentStatus::MovedOut, 20_210_501).unwrap();
    change(&store, moved);
    change(&store, Change::row(municipality(CHIYODA), with(4, 904, 2)));
    change(&store, Change::row(municipality(CHIYODA), row(5, 2)));
    change(&store, Change::row(municipality(SAPPORO), with(1, 3, 1)));
    change(&store, Change::reissue(municipality(CHIYODA), 6, with(106, 6, 2)).unwrap());
    let as_now = |store: &Store| {
        assert_eq!(found(store, 3), [(SAPPORO, 1), (CHIYODA, 3), (NAHA, 7)]);
        assert_eq!([found(store, 4), found(store, 5)], [[], []]);
        assert_eq!(found(store, 904), [(CHIYODA, 4)]);
        assert_eq!(found(store, 6), [(CHIYODA, 106)], "one person, by the valid ticket");
        assert_eq!(found(store, 900), [(NAHA, 8)]);
    };
    as_now(&store);
    as_now(&place.copy().open());
    store.checkpoint().unwrap();
    as_now(&place.copy().open());
    // Folded: some rows come again, most stay as they were.
    let mut next = store.load(municipality(CHIYODA)).unwrap();
    next.push(with(1, 1, 3)).unwrap();
    (2..=106).for_each(|number| next.keep(number));
    next.commit(None).unwrap();
    as_now(&store);
    // The register lacks them: they are marked as removed, and are the same people.
    register(&store, CHIYODA, [with(1, 1, 4)]);
    as_now(&store);
    drop(store);
    as_now(&place.open());
}

#[test]
fn the_access_log_says_who_asked_when_for_what_and_how_many_were_found() {
    let place = Place::in_memory();
    let store = place.open();
    assert!(entries(&store).is_empty());
    assert!(!place.file("access").exists(), "there is none before the first question");
    register(&store, CHIYODA, [with(1, 1, 1)]);
    for (index, purpose) in [(1, " 転入者の\n接種歴 "), (2, "照会")] {
        ask(&store, index, purpose).unwrap();
    }
    ask(&store, 1, &"長".repeat(300)).unwrap();
    assert!(matches!(ask(&store, 1, " \t"), Err(AccessError::NoPurpose)));
    ask(&store, 1, "１２３４ 5678-9018 の照会, 2021-04-12").unwrap();
    let told = |store: &Store| -> Vec<(u64, String, u64)> {
        let entries = entries(store);
        assert!(entries.iter().all(|entry| entry.who == "窓口 1" && entry.time_ms > 1_600_000_000_000));
        entries.into_iter().map(|entry| (entry.sequence, entry.purpose, entry.found)).collect()
    };
    let expected = vec![(1, "転入者の 接種歴".into(), 1), (2, "照会".into(), 0), (3, "長".repeat(200), 1)];
    let masked = (4, "**** ****-**** の照会, 2021-04-12".to_owned(), 1);
    let expected: Vec<_> = expected.into_iter().chain([masked]).collect();
    assert_eq!(told(&store), expected);
    assert_eq!(told(&place.copy().open()), expected, "after a kill");
    store.close().unwrap();
    assert!(matches!(ask(&store, 1, "照会"), Err(AccessError::Failed(_))), "a closed store answers nothing");
    drop(store);
    let store = place.open();
    assert_eq!(told(&store), expected);
    ask(&store, 1, "照会").unwrap();
    assert_eq!(told(&store).len(), 5);
    drop(store);
    assert_eq!(fs::read_dir(place.file("access")).unwrap().count(), 1, "a log that was closed goes on where it ended");
    assert_eq!(told(&place.open()).len(), 5);
}

#[test]
fn no_answer_leaves_before_its_entry_is_durable() {
    let machine = Machine::empty();
    let store = machine.open();
    register(&store, CHIYODA, [with(1, 1, 1)]);
    ask(&store, 1, "一").unwrap();
    let survived = machine.cut(Unsynced::Lost);
    assert_eq!(entries(&survived.open()).len(), 1);
    machine.disk.plan(PlannedFault { on: Call::SYNCS, count: 1, fault: Fault::Fail });
    assert!(matches!(ask(&store, 1, "二"), Err(AccessError::Failed(_))));
    assert!(matches!(ask(&store, 1, "三"), Err(AccessError::Failed(_))), "a failed sync is never repeated");
    store.record(shot(ticket(CHIYODA, 1), 1, "c")).unwrap();
    let held: Vec<String> =
        entries(&machine.cut(Unsynced::Lost).open()).into_iter().map(|entry| entry.purpose).collect();
    assert_eq!(held, ["一"]);
}

#[test]
fn every_answer_is_in_the_access_log_after_a_cut_at_any_operation() {
    let mut rng = rng();
    let begun = Machine::empty();
    register(&begun.open(), CHIYODA, [with(1, 1, 1)]);
    // The first question makes the log; another process goes on with it.
    for asked_before in [false, true] {
        if asked_before {
            ask(&begun.open(), 1, "0").unwrap();
        }
        for count in 0.. {
            let machine = Machine::at(begun.place.copy());
            machine.disk.stop_after(count);
            let mut answered: Vec<String> = if asked_before { vec!["0".into()] } else { Vec::new() };
            if let Ok(store) = machine.try_open() {
                for purpose in ["1", "2", "3"] {
                    if ask(&store, 1, purpose).is_ok() {
                        answered.push(purpose.into());
                    }
                }
            }
            let stopped = machine.disk.stopped();
            for choice in 0..4 {
                let found = machine.cut(draw(&mut rng, choice));
                let store = found.open();
                let held: Vec<String> = entries(&store).into_iter().map(|entry| entry.purpose).collect();
                assert!(held.starts_with(&answered), "cut after {count}: {held:?} instead of {answered:?}");
                ask(&store, 1, "later").unwrap();
                assert_eq!(entries(&store).last().unwrap().purpose, "later");
            }
            if !stopped {
                break;
            }
        }
    }
}

#[test]
fn an_access_log_that_was_damaged_or_removed_is_told_of() {
    let place = Place::in_memory();
    let store = place.open();
    register(&store, CHIYODA, [with(1, 1, 1)]);
    ask(&store, 1, "一").unwrap();
    ask(&store, 1, "二").unwrap();
    drop(store);
    let file = place.file("access/0000000000000001.log");
    flip(&file, 8192 + 60, 0x55);
    let store = place.open();
    let damaged = store.accesses(|_| {}).unwrap_err();
    assert!(matches!(&damaged, OpenError::Damaged(damage) if damage.file.starts_with("access")), "{damaged:?}");
    assert!(matches!(ask(&store, 1, "三"), Err(AccessError::Open(OpenError::Damaged(_)))), "no answer without it");
    assert!(matches!(store.view().match_ticket(ticket(CHIYODA, 1)), sesshu_engine::Match::Matched(_)));
    drop(store);
    fs::remove_file(&file).unwrap();
    let store = place.open();
    assert!(matches!(ask(&store, 1, "三"), Err(AccessError::Open(OpenError::Damaged(_)))));
    assert!(store.accesses(|_| {}).is_err());
}

#[test]
fn a_person_is_joined_by_any_of_their_tickets_and_the_access_log_tells_of_each() {
    let machine = Machine::empty();
    let store = machine.open();
    register(&store, CHIYODA, (1..=9).map(|number| with(number, number, 1)));
    register(&store, NAHA, [with(7, 3, 1), row(8, 1)]);
    change(&store, Change::row(municipality(SAPPORO), with(1, 3, 1)));
    change(&store, Change::reissue(municipality(CHIYODA), 3, with(103, 3, 2)).unwrap());
    store.record(shot(ticket(CHIYODA, 77), 1, "orphan")).unwrap();
    let tickets = |code, numbers: &[u64]| numbers.iter().map(|&number| ticket(code, number)).collect::<Vec<_>>();
    let joined = |store: &Store, of: &[Ticket], purpose: &str| -> Result<Vec<Vec<Ticket>>, AccessError> {
        let view = store.view();
        let people = store.elsewhere(&view, of, purpose, "窓口 1")?;
        Ok(people.iter().map(|people| people.iter().map(|person| person.ticket()).collect()).collect())
    };
    let elsewhere = [ticket(SAPPORO, 1), ticket(NAHA, 7)];
    let of_chiyoda = tickets(CHIYODA, &[3, 103, 4, 77, 500]);
    let expected = [elsewhere.to_vec(), elsewhere.to_vec(), vec![], vec![], vec![]];
    assert_eq!(joined(&store, &of_chiyoda, "転入").unwrap(), expected);
    let found: Vec<u64> = entries(&store).iter().map(|entry| entry.found).collect();
    assert_eq!(found, [2, 2, 0], "whoever has a My Number");
    let of_naha = joined(&store, &tickets(NAHA, &[7, 8]), "転入").unwrap();
    assert_eq!(of_naha, [vec![ticket(SAPPORO, 1), ticket(CHIYODA, 103)], vec![]], "by the valid ticket");
    // Two rows of one municipality are its own mistake, and no person elsewhere; a number that a whole town has is cut.
    change(&store, Change::row(municipality(CHIYODA), with(8, 4, 2)));
    assert_eq!(joined(&store, &tickets(CHIYODA, &[4]), "転入").unwrap(), [vec![]]);
    register(&store, SENDAI, (1..=ELSEWHERE_MAX as u64 + 7).map(|number| with(number, 9, 1)));
    assert_eq!(joined(&store, &tickets(CHIYODA, &[9]), "転入").unwrap()[0].len(), ELSEWHERE_MAX);
    assert!(matches!(joined(&store, &of_chiyoda, " "), Err(AccessError::NoPurpose)));
    assert_eq!(entries(&store).len(), 6);

    // Many at once, and none of them without its entry.
    let many: Vec<Ticket> = (0..50).flat_map(|_| tickets(CHIYODA, &[1, 2, 3, 4, 5, 6])).collect();
    joined(&store, &many, &"長".repeat(200)).unwrap();
    let cut = Machine::at(machine.cut(Unsynced::Lost));
    assert_eq!(entries(&cut.open()).len(), 306, "durable when it is answered");
    machine.disk.plan(PlannedFault { on: Call::SYNCS, count: 1, fault: Fault::Fail });
    assert!(matches!(joined(&store, &many, "転入"), Err(AccessError::Failed(_))), "no entry, no answer");
}
