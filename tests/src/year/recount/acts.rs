//! Acts on shots, recounted.
//!
//! Owns the rules of docs/events.md once more: what is so already adds nothing; whoever does not know the shot as it is changes nothing; whoever is below the
//! level at which it is confirmed is held; a shot that is another ticket's leaves a trace on the one that had it. And the history that follows from them.

use sesshu_engine::intake::{Act, By, Correction};
use sesshu_engine::{Amended, AmendmentOutcome};
use sesshu_proto::v1::{EventKind, PastEvent, Shot};

use super::{CountedShot, Recount, untold};
use crate::year::deed::Asked;
use crate::year::failed::{Failed, ensure};
use crate::year::shown::without_reasons_in;

/// A write that was held.
#[derive(Clone, Debug)]
pub(in crate::year) struct HeldWrite {
    pub(in crate::year) sequence: u64,
    /// What it says: the same again is held once.
    event: PastEvent,
}

/// What an act comes to.
struct Judged {
    outcome: AmendmentOutcome,
    /// The event that the answer names.
    sequence: u64,
    /// The ticket that has the shot then.
    at: u64,
}

impl Recount<'_> {
    /// Somebody wanted to set a shot right.
    pub(super) fn act(&mut self, asked: &Asked, told: Option<&Amended>, time_ms: u64) -> Result<(), Failed> {
        let (named, shot_id) = (asked.of.ticket.to_decimal(), asked.of.shot_id);
        let judged = self.judge(asked, time_ms);
        let known = judged.outcome != AmendmentOutcome::UnknownShot;
        if let Some(told) = told.filter(|_| known) {
            let warnings = told.shot.as_ref().and_then(|shot| shot.shot.as_ref()).map(|shot| shot.warnings.clone());
            self.take_warnings(judged.at, shot_id, &warnings.unwrap_or_default());
        }
        *self.tally.acts.entry(word(&asked.act)).or_default() += 1;
        *self.tally.outcomes.entry(outcome_word(judged.outcome)).or_default() += 1;
        let Some(told) = told else { return Ok(()) };
        let shot = known.then(|| self.recorded_shot(&self.shot_on(judged.at, shot_id).clone()));
        let expected = (judged.outcome, judged.sequence, judged.at, shot);
        let answered =
            (told.outcome, told.sequence, told.ticket.to_decimal(), told.shot.clone().map(without_reasons_in));
        ensure(answered == expected, "an act is answered as it was counted", || {
            let Asked { act, by, version, settles, .. } = asked;
            let past = self.histories.get(&shot_id);
            format!(
                "shot {shot_id} by {named:016}: {} {by:?} {version:?} {settles:?}\ntold:    {answered:?}\ncounted: {expected:?}\n{past:#?}",
                word(act)
            )
        })
    }

    /// Does what an act comes to, and says what that is.
    fn judge(&mut self, asked: &Asked, time_ms: u64) -> Judged {
        let Asked { of, act, by, version, settles } = asked;
        let (named, shot_id) = (of.ticket.to_decimal(), of.shot_id);
        let Some(at) = self.holder(named, shot_id) else {
            return Judged { outcome: AmendmentOutcome::UnknownShot, sequence: 0, at: named };
        };
        let shot = self.shot_on(at, shot_id);
        let nothing = |outcome, sequence| Judged { outcome, sequence, at };
        let (waits, was_settled) = match settles {
            None => (None, false),
            Some(held) => (
                shot.waiting.iter().map(|write| write.sequence).find(|sequence| sequence == held),
                shot.settled.contains(held),
            ),
        };
        if settles.is_some() && waits.is_none() && !was_settled {
            return nothing(AmendmentOutcome::UnknownWrite, shot.version);
        }
        let level = by.authority as i32;
        let content = self.content(shot);
        let corrected = match act {
            Act::Correct(correction) => Some(correct(content.clone(), correction)),
            _ => None,
        };
        let is_so = match act {
            Act::Reassign(to) => to.to_decimal() == at,
            _ if waits.is_some() => false,
            Act::Correct(_) => corrected.as_ref() == Some(&content),
            Act::Void => shot.voided,
            Act::Reinstate => !shot.voided,
            Act::Confirm => level <= shot.confirmed,
            Act::Unlock => shot.confirmed == 0,
        };
        if is_so {
            return nothing(AmendmentOutcome::Unchanged, shot.version);
        }
        if version.is_some_and(|version| version != shot.version) {
            return nothing(AmendmentOutcome::Stale, shot.version);
        }
        let event = told_of(at, act, by, corrected.clone());
        if level < shot.confirmed {
            let same = |write: &&HeldWrite| write.sequence > shot.version && write.event == event;
            if let Some(before) = shot.waiting.iter().find(same) {
                return nothing(AmendmentOutcome::Held, before.sequence);
            }
            self.sequence += 1;
            let sequence = self.sequence;
            self.tell(at, shot_id, PastEvent { held: true, sequence, time: time_ms, ..event.clone() });
            self.shot_on_mut(at, shot_id).waiting.push(HeldWrite { sequence, event });
            return Judged { outcome: AmendmentOutcome::Held, sequence, at };
        }
        self.tally.settled += u64::from(waits.is_some());
        self.count_names(named, at, shot_id);
        match act {
            Act::Reassign(to) => self.reassign(at, to.to_decimal(), shot_id, (event, time_ms), waits),
            _ => self.amend(at, shot_id, asked, corrected, (event, time_ms), waits),
        }
    }

    /// The shot is otherwise on its ticket.
    fn amend(
        &mut self,
        at: u64,
        shot_id: u64,
        asked: &Asked,
        corrected: Option<Shot>,
        (event, time): (PastEvent, u64),
        settles: Option<u64>,
    ) -> Judged {
        self.sequence += 1;
        let sequence = self.sequence;
        let warned = event.shot.map(|shot| Shot { warnings: untold(), ..shot });
        self.tell(at, shot_id, PastEvent { sequence, time, shot: warned, ..event });
        self.settle(at, shot_id, settles, sequence);
        let shot = self.shot_on_mut(at, shot_id);
        shot.version = sequence;
        match asked.act {
            Act::Correct(_) => (shot.corrected, shot.warnings) = (corrected.map(Box::new), untold()),
            Act::Void => shot.voided = true,
            Act::Reinstate => shot.voided = false,
            Act::Confirm => shot.confirmed = asked.by.authority as i32,
            Act::Unlock => shot.confirmed = 0,
            Act::Reassign(_) => {}
        }
        Judged { outcome: AmendmentOutcome::Amended, sequence, at }
    }

    /// The shot is another ticket's: two events.
    fn reassign(
        &mut self,
        at: u64,
        to: u64,
        shot_id: u64,
        (event, time): (PastEvent, u64),
        settles: Option<u64>,
    ) -> Judged {
        self.sequence += 2;
        let sequence = self.sequence;
        self.tell(at, shot_id, PastEvent { sequence, time, ..event });
        self.settle(at, shot_id, settles, sequence);
        let leaves = self.shot_on_mut(at, shot_id);
        let arrives = CountedShot {
            version: sequence,
            moved_to: 0,
            recorded_here: false,
            waiting: Vec::new(),
            settled: Vec::new(),
            warnings: untold(),
            ..leaves.clone()
        };
        (leaves.version, leaves.moved_to) = (sequence - 1, to);
        let there = self.tickets.entry(to).or_default();
        match there.shots.iter_mut().find(|shot| shot.shot_id == shot_id) {
            Some(was_here) => {
                self.tally.returned += 1;
                let CountedShot { recorded_here, waiting, settled, .. } = was_here.clone();
                *was_here = CountedShot { recorded_here, waiting, settled, ..arrives };
            }
            None => {
                there.shots.push(arrives);
                there.shots.sort_by_key(|shot| shot.shot_id);
            }
        }
        self.tally.across_municipalities += u64::from(at / 10_000_000_000 != to / 10_000_000_000);
        Judged { outcome: AmendmentOutcome::Amended, sequence, at: to }
    }

    /// A held write is settled by an event.
    fn settle(&mut self, at: u64, shot_id: u64, settles: Option<u64>, by: u64) {
        let Some(held) = settles else { return };
        let shot = self.shot_on_mut(at, shot_id);
        shot.waiting.retain(|write| write.sequence != held);
        shot.settled.push(held);
        let events = self.histories.get_mut(&shot_id).into_iter().flatten();
        events.filter(|event| event.sequence == held).for_each(|event| event.settled_by = by);
    }

    /// Something became of a shot, beside its record.
    fn tell(&mut self, at: u64, shot_id: u64, event: PastEvent) {
        if !self.histories.contains_key(&shot_id) {
            let record = self.record_of(at, self.shot_on(at, shot_id));
            self.histories.insert(shot_id, vec![record]);
        }
        self.histories.entry(shot_id).or_default().push(event);
    }

    /// Counts by which ticket a shot was named.
    fn count_names(&mut self, named: u64, at: u64, shot_id: u64) {
        if named == at {
            return;
        }
        let was_there = self.tickets[&named].shots.iter().any(|shot| shot.shot_id == shot_id);
        if was_there { self.tally.by_left_ticket += 1 } else { self.tally.by_other_ticket += 1 }
    }

    /// The ticket that has a shot, if the person who is named ever had it.
    pub(super) fn holder(&self, named: u64, shot_id: u64) -> Option<u64> {
        let has = |ticket: &u64| {
            let counted = self.tickets.get(ticket)?;
            counted.shots.iter().find(|shot| shot.shot_id == shot_id)
        };
        let mut at = self.tickets_of(named).into_iter().find(|ticket| has(ticket).is_some())?;
        while let Some(next) = has(&at).map(|shot| shot.moved_to).filter(|&next| next != 0) {
            at = next;
        }
        Some(at)
    }

    fn shot_on(&self, at: u64, shot_id: u64) -> &CountedShot {
        let shots = &self.tickets[&at].shots;
        shots.iter().find(|shot| shot.shot_id == shot_id).expect("its holder has it")
    }

    fn shot_on_mut(&mut self, at: u64, shot_id: u64) -> &mut CountedShot {
        let shots = &mut self.tickets.get_mut(&at).expect("its holder is known").shots;
        shots.iter_mut().find(|shot| shot.shot_id == shot_id).expect("its holder has it")
    }
}

/// What a history tells of an act, but for place and time.
fn told_of(at: u64, act: &Act, by: &By, corrected: Option<Shot>) -> PastEvent {
    let (kind, to_ticket) = match act {
        Act::Correct(_) => (EventKind::ShotCorrected, 0),
        Act::Void => (EventKind::ShotVoided, 0),
        Act::Reinstate => (EventKind::ShotReinstated, 0),
        Act::Reassign(to) => (EventKind::ShotReassigned, to.to_decimal()),
        Act::Confirm => (EventKind::ShotConfirmed, 0),
        Act::Unlock => (EventKind::ShotUnlocked, 0),
    };
    let By { who, reason, authority, batch } = by.clone();
    let authority = authority.into();
    PastEvent {
        kind: kind.into(),
        ticket: at,
        who,
        reason,
        authority,
        to_ticket,
        shot: corrected,
        batch,
        ..PastEvent::default()
    }
}

fn correct(shot: Shot, correction: &Correction) -> Shot {
    let Correction { date, dose, vaccine, lot, venue, institution, doctor } = correction.clone();
    Shot {
        date: date.unwrap_or(shot.date),
        dose: dose.unwrap_or(shot.dose),
        vaccine: vaccine.unwrap_or(shot.vaccine),
        lot: lot.unwrap_or(shot.lot),
        venue: venue.unwrap_or(shot.venue),
        institution: institution.unwrap_or(shot.institution),
        doctor: doctor.unwrap_or(shot.doctor),
        ..shot
    }
}

fn word(act: &Act) -> &'static str {
    match act {
        Act::Correct(_) => "correct",
        Act::Void => "void",
        Act::Reinstate => "reinstate",
        Act::Reassign(_) => "reassign",
        Act::Confirm => "confirm",
        Act::Unlock => "unlock",
    }
}

/// An outcome in a word.
pub(in crate::year) fn outcome_word(outcome: AmendmentOutcome) -> &'static str {
    match outcome {
        AmendmentOutcome::Amended => "amended",
        AmendmentOutcome::Unchanged => "unchanged",
        AmendmentOutcome::Held => "held",
        AmendmentOutcome::Stale => "stale",
        AmendmentOutcome::UnknownShot => "unknown shot",
        AmendmentOutcome::UnknownWrite => "unknown write",
        AmendmentOutcome::OtherPerson => "other person",
    }
}
