//! A store that nobody has open, as something that can be read and not changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::manifest;
use super::super::open::locked_to_read;
use super::meter::Meter;
use super::subject::Subject;
use super::{Findings, Verified, Watcher, unless_ended};
use crate::disk::{ReadDisk, RealDisk};
use crate::error::OpenError;
use crate::generation::Remedy;
use crate::platform::cores;

/// A store that nobody has open. It has no way to change a byte: its disk can only be read.
pub struct ClosedStore {
    disk: Arc<dyn ReadDisk>,
    threads: usize,
    /// Keeps those out who would write.
    _lock: Box<dyn Send + Sync>,
}

impl ClosedStore {
    /// The store in a directory.
    ///
    /// # Errors
    ///
    /// [`OpenError::NoStore`], [`OpenError::InUse`], [`OpenError::Disk`].
    pub fn open(path: &Path) -> Result<ClosedStore, OpenError> {
        ClosedStore::open_on(Arc::new(RealDisk::existing(path)), cores(), path)
    }

    /// The store on a disk, which is read by so many threads. `path` names it in messages.
    ///
    /// # Errors
    ///
    /// As [`ClosedStore::open`].
    pub fn open_on(disk: Arc<dyn ReadDisk>, threads: usize, path: &Path) -> Result<ClosedStore, OpenError> {
        let failed = |source| OpenError::Disk { doing: "opening", path: path.to_owned(), source };
        let names = disk.list(Path::new("")).map_err(failed)?;
        let has = |name: &str| names.contains(&PathBuf::from(name));
        // A store whose manifest is gone still has its log.
        if !has(manifest::PATH) && !has(crate::log::DIRECTORY) {
            return Err(OpenError::NoStore(path.to_owned()));
        }
        let lock = locked_to_read(&*disk, path)?;
        Ok(ClosedStore { disk, threads, _lock: lock })
    }

    /// Verifies everything; `None` if `watcher` ended it.
    ///
    /// # Errors
    ///
    /// [`OpenError::Newer`]; [`OpenError::Disk`] of a directory that cannot be listed. What is wrong with a file is a finding.
    pub fn verify(&self, watcher: &mut Watcher<'_>) -> Result<Option<Verified>, OpenError> {
        verify_closed(Arc::clone(&self.disk), self.threads, watcher)
    }
}

/// See [`ClosedStore::verify`]; whoever calls it has the lock.
pub(in crate::store) fn verify_closed(
    disk: Arc<dyn ReadDisk>,
    threads: usize,
    watcher: &mut Watcher<'_>,
) -> Result<Option<Verified>, OpenError> {
    let (mut findings, mut by_another) = (Findings::default(), false);
    let named = match manifest::read(&*disk) {
        Ok(Some(named)) => named,
        Err(error @ OpenError::Newer { .. }) => return Err(error),
        unread => {
            let stand_in = manifest::stand_in(&*disk)?;
            by_another = true;
            let missing = || OpenError::from(Subject::damage(Path::new(manifest::PATH), "the manifest is missing"));
            let (tickets, remedy) =
                if stand_in.is_some() { (Some(0), Remedy::Rebuild) } else { (None, Remedy::Replace) };
            findings.of_error(unread.err().unwrap_or_else(missing), tickets, remedy)?;
            match stand_in {
                Some(named) => named,
                // Nothing else says what the store has.
                None => return Ok(Some(Verified { findings: findings.0, files: 1, ..Verified::default() })),
            }
        }
    };
    let mut subject = Subject::pin(disk, named, None, threads)?;
    subject.by_another = by_another;
    subject.findings.0.append(&mut findings.0);
    let mut watcher = |verifying| watcher(verifying);
    unless_ended(super::verify(&mut subject, &Meter::new(None, &mut watcher)))
}
