//! One change of a register is seen at once, is durable when it is answered, and is there once however often it is sent.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::thread;

use sesshu_engine::disk::{Call, Fault, PlannedFault};
use sesshu_engine::error::{ChangeError, RecordError};
use sesshu_engine::intake::{Change, Row};
use sesshu_engine::{ChangeOutcome, Changed, RecordOutcome, Store};
use sesshu_proto::v1::ResidentStatus;
use sesshu_tests::machine::Machine;
use sesshu_tests::{
    Answer, CHIYODA, NAHA, Place, answer, ledger, load, municipality, my_number, record, resident, row, shot, ticket,
};

/// The row of a version.
fn to_row(code: u32, number: u64, version: u32) -> Change {
    Change::row(municipality(code), row(number, version))
}

fn to_status(code: u32, number: u64, status: ResidentStatus) -> Change {
    Change::status(ticket(code, number), status, 20_210_501).unwrap()
}

/// Applies one change.
fn change(store: &Store, change: Change) -> Changed {
    store.change(&[change]).unwrap().pop().unwrap().unwrap()
}

fn name(store: &Store, code: u32, number: u64) -> Option<String> {
    answer(&store.view(), ticket(code, number)).resident().map(|resident| resident.name.clone())
}

fn counts(store: &Store) -> (u64, u64, u64, u64) {
    let status = store.status();
    (status.residents, status.orphans, status.shots, status.tail_tickets)
}

#[test]
fn a_change_is_seen_at_once_and_after_a_kill_a_fold_and_a_close() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=3, 1);
    let before = store.view();
    assert_eq!(change(&store, to_row(CHIYODA, 2, 7)), Changed { outcome: ChangeOutcome::Changed, sequence: 2 });
    assert_eq!(change(&store, to_row(CHIYODA, 9, 7)), Changed { outcome: ChangeOutcome::Added, sequence: 3 });
    change(&store, to_status(CHIYODA, 3, ResidentStatus::MovedOut));
    assert!(answer(&before, ticket(CHIYODA, 2)).resident().unwrap().name.contains("第1版"), "a view is one moment");
    assert_eq!(answer(&before, ticket(CHIYODA, 9)), Answer::NotFound);
    drop(before);

    let shown = |store: &Store| {
        let moved = answer(&store.view(), ticket(CHIYODA, 3)).resident().cloned().unwrap();
        assert_eq!((moved.status(), moved.status_date), (ResidentStatus::MovedOut, 20_210_501));
        assert!(moved.name.contains("第1版"), "a status leaves the rest of the row as it is");
        assert_eq!(ledger(&store.view(), CHIYODA).unwrap().len(), 4);
        [2, 9].map(|number| name(store, CHIYODA, number).unwrap().contains("第7版"))
    };
    assert_eq!(shown(&store), [true; 2]);
    assert_eq!(counts(&store), (4, 0, 0, 3));

    let killed = place.copy();
    assert_eq!(shown(&killed.open()), [true; 2], "after a kill");
    store.close().unwrap();
    drop(store);
    let store = place.open();
    assert_eq!(shown(&store), [true; 2], "after a close");
    // Row 9 was rejected by the register's reader: its version stays, and that is the changed one.
    let mut next = store.load(municipality(CHIYODA)).unwrap();
    (1..=3).for_each(|number| next.push(row(number, 2)).unwrap());
    next.keep(9);
    assert_eq!(next.commit(None).unwrap().kept, 1);
    assert!(name(&store, CHIYODA, 9).unwrap().contains("第7版"), "folded");
    assert!(name(&store, CHIYODA, 2).unwrap().contains("第2版"), "a newer register says otherwise");
    assert_eq!(counts(&store), (4, 0, 0, 0));
}

#[test]
fn a_change_that_is_sent_again_adds_nothing() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, NAHA, 1..=2, 1);
    let with_number = || {
        let row = Row::check(1, Some(my_number(1)), resident(1, 5), 0).unwrap();
        Change::row(municipality(NAHA), row)
    };
    let first = change(&store, with_number());
    assert_eq!(first.outcome, ChangeOutcome::Changed);
    for folded in [false, true] {
        let again = change(&store, with_number());
        assert_eq!(again.outcome, ChangeOutcome::Unchanged);
        assert_eq!(again.sequence, first.sequence, "since when it is known stays");
        if !folded {
            let mut next = store.load(municipality(NAHA)).unwrap();
            next.push(Row::check(1, Some(my_number(1)), resident(1, 5), 0).unwrap()).unwrap();
            assert_eq!(next.commit(None).unwrap().unchanged, 1, "a register that says the same changes nothing");
        }
    }
    // Without the My Number it is another row.
    assert_eq!(change(&store, to_row(NAHA, 1, 5)).outcome, ChangeOutcome::Changed);
    assert_eq!(change(&store, to_status(NAHA, 8, ResidentStatus::Deceased)).outcome, ChangeOutcome::UnknownTicket);
    assert_eq!(answer(&store.view(), ticket(NAHA, 8)), Answer::NotFound);
    let moved = || to_status(NAHA, 1, ResidentStatus::MovedOut);
    let outcomes = [moved(), moved()].map(|it| change(&store, it).outcome);
    assert_eq!(outcomes, [ChangeOutcome::Changed, ChangeOutcome::Unchanged]);
}

#[test]
fn changes_of_one_ticket_come_in_their_order() {
    let place = Place::in_memory();
    let store = place.open();
    let changes: Vec<Change> = (1..=300).map(|version| to_row(CHIYODA, u64::from(version) % 3, version)).collect();
    let sequences: Vec<u64> = store.change(&changes).unwrap().into_iter().map(|it| it.unwrap().sequence).collect();
    assert!(sequences.iter().copied().eq(1..=300), "{sequences:?}");
    for number in 0..3 {
        let last = if number == 0 { 300 } else { 297 + number };
        assert!(name(&store, CHIYODA, number).unwrap().contains(&format!("第{last}版")));
    }
}

#[test]
fn an_orphan_is_adopted_by_a_change_and_a_shot_finds_the_row() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=2, 1);
    let orphans = [ticket(CHIYODA, 7), ticket(CHIYODA, 8)];
    record(&store, shot(orphans[0], 1, "c-1"));
    load(&store, CHIYODA, 1..=2, 2);
    record(&store, shot(orphans[1], 1, "c-1"));
    assert_eq!(counts(&store), (2, 2, 2, 1));
    for (at, orphan) in orphans.into_iter().enumerate() {
        assert_eq!(change(&store, to_row(CHIYODA, orphan.number(), 3)).outcome, ChangeOutcome::Added);
        assert_eq!(counts(&store), (3 + at as u64, 1 - at as u64, 2 + at as u64, 2));
        let adopted = answer(&store.view(), orphan);
        assert!(matches!(adopted, Answer::Matched(_, shots) if shots.len() == 1));
        assert_eq!(record(&store, shot(orphan, 2, "c-2")).outcome, RecordOutcome::Recorded);
    }
    let again = store.record(shot(orphans[0], 1, "c-1")).unwrap();
    assert_eq!((again.outcome, again.shot_id), (RecordOutcome::AlreadyRecorded, 2));
    let (held, shown) = (counts(&store), ledger(&store.view(), CHIYODA).unwrap());
    store.checkpoint().unwrap();
    assert_eq!(counts(&place.copy().open()), held, "read from a checkpoint");
    drop(store);
    let store = place.open();
    assert_eq!(counts(&store), held, "read from the log's end");
    assert_eq!(ledger(&store.view(), CHIYODA).unwrap(), shown);
}

#[test]
fn a_resident_number_is_found_after_a_change_and_after_a_checkpoint() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=2, 1);
    change(&store, to_row(CHIYODA, 5, 1));
    let find = |store: &Store, wanted: u64| -> Vec<u64> {
        let view = store.view();
        let people = view.with_resident_number(municipality(CHIYODA), &format!("{wanted:08}")).unwrap();
        people.iter().map(|person| person.ticket().number()).collect()
    };
    assert_eq!(find(&store, 5), [5]);
    let renumbered = sesshu_proto::v1::Resident { resident_number: "00000099".into(), ..resident(1, 2) };
    change(&store, Change::row(municipality(CHIYODA), Row::check(1, None, renumbered, 0).unwrap()));
    let all = |store: &Store| [find(store, 1), find(store, 99), find(store, 5), find(store, 2)];
    let expected = [vec![], vec![1], vec![5], vec![2]];
    assert_eq!(all(&store), expected);
    store.close().unwrap();
    drop(store);
    let store = place.open();
    assert!(matches!(store.opened().checkpoint, sesshu_engine::CheckpointOutcome::Restored { .. }));
    assert_eq!(all(&store), expected);
}

#[test]
fn what_changed_after_a_register_was_built_outlasts_its_install() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=3, 1);
    change(&store, to_row(CHIYODA, 1, 4));
    let mut next = store.load(municipality(CHIYODA)).unwrap();
    (1..=2).for_each(|number| next.push(row(number, 5)).unwrap());
    let built = next.build(None).unwrap();
    change(&store, to_row(CHIYODA, 2, 6));
    change(&store, to_row(CHIYODA, 9, 6));
    built.install().unwrap();
    let names = || [1, 2, 9].map(|number| name(&store, CHIYODA, number).unwrap());
    let expected = ["第5版", "第6版", "第6版"];
    assert!(names().iter().zip(expected).all(|(name, version)| name.contains(version)), "{:?}", names());
    let held = counts(&store);
    assert_eq!(held, (4, 0, 0, 2));
    // A kill: the log is replayed over the generation that came later.
    let killed = place.copy().open();
    assert_eq!((counts(&killed), ledger(&killed.view(), CHIYODA)), (held, ledger(&store.view(), CHIYODA)));
}

#[test]
fn shots_go_on_while_rows_change() {
    let place = Place::on_disk();
    let store = place.open();
    load(&store, CHIYODA, 1..=50, 1);
    thread::scope(|scope| {
        for recorder in 0..3_u64 {
            let store = &store;
            scope.spawn(move || {
                for number in 1..=50 {
                    record(store, shot(ticket(CHIYODA, number), recorder as u32, &format!("c-{recorder}")));
                }
            });
        }
        for version in 2..=20 {
            let changes: Vec<Change> = (1..=60).map(|number| to_row(CHIYODA, number, version)).collect();
            assert!(store.change(&changes).unwrap().iter().all(Result::is_ok));
        }
    });
    let shown = |store: &Store| {
        for number in 1..=60 {
            let answer = answer(&store.view(), ticket(CHIYODA, number));
            assert!(answer.resident().unwrap().name.contains("第20版"));
            assert_eq!(answer.shots().len(), if number <= 50 { 3 } else { 0 });
        }
        assert_eq!(counts(store), (60, 0, 150, 60));
    };
    shown(&store);
    drop(store);
    shown(&place.open());
}

#[test]
fn a_change_whose_sync_fails_is_in_doubt_and_shows_nothing() {
    let machine = Machine::empty();
    let store = machine.open();
    change(&store, to_row(NAHA, 1, 1));
    machine.disk.plan(PlannedFault { on: Call::SYNCS, count: 1, fault: Fault::Fail });
    let answers = store.change(&[to_row(NAHA, 1, 2), to_row(NAHA, 1, 3)]).unwrap();
    assert!(matches!(answers[0], Err(RecordError::InDoubt(_))), "{answers:?}");
    assert!(matches!(answers[1], Err(RecordError::Poisoned(_))), "{answers:?}");
    assert!(name(&store, NAHA, 1).unwrap().contains("第1版"), "nobody sees what may not be there");
}

#[test]
fn without_the_key_a_row_without_a_my_number_changes_all_the_same() {
    let place = Place::in_memory();
    let store = place.open();
    std::fs::rename(place.key(), place.file("../elsewhere.key")).unwrap();
    assert_eq!(change(&store, to_row(NAHA, 1, 1)).outcome, ChangeOutcome::Added);
    let row = Row::check(2, Some(my_number(2)), resident(2, 1), 0).unwrap();
    let refused = store.change(&[to_row(NAHA, 3, 1), Change::row(municipality(NAHA), row)]);
    assert!(matches!(refused, Err(ChangeError::Key(_))), "{refused:?}");
    assert_eq!(answer(&store.view(), ticket(NAHA, 3)), Answer::NotFound, "all or none");
}

#[test]
fn a_change_prints_nothing_of_its_person() {
    let printed = format!("{:?} {:?}", to_row(NAHA, 1, 1), to_status(NAHA, 123_456, ResidentStatus::Removed));
    assert!(!printed.contains("花子") && !printed.contains("123456"), "{printed}");
}
