//! What a store should hold: plain maps, and the events that made them.
//!
//! Owns the rules as a person would state them: a ticket has a row and shots; a register replaces rows and leaves shots; a capture id counts once. It knows
//! nothing of files.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use sesshu_engine::intake::ShotRecord;
use sesshu_engine::{ChangeOutcome, LoadReport, RecordOutcome};
use sesshu_proto::v1::{Resident, ResidentStatus, Sex, Shot};

use super::workload::{Becomes, Changing, LEDGERS, Offered, Register};
use crate::{CHIYODA, NAHA, SAPPORO, line, municipality, resident, shot, ticket};

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
}

/// A ticket.
#[derive(Clone, Debug, Default)]
pub(super) struct HeldTicket {
    pub(super) row: Option<Resident>,
    /// The newest event that changed the row alone; 0 if none did.
    pub(super) changed: u64,
    pub(super) shots: Vec<HeldShot>,
}

/// What happened.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A shot came in.
    Shot(Offered, HeldShot),
    /// The row of a ticket changed: the ledger, the number, the row.
    Change(usize, u64, Resident),
    /// A register was installed: its rows, the day on which it was built, and the newest event that it folds.
    Install(Register, u32, u64),
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
    let ticket = ticket(CODES[offered.ledger], offered.number);
    let capture_id = if offered.capture == 0 { String::new() } else { format!("capture-{}", offered.capture) };
    let small = shot(ticket, offered.content, &capture_id);
    if offered.content < LARGE {
        return small;
    }
    let large = Shot {
        vaccine: "武".repeat(20),
        lot: format!("{:020}", offered.content),
        venue: "会".repeat(30),
        doctor: "医".repeat(20),
        recorded_by: "端".repeat(40),
        ..small.shot().clone()
    };
    ShotRecord::check(line(ticket), large).expect("texts of the longest kind")
}

/// The row of a register's version, as a store keeps it.
pub(super) fn kept_row(number: u64, version: u32) -> Resident {
    let mut row = resident(number, version);
    row.set_status(ResidentStatus::Active);
    row.set_sex(Sex::Unknown);
    row
}

impl Model {
    /// The newest event.
    pub(super) fn sequence(&self) -> u64 {
        self.events.len() as u64
    }

    /// What becomes of an offered shot, if the `placed` come before it; the shot it would be, if it is new.
    pub(super) fn judge(&self, offered: &Offered, placed: &[Event]) -> (RecordOutcome, u64, Option<Event>) {
        let record = shot_record(offered);
        let ticket = self.ledgers[offered.ledger].get(&offered.number);
        let on_its_way = placed.iter().filter_map(|event| match event {
            Event::Shot(other, held) if (other.ledger, other.number) == (offered.ledger, offered.number) => Some(held),
            _ => None,
        });
        let shot = record.shot();
        for held in ticket.iter().flat_map(|ticket| &ticket.shots).chain(on_its_way) {
            match (held.shot.capture_id == shot.capture_id, *held.shot == *shot) {
                (true, true) => return (RecordOutcome::AlreadyRecorded, held.shot_id, None),
                (true, false) if !shot.capture_id.is_empty() => {
                    return (RecordOutcome::CaptureIdConflict, held.shot_id, None);
                }
                _ => {}
            }
        }
        let matched = ticket.is_some_and(|ticket| ticket.row.is_some());
        let outcome = if matched { RecordOutcome::Recorded } else { RecordOutcome::Orphan };
        let shot_id = self.sequence() + placed.len() as u64 + 1;
        let held = HeldShot { shot: Rc::new(shot.clone()), shot_id, recorded_at: Rc::default() };
        (outcome, shot_id, Some(Event::Shot(offered.clone(), held)))
    }

    /// It happened.
    pub(super) fn apply(&mut self, event: Event) {
        match &event {
            Event::Shot(offered, held) => {
                self.ledgers[offered.ledger].entry(offered.number).or_default().shots.push(held.clone());
            }
            Event::Change(ledger, number, row) => {
                let ticket = self.ledgers[*ledger].entry(*number).or_default();
                (ticket.row, ticket.changed) = (Some(row.clone()), self.events.len() as u64 + 1);
            }
            Event::Install(register, day, folded) => {
                let ledger = &mut self.ledgers[register.ledger];
                // What changed after the register was built is newer than the register.
                let older = |ticket: &HeldTicket| ticket.changed <= *folded;
                for (number, ticket) in
                    ledger.iter_mut().filter(|(number, ticket)| !register.kept.contains(number) && older(ticket))
                {
                    let active = |row: &&mut Resident| row.status() != ResidentStatus::Removed;
                    if let Some(row) = ticket.row.as_mut().filter(active)
                        && !register.rows.contains(number)
                    {
                        row.set_status(ResidentStatus::Removed);
                        row.status_date = *day;
                    }
                }
                for &number in &register.rows {
                    let ticket = ledger.entry(number).or_default();
                    if older(ticket) {
                        ticket.row = Some(kept_row(number, register.version));
                    }
                }
                self.folded[register.ledger] = *folded;
            }
        }
        self.events.push(event);
    }

    /// What becomes of a change, and the event that it is, if it is one.
    pub(super) fn judge_change(&self, ledger: usize, change: &Changing) -> (ChangeOutcome, Option<Event>) {
        let before = self.ledgers[ledger].get(&change.number).and_then(|ticket| ticket.row.as_ref());
        let after = match (change.to, before) {
            (Becomes::Row(version), _) => kept_row(change.number, version),
            (Becomes::Status(_), None) => return (ChangeOutcome::UnknownTicket, None),
            (Becomes::Status(status), Some(before)) => Resident { status, status_date: CHANGED_ON, ..before.clone() },
        };
        match before {
            Some(before) if *before == after => (ChangeOutcome::Unchanged, None),
            Some(_) => (ChangeOutcome::Changed, Some(Event::Change(ledger, change.number, after))),
            None => (ChangeOutcome::Added, Some(Event::Change(ledger, change.number, after))),
        }
    }

    /// What loading a register now will say, but for generation and sequence.
    pub(super) fn report(&self, register: &Register) -> LoadReport {
        let row = |number| self.ledgers[register.ledger].get(number).and_then(|ticket| ticket.row.as_ref());
        let mut report = LoadReport { accepted: register.rows.len() as u64, ..LoadReport::default() };
        for number in &register.rows {
            match row(number) {
                None => report.added += 1,
                Some(before) if *before == kept_row(*number, register.version) => report.unchanged += 1,
                Some(_) => report.changed += 1,
            }
        }
        let given: BTreeSet<&u64> = register.rows.iter().collect();
        for (number, ticket) in self.ledgers[register.ledger].iter().filter(|(number, _)| !given.contains(number)) {
            let Some(row) = &ticket.row else { continue };
            if register.kept.contains(number) {
                report.kept += 1;
            } else if row.status() != ResidentStatus::Removed {
                report.removed += 1;
            }
        }
        report
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
        for (ledger, folded) in self.ledgers.iter().zip(self.folded) {
            for ticket in ledger.values() {
                counters.residents += u64::from(ticket.row.is_some());
                counters.orphans += u64::from(ticket.row.is_none());
                counters.shots += ticket.shots.len() as u64;
                let newest = ticket.shots.iter().map(|shot| shot.shot_id).max().unwrap_or(0).max(ticket.changed);
                counters.tail_tickets += u64::from(newest > folded);
            }
        }
        counters
    }

    /// Tickets that may be asked for, some of them unknown.
    pub(super) fn tickets(&self, ledger: usize) -> impl Iterator<Item = u64> {
        let known: BTreeSet<u64> = self.ledgers[ledger].keys().copied().chain(0..=super::workload::TICKETS).collect();
        known.into_iter()
    }
}

/// A municipality of a run.
pub(super) fn of(ledger: usize) -> sesshu_engine::ticket::Municipality {
    municipality(CODES[ledger])
}
