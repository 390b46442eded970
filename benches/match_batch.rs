//! How long does a ticket take in a batch? Random tickets of the whole nation, warm, one thread; the time is that of a ticket, not of a batch.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sesshu_benches::{Nation, RESIDENTS, Shots};

fn match_batch(criterion: &mut Criterion) {
    let nation = Nation::settle(Path::new(env!("CARGO_TARGET_TMPDIR")), RESIDENTS, Shots::Folded);
    let mut group = criterion.benchmark_group("match_batch");
    for size in [16_usize, 64, 1024] {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(format!("folded/residents={RESIDENTS}/shots=2/batch={size}"), |bencher| {
            let mut batches = nation.tickets.chunks_exact(size).cycle();
            bencher.iter(|| {
                let tickets = batches.next().expect("the nation has residents");
                let view = nation.store.view();
                view.match_batch(black_box(tickets), |_, found| drop(black_box(found)));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, match_batch);
criterion_main!(benches);
