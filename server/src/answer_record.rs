//! What programs read of shots that were recorded: what became of each, and the rules' warnings.
//!
//! Owns the field names and texts, as `answer` does of everything else.

use std::collections::BTreeMap;

use serde::Serialize;
use sesshu_engine::ticket::Ticket;
use sesshu_proto::v1::{RecordOutcome, RecordReply, Warning, WarningKind};

use crate::answer::{ResidentAnswer, date, shot_name, time};

/// What `record` says of a shot.
#[derive(Debug, Serialize)]
pub struct RecordAnswer {
    /// Sixteen digits, behind a P where there was no ticket; for an invalid line the text as it was given.
    pub ticket: String,
    /// `recorded`, `orphan`, `provisional`, `already_recorded` or `invalid`.
    pub outcome: &'static str,
    /// Why, if invalid.
    pub reason: Option<String>,
    /// As `sesshu shot` names the shot that the ticket now holds; null where there is no `shot_id`.
    pub id: Option<String>,
    /// Of the shot that the ticket now holds; null if invalid, except where the capture id is another shot's.
    pub shot_id: Option<u64>,
    /// Of that shot's newest event.
    pub sequence: Option<u64>,
    /// When that shot was recorded: commit time, RFC 3339, UTC.
    pub recorded_at: Option<String>,
    /// What the rules say of it; they refuse nothing.
    pub warnings: Vec<WarningAnswer>,
    /// Whom the ticket matches; null for an orphan, and where `--file` was given.
    pub resident: Option<ResidentAnswer>,
}

/// A warning.
#[derive(Debug, Serialize)]
pub struct WarningAnswer {
    /// The word for it: `dose_already_recorded`, say.
    pub kind: String,
    /// In words.
    pub reason: String,
    /// The other shot, if it is about one.
    pub shot_id: Option<u64>,
    /// Days between both, if there are too few.
    pub days: Option<u32>,
    /// How many there have to be at least.
    pub days_min: Option<u32>,
    /// The rule's name, if it is one of the table's.
    pub rule: Option<String>,
    /// The day that it is about, if there is one.
    pub date: Option<String>,
}

impl WarningAnswer {
    pub(crate) fn new(warning: Warning) -> WarningAnswer {
        let is_interval = warning.kind() == WarningKind::IntervalTooShort;
        WarningAnswer {
            kind: warning_word(warning.kind()),
            reason: warning.reason,
            shot_id: (warning.shot_id > 0).then_some(warning.shot_id),
            days: is_interval.then_some(warning.days),
            days_min: is_interval.then_some(warning.days_min),
            rule: (!warning.rule.is_empty()).then_some(warning.rule),
            date: date(warning.date),
        }
    }
}

/// The word for a kind of warning: its name in the schema.
pub(crate) fn warning_word(kind: WarningKind) -> String {
    kind.as_str_name().trim_start_matches("WARNING_KIND_").to_lowercase()
}

impl RecordAnswer {
    /// The answer for a reply; `given` is the text of the ticket, for one that is invalid.
    #[must_use]
    pub fn new(reply: RecordReply, given: &str) -> RecordAnswer {
        let outcome = match reply.outcome() {
            RecordOutcome::Recorded => "recorded",
            RecordOutcome::Orphan => "orphan",
            RecordOutcome::Provisional => "provisional",
            RecordOutcome::AlreadyRecorded => "already_recorded",
            RecordOutcome::Invalid | RecordOutcome::CaptureIdConflict | RecordOutcome::Unspecified => "invalid",
        };
        let ticket = Ticket::from_decimal(reply.ticket).ok().filter(|_| reply.ticket != 0);
        RecordAnswer {
            ticket: ticket.map_or_else(|| given.to_owned(), |ticket| ticket.to_string()),
            outcome,
            reason: (!reply.reason.is_empty()).then_some(reply.reason),
            id: (reply.shot_id > 0).then(|| shot_name(reply.ticket, reply.shot_id)),
            shot_id: (reply.shot_id > 0).then_some(reply.shot_id),
            sequence: (reply.sequence > 0).then_some(reply.sequence),
            recorded_at: (reply.recorded_at > 0).then(|| time(reply.recorded_at)),
            warnings: reply.warnings.into_iter().map(WarningAnswer::new).collect(),
            resident: ticket.zip(reply.resident).map(|(ticket, resident)| ResidentAnswer::new(ticket, *resident)),
        }
    }
}

/// The last object of `record --file`.
#[derive(Debug, Default, Serialize)]
pub struct RecordSummary {
    /// Shots that became durable now, orphans included.
    pub recorded: u64,
    /// Of them: on tickets that no register has.
    pub orphans: u64,
    /// Of them: for people without a ticket.
    pub provisional: u64,
    /// Shots that the store held already.
    pub already_recorded: u64,
    /// Rows that hold no shot that can be recorded.
    pub invalid: u64,
    /// Shots that became durable now and have warnings.
    pub with_warnings: u64,
    /// How many of them have a warning of each kind.
    pub warnings: BTreeMap<String, u64>,
}
