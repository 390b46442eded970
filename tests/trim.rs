//! The log is no longer than what needs it, and never shorter.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;

use sesshu_engine::disk::{Call, Fault, PlannedFault, Unsynced};
use sesshu_engine::error::OpenError;
use sesshu_engine::{CheckpointOutcome, LogOutcome, Options, Platform, Store, View};
use sesshu_proto::v1::RecordedShot;
use sesshu_tests::machine::Machine;
use sesshu_tests::{Answer, CHIYODA, Clock, NAHA, Place, ledger, municipality, record, shot, ticket, whatever_comes};

/// Enough for some segments of the smallest sizes.
fn fill(store: &Store, code: u32, shots: u32) {
    let shots = (0..shots).map(|count| shot(ticket(code, u64::from(count % 500)), count, &format!("c-{count}")));
    assert!(store.record_many(shots.collect()).iter().all(Result::is_ok));
}

fn compact(store: &Store, code: u32) {
    assert!(store.compact(municipality(code), None, &mut |_| ControlFlow::Continue(())).unwrap().is_some());
}

/// Registers may come and go; it is the shots that lie in the log.
fn shown(store: &Store) -> [BTreeMap<u64, Vec<RecordedShot>>; 2] {
    [CHIYODA, NAHA].map(|code| shots(&store.view(), code))
}

fn shots(view: &View, code: u32) -> BTreeMap<u64, Vec<RecordedShot>> {
    let shots = |(number, answer): (u64, Answer)| (number, answer.shots().to_vec());
    ledger(view, code).unwrap().into_iter().map(shots).filter(|(_, shots)| !shots.is_empty()).collect()
}

#[test]
fn segments_go_when_no_tail_and_no_checkpoint_needs_them() {
    let place = Place::in_memory();
    let store = place.open();
    fill(&store, CHIYODA, 9000);
    assert!(store.status().log_segments >= 3, "{:?}", store.status());
    let before = shown(&store);
    store.checkpoint().unwrap();
    let all = place.segments();
    assert!(all.len() >= 3, "a tail needs them: {all:?}");
    compact(&store, CHIYODA);
    assert!(place.segments().starts_with(&all), "the checkpoint that is named begins in the first");
    let reader = store.view();
    store.checkpoint().unwrap();
    let left = place.segments();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(store.status().log_segments, 1);
    assert_eq!(store.status().log_bytes, fs::metadata(place.file(&left[0])).unwrap().len());
    assert_eq!(place.manifest().log_first_segment, all.len() as u64);
    assert_eq!(shots(&reader, CHIYODA), before[0], "a view keeps what it shows");
    drop(reader);

    let number = record(&store, shot(ticket(CHIYODA, 1), 1, "later")).sequence;
    assert_eq!(number, 9002, "sequences go on");
    let before = shown(&store);
    whatever_comes(&place, store, |store| assert_eq!(shown(store), before));
    // The checkpoint is derived, also where the log does not begin at its beginning.
    fs::remove_dir_all(place.file("checkpoint")).unwrap();
    let (store, opened) = place.try_open().unwrap();
    assert!(matches!(opened.checkpoint, CheckpointOutcome::Rebuilt(_)), "{:?}", opened.checkpoint);
    assert_eq!(shown(&store), before);
}

#[test]
fn a_segment_stays_as_long_as_any_tail_has_an_event_in_it() {
    let place = Place::in_memory();
    let store = place.open();
    let first = record(&store, shot(ticket(NAHA, 7), 1, "first"));
    fill(&store, CHIYODA, 9000);
    let all = place.segments();
    compact(&store, CHIYODA);
    store.checkpoint().unwrap();
    assert!(place.segments().starts_with(&all), "Naha's only shot lies in the first");
    let before = shown(&store);
    let copy = place.copy();
    whatever_comes(&copy, copy.open(), |store| assert_eq!(shown(store), before));

    drop(store);
    let store = place.open();
    assert_eq!(shown(&store)[1][&7][0].shot_id, first.shot_id);
    compact(&store, NAHA);
    store.checkpoint().unwrap();
    assert_eq!(place.segments().len(), 1);
    assert_eq!(shown(&store), before);
}

#[test]
fn no_segment_goes_before_a_durable_manifest_says_that_nothing_needs_it() {
    let mut removed = false;
    for count in 0.. {
        let machine = Machine::empty();
        let store = machine.open();
        fill(&store, CHIYODA, 6000);
        compact(&store, CHIYODA);
        record(&store, shot(ticket(CHIYODA, 1), 1, "newest"));
        let before = shown(&store);
        machine.disk.stop_after(count);
        let done = store.checkpoint().is_ok();
        drop(store);
        for unsynced in [Unsynced::Lost, Unsynced::Zeros, Unsynced::Torn(count)] {
            let place = machine.cut(unsynced);
            let (store, _) = place.try_open().unwrap();
            assert_eq!(shown(&store), before, "cut after {count}, {unsynced:?}");
            removed |= place.segments().len() < 3;
            store.checkpoint().unwrap();
        }
        if done && !machine.disk.stopped() {
            assert!(count > 8 && removed, "{count} operations");
            return;
        }
    }
}

#[test]
fn what_a_crash_leaves_of_segments_that_nothing_needs_the_next_open_removes() {
    let place = Place::in_memory();
    let store = place.open();
    fill(&store, CHIYODA, 9000);
    let old = place.file(&place.segments()[0]);
    let bytes = fs::read(&old).unwrap();
    compact(&store, CHIYODA);
    store.checkpoint().unwrap();
    let before = shown(&store);
    drop(store);
    assert!(!old.exists());
    fs::write(&old, bytes).unwrap();
    let (store, opened) = place.try_open().unwrap();
    assert_eq!((old.exists(), opened.removed_files), (false, 1));
    assert_eq!(shown(&store), before);
}

#[test]
fn the_first_segment_that_is_needed_does_not_go_missing_unnoticed() {
    let place = Place::in_memory();
    let store = place.open();
    fill(&store, CHIYODA, 9000);
    compact(&store, CHIYODA);
    store.checkpoint().unwrap();
    fill(&store, NAHA, 20_000);
    drop(store);
    let segments = place.segments();
    assert!(segments.len() > 1, "{segments:?}");
    fs::remove_file(place.file(&segments[0])).unwrap();
    let error = place.try_open().map(drop).unwrap_err();
    assert!(matches!(&error, OpenError::Damaged(damage) if damage.file == segments[0]), "{error:?}");
}

#[test]
fn a_closed_store_is_left_as_its_last_manifest_names_it() {
    let machine = Machine::empty();
    let store = machine.open();
    fill(&store, CHIYODA, 9000);
    store.checkpoint().unwrap();
    compact(&store, CHIYODA);
    let before = shown(&store);
    machine.disk.plan(PlannedFault { on: &[Call::Create], count: 1, fault: Fault::Fail });
    store.close().unwrap_err();
    // Somebody who comes late, as a compaction that ends then.
    store.checkpoint().unwrap();
    store.tick();
    drop(store);
    let store = machine.open();
    assert_eq!(store.opened().log, LogOutcome::Closed);
    assert_eq!(shown(&store), before);
}

#[test]
fn commit_times_stay_in_order_where_only_the_end_of_the_log_is_left() {
    let (place, clock) = (Place::in_memory(), Arc::new(Clock::standing()));
    drop(place.open());
    let open = || {
        let platform = Platform { environment: clock.clone(), threads: false, ..Platform::real(&place.path()) };
        Store::open_on(platform, &place.path(), Options::default()).unwrap()
    };
    let (store, _) = open();
    let first = record(&store, shot(ticket(CHIYODA, 1), 1, "first"));
    compact(&store, CHIYODA);
    let killed = place.bytes();
    drop(store);
    place.restore(&killed);
    // After a kill the log goes on in a new segment, in which nothing is written.
    let (store, _) = open();
    store.checkpoint().unwrap();
    assert_eq!(place.segments().len(), 1);
    drop(store);
    fs::remove_dir_all(place.file("checkpoint")).unwrap();
    clock.step(-3_600_000);
    let (store, opened) = open();
    assert_eq!(opened.events, 0);
    let later = record(&store, shot(ticket(CHIYODA, 2), 1, "later"));
    assert!(later.recorded_at_ms >= first.recorded_at_ms, "{later:?} after {first:?}");
}
