//! Breaks every rule of the engine on purpose, one after another, and shows the test that fails by it.
//!
//! Owns the order of a run: build the tests with the faults in them, see each test pass without a fault and fail with it, say so. What is broken, and which
//! test must notice, is in `table`; how a test is run is in `trial`. A fault that no test notices *survives*, and the run fails.

mod table;
mod trial;

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use table::{MUTATIONS, Mutation, Named};
use trial::{Ended, Tests};

/// Switches on one built-in fault after another and shows the test that catches it. Fails if one survives.
#[derive(Parser)]
#[command(name = "mutations")]
struct Arguments {
    /// Only this one; may be repeated.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Print the table of faults, rules and tests, and run nothing.
    #[arg(long)]
    list: bool,
    /// Seeds of the tests that draw random numbers, tried in this order until one catches the fault.
    #[arg(long, value_name = "SEED", default_values_t = [1, 2, 3])]
    seed: Vec<u64>,
    /// A test that runs longer has not caught anything.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        print!("{}", table::markdown());
        return ExitCode::SUCCESS;
    }
    let chosen =
        |mutation: &&Mutation| arguments.only.is_empty() || arguments.only.iter().any(|it| it == mutation.name);
    let chosen: Vec<&Mutation> = MUTATIONS.iter().filter(chosen).collect();
    if let Some(unknown) = arguments.only.iter().find(|name| chosen.iter().all(|mutation| mutation.name != **name)) {
        eprintln!("{unknown} is no mutation: --list names them");
        return ExitCode::FAILURE;
    }
    let begun = Instant::now();
    let tests = match Tests::build(&chosen) {
        Ok(tests) => tests,
        Err(what) => {
            eprintln!("{what}");
            return ExitCode::FAILURE;
        }
    };
    println!("built in {:.0} s; seeds {:?}", begun.elapsed().as_secs_f64(), arguments.seed);
    println!("| mutation | what it breaks | test that caught it | first line of its panic | s |");
    println!("|---|---|---|---|---|");
    let timeout = Duration::from_secs(arguments.timeout);
    let mut run = Run { tests, seeds: arguments.seed, timeout, sound: HashMap::new() };
    let mut survived = Vec::new();
    for mutation in &chosen {
        for &test in mutation.tests {
            let begun = Instant::now();
            let verdict = run.judge(mutation.name, test);
            let seconds = begun.elapsed().as_secs_f64();
            let (said, caught) = verdict.map_or_else(|what| (format!("**{what}**"), false), |panic| (panic, true));
            println!("| `{}` | {} | {test} | {said} | {seconds:.1} |", mutation.name, mutation.breaks);
            if !caught {
                survived.push(mutation.name);
            }
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("\n{} mutations, {} tests, {seconds:.0} s", chosen.len(), run.sound.len());
    if survived.is_empty() {
        println!("every one was caught");
        ExitCode::SUCCESS
    } else {
        println!("not caught: {}", survived.join(", "));
        ExitCode::FAILURE
    }
}

/// A run: the tests, and what they said without a fault.
struct Run {
    tests: Tests,
    seeds: Vec<u64>,
    timeout: Duration,
    sound: HashMap<(Named, u64), Ended>,
}

impl Run {
    /// Whether `test` passes without the fault and fails with it, under one seed after another: the panic's first line, or why the fault was not caught.
    fn judge(&mut self, mutation: &str, test: Named) -> Result<String, String> {
        let (tests, timeout) = (&self.tests, self.timeout);
        for &seed in &self.seeds {
            let sound = self.sound.entry((test, seed)).or_insert_with(|| tests.run(test, seed, None, timeout));
            if *sound != Ended::Passed {
                return Err(format!("without a fault: {sound}"));
            }
            match tests.run(test, seed, Some(mutation), timeout) {
                Ended::Passed => {}
                Ended::Failed(panic) if panic.starts_with("SESSHU_MUTATION=") => return Err(panic),
                Ended::Failed(panic) if seed == self.seeds[0] => return Ok(panic),
                Ended::Failed(panic) => return Ok(format!("{panic} (seed {seed})")),
                ended => return Err(format!("{ended}")),
            }
        }
        Err("survived".into())
    }
}
