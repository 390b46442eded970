//! What programs read of acts on recorded shots, and of what became of a shot.
//!
//! Owns the field names and texts, as `answer` does of everything else.

use serde::Serialize;
use sesshu_engine::ticket::Ticket;
use sesshu_proto::v1::{
    AmendOutcome, AmendReply, Authority, EventKind, HistoryReply, PastEvent, RecordedShot, RowVersion,
    TicketHistoryReply,
};

use crate::amend::authority_word;
use crate::answer::{ResidentAnswer, ShotAnswer, shot_name, ticket_name, time};

/// What `shot correct`, `shot void` and the others say of a shot.
#[derive(Debug, Serialize)]
pub struct AmendAnswer {
    /// As it was asked for.
    pub id: String,
    /// `amended`, `unchanged`, `held`, `stale`, `unknown` or `invalid`.
    pub outcome: String,
    /// Why, if it is not done.
    pub reason: Option<String>,
    /// The event that did it, or in which it is held; the shot's newest, if nothing was added; null in a dry run.
    pub sequence: Option<u64>,
    /// As it is now, under the ticket that has it; in a dry run, as it would be.
    pub shot: Option<ShotAnswer>,
}

impl AmendAnswer {
    /// The answer for a reply; `id` names the shot as it was asked for.
    #[must_use]
    pub fn new(id: String, reply: AmendReply) -> AmendAnswer {
        AmendAnswer {
            id,
            outcome: outcome_word(reply.outcome()),
            reason: (!reply.reason.is_empty()).then_some(reply.reason),
            sequence: (reply.sequence != 0).then_some(reply.sequence),
            shot: shot_on(reply.ticket, reply.shot),
        }
    }
}

/// The word for an outcome: its name in the schema.
fn outcome_word(outcome: AmendOutcome) -> String {
    outcome.as_str_name().trim_start_matches("AMEND_OUTCOME_").to_lowercase()
}

fn shot_on(ticket: u64, shot: Option<RecordedShot>) -> Option<ShotAnswer> {
    let ticket = Ticket::from_decimal(ticket).ok()?;
    shot.map(|shot| ShotAnswer::new(ticket, shot))
}

/// The last object of an act on several shots.
#[derive(Debug, Default, Serialize)]
pub struct AmendSummary {
    /// Nothing was done: it says what would become of each.
    pub dry_run: bool,
    /// The name that the history has of the act; null for none.
    pub batch: Option<String>,
    /// Shots that it was done with.
    pub amended: u64,
    /// Shots with which it was so before.
    pub unchanged: u64,
    /// Shots that are confirmed at a higher level: the act waits for a decision.
    pub held: u64,
    /// Shots that changed meanwhile.
    pub stale: u64,
    /// Shots that the ticket never had, or held writes that the shot never had.
    pub unknown: u64,
    /// Acts that cannot be done.
    pub invalid: u64,
}

impl AmendSummary {
    /// Counts a reply.
    pub fn count(&mut self, reply: &AmendReply) {
        *match reply.outcome() {
            AmendOutcome::Amended => &mut self.amended,
            AmendOutcome::Unchanged => &mut self.unchanged,
            AmendOutcome::Held => &mut self.held,
            AmendOutcome::Stale => &mut self.stale,
            AmendOutcome::Unknown => &mut self.unknown,
            AmendOutcome::Invalid | AmendOutcome::Unspecified => &mut self.invalid,
        } += 1;
    }

    /// How many were not done and do not wait.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.stale + self.unknown + self.invalid
    }
}

/// What `shot history` says.
#[derive(Debug, Serialize)]
pub struct HistoryAnswer {
    /// By the ticket that has the shot now.
    pub id: String,
    /// As it is now.
    pub shot: Option<ShotAnswer>,
    /// Oldest first.
    pub events: Vec<EventAnswer>,
}

/// Something that happened to a shot.
#[derive(Debug, Serialize)]
pub struct EventAnswer {
    /// The event.
    pub sequence: u64,
    /// RFC 3339, UTC.
    pub time: String,
    /// `recorded`, `corrected`, `voided`, `reassigned`, `confirmed`, `unlocked` or `reinstated`.
    pub event: String,
    /// The ticket that had the shot before, sixteen digits.
    pub ticket: String,
    /// Of a reassignment: the ticket that has it from here on.
    pub to_ticket: Option<String>,
    /// Who did it.
    pub who: String,
    /// Why; empty if nobody said.
    pub reason: String,
    /// `terminal`, `municipality_upload`, `municipality_staff` or `national`; null for the record itself.
    pub authority: Option<String>,
    /// The name of an act on many shots, if it was one.
    pub batch: Option<String>,
    /// It changed nothing: the shot was confirmed at a higher level.
    pub held: bool,
    /// The event that settled it, if it is held and settled.
    pub settled_by: Option<u64>,
    /// Of a record and a correction: what the shot is from here on, or would be.
    pub shot: Option<ShotAnswer>,
}

impl HistoryAnswer {
    /// The answer for a reply.
    #[must_use]
    pub fn new(reply: HistoryReply) -> HistoryAnswer {
        let shot_id = reply.shot.as_ref().map_or(0, |shot| shot.shot_id);
        let event = |event| EventAnswer::new(event, reply.shot.as_ref());
        HistoryAnswer {
            id: shot_name(reply.ticket, shot_id),
            events: reply.events.into_iter().map(event).collect(),
            shot: shot_on(reply.ticket, reply.shot.clone()),
        }
    }
}

/// What `history` says.
#[derive(Debug, Serialize)]
pub struct PersonHistoryAnswer {
    /// In the order in which they became known.
    pub rows: Vec<RowAnswer>,
    /// In the order in which they were recorded.
    pub shots: Vec<HistoryAnswer>,
}

/// A row that a ticket had, or has.
#[derive(Debug, Serialize)]
pub struct RowAnswer {
    /// Sixteen digits.
    pub ticket: String,
    /// The event since which it is known.
    pub known_since: u64,
    /// RFC 3339, UTC.
    pub known_since_time: String,
    /// Who sent it, and why, as they said; empty where they did not.
    pub who: String,
    /// See `who`.
    pub reason: String,
    /// The row.
    pub resident: Option<ResidentAnswer>,
}

impl PersonHistoryAnswer {
    /// The answer for a reply.
    #[must_use]
    pub fn new(reply: TicketHistoryReply) -> PersonHistoryAnswer {
        PersonHistoryAnswer {
            rows: reply.rows.into_iter().map(RowAnswer::new).collect(),
            shots: reply.shots.into_iter().map(HistoryAnswer::new).collect(),
        }
    }
}

impl RowAnswer {
    /// The answer for a version.
    #[must_use]
    pub fn new(version: RowVersion) -> RowAnswer {
        let RowVersion { ticket, resident, known_since, known_since_time, who, reason } = version;
        let (name, ticket) = (ticket_name(ticket), Ticket::from_decimal(ticket).ok());
        RowAnswer {
            ticket: name,
            known_since,
            known_since_time: time(known_since_time),
            who,
            reason,
            resident: ticket.zip(resident).map(|(ticket, resident)| ResidentAnswer::new(ticket, resident)),
        }
    }
}

impl EventAnswer {
    fn new(event: PastEvent, now: Option<&RecordedShot>) -> EventAnswer {
        let (kind, authority) = (event.kind(), event.authority());
        let then = event.shot.map(|content| RecordedShot {
            shot_id: now.map_or(0, |now| now.shot_id),
            sequence: event.sequence,
            recorded_at: now.map_or(0, |now| now.recorded_at),
            state: sesshu_proto::v1::ShotState::InForce.into(),
            shot: Some(content),
            ..RecordedShot::default()
        });
        EventAnswer {
            sequence: event.sequence,
            time: time(event.time),
            event: event_word(kind),
            ticket: ticket_name(event.ticket),
            to_ticket: (event.to_ticket != 0).then(|| ticket_name(event.to_ticket)),
            who: event.who,
            reason: event.reason,
            authority: (authority != Authority::Unspecified).then(|| authority_word(authority)),
            batch: (!event.batch.is_empty()).then_some(event.batch),
            held: event.held,
            settled_by: (event.settled_by != 0).then_some(event.settled_by),
            shot: shot_on(event.ticket, then),
        }
    }
}

/// The word for what happened: the kind's name in the schema.
fn event_word(kind: EventKind) -> String {
    kind.as_str_name().trim_start_matches("EVENT_KIND_SHOT_").to_lowercase()
}
