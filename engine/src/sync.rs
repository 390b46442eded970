//! The seam between threads: what the parts that several threads use at once are made of.
//!
//! Owns the choice of the atomics and of the swap, the cell that holds what is current. A build for use takes the standard library's and `arc_swap`'s, by
//! name alone. Under `cfg(loom)` they are a model checker's: it runs every order in which threads may take their steps, and lets every load see every value
//! that the memory model allows it to see. The code above does not know which it is.
//!
//! `Arc` is the standard library's in both: what is checked here is the order of publication, and counting references is not ours to check.

pub(crate) use chosen::{AtomicU64, Guard, Ordering, Swap};

#[cfg(not(loom))]
mod chosen {
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

    /// A cell with a pointer that readers load and one writer replaces. What was stored is released when nobody uses it any more.
    pub(crate) type Swap<P> = arc_swap::ArcSwapAny<P>;

    /// What a reader loaded, for as long as it holds it.
    pub(crate) type Guard<P> = arc_swap::Guard<P>;
}

#[cfg(loom)]
mod chosen {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use loom::sync::atomic::AtomicUsize;
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};

    /// What a reader loaded.
    pub(crate) type Guard<P> = P;

    /// The swap as the model checker sees it: the number of the current version, with the orderings that `arc_swap` promises at least and no more. A load
    /// may thus find the version before the current one; it is kept until the next store for that.
    pub(crate) struct Swap<P> {
        current: AtomicUsize,
        /// By number; `None` where a version was let go. The checker does not see this lock, so it orders nothing.
        versions: Mutex<Vec<Option<P>>>,
    }

    impl<P: Clone> Swap<P> {
        pub(crate) fn new(first: P) -> Swap<P> {
            Swap { current: AtomicUsize::new(0), versions: Mutex::new(vec![Some(first)]) }
        }

        pub(crate) fn load(&self) -> P {
            loop {
                let current = self.current.load(Ordering::Acquire);
                if let Some(version) = self.version(current) {
                    return version;
                }
                // That version was let go: after a yield a load does not find it again.
                loom::thread::yield_now();
            }
        }

        pub(crate) fn load_full(&self) -> P {
            self.load()
        }

        pub(crate) fn store(&self, next: P) {
            let mut versions = self.versions();
            let before = versions.len() - 1;
            let let_go: Vec<Option<P>> = versions[..before].iter_mut().map(Option::take).collect();
            versions.push(Some(next));
            drop(versions);
            self.current.store(before + 1, Ordering::Release);
            drop(let_go);
        }

        fn version(&self, number: usize) -> Option<P> {
            self.versions()[number].clone()
        }

        /// The checker changes threads at the steps that it sees; none of these may come while this lock is held, and what is dropped may take some.
        fn versions(&self) -> MutexGuard<'_, Vec<Option<P>>> {
            self.versions.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl<P: Clone + Default> Default for Swap<P> {
        fn default() -> Swap<P> {
            Swap::new(P::default())
        }
    }
}
