//! A disk on which one directory stands for another: what is written for the one name lies under the other.
//!
//! Owns the exchange of names. A second log is the first one's code on such a disk, and so is whatever lies in a directory of its own: the whole disk is then
//! that directory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Disk, File, Map, ReadDisk, ReadFile};

/// A disk, and whose names are exchanged on it. What can only be read stays so.
pub struct Instead<D: ?Sized = dyn Disk> {
    disk: Arc<D>,
    /// What callers say.
    said: PathBuf,
    /// Where it lies.
    lies: PathBuf,
}

impl<D: ReadDisk + ?Sized> Instead<D> {
    /// What callers say lies in the directory `said` lies in `lies`.
    pub(crate) fn new(disk: Arc<D>, said: impl Into<PathBuf>, lies: impl Into<PathBuf>) -> Instead<D> {
        Instead { disk, said: said.into(), lies: lies.into() }
    }

    /// The directory `path` of a disk, as a disk.
    #[must_use]
    pub fn below(disk: Arc<D>, path: &Path) -> Instead<D> {
        Instead::new(disk, "", path)
    }

    fn lies(&self, path: &Path) -> PathBuf {
        exchanged(path, &self.said, &self.lies)
    }
}

/// The path with `to` for its first part where that is `from`.
pub(crate) fn exchanged(path: &Path, from: &Path, to: &Path) -> PathBuf {
    match path.strip_prefix(from) {
        // Joining nothing would end the path with a slash.
        Ok(rest) if rest.as_os_str().is_empty() => to.to_owned(),
        Ok(rest) => to.join(rest),
        Err(_) => path.to_owned(),
    }
}

impl<D: ReadDisk + ?Sized> ReadDisk for Instead<D> {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn ReadFile>> {
        self.disk.open(&self.lies(path))
    }

    fn map(&self, path: &Path, length: u64) -> io::Result<Map> {
        self.disk.map(&self.lies(path), length)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let files = self.disk.list(&self.lies(path))?;
        Ok(files.iter().map(|file| exchanged(file, &self.lies, &self.said)).collect())
    }

    fn lock_to_read(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.disk.lock_to_read(&self.lies(path))
    }
}

impl<D: Disk + ?Sized> Disk for Instead<D> {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.disk.create(&self.lies(path))
    }

    fn open_to_write(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.disk.open_to_write(&self.lies(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(&self.lies(from), &self.lies(to))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.link(&self.lies(from), &self.lies(to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(&self.lies(path))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.disk.create_directory(&self.lies(path))
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_directory(&self.lies(path))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_directory(&self.lies(path))
    }

    fn available(&self) -> io::Result<u64> {
        self.disk.available()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.disk.lock(&self.lies(path))
    }
}
