//! A checkpoint is the log before it, in another form: what is restored from it is what the whole log says (I8).
//!
//! Every store here is opened twice as it lies there, with its checkpoint and without, and must answer and count the same.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rand::{Rng, RngExt};
use sesshu_engine::{BuiltLoad, CheckpointOutcome, Opened, Status, Store};
use sesshu_tests::machine::Shown;
use sesshu_tests::seeded::Seeded;
use sesshu_tests::{CHIYODA, NAHA, Over, Place, SAPPORO, load, municipality, record, rng, row, shot, ticket};

/// What a store shows and counts.
fn state(store: &Store) -> (Shown, Status) {
    // What an open reads is what a checkpoint is for.
    let mut status = store.status();
    (status.log_to_read_bytes, status.checkpoint_time_ms) = (0, 0);
    (Shown::by(store), status)
}

fn checkpoints(place: &Place) -> Vec<PathBuf> {
    place.bytes().into_keys().filter(|name| name.starts_with("checkpoint")).collect()
}

/// Opens the store as it lies there, and as it would be without its checkpoint: both are the same. What opening it said.
fn same_as_without(place: &Place) -> Opened {
    let (with, without) = (place.copy(), place.copy());
    let [checkpoint] = &checkpoints(place)[..] else { panic!("there is one checkpoint: {:?}", checkpoints(place)) };
    fs::remove_file(without.file(checkpoint)).unwrap();
    let (with_store, with) = with.try_open().unwrap();
    let (without_store, without) = without.try_open().unwrap();
    assert!(matches!(with.checkpoint, CheckpointOutcome::Restored { .. }), "{:?}", with.checkpoint);
    let CheckpointOutcome::Rebuilt(damage) = &without.checkpoint else { panic!("{:?}", without.checkpoint) };
    assert_eq!(&damage.file, checkpoint);
    assert_eq!(with.log, without.log);
    assert!(with.events <= without.events);
    assert_eq!(state(&with_store), state(&without_store));
    with
}

/// Ends the program so that what it wrote is there and nothing more.
fn kill(place: &Place, store: Store) {
    let files = place.bytes();
    drop(store);
    place.restore(&files);
}

#[test]
fn an_open_reads_the_log_from_the_checkpoint_on() {
    let place = Place::in_memory();
    let (store, opened) = place.try_open().unwrap();
    assert_eq!(opened.checkpoint, CheckpointOutcome::None);
    load(&store, CHIYODA, 1..=5, 1);
    for number in 0..20 {
        record(&store, shot(ticket(CHIYODA, number % 10), number as u32, &format!("before-{number}")));
        record(&store, shot(ticket(NAHA, number % 3), number as u32, ""));
    }
    store.checkpoint().unwrap();
    let position = store.status().log_written_bytes;
    store.checkpoint().unwrap();
    assert_eq!(checkpoints(&place).len(), 1, "of one moment there is one");
    for after in 0..7 {
        record(&store, shot(ticket(CHIYODA, after * 2), after as u32, &format!("after-{after}")));
        let opened = same_as_without(&place.copy());
        assert_eq!(opened.events, after + 1);
        assert!(matches!(opened.checkpoint, CheckpointOutcome::Restored { position: at } if at <= position));
    }
    store.checkpoint().unwrap();
    assert_eq!(checkpoints(&place).len(), 1, "the one before is gone");
    assert_eq!(same_as_without(&place.copy()).events, 0);
    store.close().unwrap();
    assert_eq!(same_as_without(&place).events, 0);
}

#[test]
fn a_checkpoint_that_is_of_no_use_is_made_anew() {
    let place = Place::in_memory();
    let store = place.open();
    record(&store, shot(ticket(NAHA, 1), 1, ""));
    store.checkpoint().unwrap();
    let older = fs::read(place.file(&checkpoints(&place)[0])).unwrap();
    record(&store, shot(ticket(NAHA, 2), 2, ""));
    drop(store);
    let before = state(&place.open()).0;
    let [checkpoint] = &checkpoints(&place)[..] else { panic!("there is one") };
    let newer = fs::read(place.file(checkpoint)).unwrap();
    let mut flipped = newer.clone();
    // The number of its last ticket: what it says then could be.
    let number = flipped.len() - 16;
    flipped[number] ^= 1;
    for bytes in [None, Some(older), Some(flipped), Some(newer[..newer.len() - 1].to_vec())] {
        fs::remove_file(place.file(checkpoint)).unwrap();
        if let Some(bytes) = bytes {
            fs::write(place.file(checkpoint), bytes).unwrap();
        }
        let (store, opened) = place.try_open().unwrap();
        assert!(matches!(&opened.checkpoint, CheckpointOutcome::Rebuilt(damage) if damage.file == *checkpoint));
        assert_eq!(opened.events, 2, "the whole log is read");
        assert_eq!(state(&store).0, before);
        let killed = place.copy();
        drop(store);
        assert_eq!(killed.try_open().unwrap().1.checkpoint, CheckpointOutcome::None, "what was of no use is not named");
        let (store, opened) = place.try_open().unwrap();
        assert!(matches!(opened.checkpoint, CheckpointOutcome::Restored { .. }));
        assert_eq!((opened.events, state(&store).0), (0, before.clone()));
    }
}

#[test]
fn registers_that_were_installed_after_a_checkpoint_fold_what_it_holds() {
    let place = Place::in_memory();
    let machine = Seeded::of(7);
    let store = machine.open(&place);
    let mut content = 0;
    let mut some = |store: &Store| {
        for number in [1, 3, 6, 9] {
            content += 1;
            record(store, shot(ticket(CHIYODA, number), content, &format!("c-{content}")));
            record(store, shot(ticket(NAHA, number + 1), content, ""));
        }
    };
    some(&store);
    load(&store, CHIYODA, 1..=5, 1);
    some(&store);
    let built = build(&store, NAHA, 1..=5, 1);
    some(&store);
    store.checkpoint().unwrap();
    same_as_without(&place.copy());
    some(&store);
    built.install().unwrap();
    same_as_without(&place.copy());
    // A second generation of one ledger while the checkpoint is behind the first, and behind none of the other.
    for version in 2..4 {
        load(&store, CHIYODA, (1..=5).chain([9]), version);
        same_as_without(&place.copy());
        some(&store);
        same_as_without(&place.copy());
    }
    let built = build(&store, NAHA, 1..=7, 2);
    store.checkpoint().unwrap();
    some(&store);
    built.install().unwrap();
    kill(&place, store);
    same_as_without(&place);
}

fn build(store: &Store, code: u32, numbers: impl IntoIterator<Item = u64>, version: u32) -> BuiltLoad {
    let mut load = store.load(municipality(code)).unwrap();
    numbers.into_iter().for_each(|number| load.push(row(number, version)).unwrap());
    load.build(None).unwrap()
}

/// One random step. Chiyoda's registers are whole ones of version `version`.
fn step(store: &Store, built: &mut BTreeMap<u32, BuiltLoad>, rng: &mut impl Rng, count: u32) {
    let code = if rng.random() { CHIYODA } else { NAHA };
    match rng.random_range(0..20) {
        0 | 1 => store.checkpoint().unwrap(),
        2 => store.tick(),
        3 | 4 if !built.contains_key(&code) => drop(built.insert(code, build(store, code, 1..=5, count))),
        5 | 6 => drop(built.remove(&code).map(|built| built.install().unwrap())),
        _ => drop(record(store, shot(ticket(code, rng.random_range(0..12)), count, &format!("c-{count}")))),
    }
}

#[test]
fn whatever_was_done_around_it_a_checkpoint_restores_what_the_log_says() {
    let mut rng = rng();
    for chain in 0..6 {
        let place = Place::in_memory();
        let machine = Seeded::of(chain);
        let mut shown = None;
        for round in 0..8 {
            let store = machine.open(&place);
            assert!(shown.is_none_or(|shown| shown == Shown::by(&store)), "an open changes nothing");
            let mut built = BTreeMap::new();
            for count in 0..rng.random_range(5..40) {
                step(&store, &mut built, &mut rng, (chain as u32 * 8 + round) * 40 + count);
            }
            shown = Some(Shown::by(&store));
            drop(built);
            if rng.random() {
                kill(&place, store);
            } else {
                drop(store);
            }
            if !checkpoints(&place).is_empty() {
                let opened = same_as_without(&place);
                println!("chain {chain}, round {round}: {opened:?}");
            }
        }
    }
}

#[test]
fn a_checkpoint_is_of_one_moment_while_shots_are_recorded() {
    let mut rng = rng();
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=5, 1);
    // A ledger that takes a while to write, before those that change meanwhile.
    let many = (0..20_000).map(|number| shot(ticket(SAPPORO, number), 1, ""));
    assert!(store.record_many(many.collect()).iter().all(Result::is_ok));
    // Whoever copies the files keeps the recorders out: else the copy would be of no moment.
    let (copying, over, content) = (RwLock::new(()), AtomicBool::new(false), AtomicU32::new(0));
    let mut later = 0;
    std::thread::scope(|scope| {
        let _over = Over(&over);
        for thread in 0..3 {
            let (store, copying, over, content) = (&store, &copying, &over, &content);
            scope.spawn(move || {
                while !over.load(Ordering::Acquire) {
                    let _recording = copying.read().unwrap();
                    let count = content.fetch_add(1, Ordering::Relaxed);
                    // Half of the tickets are known already, half are new: the counters of the tails move too.
                    let number = u64::from(if count % 2 == 0 { count % 12 } else { 100 + count });
                    let code = if thread == 0 { NAHA } else { CHIYODA };
                    record(store, shot(ticket(code, number), count, &format!("c-{count}")));
                }
            });
        }
        for round in 0..25 {
            let until = content.load(Ordering::Relaxed) + rng.random_range(1..200);
            while content.load(Ordering::Relaxed) < until {
                std::thread::yield_now();
            }
            if round % 5 == 4 {
                load(&store, CHIYODA, 1..=5, round);
            }
            store.checkpoint().unwrap();
            let _copying = copying.write().unwrap();
            let opened = same_as_without(&place.copy());
            println!("round {round}: {opened:?}");
            later += u64::from(opened.events > 0);
        }
    });
    assert!(later > 5, "shots were recorded while checkpoints were written: {later}");
}
