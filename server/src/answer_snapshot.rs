//! What programs read of snapshots and restores.
//!
//! Owns the field names and texts, as `answer` does of everything else.

use serde::Serialize;
use sesshu_engine::{Exporting, RestoredStore};
use sesshu_proto::v1::SnapshotInfo;

use crate::answer::time;

/// What `snapshot create` and `snapshot list` say of a snapshot.
#[derive(Debug, Serialize)]
pub struct SnapshotAnswer {
    /// Its name.
    pub name: String,
    /// Why it is of no use; nothing else is known then.
    pub damage: Option<String>,
    /// When it was made.
    pub created_at: Option<String>,
    /// The store that it is of.
    pub store_id: Option<String>,
    /// Between which events, and times, a store can be restored.
    pub window: Option<WindowAnswer>,
    /// Files.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Bytes that deleting it frees.
    pub own_bytes: u64,
    /// Names the outside key that its My Numbers need.
    pub outside_key: Option<String>,
}

/// From when to when.
#[derive(Debug, Serialize)]
pub struct WindowAnswer {
    /// The first event.
    pub first_sequence: u64,
    /// When it was committed.
    pub first_time: String,
    /// The last event.
    pub last_sequence: u64,
    /// When the snapshot was made.
    pub last_time: String,
}

impl From<SnapshotInfo> for SnapshotAnswer {
    fn from(info: SnapshotInfo) -> SnapshotAnswer {
        let known = info.damage.is_empty();
        let window = WindowAnswer {
            first_sequence: info.first_sequence,
            first_time: time(info.first_time),
            last_sequence: info.last_sequence,
            last_time: time(info.last_time),
        };
        SnapshotAnswer {
            name: info.name,
            created_at: known.then(|| time(info.created_at)),
            store_id: known.then_some(info.store_id),
            window: known.then_some(window),
            files: info.files,
            bytes: info.bytes,
            own_bytes: info.own_bytes,
            outside_key: known.then_some(info.outside_key),
            damage: (!known).then_some(info.damage),
        }
    }
}

/// What `snapshot export` says.
#[derive(Debug, Serialize)]
pub struct ExportAnswer {
    /// The snapshot.
    pub name: String,
    /// Where it lies now.
    pub to: String,
    /// Files.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Of them, bytes that were there already, and are what they should be.
    pub found_bytes: u64,
}

impl ExportAnswer {
    /// Of an export that is whole.
    #[must_use]
    pub fn new(name: String, to: String, done: Exporting) -> ExportAnswer {
        ExportAnswer { name, to, files: done.files, bytes: done.bytes, found_bytes: done.found_bytes }
    }
}

/// What `restore` says.
#[derive(Debug, Serialize)]
pub struct RestoreAnswer {
    /// Where the new store lies.
    pub store: String,
    /// Names the new store.
    pub store_id: String,
    /// The snapshot.
    pub snapshot: String,
    /// The store that it was of.
    pub of_store_id: String,
    /// The new store's newest event.
    pub sequence: u64,
    /// Ledgers of which anything is known.
    pub ledgers: u64,
    /// Register rows.
    pub residents: u64,
    /// Shots.
    pub shots: u64,
    /// Names the outside key that its My Numbers need.
    pub outside_key: String,
    /// Where that key lies, if it was found.
    pub key_file: Option<String>,
}

impl RestoreAnswer {
    /// Of a store that was restored in `store`.
    #[must_use]
    pub fn new(
        store: String,
        snapshot: &sesshu_engine::Snapshot,
        restored: &RestoredStore,
        key_file: Option<String>,
    ) -> RestoreAnswer {
        RestoreAnswer {
            store,
            store_id: restored.store_id.to_string(),
            snapshot: snapshot.name().to_string(),
            of_store_id: snapshot.store_id().to_string(),
            sequence: restored.sequence,
            ledgers: restored.ledgers,
            residents: restored.residents,
            shots: restored.shots,
            outside_key: snapshot.outside_key_id(),
            key_file,
        }
    }
}
