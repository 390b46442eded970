//! A store on a full disk opens, answers, refuses to record, and goes on by itself when there is room (I1, I10).
//!
//! The disk becomes full before a store is opened, or in the middle of that: then the next segment of the log may have found room and the manifest none.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;

use rand::{Rng, RngExt};
use sesshu_engine::disk::{Call, Fault, PlannedFault, Unsynced};
use sesshu_engine::error::{Kind, LoadError, RecordError};
use sesshu_engine::intake::{Act, Amendment, By, Correction, ShotRef};
use sesshu_engine::{AmendmentOutcome, Store};
use sesshu_proto::v1::Authority;
use sesshu_tests::machine::{Machine, Shown, Told, draw, try_load};
use sesshu_tests::{CHIYODA, NAHA, Place, answer, raw_batches, rng, shot, ticket};

const FULL: Option<&str> = Some("the disk is full");

/// A store with a register and shots whose program closed it or was killed, and what was told.
fn some(closed: bool) -> (Machine, Told) {
    let machine = Machine::empty();
    let mut told = Told::default();
    let store = machine.open();
    told.record(&store, NAHA, 1, "a".into()).unwrap();
    told.load(&store, 1).unwrap();
    told.record(&store, CHIYODA, 1, "b".into()).unwrap();
    told.load(&store, 2).unwrap();
    told.record(&store, CHIYODA, 9, "c".into()).unwrap();
    if closed {
        store.close().unwrap();
    } else {
        machine.disk.kill();
    }
    drop(store);
    (machine, told)
}

/// Nothing is taken, everything is answered, and nothing is lost if the power fails now.
fn read_only(machine: &Machine, store: &Store, told: &Told, rng: &mut impl Rng) {
    assert_eq!(store.status().trouble.as_deref(), FULL);
    told.check(&Shown::by(store));
    let batches = written(&machine.place);
    for number in 0..3 {
        let error = store.record(shot(ticket(CHIYODA, number), 9, "refused")).unwrap_err();
        assert!(matches!(error, RecordError::DiskFull), "{error:?}");
    }
    let error = try_load(store, 9).unwrap_err();
    assert_eq!(error.kind(), Kind::Retry);
    let full = matches!(&error, LoadError::Disk { source, .. } if source.kind() == std::io::ErrorKind::StorageFull);
    assert!(full || matches!(error, LoadError::Install(RecordError::DiskFull)), "{error:?}");
    assert_eq!(written(&machine.place), batches, "nothing is written to the log before the manifest is");
    assert_eq!(store.status().trouble.as_deref(), FULL);
    told.check(&Shown::by(store));
    for choice in 0..4 {
        told.check(&Shown::in_place(&machine.cut(draw(rng, choice))));
    }
}

/// Batches in the log.
fn written(place: &Place) -> usize {
    place.segments().iter().map(|segment| raw_batches(&fs::read(place.file(segment)).unwrap()).len()).sum()
}

/// Sets the lot of a shot right, three times: each act waits until the one before it is visible. And once more as it is then, which changes nothing.
fn three_lots(place: &Place) -> Vec<Amendment> {
    let view = place.open().view();
    let shot_id = answer(&view, ticket(NAHA, 1)).shots()[0].shot_id;
    let amendment = |lot: &str| {
        let by = By {
            who: "係員 7".into(),
            reason: "読み違い".into(),
            authority: Authority::MunicipalityStaff,
            batch: String::new(),
        };
        let correction = Correction { lot: Some(lot.into()), ..Correction::default() };
        let of = ShotRef { ticket: ticket(NAHA, 1), shot_id };
        Amendment::check(of, Act::Correct(Box::new(correction)), by, None, None).unwrap()
    };
    ["FB1", "FB2", "FB3", "FB3"].map(amendment).into()
}

/// There is room again: everything is taken, without opening the store again, and is there for good.
fn goes_on(machine: &Machine, store: Store, mut told: Told, rng: &mut impl Rng) {
    machine.disk.heal();
    told.record(&store, NAHA, 1, "room".into()).unwrap();
    assert_eq!(store.status().trouble, None);
    told.load(&store, 3).unwrap();
    told.record(&store, CHIYODA, 2, "later".into()).unwrap();
    let shown = Shown::by(&store);
    told.check(&shown);
    assert!(!shown.shots().contains_key("refused"), "what was refused was not done");
    for choice in 0..4 {
        assert_eq!(Shown::in_place(&machine.cut(draw(rng, choice))), shown);
    }
    store.close().unwrap();
    drop(store);
    assert_eq!(Shown::by(&machine.open()), shown);
}

#[test]
fn a_store_on_a_full_disk_opens_read_only_and_goes_on_when_there_is_room() {
    let mut rng = rng();
    for closed in [true, false] {
        let (machine, told) = some(closed);
        machine.disk.set_full(true);
        let store = machine.open();
        read_only(&machine, &store, &told, &mut rng);
        goes_on(&machine, store, told, &mut rng);
    }
}

#[test]
fn a_store_that_fills_its_disk_stays_read_only_while_it_marks_its_log() {
    let (machine, mut told) = some(true);
    let store = machine.open();
    machine.disk.set_full(true);
    let refused = (0..10_000).find_map(|shot| told.record(&store, NAHA, shot % 7, format!("fill-{shot}")).err());
    assert!(matches!(refused, Some(RecordError::DiskFull)), "{refused:?}");
    let batches = written(&machine.place);
    store.tick();
    assert_eq!(written(&machine.place), batches + 1, "the last batch was vouched for, in the room that was kept");
    let mut rng = rng();
    read_only(&machine, &store, &told, &mut rng);
    goes_on(&machine, store, told, &mut rng);
}

#[test]
fn a_checkpoint_that_finds_no_room_leaves_none_taken() {
    let (machine, mut told) = some(true);
    let store = machine.open();
    told.record(&store, NAHA, 3, "before".into()).unwrap();
    store.checkpoint().unwrap();
    let checkpoints = || {
        let names = machine.disk.files().into_iter().map(|(name, _)| name);
        names.filter(|name| name.starts_with("checkpoint")).collect::<Vec<_>>()
    };
    let named = checkpoints();
    assert_eq!(named.len(), 1);
    for shot in 0..3 {
        told.record(&store, NAHA, 3, format!("after-{shot}")).unwrap();
        machine.disk.set_full(true);
        store.checkpoint().unwrap_err();
        assert_eq!(checkpoints(), named);
        machine.disk.heal();
    }
    store.checkpoint().unwrap();
    assert!(checkpoints().len() == 1 && checkpoints() != named);
    goes_on(&machine, store, told, &mut rng());
}

#[test]
fn a_store_whose_disk_becomes_full_while_it_opens_loses_nothing() {
    let mut rng = rng();
    let mut segment_without_manifest = 0;
    for closed in [true, false] {
        for count in 1.. {
            let (machine, told) = some(closed);
            let (before, segments) = (machine.place.manifest(), machine.place.segments().len());
            machine.disk.plan(PlannedFault { on: Call::WRITES, count, fault: Fault::Full { calls: u64::MAX } });
            let store = machine.open();
            println!("closed: {closed}, full from write {count} on: {:?}", store.status().trouble);
            if store.status().trouble.is_none() {
                assert!(count > 1 && machine.disk.faults() == 0);
                break;
            }
            let named = machine.place.manifest() != before;
            segment_without_manifest += u64::from(!named && machine.place.segments().len() > segments);
            read_only(&machine, &store, &told, &mut rng);
            goes_on(&machine, store, told, &mut rng);
        }
    }
    assert!(segment_without_manifest > 0, "it happened that the next segment found room and the manifest none");
}

#[test]
fn a_store_may_be_opened_and_ended_on_a_full_disk_any_number_of_times() {
    let mut rng = rng();
    for _ in 0..6 {
        let (mut machine, told) = some(rng.random());
        for round in 0..6 {
            machine.disk.set_full(true);
            let store = machine.open();
            read_only(&machine, &store, &told, &mut rng);
            match rng.random_range(0..3) {
                0 => machine.disk.kill(),
                1 => machine = Machine::at(machine.cut(draw(&mut rng, round))),
                // It says that it could not write down where the log ends; nothing is lost by that.
                _ => drop(store.close()),
            }
        }
        let store = machine.open();
        goes_on(&machine, store, told, &mut rng);
    }
}

#[test]
fn a_store_that_was_opened_on_a_full_disk_and_cut_is_opened_again() {
    // The power is cut in the middle of what is made up for when there is room.
    let mut rng = rng();
    for closed in [true, false] {
        for count in 0.. {
            let (machine, mut told) = some(closed);
            machine.disk.set_full(true);
            let store = machine.open();
            machine.disk.heal();
            machine.disk.stop_after(count);
            let recorded = told.record(&store, NAHA, 1, "room".into());
            let stopped = machine.disk.stopped();
            for unsynced in [Unsynced::Lost, Unsynced::Zeros, Unsynced::Torn(rng.random())] {
                told.check(&Shown::in_place(&machine.cut(unsynced)));
            }
            if recorded.is_ok() && !stopped {
                assert!(count > 5, "{count}");
                break;
            }
        }
    }
}

#[test]
fn behind_an_act_that_found_no_room_none_of_its_call_is_done() {
    // The disk is full for the first of three acts, and has room for the others.
    let (mut none, mut whole) = (0, 0);
    for calls in 0..20 {
        let (machine, told) = some(true);
        let lots = three_lots(&machine.place.copy());
        machine.disk.set_full(true);
        let store = machine.open();
        machine.disk.heal();
        if calls > 0 {
            machine.disk.plan(PlannedFault { on: Call::ALL, count: 1, fault: Fault::Full { calls } });
        }
        let done = store.amend(&lots);
        println!("full for {calls} calls: {done:?}");
        let outcomes: Vec<bool> = done.iter().map(Result::is_ok).collect();
        match outcomes[..] {
            [true, true, true, true] => whole += 1,
            [false, false, false, false] => none += 1,
            _ => panic!("{outcomes:?}"),
        }
        let outcomes: Vec<_> = done.iter().flatten().map(|amended| amended.outcome).collect();
        let (amended, unchanged) = (AmendmentOutcome::Amended, AmendmentOutcome::Unchanged);
        assert!(outcomes.is_empty() || outcomes == [amended, amended, amended, unchanged], "{outcomes:?}");
        assert!(done.iter().filter_map(|done| done.as_ref().err()).all(|error| error.kind() == Kind::Retry));
        machine.disk.heal();
        goes_on(&machine, store, told, &mut rng());
    }
    assert!(none > 0 && whole > 0, "{none} times none, {whole} times all");
}
