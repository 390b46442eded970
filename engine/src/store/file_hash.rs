//! The BLAKE3 of a file: what manifests, held loads and snapshots know a file by.

use std::io;

use crate::disk::ReadFile;

/// Bytes that are read at a time.
const CHUNK_BYTES: u64 = 1 << 20;

/// The BLAKE3 of a file's first `length` bytes; `told` hears of the bytes that were read since it was told last.
pub(super) fn file_hash(file: &dyn ReadFile, length: u64, told: &mut dyn FnMut(u64)) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; CHUNK_BYTES.min(length) as usize];
    let mut at = 0;
    while at < length {
        let part = &mut chunk[..CHUNK_BYTES.min(length - at) as usize];
        file.read_at(part, at)?;
        hasher.update(part);
        at += part.len() as u64;
        told(part.len() as u64);
    }
    Ok(hasher.finalize())
}
