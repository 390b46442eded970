//! How many register rows a second become visible? Checked rows from memory, sealed, indexed, synced, installed: one city into a new ledger and again into the
//! same one, and the whole nation in 1,741 loads.

use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sesshu::generate::residents;
use sesshu_benches::{RESIDENTS, SEED, load, row, sizes};
use sesshu_engine::intake::Row;
use sesshu_engine::ticket::Municipality;
use sesshu_engine::{Options, Store};

const CITY: u64 = 300_000;

fn loading(criterion: &mut Criterion) {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let city = Municipality::from_code(32_018).expect("Morioka");
    let mut group = criterion.benchmark_group("load");
    group.sample_size(10).throughput(Throughput::Elements(CITY));
    group.bench_function(format!("city/rows={CITY}/threads=1"), |bencher| {
        bencher.iter_custom(|times| (0..times).map(|_| in_new_store(directory, |store| load_rows(store, city))).sum());
    });
    group.bench_function(format!("city-again/rows={CITY}/threads=1"), |bencher| {
        bencher.iter_custom(|times| {
            in_new_store(directory, |store| {
                load_rows(store, city);
                (0..times).map(|_| load_rows(store, city)).sum()
            })
        });
    });
    group.throughput(Throughput::Elements(RESIDENTS));
    for threads in [1, 2] {
        group.bench_function(format!("nation/rows={RESIDENTS}/municipalities=1741/threads={threads}"), |bencher| {
            bencher
                .iter_custom(|times| (0..times).map(|_| in_new_store(directory, |store| nation(store, threads))).sum());
        });
    }
    group.finish();
}

fn in_new_store(directory: &Path, work: impl FnOnce(&Store) -> Duration) -> Duration {
    let directory = tempfile::tempdir_in(directory).expect("the build directory can be written");
    let (store, _) = Store::open(&directory.path().join("store"), Options::default()).expect("a new store opens");
    work(&store)
}

/// Loads the city; making the rows is not timed.
fn load_rows(store: &Store, city: Municipality) -> Duration {
    let rows: Vec<Row> =
        residents(SEED, city, CITY).enumerate().map(|(at, resident)| row(&resident, at as u64 + 2)).collect();
    let started = Instant::now();
    let mut load = store.load(city).expect("no other load is under way");
    rows.into_iter().try_for_each(|row| load.push(row)).expect("checked rows are taken");
    load.commit(Some(CITY)).expect("the register is loaded");
    started.elapsed()
}

/// Loads the nation, municipalities shared out between the threads; making the rows is timed.
fn nation(store: &Store, threads: usize) -> Duration {
    let sizes = sizes(RESIDENTS);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let mine = sizes.iter().skip(thread).step_by(threads).copied();
            scope.spawn(move || mine.for_each(|size| load(store, size)));
        }
    });
    started.elapsed()
}

criterion_group!(benches, loading);
criterion_main!(benches);
