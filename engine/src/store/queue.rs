//! The queue in front of the committer.
//!
//! Owns what waits: shots in one lane, bounded, and control commands in another, which goes first. A full queue answers at once; nothing waits to get in.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::lock;
use super::record::RecordCommand;
use crate::error::RecordError;
use crate::limits::QUEUE_SHOTS_MAX;

/// A control command: anything that runs on the committer, between two batches.
pub(super) type Control = Box<dyn FnOnce(Result<&mut super::committer::Committer, RecordError>) + Send>;

#[derive(Default)]
struct Lanes {
    records: VecDeque<RecordCommand>,
    /// Shots in `records`.
    shots: usize,
    controls: VecDeque<Control>,
    closed: bool,
}

/// What the committer takes from the queue.
pub(super) enum Taken {
    Control(Control),
    /// Commands whose events fit one batch together; at least one.
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
    /// Adds a record command, or gives it back with the reason.
    pub(super) fn push_record(&self, command: RecordCommand) -> Result<(), (RecordCommand, RecordError)> {
        let mut lanes = lock(&self.lanes);
        if lanes.closed {
            return Err((command, RecordError::Closed));
        }
        if lanes.shots + command.shots.len() > QUEUE_SHOTS_MAX {
            return Err((command, RecordError::QueueFull));
        }
        lanes.shots += command.shots.len();
        lanes.records.push_back(command);
        let was_empty = lanes.records.len() == 1;
        drop(lanes);
        if was_empty {
            self.changed.notify_one();
        }
        Ok(())
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

    /// Takes what comes next; waits at most `patience` for it, or for ever.
    pub(super) fn take(&self, bytes_max: usize, patience: Option<Duration>) -> Taken {
        let mut lanes = lock(&self.lanes);
        loop {
            if let Some(control) = lanes.controls.pop_front() {
                return Taken::Control(control);
            }
            if !lanes.records.is_empty() {
                return Taken::Records(take_records(&mut lanes, bytes_max));
            }
            if lanes.closed {
                return Taken::Closed;
            }
            lanes = match patience {
                None => self.changed.wait(lanes).unwrap_or_else(PoisonError::into_inner),
                Some(patience) => {
                    let (lanes, waited) =
                        self.changed.wait_timeout(lanes, patience).unwrap_or_else(PoisonError::into_inner);
                    if waited.timed_out() && lanes.records.is_empty() && lanes.controls.is_empty() && !lanes.closed {
                        return Taken::Idle;
                    }
                    lanes
                }
            };
        }
    }

    /// Lets nothing more in. What waits is still done.
    pub(super) fn close(&self) {
        lock(&self.lanes).closed = true;
        self.changed.notify_all();
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
}

fn take_records(lanes: &mut Lanes, bytes_max: usize) -> Vec<RecordCommand> {
    let mut taken = Vec::new();
    let mut bytes = 0;
    while let Some(next) = lanes.records.front() {
        if !taken.is_empty() && bytes + next.bytes > bytes_max {
            break;
        }
        bytes += next.bytes;
        lanes.shots -= next.shots.len();
        taken.extend(lanes.records.pop_front());
    }
    taken
}
