//! The disk of the machine, below one directory.
//!
//! Owns every call to `std::fs`. `sync` is `fdatasync`: it makes data and length durable, which is all the contract asks for.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{FlockOperation, flock, statvfs};

use super::map::HUGE_PAGE_BYTES;
use super::{Disk, File, Map, ReadDisk, ReadFile};

/// Files below a directory of the machine.
#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
}

impl RealDisk {
    /// Files below `root`, which is created, durably, if it does not exist.
    ///
    /// # Errors
    ///
    /// Whatever the machine says.
    pub fn create(root: &Path) -> io::Result<RealDisk> {
        let missing: Vec<&Path> = root.ancestors().take_while(|path| !path.is_dir()).collect();
        fs::create_dir_all(root)?;
        for path in missing {
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            fs::File::open(parent)?.sync_all()?;
        }
        Ok(RealDisk { root: root.to_owned() })
    }

    /// Files below `root`, which exists.
    #[must_use]
    pub fn existing(root: &Path) -> RealDisk {
        RealDisk { root: root.to_owned() }
    }

    fn path(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }
}

impl ReadDisk for RealDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn ReadFile>> {
        Ok(Arc::new(RealFile::of(fs::File::open(self.path(path))?)))
    }

    fn map(&self, path: &Path, length: u64) -> io::Result<Map> {
        let file = fs::File::open(self.path(path))?;
        if file.metadata()?.len() < length {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than it should be"));
        }
        Map::of(&file, length)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(self.path(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut paths = Vec::new();
        for entry in entries {
            paths.push(path.join(entry?.file_name()));
        }
        paths.sort();
        Ok(paths)
    }

    fn lock_to_read(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let file = match fs::File::open(self.path(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Box::new(())),
            file => file?,
        };
        flock(&file, FlockOperation::NonBlockingLockShared)?;
        Ok(Box::new(Lock(file)))
    }
}

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(self.path(path))?;
        Ok(Arc::new(RealFile::of(file)))
    }

    fn open_to_write(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let file = OpenOptions::new().read(true).write(true).open(self.path(path))?;
        Ok(Arc::new(RealFile::of(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        // The interpreter cannot.
        if cfg!(miri) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        fs::hard_link(self.path(from), self.path(to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(self.path(path))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let parent = path.parent().unwrap_or(Path::new(""));
        if !parent.as_os_str().is_empty() {
            self.create_directory(parent)?;
        }
        match fs::create_dir(self.path(path)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            // Another thread, or a process that was killed, may have made it and not have synced it: sync in either case.
            _ => self.sync_directory(parent),
        }
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(self.path(path))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        fs::File::open(self.path(path))?.sync_all()
    }

    fn available(&self) -> io::Result<u64> {
        let disk = statvfs(&self.root)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(self.path(path))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        // For people who wonder who holds it; the lock itself is the kernel's and ends with the process. Always as long, and a full disk is no obstacle.
        let _ = file.write_all_at(format!("{:>10}\n", std::process::id()).as_bytes(), 0);
        Ok(Box::new(Lock(file)))
    }
}

/// The lock of a store. Closing the file would not always give it back: a child of this process holds every open file until it has begun its
/// own program, and with the file the lock.
struct Lock(fs::File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Nothing to do about a failure: closing the file is the rest.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Bytes of a file that may wait to reach the disk.
const UNSYNCED_BYTES_MAX: usize = 512 << 10;

/// A file that is synced as it grows: the sync of a commit waits for whatever is on its way to the disk, and must not meet all of a long file.
struct RealFile {
    file: fs::File,
    unsynced: AtomicUsize,
}

impl RealFile {
    fn of(file: fs::File) -> RealFile {
        RealFile { file, unsynced: AtomicUsize::new(0) }
    }

    /// Makes the file longer by the whole huge pages of a write at its end, full of zeros. The kernel chooses the pages that a file is held in by the length of
    /// the writes that first touch them, and pieces are shorter than a huge page; but whatever is held in huge pages already stays so.
    fn grow_by_huge_pages(&self, offset: u64, length: usize) -> io::Result<()> {
        let start = offset.next_multiple_of(HUGE_PAGE_BYTES);
        let end = (offset + length as u64) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
        if start >= end || self.length()? > offset {
            return Ok(());
        }
        self.file.set_len(end)?;
        // A hint: where the kernel cannot, small pages serve.
        let _ = Map::hold_in_huge_pages(&self.file, start..end);
        Ok(())
    }
}

impl ReadFile for RealFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn identity(&self) -> io::Result<u64> {
        // A store lies on one file system.
        Ok(self.file.metadata()?.ino())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
}

impl File for RealFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.grow_by_huge_pages(offset, bytes.len())?;
        for (piece, at) in bytes.chunks(UNSYNCED_BYTES_MAX).zip((offset..).step_by(UNSYNCED_BYTES_MAX)) {
            if self.unsynced.fetch_add(piece.len(), Ordering::Relaxed) + piece.len() > UNSYNCED_BYTES_MAX {
                self.sync()?;
                self.unsynced.store(piece.len(), Ordering::Relaxed);
            }
            self.file.write_all_at(piece, at)?;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.unsynced.store(0, Ordering::Relaxed);
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a file that this process maps in huge pages, after all of it was read.
    #[cfg(not(miri))]
    fn huge_page_bytes(path: &Path) -> u64 {
        let file = fs::File::open(path).unwrap();
        let map = Map::of(&file, file.metadata().unwrap().len()).unwrap();
        assert!(map.bytes().iter().step_by(4096).map(|&byte| u64::from(byte)).sum::<u64>() > 0);
        let maps = fs::read_to_string("/proc/self/smaps").unwrap();
        let ours = maps.lines().skip_while(|line| !line.ends_with(path.to_str().unwrap()));
        let kib = ours.filter_map(|line| line.strip_prefix("FilePmdMapped:")).next().unwrap();
        kib.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    #[test]
    #[cfg(not(miri))]
    fn a_long_file_that_is_written_in_pieces_is_mapped_in_huge_pages_like_one_that_is_not() {
        // Beside the program, for what is in memory only may have no huge pages.
        let directory = tempfile::tempdir_in(std::env::current_exe().unwrap().parent().unwrap()).unwrap();
        let bytes = vec![7; 9 << 20];
        let (whole, pieces) = (directory.path().join("whole"), directory.path().join("pieces"));
        fs::write(&whole, &bytes).unwrap();
        let file = RealDisk::existing(directory.path()).create(Path::new("pieces")).unwrap();
        for (chunk, at) in bytes.chunks(4 << 20).zip((0..).step_by(4 << 20)) {
            file.write_at(chunk, at).unwrap();
        }
        file.sync().unwrap();
        assert_eq!(fs::read(&pieces).unwrap(), bytes);
        assert_eq!(huge_page_bytes(&pieces), huge_page_bytes(&whole));
    }

    #[test]
    fn a_lock_is_given_back_while_a_child_still_holds_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let disk = RealDisk::existing(directory.path());
        let path = Path::new("LOCK");
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).open(directory.path().join(path)).unwrap();
        flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
        let childs = file.try_clone().unwrap();
        let lock = Lock(file);
        assert!(disk.lock(path).is_err());
        drop(lock);
        assert!(disk.lock(path).is_ok());
        drop(childs);
    }
}
