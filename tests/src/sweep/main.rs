//! The whole damage sweep: every byte of every file of a small store, one that was closed and two that were killed.
//!
//! `cargo run --release -p sesshu-tests --bin sweep [-- --store closed]`. It prints how often which harm came to what, and fails if a rule was broken.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::Parser;
use sesshu_tests::sweep::{Choice, Ending, Subject, sweep};

/// Harms every byte of every file of a small store, and judges what it then says.
#[derive(Parser)]
struct Arguments {
    /// How the last program of the store ended; may be given more than once
    #[arg(long = "store", value_enum, default_values_t = [Ending::Closed, Ending::Killed, Ending::KilledIdle])]
    endings: Vec<Ending>,
    /// What the store and the harms are drawn from
    #[arg(long, default_value_t = sesshu_tests::seed())]
    seed: u64,
}

fn main() -> ExitCode {
    let Arguments { endings, seed } = Arguments::parse();
    let choice = Choice { zeros: None, aftermath: 50, seed };
    let mut violations = 0;
    for ending in endings {
        let subject = Subject::new(ending, seed);
        let (begun, told) = (Instant::now(), Mutex::new(Instant::now()));
        let swept = sweep(&subject, &choice, &|done, of| {
            let mut told = told.lock().expect("nobody panics here");
            if told.elapsed() > Duration::from_secs(if std::io::stderr().is_terminal() { 1 } else { 30 }) {
                *told = Instant::now();
                eprintln!("{}: {done} of {of} harms, {:.0} s", subject.name(), begun.elapsed().as_secs_f64());
            }
        });
        let (total, seconds) = (swept.table.total(), begun.elapsed().as_secs_f64());
        println!(
            "\nA store that was {}, seed {seed}: {total} harms in {seconds:.0} s\n\n{}",
            subject.name(),
            swept.table
        );
        for violation in swept.violations.iter().take(50) {
            println!("broken: {violation}");
        }
        violations += swept.violations.len();
        std::io::stdout().flush().expect("somebody reads");
    }
    println!("{violations} harms broke a rule");
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
