//! How what was counted should be shown: by a ledger, by a match, by a history.

use std::collections::BTreeSet;

use sesshu_engine::ticket::Ticket;
use sesshu_proto::v1::{EventKind, PastEvent, RecordedShot, Resident, Shot, ShotState};

use super::{Counted, CountedShot, Recount};
use crate::Answer;

impl Recount<'_> {
    /// What a shot says, without warnings.
    pub(super) fn content(&self, shot: &CountedShot) -> Shot {
        shot.corrected.as_deref().cloned().unwrap_or_else(|| self.shots.message(&shot.entry))
    }

    /// A shot on the ticket that has or had it.
    pub(in crate::year) fn recorded_shot(&self, shot: &CountedShot) -> RecordedShot {
        let state = match (shot.moved_to, shot.voided) {
            (0, false) => ShotState::InForce,
            (0, true) => ShotState::Voided,
            _ => ShotState::Reassigned,
        };
        RecordedShot {
            shot_id: shot.shot_id,
            sequence: shot.version,
            recorded_at: shot.recorded_at,
            ticket: 0,
            shot: Some(Shot { warnings: shot.warnings.clone(), ..self.content(shot) }),
            state: state.into(),
            confirmed: shot.confirmed,
            reassigned_to: shot.moved_to,
            held_writes: shot.waiting.len() as u32,
            same_dose: false,
        }
    }

    /// What a ledger shows of a ticket: its own row, and every shot that ever was its own.
    pub(in crate::year) fn own(&self, counted: &Counted) -> Answer {
        let mut shots: Vec<RecordedShot> = counted.shots.iter().map(|shot| self.recorded_shot(shot)).collect();
        mark(&mut shots);
        answer(counted.row.as_ref().map(|row| row.resident.clone()), shots)
    }

    /// What a match shows of a ticket: the person's newest row, and the shots in force on whichever of their tickets.
    pub(in crate::year) fn matched(&self, ticket: u64) -> Answer {
        let all: Vec<(u64, &Counted)> =
            self.tickets_of(ticket).into_iter().filter_map(|on| Some((on, self.tickets.get(&on)?))).collect();
        let mut shots: Vec<RecordedShot> = Vec::new();
        for (on, counted) in &all {
            let in_force = counted.shots.iter().filter(|shot| shot.moved_to == 0 && !shot.voided);
            let elsewhere = if *on == ticket { 0 } else { *on };
            shots.extend(in_force.map(|shot| RecordedShot { ticket: elsewhere, ..self.recorded_shot(shot) }));
        }
        shots.sort_by_key(|shot| shot.shot_id);
        mark(&mut shots);
        let rows = all.iter().filter_map(|(_, counted)| counted.row.as_ref());
        let newest = rows.max_by_key(|row| row.since);
        answer(newest.map(|row| row.resident.clone()), shots)
    }

    /// All tickets of a person, the valid one last.
    pub(in crate::year) fn tickets_of(&self, ticket: u64) -> Vec<u64> {
        let code = ticket / 10_000_000_000 * 10_000_000_000;
        let row =
            |ticket: &u64| self.tickets.get(ticket).and_then(|counted| counted.row.as_ref()).map(|row| &row.resident);
        let mut valid = ticket;
        while let Some(next) = row(&valid).and_then(|row| row.reissued_as) {
            valid = code + next;
        }
        let (mut tickets, mut seen, mut waiting) = (Vec::new(), BTreeSet::new(), vec![valid]);
        while let Some(ticket) = waiting.pop() {
            if seen.insert(ticket) {
                tickets.push(ticket);
                waiting
                    .extend(row(&ticket).into_iter().flat_map(|row| &row.previous_numbers).map(|number| code + number));
            }
        }
        tickets.reverse();
        tickets
    }

    /// The history of a shot that a ticket has or had: where it is now, as what, and all that became of it.
    pub(in crate::year) fn history(&self, ticket: u64, shot: &CountedShot) -> (u64, RecordedShot, Vec<PastEvent>) {
        let at = self.holder(ticket, shot.shot_id).expect("the ticket has or had it");
        let now = self.tickets[&at].shots.iter().find(|now| now.shot_id == shot.shot_id).expect("its holder has it");
        let events = self.histories.get(&shot.shot_id).cloned();
        (at, self.recorded_shot(now), events.unwrap_or_else(|| vec![self.record_of(ticket, shot)]))
    }

    /// The record of a shot of which nothing has become.
    pub(super) fn record_of(&self, ticket: u64, shot: &CountedShot) -> PastEvent {
        let content = Shot { warnings: shot.warnings.clone(), ..self.shots.message(&shot.entry) };
        PastEvent {
            kind: EventKind::ShotRecorded.into(),
            sequence: shot.shot_id,
            time: shot.recorded_at,
            ticket,
            who: content.recorded_by.clone(),
            shot: Some(content),
            ..PastEvent::default()
        }
    }

    /// The ticket with this decimal number.
    pub(in crate::year) fn named(ticket: u64) -> Ticket {
        Ticket::from_decimal(ticket).expect("a counted ticket is one")
    }
}

fn answer(resident: Option<Resident>, shots: Vec<RecordedShot>) -> Answer {
    match resident {
        Some(resident) => Answer::Matched(Box::new(resident), shots),
        None => Answer::Orphan(shots),
    }
}

/// Flags shots in force of which another has the same dose.
fn mark(shots: &mut [RecordedShot]) {
    let dose = |shot: &RecordedShot| {
        let in_force = shot.state() == ShotState::InForce;
        in_force.then(|| shot.shot.as_ref().map_or(0, |content| content.dose))
    };
    let doses: Vec<Option<u32>> = shots.iter().map(dose).collect();
    for (at, shot) in shots.iter_mut().enumerate() {
        let others = doses.iter().enumerate().filter(|(other, _)| *other != at);
        shot.same_dose = doses[at].is_some() && others.into_iter().any(|(_, dose)| *dose == doses[at]);
    }
}
