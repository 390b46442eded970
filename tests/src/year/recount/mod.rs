//! The recount: what a store should hold, from the list of what was done, by plain rules.
//!
//! Owns the counted ledgers and what a register, a reissue and a shot make of them. What acts on shots make of them is in `acts`, how a ticket should be shown in
//! `shown`. Nothing here asks the engine: events are counted, and so named, from 1 on; every answer that was given is held against the recount. Two things are
//! taken from the answers, since other tests know them: the warnings of the rules, and how many events of an interrupted deed a killed program left.

mod acts;
mod shown;

use std::collections::BTreeMap;

use sesshu_engine::{ChangeOutcome, Changed, LoadReport, RecordOutcome, Recorded};
use sesshu_proto::v1::{PastEvent, Resident, ResidentStatus, Shot, Warning};

use super::book::{Book, Reissue};
use super::calendar::yyyymmdd;
use super::deed::{Deed, Done};
use super::failed::{Failed, ensure};
use super::plan::{Entry, Shots};
pub(super) use acts::{HeldWrite, outcome_word};

/// What is known at a moment.
pub(super) struct Recount<'i> {
    pub(super) books: &'i [Book],
    pub(super) shots: &'i Shots,
    /// By the decimal number of their 16 digits.
    pub(super) tickets: BTreeMap<u64, Counted>,
    /// What became of shots beside their record, by shot id: with the record, oldest first.
    pub(super) histories: BTreeMap<u64, Vec<PastEvent>>,
    /// Events so far.
    pub(super) sequence: u64,
    /// The newest commit time: it never goes back, whatever the clock does.
    time_ms: u64,
    pub(super) tally: Tally,
}

/// What is known of one ticket.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) row: Option<CountedRow>,
    /// Every shot that ever was this ticket's, by its id.
    pub(super) shots: Vec<CountedShot>,
}

impl Counted {
    /// Whether the ticket was reissued, or took the place of another.
    pub(super) fn is_linked(&self) -> bool {
        let resident = self.row.as_ref().map(|row| &row.resident);
        resident.is_some_and(|row| row.reissued_as.is_some() || !row.previous_numbers.is_empty())
    }
}

/// A ticket's row.
pub(super) struct CountedRow {
    pub(super) resident: Resident,
    /// The event since which it is known.
    pub(super) since: u64,
}

/// A shot as it stands on one ticket.
#[derive(Clone)]
pub(super) struct CountedShot {
    pub(super) shot_id: u64,
    /// The newest event of the shot here.
    pub(super) version: u64,
    pub(super) recorded_at: u64,
    pub(super) entry: Entry,
    /// It was recorded on this ticket.
    pub(super) recorded_here: bool,
    /// All of it, if it was corrected.
    pub(super) corrected: Option<Box<Shot>>,
    /// What the rules said, as far as anybody was told.
    pub(super) warnings: Vec<Warning>,
    pub(super) voided: bool,
    /// The level; 0: it is not confirmed.
    pub(super) confirmed: i32,
    /// The ticket that it went to; 0: it is here.
    pub(super) moved_to: u64,
    /// Held writes that wait, and those that were settled.
    pub(super) waiting: Vec<HeldWrite>,
    pub(super) settled: Vec<u64>,
}

/// What was counted on the way.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) recorded: u64,
    /// Of them, those of which nobody was told.
    pub(super) recorded_untold: u64,
    pub(super) orphans: u64,
    /// Answers that nothing was added.
    pub(super) already: u64,
    pub(super) conflicts: u64,
    /// Answers that nobody got.
    pub(super) unanswered: u64,
    /// Events of killed programs that the next one found, though nobody was told.
    pub(super) found: u64,
    /// Deeds with the clock put back.
    pub(super) clock_back: u64,
    pub(super) registers: u64,
    /// Of them, those behind the first, which fold what was recorded.
    pub(super) folds: u64,
    /// Rows of registers, but for the first.
    pub(super) rows_sent: u64,
    pub(super) rows_added: u64,
    pub(super) rows_changed: u64,
    pub(super) rows_removed: u64,
    pub(super) adopted: u64,
    pub(super) reissues: u64,
    /// What was done to shots, by word, and how it was answered, by word.
    pub(super) acts: BTreeMap<&'static str, u64>,
    pub(super) outcomes: BTreeMap<&'static str, u64>,
    pub(super) settled: u64,
    pub(super) returned: u64,
    pub(super) by_left_ticket: u64,
    pub(super) by_other_ticket: u64,
    pub(super) across_municipalities: u64,
}

impl<'i> Recount<'i> {
    pub(super) fn new(books: &'i [Book], shots: &'i Shots) -> Recount<'i> {
        let (tickets, histories, tally) = (BTreeMap::new(), BTreeMap::new(), Tally::default());
        Recount { books, shots, tickets, histories, sequence: 0, time_ms: 0, tally }
    }

    /// Something was done.
    ///
    /// # Errors
    ///
    /// [`Failed`] if it was answered otherwise than it should have been.
    pub(super) fn apply(&mut self, done: &Done) -> Result<(), Failed> {
        let before = self.sequence;
        self.time_ms = self.time_ms.max(done.time_ms);
        self.tally.clock_back += u64::from(self.time_ms > done.time_ms);
        // Of a deed in whose midst the program was killed, as much happened as the next program found.
        let last = done.found.map_or(u64::MAX, |found| before + found);
        match &done.deed {
            Deed::Register { book, sending, told } => {
                if last > before {
                    let counted = self.register(&self.books[*book], *sending, done);
                    if let Some(told) = told {
                        ensure(same_load(&counted, told), "a register is answered as it was counted", || {
                            format!("{counted:?}\n{told:?}")
                        })?;
                    }
                }
                self.tally.unanswered += u64::from(told.is_none());
            }
            Deed::Reissues { of, told } => {
                for (reissue, told) in of.iter().zip(told) {
                    let counted = self.reissue(*reissue, done);
                    ensure(told.as_ref() == Some(&counted), "a reissue is answered as it was counted", || {
                        format!("{counted:?}\n{told:?}")
                    })?;
                }
            }
            Deed::Shots { entries, told } => {
                let time_ms = self.time_ms;
                self.each(entries, told, last, |recount, entry, told| recount.shot(entry, told, time_ms))?;
            }
            Deed::Acts { asked, told } => {
                let time_ms = self.time_ms;
                self.each(asked, told, last, |recount, asked, told| recount.act(asked, told, time_ms))?;
            }
        }
        if let Some(found) = done.found {
            ensure(self.sequence == before + found, "a killed program leaves what was done, in order", || {
                format!("{} events counted, {found} found", self.sequence - before)
            })?;
            self.tally.found += found;
        }
        Ok(())
    }

    /// Does what was asked for in one call, in its order. Behind the first thing that nobody answered, what adds nothing was answered from what was visible, and
    /// that was not: so it comes before what the next program found of the rest, up to the event `last`.
    fn each<A, T>(
        &mut self,
        asked: &[A],
        told: &[Option<T>],
        last: u64,
        mut act: impl FnMut(&mut Self, &A, Option<&T>) -> Result<(), Failed>,
    ) -> Result<(), Failed> {
        let answered = told.iter().take_while(|told| told.is_some()).count();
        for (index, (asked, told)) in asked.iter().zip(told).enumerate() {
            let before = self.sequence;
            let Some(told) = told else { continue };
            act(self, asked, Some(told))?;
            ensure(index < answered || self.sequence == before, "nothing is acknowledged behind what failed", || {
                index
            })?;
        }
        for (asked, _) in asked.iter().zip(told).filter(|(_, told)| told.is_none()) {
            self.tally.unanswered += 1;
            if self.sequence < last {
                act(self, asked, None)?;
            }
        }
        Ok(())
    }

    /// A register came: its rows are the ledger's from now on, and who is not in it is removed, whatever shots they have.
    fn register(&mut self, book: &Book, sending: u8, done: &Done) -> LoadReport {
        self.sequence += 1;
        let (since, mut report) = (self.sequence, LoadReport { sequence: self.sequence, ..LoadReport::default() });
        let rows: BTreeMap<u64, Resident> =
            book.rows(sending, done.day).map(|(_, number, row)| (book.ticket(number).to_decimal(), row)).collect();
        let missing = self.tickets_of_book(book).filter(|(ticket, _)| !rows.contains_key(ticket));
        let has_other = |row: &Resident| {
            row.previous_numbers.iter().any(|&number| rows.contains_key(&book.ticket(number).to_decimal()))
        };
        let removed: Vec<u64> = missing
            .filter_map(|(ticket, counted)| Some((ticket, &counted.row.as_ref()?.resident)))
            .filter(|(_, row)| row.status() != ResidentStatus::Removed && row.reissued_as.is_none() && !has_other(row))
            .map(|(ticket, _)| ticket)
            .collect();
        for ticket in removed {
            let row = self.tickets.get_mut(&ticket).and_then(|counted| counted.row.as_mut()).expect("it was there");
            row.resident.set_status(ResidentStatus::Removed);
            row.resident.status_date = yyyymmdd(done.day);
            row.since = since;
            report.removed += 1;
        }
        for (ticket, mut resident) in rows {
            report.accepted += 1;
            let counted = self.tickets.entry(ticket).or_default();
            match &mut counted.row {
                None => {
                    report.added += 1;
                    self.tally.adopted += u64::from(!counted.shots.is_empty());
                    counted.row = Some(CountedRow { resident, since });
                }
                Some(row) => {
                    // Registers know nothing of the links between tickets.
                    resident.previous_numbers.clone_from(&row.resident.previous_numbers);
                    resident.reissued_as = row.resident.reissued_as;
                    if row.resident == resident {
                        report.unchanged += 1;
                    } else {
                        report.changed += 1;
                        *row = CountedRow { resident, since };
                    }
                }
            }
        }
        self.tally.registers += 1;
        self.tally.folds += u64::from(sending > 0);
        self.tally.rows_sent += if sending > 0 { report.accepted } else { 0 };
        self.tally.rows_added += report.added;
        self.tally.rows_changed += report.changed;
        self.tally.rows_removed += report.removed;
        report
    }

    /// The tickets of a municipality.
    pub(super) fn tickets_of_book(&self, book: &Book) -> impl Iterator<Item = (u64, &Counted)> {
        let all = book.ticket(0).to_decimal()..=book.ticket(9_999_999_999).to_decimal();
        self.tickets.range(all).map(|(&ticket, counted)| (ticket, counted))
    }

    /// A ticket was lost, and another takes its place.
    fn reissue(&mut self, Reissue { book, place }: Reissue, done: &Done) -> Changed {
        let book = &self.books[book];
        let person = &book.people[place];
        let (_, number) = person.reissued.expect("it was reissued");
        let (old, new) = (person.born.ticket, book.ticket(number));
        self.sequence += 2;
        let before = self.tickets.entry(old.to_decimal()).or_default();
        let row = before.row.as_mut().expect("whose ticket is reissued has a row");
        row.resident.reissued_as = Some(new.number());
        row.since = self.sequence - 1;
        let mut resident = person.row(book.sendings(done.day));
        resident.previous_numbers = vec![old.number()];
        let counted = self.tickets.entry(new.to_decimal()).or_default();
        let outcome = if counted.row.is_none() { ChangeOutcome::Added } else { ChangeOutcome::Changed };
        counted.row = Some(CountedRow { resident, since: self.sequence });
        self.tally.reissues += 1;
        Changed { outcome, sequence: self.sequence }
    }

    /// Takes what the rules said of a shot, if nobody was told before.
    fn take_warnings(&mut self, ticket: u64, shot_id: u64, warnings: &[Warning]) {
        let counted = self.tickets.get_mut(&ticket);
        let Some(shot) = counted.and_then(|counted| counted.shots.iter_mut().find(|shot| shot.shot_id == shot_id))
        else {
            return;
        };
        if shot.warnings == untold() {
            shot.warnings = without_reasons(warnings);
            let events = self.histories.get_mut(&shot_id).into_iter().flatten();
            for said in events.filter_map(|event| event.shot.as_mut()).filter(|said| said.warnings == untold()) {
                said.warnings.clone_from(&shot.warnings);
            }
        }
    }

    /// A shot was handed in: it is there from now on, unless the ticket has its capture id.
    fn shot(&mut self, entry: &Entry, told: Option<&Recorded>, time_ms: u64) -> Result<(), Failed> {
        let counted = self.tickets.entry(entry.ticket.to_decimal()).or_default();
        let offered = self.shots.message(entry);
        let recorded = counted.shots.iter().filter(|shot| shot.recorded_here);
        let mut recorded = recorded.map(|shot| (shot, self.shots.message(&shot.entry)));
        let expected = match recorded.find(|(_, held)| held.capture_id == offered.capture_id) {
            Some((held, content)) => {
                let outcome = if same_content(&content, &offered) {
                    self.tally.already += u64::from(told.is_some());
                    RecordOutcome::AlreadyRecorded
                } else {
                    self.tally.conflicts += u64::from(told.is_some());
                    RecordOutcome::CaptureIdConflict
                };
                let (shot_id, recorded_at_ms) = (held.shot_id, held.recorded_at);
                Recorded { outcome, shot_id, sequence: shot_id, recorded_at_ms, warnings: Vec::new() }
            }
            None => {
                self.sequence += 1;
                self.tally.recorded += 1;
                self.tally.recorded_untold += u64::from(told.is_none());
                let outcome = if counted.row.is_some() {
                    RecordOutcome::Recorded
                } else {
                    self.tally.orphans += 1;
                    RecordOutcome::Orphan
                };
                let (shot_id, warnings) =
                    (self.sequence, told.map_or_else(untold, |told| without_reasons(&told.warnings)));
                counted.shots.push(CountedShot {
                    shot_id,
                    version: shot_id,
                    recorded_at: time_ms,
                    entry: *entry,
                    recorded_here: true,
                    corrected: None,
                    warnings,
                    voided: false,
                    confirmed: 0,
                    moved_to: 0,
                    waiting: Vec::new(),
                    settled: Vec::new(),
                });
                Recorded { outcome, shot_id, sequence: shot_id, recorded_at_ms: time_ms, warnings: Vec::new() }
            }
        };
        let Some(told) = told else { return Ok(()) };
        let same = Recorded { warnings: Vec::new(), ..told.clone() } == expected;
        ensure(same, "a shot is answered as it was counted", || format!("{entry:?}\n{expected:?}\n{told:?}"))?;
        self.take_warnings(entry.ticket.to_decimal(), told.shot_id, &told.warnings);
        Ok(())
    }
}

/// What stands for warnings of which nobody was told.
fn untold() -> Vec<Warning> {
    vec![Warning { days: u32::MAX, ..Warning::default() }]
}

/// Warnings as they are kept: the words are made when they are shown.
pub(super) fn without_reasons(warnings: &[Warning]) -> Vec<Warning> {
    warnings.iter().map(|warning| Warning { reason: String::new(), ..warning.clone() }).collect()
}

/// Whether a load was answered as it was counted, as far as that is counted.
fn same_load(counted: &LoadReport, told: &LoadReport) -> bool {
    let of = |report: &LoadReport| {
        let LoadReport { accepted, added, changed, unchanged, removed, rejected_rows, sequence, .. } = *report;
        (accepted, added, changed, unchanged, removed, rejected_rows, sequence)
    };
    of(counted) == of(told)
}

/// Whether two shots say the same of what was given.
fn same_content(one: &Shot, other: &Shot) -> bool {
    let of = |shot: &Shot| {
        let Shot { date, dose, vaccine, lot, venue, institution, doctor, .. } = shot.clone();
        (date, dose, vaccine, lot, venue, institution, doctor)
    };
    of(one) == of(other)
}
