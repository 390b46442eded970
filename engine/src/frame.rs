//! The frame: the one shape in which a record lies in a file.
//!
//! Owns the 32 bytes before every payload and their checksum; what a payload means is its reader's business. Pure: bytes in, meaning out.
//!
//! ```text
//!  0       4       8   9   10          16              24              32
//!  | length| crc32 |kind|flags| time ms | ticket        | sequence      | payload, zero-padded to 8
//!    u32     u32    u8   u8    u48        u64             u64
//! ```
//!
//! `length` counts the payload without padding. The checksum covers everything from `kind` to the end of the padding and is seeded with the file's salt,
//! the frame's position and the length, so that stale, recycled or misplaced bytes do not validate. Kind 0 does not exist: zeros never validate.

use crate::limits::FRAME_BYTES_MAX;
use crate::mutation::{Mutation, broken};

/// Bytes before the payload.
pub(crate) const HEADER_BYTES: usize = 32;

/// Kinds of frame. Those below 64 are events of the log and equal `EventKind` of the schema.
pub(crate) mod kind {
    pub(crate) const SHOT_RECORDED: u8 = 1;
    pub(crate) const SHOT_CORRECTED: u8 = 2;
    pub(crate) const SHOT_VOIDED: u8 = 3;
    pub(crate) const SHOT_REASSIGNED: u8 = 4;
    pub(crate) const SHOT_CONFIRMED: u8 = 5;
    pub(crate) const SHOT_UNLOCKED: u8 = 6;
    pub(crate) const SHOT_REINSTATED: u8 = 7;
    pub(crate) const RESIDENT_CHANGED: u8 = 16;
    pub(crate) const LOST: u8 = 25;
    pub(crate) const GENERATION_INSTALLED: u8 = 32;
    pub(crate) const ACCESSED: u8 = 48;
    pub(crate) const ENTRY: u8 = 64;
    pub(crate) const COLD_ENTRY: u8 = 65;

    /// Whether events of a kind are of a ticket's shot.
    #[inline]
    pub(crate) fn is_of_shot(kind: u8) -> bool {
        (SHOT_RECORDED..=SHOT_REINSTATED).contains(&kind)
    }
}

/// Flags of a frame.
pub(crate) mod flag {
    /// Of a shot that was recorded, or came by a reassignment: nothing else was known of the ticket then.
    pub(crate) const ORPHAN: u8 = 1;
    /// Of a changed row: the ticket had none before.
    pub(crate) const FIRST_ROW: u8 = 2;
    /// Of a ticket's first row: it had shots before.
    pub(crate) const ADOPTS: u8 = 4;
    /// Of an entry and of a changed row: the row names other tickets of the person.
    pub(crate) const LINKED: u8 = 8;
    /// Of an amendment: it is below the level at which the shot is confirmed, and changes nothing.
    pub(crate) const HELD: u8 = 16;
    /// Of a reassignment: on this ticket the shot arrives.
    pub(crate) const ARRIVES: u8 = 32;
}

/// What a file's checksums are seeded with: random, new for every file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Salt(pub(crate) u64);

impl Salt {
    /// The seed for `length` bytes at `position`. For one text a CRC is a bijection of its seed, so equal bytes under two seeds never both validate
    /// unless the seeds, 32 bits of a mix, are equal.
    #[inline]
    pub(crate) fn seed(self, position: u64, length: u32) -> u32 {
        if broken(Mutation::SkipSalt) {
            return 7;
        }
        let mixed = (self.0 ^ position.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(u64::from(length));
        let mixed = mixed.wrapping_mul(0xd6e8_feb8_6659_fd93);
        (mixed >> 32) as u32 ^ mixed as u32
    }

    /// The checksum of `bytes` that lie at `position`.
    #[inline]
    pub(crate) fn checksum(self, position: u64, length: u32, bytes: &[u8]) -> u32 {
        seeded(self.seed(position, length), bytes)
    }
}

#[inline(never)]
fn seeded(seed: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(bytes);
    hasher.finalize()
}

/// The fields of a frame before its payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    /// Milliseconds since 1970, 48 bits.
    pub(crate) time_ms: u64,
    pub(crate) ticket_bits: u64,
    pub(crate) sequence: u64,
}

impl Header {
    /// The fields in the first bytes of a frame.
    #[inline]
    pub(crate) fn read(head: &[u8; HEADER_BYTES]) -> Header {
        let packed = u64_at(head, 8);
        Header {
            kind: packed as u8,
            flags: (packed >> 8) as u8,
            time_ms: packed >> 16,
            ticket_bits: u64_at(head, 16),
            sequence: u64_at(head, 24),
        }
    }
}

/// A frame whose checksum matched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) header: Header,
    pub(crate) payload: &'a [u8],
    /// Bytes from the frame's first to the next frame's first.
    pub(crate) size: usize,
}

/// Why bytes are no frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FrameFault {
    /// All 32 bytes of the header are zero: nothing was ever written here.
    Zero,
    /// The bytes end before the frame does.
    Short,
    /// A length beyond every limit.
    Length,
    /// The checksum does not match.
    Checksum,
}

impl FrameFault {
    pub(crate) fn what(self) -> &'static str {
        match self {
            FrameFault::Zero => "zeros where a frame should be",
            FrameFault::Short => "the frame reaches beyond its section",
            FrameFault::Length => "an impossible frame length",
            FrameFault::Checksum => "the frame's checksum does not match",
        }
    }
}

/// Bytes of a frame with `payload` bytes of payload.
#[inline]
pub(crate) const fn size(payload: usize) -> usize {
    (HEADER_BYTES + payload).next_multiple_of(8)
}

/// Appends a frame to `out`; its first byte will lie at `position` of the file. The payload is the parts, one after another.
#[inline]
pub(crate) fn encode(out: &mut Vec<u8>, salt: Salt, position: u64, header: Header, payload: &[&[u8]]) {
    debug_assert!(header.kind != 0 && header.time_ms < 1 << 48 && position.is_multiple_of(8));
    let start = out.len();
    let length: usize = payload.iter().map(|part| part.len()).sum();
    assert!(size(length) <= FRAME_BYTES_MAX, "a frame of {length} bytes is beyond the limit");
    out.reserve(size(length));
    let mut head = [0u8; HEADER_BYTES];
    head[0..4].copy_from_slice(&(length as u32).to_le_bytes());
    let packed = u64::from(header.kind) | u64::from(header.flags) << 8 | header.time_ms << 16;
    head[8..16].copy_from_slice(&packed.to_le_bytes());
    head[16..24].copy_from_slice(&header.ticket_bits.to_le_bytes());
    head[24..32].copy_from_slice(&header.sequence.to_le_bytes());
    out.extend_from_slice(&head);
    for part in payload {
        out.extend_from_slice(part);
    }
    out.resize(start + size(length), 0);
    let crc = salt.checksum(position, length as u32, &out[start + 8..]);
    out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// Reads the frame at the start of `bytes`, which lie at `position` of the file and may reach beyond the frame.
// Inlined, so that each caller builds only the fields that it looks at.
#[inline(always)]
pub(crate) fn decode(bytes: &[u8], salt: Salt, position: u64) -> Result<Frame<'_>, FrameFault> {
    let Some(head) = bytes.first_chunk::<HEADER_BYTES>() else { return Err(FrameFault::Short) };
    let length = u32_at(head, 0) as usize;
    if length > FRAME_BYTES_MAX - HEADER_BYTES {
        return Err(FrameFault::Length);
    }
    let size = size(length);
    let Some(whole) = bytes.get(..size) else { return Err(FrameFault::Short) };
    if head[8] == 0 {
        return Err(if head.iter().all(|&byte| byte == 0) { FrameFault::Zero } else { FrameFault::Checksum });
    }
    let sound = salt.checksum(position, length as u32, &whole[8..]) == u32_at(head, 4);
    if !sound && !broken(Mutation::SkipFrameChecksum) {
        return Err(FrameFault::Checksum);
    }
    Ok(Frame { header: Header::read(head), payload: &whole[HEADER_BYTES..HEADER_BYTES + length], size })
}

/// Four bytes, little-endian; the caller knows that they are there.
#[inline]
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Eight bytes, little-endian; the caller knows that they are there.
#[inline]
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> Header {
        Header { kind: kind::SHOT_RECORDED, flags: 3, time_ms: 1_618_190_000_123, ticket_bits: 77, sequence: 42 }
    }

    proptest! {
        #[test]
        fn a_frame_comes_back_as_it_was(payload in proptest::collection::vec(any::<u8>(), 0..300), salt: u64, at in 0u64..1 << 40) {
            let (salt, position) = (Salt(salt), at * 8);
            let mut out = Vec::new();
            let (left, right) = payload.split_at(payload.len() / 2);
            encode(&mut out, salt, position, header(), &[left, right]);
            prop_assert_eq!(out.len(), size(payload.len()));
            let frame = decode(&out, salt, position).map_err(|fault| TestCaseError::fail(fault.what()))?;
            prop_assert_eq!(frame.header, header());
            prop_assert_eq!(frame.payload, &payload[..]);
        }
    }

    #[test]
    fn no_flipped_byte_validates() {
        let mut out = Vec::new();
        encode(&mut out, Salt(9), 8192, header(), &[b"a payload of some length"]);
        for at in 0..out.len() {
            for flip in [1u8, 0x80, 0xff] {
                let mut damaged = out.clone();
                damaged[at] ^= flip;
                assert!(decode(&damaged, Salt(9), 8192).is_err(), "byte {at} flipped by {flip:#x}");
            }
        }
    }

    #[test]
    fn misplaced_or_stale_bytes_do_not_validate() {
        let mut out = Vec::new();
        encode(&mut out, Salt(9), 8192, header(), &[b"payload"]);
        for position in (0..1 << 16).step_by(8).filter(|&position| position != 8192) {
            assert!(decode(&out, Salt(9), position).is_err(), "position {position}");
        }
        assert_eq!(decode(&out, Salt(10), 8192).err(), Some(FrameFault::Checksum));
    }

    #[test]
    fn zeros_never_validate() {
        for salt in 0..1000 {
            assert_eq!(decode(&[0; 64], Salt(salt), salt * 8).err(), Some(FrameFault::Zero));
        }
    }
}
