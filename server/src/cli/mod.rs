//! The command line: one file a command.
//!
//! Owns the list of commands and what they share: where to work (`target`), which loads wait (`hold`), when ledgers are compacted (`upkeep`), as of when (`known`), how much at a time (`jobs`), how far it has come (`progress`), how a table
//! looks (`table`), who is there (`who`), what a closed standard output means (`results`). Results go to standard output, everything else to standard error.

mod access;
mod across;
mod apply;
mod compact;
mod demo;
mod find;
mod generate;
mod history;
mod hold;
mod jobs;
mod key;
mod known;
mod ledger;
mod load;
mod matching;
mod progress;
mod record;
mod repair;
mod restore;
mod results;
mod rules;
mod sender;
mod serve;
mod shot;
mod snapshot;
mod status;
mod table;
mod target;
mod upkeep;
mod verify;
mod who;

use clap::{Parser, Subcommand};

use crate::failure::{Done, Failure};

/// From an inoculation ticket to its resident, and from a shot to the ledger.
///
/// Exit codes: 0 done; 1 done, with some rows rejected or some tickets not matched; 2 the request is at fault, or a load or an act is held; 3 the store or the machine is at fault, or a store is damaged.
/// Results go to standard output, errors and progress to standard error. SESSHU_LOG sets the log level.
#[derive(Debug, Parser)]
#[command(name = "sesshu", version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Generate(generate::Generate),
    Load(load::Load),
    Apply(apply::Apply),
    Compact(compact::Compact),
    Snapshot(snapshot::Snapshot),
    Restore(restore::Restore),
    Verify(verify::Verify),
    Repair(repair::Repair),
    Match(matching::Match),
    Find(find::Find),
    Access(access::Access),
    Key(key::Key),
    Record(record::Record),
    Shot(shot::Shot),
    History(history::History),
    Rules(rules::Rules),
    Ledger(ledger::Ledger),
    Status(status::Status),
    Serve(serve::Serve),
}

impl Cli {
    /// The level of log lines that suits the command, if nobody asks for another.
    #[must_use]
    pub fn log_level(&self) -> &'static str {
        match self.command {
            Command::Serve(_) => "info",
            _ => "warn",
        }
    }

    /// Runs the command.
    ///
    /// # Errors
    ///
    /// [`Failure`], with its exit code.
    pub fn run(self) -> Result<Done, Failure> {
        match self.command {
            Command::Demo(command) => command.run(),
            Command::Generate(command) => command.run(),
            Command::Load(command) => command.run(),
            Command::Apply(command) => command.run(),
            Command::Compact(command) => command.run(),
            Command::Snapshot(command) => command.run(),
            Command::Restore(command) => command.run(),
            Command::Verify(command) => command.run(),
            Command::Repair(command) => command.run(),
            Command::Match(command) => command.run(),
            Command::Find(command) => command.run(),
            Command::Access(command) => command.run(),
            Command::Key(command) => command.run(),
            Command::Record(command) => command.run(),
            Command::Shot(command) => command.run(),
            Command::History(command) => command.run(),
            Command::Rules(command) => command.run(),
            Command::Ledger(command) => command.run(),
            Command::Status(command) => command.run(),
            Command::Serve(command) => command.run(),
        }
    }
}
