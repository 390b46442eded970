//! Upkeep: what a store does for itself beside the commits.
//!
//! Owns when a checkpoint or a manifest is due, the thread that writes them, and what is written when a store is closed. Both are written from a view, while
//! shots go on being recorded. A failure costs nothing but time at the next open; it is told once and tried again later.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::checkpoint::{self, Captured};
use super::compactor;
use super::{Shared, Store, lock};
use crate::error::OpenError;
use crate::limits::CHECKPOINT_LOG_BYTES;
use crate::mutation::{Mutation, broken};

/// What the committer tells of, and what is due.
#[derive(Default)]
pub(super) struct Upkeep {
    wanted: Mutex<Wanted>,
    changed: Condvar,
    /// A checkpoint is due when the log reaches this position.
    checkpoint_at: AtomicU64,
    /// The newest segment that a manifest names.
    named_segment: AtomicU64,
    /// Commit time of the newest event in the newest checkpoint, milliseconds since 1970; 0 if there is none.
    checkpoint_time_ms: AtomicU64,
    /// Held by whoever writes a checkpoint.
    writing: Mutex<()>,
}

#[derive(Default)]
struct Wanted {
    look: bool,
    stop: bool,
}

impl Upkeep {
    /// Of a store whose newest checkpoint is at `checkpoint`, as of `time_ms`, and whose manifest names log segment `segment`.
    pub(super) fn new(checkpoint: u64, time_ms: u64, segment: u64) -> Upkeep {
        let upkeep = Upkeep::default();
        upkeep.checkpoint_at.store(checkpoint + CHECKPOINT_LOG_BYTES, Ordering::Relaxed);
        upkeep.named_segment.store(segment, Ordering::Relaxed);
        upkeep.checkpoint_time_ms.store(time_ms, Ordering::Relaxed);
        upkeep
    }

    /// Commit time of the newest event in the newest checkpoint, milliseconds since 1970; 0 if there is none.
    pub(super) fn checkpoint_time_ms(&self) -> u64 {
        self.checkpoint_time_ms.load(Ordering::Relaxed)
    }

    /// Takes note of how far the log has come.
    pub(super) fn look(&self, end: u64, segment: u64) {
        if self.checkpoint_is_due(end) || self.segment_is_new(segment) {
            lock(&self.wanted).look = true;
            self.changed.notify_one();
        }
    }

    fn checkpoint_is_due(&self, end: u64) -> bool {
        end >= self.checkpoint_at.load(Ordering::Relaxed)
    }

    fn segment_is_new(&self, segment: u64) -> bool {
        segment > self.named_segment.load(Ordering::Relaxed)
    }

    fn stop(&self) {
        lock(&self.wanted).stop = true;
        self.changed.notify_one();
    }

    /// Waits until something may be due; false if nothing is to be done any more.
    fn wait(&self) -> bool {
        let mut wanted = lock(&self.wanted);
        while !wanted.look && !wanted.stop {
            wanted = self.changed.wait(wanted).unwrap_or_else(PoisonError::into_inner);
        }
        wanted.look = false;
        !wanted.stop
    }
}

/// The thread that keeps a store up.
pub(super) struct Keeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(super) fn start(shared: &Arc<Shared>) -> std::io::Result<Keeper> {
        let theirs = Arc::clone(shared);
        let thread = std::thread::Builder::new().name("sesshu-keeper".into()).spawn(move || {
            while theirs.upkeep.wait() {
                theirs.keep();
            }
        })?;
        Ok(Keeper { shared: Arc::clone(shared), thread: Some(thread) })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.upkeep.stop();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported by the panic hook; a missing checkpoint loses nothing.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Does what is due.
    fn keep(&self) {
        self.expire_held();
        let view = self.view.load_full();
        let segment = view.horizon.segments.newest();
        let done = if self.upkeep.checkpoint_is_due(view.end) {
            self.checkpoint()
        } else if self.upkeep.segment_is_new(segment) {
            // From now on something vouches for the segment: it cannot go missing unnoticed.
            self.name_what_is_there(false)
        } else {
            Ok(())
        };
        if let Err(error) = done {
            tracing::warn!(error = &error as &dyn std::error::Error, "upkeep failed; it is tried again later");
            self.upkeep.checkpoint_at.store(view.end + CHECKPOINT_LOG_BYTES, Ordering::Relaxed);
            self.upkeep.named_segment.store(segment, Ordering::Relaxed);
        }
    }

    /// Writes a checkpoint of this moment, unless there is one.
    pub(super) fn checkpoint(&self) -> Result<(), OpenError> {
        let _writing = lock(&self.upkeep.writing);
        if lock(&self.manifest).is_closed() {
            // The last manifest names what is there now.
            return Ok(());
        }
        let captured = {
            let committer = self.committer();
            if committer.has_failed() {
                // I7; and what recovery will find is its own to say.
                return Ok(());
            }
            Captured::of(self.view.load_full(), committer.state())
        };
        if lock(&self.manifest).checkpoint().is_some_and(|newest| newest.position == captured.view.end) {
            return self.trim_log();
        }
        let disk = &*self.platform.disk;
        let written = checkpoint::write(disk, self.mark.id, &captured)?;
        // Large tails are written less often: no more is written for checkpoints than for the log itself.
        let next = captured.view.end + CHECKPOINT_LOG_BYTES.max(written.file_length);
        let before = lock(&self.manifest).name_checkpoint(written);
        self.name_what_is_there(false)?;
        self.upkeep.checkpoint_at.store(next, Ordering::Relaxed);
        self.upkeep.checkpoint_time_ms.store(captured.view.time_ms, Ordering::Relaxed);
        if let Some(before) = before {
            let path = checkpoint::path(before.position);
            disk.remove(&path).map_err(|source| OpenError::Disk { doing: "removing", path, source })?;
        }
        self.trim_log()
    }

    /// Writes the manifest.
    pub(super) fn name_what_is_there(&self, closed: bool) -> Result<(), OpenError> {
        let mut manifest = lock(&self.manifest);
        let view = self.view.load_full();
        let written = manifest.write(&*self.platform.disk, &view, closed);
        drop(manifest);
        let path = super::manifest::PATH.into();
        written.map_err(|source| OpenError::Disk { doing: "writing", path, source })?;
        self.upkeep.named_segment.store(view.horizon.segments.newest(), Ordering::Relaxed);
        Ok(())
    }

    /// Writes down where the log ends. Nothing is under way, and nothing will come.
    pub(super) fn end(&self) -> Result<(), OpenError> {
        {
            let mut committer = lock(&self.committer);
            if committer.wants_mark() {
                committer.mark(self);
            }
            if committer.has_failed() && !broken(Mutation::CloseAfterFailure) {
                // The end of the log is not known; only recovery may say what it is.
                return Ok(());
            }
            committer.show_end(self);
        }
        self.close_access_log();
        // Without a checkpoint the next open takes longer, and loses nothing.
        let checkpoint = self.checkpoint();
        self.name_what_is_there(true)?;
        checkpoint
    }
}

impl Store {
    /// Writes a checkpoint: the next open reads the log from here, and segments before it that no ledger needs are removed. The store does so by itself after
    /// every 64 MiB of log and when it is closed.
    ///
    /// # Errors
    ///
    /// [`OpenError::Disk`], or damage that was met. Nothing is lost by it: the next open reads more of the log.
    pub fn checkpoint(&self) -> Result<(), OpenError> {
        self.shared.checkpoint()
    }

    /// What the threads of a store do when nothing else is to be done, for a store that has none (see [`crate::Platform`]): vouches for the last batch,
    /// writes the checkpoint or manifest that is due, and compacts the ledger that is.
    pub fn tick(&self) {
        {
            let mut committer = lock(&self.shared.committer);
            if committer.wants_mark() {
                committer.mark(&self.shared);
            }
            if committer.has_failed() {
                return;
            }
        }
        self.shared.keep();
        if self.shared.compaction.automatic {
            compactor::compact_next(&self.shared);
        }
    }
}
