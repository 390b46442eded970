//! The log: everything that arrives one by one, in the order of truth.
//!
//! Owns the segments below `log/`, their bytes, their order, and what is durable of them. What an event means is for `ledger` and `store`.
//!
//! A *position* counts bytes from the log's first over all segments and is never used twice; an *address* is the position of an event's frame. No frame
//! has address 0. A batch is one group commit and is written and synced whole.
//!
//! ```text
//! segment:  header | header | batch | batch | … | zeros up to the size that was written and synced before use
//! batch:    header (48 bytes) | frame | frame | …            frame payload: way back to the ticket's event before (varint) | message
//! ```

mod batch;
mod copy;
mod event;
mod examine;
mod mend;
mod recovery;
mod segment;
mod spare;
mod writer;

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::ReadDisk;

pub(crate) use copy::{Copied, Extent, Until, copy};
pub(crate) use event::Event;
pub(crate) use examine::{ExaminedLog, Gap, examine, open_whatever_is_there, torn_bytes};
pub(crate) use mend::{LostEvent, Named, empty_segment, fill, segment_bytes};
pub use recovery::{LogOutcome, Torn};
pub(crate) use recovery::{Recovery, Start, Vouched};
pub(crate) use segment::{Segment, Segments};
pub(crate) use writer::{Appended, LogError, Sealed, Writer, is_full};

/// The directory of the segments, inside the store.
pub(crate) const DIRECTORY: &str = "log";

/// The file of segment `number`.
pub(crate) fn path(number: u64) -> PathBuf {
    PathBuf::from(format!("{DIRECTORY}/{number:016}.log"))
}

/// The files of segments before number `first`: a manifest said that they are not needed, and was cut short before they were gone.
pub(crate) fn leftovers(disk: &dyn ReadDisk, first: u64) -> io::Result<Vec<PathBuf>> {
    let mut files = disk.list(Path::new(DIRECTORY))?;
    files.retain(|file| number_of(file).is_some_and(|number| number < first));
    Ok(files)
}

/// The number of the segment in file `path`, if that is a segment's name.
pub(crate) fn number_of(path: &Path) -> Option<u64> {
    let digits = path.file_name()?.to_str()?.strip_suffix(".log")?;
    (digits.len() == 16).then(|| digits.parse().ok()).flatten()
}
