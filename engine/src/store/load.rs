//! Loading a register: rows in, the next generation of a ledger out.
//!
//! Owns a load's life: one per municipality at a time; rows staged in memory; duplicates found; the generation built aside, synced, installed by one event
//! and one swap of the view. Until then nothing of it is visible, and a load that is dropped leaves nothing behind.
//!
//! A staged row is its encoded bytes and its sealed My Number in one arena. Loading the largest municipality (3.8 million people) takes some 900 MB of memory.

use std::path::Path;
use std::sync::{Arc, mpsc};

use prost::Message as _;
use sesshu_proto::v1::{Generation as GenerationMessage, ResidentStatus};

use super::fold::{self, Staged, Tally};
use super::{Shared, Store, lock, manifest, now_ms};
use crate::error::{KeyError, LoadError, OpenError, RecordError};
use crate::frame::Salt;
use crate::generation::{self, BuildError, Builder, Built, Generation, Identity, OpenGenerationError};
use crate::intake::{Column, Fault, FaultCode, Row};
use crate::keys::{DataKey, OutsideKey};
use crate::ticket::{Date, Municipality, Ticket};

/// A load under way. Dropping it ends it without a trace.
pub struct Load {
    shared: Arc<Shared>,
    municipality: Municipality,
    key: DataKey,
    arena: Vec<u8>,
    rows: Vec<Staged>,
    kept: Vec<u64>,
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
    /// Rows that could not be taken at commit: duplicates.
    pub rejected: Vec<Rejected>,
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
        let shared = Arc::clone(&self.shared);
        let key = newest_data_key(&shared)?;
        if !lock(&shared.loading).insert(municipality.ordinal()) {
            return Err(LoadError::UnderWay(municipality));
        }
        Ok(Load { shared, municipality, key, arena: Vec::new(), rows: Vec::new(), kept: Vec::new() })
    }
}

impl Load {
    /// The municipality.
    #[must_use]
    pub fn municipality(&self) -> Municipality {
        self.municipality
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
        let start = self.arena.len();
        row.resident().encode(&mut self.arena).expect("a vector grows");
        let row_bytes = (self.arena.len() - start) as u32;
        if let Some(my_number) = row.my_number() {
            let ticket = Ticket::new(self.municipality, row.number()).expect("a checked row has a ticket number");
            self.arena.extend_from_slice(&self.key.seal(ticket, my_number));
        }
        self.rows.push(Staged {
            number: row.number(),
            line: row.line(),
            start,
            row_bytes,
            sealed_bytes: (self.arena.len() - start) as u32 - row_bytes,
            resident_number_bytes: row.resident().resident_number.len() as u32,
            active: row.resident().status() == ResidentStatus::Active,
        });
        Ok(())
    }

    /// Says that a row was rejected whose ticket number could be read: its resident stays as the ledger has them.
    pub fn keep(&mut self, number: Kept) {
        self.kept.push(number);
    }

    /// Builds the generation and makes it visible. `expected_rows`: refuse if another number of rows was taken or kept.
    ///
    /// # Errors
    ///
    /// [`LoadError`]; the ledger is then as it was, except after [`crate::error::RecordError::InDoubt`], where only opening the store again tells.
    pub fn commit(mut self, expected_rows: Option<u64>) -> Result<LoadReport, LoadError> {
        let taken = (self.rows.len() + self.kept.len()) as u64;
        if let Some(expected) = expected_rows.filter(|&expected| expected != taken) {
            return Err(LoadError::RowCount { expected, taken });
        }
        let rejected = self.reject_duplicates();
        if self.rows.is_empty() {
            return Err(LoadError::Empty(self.municipality));
        }
        self.kept.sort_unstable();
        let (built, tally, identity) = self.build()?;
        let path = self.publish_file(identity.generation)?;
        let sequence = open(&self.shared, self.municipality, identity, &built)
            .and_then(|generation| self.install(generation, identity, &built))
            .inspect_err(|error| self.withdraw_file(&path, error))?;
        self.retire_previous(identity.generation);
        tracing::info!(municipality = %self.municipality, generation = identity.generation, rows = tally.accepted, file = %path.display(), "a register was loaded");
        Ok(LoadReport {
            accepted: tally.accepted,
            added: tally.added,
            changed: tally.changed,
            unchanged: tally.unchanged,
            kept: tally.kept,
            removed: tally.removed,
            rejected,
            generation: identity.generation,
            sequence,
        })
    }

    /// Sorts the rows by number and takes out every row whose number another row has too: which of them is right cannot be known here.
    fn reject_duplicates(&mut self) -> Vec<Rejected> {
        self.rows.sort_by_key(|row| row.number);
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

    fn build(&self) -> Result<(Built, Tally, Identity), LoadError> {
        let view = self.shared.view.load_full();
        let ledger = view.ledgers.get(self.municipality.ordinal());
        let identity = Identity {
            store_id: self.shared.store_id,
            five_digits: self.municipality.five_digits(),
            generation: ledger.map_or(0, |ledger| ledger.generation_number()) + 1,
            salt: Salt(crate::random_u64().map_err(self.failed("making a salt for", generation::STAGING))?),
            folded_position: view.end,
        };
        let path = generation::staging_path(self.municipality, identity.generation);
        let disk = &*self.shared.disk;
        // A load that failed before may have left a file of this name.
        if disk.list(Path::new(generation::STAGING)).is_ok_and(|files| files.contains(&path)) {
            disk.remove(&path).map_err(self.failed("replacing", &path))?;
        }
        let mut builder = Builder::create(disk, &path, identity).map_err(self.failed("creating", &path))?;
        let input = fold::Input {
            rows: &self.rows,
            arena: &self.arena,
            kept: &self.kept,
            data_key_id: self.key.id(),
            today: today(),
        };
        let finished =
            fold::fold(&view, self.municipality, &input, &mut builder).and_then(|tally| Ok((builder.finish()?, tally)));
        match finished {
            Ok((built, tally)) => Ok((built, tally, identity)),
            Err(error) => {
                // The room is needed more than the half-built file; the error that is reported is the first one.
                let _ = disk.remove(&path);
                Err(match error {
                    fold::FoldError::Damaged(damage) => LoadError::Damaged(damage),
                    fold::FoldError::Build(BuildError::TooLarge) => LoadError::TooLarge(self.municipality),
                    fold::FoldError::Build(BuildError::Disk(source)) => self.failed("writing", &path)(source),
                })
            }
        }
    }

    /// Moves the built file to its place.
    fn publish_file(&self, number: u64) -> Result<std::path::PathBuf, LoadError> {
        let disk = &*self.shared.disk;
        let directory = generation::directory(self.municipality);
        let path = generation::path(self.municipality, number);
        disk.create_directory(&directory).map_err(self.failed("making", &directory))?;
        if disk.list(&directory).map_err(self.failed("listing", &directory))?.contains(&path) {
            // The file of a load that ended in doubt: the log may name it.
            return Err(self.failed("replacing", &path)(std::io::ErrorKind::AlreadyExists.into()));
        }
        disk.rename(&generation::staging_path(self.municipality, number), &path)
            .map_err(self.failed("moving into place", &path))?;
        disk.sync_directory(&directory).map_err(self.failed("making durable", &directory)).inspect_err(|error| {
            // Under its name it would be in the way of the next attempt.
            self.withdraw_file(&path, error);
        })?;
        Ok(path)
    }

    /// Gives back the room of a generation that was not installed. One that may have been stays: the log may name it.
    fn withdraw_file(&self, path: &Path, error: &LoadError) {
        if !matches!(error, LoadError::Install(RecordError::InDoubt(_))) {
            // The error that is reported is the first one; the next open removes what stays.
            let _ = self.shared.disk.remove(path);
        }
    }

    /// Has the committer log the generation and swap it in.
    fn install(&self, generation: Generation, identity: Identity, built: &Built) -> Result<u64, LoadError> {
        let message = GenerationMessage {
            municipality: identity.five_digits,
            generation: identity.generation,
            file_length: built.file_length,
            salt: identity.salt.0,
            folded_position: identity.folded_position,
            blake3: built.blake3.to_vec().into(),
            installed_sequence: 0,
            installed_at: 0,
        };
        lock(&self.shared.manifest).remember(&message);
        let (sender, receiver) = mpsc::sync_channel(1);
        let municipality = self.municipality;
        self.shared.queue.push_control(Box::new(move |committer| {
            let installed = committer.and_then(|committer| committer.install(municipality, generation, message));
            drop(sender.send(installed));
        }));
        Ok(receiver.recv().unwrap_or_else(|_| Err(RecordError::unanswered()))?)
    }

    /// Removes the generation before `number`, after a manifest that does not name it. A failure leaves a file that the next open removes.
    fn retire_previous(&self, number: u64) {
        if number == 1 {
            return;
        }
        let shared = &self.shared;
        let (sender, receiver) = mpsc::sync_channel(1);
        shared.queue.push_control(Box::new(move |committer| drop(sender.send(committer.map(|c| c.vouched())))));
        let Ok(Ok((vouched, segment))) = receiver.recv() else { return };
        let mut manifest = lock(&shared.manifest);
        let view = shared.view.load_full();
        let previous = generation::path(self.municipality, number - 1);
        let written = manifest.write(&*shared.disk, &view, vouched, segment);
        drop(manifest);
        let removed = written.and_then(|()| {
            let failed = |source| OpenError::Disk { doing: "removing", path: previous.clone(), source };
            shared.disk.remove(&previous).map_err(failed)
        });
        if let Err(error) = removed {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the superseded generation stays until the next open"
            );
        }
    }

    fn failed<P: AsRef<Path>>(
        &self,
        doing: &'static str,
        path: P,
    ) -> impl FnOnce(std::io::Error) -> LoadError + use<P> {
        let path = path.as_ref().to_owned();
        move |source| LoadError::Disk { doing, path, source }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        lock(&self.shared.loading).remove(&self.municipality.ordinal());
    }
}

fn open(
    shared: &Shared,
    municipality: Municipality,
    identity: Identity,
    built: &Built,
) -> Result<Generation, LoadError> {
    let path = generation::path(municipality, identity.generation);
    Generation::open(&*shared.disk, municipality, identity, built.file_length).map_err(|error| match error {
        OpenGenerationError::Damaged(damage) => LoadError::Damaged(damage),
        OpenGenerationError::Disk(source) => LoadError::Disk { doing: "mapping", path, source },
    })
}

fn newest_data_key(shared: &Shared) -> Result<DataKey, LoadError> {
    let path = shared.key.path(&shared.path);
    let outside = OutsideKey::read(&path)?;
    let manifest = lock(&shared.manifest);
    let wrapped = manifest.data_keys.last().ok_or_else(|| KeyError::Missing(manifest::PATH.into()))?;
    Ok(DataKey::unwrap(&outside, wrapped, &path)?)
}

/// Today in Japan, which has had no summer time since 1951.
fn today() -> Date {
    let days = (now_ms() + 9 * 3_600_000) / 86_400_000;
    Date::from_days_since_epoch(days as i32).unwrap_or_else(|_| {
        // A clock outside the calendar's years: the date is a remark, not worth a failed load.
        Date::from_yyyymmdd(20_210_412).expect("a day of the calendar")
    })
}
