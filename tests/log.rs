//! The log knows its own: nothing of another log gets into it, time does not go back in it, its end is vouched for, and what is
//! prepared ahead costs no shot (I2, I4).
//!
//! The stores here have no threads: they do the same again, and write nothing by themselves.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sesshu_engine::disk::{Call, Disk, Fault, PlannedFault, RealDisk, SimulatedDisk, Unsynced};
use sesshu_engine::error::{OpenError, RecordError};
use sesshu_engine::{Environment, LogOutcome, Options, Platform, RecordOutcome, Store};
use sesshu_tests::machine::Machine;
use sesshu_tests::{CHIYODA, HEADER_BYTES, NAHA, Place, flip, ledger, load, raw_batches, record, shot, ticket};

/// A machine that does the same again, with a clock that stands until it is set.
struct Clock {
    seed: u64,
    now_ms: AtomicU64,
    drawn: AtomicU64,
}

impl Clock {
    fn of(seed: u64) -> Arc<Clock> {
        Arc::new(Clock { seed, now_ms: AtomicU64::new(1_618_190_000_000), drawn: AtomicU64::new(0) })
    }
}

impl Environment for Clock {
    fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        ChaCha8Rng::seed_from_u64(self.seed << 32 | drawn).fill_bytes(bytes);
        Ok(())
    }
}

/// A store that does everything on the caller's thread, and writes nothing by itself.
fn without_threads(place: &Place, disk: Arc<dyn Disk>, clock: &Arc<Clock>) -> Store {
    let platform = Platform { disk, environment: Arc::clone(clock) as _, threads: false };
    Store::open_on(platform, &place.path(), Options::default()).unwrap().0
}

fn on_files(place: &Place, clock: &Arc<Clock>) -> Store {
    fs::create_dir_all(place.path()).unwrap();
    without_threads(place, Arc::new(RealDisk::existing(&place.path())), clock)
}

const SEGMENT: &str = "log/0000000000000001.log";

/// One of two stores that did the same at the same time: five shots, then a kill. Only the lots differ.
fn twin(seed: u64) -> Place {
    let place = Place::in_memory();
    let store = on_files(&place, &Clock::of(seed));
    for number in 0..5 {
        record(&store, shot(ticket(NAHA, number), number as u32 + 420 * seed as u32, "c"));
    }
    place.copy()
}

#[test]
fn a_segment_of_a_store_that_did_the_same_is_told() {
    let (one, other) = (twin(1), twin(2));
    let batches = |place: &Place| raw_batches(&fs::read(place.file(SEGMENT)).unwrap());
    assert_eq!(batches(&one), batches(&other), "only its store id tells them apart");
    fs::copy(other.file(SEGMENT), one.file(SEGMENT)).unwrap();
    let Err(OpenError::Damaged(damage)) = one.try_open() else { panic!("refused") };
    assert_eq!((damage.file.as_path(), damage.what), (Path::new(SEGMENT), "a log segment of another store"));
}

#[test]
fn a_batch_of_a_store_that_did_the_same_does_not_validate() {
    // Same place, same sequence, same length: what a recycled or misdirected sector may hold.
    let (one, other) = (twin(1), twin(2));
    let [mut bytes, others] = [&one, &other].map(|place| fs::read(place.file(SEGMENT)).unwrap());
    let last = *raw_batches(&bytes).last().unwrap();
    bytes[last.at..last.at + last.size].copy_from_slice(&others[last.at..last.at + last.size]);
    fs::write(one.file(SEGMENT), bytes).unwrap();
    let (store, opened) = one.try_open().unwrap();
    let LogOutcome::TornTail(torn) = opened.log else { panic!("{:?}", opened.log) };
    assert_eq!((torn.file, torn.offset), (PathBuf::from(SEGMENT), last.at as u64));
    assert_eq!(ledger(&store.view(), NAHA).unwrap().len(), 4);
}

#[test]
fn a_segment_whose_header_is_gone_is_no_spare_though_no_manifest_names_it() {
    let place = Place::in_memory();
    let store = on_files(&place, &Clock::of(1));
    // The manifest names a new segment when nothing else is to be done: here, never.
    (0..).find(|&number| {
        record(&store, shot(ticket(NAHA, number), 1, ""));
        store.status().log_segments > 1
    });
    let place = place.copy();
    let last = place.segments().pop().unwrap();
    let mut bytes = fs::read(place.file(&last)).unwrap();
    bytes[..HEADER_BYTES].fill(0);
    fs::write(place.file(&last), &bytes).unwrap();
    let Err(OpenError::Damaged(damage)) = place.try_open() else { panic!("its shots are not thrown away") };
    assert_eq!((&damage.file, damage.offset), (&last, HEADER_BYTES as u64), "{damage}");
    assert!(fs::read(place.file(&last)).unwrap() == bytes, "it is still there to be repaired");
}

#[test]
fn an_idle_store_vouches_for_its_last_batch() {
    let place = Place::in_memory();
    let store = on_files(&place, &Clock::of(1));
    for number in 0..3 {
        record(&store, shot(ticket(NAHA, number), 1, ""));
    }
    store.tick();
    let place = place.copy();
    let batches = raw_batches(&fs::read(place.file(SEGMENT)).unwrap());
    assert_eq!(batches.iter().map(|batch| batch.count).collect::<Vec<_>>(), [1, 1, 1, 0], "a mark");
    flip(&place.file(SEGMENT), batches[2].at + 60, 1);
    let Err(OpenError::Damaged(damage)) = place.try_open() else { panic!("the loss of the last shot is told") };
    assert_eq!(damage.offset, batches[2].at as u64);
}

#[test]
fn a_clock_that_goes_back_does_no_harm() {
    let place = Place::in_memory();
    let clock = Clock::of(1);
    let store = on_files(&place, &clock);
    let first = record(&store, shot(ticket(NAHA, 1), 1, ""));
    clock.now_ms.fetch_sub(3_600_000, Ordering::Relaxed);
    let second = record(&store, shot(ticket(NAHA, 2), 1, ""));
    load(&store, NAHA, [1], 1);
    assert_eq!(second.recorded_at_ms, first.recorded_at_ms, "what came later is not earlier");
    let (store, opened) = place.copy().try_open().unwrap();
    assert_eq!((opened.log, store.status().shots), (LogOutcome::Clean, 2));
}

#[test]
fn a_segment_whose_making_was_cut_is_no_obstacle() {
    for count in 0.. {
        let machine = Machine::empty();
        machine.disk.stop_after(count);
        let platform = Platform { threads: false, ..Platform::on(machine.disk.mount()) };
        let made = Store::open_on(platform, &machine.place.path(), Options::default()).is_ok();
        let whole = made && !machine.disk.stopped();
        // Header and length of a file are not durable together: many ways to tear them.
        for seed in 0..40 {
            let found = machine.cut(Unsynced::Torn(seed));
            assert!(found.try_open().is_ok(), "cut after {count}, torn by {seed}: {:?}", found.try_open().err());
        }
        if whole {
            assert!(count > 10, "{count} operations");
            return;
        }
    }
}

#[test]
fn what_fails_while_a_segment_is_prepared_is_nobody_s_shot() {
    let begin = || {
        let place = Place::in_memory();
        let disk = SimulatedDisk::on(&place.path(), 0).unwrap();
        let store = without_threads(&place, disk.mount(), &Clock::of(1));
        (place, disk, store)
    };
    let next = |store: &Store, number: u64| store.record(shot(ticket(NAHA, number), 1, ""));
    let (_place, disk, store) = begin();
    // The shot with which the next segment is prepared: everything happens on this thread, so it is the same one every time.
    let segments = || disk.files().into_iter().filter(|(path, _)| path.starts_with("log")).count();
    let early = (0..).find(|&number| next(&store, number).is_ok() && segments() == 2).unwrap();
    for call in [Call::Create, Call::Write, Call::Sync, Call::SyncDirectory] {
        let (place, disk, store) = begin();
        assert!((0..early).all(|number| next(&store, number).is_ok()));
        let on = Call::ALL.iter().position(|&it| it == call).map(|at| &Call::ALL[at..=at]).unwrap();
        disk.plan(PlannedFault { on, count: 1, fault: Fault::Fail });
        assert!(next(&store, early).is_ok(), "{call:?}");
        assert_eq!((disk.faults(), store.status().trouble), (1, None), "{call:?} failed, and cost nothing");
        let segments = store.status().log_segments;
        let last = (early + 1..).find(|&number| {
            assert!(next(&store, number).is_ok(), "{call:?}");
            store.status().log_segments > segments
        });
        assert_eq!(place.copy().open().status().shots, last.unwrap() + 1);
    }
}

#[test]
fn a_segment_that_cannot_be_mapped_is_asked_for_again() {
    let place = Place::in_memory();
    let disk = SimulatedDisk::on(&place.path(), 0).unwrap();
    let store = without_threads(&place, disk.mount(), &Clock::of(1));
    let next = |number: u64| store.record(shot(ticket(NAHA, number), 1, ""));
    // As when a process has no file descriptor left.
    let on = Call::ALL.iter().position(|&it| it == Call::Map).map(|at| &Call::ALL[at..=at]).unwrap();
    disk.plan(PlannedFault { on, count: 1, fault: Fault::Fail });
    let (refused, error) = (0..).find_map(|number| next(number).err().map(|error| (number, error))).unwrap();
    assert!(matches!(error, RecordError::Unprepared(_)), "{error:?}");
    assert!(store.status().trouble.is_some());
    next(refused).unwrap();
    assert_eq!((store.status().trouble, store.status().log_segments), (None, 2));
    assert_eq!(place.copy().open().status().shots, refused + 1);
}

#[test]
fn a_store_that_began_a_segment_in_vain_is_found_closed() {
    let place = Place::in_memory();
    let repeated = || (0..128).map(|at| shot(ticket(CHIYODA, at), 1, &format!("again-{at}"))).collect();
    let clock = Clock::of(1);
    drop(on_files(&place, &clock).record_many(repeated()));
    let mut segments = 0;
    // Each time the end of the log is nearer to the end of its segment by less than what is recorded again would need there.
    for round in 0..60 {
        let store = on_files(&place, &clock);
        assert_eq!(store.opened().log, LogOutcome::Closed, "round {round}");
        let new = (0..60).map(|at| shot(ticket(NAHA, at), round, &format!("new-{round}-{at}")));
        assert!(store.record_many(new.collect()).iter().all(Result::is_ok));
        let again = store.record_many(repeated());
        assert!(again.iter().all(|it| it.as_ref().unwrap().outcome == RecordOutcome::AlreadyRecorded));
        segments = store.status().log_segments;
        store.close().unwrap();
    }
    assert!(segments > 1, "no segment was begun");
}
