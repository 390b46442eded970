//! The long simulation: `cargo run --release -p sesshu-tests --bin simulate -- --seeds N [--first S]`.
//!
//! Runs every seed from S on twice, on all cores, and compares. Ends with status 1 after the first seed that fails, and prints it with the smallest workload
//! that fails the same way. `--crashes` runs each seed's small workload instead, ended after every single operation, in every recovery too.

use std::num::NonZero;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use sesshu_tests::simulation::crash_points::{crash_everywhere, crash_in_every_recovery};
use sesshu_tests::simulation::workload::Workload;
use sesshu_tests::simulation::{Failed, Ran, run_twice, shrink};

/// Runs seeds of the simulation, each twice, and compares.
#[derive(Parser)]
struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// End each seed's small workload after every single operation, in every recovery too
    #[arg(long)]
    crashes: bool,
    /// Go on after a seed that failed
    #[arg(long)]
    all: bool,
    /// Threads; by default one a core
    #[arg(long)]
    jobs: Option<NonZero<usize>>,
}

/// Runs one seed. Returns how many runs that were.
fn run_seed(seed: u64, crashes: bool) -> Result<(u64, Ran), (Workload, Failed)> {
    if !crashes {
        let workload = Workload::draw(seed);
        return match run_twice(&workload) {
            Ok(ran) => Ok((2, ran)),
            Err(failed) => Err((workload, failed)),
        };
    }
    let workload = Workload::draw_small(seed);
    let (runs, mut ran) = crash_everywhere(&workload).map_err(|failed| *failed)?;
    let (more, also) = crash_in_every_recovery(&workload, 1).map_err(|failed| *failed)?;
    ran.add(&also);
    Ok((runs + more, ran))
}

fn report(seed: u64, crashes: bool, workload: &Workload, failed: Failed) {
    eprintln!("seed {seed} failed: {failed}\nshrinking");
    let (workload, failed) = shrink(workload, failed, Duration::from_secs(60));
    eprintln!("the smallest workload that fails the same way: {workload:#?}\nit fails at {failed}");
    let crashes = if crashes { " --crashes" } else { "" };
    eprintln!(
        "seed {seed} again: cargo run --release -p sesshu-tests --bin simulate -- --seeds 1 --first {seed}{crashes}"
    );
}

fn main() -> ExitCode {
    let Arguments { seeds, first, crashes, all, jobs } = Arguments::parse();
    let jobs = jobs.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZero::get);
    let begun = Instant::now();
    let next = AtomicU64::new(first);
    let sum = Mutex::new((0, 0, Ran::default()));
    let failures = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while all || failures.load(Ordering::Relaxed) == 0 {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    match run_seed(seed, crashes) {
                        Err((workload, failed)) => {
                            failures.fetch_add(1, Ordering::Relaxed);
                            report(seed, crashes, &workload, failed);
                        }
                        Ok((runs, ran)) => {
                            let mut sum = sum.lock().expect("nobody panics with it");
                            sum.0 += 1;
                            sum.1 += runs;
                            sum.2.add(&ran);
                        }
                    }
                }
            });
        }
    });
    let (clean, runs, ran) = sum.into_inner().expect("nobody panics with it");
    let seconds = begun.elapsed().as_secs_f64();
    let failures = failures.into_inner();
    println!("{clean} seeds clean from {first} on, {failures} failed; {runs} runs in {seconds:.1} s");
    println!("{ran}");
    if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
