//! Verifying that nobody has to ask for.
//!
//! Owns when an open store is verified, so that damage is found while snapshots still have what it took; the thread that does it, slowly; and what came of the
//! newest one, whoever asked for it.

use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::verify::{self, Finding, Verified, Verifying, Watcher};
use super::{Shared, lock};
use crate::error::OpenError;
use crate::options::ScrubPolicy;

/// How long an open has time for other things before the first.
const FIRST_AFTER: Duration = Duration::from_secs(60);
/// Findings that are told to the log of the program one by one.
const TOLD_MAX: usize = 20;

/// The newest time that the store was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// When that began, milliseconds since 1970.
    pub at_ms: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What it came to.
    pub verified: Verified,
}

/// What the store remembers of being verified.
#[derive(Default)]
pub(super) struct Scrubs {
    newest: Mutex<Option<Arc<Verification>>>,
    under_way: Mutex<Option<Verifying>>,
    stop: Mutex<bool>,
    stopped: Condvar,
}

impl Scrubs {
    pub(super) fn newest(&self) -> Option<Arc<Verification>> {
        lock(&self.newest).clone()
    }

    pub(super) fn under_way(&self) -> Option<Verifying> {
        *lock(&self.under_way)
    }

    fn is_stopped(&self) -> bool {
        *lock(&self.stop)
    }

    /// Waits; false if there is nothing to wait for any more.
    fn wait(&self, time: Duration) -> bool {
        let stop = lock(&self.stop);
        let waited = self.stopped.wait_timeout_while(stop, time, |stop| !*stop);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Verifies an open store, and remembers what came of it.
pub(super) fn verify(
    shared: &Shared,
    limit: Option<NonZeroU64>,
    watcher: &mut Watcher<'_>,
) -> Result<Option<Verified>, OpenError> {
    let (at_ms, begun) = (shared.platform.environment.now_ms(), Instant::now());
    let scrubs = &shared.scrubs;
    let verified = verify::verify_open(shared, limit, &mut |verifying| {
        *lock(&scrubs.under_way) = Some(verifying);
        watcher(verifying)
    });
    *lock(&scrubs.under_way) = None;
    if let Ok(Some(verified)) = &verified {
        tell(verified);
        let took_ms = begun.elapsed().as_millis() as u64;
        *lock(&scrubs.newest) = Some(Arc::new(Verification { at_ms, took_ms, verified: verified.clone() }));
    }
    verified
}

fn tell(verified: &Verified) {
    for Finding { damage, tickets, .. } in verified.findings.iter().take(TOLD_MAX) {
        let municipality = damage.municipality.map(tracing::field::display);
        let tickets = tickets.map_or("?".to_owned(), |tickets| tickets.to_string());
        tracing::error!(municipality, tickets, "the store is damaged: {damage}");
    }
    let findings = verified.findings.len();
    if findings > TOLD_MAX {
        tracing::error!(findings, "the store is damaged in more places than are told here: ask for its status");
    }
}

/// The thread that verifies.
pub(super) struct Scrubber {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Scrubber {
    /// Starts it, if the store is to be verified without being asked.
    pub(super) fn start(shared: &Arc<Shared>) -> std::io::Result<Scrubber> {
        let mut scrubber = Scrubber { shared: Arc::clone(shared), thread: None };
        let ScrubPolicy { automatic, every, limit } = shared.scrub;
        if automatic {
            let theirs = Arc::clone(shared);
            let thread = std::thread::Builder::new().name("sesshu-scrubber".into());
            scrubber.thread = Some(thread.spawn(move || {
                let mut next = FIRST_AFTER.min(every);
                while theirs.scrubs.wait(next) {
                    scrub(&theirs, limit);
                    next = every;
                }
            })?);
        }
        Ok(scrubber)
    }
}

fn scrub(shared: &Shared, limit: Option<NonZeroU64>) {
    let done = verify(shared, limit, &mut |_| match shared.scrubs.is_stopped() {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    });
    match done {
        Ok(Some(Verified { findings, files, bytes, .. })) => {
            tracing::info!(findings = findings.len(), files, bytes, "the store was verified");
        }
        Ok(None) => {}
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the store could not be verified; it is tried again later");
        }
    }
}

impl Drop for Scrubber {
    fn drop(&mut self) {
        *lock(&self.shared.scrubs.stop) = true;
        self.shared.scrubs.stopped.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported by the panic hook; nothing is lost by it.
            let _ = thread.join();
        }
    }
}
