//! A machine in memory, on which a store can be opened thousands of times a second.
//!
//! Owns files by name, and the count of the operations that change something. The disk keeps the contract of [`crate::disk`] for a machine whose power never
//! fails, but for one thing: a map shows the file as it was when it was mapped. The clock stands still, and chance is the same every time.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, File, Map, ReadDisk, ReadFile};
use crate::platform::{Environment, Platform};

/// What a store or a log on `disk` stands on: no threads.
pub(super) fn platform(disk: &Arc<MemoryDisk>) -> Platform {
    Platform { disk: disk.clone(), environment: Arc::new(Still::default()), threads: false }
}

/// The same moment and the same chance, every time.
#[derive(Default)]
struct Still(AtomicU64);

impl Environment for Still {
    fn now_ms(&self) -> u64 {
        1_618_190_000_000
    }

    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        for byte in bytes {
            let next = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            *byte = (next.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 56) as u8;
        }
        Ok(())
    }
}

/// Files without a machine.
#[derive(Default)]
pub(super) struct MemoryDisk {
    files: Mutex<BTreeMap<PathBuf, Arc<MemoryFile>>>,
    changes: Arc<AtomicU64>,
}

#[derive(Default)]
struct MemoryFile {
    contents: Mutex<Contents>,
    changes: Arc<AtomicU64>,
}

/// Compared in one go: a loop over bytes is slow where every step is counted.
const ZEROS: [u8; 4096] = [0; 4096];

/// Bytes, and zeros behind them up to the length: a segment is little else.
#[derive(Default)]
struct Contents {
    bytes: Vec<u8>,
    length: usize,
}

impl MemoryDisk {
    /// Puts a file there that has `bytes` and then zeros up to `length`.
    pub(super) fn put(&self, path: impl Into<PathBuf>, bytes: Vec<u8>, length: usize) {
        let contents = Mutex::new(Contents { length: length.max(bytes.len()), bytes });
        self.files().insert(path.into(), Arc::new(MemoryFile { contents, changes: Arc::clone(&self.changes) }));
    }

    /// How many operations have changed something.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// A disk of its own with the same files, on which nothing has changed yet.
    pub(super) fn copy(&self) -> MemoryDisk {
        let copy = MemoryDisk::default();
        for (path, file) in self.files().iter() {
            let contents = file.contents();
            copy.put(path, contents.bytes.clone(), contents.length);
        }
        copy
    }

    /// What was written to a file, without zeros that were only written behind everything else.
    pub(super) fn contents(&self, path: &Path) -> Vec<u8> {
        self.find(path).map(|file| file.contents().bytes.clone()).unwrap_or_default()
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Arc<MemoryFile>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, path: &Path) -> io::Result<Arc<MemoryFile>> {
        self.files().get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }
}

impl ReadDisk for MemoryDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn ReadFile>> {
        Ok(self.find(path)?)
    }

    fn map(&self, path: &Path, length: u64) -> io::Result<Map> {
        let file = self.find(path)?;
        let contents = file.contents();
        if (contents.length as u64) < length {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than it should be"));
        }
        Map::of_bytes(&contents.bytes, length)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let inside = |file: &PathBuf| {
            let below = file.strip_prefix(path).ok()?;
            Some(path.join(below.components().next()?))
        };
        let mut names: Vec<PathBuf> = self.files().keys().filter_map(inside).collect();
        names.dedup();
        Ok(names)
    }

    fn lock_to_read(&self, _path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        Ok(Box::new(()))
    }
}

impl Disk for MemoryDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.change();
        let mut files = self.files();
        if files.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = Arc::new(MemoryFile { changes: Arc::clone(&self.changes), ..MemoryFile::default() });
        files.insert(path.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    fn open_to_write(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(self.find(path)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change();
        let mut files = self.files();
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change();
        let mut files = self.files();
        if files.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = files.get(from).cloned().ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change();
        self.files().remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn create_directory(&self, _path: &Path) -> io::Result<()> {
        self.change();
        Ok(())
    }

    fn remove_directory(&self, _path: &Path) -> io::Result<()> {
        self.change();
        Ok(())
    }

    fn sync_directory(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn available(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn lock(&self, _path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        Ok(Box::new(()))
    }
}

impl MemoryFile {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadFile for MemoryFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.contents().length as u64)
    }

    fn identity(&self) -> io::Result<u64> {
        Ok(std::ptr::from_ref(self).addr() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let contents = self.contents();
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        if at.checked_add(buffer.len()).is_none_or(|end| end > contents.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let written = contents.bytes.get(at..).unwrap_or(&[]);
        let (left, right) = buffer.split_at_mut(written.len().min(buffer.len()));
        left.copy_from_slice(&written[..left.len()]);
        right.fill(0);
        Ok(())
    }
}

impl File for MemoryFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.changes.fetch_add(1, Ordering::Relaxed);
        let mut contents = self.contents();
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        let end = at + bytes.len();
        contents.length = contents.length.max(end);
        if at >= contents.bytes.len() && bytes.chunks(ZEROS.len()).all(|chunk| chunk == &ZEROS[..chunk.len()]) {
            return Ok(());
        }
        if end > contents.bytes.len() {
            contents.bytes.resize(end, 0);
        }
        contents.bytes[at..end].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
