//! Reading snapshots, on this machine and from a server: the same bytes by the same names.
//!
//! Owns how a snapshot's file is asked for: by the name that the snapshot gives it, or by none, which is the file `SNAPSHOT` itself.

use std::ops::ControlFlow;
use std::path::Path;

use sesshu_engine::error::SnapshotError;
use sesshu_engine::{Exporting, SnapshotExport, SnapshotName, Snapshots};

use crate::client::{Client, ClientError};
use crate::failure::Failure;

/// Bytes of a file in one message.
const CONTENT_BYTES: usize = 256 << 10;

/// Hands on the bytes of a file of a snapshot, in order; `hand_on` may end it.
///
/// # Errors
///
/// [`SnapshotError`].
pub fn read(
    snapshots: &Snapshots,
    name: &SnapshotName,
    path: &str,
    hand_on: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<(), SnapshotError> {
    let snapshot = snapshots.open(name)?;
    if path.is_empty() {
        let _ = snapshot.encoded().chunks(CONTENT_BYTES).try_for_each(hand_on);
        return Ok(());
    }
    let (mut content, mut at) = (vec![0; CONTENT_BYTES], 0);
    loop {
        let read = snapshot.read_file(Path::new(path), at, &mut content)?;
        if read == 0 || hand_on(&content[..read]).is_break() {
            return Ok(());
        }
        at += read as u64;
    }
}

/// Exports a snapshot of a server's store to a directory of this machine; what is there of it already is not read again.
///
/// # Errors
///
/// [`Failure`]; what was copied stays, and the next attempt goes on there.
pub fn export_from(
    client: &Client,
    name: &SnapshotName,
    to: &Path,
    begun: &mut dyn FnMut(u64),
    told: &mut dyn FnMut(Exporting),
) -> Result<Exporting, Failure> {
    let mut encoded = Vec::new();
    client.read_snapshot(name, "", &mut |content| {
        encoded.extend_from_slice(content);
        Ok(())
    })?;
    let export = SnapshotExport::begin(&encoded, to)?;
    begun(export.bytes());
    let mut said = None;
    let done = export.run(
        &mut |path, hand_on| {
            let mut failed = None;
            let read = client.read_snapshot(name, &path.to_string_lossy(), &mut |content| {
                hand_on(content).map_err(|error| {
                    failed = Some(error);
                    ClientError::Ended
                })
            });
            match (read, failed) {
                (Ok(()), _) => Ok(()),
                (Err(_), Some(error)) => Err(error),
                (Err(error), None) => {
                    said = Some(error);
                    Err(SnapshotError::Unknown(name.clone()))
                }
            }
        },
        told,
    );
    match said {
        Some(error) => Err(error.into()),
        None => Ok(done?),
    }
}
