//! Spare segments: files of zeros, written and synced before they are needed.
//!
//! Owns the thread that makes them, off the commit path, if the store has threads. A spare that is never used has a header of zeros; recovery removes it.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::disk::{Disk, File};
use crate::limits::FILE_CHUNK_BYTES;
use crate::mutation::{Mutation, broken};
use crate::platform::Platform;

/// A file of zeros under the name of the next segment.
pub(super) struct Spare {
    pub(super) number: u64,
    pub(super) size: u64,
    pub(super) file: Arc<dyn File>,
}

#[derive(Default)]
struct State {
    /// Number and size of the spare that is wanted.
    wanted: Option<(u64, u64)>,
    made: Option<io::Result<Spare>>,
    stop: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change of the state is one assignment: a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes one spare at a time.
pub(super) struct SpareMaker {
    disk: Arc<dyn Disk>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl SpareMaker {
    pub(super) fn start(platform: &Platform) -> io::Result<SpareMaker> {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let mut maker = SpareMaker { disk: Arc::clone(&platform.disk), shared, thread: None };
        if platform.threads {
            let (shared, disk) = (Arc::clone(&maker.shared), Arc::clone(&maker.disk));
            let thread = std::thread::Builder::new().name("sesshu-spare".into());
            maker.thread = Some(thread.spawn(move || run(&shared, &*disk))?);
        }
        Ok(maker)
    }

    /// Asks for a spare, unless one is there or under way.
    pub(super) fn prepare(&self, number: u64, size: u64) {
        let mut state = self.shared.lock();
        if state.wanted.is_some() || state.made.is_some() {
            return;
        }
        if self.thread.is_none() {
            state.made = Some(make(&*self.disk, number, size));
            return;
        }
        state.wanted = Some((number, size));
        self.shared.changed.notify_all();
    }

    /// The spare, as soon as it is there. An earlier attempt that failed says nothing about now: it is made anew, as another file.
    pub(super) fn take(&self, number: u64, size: u64) -> io::Result<Spare> {
        self.shared.lock().made.take_if(|made| made.is_err());
        self.prepare(number, size);
        let mut state = self.shared.lock();
        loop {
            if let Some(made) = state.made.take() {
                return made;
            }
            if state.stop || state.wanted.is_none() {
                return Err(io::Error::other("the thread that prepares log segments has ended"));
            }
            state = self.shared.wait(state);
        }
    }
}

impl Drop for SpareMaker {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported by the panic hook; there is nothing left to save here.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, disk: &dyn Disk) {
    let mut state = shared.lock();
    while !state.stop {
        let Some((number, size)) = state.wanted else {
            state = shared.wait(state);
            continue;
        };
        drop(state);
        let made = panic::catch_unwind(AssertUnwindSafe(|| make(disk, number, size)));
        let made = made.unwrap_or_else(|_| Err(io::Error::other("the disk panicked")));
        state = shared.lock();
        state.wanted = None;
        state.made = Some(made);
        shared.changed.notify_all();
    }
}

/// Writes and syncs a file of zeros, so that neither its blocks nor its length change on the commit path.
pub(super) fn make(disk: &dyn Disk, number: u64, size: u64) -> io::Result<Spare> {
    let path = super::path(number);
    let file = match disk.create(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // What an earlier attempt left behind: it was never used, or recovery would know its number.
            disk.remove(&path)?;
            disk.create(&path)?
        }
        file => file?,
    };
    let sync_directory = || match broken(Mutation::SkipLogDirectorySync) {
        true => Ok(()),
        false => disk.sync_directory(Path::new(super::DIRECTORY)),
    };
    fill(&*file, size).and_then(|()| sync_directory()).inspect_err(|_| {
        // Give the room back; the error that is reported is the first one.
        let _ = disk.remove(&path);
    })?;
    Ok(Spare { number, size, file })
}

fn fill(file: &dyn File, size: u64) -> io::Result<()> {
    let zeros = vec![0; FILE_CHUNK_BYTES.min(size as usize)];
    let mut at = 0;
    while at < size {
        let length = zeros.len().min((size - at) as usize);
        file.write_at(&zeros[..length], at)?;
        at += length as u64;
    }
    if broken(Mutation::SkipSpareSync) { Ok(()) } else { file.sync() }
}
