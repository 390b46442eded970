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
use std::path::{Path, PathBuf};

use prost::Message as _;
use sesshu_proto::v1::{Generation as GenerationMessage, Manifest, WrappedDataKey};

use super::view::View;
use crate::disk::Disk;
use crate::error::{Damage, OpenError};
use crate::frame::{u32_at, u64_at};
use crate::log::Vouched;
use crate::{FORMAT_VERSION, StoreId};

pub(super) const PATH: &str = "MANIFEST";
const TEMPORARY: &str = "MANIFEST.tmp";
const MAGIC: &[u8; 8] = b"SesshuMf";
const HEADER_BYTES: usize = 24;

/// What stays the same from one manifest to the next, and what the last durable one names.
pub(super) struct ManifestFile {
    store_id: StoreId,
    created_at: u64,
    pub(super) data_keys: Vec<WrappedDataKey>,
    /// BLAKE3 of the generation files, which a view does not hold: municipality and generation to hash.
    hashes: std::collections::HashMap<(u32, u64), Vec<u8>>,
    /// The store was closed: what a load that outlives it would write vouches for less.
    closed: bool,
}

impl ManifestFile {
    pub(super) fn new(manifest: &Manifest, store_id: StoreId) -> ManifestFile {
        let mut file = ManifestFile {
            store_id,
            created_at: manifest.created_at,
            data_keys: manifest.data_keys.clone(),
            hashes: std::collections::HashMap::new(),
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

    /// Replaces the manifest with one that names what `view` shows.
    pub(super) fn write(
        &mut self,
        disk: &dyn Disk,
        view: &View,
        vouched: Vouched,
        segment: u64,
    ) -> Result<(), OpenError> {
        if self.closed {
            return Ok(());
        }
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
                installed_sequence: ledger.installed.0,
                installed_at: ledger.installed.1,
            });
        }
        let current: std::collections::HashMap<u32, u64> =
            generations.iter().map(|generation| (generation.municipality, generation.generation)).collect();
        let manifest = Manifest {
            store_id: self.store_id.0.to_vec(),
            created_at: self.created_at,
            generations,
            log_vouched_position: vouched.position,
            log_vouched_sequence: vouched.sequence,
            log_segment: segment,
            closed: vouched.closed,
            data_keys: self.data_keys.clone(),
        };
        write(disk, &manifest).map_err(|source| OpenError::Disk { doing: "writing", path: PATH.into(), source })?;
        self.closed = vouched.closed;
        // A later one than the current is that of a load which is about to install it.
        self.hashes.retain(|(municipality, generation), _| current.get(municipality).is_none_or(|it| it <= generation));
        Ok(())
    }
}

fn write(disk: &dyn Disk, manifest: &Manifest) -> io::Result<()> {
    let temporary = Path::new(TEMPORARY);
    if disk.list(Path::new(""))?.iter().any(|path| path == temporary) {
        disk.remove(temporary)?;
    }
    let payload = manifest.encode_to_vec();
    let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&payload);
    let file = disk.create(temporary)?;
    file.write_at(&bytes, 0)?;
    file.sync()?;
    disk.rename(temporary, Path::new(PATH))?;
    disk.sync_directory(Path::new(""))
}

/// Writes the first manifest of a new store.
pub(super) fn create(disk: &dyn Disk, manifest: &Manifest) -> Result<(), OpenError> {
    write(disk, manifest).map_err(|source| OpenError::Disk { doing: "writing", path: PATH.into(), source })
}

/// Reads the manifest; `None` if there is none.
pub(super) fn read(disk: &dyn Disk) -> Result<Option<(Manifest, StoreId)>, OpenError> {
    let path = Path::new(PATH);
    let failed = |source| OpenError::Disk { doing: "reading", path: PATH.into(), source };
    let damage =
        |offset, what| OpenError::Damaged(Damage { file: PathBuf::from(PATH), offset, municipality: None, what });
    let file = match disk.open(path, false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed)?,
    };
    let length = file.length().map_err(failed)?;
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_at(&mut bytes, 0).map_err(failed)?;
    if bytes.len() < HEADER_BYTES || &bytes[0..8] != MAGIC {
        return Err(damage(0, "not a manifest"));
    }
    let payload = &bytes[HEADER_BYTES..];
    let version = u32_at(&bytes, 8);
    if version != FORMAT_VERSION {
        return Err(OpenError::Newer { file: PATH.into(), found: version, known: FORMAT_VERSION });
    }
    if u64_at(&bytes, 16) != payload.len() as u64 || crc32fast::hash(payload) != u32_at(&bytes, 12) {
        return Err(damage(HEADER_BYTES as u64, "the manifest's checksum does not match"));
    }
    let manifest = Manifest::decode(payload).map_err(|_| damage(HEADER_BYTES as u64, "the manifest is no message"))?;
    let store_id: [u8; 16] = manifest
        .store_id
        .as_slice()
        .try_into()
        .map_err(|_| damage(HEADER_BYTES as u64, "the manifest names no store"))?;
    Ok(Some((manifest, StoreId(store_id))))
}
