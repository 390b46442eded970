//! What a store stands on: a disk, a clock, chance, and threads of its own.
//!
//! Owns the seam that lets a simulation replace the machine: with a seeded [`Environment`], a disk that is a function of its calls, and no threads, a store
//! does the same twice, byte for byte. Everything else gets [`Platform::real`].

use std::io;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::disk::{Disk, RealDisk};
use crate::priority::give_way;

/// The clock and the chance of a machine.
pub trait Environment: Send + Sync {
    /// Milliseconds since 1970. May go back: the store never does.
    fn now_ms(&self) -> u64;

    /// Fills `bytes` with random ones: keys, salts and names are made of them.
    ///
    /// # Errors
    ///
    /// Whatever the machine says.
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()>;

    /// Eight random bytes.
    ///
    /// # Errors
    ///
    /// As [`Environment::fill`].
    fn random_u64(&self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

/// What a store stands on.
#[derive(Clone)]
pub struct Platform {
    /// Its files.
    pub disk: Arc<dyn Disk>,
    /// Clock and chance.
    pub environment: Arc<dyn Environment>,
    /// Whether the store has threads of its own. Without, everything happens on the caller's thread, and what the threads do when nothing else is to be done
    /// happens in [`crate::Store::tick`].
    pub threads: bool,
}

impl Platform {
    /// The machine, and the files below a directory of it that exists.
    #[must_use]
    pub fn real(directory: &Path) -> Platform {
        Platform::on(Arc::new(RealDisk::existing(directory)))
    }

    /// The machine, with another disk.
    #[must_use]
    pub fn on(disk: Arc<dyn Disk>) -> Platform {
        Platform { disk, environment: Arc::new(Machine), threads: true }
    }

    /// How many threads work may be spread over.
    pub(crate) fn cores(&self) -> usize {
        if self.threads { cores() } else { 1 }
    }

    /// Does long work that gives way to commits, on a thread of its own, and returns when it is done. Without threads: here and now.
    pub(crate) fn aside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        if !self.threads {
            return work();
        }
        let done = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    give_way();
                    work()
                })
                .join()
        });
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// How many threads the machine runs at a time.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Does the same with each of many things, in any order, on so many threads that give way to others; the results are in the order of the things. The first error
/// ends it.
pub(crate) fn side_by_side<T: Sync, R: Send, E: Send>(
    threads: usize,
    things: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    if threads < 2 {
        return things.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let run = || {
        give_way();
        let mut done = Vec::new();
        while let Some((at, thing)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, things.get(at)?)))
        {
            let result = work(thing);
            // The others may end.
            if result.is_err() {
                next.store(things.len(), Ordering::Relaxed);
            }
            done.push((at, result));
        }
        done
    };
    let mut done: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let done = workers.into_iter().map(|worker| worker.join());
        done.flat_map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The machine that the program runs on.
struct Machine;

impl Environment for Machine {
    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        getrandom::fill(bytes).map_err(io::Error::other)
    }
}
