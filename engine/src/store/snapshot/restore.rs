//! Restoring: a new store from a snapshot, as of its moment or an earlier one of its window.
//!
//! Owns the order of it, and what the new store takes over: generations, the log up to the moment, the whole access log, the data keys. Its files name it and
//! not the store that the snapshot is of, so neither is ever taken for the other's. The snapshot is only read, whatever else goes on with it.
//!
//! | step | what a crash behind it leaves |
//! |---|---|
//! | every file of the snapshot is read, and is what it was | nothing |
//! | its files are copied, durably | files without a `MANIFEST`, which are no store |
//! | the manifest is written | the store |
//! | the store is opened and closed, as always: the first open by others is then short | the store |

use std::path::{Path, PathBuf};
use std::sync::Arc;

use prost::Message as _;
use sesshu_proto::v1::{AccessLog as AccessLogMessage, Generation as GenerationMessage, Manifest, ResidentChange};

use super::super::access::in_its_place;
use super::super::open::{is_free, take_lock};
use super::super::state::identity;
use super::super::{Store, manifest};
use super::contents::{Snapshot, open, reading};
use super::generation_path;
use crate::StoreId;
use crate::disk::{Disk, Instead, RealDisk};
use crate::error::{Damage, OpenError, RestoreError, SnapshotError};
use crate::frame::{flag, kind};
use crate::generation::{self, Identity};
use crate::ledger::Moment;
use crate::log::{self, Copied, Event, Extent, Until};
use crate::mutation::{Mutation, broken};
use crate::options::{CompactionPolicy, Options};
use crate::platform::{Platform, cores};
use crate::ticket::{Municipality, Ticket};

/// What a restore does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreStep {
    /// The snapshot's files are read and checked.
    Verifying,
    /// They are copied.
    Copying,
    /// The new store is opened.
    Opening,
}

/// How far a restore has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restoring {
    /// What it does.
    pub step: RestoreStep,
    /// Bytes of the snapshot's that are done in this step.
    pub bytes: u64,
}

/// A store that was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoredStore {
    /// Names it.
    pub store_id: StoreId,
    /// Its newest event. Of an act of two events it has both or neither.
    pub sequence: u64,
    /// Ledgers of which anything is known.
    pub ledgers: u64,
    /// Register rows.
    pub residents: u64,
    /// Shots.
    pub shots: u64,
}

impl Snapshot {
    /// Makes a new store of it in a directory, which is empty or does not exist, as of `moment`, or of the snapshot's own. `told` hears how far it has come.
    ///
    /// # Errors
    ///
    /// [`RestoreError`].
    pub fn restore(
        &self,
        to: &Path,
        moment: Option<Moment>,
        told: &mut (dyn FnMut(Restoring) + Send),
    ) -> Result<RestoredStore, RestoreError> {
        self.check(&RealDisk::existing(to), cores(), to, moment, told)?;
        let disk = RealDisk::create(to);
        let disk = disk.map_err(|source| RestoreError::Disk { doing: "making", path: to.to_owned(), source })?;
        self.make(Platform::on(Arc::new(disk)), to, moment, told)
    }

    /// As [`Snapshot::restore`], on another platform. `to` names the store in messages.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::restore`].
    pub fn restore_on(
        &self,
        platform: Platform,
        to: &Path,
        moment: Option<Moment>,
        told: &mut (dyn FnMut(Restoring) + Send),
    ) -> Result<RestoredStore, RestoreError> {
        self.check(&*platform.disk, platform.cores(), to, moment, told)?;
        self.make(platform, to, moment, told)
    }

    /// Whether it can be done: the moment is in the window, nothing lies there, and the snapshot is what it was.
    fn check(
        &self,
        disk: &dyn Disk,
        threads: usize,
        to: &Path,
        moment: Option<Moment>,
        told: &mut (dyn FnMut(Restoring) + Send),
    ) -> Result<(), RestoreError> {
        let window = self.window();
        if let Some(asked) = moment.filter(|moment| !window.has(*moment)) {
            return Err(RestoreError::OutsideWindow { asked, window });
        }
        must_be_free(disk, to)?;
        Ok(self.verify_on(threads, &mut summed(RestoreStep::Verifying, told))?)
    }

    /// Makes the store, and opens and closes it once.
    fn make(
        &self,
        platform: Platform,
        to: &Path,
        moment: Option<Moment>,
        told: &mut (dyn FnMut(Restoring) + Send),
    ) -> Result<RestoredStore, RestoreError> {
        let lock = take_lock(&*platform.disk, to)?;
        // Others may have made something there while the snapshot was read; from now on they cannot.
        must_be_free(&*platform.disk, to)?;
        let copied = self.copy_to(&platform, moment, &mut summed(RestoreStep::Copying, told));
        copied.inspect_err(|_| remove_copies(&*platform.disk))?;
        drop(lock);
        told(Restoring { step: RestoreStep::Opening, bytes: self.bytes() });
        let options = Options { create: false, compaction: CompactionPolicy::NEVER, ..Options::default() };
        let (store, _) = Store::open_on(platform, to, options)?;
        let status = store.status();
        let restored = RestoredStore {
            store_id: store.id(),
            sequence: status.sequence,
            ledgers: status.ledgers,
            residents: status.residents,
            shots: status.shots,
        };
        store.close()?;
        Ok(restored)
    }

    /// Copies all files and writes the manifest.
    fn copy_to(
        &self,
        platform: &Platform,
        moment: Option<Moment>,
        told: &mut dyn FnMut(u64),
    ) -> Result<(), RestoreError> {
        let (disk, of) = (&*platform.disk, self.manifest());
        let failed = |source| RestoreError::Disk { doing: "making", path: manifest::PATH.into(), source };
        for directory in [generation::DIRECTORY, generation::STAGING] {
            disk.create_directory(Path::new(directory)).map_err(failed)?;
        }
        let mut id = [0; 16];
        platform.environment.fill(&mut id).map_err(failed)?;
        let store_id = StoreId(id);
        let mut generations = Vec::with_capacity(of.generations.len());
        for generation in &of.generations {
            generations.push(self.copy_generation(disk, store_id, generation)?);
            told(generation.file_length);
        }
        let (sequence, time_ms) = match moment {
            None => (u64::MAX, u64::MAX),
            Some(Moment::Sequence(sequence)) => (sequence, u64::MAX),
            Some(Moment::Time(time_ms)) => (u64::MAX, time_ms),
        };
        let until = Until { sequence, time_ms, are_one_act: &are_one_act };
        let (position, sequence) = (of.log_vouched_position, of.log_vouched_sequence);
        let extent = Extent { first: of.log_first_segment.max(1), position, sequence };
        let copied = log::copy((&*self.disk, self.mark.id), extent, &until, (disk, store_id), told).map_err(of_log)?;
        let access = of.access.map(|access| self.copy_access_log(platform, store_id, access, told)).transpose()?;
        let Copied { position, sequence, segment } = copied;
        let manifest = Manifest {
            store_id: id.to_vec(),
            lookup_key: of.lookup_key.clone(),
            created_at: platform.environment.now_ms(),
            generations,
            log_vouched_position: position,
            log_vouched_sequence: sequence,
            log_segment: segment,
            data_keys: of.data_keys.clone(),
            access,
            log_first_segment: extent.first,
            ..Manifest::default()
        };
        Ok(manifest::create(disk, &manifest)?)
    }

    fn copy_generation(
        &self,
        disk: &dyn Disk,
        store_id: StoreId,
        generation: &GenerationMessage,
    ) -> Result<GenerationMessage, RestoreError> {
        let named = Municipality::from_five_digits(generation.municipality);
        let municipality = named.ok_or_else(|| damage(super::contents::PATH.into(), "a generation of nobody's"))?;
        let (from, to) = (
            generation_path(municipality, generation.generation),
            generation::path(municipality, generation.generation),
        );
        let failed = |source| RestoreError::Disk { doing: "writing", path: to.clone(), source };
        let directory = generation::directory(municipality);
        disk.create_directory(&directory).map_err(failed)?;
        let identity = identity(self.mark, generation);
        let (file, copy) = (open(&*self.disk, &from)?, disk.create(&to).map_err(failed)?);
        if file.length().map_err(reading(&from))? != generation.file_length {
            return Err(damage(from, "the generation has another length").into());
        }
        let new = Identity { store_id, ..identity };
        let copied = generation::copy((&*file, &identity), (&*copy, &new), generation.file_length).map_err(failed)?;
        let blake3 = copied.ok_or_else(|| damage(from, "the generation of another store or ledger"))?;
        disk.sync_directory(&directory).map_err(failed)?;
        Ok(GenerationMessage { blake3: blake3.to_vec().into(), ..generation.clone() })
    }

    fn copy_access_log(
        &self,
        platform: &Platform,
        store_id: StoreId,
        access: AccessLogMessage,
        told: &mut dyn FnMut(u64),
    ) -> Result<AccessLogMessage, RestoreError> {
        let (from, to) = (self.access_disk(), Instead::new(Arc::clone(&platform.disk), log::DIRECTORY, super::ACCESS));
        let extent = Extent { first: 1, position: access.position, sequence: access.sequence };
        let copied = log::copy((&from, self.mark.id), extent, &Until::END, (&to, store_id), told).map_err(in_its_place);
        let Copied { position, sequence, segment } = copied.map_err(of_log)?;
        Ok(AccessLogMessage { position, sequence, segment, closed: false })
    }
}

/// Tells of the sum of what it is told.
fn summed(step: RestoreStep, told: &mut (dyn FnMut(Restoring) + Send)) -> impl FnMut(u64) + Send {
    let mut bytes = 0;
    move |more| {
        bytes += more;
        told(Restoring { step, bytes });
    }
}

/// Whether two events that follow one another are the two of a reassignment, or of a reissue.
fn are_one_act(event: &Event<'_>, next: &Event<'_>) -> bool {
    match (event.header.kind, next.header.kind) {
        (kind::SHOT_REASSIGNED, kind::SHOT_REASSIGNED) => {
            next.header.flags & flag::ARRIVES != 0 && event.header.flags & (flag::ARRIVES | flag::HELD) == 0
        }
        (kind::RESIDENT_CHANGED, kind::RESIDENT_CHANGED) => {
            let [ticket, next_ticket] = [event, next].map(|event| Ticket::from_bits(event.header.ticket_bits).ok());
            let change = ResidentChange::decode(next.message).ok();
            let resident = change.and_then(|change| change.resident);
            let same_ledger = |(a, b): (Ticket, Ticket)| (a.municipality() == b.municipality()).then(|| a.number());
            let number = ticket.zip(next_ticket).and_then(same_ledger);
            number.is_some_and(|number| resident.is_some_and(|row| row.previous_numbers.contains(&number)))
        }
        _ => false,
    }
}

/// Nothing lies where the store is to be.
fn must_be_free(disk: &dyn Disk, to: &Path) -> Result<(), RestoreError> {
    match is_free(disk) {
        Ok(true) => Ok(()),
        Ok(false) => Err(RestoreError::NotEmpty(to.to_owned())),
        Err(source) => Err(RestoreError::Disk { doing: "looking at", path: to.to_owned(), source }),
    }
}

/// Takes back what a restore that failed has copied: nothing else was there. The error that is reported is the first one.
fn remove_copies(disk: &dyn Disk) {
    // Writing the manifest may be what failed, and it may be there all the same: a store, until it is gone for good.
    let manifest = Path::new(manifest::PATH);
    let is_named = disk.list(Path::new("")).map_or(true, |names| names.contains(&manifest.to_owned()));
    if is_named && !broken(Mutation::RemoveNamedCopies) {
        let gone = disk.remove(manifest).and_then(|()| disk.sync_directory(Path::new("")));
        if gone.is_err() {
            return;
        }
    }
    let ledgers = disk.list(Path::new(generation::DIRECTORY)).unwrap_or_default();
    for directory in [log::DIRECTORY, super::ACCESS].map(PathBuf::from).into_iter().chain(ledgers) {
        for file in disk.list(&directory).unwrap_or_default() {
            let _ = disk.remove(&file);
        }
        let _ = disk.remove_directory(&directory);
    }
}

fn damage(file: PathBuf, what: &'static str) -> SnapshotError {
    Damage { file, offset: 0, municipality: None, what }.into()
}

/// Reading a log of the snapshot's failed, or writing its copy.
fn of_log(error: OpenError) -> SnapshotError {
    match error {
        OpenError::Damaged(damage) => damage.into(),
        error => error.into(),
    }
}
