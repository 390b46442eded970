//! Whatever is done in whatever order, and wherever programs end, the power fails or the disk does: a store holds what a plain model holds (I1–I10).
//!
//! The part of the simulation that runs always. The long one is `cargo run --release -p sesshu-tests --bin simulate -- --seeds N`.

use std::time::{Duration, Instant};

use sesshu_tests::seed;
use sesshu_tests::simulation::crash_points::{crash_everywhere, crash_in_every_recovery};
use sesshu_tests::simulation::workload::Workload;
use sesshu_tests::simulation::{Failed, Ran, run_twice, shrink};

fn fail(workload: &Workload, failed: Failed) -> ! {
    println!("{failed}");
    let (workload, failed) = shrink(workload, failed, Duration::from_secs(30));
    panic!("{failed}\nthe smallest workload that fails so: {workload:#?}");
}

#[test]
fn a_simulated_store_holds_what_a_model_holds() {
    // Always the same ones, and new ones each time.
    let drawn = seed();
    let (begun, mut sum) = (Instant::now(), Ran::default());
    for seed in (0..500).chain((0..150).map(|index| drawn.wrapping_add(index))) {
        let workload = Workload::draw(seed);
        match run_twice(&workload) {
            Ok(ran) => sum.add(&ran),
            Err(failed) => {
                println!("seed {seed}");
                fail(&workload, failed);
            }
        }
    }
    println!("650 seeds, twice each, in {:?}\n{sum}", begun.elapsed());
    let reached = [sum.recorded, sum.installed, sum.compacted, sum.trimmed, sum.stopped, sum.ended_recoveries];
    let reached = [&reached[..], &[sum.torn, sum.restored, sum.doubts_present, sum.doubts_absent]].concat();
    assert!(reached.iter().all(|&count| count > 10), "every kind of thing came to happen: {sum}");
    assert!(sum.held > 50 && sum.confirmed > 10, "{sum}");
    let Ran { amended, reassigned, returned, held_writes, held_again, settled, stale, unchanged, unknown, .. } = sum;
    let Ran { linked, other_person, .. } = sum;
    let became = [
        amended,
        reassigned,
        returned,
        held_writes,
        held_again,
        settled,
        stale,
        unchanged,
        unknown,
        linked,
        other_person,
    ];
    assert!(became.iter().all(|&count| count > 10), "everything became of shots: {sum}");
    assert!(sum.changed > 10 && sum.by_left_ticket > 10 && sum.by_other_ticket > 10, "{sum}");
    assert!(sum.moves_in_doubt > 0, "{sum}");
    assert!(sum.verified > 100 && sum.findings > 10 && sum.repaired > 10 && sum.given_up > 0, "{sum}");
    assert!(sum.no_room > 5 && sum.refused > 5 && sum.rebuilt > 0, "{sum}");
}

#[test]
fn every_operation_of_a_small_workload_is_a_crash_point() {
    let drawn = seed();
    let (begun, mut sum, mut all) = (Instant::now(), Ran::default(), 0);
    for seed in (1..10).chain([drawn]) {
        let workload = Workload::draw_small(seed);
        match crash_everywhere(&workload) {
            Ok((runs, ran)) => {
                all += runs;
                sum.add(&ran);
            }
            Err(failed) => fail(&failed.0, failed.1),
        }
    }
    println!("{all} runs in {:?}\n{sum}", begun.elapsed());
    assert!(all > 1000, "{all}");
    let Ran { amended, reassigned, held_writes, moves_in_doubt, .. } = sum;
    let became = [amended, reassigned, held_writes, moves_in_doubt];
    assert!(became.iter().all(|&count| count > 0), "shots were set right on the way: {sum}");
}

#[test]
fn every_operation_of_a_recovery_is_a_crash_point() {
    let drawn = seed();
    let (begun, mut sum, mut all) = (Instant::now(), Ran::default(), 0);
    for seed in (11..15).chain([drawn]) {
        let workload = Workload::draw_small(seed);
        match crash_in_every_recovery(&workload, 3) {
            Ok((runs, ran)) => {
                all += runs;
                sum.add(&ran);
            }
            Err(failed) => fail(&failed.0, failed.1),
        }
    }
    println!("{all} runs in {:?}\n{sum}", begun.elapsed());
    assert!(all > 1000, "{all}");
}
