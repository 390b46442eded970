//! Loads whose stream broke, and who may go on with them.
//!
//! Owns the one entry of each municipality: a load that a stream carries, one that waits for a stream, or what a load was answered that is over. A stream that
//! names the load's id goes on with it, also if the server has not noticed that the stream before is gone; one that does not is told, or takes its place if it
//! asks for that. What waits is dropped when its time is over, and when the server stops. An answer is kept as long, for a client that did not hear it.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sesshu_engine::Store;
use sesshu_engine::ticket::Municipality;
use sesshu_proto::v1::{LoadCommitted, LoadOpen, LoadOpened};
use tokio::sync::Notify;
use tonic::Status;

use super::conversation::Conversation;
use crate::status;

/// How long a stream waits until another gives up the load that it resumes: a commit may be under way.
const HANDING_OVER: Duration = Duration::from_secs(60);

/// All loads of a server.
pub(super) struct Resuming {
    keep: Duration,
    entries: Mutex<HashMap<Municipality, Entry>>,
    /// Some entry is another.
    changed: Notify,
    stopped: AtomicBool,
}

struct Entry {
    load_id: String,
    state: State,
}

enum State {
    /// A stream carries it; it is told when another wants to.
    Carried(Arc<Notify>),
    Waits(Box<Conversation>, Instant),
    Over(Box<LoadCommitted>, Instant),
}

/// What a stream has to do with a load.
pub(super) enum Carried {
    /// It takes rows and the commit.
    Open(Box<Conversation>),
    /// It was concluded on the stream before: the commit is answered as it was there.
    Over(Box<LoadCommitted>),
}

/// A stream's hold on its load.
pub(super) struct Carrier {
    resuming: Arc<Resuming>,
    municipality: Municipality,
    load_id: String,
    wanted: Arc<Notify>,
}

impl Resuming {
    pub(super) fn new(keep: Duration) -> Resuming {
        Resuming { keep, entries: Mutex::default(), changed: Notify::new(), stopped: AtomicBool::new(false) }
    }

    /// Begins a load, or goes on with one.
    pub(super) async fn open(
        self: &Arc<Resuming>,
        store: &Arc<Store>,
        open: &LoadOpen,
    ) -> Result<(Carrier, Carried, LoadOpened), Status> {
        let municipality = Municipality::from_code(open.municipality).map_err(status::invalid)?;
        if open.resume.is_empty() {
            // Not on this thread, and not while all loads wait for what is locked here.
            let theirs = Arc::clone(store);
            let waited = tokio::task::spawn_blocking(move || theirs.make_way(municipality)).await;
            waited.map_err(|_| status::shutting_down())?;
            self.begin(store, municipality, open)
        } else {
            self.resume(municipality, open).await
        }
    }

    fn begin(
        self: &Arc<Resuming>,
        store: &Store,
        municipality: Municipality,
        open: &LoadOpen,
    ) -> Result<(Carrier, Carried, LoadOpened), Status> {
        let mut entries = self.lock();
        if let Some(Entry { state: State::Waits(_, since), load_id }) = entries.get(&municipality) {
            let left = self.keep.saturating_sub(since.elapsed()).as_secs() + 1;
            if !open.replace {
                return Err(status::already_exists(format!(
                    "a load of {municipality} was interrupted and waits {left} s for its client: resume {load_id}, open with \
                     `replace`, or wait"
                )));
            }
            // Its place is free when it is gone.
            entries.remove(&municipality);
        }
        let conversation = Conversation::open(store, municipality, open)?;
        let load_id = format!("{municipality}-{:016x}", RandomState::new().build_hasher().finish());
        let carrier = self.carry(&mut entries, municipality, load_id.clone());
        let opened = LoadOpened { load_id, ..LoadOpened::default() };
        Ok((carrier, Carried::Open(Box::new(conversation)), opened))
    }

    async fn resume(
        self: &Arc<Resuming>,
        municipality: Municipality,
        open: &LoadOpen,
    ) -> Result<(Carrier, Carried, LoadOpened), Status> {
        let deadline = tokio::time::Instant::now() + HANDING_OVER;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Before the look, so that no change after it goes unnoticed.
            changed.as_mut().enable();
            if let Some(taken) = self.try_resume(municipality, open)? {
                return Ok(taken);
            }
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                return Err(status::already_exists(format!(
                    "the load {} is still being worked on: resume it later",
                    open.resume
                )));
            }
        }
    }

    /// Takes the load over if no stream carries it; else asks the stream that does.
    fn try_resume(
        self: &Arc<Resuming>,
        municipality: Municipality,
        open: &LoadOpen,
    ) -> Result<Option<(Carrier, Carried, LoadOpened)>, Status> {
        let mut entries = self.lock();
        let entry = entries.remove(&municipality);
        let (load_id, state) = match entry {
            Some(Entry { load_id, state }) if load_id == open.resume => (load_id, state),
            other => {
                entries.extend(other.map(|other| (municipality, other)));
                return Err(status::not_found(format!(
                    "there is no load {} to resume: its time is over, or the server was started again; begin again",
                    open.resume
                )));
            }
        };
        let (carried, opened) = match state {
            State::Carried(wanted) => {
                wanted.notify_one();
                entries.insert(municipality, Entry { load_id, state: State::Carried(wanted) });
                return Ok(None);
            }
            State::Waits(conversation, since) => match conversation.resumed(load_id.clone(), open.answered_batches) {
                Ok(opened) => (Carried::Open(conversation), opened),
                Err(status) => {
                    entries.insert(municipality, Entry { load_id, state: State::Waits(conversation, since) });
                    return Err(status);
                }
            },
            State::Over(committed, _) => {
                // Every message of rows was answered before it was concluded.
                let opened =
                    LoadOpened { load_id: load_id.clone(), batches: open.answered_batches, ..LoadOpened::default() };
                (Carried::Over(committed), opened)
            }
        };
        Ok(Some((self.carry(&mut entries, municipality, load_id), carried, opened)))
    }

    fn carry(
        self: &Arc<Resuming>,
        entries: &mut HashMap<Municipality, Entry>,
        municipality: Municipality,
        load_id: String,
    ) -> Carrier {
        let wanted = Arc::new(Notify::new());
        entries.insert(municipality, Entry { load_id: load_id.clone(), state: State::Carried(Arc::clone(&wanted)) });
        Carrier { resuming: Arc::clone(self), municipality, load_id, wanted }
    }

    /// Ends every load that waits: the server stops.
    pub(super) fn clear(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Municipality, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Carrier {
    /// Done when another stream wants to go on with the load.
    pub(super) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// The stream is gone: the load waits for another.
    pub(super) fn interrupted(self, conversation: Box<Conversation>) {
        tracing::info!(municipality = %self.municipality, "a load was interrupted, and waits for its client");
        self.put(|now| State::Waits(conversation, now));
    }

    /// The load was concluded; whoever did not hear it may ask again.
    pub(super) fn over(self, committed: LoadCommitted) {
        self.put(|now| State::Over(Box::new(committed), now));
    }

    fn put(&self, state: impl FnOnce(Instant) -> State) {
        let now = Instant::now();
        {
            let mut entries = self.resuming.lock();
            if self.resuming.stopped.load(Ordering::SeqCst) {
                return;
            }
            match entries.get_mut(&self.municipality) {
                Some(entry) if self.is_mine(entry) => entry.state = state(now),
                _ => return,
            }
        }
        self.resuming.changed.notify_waiters();
        let (resuming, municipality, load_id) = (Arc::clone(&self.resuming), self.municipality, self.load_id.clone());
        tokio::spawn(async move {
            tokio::time::sleep(resuming.keep).await;
            let mut entries = resuming.lock();
            let is_due = entries.get(&municipality).is_some_and(|entry| {
                let since = match &entry.state {
                    State::Carried(_) => None,
                    State::Waits(_, since) | State::Over(_, since) => Some(*since),
                };
                entry.load_id == load_id && since == Some(now)
            });
            if is_due {
                entries.remove(&municipality);
            }
        });
    }

    fn is_mine(&self, entry: &Entry) -> bool {
        matches!(&entry.state, State::Carried(wanted) if Arc::ptr_eq(wanted, &self.wanted))
    }
}

impl Drop for Carrier {
    /// The load ended without a result that anyone could ask for.
    fn drop(&mut self) {
        let mut entries = self.resuming.lock();
        if entries.get(&self.municipality).is_some_and(|entry| self.is_mine(entry)) {
            entries.remove(&self.municipality);
        }
        drop(entries);
        self.resuming.changed.notify_waiters();
    }
}
