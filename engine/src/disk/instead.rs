//! A disk on which one directory stands for another: what is written for the one name lies under the other.
//!
//! Owns the exchange of names. A second log is the first one's code on such a disk, and so is whatever lies in a directory of its own: the whole disk is then
//! that directory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Disk, File, Map};

/// A disk, and whose names are exchanged on it.
pub struct Instead {
    disk: Arc<dyn Disk>,
    /// What callers say.
    said: PathBuf,
    /// Where it lies.
    lies: PathBuf,
}

impl Instead {
    /// What callers say lies in the directory `said` lies in `lies`.
    pub(crate) fn new(disk: Arc<dyn Disk>, said: impl Into<PathBuf>, lies: impl Into<PathBuf>) -> Instead {
        Instead { disk, said: said.into(), lies: lies.into() }
    }

    /// The directory `path` of a disk, as a disk.
    #[must_use]
    pub fn below(disk: Arc<dyn Disk>, path: &Path) -> Instead {
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

impl Disk for Instead {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.disk.create(&self.lies(path))
    }

    fn open(&self, path: &Path, write: bool) -> io::Result<Arc<dyn File>> {
        self.disk.open(&self.lies(path), write)
    }

    fn map(&self, path: &Path, length: u64) -> io::Result<Map> {
        self.disk.map(&self.lies(path), length)
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

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let files = self.disk.list(&self.lies(path))?;
        Ok(files.iter().map(|file| exchanged(file, &self.lies, &self.said)).collect())
    }

    fn available(&self) -> io::Result<u64> {
        self.disk.available()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.disk.lock(&self.lies(path))
    }
}
