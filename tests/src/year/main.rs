//! A year in the shape of the real one: `cargo run --release -p sesshu-tests --bin year -- --residents N`.
//!
//! Plays a vaccination year against a store, with late shots, corrections, registers that are sent again and programs that are killed, then recounts it from
//! what was done and compares every ledger, now and as it was known at every month's end, and the history of every shot. Ends with status 1 at the first thing
//! that is not as it was counted, or that a year must have and this one lacks.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use sesshu_tests::year::Year;

/// Plays a vaccination year against a store and recounts it.
#[derive(Parser)]
struct Arguments {
    /// Residents before the programme begins
    #[arg(long, default_value_t = 1_000_000)]
    residents: u64,
    /// Municipalities, large and small as the real ones; by default all, or one for 200 residents
    #[arg(long)]
    municipalities: Option<usize>,
    /// Everything that is drawn follows from it
    #[arg(long, default_value_t = 20_210_412)]
    seed: u64,
    /// A directory for the store that is not there yet; by default a temporary one
    #[arg(long)]
    store: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Arguments { residents, municipalities, seed, store } = Arguments::parse();
    let municipalities = municipalities.unwrap_or((residents / 200).clamp(1, 1741) as usize);
    let temporary = tempfile::tempdir().expect("a temporary directory");
    let store = store.unwrap_or_else(|| temporary.path().join("store"));
    match (Year { residents, municipalities, seed, store }).play() {
        Ok(summary) => {
            print!("{summary}");
            ExitCode::SUCCESS
        }
        Err(failed) => {
            eprintln!(
                "{failed}\nagain: cargo run --release -p sesshu-tests --bin year -- --residents {residents} --municipalities {municipalities} --seed {seed}"
            );
            ExitCode::FAILURE
        }
    }
}
