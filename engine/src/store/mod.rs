//! The store: one log, 1,741 ledgers, and everything that is done with them.
//!
//! Owns the store's life (open, close) and the handle that every operation hangs on. Each operation has a file of its own:
//!
//! | file | owns |
//! |---|---|
//! | `open` | lock, manifest, generations, checkpoint, replay, publish |
//! | `manifest` | the table of contents on disk |
//! | `checkpoint` | the tails on disk |
//! | `ledgers` | which ledgers there are, and their look-ups side by side |
//! | `view` | what one reader sees: match, match_batch, ledgers |
//! | `find`, `my_number`, `provisional`, `access` | people whose ticket is not at hand, or who have none, and who asked for whom |
//! | `key` | the keys, when something needs them |
//! | `state` | what a durable event does to the ledgers, live and at replay |
//! | `record`, `judge`, `queue`, `batch`, `committer`, `pipeline` | the way of a shot to the disk, in this order |
//! | `load`, `prints`, `fold` | the way of a register to a generation |
//! | `place`, `successor` | the next generation of a ledger: who may make it, its life until it is the current one |
//! | `compact`, `compactor` | a ledger's next generation without a register: how, and when nobody asks for it |
//! | `hold`, `held`, `held_file` | registers that wait for somebody's word: when, their life, their files |
//! | `act` | what a single act on a ticket comes to |
//! | `change` | the way of a single row to the log |
//! | `amend`, `locate`, `history`, `select` | a recorded shot that is set right, where it is now, what became of it, and which have something in common |
//! | `upkeep`, `trim` | when checkpoints and manifests are written, and which segments of the log go then |
//! | `snapshot` | the store at one moment, kept beside it, copied elsewhere, made a store again |
//! | `verify`, `scrubber` | every byte read and checked, and what follows from others made again and compared; when nobody asks for it |
//! | `repair` | a damaged store made whole, and what that cost |
//! | `pace` | work that must not be faster than somebody allows |
//! | `file_hash` | what a file is known by |
//! | `status`, `statistics` | what operators ask for |

mod access;
mod act;
mod amend;
mod batch;
mod change;
mod checkpoint;
mod committer;
mod compact;
mod compactor;
mod file_hash;
mod find;
mod fold;
mod held;
mod held_file;
mod history;
mod hold;
mod judge;
mod key;
mod ledgers;
mod load;
mod locate;
mod manifest;
mod my_number;
mod open;
mod pace;
mod pipeline;
mod place;
mod prints;
mod provisional;
mod queue;
mod record;
mod repair;
mod scans;
mod scrubber;
mod select;
mod snapshot;
mod state;
mod statistics;
mod status;
mod successor;
mod trim;
mod upkeep;
mod verify;
mod view;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

pub use access::Access;
pub use amend::{Amended, AmendmentOutcome};
pub use change::{ChangeOutcome, Changed};
pub use checkpoint::CheckpointOutcome;
pub use compact::{Compacted, CompactionForecast, CompactionProgress, Watch};
pub use find::{Found, Within};
pub use fold::Samples;
pub use held::Held;
pub use held_file::HeldId;
pub use history::{PersonHistory, ShotHistory};
pub use hold::{HoldPolicy, HoldReason, LoadOutcome, Share};
pub use key::{ListedKey, Rotated, Rotation};
pub use load::{BuiltLoad, Kept, Load, LoadReport, Rejected};
pub use my_number::{MyNumberQuestion, OpenDataKeys};
pub use open::Opened;
pub use prints::{SHARED_LISTED_MAX, SharedCounts};
pub use record::{Completion, RecordOutcome, Recorded};
pub use repair::{Keep, Loss, RepairWatcher, Repaired, Repairs, repair, repair_on};
pub use scrubber::Verification;
pub use select::ShotsOf;
pub use snapshot::{
    Exporting, ListedSnapshot, ReadFile, RestoreStep, RestoredStore, Restoring, Snapshot, SnapshotExport, SnapshotName,
    Snapshots, Window,
};
pub use statistics::CommitStatistics;
pub use status::Status;
pub use verify::{ClosedStore, Finding, Verified, Verifying, Watcher};
pub use view::{LedgerReader, Match, View, ViewGuard};

use crate::StoreId;
use crate::error::OpenError;
use crate::options::{CompactionPolicy, ScrubPolicy};
use crate::platform::Platform;
use crate::rules::Rules;
use crate::sync::Swap;
use committer::Committer;
use manifest::ManifestFile;
use queue::Queue;
use scans::Scans;
use upkeep::Upkeep;

/// An open store. All methods may be called from any thread.
pub struct Store {
    shared: Arc<Shared>,
    /// The committer's thread, if there is one; it returns what closing came to.
    thread: Mutex<Option<JoinHandle<Result<(), OpenError>>>>,
}

/// What the store's operations share.
pub(crate) struct Shared {
    path: PathBuf,
    platform: Platform,
    mark: manifest::StoreMark,
    /// Where the outside key lies. Held while it is read or changed, since a rotation changes files, manifest and this.
    key: Mutex<PathBuf>,
    view: Swap<Arc<View>>,
    queue: Queue,
    committer: Mutex<Committer>,
    /// How many wait for the committer: a caller who would lead lets them go first.
    waiting: AtomicUsize,
    /// Whoever holds the committer may wait for this, not the other way round.
    manifest: Mutex<ManifestFile>,
    upkeep: Upkeep,
    /// Whoever holds it may wait for the manifest, not the other way round.
    access: Mutex<access::AccessLog>,
    statistics: Mutex<CommitStatistics>,
    /// What shots are warned of.
    rules: Arc<Rules>,
    scans: Mutex<Scans>,
    places: place::Places,
    /// Held by whoever makes or deletes a snapshot.
    snapshots: Mutex<()>,
    /// Held by whoever gives files second names, and by whoever removes files that a view may show. Whoever holds it may wait for the access log, the committer and the manifest.
    removals: Mutex<()>,
    compaction: CompactionPolicy,
    compactions: compactor::Compactions,
    scrub: ScrubPolicy,
    scrubs: scrubber::Scrubs,
    held: Mutex<held::HeldLoads>,
    /// Why the store takes no writes, if it takes none.
    trouble: Mutex<Option<String>>,
    opened: Opened,
    /// Keeps other processes out until the last load has ended too: it writes files.
    _lock: Box<dyn Send + Sync>,
}

impl Store {
    /// What every reader sees from now on until it asks again (I9).
    #[inline]
    #[must_use]
    pub fn view(&self) -> ViewGuard {
        self.shared.view.load()
    }

    /// What opening found and did.
    #[must_use]
    pub fn opened(&self) -> &Opened {
        &self.shared.opened
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Names the store.
    #[must_use]
    pub fn id(&self) -> StoreId {
        self.shared.mark.id
    }

    /// Waits for what is under way, then writes down where the log ends. Later calls do nothing. Dropping the store does the same, but cannot tell of errors.
    ///
    /// # Errors
    ///
    /// [`OpenError::Disk`] if checkpoint or manifest could not be written. Nothing acknowledged is lost: the next open reads the log.
    pub fn close(&self) -> Result<(), OpenError> {
        let was_open = self.shared.queue.close();
        if !self.shared.platform.threads {
            return if was_open { self.shared.end() } else { Ok(()) };
        }
        let Some(thread) = lock(&self.thread).take() else { return Ok(()) };
        if thread.thread().id() == std::thread::current().id() {
            // Called back from the committer, which ends, and closes, when it gets its thread back.
            return Ok(());
        }
        // A panic was reported by the panic hook; recovery will say where the log ends.
        thread.join().unwrap_or(Ok(()))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(store = %self.shared.path.display(), error = &error as &dyn std::error::Error, "closing the store");
        }
    }
}

/// Locks a mutex whose data every holder leaves whole, also when it panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
