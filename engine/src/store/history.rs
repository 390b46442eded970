//! The history of a shot: everything that happened to it, and what somebody wanted to happen to it; and that of a person.
//!
//! Owns the gathering of a shot's events over all tickets that ever had it, and of what was known of a person under all their tickets.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use sesshu_proto::v1::{Authority, EventKind, PastEvent, RecordedShot, RowVersion, Shot};

use super::locate::{Located, locate, person_of};
use super::view::View;
use crate::error::Damage;
use crate::frame::kind;
use crate::intake::ShotRef;
use crate::life::{AmendmentView, ShotEvent, folded_events};
use crate::rules::with_reasons;
use crate::ticket::Ticket;

/// A shot and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ShotHistory {
    /// The ticket on which it is now.
    pub ticket: Ticket,
    /// As it is now.
    pub shot: RecordedShot,
    /// Oldest first; the first is its record.
    pub events: Vec<PastEvent>,
}

impl View {
    /// A shot with its history; `None` if the ticket never had it.
    ///
    /// # Errors
    ///
    /// [`Damage`] if something on the way cannot be read.
    pub fn shot_history(&self, of: ShotRef) -> Result<Option<ShotHistory>, Damage> {
        let (Some(Located { person, life }), _) = locate(self, of)? else { return Ok(None) };
        let (mut events, mut seen) = (Vec::new(), BTreeSet::new());
        let mut waiting = vec![person.ticket()];
        while let Some(ticket) = waiting.pop() {
            if !seen.insert(ticket.to_decimal()) {
                continue;
            }
            let life = person_of(self, ticket)?.map(|person| person.own_life(of.shot_id)).transpose()?.flatten();
            let Some(life) = life else { continue };
            for event in folded_events(&life.events()).flatten() {
                waiting.extend(other_ticket(&event));
                events.extend(past_event(ticket, &event));
            }
        }
        events.sort_by_key(|(event, _)| event.sequence);
        let settled: Vec<(u64, u64)> = events.iter().map(|(event, settles)| (*settles, event.sequence)).collect();
        let by = |held: u64| settled.iter().find(|(settles, _)| *settles == held).map_or(0, |(_, by)| *by);
        let with_end =
            |event: PastEvent| PastEvent { settled_by: if event.held { by(event.sequence) } else { 0 }, ..event };
        let events = events.into_iter().map(|(event, _)| with_end(event)).collect();
        Ok(Some(ShotHistory { ticket: person.ticket(), shot: life.shot.to_recorded(), events }))
    }
}

/// Everything that was ever known of a person.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PersonHistory {
    /// The rows of all their tickets, in the order in which they became known.
    pub rows: Vec<RowVersion>,
    /// All shots that ever were of one of their tickets, in the order in which they were recorded.
    pub shots: Vec<ShotHistory>,
}

impl View {
    /// Everything that was ever known of the person who has a ticket; `None` if nothing was.
    ///
    /// # Errors
    ///
    /// [`Damage`] if something on the way cannot be read.
    pub fn person_history(&self, ticket: Ticket) -> Result<Option<PersonHistory>, Damage> {
        let Some(person) = person_of(self, ticket)? else { return Ok(None) };
        let mut named = BTreeMap::new();
        for ticket in person.tickets()? {
            if let Some(person) = person_of(self, ticket)? {
                person.each_own_shot(|shot| named.extend([(shot.shot_id, ticket)]))?;
            }
        }
        let of = named.into_iter().map(|(shot_id, ticket)| self.shot_history(ShotRef { ticket, shot_id }));
        let shots = of.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        Ok(Some(PersonHistory { rows: person.row_versions()?, shots }))
    }
}

/// Where the shot came from or went to by a reassignment.
fn other_ticket(event: &ShotEvent<'_>) -> Option<Ticket> {
    let moves = event.kind == kind::SHOT_REASSIGNED && !event.is_held();
    let amendment = AmendmentView::decode(event.message).filter(|_| moves)?;
    Ticket::from_decimal(amendment.ticket).ok()
}

/// An event as it travels, and the held write that it settles. Of the two events of a reassignment, that on the ticket which the shot comes to.
fn past_event(ticket: Ticket, event: &ShotEvent<'_>) -> Option<(PastEvent, u64)> {
    let content = |message: &[u8]| {
        let shot = Shot::decode(message).unwrap_or_default();
        Some(Shot { warnings: with_reasons(shot.warnings.clone()), ..shot })
    };
    let past = PastEvent {
        kind: EventKind::try_from(i32::from(event.kind)).unwrap_or_default().into(),
        sequence: event.sequence,
        time: event.time_ms,
        ticket: ticket.to_decimal(),
        held: event.is_held(),
        ..PastEvent::default()
    };
    if event.kind == kind::SHOT_RECORDED {
        let shot = content(event.message);
        let who = shot.as_ref().map(|shot| shot.recorded_by.clone()).unwrap_or_default();
        return Some((PastEvent { who, shot, ..past }, 0));
    }
    let amendment = AmendmentView::decode(event.message)?;
    let (who, reason) = (amendment.who.to_owned(), amendment.reason.to_owned());
    let authority = Authority::try_from(amendment.authority as i32).unwrap_or_default().into();
    let past = PastEvent { who, reason, authority, batch: amendment.batch.to_owned(), ..past };
    let past = match event.kind {
        kind::SHOT_REASSIGNED if event.is_held() => PastEvent { to_ticket: amendment.ticket, ..past },
        kind::SHOT_REASSIGNED if event.arrives() => {
            PastEvent { ticket: amendment.ticket, to_ticket: ticket.to_decimal(), ..past }
        }
        kind::SHOT_REASSIGNED => return None,
        kind::SHOT_CORRECTED => PastEvent { shot: content(amendment.shot), ..past },
        _ => past,
    };
    Some((past, amendment.settles))
}
