//! A copy of a generation, for another store.
//!
//! Owns what a copy changes: the header, which names the store. No checksum in the file hangs on that.

use std::io;

use super::layout::{Identity, encode_header, header_is};
use crate::disk::{File, ReadFile};
use crate::limits::FILE_CHUNK_BYTES;

/// Copies a generation of `length` bytes, durably, and gives it another identity. Returns the BLAKE3 of the copy; `None` if the file is not of the identity `from`.
pub(crate) fn copy(
    (file, from): (&dyn ReadFile, &Identity),
    (copy, to): (&dyn File, &Identity),
    length: u64,
) -> io::Result<Option<[u8; 32]>> {
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; FILE_CHUNK_BYTES.min(usize::try_from(length).unwrap_or(usize::MAX))];
    let mut at = 0;
    while at < length {
        let part = chunk.len().min(usize::try_from(length - at).unwrap_or(usize::MAX));
        let part = &mut chunk[..part];
        file.read_at(part, at)?;
        if at == 0 {
            let header = encode_header(to);
            let Some(begin) = part.get_mut(..header.len()).filter(|begin| header_is(begin, from)) else {
                return Ok(None);
            };
            begin.copy_from_slice(&header);
        }
        hasher.update(part);
        copy.write_at(part, at)?;
        at += part.len() as u64;
    }
    copy.sync()?;
    Ok(Some(*hasher.finalize().as_bytes()))
}
