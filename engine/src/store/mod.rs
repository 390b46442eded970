//! The store: one log, 1,741 ledgers, and everything that is done with them.
//!
//! Owns the store's life (open, close) and the handle that every operation hangs on. Each operation has a file of its own:
//!
//! | file | owns |
//! |---|---|
//! | `open` | lock, manifest, generations, replay, publish |
//! | `manifest` | the table of contents on disk |
//! | `view` | what one reader sees: match, match_batch, ledgers |
//! | `state` | what a durable event does to the ledgers, live and at replay |
//! | `queue`, `committer`, `record` | the way of a shot to the disk |
//! | `load`, `fold` | the way of a register to a generation |
//! | `status` | what operators ask for |

mod committer;
mod fold;
mod load;
mod manifest;
mod open;
mod queue;
mod record;
mod state;
mod status;
mod view;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;

pub use load::{Kept, Load, LoadReport, Rejected};
pub use open::Opened;
pub use record::{Completion, RecordOutcome, Recorded};
pub use status::Status;
pub use view::{LedgerReader, Match, View, ViewGuard};

use crate::StoreId;
use crate::disk::Disk;
use crate::error::OpenError;
use crate::options::KeyLocation;
use committer::Ended;
use manifest::ManifestFile;
use queue::Queue;

/// An open store. All methods may be called from any thread.
pub struct Store {
    shared: Arc<Shared>,
    committer: Mutex<Option<JoinHandle<Ended>>>,
}

/// What the store's operations share.
pub(crate) struct Shared {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    store_id: StoreId,
    key: KeyLocation,
    view: ArcSwap<View>,
    queue: Queue,
    manifest: Mutex<ManifestFile>,
    /// Ordinals of the municipalities that are being loaded.
    loading: Mutex<HashSet<usize>>,
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
        self.shared.store_id
    }

    /// Waits for what is under way, then writes down where the log ends. Later calls do nothing. Dropping the store does the same, but cannot tell of errors.
    ///
    /// # Errors
    ///
    /// [`OpenError::Disk`] if the manifest could not be written. Nothing acknowledged is lost: the next open reads the log.
    pub fn close(&self) -> Result<(), OpenError> {
        self.shared.queue.close();
        let Some(committer) = lock(&self.committer).take() else { return Ok(()) };
        let Ok(Ended { vouched, segment, intact }) = committer.join() else { return Ok(()) };
        if !intact {
            // The end of the log is not known; only recovery may say what it is.
            return Ok(());
        }
        let view = self.shared.view.load_full();
        lock(&self.shared.manifest).write(&*self.shared.disk, &view, vouched, segment)
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

/// Milliseconds since 1970.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // 48 bits last until the year 10889.
    u64::try_from(since.as_millis()).unwrap_or(0).min((1 << 48) - 1)
}
