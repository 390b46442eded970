//! How long until a shot is durable, and how many a second? One caller, 64 callers that each wait, 1,024 shots in flight; beside one write and `fdatasync`
//! of as many bytes in a file that was written before.

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sesshu_benches::{Nation, RESIDENTS, Supply};
use sesshu_engine::Store;
use sesshu_engine::intake::ShotRecord;

/// Shots that are made at a time.
const ROUND_SHOTS: u64 = 16 << 10;

fn record(criterion: &mut Criterion) {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let nation = Nation::settle(directory, *RESIDENTS);
    let (store, mut supply, residents) = (&nation.store, Supply::of(&nation), *RESIDENTS);
    let mut group = criterion.benchmark_group("record");
    group.sample_size(20).throughput(Throughput::Elements(1));
    group.bench_function("bare-fdatasync/bytes=208", |bencher| {
        let file = tempfile::tempfile_in(directory).expect("the build directory can be written");
        file.write_all_at(&vec![0; 64 << 20], 0).and_then(|()| file.sync_all()).expect("a file of zeros");
        let mut at = 0;
        bencher.iter(|| {
            file.write_all_at(&[1; 208], at).and_then(|()| file.sync_data()).expect("the disk writes");
            at = (at + 208) % (63 << 20);
        });
    });
    group.bench_function(format!("callers=1/residents={residents}"), |bencher| {
        bencher.iter_custom(|times| timed(supply.take(times), |shots| one_by_one(store, shots)));
    });
    group.bench_function(format!("callers=64/residents={residents}"), |bencher| {
        bencher.iter_custom(|times| {
            timed(supply.take(times), |mut shots| {
                let part = shots.len().div_ceil(64).max(1);
                std::thread::scope(|scope| {
                    while !shots.is_empty() {
                        let shots = shots.split_off(shots.len().saturating_sub(part));
                        scope.spawn(move || one_by_one(store, shots));
                    }
                });
            })
        });
    });
    group.bench_function(format!("in-flight=1024/residents={residents}"), |bencher| {
        // In rounds, so that a shot is in the caches when it is handed in, as one is that has just arrived.
        bencher.iter_custom(|times| {
            let rounds = (0..times).step_by(ROUND_SHOTS as usize).map(|from| (times - from).min(ROUND_SHOTS));
            rounds.map(|count| timed(supply.take(count), |shots| in_flight(store, shots, 1024))).sum()
        });
    });
    group.finish();
}

fn timed(shots: Vec<ShotRecord>, work: impl FnOnce(Vec<ShotRecord>)) -> Duration {
    let started = Instant::now();
    work(shots);
    started.elapsed()
}

fn one_by_one(store: &Store, shots: Vec<ShotRecord>) {
    for shot in shots {
        store.record(shot).expect("the shot is recorded");
    }
}

/// Keeps `depth` shots on their way, each handed in alone.
fn in_flight(store: &Store, shots: Vec<ShotRecord>, depth: usize) {
    let (sender, receiver) = mpsc::channel();
    let mut waiting = 0;
    let settle = |waiting: &mut usize, most: usize| {
        while *waiting > most {
            receiver.recv().expect("every shot is answered");
            *waiting -= 1;
        }
    };
    for shot in shots {
        settle(&mut waiting, depth - 1);
        let sender = sender.clone();
        store.submit(
            vec![shot],
            Box::new(move |answers| {
                assert!(answers.iter().all(Result::is_ok), "the shot is recorded");
                // The bench waits for every answer, so the receiver is there.
                let _ = sender.send(());
            }),
        );
        waiting += 1;
    }
    settle(&mut waiting, 0);
}

criterion_group!(benches, record);
criterion_main!(benches);
