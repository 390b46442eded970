//! What programs read of loads: files, held loads, and the total.
//!
//! Owns the field names and texts, as `answer` does those of everything else. Tickets are texts of sixteen digits; of a load they are samples, and nothing else of
//! a resident is shown.

use serde::Serialize;
use sesshu_engine::ticket::{Municipality, Ticket};
use sesshu_proto::v1::{HeldRegister, LoadCommitted, LoadOutcome, LoadSamples, LoadSummary};

use crate::answer::time;

/// What a load did, or would do.
#[derive(Debug, Default, Serialize)]
pub struct Effect {
    /// Rows of the register.
    pub accepted: u64,
    /// Rows that were not taken.
    pub rejected: u64,
    /// Of the accepted, tickets that the ledger did not have.
    pub added: u64,
    /// Of the accepted, tickets that it had with other content.
    pub changed: u64,
    /// Of the accepted, tickets that it had with the same content.
    pub unchanged: u64,
    /// Residents whose row was rejected and who stay as they were.
    pub kept: u64,
    /// Residents whom the register no longer has.
    pub removed: u64,
    /// Remarks on rows that were taken.
    pub remarks: u64,
}

impl From<&LoadSummary> for Effect {
    fn from(summary: &LoadSummary) -> Effect {
        let LoadSummary { accepted, rejected, added, changed, unchanged, kept, removed, remarks, .. } = *summary;
        Effect { accepted, rejected, added, changed, unchanged, kept, removed, remarks }
    }
}

/// Some tickets that a load is about.
#[derive(Debug, Serialize)]
pub struct SamplesAnswer {
    /// Of residents who are new.
    pub added: Vec<String>,
    /// Of rows that are others.
    pub changed: Vec<String>,
    /// Of residents whom the register no longer has.
    pub removed: Vec<String>,
}

impl From<LoadSamples> for SamplesAnswer {
    fn from(samples: LoadSamples) -> SamplesAnswer {
        let texts = |tickets: Vec<u64>| {
            tickets.into_iter().filter_map(|ticket| Some(Ticket::from_decimal(ticket).ok()?.to_string())).collect()
        };
        SamplesAnswer { added: texts(samples.added), changed: texts(samples.changed), removed: texts(samples.removed) }
    }
}

/// What `load` says of a file.
#[derive(Debug, Serialize)]
pub struct LoadAnswer {
    /// The file.
    pub file: String,
    /// Six digits.
    pub municipality: String,
    /// `loaded`, `held` or `dry_run`.
    pub outcome: &'static str,
    /// What the load did, or would do.
    #[serde(flatten)]
    pub effect: Effect,
    /// Of a held load: its id.
    pub held: Option<String>,
    /// Of a held load: until when.
    pub expires_at: Option<String>,
    /// Why it is held, or why a dry run would be.
    pub reason: Option<String>,
    /// Of a load that is not visible.
    pub samples: Option<SamplesAnswer>,
}

impl LoadAnswer {
    /// The answer for a file.
    #[must_use]
    pub fn new(file: String, municipality: Municipality, committed: LoadCommitted) -> LoadAnswer {
        let outcome = match committed.outcome() {
            LoadOutcome::Held => "held",
            LoadOutcome::DryRun => "dry_run",
            LoadOutcome::Loaded | LoadOutcome::Unspecified => "loaded",
        };
        let (reason, samples, held, expires_at) = match committed.held {
            Some(held) => (held.reason, held.samples, Some(held.id), Some(time(held.expires_at))),
            None => (committed.reason, committed.samples, None, None),
        };
        LoadAnswer {
            file,
            municipality: municipality.to_string(),
            outcome,
            effect: Effect::from(&committed.summary.unwrap_or_default()),
            held,
            expires_at,
            reason: (!reason.is_empty()).then_some(reason),
            samples: samples.map(SamplesAnswer::from),
        }
    }

    /// Rows that are visible now.
    #[must_use]
    pub fn visible(&self) -> u64 {
        if self.outcome == "loaded" { self.effect.accepted } else { 0 }
    }

    /// Whether it waits for somebody, or would.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.outcome != "loaded" && self.reason.is_some()
    }
}

/// A load that is held, as `load --held` tells of it.
#[derive(Debug, Serialize)]
pub struct HeldAnswer {
    /// Names it.
    pub held: String,
    /// Six digits.
    pub municipality: String,
    /// Since when.
    pub held_at: String,
    /// Until when.
    pub expires_at: String,
    /// Why.
    pub reason: Option<String>,
    /// What confirming it does.
    #[serde(flatten)]
    pub effect: Effect,
    /// Some of the tickets.
    pub samples: SamplesAnswer,
}

impl From<HeldRegister> for HeldAnswer {
    fn from(held: HeldRegister) -> HeldAnswer {
        HeldAnswer {
            held: held.id,
            municipality: format!("{:06}", held.municipality),
            held_at: time(held.held_at),
            expires_at: time(held.expires_at),
            reason: (!held.reason.is_empty()).then_some(held.reason),
            effect: Effect::from(&held.summary.unwrap_or_default()),
            samples: held.samples.unwrap_or_default().into(),
        }
    }
}

/// What `load --confirm` and `load --discard` say.
#[derive(Debug, Serialize)]
pub struct HeldEndedAnswer {
    /// The load.
    pub held: String,
    /// Six digits.
    pub municipality: String,
    /// `loaded` or `discarded`.
    pub outcome: &'static str,
    /// What it did, if it was confirmed.
    #[serde(flatten)]
    pub effect: Option<Effect>,
}

/// What `load` says of a file that was not loaded, if it goes on with others.
#[derive(Debug, Serialize)]
pub struct LoadFailed {
    /// The file.
    pub file: String,
    /// Whose fault it is, as the command's exit code says it: 2 or 3.
    pub exit_code: u8,
    /// Why.
    pub reason: String,
}

/// The last object of `load`.
#[derive(Debug, Serialize)]
pub struct LoadTotal {
    /// Rows that are visible now, in all files.
    pub accepted: u64,
    /// Rows that are not.
    pub rejected: u64,
    /// Remarks on rows that were taken.
    pub remarks: u64,
    /// Loads that wait for somebody, or, of a dry run, would.
    pub held: u64,
    /// How long it took.
    pub seconds: f64,
}
