//! Alternatives measured in turn, so that what else the machine does meets all of them alike.
//!
//! Owns the two ways in which the benches compare: the mean of short blocks, one alternative after another, round by round; and calls that are timed one by
//! one. Prints a line each: `name  minimum  median` of the rounds' means, `name  p50  p90  p99` of the calls.

use std::time::Instant;

use hdrhistogram::Histogram;

/// A name, and what is done for the `n`th item.
pub type Alternative<'a> = (String, Box<dyn FnMut(usize) + 'a>);

/// Items in a block, and rounds of blocks.
const BLOCK: usize = 10_000;
const ROUNDS: usize = 100;

/// Calls of each alternative that are timed one by one.
const SINGLES: usize = 200_000;

/// Runs the alternatives in turn, each on items that were not used before, and prints what an item took: `step` items a call.
pub fn alternate(step: usize, alternatives: &mut [Alternative<'_>]) {
    let mut nanoseconds = vec![Vec::with_capacity(ROUNDS); alternatives.len()];
    let mut item = 0;
    for _ in 0..ROUNDS {
        for ((_, call), times) in alternatives.iter_mut().zip(&mut nanoseconds) {
            let calls = (BLOCK / step).max(1);
            let started = Instant::now();
            for _ in 0..calls {
                call(item);
                item += step;
            }
            times.push(started.elapsed().as_nanos() as f64 / (calls * step) as f64);
        }
    }
    for ((name, _), times) in alternatives.iter().zip(&mut nanoseconds) {
        times.sort_by(f64::total_cmp);
        println!("{name:<70} minimum {:>7.1} ns   median {:>7.1} ns", times[0], times[ROUNDS / 2]);
    }
}

/// Times calls of the alternatives one by one, in blocks taken in turn, less what the clock takes (the median of as many empty calls).
pub fn alternate_singles(alternatives: &mut [Alternative<'_>]) {
    alternate_few(SINGLES, BLOCK, alternatives);
}

/// As [`alternate_singles`], with so many calls in blocks of so many, for what takes long.
pub fn alternate_few(calls: usize, block: usize, alternatives: &mut [Alternative<'_>]) {
    let clock = histogram(|times| (0..SINGLES).for_each(|_| timed(times, 0, || {})));
    let clock = clock.value_at_quantile(0.5);
    let mut histograms = vec![histogram(|_| {}); alternatives.len()];
    let mut item = 0;
    for _ in 0..calls / block {
        for ((_, call), times) in alternatives.iter_mut().zip(&mut histograms) {
            for _ in 0..block {
                timed(times, clock, || call(item));
                item += 1;
            }
        }
    }
    for ((name, _), times) in alternatives.iter().zip(&histograms) {
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|quantile| times.value_at_quantile(quantile));
        println!("{name:<70} p50 {p50:>5} ns   p90 {p90:>5} ns   p99 {p99:>5} ns   (clock: {clock} ns)");
    }
}

fn histogram(fill: impl FnOnce(&mut Histogram<u64>)) -> Histogram<u64> {
    let mut histogram = Histogram::new(3).expect("three digits are allowed");
    fill(&mut histogram);
    histogram
}

#[inline]
fn timed(times: &mut Histogram<u64>, clock: u64, call: impl FnOnce()) {
    let started = Instant::now();
    call();
    let elapsed = started.elapsed().as_nanos() as u64;
    times.record(elapsed.saturating_sub(clock)).expect("the histogram grows");
}
