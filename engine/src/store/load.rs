//! Loading a register: rows in, the next generation of a ledger out.
//!
//! Owns a load's life until its generation is built: rows staged in memory, duplicates found, what it does reported. Until it is installed nothing of it is
//! visible, and a load that is dropped leaves nothing behind.
//!
//! A staged row is its encoded bytes and its sealed My Number in one arena. Loading the largest municipality (3.8 million people) takes some 900 MB of memory.

use std::sync::Arc;

use prost::Message as _;
use sesshu_proto::v1::ResidentStatus;

use super::Store;
use super::fold::{self, Samples, Staged};
use super::key::data_keys;
use super::place::Place;
use super::prints::{Prints, SharedCounts, SharedRows};
use super::successor::{Successor, failed};
use crate::error::LoadError;
use crate::generation;
use crate::intake::{Column, Fault, FaultCode, Remark, Row, Sender};
use crate::keys::DataKey;
use crate::ticket::{Date, Municipality, NUMBER_MAX, Ticket};

/// A load under way. Dropping it ends it without a trace.
pub struct Load {
    place: Place,
    /// The newest data key seals what comes; the others open what was sealed before. Newest last.
    keys: Vec<DataKey>,
    arena: Vec<u8>,
    rows: Vec<Staged>,
    kept: Vec<u64>,
    /// Rows that were rejected and whose ticket number nobody could read.
    unreadable: u64,
    prints: Prints,
    /// Remarks on rows alone.
    remarks: u64,
    sender: Sender,
}

/// A row that the load could not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The row's line in its file, or 0.
    pub line: u64,
    /// Why.
    pub fault: Fault,
}

/// A rejected row's ticket number: its resident stays as the ledger has them.
pub type Kept = u64;

/// What a load did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Rows that are visible now.
    pub accepted: u64,
    /// Of them: tickets that the ledger did not have, had with other content, had with the same.
    pub added: u64,
    /// See `added`.
    pub changed: u64,
    /// See `added`.
    pub unchanged: u64,
    /// Residents whose row was rejected and whose previous version stays.
    pub kept: u64,
    /// Residents whom the register no longer has; marked removed, their shots stay.
    pub removed: u64,
    /// Residents before who were not marked removed.
    pub known: u64,
    /// Rows of the file, rejected ones included, as far as the load was told of them.
    pub rows: u64,
    /// Of them: rejected, by whoever read the file or at commit.
    pub rejected_rows: u64,
    /// Rows that could not be taken at commit: duplicates.
    pub rejected: Vec<Rejected>,
    /// Rows that share a resident number or a My Number with another, by line; the first [`super::SHARED_LISTED_MAX`] of each.
    pub shared: Vec<Remark>,
    /// How many share a resident number, and how many a My Number.
    pub shared_counts: SharedCounts,
    /// Remarks in all: on rows alone, and those that are shared.
    pub remarks: u64,
    /// Some of the tickets that the load is about.
    pub samples: Samples,
    /// The generation that is now the ledger's base.
    pub generation: u64,
    /// The event that made it so.
    pub sequence: u64,
}

impl Store {
    /// Begins to load the register of a municipality.
    ///
    /// # Errors
    ///
    /// [`LoadError::UnderWay`] while another load of it lives; [`LoadError::Key`] without the store's key.
    pub fn load(&self, municipality: Municipality) -> Result<Load, LoadError> {
        let keys = data_keys(&self.shared)?;
        let place = Place::take(&self.shared, municipality)?;
        let prints = Prints::new(&*self.shared.platform.environment)
            .map_err(failed("drawing a number for", generation::STAGING))?;
        Ok(Load {
            place,
            keys,
            arena: Vec::new(),
            rows: Vec::new(),
            kept: Vec::new(),
            unreadable: 0,
            prints,
            remarks: 0,
            sender: Sender::default(),
        })
    }
}

impl Load {
    /// The municipality.
    #[must_use]
    pub fn municipality(&self) -> Municipality {
        self.place.municipality
    }

    /// Says who sends the register, and why: the history of each of its rows keeps it.
    pub fn sent_by(&mut self, sender: Sender) {
        self.sender = sender;
    }

    /// Rows taken so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Takes a row.
    ///
    /// # Errors
    ///
    /// None today: a checked row can be taken. The result leaves room for a staging area that can fail.
    pub fn push(&mut self, row: Row) -> Result<(), LoadError> {
        self.remarks += row.remarks().count() as u64;
        let start = self.arena.len();
        row.resident().encode(&mut self.arena).expect("a vector grows");
        let row_bytes = (self.arena.len() - start) as u32;
        let mut my_number_hash = 0;
        if let Some(my_number) = row.my_number() {
            let ticket = Ticket::new(self.place.municipality, row.number()).expect("a checked row has a ticket number");
            let key = self.keys.last().expect("whoever has the data keys has one");
            self.arena.extend_from_slice(&key.seal(ticket, my_number));
            my_number_hash = key.hash(my_number);
        }
        self.rows.push(Staged {
            number: row.number(),
            line: row.line(),
            start,
            row_bytes,
            sealed_bytes: (self.arena.len() - start) as u32 - row_bytes,
            resident_number_bytes: row.resident().resident_number.len() as u32,
            my_number_hash,
            active: row.resident().status() == ResidentStatus::Active,
            my_number_print: row.my_number().map_or(0, |number| self.prints.of_my_number(number)),
        });
        Ok(())
    }

    /// Says that a row was rejected whose ticket number could be read: its resident stays as the ledger has them.
    pub fn keep(&mut self, number: Kept) {
        self.kept.push(number);
    }

    /// Says that rows were rejected whose ticket number could not be read. They count for [`super::HoldPolicy`], and are none of the rows that are announced.
    pub fn reject(&mut self, rows: u64) {
        self.unreadable += rows;
    }

    /// Builds the generation and makes it visible. `expected_rows`: refuse if another number of rows was taken or kept.
    ///
    /// # Errors
    ///
    /// [`LoadError`]; the ledger is then as it was, except after [`crate::error::RecordError::InDoubt`], where only opening the store again tells.
    pub fn commit(self, expected_rows: Option<u64>) -> Result<LoadReport, LoadError> {
        self.build(expected_rows)?.install()
    }

    /// Builds the generation, durably, and does not make it visible yet: what a load will do can be looked at first. Shots may be recorded meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Load::commit`]; the ledger is as it was.
    pub fn build(self, expected_rows: Option<u64>) -> Result<BuiltLoad, LoadError> {
        let platform = self.place.shared.platform.clone();
        platform.aside(|| self.build_here(expected_rows))
    }

    fn build_here(mut self, expected_rows: Option<u64>) -> Result<BuiltLoad, LoadError> {
        let taken = (self.rows.len() + self.kept.len()) as u64;
        if let Some(expected) = expected_rows.filter(|&expected| expected != taken) {
            return Err(LoadError::RowCount { expected, taken });
        }
        let rejected_before = self.kept.len() as u64 + self.unreadable;
        let rejected = self.reject_duplicates();
        if self.rows.is_empty() {
            return Err(LoadError::Empty(self.place.municipality));
        }
        self.kept.sort_unstable();
        let SharedRows { listed: shared, counts: shared_counts } = self.prints.shared(&self.rows, &self.arena);
        let today = Date::in_japan(self.place.shared.platform.environment.now_ms());
        let Load { place, keys, arena, rows, kept, unreadable, remarks, sender, .. } = self;
        let input = fold::Input { rows: &rows, arena: &arena, kept: &kept, keys: &keys, today };
        let municipality = place.municipality;
        let (next, tally) = Successor::build(place, rows.len(), sender, |view, builder| {
            fold::fold(view, municipality, &input, builder)
        })?;
        let report = LoadReport {
            accepted: tally.accepted,
            added: tally.added,
            changed: tally.changed,
            unchanged: tally.unchanged,
            kept: tally.kept,
            removed: tally.removed,
            known: tally.known,
            rows: taken + unreadable,
            rejected_rows: rejected_before + rejected.len() as u64,
            rejected,
            shared,
            shared_counts,
            remarks: remarks + shared_counts.resident_numbers + shared_counts.my_numbers,
            samples: tally.samples,
            generation: next.identity.generation,
            sequence: 0,
        };
        Ok(BuiltLoad { next, report, folded_sequence: tally.sequence })
    }

    /// Sorts the rows by number and takes out every row whose number another row has too: which of them is right cannot be known here.
    fn reject_duplicates(&mut self) -> Vec<Rejected> {
        self.sort_rows();
        let mut rejected = Vec::new();
        let mut duplicated = Vec::new();
        for same in self.rows.chunk_by(|a, b| a.number == b.number).filter(|same| same.len() > 1) {
            duplicated.push(same[0].number);
            for (at, row) in same.iter().enumerate() {
                let other = same[usize::from(at == 0)].line;
                let reason = format!("the ticket number stands in line {other} too: neither row was taken");
                let fault = Fault::new(Column::Number, FaultCode::DuplicateTicket, reason);
                rejected.push(Rejected { line: row.line, fault });
            }
        }
        self.rows.retain(|row| duplicated.binary_search(&row.number).is_err());
        self.kept.extend(duplicated);
        rejected.sort_by_key(|rejected| rejected.line);
        rejected
    }

    /// Sorts the rows by number, those of one number in the order in which they came. Rows are long, so what is sorted is a word for each: the number and,
    /// below it, the place.
    fn sort_rows(&mut self) {
        let place_bits = u64::BITS - NUMBER_MAX.ilog2() - 1;
        if self.rows.is_sorted_by_key(|row| row.number) || self.rows.len() >> place_bits != 0 {
            return self.rows.sort_by_key(|row| row.number);
        }
        let keys = self.rows.iter().enumerate().map(|(place, row)| row.number << place_bits | place as u64);
        let mut keys: Vec<u64> = keys.collect();
        keys.sort_unstable();
        self.rows = keys.iter().map(|key| self.rows[(key & ((1 << place_bits) - 1)) as usize]).collect();
    }
}

/// A load whose generation is built and not visible. Dropping it ends it without a trace.
pub struct BuiltLoad {
    pub(super) next: Successor,
    pub(super) report: LoadReport,
    /// The newest event that the generation folds.
    pub(super) folded_sequence: u64,
}

impl BuiltLoad {
    /// What installing will do: `sequence` is 0 until then.
    #[must_use]
    pub fn report(&self) -> &LoadReport {
        &self.report
    }

    /// Makes the generation visible.
    ///
    /// # Errors
    ///
    /// As [`Load::commit`].
    pub fn install(self) -> Result<LoadReport, LoadError> {
        let (shared, municipality) = (Arc::clone(&self.next.place.shared), self.next.place.municipality);
        let sequence = self.next.install()?;
        shared.void_held(municipality);
        let report = LoadReport { sequence, ..self.report };
        tracing::info!(%municipality, generation = report.generation, rows = report.accepted, "a register was loaded");
        Ok(report)
    }
}
