//! The batch: what one group commit writes.
//!
//! Owns the 48 bytes before its frames. The header has its own checksum, so that a batch can vouch for what came before it even where its frames are torn.
//!
//! ```text
//! 0       4       8        12      16               24          32                 40      44      48
//! | magic | crc32 | length | count | first sequence | time ms   | durable position | epoch | zero  | frames …
//! ```
//!
//! `length` counts the frames' bytes. *Durable position*: what was known to be synced when this batch was written; all of it must be there (I4).

use super::event::Event;
use crate::frame::{self, Salt, u32_at, u64_at};
use crate::limits::BATCH_BYTES_MAX;

pub(super) const HEADER_BYTES: usize = 48;
const MAGIC: u32 = u32::from_le_bytes(*b"Sbat");

/// A batch's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchHeader {
    pub(super) length: u32,
    pub(super) count: u32,
    pub(super) first_sequence: u64,
    pub(super) time_ms: u64,
    pub(super) durable_position: u64,
    /// Reserved for fencing: 0.
    pub(super) epoch: u32,
}

impl BatchHeader {
    /// The header's bytes, for a batch at `position`.
    pub(super) fn encode(&self, salt: Salt, position: u64) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.length.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.count.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first_sequence.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.time_ms.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.durable_position.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.epoch.to_le_bytes());
        let crc = salt.checksum(position, self.length, &bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header at the start of `bytes`, which lie at `position`; `None` if there is none that validates.
    pub(super) fn decode(bytes: &[u8], salt: Salt, position: u64) -> Option<BatchHeader> {
        let bytes = bytes.first_chunk::<HEADER_BYTES>()?;
        if u32_at(bytes, 0) != MAGIC {
            return None;
        }
        let header = BatchHeader {
            length: u32_at(bytes, 8),
            count: u32_at(bytes, 12),
            first_sequence: u64_at(bytes, 16),
            time_ms: u64_at(bytes, 24),
            durable_position: u64_at(bytes, 32),
            epoch: u32_at(bytes, 40),
        };
        let crc = salt.checksum(position, header.length, &bytes[8..]);
        let possible = header.length as usize <= BATCH_BYTES_MAX
            && header.first_sequence.checked_add(header.count.into()).is_some()
            && header.time_ms < 1 << 48
            && u32_at(bytes, 44) == 0;
        (crc == u32_at(bytes, 4) && possible).then_some(header)
    }

    /// Bytes of the whole batch.
    pub(super) fn size(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.length)
    }
}

/// Reads the batch at the start of `bytes`, which lie at `position`, and puts its events into `events`. `None` if any byte of it does not validate.
pub(super) fn decode<'a>(
    bytes: &'a [u8],
    salt: Salt,
    position: u64,
    events: &mut Vec<Event<'a>>,
) -> Option<BatchHeader> {
    events.clear();
    let header = BatchHeader::decode(bytes, salt, position)?;
    let frames = bytes.get(HEADER_BYTES..usize::try_from(header.size()).ok()?)?;
    let mut at = 0;
    for index in 0..u64::from(header.count) {
        let address = position + (HEADER_BYTES + at) as u64;
        let frame = frame::decode(&frames[at..], salt, address).ok()?;
        if frame.header.sequence != header.first_sequence + index || frame.header.time_ms != header.time_ms {
            return None;
        }
        at += frame.size;
        events.push(Event::of(frame, address)?);
    }
    (at == frames.len()).then_some(header)
}
