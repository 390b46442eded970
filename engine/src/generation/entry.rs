//! The entry: one ticket in a generation.
//!
//! Owns the payload of an entry's frame. The frame's header names the ticket and says since when its row is known (sequence and time; zero: since this
//! generation was installed).
//!
//! ```text
//! | row length | row: a Resident of the schema | cold address / 8 | shot count | shot | shot | …        all numbers are varints
//! shot: | sequence | time ms | date | dose | stub | source | municipality as presented | vaccine | lot | venue | institution | doctor | recorded by |
//! ```
//!
//! Row length 0: an orphan. The last six are numbers of the dictionary. The row's bytes are spliced into replies as they are.

use crate::frame::{HEADER_BYTES, Header};
use crate::wire::{put_varint, take_bytes, take_varint};

/// An entry whose frame validated. Small, because every match hands one on by value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    head: &'a [u8; HEADER_BYTES],
    /// The encoded `Resident`; empty for an orphan.
    pub(crate) row: &'a [u8],
    /// The address of the cold entry in bytes; 0 if there is none.
    pub(crate) cold: u64,
    pub(crate) shot_count: u64,
    shots: &'a [u8],
}

/// A folded shot, its texts as numbers of the generation's dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FoldedShot {
    pub(crate) sequence: u64,
    pub(crate) time_ms: u64,
    pub(crate) date: u32,
    pub(crate) dose: u32,
    pub(crate) stub: u32,
    pub(crate) source: u32,
    pub(crate) presented_municipality: u32,
    pub(crate) vaccine: u32,
    pub(crate) lot: u32,
    pub(crate) venue: u32,
    pub(crate) institution: u32,
    pub(crate) doctor: u32,
    pub(crate) recorded_by: u32,
}

/// Bytes of a shot at least: thirteen numbers.
const SHOT_BYTES_MIN: usize = 13;

impl<'a> Entry<'a> {
    /// Reads the payload of the frame that begins with `head`; `None` if it is none.
    #[inline(always)]
    pub(super) fn decode(head: &'a [u8; HEADER_BYTES], mut payload: &'a [u8]) -> Option<Entry<'a>> {
        let row_length = take_varint(&mut payload)?;
        let row = take_bytes(&mut payload, row_length)?;
        let cold = take_varint(&mut payload)?.checked_mul(8)?;
        let shot_count = take_varint(&mut payload)?;
        // Readers make room for as many shots as are counted; and whoever builds a generation puts something into every entry.
        let holds = shot_count <= (payload.len() / SHOT_BYTES_MIN) as u64 && !(row.is_empty() && shot_count == 0);
        holds.then_some(Entry { head, row, cold, shot_count, shots: payload })
    }

    /// Whose entry it is, and since when its row is known.
    #[inline]
    pub(crate) fn header(&self) -> Header {
        Header::read(self.head)
    }

    /// The folded shots in the order they were recorded; an item is `None` where the bytes are no shot.
    pub(crate) fn shots(&self) -> impl Iterator<Item = Option<FoldedShot>> + 'a {
        let mut bytes = self.shots;
        (0..self.shot_count).map(move |_| FoldedShot::take(&mut bytes))
    }
}

/// Appends an entry's payload to `out`.
pub(super) fn encode(out: &mut Vec<u8>, row: &[u8], cold: u64, shots: &[FoldedShot]) {
    put_varint(out, row.len() as u64);
    out.extend_from_slice(row);
    put_varint(out, cold / 8);
    put_varint(out, shots.len() as u64);
    for shot in shots {
        shot.put(out);
    }
}

impl FoldedShot {
    fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.sequence);
        put_varint(out, self.time_ms);
        for number in [
            self.date,
            self.dose,
            self.stub,
            self.source,
            self.presented_municipality,
            self.vaccine,
            self.lot,
            self.venue,
            self.institution,
            self.doctor,
            self.recorded_by,
        ] {
            put_varint(out, u64::from(number));
        }
    }

    fn take(bytes: &mut &[u8]) -> Option<FoldedShot> {
        let sequence = take_varint(bytes)?;
        let time_ms = take_varint(bytes)?;
        let mut next = || u32::try_from(take_varint(bytes)?).ok();
        Some(FoldedShot {
            sequence,
            time_ms,
            date: next()?,
            dose: next()?,
            stub: next()?,
            source: next()?,
            presented_municipality: next()?,
            vaccine: next()?,
            lot: next()?,
            venue: next()?,
            institution: next()?,
            doctor: next()?,
            recorded_by: next()?,
        })
    }
}
