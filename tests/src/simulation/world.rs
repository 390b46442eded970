//! Clock and chance of a run, both from its seed.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sesshu_engine::Environment;

/// 12 April 2021, 09:00 in Japan: milliseconds since 1970.
const BEGIN_MS: u64 = 1_618_185_600_000;

/// A clock that stands still unless it is moved, and random numbers of a seed.
pub(super) struct World {
    now_ms: AtomicU64,
    newest_ms: AtomicU64,
    chance: Mutex<ChaCha8Rng>,
}

impl World {
    /// The world of a seed.
    #[must_use]
    pub(super) fn new(seed: u64) -> World {
        let chance = Mutex::new(ChaCha8Rng::seed_from_u64(seed));
        World { now_ms: AtomicU64::new(BEGIN_MS), newest_ms: AtomicU64::new(BEGIN_MS), chance }
    }

    /// Moves the clock, forward or back.
    pub(super) fn jump(&self, ms: i64) {
        let now = self.now_ms().saturating_add_signed(ms);
        self.now_ms.store(now, Ordering::Relaxed);
        self.newest_ms.fetch_max(now, Ordering::Relaxed);
    }

    /// The latest time that it ever was.
    #[must_use]
    pub(super) fn newest_ms(&self) -> u64 {
        self.newest_ms.load(Ordering::Relaxed)
    }

    /// The day in Japan, YYYYMMDD.
    #[must_use]
    pub(super) fn day(&self) -> u32 {
        let days = (self.now_ms() + 9 * 3_600_000) / 86_400_000;
        let date = sesshu_engine::ticket::Date::from_days_since_epoch(days as i32).expect("a day of the calendar");
        date.yyyymmdd()
    }
}

impl Environment for World {
    fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        self.chance.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
        Ok(())
    }
}
