//! A generation: one immutable file that holds everything known about a ledger up to a position of the log.
//!
//! Owns the file below `ledgers/<municipality>/`: its entries, its index, its look-ups, its dictionary, its cold section, its footer.
//!
//! ```text
//! header | header | entries … | index | look-ups … | order of kana | dictionary | cold | footer
//! 0        4096     8192        64-byte aligned lines  8-byte aligned              last 512 bytes
//! ```
//!
//! Entries lie in the order of their ticket numbers: a whole ledger is read from front to back. The index is exact: a ticket that the ledger does not have
//! is answered without touching an entry. The file is built aside, synced, then named by an event of the log; it never changes (I3).
//!
//! Damage: every entry has its own checksum and names its ticket, so the index cannot show a wrong person. Index and dictionary are checked whole at first
//! use, and so is each look-up at its own, so damage cannot hide a person either. A file without a look-up is read through instead.

mod build;
mod cold;
mod copy;
mod derived;
mod dictionary;
mod entry;
mod examine;
mod kana_order;
mod layout;
mod look_up;
mod read;
mod rebuild;
mod senders;
mod slots;

use std::path::{Path, PathBuf};

pub(crate) use build::{BuildError, Builder, Built, RowToFold, ShotToFold};
pub(crate) use cold::ColdShotView;
pub(crate) use copy::copy;
pub(crate) use entry::{Entry, FoldedShot};
pub use examine::Remedy;
pub(crate) use examine::{Examined, Flaw};
pub(crate) use layout::Identity;
pub(crate) use look_up::{Candidates, KanaRows};
pub(crate) use read::{Generation, OpenGenerationError};
pub(crate) use rebuild::rebuild;
pub(crate) use slots::HeldSlots;

use crate::disk::ReadDisk;
use crate::limits::FILE_HEADER_BYTES;
use crate::lookup::LookupKey;
use crate::ticket::Municipality;

/// The directory of all ledgers, inside the store.
pub(crate) const DIRECTORY: &str = "ledgers";

/// The directory of a ledger's generations.
pub(crate) fn directory(municipality: Municipality) -> PathBuf {
    PathBuf::from(format!("{DIRECTORY}/{municipality}"))
}

/// The file of a generation.
pub(crate) fn path(municipality: Municipality, generation: u64) -> PathBuf {
    directory(municipality).join(format!("{generation:06}.gen"))
}

/// The number of the generation in a file of a ledger's directory, if that is a generation's name.
pub(crate) fn number_of(path: &Path) -> Option<u64> {
    let digits = path.file_name()?.to_str()?.strip_suffix(".gen")?;
    (digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}

/// What a generation's file says of itself, and how long it is. `lookup_key` is the store's.
pub(crate) fn identity_of(
    disk: &dyn ReadDisk,
    path: &Path,
    lookup_key: LookupKey,
) -> std::io::Result<Option<(Identity, u64)>> {
    let file = disk.open(path)?;
    let length = file.length()?;
    let mut bytes = vec![0; FILE_HEADER_BYTES.min(length) as usize];
    file.read_at(&mut bytes, 0)?;
    Ok(layout::read_header(&bytes, lookup_key).map(|identity| (identity, length)))
}

/// The file of a generation that is held. In the ledger's directory: another name there is one step, which no crash cuts in two.
pub(crate) fn held_path(municipality: Municipality, generation: u64, mark: u16) -> PathBuf {
    directory(municipality).join(format!("{generation:06}-{mark:04x}.gen"))
}

/// A file of the ledger's that is being built.
pub(crate) fn staging_path(municipality: Municipality, generation: u64) -> PathBuf {
    PathBuf::from(format!("{STAGING}/{municipality}-{generation:06}.gen"))
}

/// Builds in progress; emptied at open.
pub(crate) const STAGING: &str = "staging";
