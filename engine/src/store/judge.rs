//! Judging a shot: what the store already holds of it.
//!
//! Owns the rule of repetition: a shot repeats another of its ticket by the capture id, or, where neither has one, by its content. Other tickets of the same
//! person do not count: whoever repeats a record presents the same line. Pure over one view.

use super::record::{RecordOutcome, Recorded};
use super::view::{Match, View};
use crate::error::Damage;
use crate::ledger::{Ledger, Person};
use crate::stored::ShotView;
use crate::ticket::Ticket;

/// What a view said of a shot that is offered.
#[derive(Debug)]
pub(super) struct Judged {
    /// The answer, if it repeats what the ticket has; damage, if that could not be read.
    pub(super) answer: Result<Option<Recorded>, Damage>,
    /// The register has the ticket.
    pub(super) matched: bool,
    /// Nothing is known of the ticket.
    pub(super) unknown: bool,
    /// How much of the ticket was seen: generation, and newest event.
    pub(super) seen: (u64, u64),
}

/// How much of `ticket` can be seen in its ledger now: the generation, and the address of the newest event.
pub(super) fn visible(ledger: Option<&Ledger>, ticket: Ticket) -> (u64, u64) {
    ledger.map_or((0, 0), |ledger| (ledger.generation_number(), ledger.tail.newest(ticket.number()).unwrap_or(0)))
}

/// Judges the shot in `message`.
pub(super) fn judge(view: &View, ticket: Ticket, message: &[u8]) -> Judged {
    let generation = view.ledgers.get(ticket.ordinal()).map_or(0, |ledger| ledger.generation_number());
    let found = view.match_ticket(ticket);
    let (matched, person) = match &found {
        Match::Matched(person) => (true, Some(person)),
        Match::Orphan(person) => (false, Some(person)),
        Match::NotFound => (false, None),
        Match::Damaged(damage) => {
            let answer = Err(damage.clone());
            return Judged { answer, matched: false, unknown: false, seen: (generation, 0) };
        }
    };
    let newest = person.map_or(0, Person::newest_address);
    let answer = person.map_or(Ok(None), |person| already(person, message));
    Judged { answer, matched, unknown: person.is_none(), seen: (generation, newest) }
}

/// The answer, if the person holds the offered shot already.
fn already(person: &Person<'_>, message: &[u8]) -> Result<Option<Recorded>, Damage> {
    let mut answer = None;
    if person.own_shot_count() > 0 {
        let offered = offered(message);
        let repeated = |held: ShotView<'_>| answer = answer.or_else(|| repeats(&held, &offered));
        person.each_own_shot_captured_as(offered.capture_id, repeated)?;
    }
    Ok(answer)
}

/// A shot that has no place yet.
pub(super) fn offered(message: &[u8]) -> ShotView<'_> {
    ShotView::of_message(0, 0, message).expect("what was just encoded can be read")
}

/// The answer, if the offered shot repeats one that is held: by its capture id, or, where neither has one, by its content.
pub(super) fn repeats(held: &ShotView<'_>, offered: &ShotView<'_>) -> Option<Recorded> {
    let same = held.same_content(offered);
    let outcome = match (held.capture_id == offered.capture_id, same) {
        (false, _) => return None,
        (true, true) => RecordOutcome::AlreadyRecorded,
        (true, false) if offered.capture_id.is_empty() => return None,
        (true, false) => RecordOutcome::CaptureIdConflict,
    };
    Some(Recorded { outcome, shot_id: held.shot_id, sequence: held.sequence, recorded_at_ms: held.recorded_at_ms })
}
