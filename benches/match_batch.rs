//! How long does a ticket take in a batch? Random tickets of the whole nation, folded, warm, one thread; throughput counts tickets.
//!
//! `bare` is the floor: prefetching reads of the same lines of the same mapped files (see `src/bare.rs`). Criterion measures each by itself; then all are
//! printed once more, measured in turn, for a ticket.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sesshu_benches::{Alternative, Bare, Nation, RESIDENTS, alternate};
use sesshu_engine::Store;
use sesshu_engine::ticket::Ticket;

const SIZES: [usize; 3] = [16, 64, 1024];

fn match_batch(criterion: &mut Criterion) {
    let residents = *RESIDENTS;
    let nation = Nation::settle(Path::new(env!("CARGO_TARGET_TMPDIR")), residents).with_shots().folded();
    let bare = Bare::of(nation.store.path());
    let mut group = criterion.benchmark_group("match_batch");
    for size in SIZES {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(format!("folded/residents={residents}/shots=2/batch={size}"), |bencher| {
            let mut batches = nation.tickets.chunks_exact(size).cycle();
            bencher.iter(|| batch(&nation.store, batches.next().expect("the nation has residents")));
        });
        group.bench_function(format!("bare/folded/residents={residents}/shots=2/batch={size}"), |bencher| {
            let mut batches = nation.tickets.chunks_exact(size).cycle();
            bencher.iter(|| bare.probe_batch(black_box(batches.next().expect("the nation has residents"))));
        });
    }
    group.finish();
    println!("a ticket, in turn:");
    for size in SIZES {
        let tickets = |at: usize| &nation.tickets[at % (nation.tickets.len() - size)..][..size];
        let matches: Alternative<'_> =
            (format!("match_batch/folded/batch={size}"), Box::new(|at| batch(&nation.store, tickets(at))));
        let probe = |at: usize| {
            black_box(bare.probe_batch(black_box(tickets(at))));
        };
        let probes: Alternative<'_> = (format!("match_batch/bare/folded/batch={size}"), Box::new(probe));
        alternate(size, &mut [matches, probes]);
    }
}

fn batch(store: &Store, tickets: &[Ticket]) {
    let view = store.view();
    view.match_batch(black_box(tickets), |_, found| drop(black_box(found)));
}

criterion_group!(benches, match_batch);
criterion_main!(benches);
