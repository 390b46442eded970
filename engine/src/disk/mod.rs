//! The one seam to the disk: everything the engine asks of a file system, and what it may rely on.
//!
//! Owns the contract. In a build for use [`RealDisk`] is the only user of `std::fs` in the engine; the one other user of files is the key file beside the store.
//!
//! The contract, which every implementation keeps and no caller exceeds:
//!
//! * written bytes survive a crash only after [`File::sync`] of that file returned; until then any part of them may be lost, in sectors of 512 bytes;
//! * a created, linked, renamed or removed name survives only after [`Disk::sync_directory`] of its directory returned;
//! * after a failed `sync` nothing is known of any byte since the last good one, and a repeated `sync` may claim success: never retry it;
//! * a map shows the file's bytes as they are when they are read. Callers read only bytes that will never change again (I3, I5), and never shorten a file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod instead;
#[cfg(miri)]
mod interpreted;
mod map;
mod real;
#[cfg(feature = "simulated-disk")]
mod simulated;

pub use instead::Instead;
pub(crate) use instead::exchanged;
pub use map::Map;
pub(crate) use map::{prefetch, prefetch_value};
pub use real::RealDisk;
#[cfg(feature = "simulated-disk")]
pub use simulated::{Call, Fault, Misdirected, PlannedFault, SimulatedDisk, Unsynced};

/// A file system, as far as the engine reads it. Whoever has no more cannot change a byte. Paths are relative to the store.
pub trait ReadDisk: Send + Sync {
    /// Opens a file that exists.
    ///
    /// # Errors
    ///
    /// `NotFound`, and whatever the machine says.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn ReadFile>>;

    /// Maps the first `length` bytes of a file, read-only.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the file is shorter, and whatever the machine says.
    fn map(&self, path: &Path, length: u64) -> io::Result<Map>;

    /// What a directory holds, in name order; nothing if it does not exist.
    ///
    /// # Errors
    ///
    /// Whatever the machine says.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;

    /// Takes the lock that keeps whoever would write out until the guard is dropped. Others may read meanwhile. Nothing is locked where there is no such file:
    /// nobody has it.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if another process writes.
    fn lock_to_read(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>>;
}

/// A file system, as far as the engine uses one.
pub trait Disk: ReadDisk {
    /// Creates a file that does not exist, for reading and writing.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`, and whatever the machine says.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Opens a file that exists, for reading and writing.
    ///
    /// # Errors
    ///
    /// `NotFound`, and whatever the machine says.
    fn open_to_write(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Gives a file another name, replacing what had it. Durable after both directories were synced.
    ///
    /// # Errors
    ///
    /// Whatever the machine says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name, which nothing has. Both are names of the same bytes from then on, and each is removed by itself.
    ///
    /// # Errors
    ///
    /// `AlreadyExists`, and whatever the machine says: not every file system can.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name. Maps and open files of it stay valid.
    ///
    /// # Errors
    ///
    /// Whatever the machine says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Creates a directory and those above it inside the store, durably. One that exists is left alone.
    ///
    /// # Errors
    ///
    /// Whatever the machine says.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory in which nothing is. After a crash it may be there again.
    ///
    /// # Errors
    ///
    /// Whatever the machine says.
    fn remove_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    ///
    /// Whatever the machine says.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Bytes that can still be written, as far as anybody knows: others write too.
    ///
    /// # Errors
    ///
    /// Whatever the machine says.
    fn available(&self) -> io::Result<u64>;

    /// Takes the lock that keeps other processes out until the guard is dropped.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if another process holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>>;
}

/// An open file, to be read.
pub trait ReadFile: Send + Sync {
    /// Bytes in the file.
    ///
    /// # Errors
    ///
    /// Whatever the machine says.
    fn length(&self) -> io::Result<u64>;

    /// Tells the file from every other that is there: two names of one file have the same.
    ///
    /// # Errors
    ///
    /// Whatever the machine says.
    fn identity(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the file ends before, and whatever the machine says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

/// An open file.
pub trait File: ReadFile {
    /// Writes all of `bytes` at `offset`, extending the file where it must.
    ///
    /// # Errors
    ///
    /// `StorageFull`, and whatever the machine says.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes every byte written so far durable, and the length.
    ///
    /// # Errors
    ///
    /// Whatever the machine says. Never call it again after an error.
    fn sync(&self) -> io::Result<()>;
}
