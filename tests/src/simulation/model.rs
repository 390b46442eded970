//! What a store should hold: plain maps, and the events that made them.
//!
//! Owns the rules as a person would state them: a ticket has a row and shots; a register replaces rows and leaves shots; a capture id counts once. It knows
//! nothing of files.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use sesshu_engine::intake::{Row, Sender, ShotRecord};
use sesshu_engine::limits::SAMPLES_MAX;
use sesshu_engine::{ChangeOutcome, LoadReport, RecordOutcome};
use sesshu_proto::v1::{Resident, ResidentStatus, Sex, Shot, Warning};

use super::amended::{Acted, Place};
use super::rows::{self, Version};
use super::workload::{Becomes, Changing, LEDGERS, Offered, Register};
use super::{people, warned};
use crate::{CHIYODA, NAHA, SAPPORO, line, municipality, my_number, resident, shot, ticket};

/// The codes of the ledgers.
pub(super) const CODES: [u32; LEDGERS] = [CHIYODA, SAPPORO, NAHA];

/// The day of every change of a status alone.
pub(super) const CHANGED_ON: u32 = 20_210_501;

/// Contents from here on are large.
pub(super) const LARGE: u32 = 1000;

/// A shot that is or may be in the store.
#[derive(Clone, Debug)]
pub(super) struct HeldShot {
    pub(super) shot: Rc<Shot>,
    pub(super) shot_id: u64,
    /// Milliseconds since 1970; 0 until someone was told.
    pub(super) recorded_at: Rc<Cell<u64>>,
    /// What the rules said of it when it became what it is.
    pub(super) warnings: Rc<[Warning]>,
    /// As it was recorded, and what the rules said then; `None` if that was on another ticket.
    pub(super) recorded: Option<(Rc<Shot>, Rc<[Warning]>)>,
    /// The newest event that changed it.
    pub(super) version: u64,
    pub(super) voided: bool,
    /// The level at which it is confirmed; 0 if it is not.
    pub(super) confirmed: u32,
    /// The ticket that has it now, if that is another.
    pub(super) moved_to: Option<Place>,
    /// Held writes of this ticket that wait, and those that were settled.
    pub(super) waiting: Vec<u64>,
    pub(super) settled: Vec<u64>,
}

/// A ticket.
#[derive(Clone, Debug, Default)]
pub(super) struct HeldTicket {
    pub(super) row: Option<Resident>,
    /// The event since which the row is as it is.
    pub(super) known_since: u64,
    /// All rows that it had, the one that it has last.
    pub(super) rows: Vec<Version>,
    /// The newest event that changed the row alone; 0 if none did.
    pub(super) changed: u64,
    /// The newest act on one of its shots; 0 if there is none.
    pub(super) acted: u64,
    pub(super) shots: Vec<HeldShot>,
}

impl HeldTicket {
    /// Its row is another from an event on.
    fn becomes(&mut self, row: Resident, known_since: u64, sender: &Sender) {
        self.rows.push(Version { row: row.clone(), known_since, sender: sender.clone() });
        (self.row, self.known_since) = (Some(row), known_since);
    }
}

/// What happened.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A shot came in.
    Shot(Offered, HeldShot),
    /// Something became of a shot.
    Act(Acted),
    /// The row of a ticket changed: the ledger, the number, the row, who sent it.
    Change(usize, u64, Resident, Sender),
    /// A register was installed: its rows, the day on which it was built, and the newest event that it folds.
    Install(Register, u32, u64),
    /// A ledger was compacted: which, and the newest event that is folded.
    Compact(usize, u64),
}

/// A store, as far as anyone can tell.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// Event `n` is at `n - 1`.
    events: Vec<Event>,
    pub(super) ledgers: [BTreeMap<u64, HeldTicket>; LEDGERS],
    /// The newest event that each ledger's register folds.
    folded: [u64; LEDGERS],
}

/// What `Status` should say.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Counters {
    pub(super) residents: u64,
    pub(super) orphans: u64,
    pub(super) shots: u64,
    pub(super) tail_tickets: u64,
}

/// The shot that is offered.
pub(super) fn shot_record(offered: &Offered) -> ShotRecord {
    let &Offered { ledger, number, content, capture } = offered;
    let capture_id = if capture == 0 { String::new() } else { format!("capture-{capture}") };
    let small = shot(ticket(CODES[ledger], 0), content, &capture_id).shot().clone();
    let large = |small| Shot {
        vaccine: "武".repeat(20),
        lot: format!("{content:020}"),
        venue: "会".repeat(30),
        doctor: "医".repeat(20),
        recorded_by: "端".repeat(40),
        ..small
    };
    let shot = if content < LARGE { small } else { large(small) };
    let record = match people::of_number(number, content) {
        None => ShotRecord::check(line(ticket(CODES[ledger], number)), shot),
        person => ShotRecord::check_without_ticket(of(ledger), Shot { provisional: person, ..shot }),
    };
    record.expect("texts of the longest kind at most")
}

/// Kana that rows have, in their order.
pub(super) const KANA: [&str; 3] = ["ヤマダ　ハナコ", "ヨシダ　ハナコ", "ヨシノ　ハナコ"];

/// The row of a register's version, as it is loaded.
pub(super) fn given_row(number: u64, version: u32) -> Row {
    let name_kana = KANA[(number as usize + version as usize) % KANA.len()].into();
    let row = Resident { name_kana, ..resident(number, version) };
    let my_number = number.is_multiple_of(3).then(|| my_number(number));
    Row::check(number, my_number, row, 0).expect("a row that can be loaded")
}

/// The same, as a store keeps it.
pub(super) fn kept_row(number: u64, version: u32) -> Resident {
    let mut row = given_row(number, version).resident().clone();
    row.set_status(ResidentStatus::Active);
    row.set_sex(Sex::Unknown);
    row
}

/// The row with the links of another.
fn relinked(row: Resident, of: Option<&Resident>) -> Resident {
    let links = of.map(|of| (of.previous_numbers.clone(), of.reissued_as)).unwrap_or_default();
    Resident { previous_numbers: links.0, reissued_as: links.1, ..row }
}

impl Model {
    /// What happened, the first first.
    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }

    /// The newest event.
    pub(super) fn sequence(&self) -> u64 {
        self.events.len() as u64
    }

    /// How many generations of a ledger were installed.
    pub(super) fn installs(&self, ledger: usize) -> usize {
        let installs = |event: &&Event| match event {
            Event::Install(register, ..) => register.ledger == ledger,
            Event::Compact(of, _) => *of == ledger,
            _ => false,
        };
        self.events.iter().filter(installs).count()
    }

    /// Tickets of a ledger with events that its generation does not fold.
    pub(super) fn unfolded(&self, ledger: usize) -> u64 {
        let newest = |ticket: &HeldTicket| {
            let shot = ticket.shots.iter().map(|shot| shot.shot_id).max().unwrap_or(0);
            shot.max(ticket.changed).max(ticket.acted)
        };
        self.ledgers[ledger].values().filter(|ticket| newest(ticket) > self.folded[ledger]).count() as u64
    }

    /// What becomes of a shot that is offered on a day, if the `placed` come before it; the shot that the ticket then has; its event, if it is new.
    pub(super) fn judge(
        &self,
        offered: &Offered,
        placed: &[Event],
        day: u32,
    ) -> (RecordOutcome, HeldShot, Option<Event>) {
        let record = shot_record(offered);
        let ticket = self.ledgers[offered.ledger].get(&offered.number);
        let on_its_way = placed.iter().filter_map(|event| match event {
            Event::Shot(other, held) if (other.ledger, other.number) == (offered.ledger, offered.number) => Some(held),
            _ => None,
        });
        let shot = record.shot();
        for held in ticket.iter().flat_map(|ticket| &ticket.shots).chain(on_its_way) {
            // Whatever became of it: what is recorded again is answered as it was.
            let Some((recorded, warnings)) = held.recorded.clone() else { continue };
            let first = || HeldShot { shot: Rc::clone(&recorded), warnings: Rc::clone(&warnings), ..held.clone() };
            match (recorded.capture_id == shot.capture_id, *recorded == *shot) {
                (true, true) => return (RecordOutcome::AlreadyRecorded, first(), None),
                (true, false) if !shot.capture_id.is_empty() => {
                    return (RecordOutcome::CaptureIdConflict, first(), None);
                }
                _ => {}
            }
        }
        let matched = ticket.is_some_and(|ticket| ticket.row.is_some());
        let outcome = if matched { RecordOutcome::Recorded } else { RecordOutcome::Orphan };
        let shot_id = self.sequence() + placed.len() as u64 + 1;
        let warnings: Rc<[Warning]> = self.warnings(offered, shot, placed, day).into();
        let shot = Rc::new(shot.clone());
        let held = HeldShot {
            recorded: Some((Rc::clone(&shot), Rc::clone(&warnings))),
            shot,
            shot_id,
            version: shot_id,
            recorded_at: Rc::default(),
            warnings,
            voided: false,
            confirmed: 0,
            moved_to: None,
            waiting: Vec::new(),
            settled: Vec::new(),
        };
        (outcome, held.clone(), Some(Event::Shot(offered.clone(), held)))
    }

    fn warnings(&self, offered: &Offered, shot: &Shot, placed: &[Event], day: u32) -> Vec<Warning> {
        let tickets = self.tickets_of(offered.ledger, offered.number);
        let (row, shots) = self.person(offered.ledger, offered.number);
        let on_their_way = placed.iter().filter_map(|event| match event {
            Event::Shot(other, held) if other.ledger == offered.ledger && tickets.contains(&other.number) => Some(held),
            _ => None,
        });
        let shots: Vec<&HeldShot> = shots.into_iter().map(|(_, shot)| shot).chain(on_their_way).collect();
        let has_row = self.ledgers[offered.ledger].get(&offered.number).is_some_and(|ticket| ticket.row.is_some());
        warned::warnings(shot, offered.number, has_row.then_some(row), &shots, day)
    }

    /// It happened.
    pub(super) fn apply(&mut self, event: Event) {
        let sequence = self.events.len() as u64 + 1;
        match &event {
            Event::Shot(offered, held) => {
                self.ledgers[offered.ledger].entry(offered.number).or_default().shots.push(held.clone());
            }
            Event::Act(acted) => self.act(acted, sequence),
            Event::Change(ledger, number, row, sender) => {
                let ticket = self.ledgers[*ledger].entry(*number).or_default();
                ticket.changed = sequence;
                ticket.becomes(row.clone(), sequence, sender);
            }
            Event::Install(register, day, folded) => {
                let gone = self.removed_by(register);
                let ledger = &mut self.ledgers[register.ledger];
                // What changed after the register was built is newer than the register.
                let older = |ticket: &HeldTicket| ticket.changed <= *folded;
                for number in gone {
                    let Some(ticket) = ledger.get_mut(&number).filter(|ticket| older(ticket)) else { continue };
                    if let Some(mut row) = ticket.row.clone() {
                        row.set_status(ResidentStatus::Removed);
                        row.status_date = *day;
                        ticket.becomes(row, sequence, &rows::of_register(register));
                    }
                }
                for &number in &register.rows {
                    let ticket = ledger.entry(number).or_default();
                    if older(ticket) {
                        let row = relinked(kept_row(number, register.version), ticket.row.as_ref());
                        if ticket.row.as_ref() != Some(&row) {
                            ticket.becomes(row, sequence, &rows::of_register(register));
                        }
                    }
                }
                self.folded[register.ledger] = *folded;
            }
            Event::Compact(ledger, folded) => self.folded[*ledger] = *folded,
        }
        self.events.push(event);
    }

    /// What becomes of a change, and the events that it is, if it is any.
    pub(super) fn judge_change(&self, ledger: usize, change: &Changing) -> (ChangeOutcome, Vec<Event>) {
        let row = |number| self.ledgers[ledger].get(&number).and_then(|ticket| ticket.row.as_ref());
        let event = |number, row| Event::Change(ledger, number, row, rows::of_change(change));
        let (mut number, mut link) = (change.number, None);
        let after = match change.to {
            Becomes::Row(version) => relinked(kept_row(number, version), row(number)),
            Becomes::Status(status) => {
                if row(number).is_some_and(|row| row.name.is_empty()) {
                    number = self.valid(ledger, number);
                }
                let Some(before) = row(number) else { return (ChangeOutcome::UnknownTicket, Vec::new()) };
                Resident { status, status_date: CHANGED_ON, ..before.clone() }
            }
            Becomes::Reissued(previous, version) => {
                let mut after = relinked(kept_row(number, version), row(number));
                if !self.successors(ledger, previous).contains(&number) {
                    if after.reissued_as.is_some() {
                        return (ChangeOutcome::Superseded, Vec::new());
                    }
                    let valid = self.valid(ledger, previous);
                    after.previous_numbers.push(valid);
                    let superseded = row(valid).cloned().unwrap_or_default();
                    link = Some(event(valid, Resident { reissued_as: Some(number), ..superseded }));
                }
                after
            }
        };
        let outcome = match row(number) {
            Some(before) if *before == after => return (ChangeOutcome::Unchanged, Vec::new()),
            Some(_) => ChangeOutcome::Changed,
            None => ChangeOutcome::Added,
        };
        (outcome, link.into_iter().chain([event(number, after)]).collect())
    }

    /// The tickets that replaced one, one after another.
    fn successors(&self, ledger: usize, number: u64) -> Vec<u64> {
        let next = |number: u64| self.ledgers[ledger].get(&number)?.row.as_ref()?.reissued_as;
        std::iter::successors(next(number), |&number| next(number)).collect()
    }

    /// The ticket of the person that none replaced.
    fn valid(&self, ledger: usize, number: u64) -> u64 {
        self.successors(ledger, number).last().copied().unwrap_or(number)
    }

    /// All tickets of the person, in the order of their listing: the valid one last.
    pub(super) fn tickets_of(&self, ledger: usize, number: u64) -> Vec<u64> {
        let (mut waiting, mut found) = (vec![self.valid(ledger, number)], Vec::new());
        while let Some(number) = waiting.pop() {
            let row = self.ledgers[ledger].get(&number).and_then(|ticket| ticket.row.as_ref());
            waiting.extend(row.iter().flat_map(|row| &row.previous_numbers));
            found.push(number);
        }
        found.reverse();
        found
    }

    /// What a ticket matches to: the row of the person that became known last, and the shots of all their tickets that count, each with its ticket's
    /// number.
    pub(super) fn person(&self, ledger: usize, number: u64) -> (Option<&Resident>, Vec<(u64, &HeldShot)>) {
        let tickets = self.tickets_of(ledger, number);
        let held = || tickets.iter().filter_map(|number| Some((*number, self.ledgers[ledger].get(number)?)));
        let says_something =
            |(_, ticket): &(u64, &HeldTicket)| ticket.row.as_ref().is_some_and(|row| !row.name.is_empty());
        let newest = held().filter(says_something).max_by_key(|(_, ticket)| ticket.known_since);
        let mut shots: Vec<_> =
            held().flat_map(|(number, it)| it.shots.iter().map(move |shot| (number, shot))).collect();
        shots.retain(|(_, shot)| shot.in_force());
        shots.sort_by_key(|(_, shot)| shot.shot_id);
        (newest.and_then(|(_, ticket)| ticket.row.as_ref()), shots)
    }

    /// Everybody whom a register has: the ledger, the valid ticket, the row.
    pub(super) fn people(&self) -> impl Iterator<Item = (usize, u64, &Resident)> {
        (0..LEDGERS).flat_map(move |ledger| {
            let valid = self.ledgers[ledger].keys().filter(move |number| self.valid(ledger, **number) == **number);
            valid.filter_map(move |&number| Some((ledger, number, self.person(ledger, number).0?)))
        })
    }

    /// How many rows have a My Number: those of [`given_row`]'s numbers.
    pub(super) fn my_numbers(&self) -> u64 {
        let rows = self.ledgers.iter().flat_map(BTreeMap::values).filter_map(|ticket| ticket.row.as_ref());
        rows.filter(|row| row.resident_number.parse::<u64>().is_ok_and(|number| number.is_multiple_of(3))).count()
            as u64
    }

    /// The tickets that a register removes: those that it lacks, but for kept and replaced ones, and people whom it has under another number.
    fn removed_by(&self, register: &Register) -> Vec<u64> {
        let has = |number: &u64| register.rows.contains(number) || register.kept.contains(number);
        let is_removed = |(number, ticket): &(&u64, &HeldTicket)| {
            let tickets = self.tickets_of(register.ledger, **number);
            ticket.row.as_ref().is_some_and(|row| row.status() != ResidentStatus::Removed)
                && tickets.last() == Some(number)
                && !tickets.iter().any(has)
        };
        self.ledgers[register.ledger].iter().filter(is_removed).map(|(number, _)| *number).collect()
    }

    /// What loading a register now will say, but for generation and sequence.
    pub(super) fn report(&self, register: &Register) -> LoadReport {
        let row = |number: &u64| self.ledgers[register.ledger].get(number).and_then(|ticket| ticket.row.as_ref());
        let (rows, rejected) = (register.rows.len() as u64, register.kept.len() as u64);
        let mut report = LoadReport {
            accepted: rows,
            rows: rows + rejected,
            rejected_rows: rejected,
            remarks: rows,
            ..LoadReport::default()
        };
        let before = self.ledgers[register.ledger].values().filter_map(|ticket| ticket.row.as_ref());
        let counts = |row: &&Resident| row.status() != ResidentStatus::Removed && row.reissued_as.is_none();
        report.known = before.filter(counts).count() as u64;
        let samples = &mut report.samples;
        for number in &register.rows {
            match row(number) {
                None => {
                    report.added += 1;
                    samples.added.push(*number);
                }
                before if before == Some(&relinked(kept_row(*number, register.version), before)) => {
                    report.unchanged += 1;
                }
                Some(_) => {
                    report.changed += 1;
                    samples.changed.push(*number);
                }
            }
        }
        let given: BTreeSet<&u64> = register.rows.iter().collect();
        let kept = |number: &&u64| row(number).is_some() && !given.contains(*number);
        report.kept = register.kept.iter().filter(kept).count() as u64;
        samples.removed = self.removed_by(register);
        report.removed = samples.removed.len() as u64;
        for numbers in [&mut samples.added, &mut samples.changed, &mut samples.removed] {
            numbers.truncate(SAMPLES_MAX);
        }
        report
    }

    /// The event, or the one behind it where both are one act: between them nobody looks.
    pub(super) fn whole(&self, sequence: u64) -> u64 {
        let event = |at: u64| at.checked_sub(1).and_then(|at| self.events.get(at as usize));
        let is_half = match (event(sequence), event(sequence + 1)) {
            (Some(Event::Act(_)), Some(Event::Act(next))) => next.arrives(),
            (Some(Event::Change(of, number, ..)), Some(Event::Change(next, _, row, _))) => {
                of == next && row.previous_numbers.contains(number)
            }
            _ => false,
        };
        sequence + u64::from(is_half)
    }

    /// As it was when `sequence` was the newest event.
    pub(super) fn at(&self, sequence: u64) -> Model {
        let mut model = Model::default();
        self.events.iter().take(sequence as usize).cloned().for_each(|event| model.apply(event));
        model
    }

    /// What is counted.
    pub(super) fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        for (at, ledger) in self.ledgers.iter().enumerate() {
            counters.tail_tickets += self.unfolded(at);
            for ticket in ledger.values() {
                counters.residents += u64::from(ticket.row.is_some());
                counters.orphans += u64::from(ticket.row.is_none());
                counters.shots += ticket.shots.iter().filter(|shot| shot.moved_to.is_none()).count() as u64;
            }
        }
        counters
    }

    /// Tickets that may be asked for, some of them unknown.
    pub(super) fn tickets(&self, ledger: usize) -> impl Iterator<Item = u64> {
        let asked = (0..=super::workload::TICKETS).chain((0..people::PEOPLE).map(people::number));
        let known: BTreeSet<u64> = self.ledgers[ledger].keys().copied().chain(asked).collect();
        known.into_iter()
    }
}

/// A municipality of a run.
pub(super) fn of(ledger: usize) -> sesshu_engine::ticket::Municipality {
    municipality(CODES[ledger])
}
