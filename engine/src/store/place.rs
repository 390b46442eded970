//! The right to make a ledger's next generation: one holds it at a time.
//!
//! Owns who that is. A load has it from its first row on, a held load while it is confirmed, a compaction while it runs. Nobody's load fails because of a compaction:
//! it is asked to stop, which loses nothing, and the load waits for that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{Shared, lock};
use crate::disk::Disk;
use crate::error::LoadError;
use crate::ticket::Municipality;

/// Who has it, by the ordinals of the municipalities.
#[derive(Default)]
pub(super) struct Places {
    taken: Mutex<HashMap<usize, Arc<Holder>>>,
    freed: Condvar,
}

impl Places {
    /// Asks a compaction that has it to stop, and waits for that.
    pub(super) fn without_compaction(&self, municipality: Municipality) -> MutexGuard<'_, HashMap<usize, Arc<Holder>>> {
        let mut taken = lock(&self.taken);
        while let Some(holder) = taken.get(&municipality.ordinal()).filter(|holder| holder.gives_way) {
            holder.wanted.store(true, Ordering::Relaxed);
            taken = self.freed.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        taken
    }
}

/// Whoever has it.
#[derive(Default)]
pub(super) struct Holder {
    /// It stops when somebody else wants it.
    gives_way: bool,
    /// Somebody does.
    wanted: AtomicBool,
}

impl Holder {
    /// Whether it should stop.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }
}

/// The right, for as long as this lives.
pub(super) struct Place {
    pub(super) shared: Arc<Shared>,
    pub(super) municipality: Municipality,
    pub(super) holder: Arc<Holder>,
}

impl Place {
    /// For a load. A compaction that has it is asked to stop, and waited for.
    pub(super) fn take(shared: &Arc<Shared>, municipality: Municipality) -> Result<Place, LoadError> {
        let mut taken = shared.places.without_compaction(municipality);
        Place::insert(shared, &mut taken, municipality, Holder::default())
    }

    /// For a compaction.
    pub(super) fn take_giving_way(shared: &Arc<Shared>, municipality: Municipality) -> Result<Place, LoadError> {
        let holder = Holder { gives_way: true, ..Holder::default() };
        Place::insert(shared, &mut lock(&shared.places.taken), municipality, holder)
    }

    fn insert(
        shared: &Arc<Shared>,
        taken: &mut HashMap<usize, Arc<Holder>>,
        municipality: Municipality,
        holder: Holder,
    ) -> Result<Place, LoadError> {
        if taken.contains_key(&municipality.ordinal()) {
            return Err(LoadError::UnderWay(municipality));
        }
        let holder = Arc::new(holder);
        taken.insert(municipality.ordinal(), Arc::clone(&holder));
        Ok(Place { shared: Arc::clone(shared), municipality, holder })
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        &*self.shared.platform.disk
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.shared.places.taken).remove(&self.municipality.ordinal());
        self.shared.places.freed.notify_all();
    }
}
