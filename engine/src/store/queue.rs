//! The queue in front of the committer.
//!
//! Owns what waits: shots in one lane, bounded; control commands in another, which goes first; and the batch that comes back from its sync. A full queue
//! answers at once; nothing waits to get in.

use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::committer::Committer;
use super::lock;
use super::record::RecordCommand;
use crate::error::RecordError;
use crate::limits::QUEUE_SHOTS_MAX;
use crate::log::Sealed;
use crate::mutation::{Mutation, broken};

/// A control command: anything that runs on the committer, between two batches.
pub(super) type Control = Box<dyn FnOnce(Result<&mut Committer, RecordError>) + Send>;

#[derive(Default)]
struct Lanes {
    records: VecDeque<RecordCommand>,
    /// Shots in `records`.
    shots: usize,
    controls: VecDeque<Control>,
    synced: Option<(Sealed, io::Result<()>)>,
    /// The committer waits, for as long as it takes.
    dozing: bool,
    /// Something was done without the committer.
    nudged: bool,
    closed: bool,
}

/// What the committer takes from the queue.
pub(super) enum Taken {
    /// The batch that was on its way, and what became of it.
    Synced(Sealed, io::Result<()>),
    Control(Control),
    /// Commands whose events have room together; at least one.
    Records(Vec<RecordCommand>),
    /// Nothing came for a while.
    Idle,
    /// Nothing waits, and nothing will come.
    Closed,
}

#[derive(Default)]
pub(super) struct Queue {
    lanes: Mutex<Lanes>,
    changed: Condvar,
}

impl Queue {
    /// Adds a record command, or answers it with the reason why not.
    pub(super) fn push_record(&self, command: RecordCommand) {
        let mut lanes = lock(&self.lanes);
        let refused = if lanes.closed {
            Some(RecordError::Closed)
        } else {
            let full = lanes.shots + command.shots() > QUEUE_SHOTS_MAX && !broken(Mutation::LetEverybodyWait);
            full.then_some(RecordError::QueueFull)
        };
        if let Some(error) = refused {
            drop(lanes);
            return command.fail(&error);
        }
        lanes.shots += command.shots();
        lanes.records.push_back(command);
        let was_empty = lanes.records.len() == 1;
        drop(lanes);
        if was_empty {
            self.changed.notify_one();
        }
    }

    /// Adds a control command; it is called with [`RecordError::Closed`] if the committer will not come to it.
    pub(super) fn push_control(&self, control: Control) {
        let mut lanes = lock(&self.lanes);
        if lanes.closed {
            drop(lanes);
            control(Err(RecordError::Closed));
            return;
        }
        lanes.controls.push_back(control);
        drop(lanes);
        self.changed.notify_one();
    }

    /// Gives back the batch that was on its way.
    pub(super) fn push_synced(&self, sealed: Sealed, result: io::Result<()>) {
        lock(&self.lanes).synced = Some((sealed, result));
        self.changed.notify_one();
    }

    /// Takes what comes next: commands only if the first of them has at most `room` bytes of events. Waits at most `patience`, or for ever.
    pub(super) fn take(&self, room: usize, patience: Option<Duration>) -> Taken {
        let mut lanes = lock(&self.lanes);
        loop {
            if let Some((sealed, result)) = lanes.synced.take() {
                return Taken::Synced(sealed, result);
            }
            if let Some(control) = lanes.controls.pop_front() {
                return Taken::Control(control);
            }
            let records = take_records(&mut lanes, room);
            if !records.is_empty() {
                return Taken::Records(records);
            }
            if lanes.closed && lanes.records.is_empty() {
                return Taken::Closed;
            }
            match patience {
                None if std::mem::take(&mut lanes.nudged) => return Taken::Idle,
                None => {
                    lanes.dozing = true;
                    lanes = self.wait(lanes);
                    lanes.dozing = false;
                }
                Some(patience) => {
                    let (now, waited) =
                        self.changed.wait_timeout(lanes, patience).unwrap_or_else(PoisonError::into_inner);
                    lanes = now;
                    let nothing = lanes.records.is_empty() && lanes.controls.is_empty() && lanes.synced.is_none();
                    if waited.timed_out() && nothing && !lanes.closed {
                        return Taken::Idle;
                    }
                }
            }
        }
    }

    /// Tells the committer that something was done without it.
    pub(super) fn nudge(&self) {
        let mut lanes = lock(&self.lanes);
        lanes.nudged = true;
        if lanes.dozing {
            drop(lanes);
            self.changed.notify_one();
        }
    }

    /// Waits for the batch that is on its way.
    pub(super) fn take_synced(&self) -> (Sealed, io::Result<()>) {
        let mut lanes = lock(&self.lanes);
        loop {
            match lanes.synced.take() {
                Some(synced) => return synced,
                None => lanes = self.wait(lanes),
            }
        }
    }

    /// Lets nothing more in. What waits is still done. Whether it was open before.
    pub(super) fn close(&self) -> bool {
        let was_closed = std::mem::replace(&mut lock(&self.lanes).closed, true);
        self.changed.notify_all();
        !was_closed
    }

    /// Lets nothing more in, and turns away what waits.
    pub(super) fn abandon(&self) {
        let mut lanes = lock(&self.lanes);
        lanes.closed = true;
        lanes.shots = 0;
        let (records, controls) = (std::mem::take(&mut lanes.records), std::mem::take(&mut lanes.controls));
        drop(lanes);
        controls.into_iter().for_each(|control| control(Err(RecordError::Closed)));
        records.into_iter().for_each(|command| command.fail(&RecordError::Closed));
    }

    /// Shots that wait.
    pub(super) fn depth(&self) -> usize {
        lock(&self.lanes).shots
    }

    /// Whether anything may come in.
    pub(super) fn is_closed(&self) -> bool {
        lock(&self.lanes).closed
    }

    fn wait<'a>(&self, lanes: MutexGuard<'a, Lanes>) -> MutexGuard<'a, Lanes> {
        self.changed.wait(lanes).unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_records(lanes: &mut Lanes, room: usize) -> Vec<RecordCommand> {
    let mut taken = Vec::new();
    let mut bytes = 0;
    while let Some(next) = lanes.records.front() {
        if bytes + next.bytes > room {
            break;
        }
        bytes += next.bytes;
        lanes.shots -= next.shots();
        taken.extend(lanes.records.pop_front());
    }
    taken
}
