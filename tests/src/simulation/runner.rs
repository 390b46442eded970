//! A run: a store on a simulated machine, step by step, beside its model.
//!
//! Owns the life of the program: it starts, it ends where the workload says, in a recovery too, and what is opened again is held against the model. What the
//! steps do is in `acts`.

use std::collections::BTreeSet;
use std::sync::Arc;

use sesshu_engine::disk::{SimulatedDisk, Unsynced};
use sesshu_engine::error::OpenError;
use sesshu_engine::{
    BuiltLoad, CheckpointOutcome, CompactionPolicy, LogOutcome, Opened, Options, Platform, SnapshotName, Store,
    ViewGuard,
};

use super::Ran;
use super::held::Waiting;
use super::model::{CODES, Event, Model};
use super::properties::{Damaged, Failure, blame, counts, ensure, finds, knew, shows};
use super::snapshots::Kept;
use super::workload::{End, Fate, LEDGERS, Offered, Workload};
use super::world::World;
use crate::{Answer, Place, answer, ticket};

/// A machine, the program that runs on it, and what people know.
pub(super) struct Runner {
    pub(super) place: Place,
    pub(super) disk: SimulatedDisk,
    pub(super) world: Arc<World>,
    pub(super) store: Option<Store>,
    /// Registers that are built and not installed.
    pub(super) builds: [Option<(BuiltLoad, Event)>; LEDGERS],
    /// Loads that may be held.
    pub(super) waiting: [Vec<Waiting>; LEDGERS],
    /// Snapshots that may be there, and how many were ever made.
    pub(super) snapshots: Vec<Kept>,
    pub(super) snapshots_made: u64,
    /// Snapshots whose removal a disk that failed may have undone.
    pub(super) ghosts: BTreeSet<SnapshotName>,
    /// Readers that look at an earlier moment.
    pub(super) pins: Vec<(ViewGuard, Model)>,
    pub(super) model: Model,
    /// What may be in the log or not: the next open tells.
    pub(super) doubt: Vec<Event>,
    /// Shots that ever were in doubt.
    pub(super) doubted: Vec<Offered>,
    /// The newest event that a mark or a manifest vouches for.
    pub(super) vouched: u64,
    /// The newest commit time that anyone was told.
    pub(super) time_ms: u64,
    /// Large shots so far.
    pub(super) filled: u32,
    pub(super) damaged: Damaged,
    pub(super) ran: Ran,
    ends: std::vec::IntoIter<End>,
    /// What the end that was set comes with.
    fate: Option<Fate>,
    /// The last program closed the store, and nothing failed.
    pub(super) closed: bool,
    /// Sectors that had gone astray when the store was opened.
    astray: usize,
    /// Bits of a generation were flipped since the store was opened.
    pub(super) flipped_generation: bool,
    /// Faults that had come when the store was opened.
    pub(super) calm: u64,
}

impl Runner {
    /// Switches the machine on. Nothing is on its disk.
    pub(super) fn new(workload: &Workload) -> Runner {
        let place = Place::in_memory();
        let disk = SimulatedDisk::on(&place.path(), workload.seed).expect("a directory of files");
        Runner {
            place,
            disk,
            world: Arc::new(World::new(workload.seed)),
            store: None,
            builds: Default::default(),
            waiting: Default::default(),
            snapshots: Vec::new(),
            snapshots_made: 0,
            ghosts: BTreeSet::new(),
            pins: Vec::new(),
            model: Model::default(),
            doubt: Vec::new(),
            doubted: Vec::new(),
            vouched: 0,
            time_ms: 0,
            filled: 0,
            damaged: Damaged::new(),
            ran: Ran::default(),
            ends: workload.ends.clone().into_iter(),
            fate: None,
            closed: false,
            astray: 0,
            flipped_generation: false,
            calm: 0,
        }
    }

    /// Does all of it.
    ///
    /// # Errors
    ///
    /// The first [`Failure`], with the index of its step.
    pub(super) fn run(mut self, workload: &Workload) -> Result<Ran, (usize, Failure)> {
        self.set_end();
        self.open().map_err(|failure| (0, failure))?;
        for (index, step) in workload.steps.iter().enumerate() {
            if self.ran.over {
                break;
            }
            // The open of the next program, which may follow a step, writes too: to a new segment, of which a sector may hit a generation that it has checked.
            let done = self.step(step).and_then(|()| self.after_step(index));
            if done.is_err() && self.rots_while_mapped() {
                self.ran.over = true;
                return Ok(self.ran);
            }
            done.map_err(|failure| (index, failure))?;
        }
        self.conclude().map_err(|failure| (workload.steps.len(), failure))?;
        self.ran.operations = self.disk.operations();
        self.ran.calls = self.disk.calls();
        self.ran.mix(self.disk.trace());
        Ok(self.ran)
    }

    /// The store, which is open between two steps.
    pub(super) fn store(&self) -> &Store {
        self.store.as_ref().expect("the store is open between two steps")
    }

    fn after_step(&mut self, index: usize) -> Result<(), Failure> {
        if self.ran.over {
            return Ok(());
        }
        if self.disk.stopped() {
            return self.end(None);
        }
        if self.rots_while_mapped() {
            return self.end(Some(Fate::Killed));
        }
        self.damaged.append(&mut self.disk.damaged());
        counts(self.store(), &self.model, &self.damaged)?;
        for (view, model) in &self.pins {
            shows(view, model, &self.damaged)?;
        }
        self.holds_the_held(false)?;
        if index % 16 == 7 {
            self.verifies()?;
        }
        if index.is_multiple_of(4) || !self.damaged.is_empty() { self.shows_the_model() } else { Ok(()) }
    }

    /// Whether a generation was damaged since the store was opened. Index and dictionary are checked at first use and not again, so what the store says is
    /// not to be held against it; what the next one says is.
    fn rots_while_mapped(&self) -> bool {
        let astray = self.disk.misdirected().into_iter().skip(self.astray).filter_map(|astray| astray.to);
        self.flipped_generation || astray.into_iter().any(|(path, _)| path.starts_with("ledgers"))
    }

    pub(super) fn shows_the_model(&mut self) -> Result<(), Failure> {
        self.damaged.append(&mut self.disk.damaged());
        let view = self.store().view();
        shows(&view, &self.model, &self.damaged)?;
        // One moment each time, now earlier, now later.
        let sequence = self.model.sequence();
        knew(&view, &self.model, sequence * (1 + sequence % 3) / 4, &self.damaged)?;
        drop(view);
        finds(self.store(), &self.model, &self.damaged)
    }

    /// At last: what is there is there after a power cut and a recovery, and after a close.
    fn conclude(&mut self) -> Result<(), Failure> {
        self.disk.heal();
        // Ends that have not come by now belong to work that was not done.
        self.ends = Vec::new().into_iter();
        if self.ran.over {
            return Ok(());
        }
        self.shows_the_model()?;
        self.end(Some(Fate::Cut(Unsynced::Lost)))?;
        if self.ran.over {
            return Ok(());
        }
        self.disk.heal();
        self.reopen()?;
        if self.disk.stopped() {
            return self.end(None);
        }
        if self.damaged.is_empty() || self.ran.over {
            return Ok(());
        }
        self.end_program(Some(Fate::Killed))?;
        self.repairs()
    }

    fn set_end(&mut self) {
        let end = self.ends.next();
        self.fate = end.map(|end| end.fate);
        if let Some(end) = end {
            self.disk.stop_after(end.after);
        }
    }

    /// The program ends, here or where the disk stopped, and the next one opens the store.
    pub(super) fn end(&mut self, fate: Option<Fate>) -> Result<(), Failure> {
        self.end_program(fate)?;
        self.open()
    }

    pub(super) fn end_program(&mut self, fate: Option<Fate>) -> Result<(), Failure> {
        // An end that was set and has not come is of no use any more, except that it came now.
        let drawn = [Fate::Killed, Fate::Cut(Unsynced::Torn(self.disk.calls())), Fate::Cut(Unsynced::Lost)];
        let stopped = self.disk.stopped();
        self.ran.stopped += u64::from(stopped);
        let fate = fate.or(self.fate.filter(|_| stopped)).unwrap_or(drawn[self.disk.calls() as usize % 3]);
        self.pins.clear();
        let done = match fate {
            Fate::Killed => {
                self.disk.kill();
                Ok(())
            }
            Fate::KilledEvicted => {
                self.disk.kill();
                self.disk.evict()
            }
            Fate::Cut(unsynced) => self.disk.cut(unsynced),
        };
        done.expect("the real machine does not fail");
        self.ran.ends += 1;
        self.closed = false;
        // What is left of the old program can do nothing any more.
        self.builds = Default::default();
        self.store = None;
        self.set_end();
        Ok(())
    }

    /// Opens the store, again and again while programs end in the middle of it.
    pub(super) fn open(&mut self) -> Result<(), Failure> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            self.calm = self.disk.faults();
            (self.astray, self.flipped_generation) = (self.disk.misdirected().len(), false);
            // Every third of those that nobody cut short.
            let whole = attempts == 1 && self.disk.calls().is_multiple_of(3) && self.verifies_closed()?;
            let platform = Platform { disk: self.disk.mount(), environment: self.world.clone(), threads: false };
            // What is compacted, and when, is the workload's to say.
            let options = Options { compaction: CompactionPolicy::NEVER, ..Options::default() };
            let opened = Store::open_on(platform, &self.place.path(), options);
            self.damaged.append(&mut self.disk.damaged());
            if self.disk.stopped() {
                self.ran.ended_recoveries += u64::from(self.ran.ends > 0);
                drop(opened);
                self.end_program(None)?;
                continue;
            }
            match opened {
                Ok((store, opened)) => {
                    self.store = Some(store);
                    return self.opened(&opened, attempts > 1);
                }
                Err(OpenError::Disk { doing, path, source }) => {
                    let excused = self.disk.faults() > self.calm;
                    ensure(excused, "a store opens again", || format!("{doing} {}: {source}", path.display()))?;
                    // The operator looks at the machine, and tries again.
                    self.disk.heal();
                    self.closed = false;
                    if doing == "making durable" {
                        // What the kernel shows is not what the disk has, and no sync of it would tell: the machine starts anew.
                        self.end_program(Some(Fate::Cut(Unsynced::Lost)))?;
                    }
                }
                Err(OpenError::Damaged(damage)) => {
                    ensure(!whole, "a store that is whole opens", || damage.to_string())?;
                    blame(&damage, &self.damaged)?;
                    self.ran.refused += 1;
                    return self.repairs();
                }
                Err(error) => return ensure(false, "a store opens again", || format!("{error:?}")),
            }
        }
    }

    /// Holds what was opened against what people know. `again`: an attempt before was cut short, and what it said of the end of the log, nobody heard.
    fn opened(&mut self, opened: &Opened, again: bool) -> Result<(), Failure> {
        let closed = std::mem::take(&mut self.closed);
        let whole = self.damaged.is_empty();
        if closed && whole {
            ensure(opened.log == LogOutcome::Closed, "a store that was closed is found closed", || {
                format!("{opened:?}")
            })?;
        }
        match &opened.checkpoint {
            CheckpointOutcome::Rebuilt(damage) => {
                let excused = !whole || self.disk.faults() > self.calm;
                ensure(excused, "a checkpoint that was named is whole", || damage.to_string())?;
                self.ran.rebuilt += 1;
            }
            CheckpointOutcome::Restored { .. } => self.ran.restored += 1,
            CheckpointOutcome::None => {}
        }
        let torn = matches!(opened.log, LogOutcome::TornTail(_));
        self.ran.torn += u64::from(torn);
        let calm = self.disk.faults() == self.calm;
        let trouble = self.store().status().trouble;
        ensure(!calm || trouble.is_none(), "a store that opened without a fault has no trouble", || {
            format!("{trouble:?}")
        })?;

        let (held, found) = (self.model.sequence(), self.store().view().sequence());
        let doubt = std::mem::take(&mut self.doubt);
        if !doubt.is_empty() && found == held + doubt.len() as u64 {
            self.ran.doubts_present += 1;
            doubt.into_iter().for_each(|event| self.model.apply(event));
        } else if !doubt.is_empty() && found == held {
            self.ran.doubts_absent += 1;
        } else if found > held && found < held + doubt.len() as u64 && !whole {
            // Shots of a command that is in doubt were refused because their ticket is damaged; which, nobody was told.
            let view = self.store().view();
            let refused = doubt.iter().filter(|event| match event {
                Event::Shot(Offered { ledger, number, .. }, _) | Event::Change(ledger, number, ..) => {
                    matches!(answer(&view, ticket(CODES[*ledger], *number)), Answer::Damaged(_))
                }
                Event::Act(acted) => {
                    matches!(answer(&view, ticket(CODES[acted.on.0], acted.on.1)), Answer::Damaged(_))
                }
                Event::Install(..) | Event::Compact(..) => false,
            });
            let least = held + (doubt.len() - refused.count()) as u64;
            ensure(found >= least, "a batch is there whole or not at all", || format!("{found}, not {least} or more"))?;
            self.ran.over = true;
            return Ok(());
        } else if found < held && !whole && (torn || again || self.a_write_went_astray()) {
            // The unvouched end of the log was damaged. What is left is as it was.
            let one = self.ran.flipped == 1 && self.disk.misdirected().is_empty();
            let vouched = self.vouched;
            ensure(!one || found >= vouched, "what something vouches for is there, or is missed", || {
                format!("{found}, but {vouched} was vouched for")
            })?;
            self.ran.cut_short += 1;
            self.ran.over = true;
            self.model = self.model.at(found);
        }
        self.ran.mix(found);
        if !self.ran.over {
            self.holds_the_held(true)?;
            self.is_listed(true)?;
        }
        self.shows_the_model()?;
        counts(self.store(), &self.model, &self.damaged)
    }

    /// A batch that never arrived leaves no trace if nothing vouches for it.
    fn a_write_went_astray(&self) -> bool {
        self.disk.misdirected().iter().any(|astray| astray.from.0.starts_with("log"))
    }
}
