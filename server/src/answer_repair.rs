//! What programs read of a repair.
//!
//! Owns the field names and texts, as `answer` does of everything else.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sesshu_engine::{Loss, Repaired};

use crate::answer::{ticket_name, time};

/// Something that is gone.
#[derive(Debug, Default, Serialize)]
pub struct LossAnswer {
    /// `event`, `access`, `person`, `shots`, `people`, `senders` or `held`.
    pub lost: &'static str,
    /// Of an event or an entry of the access log.
    pub sequence: Option<u64>,
    /// Sixteen digits, where somebody knows.
    pub ticket: Option<String>,
    /// When it was committed, about.
    pub time: Option<String>,
    /// Six digits.
    pub municipality: Option<String>,
    /// Of people whom nobody can name.
    pub count: Option<u64>,
    /// The id of a held load.
    pub held: Option<String>,
}

impl From<&Loss> for LossAnswer {
    fn from(loss: &Loss) -> LossAnswer {
        let name = |ticket: sesshu_engine::ticket::Ticket| ticket_name(ticket.to_decimal());
        match *loss {
            Loss::Event { sequence, ticket, time_ms } => LossAnswer {
                lost: "event",
                sequence: Some(sequence),
                ticket: ticket.map(name),
                time: Some(time(time_ms)),
                municipality: ticket.map(|ticket| ticket.municipality().to_string()),
                ..LossAnswer::default()
            },
            Loss::Access { sequence, time_ms } => LossAnswer {
                lost: "access",
                sequence: Some(sequence),
                time: Some(time(time_ms)),
                ..LossAnswer::default()
            },
            Loss::Person { ticket } | Loss::Shots { ticket } => LossAnswer {
                lost: if matches!(loss, Loss::Person { .. }) { "person" } else { "shots" },
                ticket: Some(name(ticket)),
                municipality: Some(ticket.municipality().to_string()),
                ..LossAnswer::default()
            },
            Loss::People { municipality, count } => LossAnswer {
                lost: "people",
                municipality: Some(municipality.to_string()),
                count,
                ..LossAnswer::default()
            },
            Loss::Senders { municipality } => {
                LossAnswer { lost: "senders", municipality: Some(municipality.to_string()), ..LossAnswer::default() }
            }
            Loss::Held { id } => LossAnswer {
                lost: "held",
                municipality: Some(id.municipality().to_string()),
                held: Some(id.to_string()),
                ..LossAnswer::default()
            },
            _ => LossAnswer { lost: "something", ..LossAnswer::default() },
        }
    }
}

/// What a repair came to.
#[derive(Debug, Serialize)]
pub struct RepairAnswer {
    /// Files that were made again from what is whole.
    pub made_again: Vec<String>,
    /// Files that were taken from the snapshot, wholly or in part.
    pub replaced: Vec<String>,
    /// How many things are gone.
    pub lost: usize,
    /// Where they are listed.
    pub report: Option<String>,
    /// How many findings are left.
    pub left: usize,
}

impl RepairAnswer {
    /// Of a repair whose losses are listed in a file.
    #[must_use]
    pub fn new(repaired: &Repaired, report: Option<&Path>) -> RepairAnswer {
        let names = |files: &[PathBuf]| files.iter().map(|file| file.display().to_string()).collect();
        RepairAnswer {
            made_again: names(&repaired.made_again),
            replaced: names(&repaired.replaced),
            lost: repaired.lost.len(),
            report: report.map(|report| report.display().to_string()),
            left: repaired.left.len(),
        }
    }
}
