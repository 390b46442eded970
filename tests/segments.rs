//! A log of many segments is one log: nothing is lost where one ends and the next begins (I2).

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use sesshu_engine::error::OpenError;
use sesshu_engine::{CheckpointOutcome, LogOutcome, Options, Platform, Store};
use sesshu_tests::seeded::Seeded;
use sesshu_tests::{CHIYODA, NAHA, Place, ledger, load, raw_batches, record, shot, ticket};

const SHOTS: u32 = 9000;

fn fill(store: &Store) {
    let shots = (0..SHOTS).map(|count| {
        let code = if count % 3 == 0 { NAHA } else { CHIYODA };
        shot(ticket(code, u64::from(count % 1000)), count, &format!("c-{count}"))
    });
    let answers = store.record_many(shots.collect());
    for (at, recorded) in answers.into_iter().enumerate() {
        assert_eq!(recorded.unwrap().sequence, at as u64 + 1, "sequences are contiguous");
    }
}

fn check(store: &Store) {
    let view = store.view();
    let mut sequences = BTreeSet::new();
    for code in [CHIYODA, NAHA] {
        for answer in ledger(&view, code).unwrap().values() {
            assert!(answer.shots().is_sorted_by(|a, b| a.shot_id < b.shot_id), "in the order they were recorded");
            for shot in answer.shots() {
                assert!(sequences.insert(shot.shot_id));
                let capture_id = shot.shot.clone().unwrap().capture_id;
                assert_eq!(capture_id, format!("c-{}", shot.shot_id - 1));
            }
        }
    }
    assert!(sequences.into_iter().eq(1..=u64::from(SHOTS)));
    assert_eq!((view.sequence(), store.status().shots), (u64::from(SHOTS), u64::from(SHOTS)));
}

#[test]
fn every_shot_is_there_across_segments_and_reopenings() {
    let place = Place::in_memory();
    let store = place.open();
    fill(&store);
    check(&store);
    assert!(store.status().log_segments >= 3, "{:?}", store.status());
    let crashed = place.copy();
    drop(store);
    for round in 0..3 {
        let (store, opened) = place.try_open().unwrap();
        assert_eq!((opened.log, opened.events), (LogOutcome::Closed, 0), "round {round}");
        assert!(matches!(opened.checkpoint, CheckpointOutcome::Restored { .. }), "{:?}", opened.checkpoint);
        check(&store);
    }
    fs::remove_dir_all(place.file("checkpoint")).unwrap();
    let (store, opened) = place.try_open().unwrap();
    assert_eq!((opened.log, opened.events), (LogOutcome::Closed, u64::from(SHOTS)), "without the checkpoint");
    assert!(matches!(opened.checkpoint, CheckpointOutcome::Rebuilt(_)), "{:?}", opened.checkpoint);
    check(&store);
    drop(store);
    // After a crash each opening begins a segment; that too is one log.
    for round in 0..3 {
        let (store, opened) = crashed.try_open().unwrap();
        assert_eq!((opened.log, opened.events), (LogOutcome::Clean, u64::from(SHOTS)), "round {round}");
        check(&store);
        let again = crashed.copy();
        drop(store);
        crashed.restore(&again.bytes());
    }
    let store = crashed.open();
    assert_eq!(record(&store, shot(ticket(NAHA, 1), 1, "next")).sequence, u64::from(SHOTS) + 1);
}

#[test]
fn the_newest_segment_of_a_store_that_was_killed_does_not_go_missing_unnoticed() {
    let (place, machine) = (Place::in_memory(), Seeded::of(1));
    let store = machine.open(&place);
    // Begun because the one before was full: the manifest names it when nothing else is to be done.
    let mut count = 0;
    while store.status().log_segments == 1 {
        record(&store, shot(ticket(NAHA, u64::from(count % 50)), count, &format!("c-{count}")));
        count += 1;
    }
    store.tick();
    let killed = place.copy();
    drop(store);
    refuses_without_its_newest_segment(&killed);
    // Begun because the program before was killed: named when the store is open.
    for _ in 0..3 {
        let store = killed.open();
        let again = killed.copy();
        drop(store);
        killed.restore(&again.bytes());
        refuses_without_its_newest_segment(&killed);
    }
    assert_eq!(killed.open().status().shots, u64::from(count));
}

fn refuses_without_its_newest_segment(place: &Place) {
    let fewer = place.copy();
    let newest = fewer.segments().pop().unwrap();
    // Nor is it a spare behind it that tells.
    for name in fewer.bytes().keys().filter(|name| **name >= newest && name.starts_with("log")) {
        fs::remove_file(fewer.file(name)).unwrap();
    }
    let before = fewer.bytes();
    let Err(OpenError::Damaged(damage)) = fewer.try_open() else { panic!("refused") };
    assert_eq!(damage.file, newest, "{damage}");
    assert!(
        fewer
            .bytes()
            .into_iter()
            .filter(|(name, _)| name != Path::new("LOCK"))
            .all(|(name, bytes)| before[&name] == bytes)
    );
}

#[test]
fn batches_follow_one_another_on_disk() {
    let place = Place::in_memory();
    let store = place.open();
    fill(&store);
    store.close().unwrap();
    let mut next = 1;
    let files = place.bytes();
    for segment in place.segments() {
        let bytes = &files[&segment];
        assert!(bytes.len() >= 256 << 10 && bytes.len().is_power_of_two(), "a segment is made whole before it is used");
        let batches = raw_batches(bytes);
        for batch in &batches {
            assert_eq!(batch.first_sequence, next, "{}", segment.display());
            next += u64::from(batch.count);
        }
        let end = batches.last().map_or(sesshu_tests::HEADER_BYTES, |batch| batch.at + batch.size);
        assert!(bytes[end..].iter().all(|&byte| byte == 0), "zeros follow the last batch");
    }
    assert_eq!(next, u64::from(SHOTS) + 1);
}

#[test]
fn an_empty_store_is_small() {
    let place = Place::in_memory();
    drop(place.open());
    let bytes: usize = place.bytes().values().map(Vec::len).sum();
    assert!(bytes <= 300 << 10, "{bytes} bytes");
    let store = place.open();
    load(&store, CHIYODA, [1], 1);
    assert_eq!(store.status().log_segments, 1);
}

#[test]
fn an_idle_log_vouches_for_its_last_batch_wherever_that_ends() {
    let place = Place::in_memory();
    fs::create_dir_all(place.path()).unwrap();
    // Without threads a tick is the idle moment.
    let platform = Platform { threads: false, ..Platform::real(&place.path()) };
    let (store, _) = Store::open_on(platform, &place.path(), Options::default()).unwrap();
    let mut rooms = BTreeSet::new();
    for number in 0..4000 {
        let capture_id = format!("{number}-{}", "c".repeat(number as usize % 30));
        record(&store, shot(ticket(NAHA, number % 9), number as u32, &capture_id));
        store.tick();
        let bytes = fs::read(place.file(place.segments().pop().unwrap())).unwrap();
        let last = *raw_batches(&bytes).last().unwrap();
        assert_eq!(last.count, 0, "behind shot {number} there is a mark");
        rooms.insert(bytes.len() - last.at - last.size);
    }
    // A batch keeps room for warnings.
    assert!(rooms.first() < Some(&700), "ends of segments were met: {:?}", rooms.first());
}
