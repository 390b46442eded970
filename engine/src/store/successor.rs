//! A successor: the next generation of a ledger, built, durable, and not visible yet.
//!
//! Owns its life: built aside from one view, moved into its place, installed by one event and one swap of the view, its predecessor retired. Until then nothing
//! of it is visible, and one that is dropped leaves nothing behind. What goes into it is the business of whoever has it built: a load or a compaction.

use std::io;
use std::path::{Path, PathBuf};

use sesshu_proto::v1::Generation as GenerationMessage;

use super::committer::Committer;
use super::fold::FoldError;
use super::place::Place;
use super::view::View;
use super::{Shared, lock};
use crate::error::{LoadError, OpenError, RecordError};
use crate::frame::Salt;
use crate::generation::{self, BuildError, Builder, Built, Generation, Identity, OpenGenerationError};
use crate::intake::Sender;
use crate::mutation::{Mutation, broken};

/// A generation that waits to be installed. Dropping it ends it without a trace.
pub(super) struct Successor {
    pub(super) place: Place,
    /// Where the generation lies; `None` once the log may name it.
    pub(super) file: Option<PathBuf>,
    /// Where it lies for as long as it is held, if it is: one that is not installed then is held on.
    pub(super) home: Option<PathBuf>,
    pub(super) identity: Identity,
    pub(super) built: Built,
    pub(super) sender: Sender,
}

impl Successor {
    /// Builds the generation behind the ledger's current one: `fill` puts in what it holds, `entries` of them or so, from one view.
    pub(super) fn build<T>(
        place: Place,
        entries: usize,
        sender: Sender,
        fill: impl FnOnce(&View, &mut Builder) -> Result<T, FoldError>,
    ) -> Result<(Successor, T), LoadError> {
        let Place { shared, municipality, .. } = &place;
        let municipality = *municipality;
        let view = shared.view.load_full();
        let ledger = view.ledgers.get(municipality.ordinal());
        let environment = &*shared.platform.environment;
        let identity = Identity {
            store_id: shared.mark.id,
            lookup_key: shared.mark.lookup_key,
            five_digits: municipality.five_digits(),
            generation: ledger.map_or(0, |ledger| ledger.generation_number()) + 1,
            salt: Salt(environment.random_u64().map_err(failed("making a salt for", generation::STAGING))?),
            folded_position: view.end + if broken(Mutation::FoldLaterThanSeen) { 1024 } else { 0 },
        };
        let path = generation::staging_path(municipality, identity.generation);
        let disk = place.disk();
        // One that failed before may have left a file of this name.
        if disk.list(Path::new(generation::STAGING)).is_ok_and(|files| files.contains(&path)) {
            disk.remove(&path).map_err(failed("replacing", &path))?;
        }
        let mut builder = Builder::create(disk, &path, identity).map_err(failed("creating", &path))?;
        builder.reserve(entries);
        let senders = ledger.map_or(Ok(Vec::new()), |ledger| ledger.senders()).map_err(LoadError::Damaged)?;
        builder.sent_before(senders);
        match fill(&view, &mut builder).and_then(|filled| Ok((builder.finish()?, filled))) {
            Ok((built, filled)) => {
                Ok((Successor { place, file: Some(path), home: None, identity, built, sender }, filled))
            }
            Err(error) => {
                // The room is needed more than the half-built file; the error that is reported is the first one.
                let _ = disk.remove(&path);
                Err(match error {
                    FoldError::Stopped => LoadError::Stopped(municipality),
                    FoldError::Damaged(damage) => LoadError::Damaged(damage),
                    FoldError::Key(error) => LoadError::Key(error),
                    FoldError::Build(BuildError::TooLarge) => LoadError::TooLarge(municipality),
                    FoldError::Build(BuildError::Disk(source)) => failed("writing", &path)(source),
                })
            }
        }
    }

    /// Makes the generation visible. Returns the sequence of the event that did.
    pub(super) fn install(mut self) -> Result<u64, LoadError> {
        self.move_file()?;
        let generation = self.open()?;
        if broken(Mutation::DeleteOldGenerationEarly) && self.identity.generation > 1 {
            let before = generation::path(self.place.municipality, self.identity.generation - 1);
            self.place.disk().remove(&before).map_err(failed("removing", before))?;
        }
        let sequence = self.log(generation).inspect_err(|error| {
            if matches!(error, LoadError::Install(RecordError::InDoubt(_))) && !broken(Mutation::WithdrawInDoubt) {
                // The log may name the file.
                self.file = None;
            }
        })?;
        self.file = None;
        self.retire_previous();
        Ok(sequence)
    }

    /// Moves the file to its place.
    fn move_file(&mut self) -> Result<(), LoadError> {
        let (disk, municipality) = (self.place.disk(), self.place.municipality);
        let directory = generation::directory(municipality);
        let path = generation::path(municipality, self.identity.generation);
        disk.create_directory(&directory).map_err(failed("making", &directory))?;
        if disk.list(&directory).map_err(failed("listing", &directory))?.contains(&path) {
            // The file of one that ended in doubt: the log may name it.
            return Err(failed("replacing", &path)(io::ErrorKind::AlreadyExists.into()));
        }
        let from = self.file.as_ref().expect("one that is not installed has a file");
        disk.rename(from, &path).map_err(failed("moving into place", &path))?;
        if broken(Mutation::SkipLedgerDirectorySync) {
            self.file = Some(path);
            return Ok(());
        }
        let synced = disk.sync_directory(&directory).map_err(failed("making durable", &directory));
        self.file = Some(path);
        synced
    }

    fn open(&self) -> Result<Generation, LoadError> {
        let Place { shared, municipality, .. } = &self.place;
        let path = generation::path(*municipality, self.identity.generation);
        let opened = Generation::open(&*shared.platform.disk, *municipality, self.identity, self.built.file_length);
        opened.map_err(|error| match error {
            OpenGenerationError::Damaged(damage) => LoadError::Damaged(damage),
            OpenGenerationError::Newer(_) => unreachable!("this program wrote the file"),
            OpenGenerationError::Disk(source) => LoadError::Disk { doing: "mapping", path, source },
        })
    }

    /// Has the committer log the generation and swap it in. Returns the sequence of the event.
    fn log(&self, generation: Generation) -> Result<u64, LoadError> {
        let message = GenerationMessage {
            municipality: self.identity.five_digits,
            generation: self.identity.generation,
            file_length: self.built.file_length,
            salt: self.identity.salt.0,
            folded_position: self.identity.folded_position,
            blake3: self.built.blake3.to_vec().into(),
            installed_sequence: 0,
            installed_at: 0,
            who: self.sender.who().to_owned(),
            reason: self.sender.reason().to_owned(),
            entries: self.built.entries,
        };
        lock(&self.place.shared.manifest).remember(&message);
        let municipality = self.place.municipality;
        let install = move |shared: &Shared, committer: &mut Committer| {
            committer.install(shared, municipality, generation, message)
        };
        Ok(self.place.shared.control(install)?)
    }

    /// Removes the generation before this one, after a manifest that does not name it. A failure leaves a file that the next open removes.
    fn retire_previous(&self) {
        if self.identity.generation == 1 {
            return;
        }
        let path = generation::path(self.place.municipality, self.identity.generation - 1);
        let removed = self.place.shared.name_what_is_there(false).and_then(|()| {
            let failed = |source| OpenError::Disk { doing: "removing", path: path.clone(), source };
            let removals = &self.place.shared.removals;
            let _nothing_is_linked = (!broken(Mutation::RemoveWhileLinking)).then(|| lock(removals));
            self.place.disk().remove(&path).map_err(failed)
        });
        if let Err(error) = removed {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the superseded generation stays until the next open");
        }
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        let Some(file) = self.file.take().filter(|_| !broken(Mutation::LeaveFailedLoad)) else { return };
        let disk = self.place.disk();
        match &self.home {
            // Where this fails, the next open puts it back.
            Some(home) if *home != file => drop(disk.rename(&file, home)),
            Some(_) => {}
            // Gives the room back; the next open removes what stays.
            None => drop(disk.remove(&file)),
        }
    }
}

/// What went wrong with a file.
pub(super) fn failed<P: AsRef<Path>>(doing: &'static str, path: P) -> impl FnOnce(io::Error) -> LoadError + use<P> {
    let path = path.as_ref().to_owned();
    move |source| LoadError::Disk { doing, path, source }
}
