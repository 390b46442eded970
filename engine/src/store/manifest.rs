//! The manifest: the store's table of contents.
//!
//! Owns the file `MANIFEST`, which is replaced whole: written beside, synced, renamed, directory synced. It names the generations that were current when it
//! was written and vouches for the log up to a position; what came after is in the log.
//!
//! ```text
//! 0        8         12      16       24
//! | magic  | version | crc32 | length | a Manifest of the schema |
//! ```

use std::io;
use std::path::Path;

use prost::Message as _;
use sesshu_proto::v1::{
    AccessLog, Checkpoint as CheckpointMessage, Generation as GenerationMessage, Manifest, WrappedDataKey,
};

use super::view::View;
use crate::disk::{Disk, ReadDisk};
use crate::error::{Damage, OpenError};
use crate::frame::{u32_at, u64_at};
use crate::lookup::LookupKey;
use crate::mutation::{Mutation, broken};
use crate::{FORMAT_VERSION, StoreId, log};

pub(super) const PATH: &str = "MANIFEST";
/// The manifest before the one that is current: what is damaged of that can be made again from it and the log.
pub(super) const SPARE: &str = "MANIFEST.before";
const TEMPORARY: &str = "MANIFEST.tmp";
const MAGIC: &[u8; 8] = b"SesshuMf";
const HEADER_BYTES: usize = 24;

/// What all files of a store have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoreMark {
    /// Names the store, in every file.
    pub(crate) id: StoreId,
    /// Of the generations' look-ups.
    pub(crate) lookup_key: LookupKey,
}

/// What stays the same from one manifest to the next, and what the last durable one names.
pub(super) struct ManifestFile {
    mark: StoreMark,
    created_at: u64,
    pub(super) data_keys: Vec<WrappedDataKey>,
    /// BLAKE3 of the generation files, which a view does not hold: municipality and generation to hash.
    hashes: std::collections::HashMap<(u32, u64), Vec<u8>>,
    /// The newest checkpoint.
    checkpoint: Option<CheckpointMessage>,
    /// What is vouched for of the access log.
    pub(super) access: Option<AccessLog>,
    /// The store was closed: what a load that outlives it would write vouches for less.
    closed: bool,
}

impl ManifestFile {
    pub(super) fn new(manifest: &Manifest, mark: StoreMark) -> ManifestFile {
        let mut file = ManifestFile {
            mark,
            created_at: manifest.created_at,
            data_keys: manifest.data_keys.clone(),
            hashes: std::collections::HashMap::new(),
            checkpoint: manifest.checkpoint.clone(),
            access: manifest.access,
            closed: false,
        };
        for generation in &manifest.generations {
            file.remember(generation);
        }
        file
    }

    /// Keeps the hash of a generation for the next manifest.
    pub(super) fn remember(&mut self, generation: &GenerationMessage) {
        self.hashes.insert((generation.municipality, generation.generation), generation.blake3.to_vec());
    }

    /// Whether the last one was written.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The newest checkpoint.
    pub(super) fn checkpoint(&self) -> Option<&CheckpointMessage> {
        self.checkpoint.as_ref()
    }

    /// Names none from the next manifest on: it was of no use.
    pub(super) fn forget_checkpoint(&mut self) {
        self.checkpoint = None;
    }

    /// Names a checkpoint from the next manifest on; returns the one before.
    pub(super) fn name_checkpoint(&mut self, checkpoint: CheckpointMessage) -> Option<CheckpointMessage> {
        self.checkpoint.replace(checkpoint)
    }

    /// What a manifest says that names what `view` shows, and vouches for the log as far as it shows it.
    pub(super) fn of(&self, view: &View) -> Manifest {
        let mut generations = Vec::new();
        for ledger in view.ledgers.iter() {
            let Some(generation) = &ledger.generation else { continue };
            let identity = generation.identity();
            let key = (identity.five_digits, identity.generation);
            generations.push(GenerationMessage {
                municipality: identity.five_digits,
                generation: identity.generation,
                file_length: generation.file_length(),
                salt: identity.salt.0,
                folded_position: identity.folded_position,
                blake3: self.hashes.get(&key).cloned().unwrap_or_default().into(),
                installed_sequence: ledger.installed.since.0,
                installed_at: ledger.installed.since.1,
                who: ledger.installed.sender.who().to_owned(),
                reason: ledger.installed.sender.reason().to_owned(),
                entries: generation.counters().entries,
            });
        }
        Manifest {
            store_id: self.mark.id.0.to_vec(),
            lookup_key: self.mark.lookup_key.0.to_vec(),
            created_at: self.created_at,
            generations,
            log_vouched_position: view.end,
            log_vouched_sequence: view.horizon.sequence,
            log_segment: view.horizon.segments.newest(),
            closed: false,
            data_keys: self.data_keys.clone(),
            checkpoint: self.checkpoint.clone(),
            access: self.access,
            log_first_segment: view.horizon.segments.oldest(),
        }
    }

    /// Replaces the manifest with one that names what `view` shows. `closed`: the log ends there.
    pub(super) fn write(&mut self, disk: &dyn Disk, view: &View, closed: bool) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let manifest = Manifest { closed, ..self.of(view) };
        write(disk, &manifest)?;
        self.closed = closed;
        let generations = manifest.generations.iter();
        let current: std::collections::HashMap<u32, u64> =
            generations.map(|generation| (generation.municipality, generation.generation)).collect();
        // A later one than the current is that of a load which is about to install it.
        self.hashes.retain(|(municipality, generation), _| current.get(municipality).is_none_or(|it| it <= generation));
        Ok(())
    }
}

/// Writes a manifest, durably. The one before it gets another name, for which nothing is copied; where that fails there is none.
pub(super) fn write(disk: &dyn Disk, manifest: &Manifest) -> io::Result<()> {
    if !broken(Mutation::KeepNoSpare) {
        let _ = disk.remove(Path::new(SPARE));
        let _ = disk.link(Path::new(PATH), Path::new(SPARE));
    }
    write_over(disk, manifest)
}

/// As [`write`], in the place of one that is damaged; the one before it stays.
pub(super) fn write_over(disk: &dyn Disk, manifest: &Manifest) -> io::Result<()> {
    replace(disk, (Path::new(PATH), Path::new(TEMPORARY)), &with_header(MAGIC, &manifest.encode_to_vec()))
}

/// Replaces a file of the disk's top directory whole, durably.
pub(super) fn replace(disk: &dyn Disk, (path, temporary): (&Path, &Path), bytes: &[u8]) -> io::Result<()> {
    if disk.list(Path::new(""))?.iter().any(|path| path == temporary) {
        disk.remove(temporary)?;
    }
    let file = disk.create(temporary)?;
    file.write_at(bytes, 0)?;
    if !broken(Mutation::SkipManifestSync) {
        file.sync()?;
    }
    disk.rename(temporary, path)?;
    if broken(Mutation::SkipManifestDirectorySync) { Ok(()) } else { disk.sync_directory(Path::new("")) }
}

/// A file of one message: magic, version, checksum, length, the message. Held loads and snapshots have the same form.
pub(super) fn with_header(magic: &[u8; 8], payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
    bytes.extend_from_slice(magic);
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(payload);
    let crc = checksum(&bytes);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Over everything but the checksum itself, in bytes 12 to 15.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..12]);
    hasher.update(&bytes[16..]);
    hasher.finalize()
}

/// Writes the first manifest of a new store.
pub(super) fn create(disk: &dyn Disk, manifest: &Manifest) -> Result<(), OpenError> {
    write(disk, manifest).map_err(|source| OpenError::Disk { doing: "writing", path: PATH.into(), source })
}

/// Reads the manifest; `None` if there is none.
pub(super) fn read(disk: &dyn ReadDisk) -> Result<Option<(Manifest, StoreMark)>, OpenError> {
    read_at(disk, Path::new(PATH))
}

/// Reads the manifest before it; `None` if there is none.
pub(super) fn read_spare(disk: &dyn ReadDisk) -> Result<Option<(Manifest, StoreMark)>, OpenError> {
    read_at(disk, Path::new(SPARE))
}

/// What stands in for a manifest that cannot be read: the one before it, without what may have changed since; `None` if that cannot be read either.
pub(super) fn stand_in(disk: &dyn ReadDisk) -> Result<Option<(Manifest, StoreMark)>, OpenError> {
    let before = match read_spare(disk) {
        Err(OpenError::Damaged(_) | OpenError::Disk { .. }) => None,
        before => before?,
    };
    before.map(|(manifest, mark)| Ok((without_what_changes(disk, manifest)?, mark))).transpose()
}

/// An older manifest, as far as it still holds: segments that were removed since are not needed, and neither is a checkpoint. Everything else the log knows.
pub(super) fn without_what_changes(disk: &dyn ReadDisk, manifest: Manifest) -> Result<Manifest, OpenError> {
    let listed = disk.list(Path::new(log::DIRECTORY));
    let listed = listed.map_err(|source| OpenError::Disk { doing: "listing", path: log::DIRECTORY.into(), source })?;
    let oldest = listed.iter().filter_map(|path| log::number_of(path)).min().unwrap_or(0);
    let log_first_segment = manifest.log_first_segment.max(oldest);
    Ok(Manifest { log_first_segment, checkpoint: None, closed: false, ..manifest })
}

fn read_at(disk: &dyn ReadDisk, path: &Path) -> Result<Option<(Manifest, StoreMark)>, OpenError> {
    let failed = |source| OpenError::Disk { doing: "reading", path: path.to_owned(), source };
    let file = match disk.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed)?,
    };
    let length = file.length().map_err(failed)?;
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_at(&mut bytes, 0).map_err(failed)?;
    match decode(&bytes) {
        Ok(manifest) => Ok(Some(manifest)),
        Err(Unreadable::Newer(found)) => Err(OpenError::Newer { file: path.to_owned(), found, known: FORMAT_VERSION }),
        Err(Unreadable::Damaged(offset, what)) => {
            Err(Damage { file: path.to_owned(), offset, municipality: None, what }.into())
        }
    }
}

/// Why bytes are no manifest of this program.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// Where, and which check failed.
    Damaged(u64, &'static str),
    /// A whole one, of this version.
    Newer(u32),
}

/// Reads a whole manifest. Pure.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Manifest, StoreMark), Unreadable> {
    let damaged = |what| Unreadable::Damaged(HEADER_BYTES as u64, what);
    let manifest = Manifest::decode(message(bytes, MAGIC)?).map_err(|_| damaged("the manifest is no message"))?;
    let mark = mark_of(&manifest).ok_or_else(|| damaged("the manifest names no store"))?;
    Ok((manifest, mark))
}

/// The store that a manifest is of, if it says so.
pub(super) fn mark_of(manifest: &Manifest) -> Option<StoreMark> {
    let bytes = |bytes: &[u8]| bytes.try_into().ok();
    Some(StoreMark { id: StoreId(bytes(&manifest.store_id)?), lookup_key: LookupKey(bytes(&manifest.lookup_key)?) })
}

/// The message in a file of one. Pure.
pub(super) fn message<'a>(bytes: &'a [u8], magic: &[u8; 8]) -> Result<&'a [u8], Unreadable> {
    if bytes.len() < HEADER_BYTES || &bytes[0..8] != magic {
        return Err(Unreadable::Damaged(0, "not a file of this kind"));
    }
    let payload = &bytes[HEADER_BYTES..];
    let sound = checksum(bytes) == u32_at(bytes, 12) || broken(Mutation::SkipManifestChecksum);
    if u64_at(bytes, 16) != payload.len() as u64 || !sound {
        return Err(Unreadable::Damaged(HEADER_BYTES as u64, "the file's checksum does not match"));
    }
    let version = u32_at(bytes, 8);
    if version != FORMAT_VERSION && !broken(Mutation::AcceptNewerFormat) {
        return Err(Unreadable::Newer(version));
    }
    Ok(payload)
}
