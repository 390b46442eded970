//! A machine whose clock and chance come from a seed.
//!
//! Owns the deterministic platform of the tests: without threads, a store on it writes the same bytes every time. No call takes a moment of its clock but
//! those that ask what time it is.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sesshu_engine::disk::RealDisk;
use sesshu_engine::{Environment, Options, Platform, Store};

use crate::Place;

/// 12 April 2021, 09:00 in Japan: milliseconds since 1970.
const BEGIN_MS: u64 = 1_618_185_600_000;

/// A clock that goes on by a second whenever it is looked at, and random numbers of a seed.
pub struct Seeded {
    now_ms: AtomicU64,
    chance: Mutex<ChaCha8Rng>,
}

impl Seeded {
    /// The machine of a seed, just switched on.
    #[must_use]
    pub fn of(seed: u64) -> Arc<Seeded> {
        let chance = Mutex::new(ChaCha8Rng::seed_from_u64(seed));
        Arc::new(Seeded { now_ms: AtomicU64::new(BEGIN_MS), chance })
    }

    /// What a store below `directory` stands on: no threads.
    #[must_use]
    pub fn platform(self: &Arc<Seeded>, directory: &Path) -> Platform {
        let disk = Arc::new(RealDisk::existing(directory));
        let environment: Arc<dyn Environment> = Arc::<Seeded>::clone(self);
        Platform { disk, environment, threads: false }
    }

    /// Opens the store in `place`, or makes it.
    pub fn open(self: &Arc<Seeded>, place: &Place) -> Store {
        std::fs::create_dir_all(place.path()).expect("a directory for the store");
        let opened = Store::open_on(self.platform(&place.path()), &place.path(), Options::default());
        opened.expect("the store opens").0
    }
}

impl Environment for Seeded {
    fn now_ms(&self) -> u64 {
        self.now_ms.fetch_add(1000, Ordering::Relaxed)
    }

    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        self.chance.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
        Ok(())
    }
}
