//! `sesshu history`: everything that was ever known of a person.

use std::io::{BufWriter, Write as _};

use clap::Args;
use sesshu_engine::ticket::Ticket;

use super::shot::{history, ticket};
use super::target::Target;
use crate::answer;
use crate::answer_shot::{PersonHistoryAnswer, RowAnswer};
use crate::failure::{Done, Failure};

/// Show every row that a person's tickets ever had, and what became of each of their shots
#[derive(Debug, Args)]
pub(super) struct History {
    #[command(flatten)]
    target: Target,
    /// One of the person's tickets, or a line of it
    #[arg(value_name = "TICKET", value_parser = ticket)]
    ticket: Ticket,
    /// One object
    #[arg(long)]
    json: bool,
}

impl History {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let backend = self.target.open(false)?;
        let reply = backend.person_history(self.ticket)?;
        backend.close()?;
        let mut out = BufWriter::new(std::io::stdout().lock());
        if self.json {
            answer::write_line(&mut out, &PersonHistoryAnswer::new(reply))?;
        } else {
            for version in reply.rows {
                let RowAnswer { ticket, known_since, known_since_time, resident, who, reason } =
                    RowAnswer::new(version);
                let resident = resident.map(|resident| resident.in_words()).unwrap_or_default();
                let by = if who.is_empty() { String::new() } else { format!("  by {who}") };
                let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
                writeln!(out, "{ticket}  row {known_since}  {known_since_time}  {resident}{by}{why}")?;
            }
            for shot in reply.shots {
                history::write(&mut out, shot)?;
            }
        }
        out.flush()?;
        Ok(Done::Whole)
    }
}
