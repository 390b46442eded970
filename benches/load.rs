//! How many register rows a second become visible? Rows from memory: checked, sealed, indexed, synced, installed. Cities into new ledgers on one thread and on
//! two; a city again into the same ledger; the whole nation in 1,741 loads. Making the rows is not timed.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use sesshu::generate::residents;
use sesshu_benches::{RESIDENTS, SEED, UncheckedRow, check, sizes, unchecked_row};
use sesshu_engine::ticket::Municipality;
use sesshu_engine::{Options, Store};

const CITY: u64 = 300_000;

/// A municipality and its register.
type Register = (Municipality, Vec<UncheckedRow>);

fn loading(criterion: &mut Criterion) {
    let cities: Vec<(Municipality, u64)> =
        Municipality::all().step_by(400).take(4).map(|municipality| (municipality, CITY)).collect();
    let nation = sizes(*RESIDENTS);
    let mut group = criterion.benchmark_group("load");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for (count, threads) in [(1, 1), (2, 2), (4, 2)] {
        group.throughput(Throughput::Elements(CITY * count as u64));
        group.bench_function(format!("cities={count}/rows={CITY}/threads={threads}"), |bencher| {
            let new = || into_new_store(|store| timed(store, &cities[..count], threads));
            bencher.iter_custom(|times| (0..times).map(|_| new()).sum());
        });
    }
    group.throughput(Throughput::Elements(CITY));
    group.bench_function(format!("city-again/rows={CITY}/threads=1"), |bencher| {
        bencher.iter_custom(|times| {
            into_new_store(|store| {
                timed(store, &cities[..1], 1);
                (0..times).map(|_| timed(store, &cities[..1], 1)).sum()
            })
        });
    });
    group.throughput(Throughput::Elements(*RESIDENTS));
    for threads in [1, 2] {
        group.bench_function(format!("nation/rows={}/municipalities=1741/threads={threads}", *RESIDENTS), |bencher| {
            let new = || into_new_store(|store| timed(store, &nation, threads));
            bencher.iter_custom(|times| (0..times).map(|_| new()).sum());
        });
    }
    group.finish();
}

fn into_new_store(work: impl FnOnce(&Store) -> Duration) -> Duration {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the build directory can be written");
    let (store, _) = Store::open(&directory.path().join("store"), Options::default()).expect("a new store opens");
    work(&store)
}

/// Makes the registers, then loads them: each thread takes the next one that is left.
fn timed(store: &Store, sizes: &[(Municipality, u64)], threads: usize) -> Duration {
    let register = |&(municipality, count): &(Municipality, u64)| {
        let rows = residents(SEED, municipality, count).enumerate();
        (municipality, rows.map(|(at, resident)| unchecked_row(&resident, at as u64 + 2)).collect())
    };
    let registers: Mutex<Vec<Register>> = Mutex::new(sizes.iter().map(register).collect());
    let next = || registers.lock().expect("no thread panicked").pop();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(register) = next() {
                    load(store, register)
                }
            });
        }
    });
    started.elapsed()
}

fn load(store: &Store, (municipality, rows): Register) {
    let count = rows.len() as u64;
    let mut load = store.load(municipality).expect("no other load is under way");
    for row in rows {
        load.push(check(row)).expect("a checked row is taken");
    }
    load.commit(Some(count)).expect("the register is loaded");
}

criterion_group!(benches, loading);
criterion_main!(benches);
