//! The program that has the store open: it starts, it ends, it is killed in the middle of its work.
//!
//! Owns the life of the store on its directory. Most of the year it stands on the machine's own disk. Some days before it is to be killed it is opened on
//! a simulated disk over the same directory, which can be stopped after so many operations; then its power is cut, or the program alone ends, and the next one
//! opens what is left.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sesshu_engine::disk::{RealDisk, SimulatedDisk, Unsynced};
use sesshu_engine::{CheckpointOutcome, Options, Platform, Store};

use super::calendar::Clock;
use super::failed::{Failed, ensure, failed};

/// A store that is opened again and again.
pub(super) struct Program {
    path: PathBuf,
    pub(super) clock: Arc<Clock>,
    store: Option<Store>,
    /// The disk, if it can stop.
    simulated: Option<SimulatedDisk>,
    /// It stops soon.
    doomed: bool,
    pub(super) lives: Lives,
}

/// How programs ended and began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lives {
    pub(super) closed: u64,
    pub(super) killed: u64,
    /// Of the killed: with the power cut.
    pub(super) cut: u64,
    /// Checkpoints that an open went on from.
    pub(super) restored: u64,
}

impl Program {
    /// Makes the store.
    pub(super) fn start(path: &Path, clock: Arc<Clock>) -> Result<Program, Failed> {
        let is_there = fs::read_dir(path).is_ok_and(|mut files| files.next().is_some());
        ensure(!is_there, "the store's directory is new", || path.display())?;
        RealDisk::create(path).map_err(|error| failed("a directory can be made", error))?;
        let mut program = Program {
            path: path.to_owned(),
            clock,
            store: None,
            simulated: None,
            doomed: false,
            lives: Lives::default(),
        };
        program.open()?;
        Ok(program)
    }

    /// The store, which is open between two deeds.
    pub(super) fn store(&self) -> &Store {
        self.store.as_ref().expect("the store is open between two deeds")
    }

    fn open(&mut self) -> Result<(), Failed> {
        let mut platform = Platform::real(&self.path);
        if let Some(simulated) = &self.simulated {
            platform.disk = simulated.mount();
        }
        platform.environment = Arc::clone(&self.clock) as _;
        let opened = Store::open_on(platform, &self.path, Options::default());
        let (store, opened) = opened.map_err(|error| failed("the store opens", format!("{error:?}")))?;
        self.lives.restored += u64::from(matches!(opened.checkpoint, CheckpointOutcome::Restored { .. }));
        self.store = Some(store);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Failed> {
        let store = self.store.take().expect("the store is open between two deeds");
        store.close().map_err(|error| failed("the store is closed", format!("{error:?}")))?;
        self.lives.closed += 1;
        Ok(())
    }

    /// Closes the store and opens it again.
    pub(super) fn close_and_open(&mut self) -> Result<(), Failed> {
        self.close()?;
        self.simulated = None;
        self.open()
    }

    /// Closes the store and opens it again on a disk that can stop.
    pub(super) fn open_on_a_disk_that_can_stop(&mut self, seed: u64) -> Result<(), Failed> {
        self.close()?;
        let disk = SimulatedDisk::on(&self.path, seed);
        self.simulated = Some(disk.map_err(|error| failed("the store's files can be read", error))?);
        self.open()
    }

    /// The disk stops after so many operations.
    pub(super) fn doom(&mut self, operations: u64, seed: u64) -> Result<(), Failed> {
        if self.simulated.is_none() {
            self.open_on_a_disk_that_can_stop(seed)?;
        }
        self.simulated.iter().for_each(|disk| disk.stop_after(operations));
        self.doomed = true;
        Ok(())
    }

    /// Whether the disk stops soon.
    pub(super) fn is_doomed(&self) -> bool {
        self.doomed
    }

    /// The program ends here, if its disk has not stopped before; with `cut` the power goes too. The next one opens what is left. Returns whether the disk had
    /// stopped.
    pub(super) fn die(&mut self, cut: Option<Unsynced>) -> Result<bool, Failed> {
        let disk = self.simulated.take().expect("a program that is to die is on a disk that can stop");
        self.doomed = false;
        let stopped = disk.stopped();
        if !stopped {
            disk.stop_after(0);
        }
        // What it would write down at its end does not get there.
        drop(self.store.take());
        match cut {
            None => disk.kill(),
            Some(unsynced) => {
                disk.cut(unsynced).map_err(|error| failed("the files are as after a power cut", error))?;
                self.lives.cut += 1;
            }
        }
        self.lives.killed += 1;
        self.open()?;
        Ok(stopped)
    }
}
