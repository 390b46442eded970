//! Compactions that nobody has to ask for.
//!
//! Owns when a ledger is due, so that the log, and with it the time of a recovery, stays bounded; and the thread that does it, slowly, one ledger after another. A
//! ledger that cannot be compacted now is left for a while. Closing the store stops the one that is under way, which loses nothing.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::view::View;
use super::{Compacted, Shared, compact, lock};
use crate::error::{CompactError, LoadError};
use crate::ledger::Ledger;
use crate::options::CompactionPolicy;
use crate::priority::give_way;
use crate::ticket::Municipality;

/// How often it is looked what is due.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long a ledger that could not be compacted is left alone.
const LEAVE_ALONE_MS: u64 = 10 * 60 * 1000;

/// What the store remembers of compactions.
#[derive(Default)]
pub(super) struct Compactions {
    /// Ordinals of ledgers that could not be compacted, and until when they are left alone, in milliseconds since 1970.
    left_alone: Mutex<HashMap<usize, u64>>,
    /// The newest one, whoever asked for it, and when it ended.
    newest: Mutex<Option<(u64, Compacted)>>,
    stop: Mutex<bool>,
    stopped: Condvar,
}

impl Compactions {
    /// A ledger was compacted.
    pub(super) fn done(&self, at_ms: u64, compacted: &Compacted) {
        *lock(&self.newest) = Some((at_ms, compacted.clone()));
    }

    pub(super) fn newest(&self) -> Option<(u64, Compacted)> {
        lock(&self.newest).clone()
    }

    fn stop(&self) {
        *lock(&self.stop) = true;
        self.stopped.notify_one();
    }

    fn is_stopped(&self) -> bool {
        *lock(&self.stop)
    }

    /// Waits for the next look; false if there is none.
    fn wait(&self) -> bool {
        let stop = lock(&self.stop);
        let waited = self.stopped.wait_timeout_while(stop, LOOK_EVERY, |stop| !*stop);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The thread that compacts.
pub(super) struct Compactor {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Compactor {
    /// Starts it, if the store is to be compacted without being asked.
    pub(super) fn start(shared: &Arc<Shared>) -> std::io::Result<Compactor> {
        let mut compactor = Compactor { shared: Arc::clone(shared), thread: None };
        if shared.compaction.automatic {
            let theirs = Arc::clone(shared);
            let thread = std::thread::Builder::new().name("sesshu-compactor".into());
            compactor.thread = Some(thread.spawn(move || {
                give_way();
                while theirs.compactions.wait() {
                    while compact_next(&theirs) {}
                }
            })?);
        }
        Ok(compactor)
    }
}

impl Drop for Compactor {
    fn drop(&mut self) {
        self.shared.compactions.stop();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported by the panic hook; a ledger that is not compacted loses nothing.
            let _ = thread.join();
        }
    }
}

/// Compacts the ledger that is most due, and removes the log that nothing needs then. False: none is due, or nothing can be done.
pub(super) fn compact_next(shared: &Arc<Shared>) -> bool {
    let now_ms = shared.platform.environment.now_ms();
    lock(&shared.compactions.left_alone).retain(|_, until| *until > now_ms);
    let Some(municipality) = most_due(shared, now_ms) else { return false };
    let limit = shared.compaction.limit;
    let stopped = || shared.compactions.is_stopped();
    let done = compact::compact(shared, municipality, limit, &mut |_| match stopped() {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    });
    match done {
        Ok(_) => {}
        Err(CompactError::Build(LoadError::Stopped(_))) => return false,
        // The store was closed while the last entry was folded.
        Err(_) if stopped() => return false,
        Err(error) => {
            let is_news = !matches!(error, CompactError::Held(_) | CompactError::Build(LoadError::UnderWay(_)));
            let error = &error as &dyn std::error::Error;
            if is_news {
                tracing::warn!(%municipality, error, "a ledger could not be compacted; it is tried again later");
            } else {
                tracing::debug!(%municipality, error, "a ledger is compacted later");
            }
            let until_ms = shared.platform.environment.now_ms() + LEAVE_ALONE_MS;
            lock(&shared.compactions.left_alone).insert(municipality.ordinal(), until_ms);
        }
    }
    if most_due(shared, now_ms).is_some() {
        return !stopped();
    }
    if let Err(error) = shared.checkpoint() {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the log could not be shortened; it is tried again later"
        );
    }
    false
}

/// Of the ledgers that are due, the one with the oldest event that is not folded.
fn most_due(shared: &Shared, now_ms: u64) -> Option<Municipality> {
    if lock(&shared.trouble).is_some() {
        return None;
    }
    let view = shared.view.load_full();
    let left_alone = lock(&shared.compactions.left_alone);
    let due = view.ledgers.iter().filter(|ledger| !left_alone.contains_key(&ledger.municipality.ordinal()));
    let due = due.filter(|ledger| is_due(&shared.compaction, ledger, &view, now_ms));
    due.min_by_key(|ledger| ledger.tail.oldest()).map(|ledger| ledger.municipality)
}

fn is_due(policy: &CompactionPolicy, ledger: &Ledger, view: &View, now_ms: u64) -> bool {
    let Some(oldest) = ledger.tail.oldest() else { return false };
    let events = ledger.tail.counts().events;
    let entries = ledger.generation.as_ref().map_or(0, |generation| generation.counters().entries);
    let is_long = events >= policy.tail_events && events > entries * u64::from(policy.tail_percent) / 100;
    // Damage is told to whoever asks for the ticket, and to whoever compacts.
    let since_ms = || view.horizon.segments.event(oldest).map_or(now_ms, |event| event.header.time_ms);
    is_long
        || view.end.saturating_sub(oldest) > policy.log_bytes
        || now_ms.saturating_sub(since_ms()) > policy.age.as_millis() as u64
}
