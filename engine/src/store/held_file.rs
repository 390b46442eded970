//! The file of a held load: who waits, for what, and until when.
//!
//! Owns its name, its bytes, and how it comes and goes. It lies in `held/`, is written beside, synced and renamed, and names the generation by length and BLAKE3;
//! the generation itself lies in its ledger's directory. A generation without such a file is a leftover, such a file without its generation is void.
//!
//! ```text
//! 0        8         12      16       24
//! | magic  | version | crc32 | length | a HeldLoad of the schema |
//! ```

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use prost::Message as _;
use sesshu_proto::v1::{Generation as GenerationMessage, HeldLoad};

use super::fold::Samples;
use super::held::Held;
use super::hold::HoldReason;
use super::load::LoadReport;
use super::manifest;
use crate::disk::{Disk, ReadDisk};
use crate::error::HeldError;
use crate::mutation::{Mutation, broken};
use crate::ticket::Municipality;
use crate::{StoreId, generation};

/// The directory of held loads, inside the store; made for the first.
pub(super) const DIRECTORY: &str = "held";
const MAGIC: &[u8; 8] = b"SesshuHl";
/// A file beyond it is none of these.
const BYTES_MAX: u64 = 64 << 10;

/// Names a held load: its municipality, its generation, and a mark that tells it from another of the same. `131016-000012-9f3a`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HeldId {
    pub(super) municipality: Municipality,
    pub(super) generation: u64,
    pub(super) mark: u16,
}

impl HeldId {
    /// Reads an id as it is shown.
    ///
    /// # Errors
    ///
    /// [`HeldError::NotAnId`].
    pub fn parse(text: &str) -> Result<HeldId, HeldError> {
        let mut parts = text.trim().split('-');
        let (Some(code), Some(generation), Some(mark), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(HeldError::NotAnId);
        };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if code.len() != 6
            || generation.len() < 6
            || mark.len() != 4
            || ![code, generation, mark].map(digits).iter().all(|&it| it)
        {
            return Err(HeldError::NotAnId);
        }
        let municipality = code.parse().ok().and_then(|code| Municipality::from_code(code).ok());
        match (municipality, generation.parse(), u16::from_str_radix(mark, 16)) {
            (Some(municipality), Ok(generation), Ok(mark)) if generation > 0 => {
                Ok(HeldId { municipality, generation, mark })
            }
            _ => Err(HeldError::NotAnId),
        }
    }

    /// Whose register it is.
    #[must_use]
    pub fn municipality(&self) -> Municipality {
        self.municipality
    }

    /// Its file.
    pub(super) fn path(&self) -> PathBuf {
        Path::new(DIRECTORY).join(self.to_string())
    }

    /// Where its generation lies.
    pub(super) fn generation_path(&self) -> PathBuf {
        generation::held_path(self.municipality, self.generation, self.mark)
    }
}

impl fmt::Display for HeldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:06}-{:04x}", self.municipality, self.generation, self.mark)
    }
}

/// Which loads have a file in the directory; others' files are none's.
pub(super) fn ids(disk: &dyn ReadDisk) -> io::Result<Vec<HeldId>> {
    let id = |path: &PathBuf| HeldId::parse(path.file_name()?.to_str()?).ok().filter(|id| id.path() == *path);
    Ok(disk.list(Path::new(DIRECTORY))?.iter().filter_map(id).collect())
}

/// Whether a name in the directory is of a file that was being written.
pub(super) fn is_temporary(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tmp")
}

/// Writes the file of a held load, durably.
pub(super) fn write(disk: &dyn Disk, store_id: StoreId, held: &Held) -> io::Result<()> {
    let directory = Path::new(DIRECTORY);
    disk.create_directory(directory)?;
    let (path, temporary) = (held.id.path(), held.id.path().with_extension("tmp"));
    if disk.list(directory)?.contains(&temporary) {
        disk.remove(&temporary)?;
    }
    let written = disk.create(&temporary).and_then(|file| {
        file.write_at(&encode(store_id, held), 0)?;
        if broken(Mutation::SkipHeldSync) { Ok(()) } else { file.sync() }
    });
    let named = written.and_then(|()| disk.rename(&temporary, &path)).and_then(|()| disk.sync_directory(directory));
    named.inspect_err(|_| {
        // Whichever of them is there; the next open removes what stays.
        let _ = disk.remove(&temporary);
        let _ = disk.remove(&path);
    })
}

/// Removes the file of a held load, durably: it does not come back.
pub(super) fn remove(disk: &dyn Disk, id: HeldId) -> io::Result<()> {
    disk.remove(&id.path())?;
    disk.sync_directory(Path::new(DIRECTORY))
}

/// Reads a file of the directory; `None` if it is no whole one of this store under its own name.
pub(super) fn read(disk: &dyn ReadDisk, store_id: StoreId, id: HeldId) -> io::Result<Option<Held>> {
    let file = disk.open(&id.path())?;
    let length = file.length()?;
    if length > BYTES_MAX {
        return Ok(None);
    }
    let mut bytes = vec![0; length as usize];
    file.read_at(&mut bytes, 0)?;
    Ok(decode(&bytes, store_id).filter(|held| held.id == id))
}

fn encode(store_id: StoreId, held: &Held) -> Vec<u8> {
    let LoadReport { accepted, added, changed, unchanged, kept, removed, known, rows, rejected_rows, remarks, .. } =
        held.report;
    let samples = &held.report.samples;
    let message = HeldLoad {
        store_id: store_id.0.to_vec(),
        generation: Some(held.generation.clone()),
        folded_sequence: held.folded_sequence,
        held_at: held.held_at_ms,
        expires_at: held.expires_at_ms,
        removed_percent: held.percents.0.into(),
        rejected_percent: held.percents.1.into(),
        accepted,
        added,
        changed,
        unchanged,
        kept,
        removed,
        rejected: rejected_rows,
        known,
        rows,
        sample_added: samples.added.clone(),
        sample_changed: samples.changed.clone(),
        sample_removed: samples.removed.clone(),
        mark: held.id.mark.into(),
        remarks,
    };
    manifest::with_header(MAGIC, &message.encode_to_vec())
}

fn decode(bytes: &[u8], store_id: StoreId) -> Option<Held> {
    let payload = manifest::message(bytes, MAGIC).ok()?;
    let message = HeldLoad::decode(payload).ok().filter(|message| message.store_id == store_id.0)?;
    let generation: GenerationMessage = message.generation?;
    let id = HeldId {
        municipality: Municipality::from_five_digits(generation.municipality)?,
        generation: generation.generation,
        mark: u16::try_from(message.mark).ok()?,
    };
    let percents = (u8::try_from(message.removed_percent).ok()?, u8::try_from(message.rejected_percent).ok()?);
    let report = LoadReport {
        accepted: message.accepted,
        added: message.added,
        changed: message.changed,
        unchanged: message.unchanged,
        kept: message.kept,
        removed: message.removed,
        known: message.known,
        rows: message.rows,
        rejected_rows: message.rejected,
        remarks: message.remarks,
        samples: Samples {
            added: message.sample_added,
            changed: message.sample_changed,
            removed: message.sample_removed,
        },
        generation: generation.generation,
        ..LoadReport::default()
    };
    Some(Held {
        id,
        held_at_ms: message.held_at,
        expires_at_ms: message.expires_at,
        reason: HoldReason::of(&report, percents.0, percents.1),
        report,
        generation,
        folded_sequence: message.folded_sequence,
        percents,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_comes_back_and_nothing_else_is_one() {
        let id = HeldId::parse(" 131016-000012-9f3a\n").expect("an id");
        assert_eq!(id.to_string(), "131016-000012-9f3a");
        let large = "131016-1234567-0000";
        assert_eq!(HeldId::parse(large).map(|id| id.to_string()).ok().as_deref(), Some(large));
        for text in ["", "131016", "131016-12-9f3a", "131017-000012-9f3a", "131016-000012-9f3", "131016-000012-9f3a-1"]
        {
            assert!(matches!(HeldId::parse(text), Err(HeldError::NotAnId)), "{text}");
        }
        for text in ["131016-000000-9f3a", "131016-00001a-9f3a", "131016-000012-9f3g", "+31016-000012-9f3a"] {
            assert!(matches!(HeldId::parse(text), Err(HeldError::NotAnId)), "{text}");
        }
    }
}
