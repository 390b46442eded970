//! Makes bytes right that a fuzzer made up, so that what reads them gets beyond their checksums.
//!
//! Owns what the harness knows of the format: the seeded checksum and the frame, from `docs/format.md`. Written a second time on purpose: a mistake in the
//! engine's own is not repeated here.

use crate::frame::{u32_at, u64_at};

/// Bytes before a frame's payload.
pub(super) const FRAME_HEADER_BYTES: usize = 32;

/// The checksum of `bytes` that lie at `position` of a file with this salt, beside this length field.
pub(super) fn checksum(salt: u64, position: u64, length: u32, bytes: &[u8]) -> u32 {
    let mixed = (salt ^ position.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(u64::from(length));
    let mixed = mixed.wrapping_mul(0xd6e8_feb8_6659_fd93);
    let mut hasher = crc32fast::Hasher::new_with_initial((mixed >> 32) as u32 ^ mixed as u32);
    hasher.update(bytes);
    hasher.finalize()
}

/// Writes a checksum that does not start from a seed over bytes `at..at + 4`, which count as zeros in it.
pub(super) fn seal_header(bytes: &mut [u8], at: usize) {
    put_u32(bytes, at, 0);
    let crc = crc32fast::hash(bytes);
    put_u32(bytes, at, crc);
}

/// Bytes of the frame at the start of `bytes`, if its length leads to an end of it that is there.
pub(super) fn frame_size(bytes: &[u8]) -> Option<usize> {
    let length = u32_at(bytes.first_chunk::<4>()?, 0) as usize;
    let size = (FRAME_HEADER_BYTES + length).next_multiple_of(8);
    (size <= bytes.len()).then_some(size)
}

/// Whether the frame at the start of `bytes`, which lie at `position`, has the checksum that it should have.
pub(super) fn is_sealed(bytes: &[u8], salt: u64, position: u64) -> bool {
    let sealed = |size| checksum(salt, position, u32_at(bytes, 0), &bytes[8..size]) == u32_at(bytes, 4);
    frame_size(bytes).is_some_and(sealed)
}

/// Gives the frame at the start of `bytes`, which lie at `position`, the checksum that it should have, and returns its size.
pub(super) fn seal_frame(bytes: &mut [u8], salt: u64, position: u64) -> Option<usize> {
    let size = frame_size(bytes)?;
    let crc = checksum(salt, position, u32_at(bytes, 0), &bytes[8..size]);
    put_u32(bytes, 4, crc);
    Some(size)
}

/// Gives every frame in `bytes` its checksum, up to the first that has no end.
pub(super) fn seal_frames(bytes: &mut [u8], salt: u64, position: u64) {
    let mut at = 0;
    while let Some(size) = seal_frame(&mut bytes[at..], salt, position + at as u64) {
        at += size;
    }
}

pub(super) fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

pub(super) fn put_u64(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

/// Takes parts off the front of an input. What is not there any more is zero or empty.
pub(super) struct Parts<'a>(pub(super) &'a [u8]);

impl<'a> Parts<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Up to `length` bytes.
    pub(super) fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub(super) fn u8(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from(self.u8()) | u16::from(self.u8()) << 8
    }

    pub(super) fn u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        let taken = self.bytes(8);
        bytes[..taken.len()].copy_from_slice(taken);
        u64_at(&bytes, 0)
    }
}
