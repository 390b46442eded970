//! A simulated disk: a test fixture (feature `simulated-disk`).
//!
//! Owns the machine: programs start on it and are killed, its power is cut, its bits rot. It keeps what was synced; of what was not, a power cut keeps a part
//! that a seed draws, torn at sectors of 512 bytes, names of files included. Everything it does is a function of its seed and of the calls.
//!
//! | file | owns |
//! |---|---|
//! | `calls` | what a program's calls do, and what a fault makes of them |
//! | `faults` | which call meets which fault |
//! | `cache` | what the running program sees: a directory of the real machine, so that maps are real maps |
//! | `platter`, `contents` | what is durable, in memory: names; bytes |
//! | `trace` | a digest of all calls |
//! | `draw` | numbers from a seed |
//!
//! An *operation* is a call that changes something: create, write, sync, link, rename, remove, create, remove or sync a directory. A crash between two others is the same
//! as one before them.

mod cache;
mod calls;
mod contents;
mod draw;
mod faults;
mod platter;
#[cfg(test)]
mod tests;
mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use faults::{Call, Fault, PlannedFault};
pub use platter::Unsynced;

use super::Disk;
use cache::Cache;
use calls::Program;
use draw::Draw;
use faults::Faults;
use platter::{FileId, Platter};
use trace::Trace;

/// A sector that went elsewhere: file and offset in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misdirected {
    /// Where it should have gone; the old bytes are still there.
    pub from: (PathBuf, u64),
    /// What it overwrote; nothing if there was no other place.
    pub to: Option<(PathBuf, u64)>,
}

/// Files below a directory, as a program sees them, and what of them would survive a power cut.
pub struct SimulatedDisk {
    machine: Arc<Mutex<Machine>>,
}

struct Machine {
    cache: Cache,
    platter: Platter,
    faults: Faults,
    trace: Trace,
    draw: Draw,
    calls: u64,
    operations: u64,
    /// The number of operations after which nothing works any more.
    stop_at: Option<u64>,
    /// How many programs have ended. Handles of an earlier one do nothing.
    incarnation: u64,
    locks: BTreeSet<PathBuf>,
    misdirected: Vec<Misdirected>,
    damaged: BTreeSet<PathBuf>,
}

impl SimulatedDisk {
    /// What is below `root`, all of it durable. The directory is made if it does not exist.
    ///
    /// # Errors
    ///
    /// Whatever the real machine says.
    pub fn on(root: &Path, seed: u64) -> io::Result<SimulatedDisk> {
        let cache = Cache::on(root)?;
        let mut platter = Platter::default();
        cache.find(Path::new(""), &mut platter)?;
        let machine = Machine {
            cache,
            platter,
            faults: Faults::default(),
            trace: Trace::default(),
            draw: Draw(seed),
            calls: 0,
            operations: 0,
            stop_at: None,
            incarnation: 0,
            locks: BTreeSet::new(),
            misdirected: Vec::new(),
            damaged: BTreeSet::new(),
        };
        Ok(SimulatedDisk { machine: Arc::new(Mutex::new(machine)) })
    }

    /// The disk as the program that runs now sees it. After [`SimulatedDisk::kill`] or [`SimulatedDisk::cut`] it does nothing any more: mount again.
    #[must_use]
    pub fn mount(&self) -> Arc<dyn Disk> {
        let incarnation = lock(&self.machine).incarnation;
        Arc::new(Program { machine: Arc::clone(&self.machine), incarnation })
    }

    /// Calls so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        lock(&self.machine).calls
    }

    /// Operations so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        lock(&self.machine).operations
    }

    /// After `count` more operations every call fails and nothing more becomes durable; 0: from now on.
    pub fn stop_after(&self, count: u64) {
        let mut machine = lock(&self.machine);
        machine.stop_at = Some(machine.operations + count);
    }

    /// Whether it has stopped.
    #[must_use]
    pub fn stopped(&self) -> bool {
        lock(&self.machine).stopped()
    }

    /// The program is killed, now or where the disk stopped. The next one sees everything that this one wrote, but a power cut may still take what was not
    /// synced.
    pub fn kill(&self) {
        let mut machine = lock(&self.machine);
        machine.end();
        machine.trace.note("killed");
    }

    /// The machine drops from its cache what a failed sync has left there: from now on reads and maps show what the platter has.
    ///
    /// # Errors
    ///
    /// Whatever the real machine says.
    pub fn evict(&self) -> io::Result<()> {
        let mut machine = lock(&self.machine);
        let machine = &mut *machine;
        let names = machine.platter.names().clone();
        for (path, id) in names {
            if machine.platter.file(id).stale() {
                let seen = machine.platter.file_mut(id).evict();
                machine.cache.refresh(&path, &seen)?;
            }
        }
        machine.trace.note("evicted");
        Ok(())
    }

    /// The power is cut, now or where the disk stopped, and comes back.
    ///
    /// # Errors
    ///
    /// Whatever the real machine says.
    pub fn cut(&self, unsynced: Unsynced) -> io::Result<()> {
        let mut machine = lock(&self.machine);
        let machine = &mut *machine;
        machine.end();
        let before = machine.platter.names().clone();
        let unchanged = |id: &&usize| !machine.platter.file(**id).unsynced();
        let unchanged: BTreeSet<usize> = before.values().filter(unchanged).copied().collect();
        let renumbered = machine.platter.cut(unsynced);
        let after = machine.platter.names();
        for path in before.keys().filter(|path| !after.contains_key(*path)) {
            machine.cache.remove(path)?;
        }
        machine.platter.directories().try_for_each(|directory| machine.cache.create_directory(directory))?;
        let stays = |path: &Path, id: FileId| {
            let was = before.get(path).filter(|was| unchanged.contains(was));
            was.and_then(|was| renumbered.get(was)) == Some(&id)
        };
        // A file of two names is one file in the cache too.
        let (there, new): (Vec<_>, Vec<_>) = after.iter().partition(|&(path, &id)| stays(path, id));
        let mut there: BTreeMap<FileId, &PathBuf> = there.into_iter().map(|(path, &id)| (id, path)).collect();
        for (path, &id) in new {
            match there.get(&id) {
                Some(other) => machine.cache.link_instead(other, path)?,
                None => machine.cache.replace(path, machine.platter.file(id).durable())?,
            }
            there.entry(id).or_insert(path);
        }
        machine.name_damaged();
        machine.trace.note(format_args!("power cut, {unsynced:?}"));
        Ok(())
    }

    /// Writes into the new directory `root` what the machine would find if the power were cut now, or when the disk stopped.
    ///
    /// # Errors
    ///
    /// Whatever the real machine says.
    pub fn platter_to(&self, root: &Path, unsynced: Unsynced) -> io::Result<()> {
        let cache = Cache::on(root)?;
        let mut platter = lock(&self.machine).platter.clone();
        platter.cut(unsynced);
        platter.directories().try_for_each(|directory| cache.create_directory(directory))?;
        platter.names().iter().try_for_each(|(path, &id)| cache.replace(path, platter.file(id).durable()))
    }

    /// Flips the bits of `mask` in a byte of a file, durable or not: maps show it, and a power cut keeps it.
    ///
    /// # Errors
    ///
    /// `NotFound` without such a file, `UnexpectedEof` without such a byte.
    pub fn flip(&self, path: &Path, offset: u64, mask: u8) -> io::Result<()> {
        use std::os::unix::fs::FileExt;
        let mut machine = lock(&self.machine);
        let id = machine.platter.id(path).ok_or(io::ErrorKind::NotFound)?;
        let file = machine.cache.open(path)?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset)?;
        file.write_all_at(&[byte[0] ^ mask], offset)?;
        machine.platter.file_mut(id).flip(offset as usize, mask);
        machine.damage(id);
        machine.trace.note(format_args!("flipped {} {offset} {mask:02x}", path.display()));
        Ok(())
    }

    /// The names that the program sees, and how long the files are.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let machine = lock(&self.machine);
        let platter = &machine.platter;
        platter.names().iter().map(|(path, &id)| (path.clone(), platter.file(id).length() as u64)).collect()
    }

    /// Plans a fault.
    pub fn plan(&self, fault: PlannedFault) {
        lock(&self.machine).faults.plan(fault);
    }

    /// The `count`-th sync of a file or directory from now fails: 1 is the next one.
    pub fn fail_sync(&self, count: u64) {
        self.plan(PlannedFault { on: Call::SYNCS, count, fault: Fault::Fail });
    }

    /// The `count`-th write from now is done in part, and there is no room for the rest: 1 is the next one.
    pub fn fail_write(&self, count: u64) {
        self.plan(PlannedFault { on: Call::WRITES, count, fault: Fault::NoRoom });
    }

    /// While the disk is full, every write that would extend a file is done in part and fails with `StorageFull`.
    pub fn set_full(&self, full: bool) {
        lock(&self.machine).faults.set_full(full);
    }

    /// Whether there is no room now.
    #[must_use]
    pub fn is_full(&self) -> bool {
        lock(&self.machine).faults.is_full()
    }

    /// Takes back every fault that has not come yet.
    pub fn heal(&self) {
        lock(&self.machine).faults.heal();
    }

    /// Calls that met a fault so far.
    #[must_use]
    pub fn faults(&self) -> u64 {
        lock(&self.machine).faults.came
    }

    /// Of them, writes that a full disk had no room for: [`Fault::Full`] and [`SimulatedDisk::set_full`].
    #[must_use]
    pub fn without_room(&self) -> u64 {
        lock(&self.machine).faults.without_room
    }

    /// Every sector that went elsewhere so far.
    #[must_use]
    pub fn misdirected(&self) -> Vec<Misdirected> {
        lock(&self.machine).misdirected.clone()
    }

    /// Every name so far of a file in which bits were flipped, or from which or to which a sector went astray.
    #[must_use]
    pub fn damaged(&self) -> BTreeSet<PathBuf> {
        lock(&self.machine).damaged.clone()
    }

    /// A digest of every call so far: kind, file, place, bytes, answer. Two runs that give the same did the same.
    #[must_use]
    pub fn trace(&self) -> u64 {
        lock(&self.machine).trace.digest()
    }

    /// Keeps the last `count` calls in words from now on.
    pub fn keep_trace(&self, count: usize) {
        lock(&self.machine).trace.keep(count);
    }

    /// The last calls in words, oldest first.
    #[must_use]
    pub fn recent_calls(&self) -> Vec<String> {
        lock(&self.machine).trace.recent().cloned().collect()
    }
}

impl Machine {
    fn stopped(&self) -> bool {
        self.stop_at.is_some_and(|at| self.operations >= at)
    }

    /// Some byte of a file is not what was written there. It may have several names: after a power cut, both that of before and that of after a rename.
    fn damage(&mut self, id: FileId) {
        self.platter.file_mut(id).set_damaged();
        self.name_damaged();
    }

    /// Takes note of every name that a damaged file has now.
    fn name_damaged(&mut self) {
        let damaged = self.platter.names().iter().filter(|&(_, &id)| self.platter.file(id).damaged());
        self.damaged.extend(damaged.map(|(path, _)| path.clone()));
    }

    fn end(&mut self) {
        self.incarnation += 1;
        self.stop_at = None;
        self.locks.clear();
    }
}

fn lock(machine: &Mutex<Machine>) -> MutexGuard<'_, Machine> {
    machine.lock().unwrap_or_else(PoisonError::into_inner)
}
