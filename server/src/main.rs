//! The binary `sesshu`: reads the command line, runs one command, says how it ended.

use std::process::ExitCode;

use clap::Parser as _;
use sesshu::cli::Cli;
use sesshu::telemetry;

fn main() -> ExitCode {
    let cli = Cli::parse();
    telemetry::start(cli.log_level());
    match cli.run() {
        Ok(done) => done.into(),
        // The reader of our output has read enough (`sesshu ledger … | head`): nothing went wrong.
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("sesshu: {}", failure.chain());
            ExitCode::from(failure.exit_code())
        }
    }
}
