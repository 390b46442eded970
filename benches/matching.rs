//! How long does one match take? A view is pinned, a ticket looked up, its entry checked; random tickets of the whole nation, warm, one thread.
//!
//! `probe` is the floor: the same number of dependent random reads (an index line, then an entry of three lines) in plain memory of the same size.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sesshu_benches::{Nation, RESIDENTS, SEED, Shots};
use sesshu_engine::Store;
use sesshu_engine::ticket::Ticket;

fn matching(criterion: &mut Criterion) {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut group = criterion.benchmark_group("match");
    group.throughput(Throughput::Elements(1));
    for (name, shots) in [("folded", Shots::Folded), ("tail", Shots::InTail)] {
        let nation = Nation::settle(directory, RESIDENTS, shots);
        group.bench_function(format!("{name}/residents={RESIDENTS}/shots=2"), |bencher| {
            let mut tickets = nation.tickets.iter().cycle();
            bencher.iter(|| one(&nation.store, tickets.next()));
        });
        if shots == Shots::Folded {
            group.bench_function(format!("miss/residents={RESIDENTS}"), |bencher| {
                let mut tickets = nation.strangers.iter().cycle();
                bencher.iter(|| one(&nation.store, tickets.next()));
            });
        }
    }
    group.bench_function(format!("probe/residents={RESIDENTS}"), |bencher| {
        let memory = Memory::of(RESIDENTS);
        let mut next = 1;
        bencher.iter(|| {
            next = memory.read(next);
            next
        });
    });
    group.finish();
}

fn one(store: &Store, ticket: Option<&Ticket>) {
    let ticket = ticket.expect("the nation has residents");
    let view = store.view();
    black_box(view.match_ticket(black_box(*ticket)));
}

/// Plain memory with the footprint of index and entries.
struct Memory {
    lines: Vec<[u64; 8]>,
    entries: Vec<[u64; 24]>,
}

impl Memory {
    fn of(residents: u64) -> Memory {
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        let count = residents as usize;
        let lines = (0..count / 6).map(|_| [random.random_range(0..count as u64); 8]).collect();
        let entries = (0..count).map(|_| [random.random(); 24]).collect();
        Memory { lines, entries }
    }

    /// A line, then the entry that it names; the sum of the entry names nothing of the next, which the caller's mix does.
    fn read(&self, seed: u64) -> u64 {
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let line = &self.lines[((u128::from(mixed) * self.lines.len() as u128) >> 64) as usize];
        let entry = &self.entries[line[(mixed & 7) as usize] as usize];
        // The next read does not wait for this one in a loop of matches either: only the sum is used.
        black_box(entry[0] ^ entry[8] ^ entry[16]);
        seed + 1
    }
}

criterion_group!(benches, matching);
criterion_main!(benches);
