//! How far verifying has come, and how fast it may go.

use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use super::super::{lock, pace};
use super::{Ended, Verifying, Watcher};

/// Counts the bytes of all threads.
pub(in crate::store) struct Meter<'w> {
    watcher: Mutex<&'w mut Watcher<'w>>,
    limit: Option<NonZeroU64>,
    started: Instant,
    bytes: AtomicU64,
    expected: AtomicU64,
    ended: AtomicBool,
}

impl<'w> Meter<'w> {
    /// At most `limit` bytes a second, if there is a limit.
    pub(in crate::store) fn new(limit: Option<NonZeroU64>, watcher: &'w mut Watcher<'w>) -> Meter<'w> {
        Meter {
            watcher: Mutex::new(watcher),
            limit,
            started: Instant::now(),
            bytes: AtomicU64::new(0),
            expected: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        }
    }

    pub(super) fn expect(&self, bytes: u64) {
        self.expected.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// So many bytes more were read. Waits, if that was too fast.
    pub(super) fn add(&self, bytes: u64) -> ControlFlow<()> {
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.tell()?;
        pace::keep(self.limit, self.started, bytes, &mut || self.tell())
    }

    /// As [`Meter::add`], for work that ends when it is asked next.
    pub(super) fn count(&self, bytes: u64) {
        let _ = self.add(bytes);
    }

    /// As [`Meter::add`], for work that ends by an error.
    pub(super) fn read(&self, bytes: u64) -> Result<(), Ended> {
        if self.add(bytes).is_break() { Err(Ended) } else { Ok(()) }
    }

    fn tell(&self) -> ControlFlow<()> {
        let bytes = self.bytes();
        let told = Verifying { bytes, bytes_expected: self.expected.load(Ordering::Relaxed).max(bytes) };
        if self.ended.load(Ordering::Relaxed) || lock(&self.watcher)(told).is_break() {
            self.ended.store(true, Ordering::Relaxed);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}
