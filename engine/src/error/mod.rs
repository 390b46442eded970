//! What can go wrong, as values: one enum per operation, and for each of its cases what the caller should do about it.
//!
//! Owns the classes of trouble ([`Kind`]) and the description of damage ([`Damage`]). The texts name the operation and the place; the source of an error
//! is its `source`, and is not repeated in its text.

mod whole;

use std::io;
use std::path::PathBuf;

pub use whole::{RepairError, RestoreError, SnapshotError};

use crate::HeldId;
use crate::intake::Fault;
use crate::ticket::Municipality;

/// What the caller should do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ask again later; nothing happened.
    Retry,
    /// The request is at fault; nothing happened.
    Request,
    /// Stored bytes are damaged: look at the place that the error names.
    Repair,
    /// The machine or its disk is at fault: close the store, set it right, open again.
    Restart,
    /// Whether it happened is not known: ask again with the same capture id.
    Unknown,
}

/// Stored bytes that failed a check. Nothing of them is ever returned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: byte {offset}: {what}", file.display())]
pub struct Damage {
    /// The file, relative to the store.
    pub file: PathBuf,
    /// Bytes from the start of the file.
    pub offset: u64,
    /// The ledger whose file it is, if it is one's.
    pub municipality: Option<Municipality>,
    /// Which check failed.
    pub what: &'static str,
}

/// Opening a store, closing it, writing a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no store at the path, and the options do not create one.
    #[error("no store at {}: `load`, `record` and `serve` create one", .0.display())]
    NoStore(PathBuf),
    /// The directory holds other things.
    #[error("{} is not a store: it holds files, but no MANIFEST", .0.display())]
    NotAStore(PathBuf),
    /// Another process has it open.
    #[error("{} is in use by another process{}; stop it, or use --server", .0.display(), .1)]
    InUse(PathBuf, String),
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
    /// Stored bytes are damaged; the store was not opened and not changed.
    #[error("the store is damaged and was not opened; nothing was changed")]
    Damaged(#[from] Damage),
    /// The outside key could not be read or made.
    #[error("opening the store's key")]
    Key(#[from] KeyError),
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

/// The outside key and the data keys that it opens.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key file is not there.
    #[error("the key file {} is missing: My Numbers cannot be sealed or read without it; put it back, or name it with --key-file", .0.display())]
    Missing(PathBuf),
    /// The key file is not a key.
    #[error("{} is not a key: 64 hexadecimal digits are expected", .0.display())]
    Malformed(PathBuf),
    /// It is a key, but of another store.
    #[error("{} is not the key of this store", .0.display())]
    Wrong(PathBuf),
    /// The key file could not be read or written.
    #[error("the key file {}", .0.display())]
    Disk(PathBuf, #[source] io::Error),
    /// A row names a data key that the manifest does not list.
    #[error("a row was sealed with data key {0}, which the manifest does not list: it is damaged")]
    NotListed(u32),
    /// A sealed My Number or data key is not what the key sealed.
    #[error("a sealed value did not open: it is damaged")]
    Unsealed,
}

/// Recording shots.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RecordError {
    /// The queue is full.
    #[error("the queue of shots is full: record again in a moment")]
    QueueFull,
    /// No room for the next log segment.
    #[error("the disk is full: the store is read-only until there is room")]
    DiskFull,
    /// The next log segment, or the manifest, could not be written, for another reason than room. Nothing of the log failed.
    #[error("the log could not go on ({0}): nothing was recorded; record again")]
    Unprepared(String),
    /// An earlier write or sync of the log failed.
    #[error("the log failed ({0}): nothing can be recorded until the store was closed and opened again")]
    Poisoned(String),
    /// The write or sync failed: the shot may or may not survive.
    #[error(
        "the log failed ({0}): the shot may or may not have become durable; record it again with the same capture id"
    )]
    InDoubt(String),
    /// The store is closing.
    #[error("the store is closing")]
    Closed,
    /// Stored bytes that had to be read are damaged.
    #[error("the ticket's stored shots cannot be read")]
    Damaged(#[from] Damage),
}

impl RecordError {
    /// The committer ended by a panic while it had the command.
    pub(crate) fn unanswered() -> RecordError {
        RecordError::InDoubt("the committer ended by a panic".into())
    }

    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            RecordError::QueueFull | RecordError::DiskFull | RecordError::Unprepared(_) => Kind::Retry,
            RecordError::Poisoned(_) | RecordError::Closed => Kind::Restart,
            RecordError::InDoubt(_) => Kind::Unknown,
            RecordError::Damaged(_) => Kind::Repair,
        }
    }
}

/// Changing single rows of a register.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// A change holds a My Number and the key is not there.
    #[error("changing a row with a My Number needs the store's key")]
    Key(#[from] KeyError),
}

/// Changing the store's keys.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The key, old or new, could not be read or made.
    #[error("the store's keys stay as they were")]
    Key(#[from] KeyError),
    /// The new key is the old one.
    #[error("{} holds the key that the store has already: name a file of another key, or one that is not there", .0.display())]
    SameKey(PathBuf),
    /// The new key's file is the old one's.
    #[error("{} is the store's key file: leave out the name to put a new key in its place", .0.display())]
    SameFile(PathBuf),
    /// The store was closed.
    #[error("the store was closed")]
    Closed,
    /// The manifest could not be written: it names the old key or the new one, and both are there.
    #[error("the manifest could not be written; keep both key files, and rotate again")]
    Manifest(#[from] OpenError),
}

/// Looking people up by My Number. There is no answer then.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Nobody said what for.
    #[error("a My Number is looked up for a purpose: say which")]
    NoPurpose,
    /// The key is not there.
    #[error("looking up a My Number needs the store's key")]
    Key(#[from] KeyError),
    /// Stored bytes that had to be read are damaged.
    #[error("a look-up, or a row that it names, cannot be read")]
    Damaged(#[from] Damage),
    /// The access log could not be opened.
    #[error("the access log could not be opened: nothing is answered without it")]
    Open(#[from] OpenError),
    /// No room for the next segment of the access log.
    #[error("the access log could not go on ({0}): nothing is answered without it; make room, and ask again")]
    NoRoom(String),
    /// A write or sync of the access log failed, now or earlier.
    #[error(
        "the access log failed ({0}): nothing is answered without it; look at the disk, close the store and open it again"
    )]
    Failed(String),
}

impl AccessError {
    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            AccessError::NoPurpose | AccessError::Key(_) => Kind::Request,
            AccessError::Damaged(_) | AccessError::Open(OpenError::Damaged(_)) => Kind::Repair,
            AccessError::NoRoom(_) => Kind::Retry,
            AccessError::Open(_) | AccessError::Failed(_) => Kind::Restart,
        }
    }
}

/// Loading a register.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Another load of the municipality is under way, or, for a compaction, another compaction.
    #[error("a load or a compaction of {0} is under way: wait for it, or end it")]
    UnderWay(Municipality),
    /// The number of rows is not the one announced.
    #[error("{taken} rows came where {expected} were announced: nothing was loaded")]
    RowCount {
        /// Rows announced.
        expected: u64,
        /// Rows taken.
        taken: u64,
    },
    /// Not one row could be taken: an empty snapshot is refused.
    #[error("not one row could be loaded: the register of {0} stays as it was")]
    Empty(Municipality),
    /// Whoever asked for it wanted it no longer.
    #[error("the work on {0} was stopped: its ledger stays as it was")]
    Stopped(Municipality),
    /// Rows hold My Numbers and the key is not there.
    #[error("loading needs the store's key")]
    Key(#[from] KeyError),
    /// The ledger outgrew one generation file.
    #[error("the ledger of {0} would be larger than a generation can be")]
    TooLarge(Municipality),
    /// Stored bytes that had to be read are damaged.
    #[error("the ledger's stored entries cannot be read")]
    Damaged(#[from] Damage),
    /// Installing the generation failed.
    #[error("the new generation could not be installed")]
    Install(#[from] RecordError),
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
    /// A row is at fault, where no row may be.
    #[error("the row was refused")]
    Row(#[from] Fault),
}

/// Compacting a ledger. The ledger is then as it was, except after [`RecordError::InDoubt`] of an install, where only opening the store again tells.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// A load of it waits for somebody's word, and fits the generation that it was built on alone.
    #[error("the load {0} of this municipality is held: confirm or discard it, then compact")]
    Held(crate::HeldId),
    /// There is no room for the next generation beside the current one.
    #[error("compacting {municipality} needs {needed} bytes for a while, and the disk has {available}: make room")]
    NoRoom {
        /// Whose ledger.
        municipality: Municipality,
        /// Bytes of the next generation, as far as can be said, and of the reserve.
        needed: u64,
        /// Bytes that the disk has left.
        available: u64,
    },
    /// As a load fails.
    #[error(transparent)]
    Build(#[from] LoadError),
}

/// Confirming or discarding a held load.
#[derive(Debug, thiserror::Error)]
pub enum HeldError {
    /// The text is none.
    #[error("that is not the id of a held load: it reads like 131016-000012-9f3a")]
    NotAnId,
    /// Nobody knows it, or not any more.
    #[error(
        "no load is held as {0}: it was discarded or replaced, or its time ran out; ask for the list of held loads"
    )]
    Unknown(HeldId),
    /// A register was installed as this generation of the ledger or a later one.
    #[error(
        "the held load {0} is void: it was confirmed, or another register was loaded since; load the register again if it is to count"
    )]
    Void(HeldId),
    /// Nobody said anything in time.
    #[error("the time of the held load {0} has run out: load the register again")]
    Expired(HeldId),
    /// Its file is not what was held.
    #[error("the held load {id} is damaged and was not installed: discard it, and load the register again")]
    Damaged {
        /// Which load.
        id: HeldId,
        /// Where.
        #[source]
        damage: Damage,
    },
    /// Installing it failed; it is still held.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Its file could not be removed.
    #[error("discarding the held load {id}")]
    Disk {
        /// Which load.
        id: HeldId,
        /// What the machine said.
        source: io::Error,
    },
}

impl HeldError {
    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            HeldError::NotAnId | HeldError::Unknown(_) | HeldError::Void(_) | HeldError::Expired(_) => Kind::Request,
            HeldError::Damaged { .. } => Kind::Repair,
            HeldError::Load(error) => error.kind(),
            HeldError::Disk { .. } => Kind::Restart,
        }
    }
}

impl CompactError {
    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            CompactError::Held(_) => Kind::Request,
            CompactError::NoRoom { .. } => Kind::Retry,
            CompactError::Build(error) => error.kind(),
        }
    }
}

impl LoadError {
    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            LoadError::UnderWay(_) | LoadError::Stopped(_) => Kind::Retry,
            LoadError::Disk { source, .. } if crate::log::is_full(source) => Kind::Retry,
            LoadError::RowCount { .. } | LoadError::Empty(_) | LoadError::TooLarge(_) | LoadError::Row(_) => {
                Kind::Request
            }
            LoadError::Key(_) | LoadError::Disk { .. } => Kind::Restart,
            LoadError::Damaged(_) => Kind::Repair,
            LoadError::Install(error) => error.kind(),
        }
    }
}
