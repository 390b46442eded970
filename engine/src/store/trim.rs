//! The log's old end: segments that nothing needs any more are removed.
//!
//! Owns what is needed. A segment stays as long as a ledger's tail has an event in it, and as long as the checkpoint that the manifest names begins in it or before.
//! A manifest that names the oldest one that stays is durable before the first file goes; what a crash leaves, the next open removes. Views that show a segment
//! keep it mapped.

use super::{Shared, lock};
use crate::error::OpenError;
use crate::mutation::{Mutation, broken};

impl Shared {
    /// Removes them. Nobody writes a checkpoint meanwhile.
    pub(super) fn trim_log(&self) -> Result<(), OpenError> {
        let Some(position) = lock(&self.manifest).checkpoint().map(|checkpoint| checkpoint.position) else {
            return Ok(());
        };
        let forgotten = {
            let mut committer = self.committer();
            if committer.has_failed() {
                return Ok(());
            }
            committer.forget_log_before(self, position)
        };
        if forgotten.is_empty() {
            return Ok(());
        }
        if !broken(Mutation::RemoveSegmentsEarly) {
            self.name_what_is_there(false)?;
        }
        let _nothing_is_linked = lock(&self.removals);
        for path in &forgotten {
            let removed = self.platform.disk.remove(path);
            removed.map_err(|source| OpenError::Disk { doing: "removing", path: path.clone(), source })?;
        }
        tracing::info!(segments = forgotten.len(), "segments of the log that nothing needs were removed");
        Ok(())
    }
}
