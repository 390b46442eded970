//! What can go wrong with a store as a whole: snapshots, restoring, repairing.

use std::io;
use std::path::PathBuf;

use super::{Damage, Kind, OpenError};
use crate::{Moment, SnapshotName, Window};

/// Making, reading, exporting and deleting snapshots.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The text is no name.
    #[error(
        "a snapshot's name has letters, digits, '.', '_' and '-', at most 64 of them, and begins with a letter or a digit"
    )]
    Name,
    /// There is one.
    #[error("there is a snapshot {0} already: delete it first, or take another name")]
    Exists(SnapshotName),
    /// There is none.
    #[error("there is no snapshot {0}: `snapshot list` shows those that there are")]
    Unknown(SnapshotName),
    /// There is none, or not all of it.
    #[error("{} holds no exported snapshot, or not all of one: export it again, which goes on where that ended", .0.display())]
    NotExported(PathBuf),
    /// It has no such file.
    #[error("the snapshot has no file {}", .0.display())]
    NoFile(PathBuf),
    /// Something else lies where it is exported to.
    #[error("{} holds something else than this snapshot: export to an empty directory", .0.display())]
    NotEmpty(PathBuf),
    /// Somebody else exports to the directory.
    #[error("another process exports to {}: wait for it", .0.display())]
    Busy(PathBuf),
    /// The store was closed.
    #[error("the store was closed")]
    Closed,
    /// A write of the access log failed earlier: how much of it there is only opening the store again tells.
    #[error("the access log failed ({0}): close the store and open it again, then make the snapshot")]
    AccessLog(String),
    /// A newer program wrote it.
    #[error("{file} has format version {found}; this program reads version {known}: use a newer one", file = .file.display())]
    Newer {
        /// The file that says so.
        file: PathBuf,
        /// Its version.
        found: u32,
        /// The program's version.
        known: u32,
    },
    /// A file of it is not what it was.
    #[error("the snapshot is damaged")]
    Damaged(#[from] Damage),
    /// Reading what the store has failed.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The machine failed.
    #[error("{doing} {}", path.display())]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the machine said.
        source: io::Error,
    },
}

impl SnapshotError {
    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            SnapshotError::Name
            | SnapshotError::Exists(_)
            | SnapshotError::Unknown(_)
            | SnapshotError::NotExported(_)
            | SnapshotError::NoFile(_)
            | SnapshotError::NotEmpty(_)
            | SnapshotError::Busy(_)
            | SnapshotError::Newer { .. } => Kind::Request,
            SnapshotError::Damaged(_) | SnapshotError::Store(OpenError::Damaged(_)) => Kind::Repair,
            SnapshotError::Disk { source, .. } if crate::log::is_full(source) => Kind::Retry,
            SnapshotError::Closed
            | SnapshotError::AccessLog(_)
            | SnapshotError::Store(_)
            | SnapshotError::Disk { .. } => Kind::Restart,
        }
    }
}

/// Restoring a store from a snapshot. Where the new store was to be is nothing then, unless only opening it failed.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The moment is not in the snapshot's window.
    #[error("that moment is outside the snapshot's window, which is from sequence {} to {}", window.begin.0, window.end.0)]
    OutsideWindow {
        /// As it was asked for.
        asked: Moment,
        /// Of the snapshot.
        window: Window,
    },
    /// Something lies where the new store is to be.
    #[error("{} is not empty: a store is restored into an empty directory, or into one that does not exist", .0.display())]
    NotEmpty(PathBuf),
    /// The snapshot cannot be read, or is damaged.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The new store could not be opened.
    #[error("the restored store")]
    Open(#[from] OpenError),
    /// The machine failed.
    #[error("{doing} {}", path.display())]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the machine said.
        source: io::Error,
    },
}

/// Repairing a store. What was repaired until then stays so.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// Neither the manifest nor the one before it can be read.
    #[error(
        "neither MANIFEST nor MANIFEST.before can be read, and nothing else says what the store has: name a snapshot of it (--snapshot) or an export (--from), or restore from one"
    )]
    NoManifest,
    /// The manifest that stands in for the store's is older than its log.
    #[error(
        "the log begins behind what that manifest vouches for: what happened between nobody can say; name a newer snapshot of the store, or restore from one"
    )]
    TooOld,
    /// The snapshot is of another store.
    #[error("the snapshot is of the store {snapshot}, and this is {store}: name one of this store's")]
    OfAnotherStore {
        /// The snapshot's.
        snapshot: crate::StoreId,
        /// The damaged one's.
        store: crate::StoreId,
    },
    /// The list of what is gone could not be kept: the store has it in its file `REPAIR`, and tells it the next time.
    #[error(
        "the store is repaired, and the list of what is gone could not be written; repair it again, to another --report"
    )]
    NotKept(#[source] io::Error),
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] OpenError),
}
