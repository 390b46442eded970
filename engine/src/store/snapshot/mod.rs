//! Snapshots: the store at one moment, kept beside it for the price of what has changed since.
//!
//! Owns the directory `snapshots/<name>/`: second names of the files that one view shows, and the file `SNAPSHOT`, which says what they are. Generations and the
//! log's segments never change (I3); of the newest segment the snapshot has the bytes up to its moment, and what is appended later is not its business. A
//! snapshot is there when its file `SNAPSHOT` is: what a crash leaves of one that was being made or deleted is removed by the next open.
//!
//! | file | owns |
//! |---|---|
//! | `create` | making and deleting one, on an open store |
//! | `contents` | the file `SNAPSHOT`; which files there are, and whether they are what they were |
//! | `export` | copying one to another disk, in parts if need be |
//! | `restore` | a new store from one |
//!
//! Reading a snapshot needs no open store and no lock.

mod contents;
mod create;
mod export;
mod name;
mod restore;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use contents::{Snapshot, Window};
pub(super) use create::settle;
pub use export::{Exporting, ReadFile, SnapshotExport};
pub use name::SnapshotName;
pub use restore::{RestoreStep, RestoredStore, Restoring};

use crate::disk::{Instead, ReadDisk, RealDisk};
use crate::error::SnapshotError;
use crate::generation;
use crate::ticket::Municipality;

/// The directory of the snapshots, inside the store.
pub(super) const DIRECTORY: &str = "snapshots";

/// Of the access log, inside the store and inside a snapshot.
const ACCESS: &str = super::access::DIRECTORY;

/// The snapshots of a store, which may be open or not.
#[derive(Clone)]
pub struct Snapshots {
    disk: Arc<dyn ReadDisk>,
}

/// A snapshot in a list.
#[derive(Debug)]
pub struct ListedSnapshot {
    /// Its name.
    pub name: SnapshotName,
    /// What it says of itself, if that can be read.
    pub snapshot: Result<Snapshot, SnapshotError>,
    /// Bytes that would be free without it: neither the store nor another snapshot has them.
    pub own_bytes: u64,
}

impl Snapshots {
    /// Of the store in a directory.
    #[must_use]
    pub fn of(store: &Path) -> Snapshots {
        Snapshots::on(Arc::new(RealDisk::existing(store)))
    }

    /// Of the store on a disk.
    #[must_use]
    pub fn on(disk: Arc<dyn ReadDisk>) -> Snapshots {
        Snapshots { disk }
    }

    /// All of them, oldest first; those that cannot be read come last.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Disk`].
    pub fn list(&self) -> Result<Vec<ListedSnapshot>, SnapshotError> {
        let mut listed = Vec::new();
        for name in self.names()? {
            let snapshot = match self.open(&name) {
                // Being made, or deleted.
                Err(SnapshotError::Unknown(_)) => continue,
                snapshot => snapshot,
            };
            listed.push(ListedSnapshot { name, snapshot, own_bytes: 0 });
        }
        let current = self.current_files()?;
        let files = |listed: &ListedSnapshot| -> Vec<PathBuf> {
            listed.snapshot.iter().flat_map(Snapshot::files).map(|(path, ..)| path).collect()
        };
        let files: Vec<_> = listed.iter().map(files).collect();
        let mut holders = HashMap::<&Path, usize>::new();
        for path in files.iter().flatten() {
            *holders.entry(path).or_default() += 1;
        }
        for (listed, files) in listed.iter_mut().zip(&files) {
            let own = files.iter().filter(|path| holders[&***path] == 1 && !current.contains_key(*path));
            // Whole files: of a segment there is more than the snapshot's part.
            let length = |path: &PathBuf| self.disk.open(&listed.name.directory().join(path))?.length();
            listed.own_bytes = own.filter_map(|path| length(path).ok()).sum();
        }
        let age = |snapshot: &Snapshot| (false, snapshot.created_at_ms(), snapshot.window().end.0);
        listed.sort_by_key(|it| it.snapshot.as_ref().map_or((true, 0, 0), age));
        Ok(listed)
    }

    /// One of them.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`].
    pub fn open(&self, name: &SnapshotName) -> Result<Snapshot, SnapshotError> {
        let disk = Arc::new(Instead::below(Arc::clone(&self.disk), &name.directory()));
        match Snapshot::read(disk)? {
            Some(snapshot) if snapshot.name() == name => Ok(snapshot),
            Some(_) => Err(contents::damage("the snapshot of another name", 0).into()),
            None => Err(SnapshotError::Unknown(name.clone())),
        }
    }

    fn names(&self) -> Result<Vec<SnapshotName>, SnapshotError> {
        let directory = Path::new(DIRECTORY);
        let names = self.disk.list(directory).map_err(failed("listing", directory))?;
        Ok(names.iter().filter_map(|path| SnapshotName::parse(path.file_name()?.to_str()?).ok()).collect())
    }

    /// What the store has now: as a snapshot would name it, and where it lies.
    pub(super) fn current_files(&self) -> Result<HashMap<PathBuf, PathBuf>, SnapshotError> {
        let list = |directory: &Path| self.disk.list(directory).map_err(failed("listing", directory));
        let mut files = HashMap::new();
        for directory in list(Path::new(generation::DIRECTORY))? {
            let name = |file: &PathBuf| {
                let (ledger, file) = (directory.file_name()?.to_str()?, file.file_name()?.to_str()?);
                Some(PathBuf::from(format!("{}/{ledger}-{file}", generation::DIRECTORY)))
            };
            files.extend(list(&directory)?.into_iter().filter_map(|file| Some((name(&file)?, file))));
        }
        for directory in [crate::log::DIRECTORY, ACCESS].map(Path::new) {
            files.extend(list(directory)?.into_iter().map(|file| (file.clone(), file)));
        }
        Ok(files)
    }
}

/// Where a generation lies in a snapshot. One directory for all ledgers: names become durable by directories.
pub(super) fn generation_path(municipality: Municipality, generation: u64) -> PathBuf {
    PathBuf::from(format!("{}/{municipality}-{generation:06}.gen", generation::DIRECTORY))
}

/// What went wrong with a file.
fn failed<P: AsRef<Path>>(doing: &'static str, path: P) -> impl FnOnce(std::io::Error) -> SnapshotError + use<P> {
    let path = path.as_ref().to_owned();
    move |source| SnapshotError::Disk { doing, path, source }
}
