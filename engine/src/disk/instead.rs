//! A disk on which one directory stands for another: what is written for the one name lies under the other.
//!
//! Owns the exchange of names. A second log is the first one's code on such a disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Disk, File, Map};

/// A disk, and whose names are exchanged on it.
pub(crate) struct Instead {
    pub(crate) disk: Arc<dyn Disk>,
    /// What callers say.
    pub(crate) said: &'static str,
    /// Where it lies.
    pub(crate) lies: &'static str,
}

impl Instead {
    fn lies(&self, path: &Path) -> PathBuf {
        exchanged(path, self.said, self.lies)
    }
}

/// The path with `to` for its first part where that is `from`.
pub(crate) fn exchanged(path: &Path, from: &str, to: &str) -> PathBuf {
    match path.strip_prefix(from) {
        // Joining nothing would end the path with a slash.
        Ok(rest) if rest.as_os_str().is_empty() => to.into(),
        Ok(rest) => Path::new(to).join(rest),
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

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(&self.lies(path))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.disk.create_directory(&self.lies(path))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_directory(&self.lies(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let files = self.disk.list(&self.lies(path))?;
        Ok(files.iter().map(|file| exchanged(file, self.lies, self.said)).collect())
    }

    fn available(&self) -> io::Result<u64> {
        self.disk.available()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.disk.lock(&self.lies(path))
    }
}
