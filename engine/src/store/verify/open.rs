//! Verifying an open store, while it goes on.
//!
//! Owns the moment: what the manifest would say of it, its files pinned before any of them can go, and the tails as they are in memory.

use std::num::NonZeroU64;

use super::super::checkpoint::Captured;
use super::super::{Shared, Store, lock, scrubber};
use super::meter::Meter;
use super::subject::Subject;
use super::{Verified, Watcher, unless_ended};
use crate::error::OpenError;

impl Store {
    /// Verifies everything as of this moment, while the store goes on; at most `limit` bytes a second are read, if there is a limit. `None` if `watcher` ended it.
    /// What came of it is in [`Store::status`] then.
    ///
    /// # Errors
    ///
    /// [`OpenError::Disk`] of a directory that cannot be listed. What is wrong with a file is a finding.
    pub fn verify(&self, limit: Option<NonZeroU64>, watcher: &mut Watcher<'_>) -> Result<Option<Verified>, OpenError> {
        scrubber::verify(&self.shared, limit, watcher)
    }
}

/// See [`Store::verify`].
pub(in crate::store) fn verify_open(
    shared: &Shared,
    limit: Option<NonZeroU64>,
    watcher: &mut Watcher<'_>,
) -> Result<Option<Verified>, OpenError> {
    let mut subject = shared.pin()?;
    let mut watcher = |verifying| watcher(verifying);
    shared.platform.aside(|| unless_ended(super::verify(&mut subject, &Meter::new(limit, &mut watcher))))
}

impl Shared {
    fn pin(&self) -> Result<Subject, OpenError> {
        let _nothing_goes = lock(&self.removals);
        let committer = self.committer();
        let named = lock(&self.manifest);
        let live = Captured::of(self.view.load_full(), committer.state());
        // The checkpoint that is named now is not gone before this is pinned: it is read at the end, and may be gone then, which is no damage.
        let manifest = named.of(&live.view);
        drop((named, committer));
        let until = Some(live.view.end);
        let disk = self.platform.disk.clone();
        let mut subject = Subject::pin(disk, (manifest, self.mark), until, self.platform.cores())?;
        subject.live = Some(live);
        Ok(subject)
    }
}
