//! Acts on recorded shots: what a run asks for, what should come of it, and what the history should say.
//!
//! Owns the rules once more, as a person would state them: what is so already adds nothing; whoever does not know the shot as it is changes nothing; whoever is
//! below the level at which it is confirmed is held; a shot that is another ticket's leaves a trace on the one that had it.

use std::collections::BTreeSet;
use std::rc::Rc;

use sesshu_engine::error::RecordError;
use sesshu_engine::intake::{Act, Amendment, By, Correction, ShotRef};
use sesshu_engine::rules::with_reasons;
use sesshu_engine::{Amended, AmendmentOutcome, View};
use sesshu_proto::v1::{Authority, EventKind, RecordedShot, Shot, ShotState, Warning};

use super::acts::chain;
use super::model::{CODES, Event, HeldShot, Model, shot_record};
use super::properties::{Damaged, Failure, blame, ensure};
use super::runner::Runner;
use super::warned;
use super::workload::{Acting, Doing, LEDGERS, Offered};
use crate::ticket;

/// A ticket of a run: its ledger and number.
pub(super) type Place = (usize, u64);

/// An act with all that it says.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    of: Place,
    shot_id: u64,
    doing: Doing,
    level: u32,
    /// 0: whatever it is.
    version: u64,
    /// 0: none.
    settles: u64,
}

/// What happened to a shot.
#[derive(Clone, Debug)]
pub(super) struct Acted {
    /// The ticket on which it happened.
    pub(super) on: Place,
    pub(super) shot_id: u64,
    doing: Doing,
    level: u32,
    settles: u64,
    held: bool,
    /// What a correction makes of it, or would.
    content: Option<Rc<Shot>>,
    warnings: Rc<[Warning]>,
    /// It came to this ticket, from another one.
    from: Option<(Place, HeldShot)>,
}

impl Acted {
    /// Whether the shot comes to this ticket by it.
    pub(super) fn arrives(&self) -> bool {
        self.from.is_some()
    }
}

/// What a correction changes.
fn correction(content: u32) -> Correction {
    let offered = Offered { ledger: 0, number: 0, content, capture: 0 };
    let record = shot_record(&offered);
    let Shot { date, dose, vaccine, lot, .. } = record.shot().clone();
    Correction { date: Some(date), dose: Some(dose), vaccine: Some(vaccine), lot: Some(lot), ..Correction::default() }
}

fn corrected(shot: &Shot, content: u32) -> Shot {
    let Correction { date, dose, vaccine, lot, .. } = correction(content);
    let (date, dose) = (date.unwrap_or_default(), dose.unwrap_or_default());
    Shot { date, dose, vaccine: vaccine.unwrap_or_default(), lot: lot.unwrap_or_default(), ..shot.clone() }
}

impl HeldShot {
    /// Whether it counts on its ticket.
    pub(super) fn in_force(&self) -> bool {
        !self.voided && self.moved_to.is_none()
    }

    /// As it should be shown, but for the ticket.
    pub(super) fn shown(&self, shown: &RecordedShot) -> RecordedShot {
        if self.recorded_at.get() == 0 {
            // Nobody was told of its record.
            self.recorded_at.set(shown.recorded_at);
        }
        let state = match (self.moved_to, self.voided) {
            (Some(_), _) => ShotState::Reassigned,
            (None, true) => ShotState::Voided,
            (None, false) => ShotState::InForce,
        };
        RecordedShot {
            shot_id: self.shot_id,
            sequence: self.version,
            recorded_at: self.recorded_at.get(),
            ticket: 0,
            shot: Some(Shot { warnings: with_reasons(self.warnings.to_vec()), ..(*self.shot).clone() }),
            state: state.into(),
            confirmed: self.confirmed as i32,
            reassigned_to: self.moved_to.map_or(0, |(ledger, number)| ticket(CODES[ledger], number).to_decimal()),
            held_writes: self.waiting.len() as u32,
            same_dose: false,
        }
    }
}

impl Model {
    fn shot(&self, (ledger, number): Place, shot_id: u64) -> Option<&HeldShot> {
        self.ledgers[ledger].get(&number)?.shots.iter().find(|shot| shot.shot_id == shot_id)
    }

    /// The ticket that has a shot, if the person who is asked ever had it.
    fn holder(&self, (ledger, number): Place, shot_id: u64) -> Option<Place> {
        let tickets = self.tickets_of(ledger, number);
        let mut place =
            tickets.into_iter().map(|number| (ledger, number)).find(|&at| self.shot(at, shot_id).is_some())?;
        while let Some(next) = self.shot(place, shot_id)?.moved_to {
            place = next;
        }
        Some(place)
    }

    /// What an act says, now that it is known which shots there are.
    fn asked(&self, acting: &Acting) -> Asked {
        let Acting { ledger, number, which, doing, level, version, settles } = *acting;
        let with_shots: Vec<u64> =
            self.ledgers[ledger].iter().filter(|(_, it)| !it.shots.is_empty()).map(|(number, _)| *number).collect();
        // Mostly a ticket that has or had a shot.
        let on = if which % 8 == 7 { None } else { with_shots.get(number as usize % with_shots.len().max(1)) };
        let of = (ledger, on.copied().unwrap_or(number));
        let shots = self.ledgers[ledger].get(&of.1).map_or(&[][..], |ticket| &ticket.shots);
        let shot = shots.get(which as usize / 8 % shots.len().max(1));
        let shot_id = shot.map_or(1 + which % 40, |shot| shot.shot_id);
        let now = self.holder(of, shot_id).and_then(|place| self.shot(place, shot_id));
        let held = now.and_then(|shot| shot.waiting.first().or(shot.settled.first()).copied());
        Asked {
            of,
            shot_id,
            doing,
            level,
            version: match version {
                0 => 0,
                1 => now.map_or(0, |shot| shot.version),
                _ => shot_id,
            },
            settles: match settles {
                0 => 0,
                1 => held.unwrap_or(0),
                _ => shot_id,
            },
        }
    }

    /// What becomes of an act on a day; where the shot is then, and as what; and the events, if there are any.
    fn judge_act(&self, asked: &Asked, day: u32) -> (AmendmentOutcome, Place, Option<HeldShot>, Vec<Event>) {
        let Some(at) = self.holder(asked.of, asked.shot_id) else {
            return (AmendmentOutcome::UnknownShot, asked.of, None, Vec::new());
        };
        let shot = self.shot(at, asked.shot_id).expect("its holder has it");
        let nothing = |outcome| (outcome, at, Some(shot.clone()), Vec::new());
        let settles = asked.settles;
        if settles != 0 && !shot.waiting.contains(&settles) && !shot.settled.contains(&settles) {
            return nothing(AmendmentOutcome::UnknownWrite);
        }
        let settles = if shot.waiting.contains(&settles) { settles } else { 0 };
        let is_so = match asked.doing {
            Doing::Correct(content) => corrected(&shot.shot, content) == *shot.shot,
            Doing::Void => shot.voided,
            Doing::Reinstate => !shot.voided,
            Doing::Reassign(ledger, number) => (ledger, number) == at,
            Doing::Confirm => asked.level <= shot.confirmed,
            Doing::Unlock => shot.confirmed == 0,
        };
        if is_so && (settles == 0 || matches!(asked.doing, Doing::Reassign(..))) {
            return nothing(AmendmentOutcome::Unchanged);
        }
        if asked.version != 0 && asked.version != shot.version {
            return nothing(AmendmentOutcome::Stale);
        }
        let content = match asked.doing {
            Doing::Correct(content) => Some(Rc::new(corrected(&shot.shot, content))),
            _ => None,
        };
        let held = asked.level < shot.confirmed;
        let acted = Acted {
            on: at,
            shot_id: asked.shot_id,
            doing: asked.doing,
            level: asked.level,
            settles: if held { 0 } else { settles },
            held,
            content: content.clone(),
            warnings: Rc::new([]),
            from: None,
        };
        if held {
            if self.held_before(&acted, shot.version).is_some() {
                return nothing(AmendmentOutcome::Held);
            }
            return self.foreseen(AmendmentOutcome::Held, at, vec![acted]);
        }
        match asked.doing {
            Doing::Reassign(ledger, number) => {
                let to = (ledger, number);
                let warnings = self.warnings_of(to, &shot.shot, asked.shot_id, day);
                let from = Some((at, shot.clone()));
                let arrival = Acted { on: to, warnings, from, ..acted.clone() };
                self.foreseen(AmendmentOutcome::Amended, to, vec![acted, arrival])
            }
            _ => {
                let warnings = content
                    .map_or(Rc::new([]) as Rc<[Warning]>, |content| self.warnings_of(at, &content, asked.shot_id, day));
                self.foreseen(AmendmentOutcome::Amended, at, vec![Acted { warnings, ..acted }])
            }
        }
    }

    /// The shot as the acts leave it.
    fn foreseen(
        &self,
        outcome: AmendmentOutcome,
        at: Place,
        acts: Vec<Acted>,
    ) -> (AmendmentOutcome, Place, Option<HeldShot>, Vec<Event>) {
        let mut after = self.clone();
        let shot_id = acts[0].shot_id;
        let events: Vec<Event> = acts.into_iter().map(Event::Act).collect();
        events.iter().cloned().for_each(|event| after.apply(event));
        (outcome, at, after.shot(at, shot_id).cloned(), events)
    }

    /// The sequence of the same act, held since the shot's newest event.
    fn held_before(&self, acted: &Acted, since: u64) -> Option<u64> {
        let is_same = |event: &Event| match event {
            Event::Act(other) => {
                other.held
                    && (other.on, other.shot_id, other.level) == (acted.on, acted.shot_id, acted.level)
                    && other.content == acted.content
                    && (other.doing == acted.doing || acted.content.is_some())
            }
            _ => false,
        };
        let mut events = (1..).zip(self.events());
        events.find(|(sequence, event)| *sequence > since && is_same(event)).map(|(sequence, _)| sequence)
    }

    /// What the rules say of a shot on a ticket, beside the others that count there.
    fn warnings_of(&self, (ledger, number): Place, shot: &Shot, shot_id: u64, day: u32) -> Rc<[Warning]> {
        let (row, shots) = self.person(ledger, number);
        let others: Vec<&HeldShot> = shots.into_iter().map(|(_, it)| it).filter(|it| it.shot_id != shot_id).collect();
        let has_row = self.ledgers[ledger].get(&number).is_some_and(|ticket| ticket.row.is_some());
        warned::warnings(shot, has_row.then_some(row), &others, day).into()
    }

    /// An act happened.
    pub(super) fn act(&mut self, acted: &Acted, sequence: u64) {
        let (ledger, number) = acted.on;
        let ticket = self.ledgers[ledger].entry(number).or_default();
        ticket.acted = sequence;
        let found = ticket.shots.iter().position(|shot| shot.shot_id == acted.shot_id);
        if let Some((_, before)) = &acted.from {
            let waiting = found.map(|at| (ticket.shots[at].waiting.clone(), ticket.shots[at].settled.clone()));
            let (waiting, settled) = waiting.unwrap_or_default();
            let recorded = found.and_then(|at| ticket.shots[at].recorded.clone());
            let arrived = HeldShot {
                version: sequence,
                moved_to: None,
                warnings: Rc::clone(&acted.warnings),
                waiting,
                settled,
                recorded,
                ..before.clone()
            };
            match found {
                Some(at) => ticket.shots[at] = arrived,
                None => ticket.shots.push(arrived),
            }
            ticket.shots.sort_by_key(|shot| shot.shot_id);
            return;
        }
        let shot = &mut ticket.shots[found.expect("an act is of a shot that the ticket has")];
        if acted.held {
            shot.waiting.push(sequence);
            return;
        }
        shot.version = sequence;
        if acted.settles != 0 {
            shot.waiting.retain(|held| *held != acted.settles);
            shot.settled.push(acted.settles);
        }
        match acted.doing {
            Doing::Correct(_) => {
                shot.shot = Rc::clone(acted.content.as_ref().expect("a correction has a content"));
                shot.warnings = Rc::clone(&acted.warnings);
            }
            Doing::Void => shot.voided = true,
            Doing::Reinstate => shot.voided = false,
            Doing::Reassign(ledger, number) => shot.moved_to = Some((ledger, number)),
            Doing::Confirm => shot.confirmed = acted.level,
            Doing::Unlock => shot.confirmed = 0,
        }
    }

    /// The history that a shot should have: kind, sequence, whether it is held, what settled it, where it was before, where it went.
    fn history(&self, shot_id: u64) -> Vec<(EventKind, u64, bool, u64, u64, u64)> {
        let decimal = |(ledger, number): Place| ticket(CODES[ledger], number).to_decimal();
        let settled_by = |held: u64| {
            let settles = |event: &Event| matches!(event, Event::Act(acted) if acted.settles == held && !acted.held);
            // Of a reassignment the event on the ticket that it comes to.
            let events = (1..).zip(self.events()).filter(|(_, event)| settles(event));
            events.last().map_or(0, |(sequence, _)| sequence)
        };
        let of = |(sequence, event): (u64, &Event)| match event {
            Event::Shot(offered, held) if held.shot_id == shot_id => {
                Some((EventKind::ShotRecorded, sequence, false, 0, decimal((offered.ledger, offered.number)), 0))
            }
            Event::Act(acted) if acted.shot_id == shot_id => {
                let (kind, to) = match acted.doing {
                    Doing::Correct(_) => (EventKind::ShotCorrected, 0),
                    Doing::Void => (EventKind::ShotVoided, 0),
                    Doing::Reinstate => (EventKind::ShotReinstated, 0),
                    Doing::Confirm => (EventKind::ShotConfirmed, 0),
                    Doing::Unlock => (EventKind::ShotUnlocked, 0),
                    Doing::Reassign(ledger, number) => (EventKind::ShotReassigned, decimal((ledger, number))),
                };
                let settled = if acted.held { settled_by(sequence) } else { 0 };
                match (&acted.from, acted.held, acted.doing) {
                    (Some((from, _)), ..) => Some((kind, sequence, false, 0, decimal(*from), to)),
                    // It is told of once: where it comes to.
                    (None, false, Doing::Reassign(..)) => None,
                    _ => Some((kind, sequence, acted.held, settled, decimal(acted.on), to)),
                }
            }
            _ => None,
        };
        (1..).zip(self.events()).filter_map(of).collect()
    }

    /// Shots that something became of, each with a ticket that it is or was on.
    fn acted_upon(&self) -> BTreeSet<(u64, Place)> {
        let of = |event: &Event| match event {
            Event::Act(acted) => Some((acted.shot_id, acted.on)),
            _ => None,
        };
        self.events().iter().filter_map(of).collect()
    }
}

/// The history of every shot of which something became is whole, by each ticket that it is or was on.
///
/// # Errors
///
/// The first [`Failure`].
pub(super) fn remembers(view: &View, model: &Model, damaged: &Damaged) -> Result<(), Failure> {
    for (shot_id, (ledger, number)) in model.acted_upon() {
        let of = ShotRef { ticket: ticket(CODES[ledger], number), shot_id };
        let history = match view.shot_history(of) {
            Err(damage) => {
                blame(&damage, damaged)?;
                continue;
            }
            Ok(history) => history,
        };
        let expected = model.history(shot_id);
        let events = history.iter().flat_map(|history| &history.events);
        let told: Vec<_> =
            events.map(|it| (it.kind(), it.sequence, it.held, it.settled_by, it.ticket, it.to_ticket)).collect();
        // A damaged ticket on the way hides what happened there.
        ensure(told == expected || !damaged.is_empty(), "a shot has its whole history", || {
            format!("shot {shot_id}: {told:?} instead of {expected:?}")
        })?;
    }
    Ok(())
}

impl Runner {
    pub(super) fn amend(&mut self, acts: &[Acting]) -> Result<(), Failure> {
        let before = self.before();
        let asked: Vec<Asked> = acts.iter().map(|acting| self.model.asked(acting)).collect();
        let amendments: Vec<Amendment> = asked.iter().map(amendment).collect();
        let answers = self.store().amend(&amendments);
        ensure(answers.len() == acts.len(), "every act is answered", || format!("{answers:?}"))?;
        self.wrote_nothing(&before)?;
        let (mut not_logged, mut failed) = (Vec::new(), None);
        for (asked, answer) in asked.iter().zip(&answers) {
            let (outcome, (ledger, number), shot, events) = self.model.judge_act(asked, self.world.day());
            match answer {
                Ok(amended) => {
                    let expected = self.answer_of(asked, outcome, (ledger, number), shot.as_ref(), &events, amended);
                    ensure(*amended == expected, "an act is answered as the model says", || {
                        format!("{asked:?}\n  {amended:?}\n  not {expected:?}")
                    })?;
                    let in_order = events.is_empty() || failed.is_none();
                    ensure(in_order, "nothing is acknowledged behind what failed", || format!("{answers:?}"))?;
                    self.ran.mix(amended.sequence);
                    self.ran.count_act(outcome, events.len());
                    events.into_iter().for_each(|event| self.model.apply(event));
                }
                Err(RecordError::Damaged(damage)) => {
                    self.damaged.append(&mut self.disk.damaged());
                    blame(damage, &self.damaged)?;
                }
                Err(error) => {
                    ensure(!events.is_empty(), "what changes nothing needs no disk", || chain(error))?;
                    if std::mem::discriminant(*failed.get_or_insert(error)) == std::mem::discriminant(error) {
                        not_logged.extend(events);
                    }
                }
            }
        }
        match failed {
            None => Ok(()),
            Some(error) => self.not_logged(&before, not_logged, error),
        }
    }

    fn answer_of(
        &self,
        asked: &Asked,
        outcome: AmendmentOutcome,
        (ledger, number): Place,
        shot: Option<&HeldShot>,
        events: &[Event],
        told: &Amended,
    ) -> Amended {
        let newest = shot.map_or(0, |shot| shot.version);
        let sequence = match (events, outcome, shot) {
            ([], AmendmentOutcome::Held, Some(shot)) => {
                // Held before: of the same acts that wait, one.
                let same =
                    |event: &Event| matches!(event, Event::Act(acted) if acted.held && acted.doing == asked.doing);
                let mut sequences = (1..).zip(self.model.events()).filter(|(at, it)| *at > shot.version && same(it));
                sequences.find(|(at, _)| *at == told.sequence).map_or(0, |(at, _)| at)
            }
            ([], ..) => newest,
            (events, ..) => self.model.sequence() + events.len() as u64,
        };
        let shown = told.shot.clone().unwrap_or_default();
        let shot = shot.map(|shot| shot.shown(&shown));
        Amended { outcome, sequence, ticket: ticket(CODES[ledger], number), shot }
    }
}

fn amendment(asked: &Asked) -> Amendment {
    let Asked { of: (ledger, number), shot_id, doing, level, version, settles } = *asked;
    let act = match doing {
        Doing::Correct(content) => Act::Correct(Box::new(correction(content))),
        Doing::Void => Act::Void,
        Doing::Reinstate => Act::Reinstate,
        Doing::Reassign(ledger, number) => Act::Reassign(ticket(CODES[ledger], number)),
        Doing::Confirm => Act::Confirm,
        Doing::Unlock => Act::Unlock,
    };
    let authority = Authority::try_from(level as i32).expect("a level");
    let by = By { who: "係員".into(), reason: "読み違い".into(), authority, batch: String::new() };
    let of = ShotRef { ticket: ticket(CODES[ledger], number), shot_id };
    let known = |sequence: u64| (sequence != 0).then_some(sequence);
    Amendment::check(of, act, by, known(version), known(settles)).expect("an act that can be done")
}

const _: () = assert!(LEDGERS > 1, "a shot can be another ledger's");
