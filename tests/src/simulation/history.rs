//! The history of a shot: what it should say, and whether it does.
//!
//! Owns the telling of what became of a shot, once more, from the model's events: everything that happened or was held, by whom and why, on which ticket, what
//! settled it. A reassignment is two events and is told of once, where the shot comes to. Commit times are nobody's to foresee: they never change.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

use sesshu_engine::intake::ShotRef;
use sesshu_engine::rules::with_reasons;
use sesshu_engine::{ShotHistory, View};
use sesshu_proto::v1::{EventKind, PastEvent, Shot, Warning};

use super::amended::{Acted, Place, WRITERS};
use super::model::{CODES, Event, Model};
use super::properties::{Damaged, Failure, blame, ensure};
use super::workload::Doing;
use crate::ticket;

/// An event as it should be told, and its commit time: 0 until someone was told.
type Told = (PastEvent, Rc<Cell<u64>>);

fn decimal((ledger, number): Place) -> u64 {
    ticket(CODES[ledger], number).to_decimal()
}

fn warned(shot: &Shot, warnings: &[Warning]) -> Shot {
    Shot { warnings: with_reasons(warnings.to_vec()), ..shot.clone() }
}

impl Model {
    /// What settled a held write; 0 if it waits.
    fn settled_by(&self, held: u64) -> u64 {
        let settles = |event: &Event| matches!(event, Event::Act(acted) if acted.settles == held && !acted.held);
        // Of a reassignment the event on the ticket that it comes to.
        let events = (1..).zip(self.events()).filter(|(_, event)| settles(event));
        events.last().map_or(0, |(sequence, _)| sequence)
    }

    fn told(&self, acted: &Acted, sequence: u64) -> Option<Told> {
        let (kind, to) = match acted.doing {
            Doing::Correct(_) => (EventKind::ShotCorrected, None),
            Doing::Void => (EventKind::ShotVoided, None),
            Doing::Reinstate => (EventKind::ShotReinstated, None),
            Doing::Confirm => (EventKind::ShotConfirmed, None),
            Doing::Unlock => (EventKind::ShotUnlocked, None),
            Doing::Reassign(ledger, number) => (EventKind::ShotReassigned, Some((ledger, number))),
        };
        let departs = to.is_some() && !acted.held && !acted.arrives();
        let (who, reason, batch) = WRITERS[acted.writer];
        let event = PastEvent {
            kind: kind.into(),
            sequence,
            time: 0,
            ticket: decimal(acted.from.as_ref().map_or(acted.on, |(from, _)| *from)),
            who: who.into(),
            reason: reason.into(),
            authority: acted.level as i32,
            held: acted.held,
            settled_by: if acted.held { self.settled_by(sequence) } else { 0 },
            to_ticket: to.map_or(0, decimal),
            shot: acted.content.as_ref().map(|content| warned(content, &acted.warnings)),
            batch: batch.into(),
        };
        (!departs).then(|| (event, Rc::clone(&acted.time_ms)))
    }

    /// The history that a shot should have.
    fn history(&self, shot_id: u64) -> Vec<Told> {
        let told = |(sequence, event): (u64, &Event)| match event {
            Event::Shot(offered, held) if held.shot_id == shot_id => {
                let event = PastEvent {
                    kind: EventKind::ShotRecorded.into(),
                    sequence,
                    ticket: decimal((offered.ledger, offered.number)),
                    who: held.shot.recorded_by.clone(),
                    shot: Some(warned(&held.shot, &held.warnings)),
                    ..PastEvent::default()
                };
                Some((event, Rc::clone(&held.recorded_at)))
            }
            Event::Act(acted) if acted.shot_id == shot_id => self.told(acted, sequence),
            _ => None,
        };
        (1..).zip(self.events()).filter_map(told).collect()
    }

    /// Shots that something became of, each with every ticket on which something did.
    fn acted_upon(&self) -> BTreeSet<(u64, Place)> {
        let of = |event: &Event| match event {
            Event::Act(acted) => Some((acted.shot_id, acted.on)),
            _ => None,
        };
        self.events().iter().filter_map(of).collect()
    }
}

/// The history of every shot of which something became is whole, by each ticket that it is or was on, and says where the shot is now, and as what.
///
/// # Errors
///
/// The first [`Failure`].
pub(super) fn remembers(view: &View, model: &Model, damaged: &Damaged) -> Result<(), Failure> {
    for (shot_id, place) in model.acted_upon() {
        let of = ShotRef { ticket: ticket(CODES[place.0], place.1), shot_id };
        match view.shot_history(of) {
            Err(damage) => blame(&damage, damaged)?,
            Ok(None) => ensure(false, "a shot is found by every ticket that had it", || format!("{of:?}"))?,
            Ok(Some(history)) => is_whole(&history, model, place, shot_id)?,
        }
    }
    Ok(())
}

fn is_whole(history: &ShotHistory, model: &Model, place: Place, shot_id: u64) -> Result<(), Failure> {
    let told = model.history(shot_id);
    for ((_, time), shown) in told.iter().zip(&history.events) {
        if time.get() == 0 {
            time.set(shown.time);
        }
    }
    let expected: Vec<PastEvent> =
        told.into_iter().map(|(event, time)| PastEvent { time: time.get(), ..event }).collect();
    ensure(history.events == expected, "a shot has its whole history", || {
        format!("shot {shot_id}: {:#?} instead of {expected:#?}", history.events)
    })?;
    ensure(expected.is_sorted_by_key(|event| event.time), "time never goes back", || format!("{expected:?}"))?;
    let holder = model.holder(place, shot_id).expect("something became of it there");
    let shown = model.shot(holder, shot_id).map(|shot| shot.shown(&history.shot));
    let right = history.ticket.to_decimal() == decimal(holder) && shown.as_ref() == Some(&history.shot);
    ensure(right, "a history says where the shot is now, and as what", || {
        format!("{} has {:?} instead of {holder:?} {shown:?}", history.ticket, history.shot)
    })
}
