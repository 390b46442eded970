//! How long does a shot take to be durable while registers are loaded and changed? Shots come at a fixed rate, each by itself, whatever became of those before,
//! and are timed from when they were due. What else the store does takes turns: nothing, loads of register after register on one thread and on two, the
//! largest register again and again, changes of rows in batches as `apply` sends them.
//!
//! Prints a line each: `name  p50  p90  p99  worst  work done a second`.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use sesshu_benches::{Nation, RESIDENTS, SEED, load, row, shot_record, sizes};
use sesshu_engine::error::RecordError;
use sesshu_engine::intake::{Change, ShotRecord};
use sesshu_engine::ticket::Municipality;
use sesshu_engine::{Recorded, Store, give_way};

/// Shots a second: what the nation's 1.7 million on its busiest day would be if they all came within a quarter of an hour.
const RATE: u64 = 2000;

/// How long one turn takes, and how many each has.
const TURN: Duration = Duration::from_secs(2);
const TURNS: usize = 10;

/// Between two turns, so that what one leaves to the disk is not the next one's.
const PAUSE: Duration = Duration::from_secs(1);

/// Rows in a batch of changes.
const BATCH_ROWS: usize = 4096;

type Sizes = [(Municipality, u64)];

fn main() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let residents = *RESIDENTS;
    let nation = Nation::settle(directory, residents);
    let (store, sizes) = (&nation.store, sizes(residents));
    let mut shots = sizes.iter().flat_map(|&(municipality, count)| {
        sesshu::generate::shots_of(SEED, municipality, count, count).map(|shot| shot_record(&shot))
    });
    let works: [(&str, usize, &Work); 5] = [
        ("nothing", 0, &|_, _, _, _| 0),
        ("loads/threads=1", 1, &load_next),
        ("loads/threads=2", 2, &load_next),
        ("one-long-load", 1, &load_city),
        ("changes", 1, &change_next),
    ];
    let mut measured: Vec<_> = works.iter().map(|_| (Histogram::<u64>::new(3).expect("three digits"), 0.0)).collect();
    for turn in 0..TURNS {
        for (&(_, threads, work), (times, done)) in works.iter().zip(&mut measured) {
            std::thread::sleep(PAUSE);
            let shots = shots.by_ref().take((RATE * TURN.as_secs()) as usize).collect();
            *done += one_turn(store, shots, times, threads, |at| work(store, &sizes, turn, at));
        }
    }
    for ((name, ..), (times, done)) in works.iter().zip(&measured) {
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|quantile| times.value_at_quantile(quantile) / 1000);
        let (worst, rate) = (times.max() / 1000, done / TURNS as f64);
        let name = format!("record/beside={name}/rate={RATE}/residents={residents}");
        println!(
            "{name:<64} p50 {p50:>6} µs   p90 {p90:>6} µs   p99 {p99:>6} µs   worst {worst:>7} µs   {rate:>8.0} rows/s"
        );
    }
}

/// Does the next piece of work and says how many rows that were: store, registers, turn, how many pieces came before.
type Work = dyn Fn(&Store, &Sizes, usize, usize) -> u64 + Sync;

/// Records for as long as a turn takes, while threads do work. Returns how many rows of it were done a second.
fn one_turn(
    store: &Store,
    shots: Vec<ShotRecord>,
    times: &mut Histogram<u64>,
    threads: usize,
    work: impl Fn(usize) -> u64 + Sync,
) -> f64 {
    let (ended, pieces, rows) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicU64::new(0));
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                // As the server does.
                give_way();
                while !ended.load(Ordering::Relaxed) {
                    let done = work(pieces.fetch_add(1, Ordering::Relaxed));
                    rows.fetch_add(done, Ordering::Relaxed);
                }
            });
        }
        let (sender, receiver) = mpsc::channel();
        for (at, shot) in (0..).zip(shots) {
            let due = started + Duration::from_nanos(at * 1_000_000_000 / RATE);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let sender = sender.clone();
            let answered = move |answers: Vec<Result<Recorded, RecordError>>| {
                assert!(answers.iter().all(Result::is_ok), "the shot is recorded");
                // Whoever measures waits for every answer.
                let _ = sender.send(due.elapsed());
            };
            store.submit(vec![shot], Box::new(answered));
        }
        drop(sender);
        for elapsed in receiver {
            times.record(elapsed.as_nanos() as u64).expect("the histogram grows");
        }
        ended.store(true, Ordering::Relaxed);
    });
    rows.into_inner() as f64 / started.elapsed().as_secs_f64()
}

/// Loads one register after another again.
fn load_next(store: &Store, sizes: &Sizes, turn: usize, at: usize) -> u64 {
    let size = sizes[(turn * 101 + at * 7) % sizes.len()];
    load(store, size);
    size.1
}

/// Loads the largest register again.
fn load_city(store: &Store, sizes: &Sizes, _: usize, _: usize) -> u64 {
    let size = *sizes.iter().max_by_key(|(_, count)| *count).expect("there are registers");
    load(store, size);
    size.1
}

/// Changes whether residents are protected, of one register after another: every row differs from the one that is there.
fn change_next(store: &Store, sizes: &Sizes, turn: usize, at: usize) -> u64 {
    let (municipality, count) = sizes[(turn * 101 + at * 7) % sizes.len()];
    let residents = sesshu::generate::residents(SEED, municipality, count).enumerate().take(BATCH_ROWS);
    let changes: Vec<Change> = residents
        .map(|(line, mut resident)| {
            resident.protected ^= turn.is_multiple_of(2);
            Change::row(municipality, row(&resident, line as u64 + 2))
        })
        .collect();
    let answers = store.change(&changes).expect("the key is there");
    assert!(answers.iter().all(Result::is_ok), "every row is changed");
    answers.len() as u64
}
