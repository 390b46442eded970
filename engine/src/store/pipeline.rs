//! The pipeline: which thread does what on a shot's way to the disk.
//!
//! Owns the store's threads and the hand-over between them. There are two stages: the *committer* gathers commands into the next batch and answers those of
//! the last one, while the *syncer* writes and syncs the batch between. Where the next stage would have nothing to overlap with, it is not used: a few shots
//! are synced by the committer itself, and a caller that finds nobody at work is its own committer ([`Shared::lead`]).
//!
//! ```text
//! callers ── judge ──▶ queue ──▶ committer: place │ publish, answer ──▶ callers
//!                                     sealed ▼       ▲ synced
//!                                            syncer
//! ```
//!
//! A store without threads does all of it on the caller's.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, TryLockError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use super::committer::Committer;
use super::compactor::Compactor;
use super::queue::Taken;
use super::record::RecordCommand;
use super::scrubber::Scrubber;
use super::upkeep::Keeper;
use super::{Shared, lock};
use crate::error::{OpenError, RecordError};
use crate::log::Sealed;
use crate::priority::take_short_turns;

/// After this long without work the last batch is vouched for by a mark.
const IDLE: Duration = Duration::from_millis(10);

/// A batch of fewer shots is synced where it was gathered: to wake another thread twice takes longer than to place and answer them.
const OVERLAP_SHOTS_MIN: usize = 8;

impl Shared {
    /// Waits for the committer.
    pub(super) fn committer(&self) -> MutexGuard<'_, Committer> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let committer = lock(&self.committer);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        committer
    }

    /// Records on the caller's thread, if nobody else is at work. Gives the command back otherwise.
    pub(super) fn lead(&self, command: RecordCommand) -> Result<(), RecordCommand> {
        // A lock is not fair: whoever records in a loop would have it again before a thread that waits has woken up.
        let awaited = self.waiting.load(Ordering::Relaxed) > 0;
        if !self.platform.threads || self.queue.depth() > 0 || awaited {
            return Err(command);
        }
        let mut committer = match self.committer.try_lock() {
            Ok(committer) => committer,
            Err(TryLockError::Poisoned(_) | TryLockError::WouldBlock) => return Err(command),
        };
        // Closed before the lock was had, closed for good: what closing wrote down must stay the end.
        if !committer.is_idle() || self.queue.is_closed() {
            return Err(command);
        }
        committer.add(self, vec![command]);
        committer.commit_all(self);
        drop(committer);
        self.queue.nudge();
        Ok(())
    }

    /// Hands a command to the committer. It is answered in any case.
    pub(super) fn hand_over(&self, command: RecordCommand) {
        if self.platform.threads {
            self.queue.push_record(command);
        } else {
            let mut committer = lock(&self.committer);
            if self.queue.is_closed() {
                return command.fail(&RecordError::Closed);
            }
            committer.add(self, vec![command]);
            committer.commit_all(self);
        }
    }

    /// Does something between two batches and returns what it returns.
    pub(super) fn control<T: Send + 'static>(
        self: &Arc<Shared>,
        act: impl FnOnce(&Shared, &mut Committer) -> Result<T, RecordError> + Send + 'static,
    ) -> Result<T, RecordError> {
        if !self.platform.threads {
            let mut committer = lock(&self.committer);
            return if self.queue.is_closed() { Err(RecordError::Closed) } else { act(self, &mut committer) };
        }
        let (sender, receiver) = mpsc::sync_channel(1);
        let shared = Arc::clone(self);
        self.queue.push_control(Box::new(move |committer| {
            // Whoever does not wait any more needs no answer.
            let _ = sender.send(committer.and_then(|committer| act(&shared, committer)));
        }));
        receiver.recv().unwrap_or_else(|_| Err(RecordError::unanswered()))
    }
}

/// Starts the committer. The thread ends when the queue is closed and nothing waits in it; it has then written down where the log ends.
pub(super) fn start(shared: &Arc<Shared>) -> io::Result<JoinHandle<Result<(), OpenError>>> {
    let syncer = Syncer::start(Arc::clone(shared))?;
    let keeper = Keeper::start(shared)?;
    let compactor = Compactor::start(shared)?;
    let scrubber = Scrubber::start(shared)?;
    let closing = Closing(Arc::clone(shared));
    std::thread::Builder::new().name("sesshu-committer".into()).spawn(move || {
        take_short_turns();
        run(&closing.0, &syncer);
        drop(scrubber);
        drop(compactor);
        drop(keeper);
        closing.0.end()
    })
}

/// Closes the queue when the committer ends, also by a panic: nobody may wait for it then.
struct Closing(Arc<Shared>);

impl Drop for Closing {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *lock(&self.0.trouble) = Some("the committer ended by a panic".into());
            lock(&self.0.committer).give_up();
        }
        self.0.queue.abandon();
    }
}

fn run(shared: &Arc<Shared>, syncer: &Syncer) {
    let (mut room, mut patience) = (lock(&shared.committer).room(), None);
    let mut seen = 0;
    loop {
        let taken = shared.queue.take(room, patience);
        let mut committer = shared.committer();
        match taken {
            Taken::Records(commands) => {
                committer.add(shared, commands);
                if !committer.is_flying() {
                    send(shared, &mut committer, syncer, OVERLAP_SHOTS_MIN);
                }
            }
            Taken::Synced(sealed, result) => complete(shared, &mut committer, syncer, sealed, result),
            Taken::Control(control) => {
                drain(shared, &mut committer);
                control(Ok(&mut committer));
            }
            Taken::Idle => {
                // Callers who lead do not come by here: only where nothing was done since the last time is nothing being done.
                let end = committer.end();
                if committer.wants_mark() && std::mem::replace(&mut seen, end) == end {
                    committer.mark(shared);
                }
            }
            Taken::Closed => {
                drain(shared, &mut committer);
                return;
            }
        }
        room = committer.room();
        patience = committer.wants_mark().then_some(IDLE);
    }
}

/// Sends what was gathered on its way: by the syncer if there are `overlap_min` shots or more, else here.
fn send(shared: &Shared, committer: &mut Committer, syncer: &Syncer, overlap_min: usize) {
    if committer.gathered() < overlap_min {
        committer.commit_all(shared);
    } else {
        syncer.send(committer.seal());
    }
}

/// The batch on its way has landed: sends the next one before the answers take their time.
fn complete(shared: &Shared, committer: &mut Committer, syncer: &Syncer, sealed: Sealed, result: io::Result<()>) {
    let Some(landed) = committer.landed(shared, sealed, result) else { return };
    if committer.gathered() > 0 && committer.gathered() + landed.shots() >= OVERLAP_SHOTS_MIN {
        syncer.send(committer.seal());
        return committer.show(shared, landed);
    }
    committer.show(shared, landed);
    let held = committer.take_held();
    if !held.is_empty() {
        committer.add(shared, held);
    }
    if !committer.is_idle() {
        send(shared, committer, syncer, OVERLAP_SHOTS_MIN);
    }
}

/// Waits until nothing is on its way and nobody waits.
fn drain(shared: &Shared, committer: &mut Committer) {
    while committer.is_flying() {
        let (sealed, result) = shared.queue.take_synced();
        let Some(landed) = committer.landed(shared, sealed, result) else { return };
        committer.show(shared, landed);
        let held = committer.take_held();
        if !held.is_empty() {
            committer.add(shared, held);
        }
        if !committer.is_idle() {
            committer.commit_all(shared);
        }
    }
}

/// The thread that writes and syncs one batch at a time.
struct Syncer {
    batches: Option<mpsc::SyncSender<Sealed>>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    fn start(shared: Arc<Shared>) -> io::Result<Syncer> {
        let (batches, sealed) = mpsc::sync_channel::<Sealed>(1);
        let thread = std::thread::Builder::new().name("sesshu-syncer".into()).spawn(move || {
            take_short_turns();
            for sealed in sealed {
                let result = sealed.write();
                shared.queue.push_synced(sealed, result);
            }
        })?;
        Ok(Syncer { batches: Some(batches), thread: Some(thread) })
    }

    fn send(&self, sealed: Sealed) {
        let batches = self.batches.as_ref().expect("the channel is there until the drop");
        assert!(batches.send(sealed).is_ok(), "I2: the syncer lives as long as the committer");
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            // Panics of the disk were caught; there is nothing left to tell.
            let _ = thread.join();
        }
    }
}
