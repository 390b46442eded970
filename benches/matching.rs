//! How long does one match take? A view is pinned, a ticket looked up, its entry checked; random tickets of the whole nation, warm, one thread: with both shots
//! folded, with both still in the tail, and of tickets that do not exist.
//!
//! `bare` is the floor: the same dependent reads of the same mapped files (see `src/bare.rs`). In a loop the processor overlaps several bare probes, since
//! none waits for the one before, and hardly two matches, which are longer; a call by itself overlaps with nothing. So both are printed: criterion's
//! loops, then all alternatives in turn, in loops and one by one.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sesshu_benches::{Alternative, Bare, Nation, RESIDENTS, alternate, alternate_singles};
use sesshu_engine::Store;
use sesshu_engine::ticket::Ticket;

fn matching(criterion: &mut Criterion) {
    let residents = *RESIDENTS;
    let nation = Nation::settle(Path::new(env!("CARGO_TARGET_TMPDIR")), residents).with_shots();
    let mut group = criterion.benchmark_group("match");
    group.throughput(Throughput::Elements(1));

    let tail = format!("tail/residents={residents}/shots=2");
    group.bench_function(&tail, |bencher| {
        let mut tickets = nation.tickets.iter().cycle();
        bencher.iter(|| one(&nation.store, tickets.next()));
    });
    in_turn(|| vec![matches(&tail, &nation.store, &nation.tickets)]);

    let nation = nation.folded();
    let bare = Bare::of(nation.store.path());
    let folded = format!("folded/residents={residents}/shots=2");
    let miss = format!("miss/residents={residents}");
    for (name, tickets) in [(&folded, &nation.tickets), (&miss, &nation.strangers)] {
        group.bench_function(name, |bencher| {
            let mut tickets = tickets.iter().cycle();
            bencher.iter(|| one(&nation.store, tickets.next()));
        });
        group.bench_function(format!("bare/{name}"), |bencher| {
            let mut tickets = tickets.iter().cycle();
            bencher.iter(|| bare.probe(*black_box(tickets.next().expect("the nation has residents"))));
        });
    }
    in_turn(|| {
        vec![
            matches(&folded, &nation.store, &nation.tickets),
            probes(&folded, &bare, &nation.tickets),
            matches(&miss, &nation.store, &nation.strangers),
            probes(&miss, &bare, &nation.strangers),
        ]
    });
    group.finish();
}

/// Prints the alternatives, measured in turn.
fn in_turn<'a>(alternatives: impl Fn() -> Vec<Alternative<'a>>) {
    println!("in loops, in turn:");
    alternate(1, &mut alternatives());
    println!("one by one, in turn:");
    alternate_singles(&mut alternatives());
}

fn matches<'a>(name: &str, store: &'a Store, tickets: &'a [Ticket]) -> Alternative<'a> {
    (format!("match/{name}"), Box::new(|at| one(store, tickets.get(at % tickets.len()))))
}

fn probes<'a>(name: &str, bare: &'a Bare, tickets: &'a [Ticket]) -> Alternative<'a> {
    let probe = |at: usize| {
        black_box(bare.probe(black_box(tickets[at % tickets.len()])));
    };
    (format!("match/bare/{name}"), Box::new(probe))
}

#[inline]
fn one(store: &Store, ticket: Option<&Ticket>) {
    let ticket = ticket.expect("the nation has residents");
    let view = store.view();
    black_box(view.match_ticket(black_box(*ticket)));
}

criterion_group!(benches, matching);
criterion_main!(benches);
