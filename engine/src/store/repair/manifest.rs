//! The manifest, where it is damaged: the one before it says the same, but for what the log knows better.

use sesshu_proto::v1::Manifest;

use super::super::manifest::{self, StoreMark};
use super::super::snapshot::Snapshot;
use crate::disk::ReadDisk;
use crate::error::{OpenError, RepairError};

/// A manifest to go on from.
pub(super) struct Found {
    pub(super) manifest: Manifest,
    pub(super) mark: StoreMark,
    /// It is the store's own.
    pub(super) is_whole: bool,
}

/// The manifest; or the one before it; or that of the snapshot.
pub(super) fn find(disk: &dyn ReadDisk, source: Option<&Snapshot>) -> Result<Found, RepairError> {
    match manifest::read(disk) {
        Ok(Some((manifest, mark))) => return Ok(Found { manifest, mark, is_whole: true }),
        Err(error @ OpenError::Newer { .. }) => return Err(error.into()),
        // Gone, damaged, or not to be read.
        Ok(None) | Err(_) => {}
    }
    if let Some((manifest, mark)) = manifest::stand_in(disk)? {
        return Ok(Found { manifest, mark, is_whole: false });
    }
    let source = source.ok_or(RepairError::NoManifest)?;
    let manifest = manifest::without_what_changes(disk, source.manifest().clone())?;
    Ok(Found { manifest, mark: source.mark, is_whole: false })
}
