//! Which file is loaded next.
//!
//! Owns the rule that a municipality is loaded by one file at a time, in the order given: the store refuses a second load of it while one is under way, and
//! the later file is to win. Whoever is free takes the first file whose municipality nobody loads.
//!
//! So the first file that has not ended is always under way, or the next to be taken: what waits for its turn behind it does not wait for ever.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use sesshu_engine::ticket::Municipality;

/// Files that nobody has taken yet.
pub(super) struct Queue {
    state: Mutex<State>,
    ended: Condvar,
}

struct State {
    waiting: Vec<Waiting>,
    under_way: HashSet<Municipality>,
}

/// A file that can be loaded.
#[derive(Clone, Copy)]
pub(super) struct Waiting {
    /// In the order given.
    pub(super) place: usize,
    pub(super) municipality: Municipality,
    pub(super) bytes: u64,
}

/// A file that is somebody's. Its municipality is free again when this is dropped.
pub(super) struct Taken<'a> {
    queue: &'a Queue,
    pub(super) file: Waiting,
}

impl Queue {
    /// A queue of files in the order of their places.
    pub(super) fn new(waiting: Vec<Waiting>) -> Queue {
        let state = State { waiting, under_way: HashSet::new() };
        Queue { state: Mutex::new(state), ended: Condvar::new() }
    }

    /// The next file; none when all are taken. Waits if every file left is of a municipality that is under way.
    pub(super) fn take(&self) -> Option<Taken<'_>> {
        let mut state = self.lock();
        while !state.waiting.is_empty() {
            let State { waiting, under_way } = &mut *state;
            if let Some(at) = waiting.iter().position(|file| !under_way.contains(&file.municipality)) {
                let file = waiting.remove(at);
                under_way.insert(file.municipality);
                return Some(Taken { queue: self, file });
            }
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    /// Nothing more is begun.
    pub(super) fn close(&self) {
        self.lock().waiting.clear();
        self.ended.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.queue.lock().under_way.remove(&self.file.municipality);
        self.queue.ended.notify_all();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// A queue of files of these municipalities, by their ordinals.
    fn queue(ordinals: &[usize]) -> Queue {
        let of =
            |(place, &ordinal)| Waiting { place, municipality: Municipality::from_ordinal(ordinal).unwrap(), bytes: 1 };
        Queue::new(ordinals.iter().enumerate().map(of).collect())
    }

    #[test]
    fn files_are_taken_in_order_but_of_a_municipality_one_at_a_time() {
        let queue = queue(&[7, 7, 8, 7]);
        let first = queue.take().unwrap();
        let third = queue.take().unwrap();
        assert_eq!((first.file.place, third.file.place), (0, 2));
        drop(first);
        let second = queue.take().unwrap();
        assert_eq!(second.file.place, 1);
        drop((second, third));
        assert_eq!(queue.take().unwrap().file.place, 3);
        assert!(queue.take().is_none());
    }

    #[test]
    fn who_finds_only_what_is_under_way_waits_for_its_end() {
        let queue = queue(&[7, 7]);
        let first = queue.take().unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| queue.take().map(|taken| taken.file.place));
            drop(first);
            assert_eq!(second.join().unwrap(), Some(1));
        });
    }

    #[test]
    fn a_closed_queue_gives_nothing_to_those_who_wait_either() {
        let queue = queue(&[7, 7, 8]);
        let first = queue.take().unwrap();
        let other = queue.take().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.take().is_none());
            queue.close();
            assert!(waiting.join().unwrap());
        });
        drop((first, other));
        assert!(queue.take().is_none());
    }
}
