//! Acts on recorded shots: what a run asks for, and what should come of it.
//!
//! Owns the rules once more, as a person would state them: what is so already adds nothing; whoever does not know the shot as it is changes nothing; whoever is
//! below the level at which it is confirmed is held; a shot that is another ticket's leaves a trace on the one that had it.

use std::cell::Cell;
use std::rc::Rc;

use sesshu_engine::error::RecordError;
use sesshu_engine::intake::{Act, Amendment, By, Correction, ShotRef};
use sesshu_engine::rules::with_reasons;
use sesshu_engine::{Amended, AmendmentOutcome};
use sesshu_proto::v1::{Authority, RecordedShot, Shot, ShotState, Warning};

use super::acts::chain;
use super::model::{CODES, Event, HeldShot, Model, shot_record};
use super::properties::{Failure, blame, ensure};
use super::runner::Runner;
use super::workload::{Acting, Doing, LEDGERS, Naming, Offered, TICKETS};
use super::{people, warned};
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
    writer: usize,
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
    pub(super) doing: Doing,
    pub(super) level: u32,
    pub(super) writer: usize,
    pub(super) settles: u64,
    pub(super) held: bool,
    /// What a correction makes of it, or would.
    pub(super) content: Option<Rc<Shot>>,
    pub(super) warnings: Rc<[Warning]>,
    /// It came to this ticket, from another one.
    pub(super) from: Option<(Place, HeldShot)>,
    /// Milliseconds since 1970; 0 until someone was told.
    pub(super) time_ms: Rc<Cell<u64>>,
}

/// What an act should come to.
struct Judgement {
    outcome: AmendmentOutcome,
    /// The event that the answer names.
    sequence: u64,
    /// The ticket that has the shot then.
    at: Place,
    /// The shot then; `None` if it is unknown.
    shot: Option<HeldShot>,
    events: Vec<Event>,
}

/// Who acts, why, and the name of the act on many shots that it is part of.
pub(super) const WRITERS: [(&str, &str, &str); 2] = [("係員", "読み違い", ""), ("窓口", "取り違え", "batch-1")];

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
    pub(super) fn shot(&self, (ledger, number): Place, shot_id: u64) -> Option<&HeldShot> {
        self.ledgers[ledger].get(&number)?.shots.iter().find(|shot| shot.shot_id == shot_id)
    }

    /// The ticket that has a shot, if the person who is asked ever had it.
    pub(super) fn holder(&self, (ledger, number): Place, shot_id: u64) -> Option<Place> {
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
        let Acting { ledger, number, which, naming, doing, home, level, writer, version, settles } = *acting;
        let of_ledger = |ledger: usize| self.ledgers[ledger].iter().map(move |(number, it)| ((ledger, *number), it));
        let with_shots = (0..LEDGERS).flat_map(of_ledger).filter(|(_, it)| !it.shots.is_empty());
        let mut with_shots: Vec<Place> = with_shots.map(|(place, _)| place).collect();
        let has_others = |&(ledger, number): &Place| self.tickets_of(ledger, number).len() > 1;
        if naming == Naming::Person && with_shots.iter().any(has_others) {
            with_shots.retain(has_others);
        }
        let known = with_shots.get(number as usize % with_shots.len().max(1)).copied();
        let (ledger, on) = known.unwrap_or((ledger, number));
        let shots = self.ledgers[ledger].get(&on).map_or(&[][..], |ticket| &ticket.shots);
        let shot = shots.get(which as usize % shots.len().max(1)).filter(|_| naming != Naming::NoShot);
        let shot_id = shot.map_or(1 + which % 40, |shot| shot.shot_id);
        let others = || self.tickets_of(ledger, on).into_iter().filter(|number| *number != on);
        let named_by = match naming {
            Naming::Own | Naming::NoShot => on,
            Naming::Person => others().nth(which as usize % others().count().max(1)).unwrap_or(on),
            Naming::Anybody => which % TICKETS,
        };
        let of = (ledger, named_by);
        let doing = match doing {
            Doing::Reassign(..) if home => Doing::Reassign(ledger, named_by),
            doing => doing,
        };
        let now = self.holder(of, shot_id).and_then(|place| self.shot(place, shot_id));
        let held = now.and_then(|shot| shot.waiting.first().or(shot.settled.first()).copied());
        Asked {
            of,
            shot_id,
            doing,
            level,
            writer,
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

    /// What becomes of an act on a day.
    fn judge_act(&self, asked: &Asked, day: u32) -> Judgement {
        let Some(at) = self.holder(asked.of, asked.shot_id) else {
            let outcome = AmendmentOutcome::UnknownShot;
            return Judgement { outcome, sequence: 0, at: asked.of, shot: None, events: Vec::new() };
        };
        let shot = self.shot(at, asked.shot_id).expect("its holder has it");
        let because_of =
            |outcome, sequence| Judgement { outcome, sequence, at, shot: Some(shot.clone()), events: Vec::new() };
        let nothing = |outcome| because_of(outcome, shot.version);
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
        if let Doing::Reassign(_, number) = asked.doing
            && !people::takes(number, shot.shot.provisional.as_ref())
        {
            return nothing(AmendmentOutcome::OtherPerson);
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
            writer: asked.writer,
            settles: if held { 0 } else { settles },
            held,
            content: content.clone(),
            warnings: Rc::new([]),
            from: None,
            time_ms: Rc::default(),
        };
        if held {
            if let Some(sequence) = self.held_before(&acted, shot.version) {
                return because_of(AmendmentOutcome::Held, sequence);
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
    fn foreseen(&self, outcome: AmendmentOutcome, at: Place, acts: Vec<Acted>) -> Judgement {
        let mut after = self.clone();
        let shot_id = acts[0].shot_id;
        let events: Vec<Event> = acts.into_iter().map(Event::Act).collect();
        events.iter().cloned().for_each(|event| after.apply(event));
        Judgement { outcome, sequence: after.sequence(), at, shot: after.shot(at, shot_id).cloned(), events }
    }

    /// The sequence of the same act, held since the shot's newest event.
    fn held_before(&self, acted: &Acted, since: u64) -> Option<u64> {
        let is_same = |event: &Event| match event {
            Event::Act(other) => {
                let by = |acted: &Acted| (acted.on, acted.shot_id, acted.level, acted.writer);
                other.held
                    && by(other) == by(acted)
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
        warned::warnings(shot, number, has_row.then_some(row), &others, day).into()
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
            let judged = self.model.judge_act(asked, self.world.day());
            let events = &judged.events;
            match answer {
                Ok(amended) => {
                    let expected = judged.answer(amended);
                    ensure(*amended == expected, "an act is answered as the model says", || {
                        format!("{asked:?}\n  {amended:?}\n  not {expected:?}")
                    })?;
                    let in_order = failed.is_none();
                    ensure(in_order, "nothing is answered behind what failed", || format!("{answers:?}"))?;
                    self.ran.mix(amended.sequence);
                    self.count(asked, &judged);
                    judged.events.into_iter().for_each(|event| self.model.apply(event));
                }
                Err(RecordError::Damaged(damage)) => {
                    self.damaged.append(&mut self.disk.damaged());
                    blame(damage, &self.damaged)?;
                }
                Err(error) => {
                    let is_said = !events.is_empty() || failed.is_some() || matches!(error, RecordError::Poisoned(_));
                    ensure(is_said, "what changes nothing needs no disk, but that nothing failed", || chain(error))?;
                    if std::mem::discriminant(*failed.get_or_insert(error)) == std::mem::discriminant(error) {
                        not_logged.extend(judged.events);
                    }
                }
            }
        }
        match failed {
            None => Ok(()),
            Some(error) => self.not_logged(&before, not_logged, error),
        }
    }

    /// Counts an act that was answered, before it happens to the model.
    fn count(&mut self, asked: &Asked, judged: &Judgement) {
        let Judgement { outcome, at, events, .. } = judged;
        let acts = || events.iter().filter_map(|event| if let Event::Act(acted) = event { Some(acted) } else { None });
        let returns = acts().any(|acted| acted.arrives() && self.model.shot(acted.on, acted.shot_id).is_some());
        let settles = acts().any(|acted| acted.settles != 0);
        let elsewhere = self.model.shot(asked.of, asked.shot_id).is_none_or(|shot| shot.moved_to.is_some());
        let links_from = self.model.holder(asked.of, asked.shot_id).unwrap_or(asked.of);
        let ran = &mut self.ran;
        match outcome {
            AmendmentOutcome::Amended => ran.amended += 1,
            AmendmentOutcome::Unchanged => ran.unchanged += 1,
            AmendmentOutcome::Held if events.is_empty() => ran.held_again += 1,
            AmendmentOutcome::Held => ran.held_writes += 1,
            AmendmentOutcome::Stale => ran.stale += 1,
            AmendmentOutcome::UnknownShot | AmendmentOutcome::UnknownWrite => ran.unknown += 1,
            AmendmentOutcome::OtherPerson => ran.other_person += 1,
        }
        ran.reassigned += u64::from(events.len() > 1);
        ran.linked += u64::from(events.len() > 1 && people::is_person(links_from.1));
        ran.returned += u64::from(returns);
        ran.settled += u64::from(settles);
        // By the ticket that it left, or by one of the person's that never had it.
        let left = elsewhere && self.model.shot(asked.of, asked.shot_id).is_some();
        let other = elsewhere && !left && *outcome != AmendmentOutcome::UnknownShot && asked.of != *at;
        self.ran.by_left_ticket += u64::from(left);
        self.ran.by_other_ticket += u64::from(other);
    }
}

impl Judgement {
    /// The answer that is due, if what was `told` has the time of the record, which nobody else may know.
    fn answer(&self, told: &Amended) -> Amended {
        let (ledger, number) = self.at;
        let shown = told.shot.clone().unwrap_or_default();
        let shot = self.shot.as_ref().map(|shot| shot.shown(&shown));
        Amended { outcome: self.outcome, sequence: self.sequence, ticket: ticket(CODES[ledger], number), shot }
    }
}

fn amendment(asked: &Asked) -> Amendment {
    let Asked { of: (ledger, number), shot_id, doing, level, writer, version, settles } = *asked;
    let act = match doing {
        Doing::Correct(content) => Act::Correct(Box::new(correction(content))),
        Doing::Void => Act::Void,
        Doing::Reinstate => Act::Reinstate,
        Doing::Reassign(ledger, number) => Act::Reassign(ticket(CODES[ledger], number)),
        Doing::Confirm => Act::Confirm,
        Doing::Unlock => Act::Unlock,
    };
    let authority = Authority::try_from(level as i32).expect("a level");
    let (who, reason, batch) = WRITERS[writer];
    let by = By { who: who.into(), reason: reason.into(), authority, batch: batch.into() };
    let of = ShotRef { ticket: ticket(CODES[ledger], number), shot_id };
    let known = |sequence: u64| (sequence != 0).then_some(sequence);
    Amendment::check(of, act, by, known(version), known(settles)).expect("an act that can be done")
}

const _: () = assert!(LEDGERS > 1, "a shot can be another ledger's");
