//! `sesshu status`: what a store holds.

use std::io::Write as _;

use clap::Args;

use super::table;
use super::target::Target;
use crate::answer;
use crate::answer_status::StatusAnswer;
use crate::failure::{Done, Failure};

/// Show what a store holds, and whether it takes writes
#[derive(Debug, Args)]
pub(super) struct Status {
    #[command(flatten)]
    target: Target,
    /// One object
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let backend = self.target.open(false)?;
        let status = backend.status()?;
        backend.close()?;
        if self.json {
            answer::write_line(&mut std::io::stdout(), &StatusAnswer::from(status))?;
            return Ok(Done::Whole);
        }
        let writable = if status.writable { "yes".to_owned() } else { format!("no: {}", status.not_writable_reason) };
        let opened = match status.torn_bytes {
            0 => status.opened,
            torn => format!("{}, {torn} bytes cut", status.opened),
        };
        let snapshots = match (status.snapshots.first(), status.snapshots.last()) {
            (Some(oldest), Some(newest)) => {
                let (count, from, to) = (status.snapshots.len(), oldest.first_time, newest.last_time);
                format!(
                    "{count}, of {} to {} ({} to {})",
                    answer::time(from),
                    answer::time(to),
                    oldest.name,
                    newest.name
                )
            }
            _ => "none".to_owned(),
        };
        let last = |at_ms: u64, none: &str| if at_ms == 0 { none.to_owned() } else { answer::time(at_ms) };
        let compacted = match &status.compaction {
            Some(ledger) => format!("{} of {:06}", answer::time(status.compacted_at), ledger.municipality),
            None => "none since it was opened".to_owned(),
        };
        let verified = match (&status.verified, &status.verifying) {
            (_, Some(now)) => format!("{} of {} now", table::bytes(now.bytes), table::bytes(now.bytes_expected)),
            (Some(verified), None) if verified.findings == 0 => format!("{}, whole", answer::time(status.verified_at)),
            (Some(verified), None) => {
                format!("{}, {} findings", answer::time(status.verified_at), table::count(verified.findings))
            }
            (None, None) => "not since it was opened".to_owned(),
        };
        let rows = [
            ("store", status.store_id),
            ("format version", status.format_version.to_string()),
            ("opened", opened),
            ("takes writes", writable),
            ("sequence", table::count(status.sequence)),
            ("ledgers", table::count(status.ledgers)),
            ("residents", table::count(status.residents)),
            ("orphans", table::count(status.orphans)),
            ("shots", table::count(status.shots)),
            ("tickets in tails", table::count(status.tail_tickets)),
            (
                "generations",
                format!("{} in {}", table::bytes(status.generation_bytes), table::count(status.generations)),
            ),
            ("log", format!("{} in {} segments", table::bytes(status.log_bytes), status.log_segments)),
            ("log written", table::bytes(status.log_written_bytes)),
            ("log read by an open", table::bytes(status.log_to_read_bytes)),
            ("checkpoint", last(status.checkpoint_time, "none")),
            ("compacted", compacted),
            ("verified", verified),
            ("snapshots", snapshots),
            ("left on the disk", table::bytes(status.available_bytes)),
        ];
        writeln!(std::io::stdout(), "{}", table::pairs(rows))?;
        for finding in status.findings {
            writeln!(std::io::stdout(), "  {}", super::verify::line(finding))?;
        }
        Ok(Done::Whole)
    }
}
