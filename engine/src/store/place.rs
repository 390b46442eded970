//! The right to make a ledger's next generation: one holds it at a time.
//!
//! Owns who that is. A load has it from its first row on, a held load while it is confirmed, a compaction while it runs.

use std::sync::Arc;

use super::{Shared, lock};
use crate::disk::Disk;
use crate::error::LoadError;
use crate::ticket::Municipality;

/// The right, for as long as this lives.
pub(super) struct Place {
    pub(super) shared: Arc<Shared>,
    pub(super) municipality: Municipality,
}

impl Place {
    pub(super) fn take(shared: &Arc<Shared>, municipality: Municipality) -> Result<Place, LoadError> {
        if lock(&shared.loading).insert(municipality.ordinal()) {
            Ok(Place { shared: Arc::clone(shared), municipality })
        } else {
            Err(LoadError::UnderWay(municipality))
        }
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        &*self.shared.platform.disk
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.shared.loading).remove(&self.municipality.ordinal());
    }
}
