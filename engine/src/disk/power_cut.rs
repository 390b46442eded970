//! A disk whose power can be cut, and that fails when it is told to: a test fixture (feature `power-cut`).
//!
//! Owns the faults, and the order of operations: one after another, so that "after the k-th" means something. The program works on a directory of the
//! machine, as on its page cache, through [`RealDisk`]: reads, maps and the lock are the real thing. What of it is durable is the platter's business; real
//! syncs are not made. [`PowerCutDisk::platter_to`] writes what the machine would find into another directory, to be opened there.
//!
//! An *operation* changes something: create, write, sync, rename, remove, create or sync a directory. A cut between two reads is the same as one before them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::platter::{FileId, Platter};
use super::{Disk, File, Map, RealDisk, Unsynced};

/// Files below a directory, as a program sees them, and what of them would survive a power cut.
pub struct PowerCutDisk {
    cache: RealDisk,
    machine: Arc<Mutex<Machine>>,
}

#[derive(Default)]
struct Machine {
    platter: Platter,
    operations: u64,
    /// The number of operations after which nothing works any more.
    stop_at: Option<u64>,
    /// So many syncs from now, the last of which fails.
    fail_sync: Option<u64>,
    /// So many writes from now, the last of which fails.
    fail_write: Option<u64>,
    full: bool,
    /// Syncs and writes that failed because they were told to.
    faults: u64,
}

impl PowerCutDisk {
    /// What is below `root`, all of it durable. The directory is made if it does not exist.
    ///
    /// # Errors
    ///
    /// Whatever the machine says.
    pub fn on(root: &Path) -> io::Result<PowerCutDisk> {
        let cache = RealDisk::create(root)?;
        let mut platter = Platter::default();
        find(&cache, Path::new(""), &mut platter)?;
        let machine = Machine { platter, ..Machine::default() };
        Ok(PowerCutDisk { cache, machine: Arc::new(Mutex::new(machine)) })
    }

    /// Operations so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        lock(&self.machine).operations
    }

    /// After `count` more operations every one fails and nothing more becomes durable; 0: from now on.
    pub fn stop_after(&self, count: u64) {
        let mut machine = lock(&self.machine);
        machine.stop_at = Some(machine.operations + count);
    }

    /// Works again after [`PowerCutDisk::stop_after`]. The power was never cut: only the program was ended, and the next one sees everything that it wrote.
    pub fn resume(&self) {
        lock(&self.machine).stop_at = None;
    }

    /// Whether it has stopped.
    #[must_use]
    pub fn stopped(&self) -> bool {
        lock(&self.machine).stopped()
    }

    /// The `count`-th sync of a file or directory from now fails: 1 is the next one. What it should have made durable never will be, and later syncs
    /// succeed without it.
    pub fn fail_sync(&self, count: u64) {
        lock(&self.machine).fail_sync = Some(count);
    }

    /// The `count`-th write from now fails with `StorageFull`, half done: 1 is the next one.
    pub fn fail_write(&self, count: u64) {
        lock(&self.machine).fail_write = Some(count);
    }

    /// While the disk is full, every write that would extend a file fails with `StorageFull`.
    pub fn set_full(&self, full: bool) {
        lock(&self.machine).full = full;
    }

    /// Takes back every fault that has not come yet.
    pub fn heal(&self) {
        let mut machine = lock(&self.machine);
        (machine.fail_sync, machine.fail_write, machine.full) = (None, None, false);
    }

    /// Syncs and writes that failed so far because they were told to.
    #[must_use]
    pub fn faults(&self) -> u64 {
        lock(&self.machine).faults
    }

    /// Writes into the new directory `root` what the machine would find if the power were cut now, or when the disk stopped.
    ///
    /// # Errors
    ///
    /// Whatever the machine says.
    pub fn platter_to(&self, root: &Path, unsynced: Unsynced) -> io::Result<()> {
        let disk = RealDisk::create(root)?;
        let machine = lock(&self.machine);
        machine.platter.directories().try_for_each(|directory| disk.create_directory(directory))?;
        for (path, bytes) in machine.platter.after_power_cut(unsynced) {
            disk.create(&path)?.write_at(&bytes, 0)?;
        }
        Ok(())
    }

    fn running(&self) -> io::Result<MutexGuard<'_, Machine>> {
        let machine = lock(&self.machine);
        if machine.stopped() { Err(no_power()) } else { Ok(machine) }
    }

    fn file(&self, real: Arc<dyn File>, id: FileId) -> Arc<dyn File> {
        Arc::new(PowerCutFile { real, id, machine: Arc::clone(&self.machine) })
    }
}

impl Machine {
    fn stopped(&self) -> bool {
        self.stop_at.is_some_and(|at| self.operations >= at)
    }
}

/// The machine, for one operation.
fn operate(machine: &Mutex<Machine>) -> io::Result<MutexGuard<'_, Machine>> {
    let mut machine = lock(machine);
    if machine.stopped() {
        return Err(no_power());
    }
    machine.operations += 1;
    Ok(machine)
}

/// Counts a fault down; whether it is due.
fn due(fault: &mut Option<u64>) -> bool {
    *fault = fault.map(|count| count.saturating_sub(1));
    fault.take_if(|count| *count == 0).is_some()
}

fn lock(machine: &Mutex<Machine>) -> MutexGuard<'_, Machine> {
    machine.lock().unwrap_or_else(PoisonError::into_inner)
}

fn no_power() -> io::Error {
    io::Error::other("the disk has no power")
}

/// Takes what a directory holds for durable.
fn find(disk: &RealDisk, directory: &Path, platter: &mut Platter) -> io::Result<()> {
    for path in disk.list(directory)? {
        if disk.list(&path).is_ok() {
            platter.create_directory(&path);
            find(disk, &path, platter)?;
        } else {
            let file = disk.open(&path, false)?;
            let mut bytes = vec![0; file.length()? as usize];
            file.read_at(&mut bytes, 0)?;
            platter.found(&path, bytes);
        }
    }
    Ok(())
}

impl Disk for PowerCutDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut machine = operate(&self.machine)?;
        let real = self.cache.create(path)?;
        Ok(self.file(real, machine.platter.create(path)))
    }

    fn open(&self, path: &Path, write: bool) -> io::Result<Arc<dyn File>> {
        let machine = self.running()?;
        let real = self.cache.open(path, write)?;
        Ok(self.file(real, machine.platter.id(path).ok_or(io::ErrorKind::NotFound)?))
    }

    fn map(&self, path: &Path, length: u64) -> io::Result<Map> {
        let _machine = self.running()?;
        self.cache.map(path, length)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut machine = operate(&self.machine)?;
        self.cache.rename(from, to)?;
        machine.platter.rename(from, to);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut machine = operate(&self.machine)?;
        self.cache.remove(path)?;
        machine.platter.remove(path);
        Ok(())
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut machine = operate(&self.machine)?;
        self.cache.create_directory(path)?;
        machine.platter.create_directory(path);
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut machine = operate(&self.machine)?;
        if due(&mut machine.fail_sync) {
            machine.faults += 1;
            machine.platter.lose_names(path);
            return Err(io::Error::other("the sync of a directory failed"));
        }
        machine.platter.sync_directory(path);
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let _machine = self.running()?;
        self.cache.list(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let _machine = self.running()?;
        self.cache.lock(path)
    }
}

struct PowerCutFile {
    real: Arc<dyn File>,
    id: FileId,
    machine: Arc<Mutex<Machine>>,
}

impl File for PowerCutFile {
    fn length(&self) -> io::Result<u64> {
        if lock(&self.machine).stopped() { Err(no_power()) } else { self.real.length() }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if lock(&self.machine).stopped() { Err(no_power()) } else { self.real.read_at(buffer, offset) }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut machine = operate(&self.machine)?;
        let at = usize::try_from(offset).map_err(io::Error::other)?;
        let extends = at + bytes.len() > machine.platter.length(self.id);
        let fails = due(&mut machine.fail_write) || (machine.full && extends);
        let bytes = if fails { &bytes[..bytes.len() / 2] } else { bytes };
        machine.faults += u64::from(fails);
        self.real.write_at(bytes, offset)?;
        machine.platter.write(self.id, at, bytes);
        if fails { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        let mut machine = operate(&self.machine)?;
        if due(&mut machine.fail_sync) {
            machine.faults += 1;
            machine.platter.lose(self.id);
            return Err(io::Error::other("the sync of a file failed"));
        }
        machine.platter.sync(self.id);
        Ok(())
    }
}
