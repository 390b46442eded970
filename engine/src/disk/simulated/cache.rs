//! The page cache of a simulated machine: a directory of the real one, so that maps are real maps.
//!
//! Owns what a running program sees. It is never synced; what of it would survive is for [`super::platter`]. A file that a power cut changes gets a new
//! inode, so that maps of a program that is no more keep showing what they showed.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::contents::{Sparse, zero};
use super::platter::Platter;
use crate::disk::{Disk as _, Map, ReadDisk as _, RealDisk};

pub(super) struct Cache {
    root: PathBuf,
    real: RealDisk,
}

impl Cache {
    /// The directory `root`, which is made if it does not exist.
    pub(super) fn on(root: &Path) -> io::Result<Cache> {
        fs::create_dir_all(root)?;
        Ok(Cache { root: root.to_owned(), real: RealDisk::existing(root) })
    }

    /// Takes what is there for durable.
    pub(super) fn find(&self, directory: &Path, platter: &mut Platter) -> io::Result<()> {
        for path in self.real.list(directory)? {
            if self.root.join(&path).is_dir() {
                platter.create_directory(&path);
                self.find(&path, platter)?;
            } else {
                platter.found(&path, &fs::read(self.root.join(&path))?);
            }
        }
        Ok(())
    }

    pub(super) fn create(&self, path: &Path) -> io::Result<fs::File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(self.root.join(path))
    }

    pub(super) fn open(&self, path: &Path) -> io::Result<fs::File> {
        OpenOptions::new().read(true).write(true).open(self.root.join(path))
    }

    pub(super) fn map(&self, path: &Path, length: u64) -> io::Result<Map> {
        self.real.map(path, length)
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.real.rename(from, to)
    }

    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        self.real.remove(path)
    }

    pub(super) fn create_directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(self.root.join(path))
    }

    pub(super) fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.real.remove_directory(path)
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.real.list(path)
    }

    /// Puts these bytes under a name, in a new file.
    pub(super) fn replace(&self, path: &Path, contents: &Sparse) -> io::Result<()> {
        self.clear(path)?;
        fill(&self.create(path)?, contents)
    }

    /// Gives a file a second name, which nothing has.
    pub(super) fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.real.link(from, to)
    }

    /// As [`Cache::link`]; whatever had the name has it no more.
    pub(super) fn link_instead(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.clear(to)?;
        self.link(from, to)
    }

    /// Removes what has a name, if anything has.
    fn clear(&self, path: &Path) -> io::Result<()> {
        match self.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Makes the file under a name show these bytes, in maps that exist too.
    pub(super) fn refresh(&self, path: &Path, contents: &Sparse) -> io::Result<()> {
        let file = self.open(path)?;
        let held = contents.pages().map(|(offset, _)| offset).collect::<std::collections::HashSet<_>>();
        let length = file.metadata()?.len() as usize;
        for offset in (0..length).step_by(4096).filter(|offset| !held.contains(offset)) {
            file.write_all_at(&[0; 4096][..4096.min(length - offset)], offset as u64)?;
        }
        fill(&file, contents)
    }
}

fn fill(file: &fs::File, contents: &Sparse) -> io::Result<()> {
    if file.metadata()?.len() < contents.length() as u64 {
        file.set_len(contents.length() as u64)?;
    }
    contents.pages().try_for_each(|(offset, bytes)| file.write_all_at(bytes, offset as u64))
}

/// Writes; zeros behind the end of a file of `length` bytes are a hole, which costs nothing.
pub(super) fn write(file: &fs::File, length: usize, bytes: &[u8], offset: usize) -> io::Result<()> {
    if offset >= length && zero(bytes) {
        return if bytes.is_empty() { Ok(()) } else { file.set_len((offset + bytes.len()) as u64) };
    }
    file.write_all_at(bytes, offset as u64)
}
