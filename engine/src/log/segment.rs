//! A segment: one file of the log, and the table of all of them.
//!
//! Owns the segment header, and the way from an address to its event.
//!
//! ```text
//! 0         8         12      16         32       40     48              56     64     72             80      84    96
//! | magic   | version | crc32 | store id | number | base | base sequence | salt | size | previous end | epoch | zero |
//! ```
//!
//! The header stands at byte 0 and again at byte 4096, and is synced before the first batch. Batches begin at byte 8192. `base` is the position of the
//! file's first byte, `previous end` where the log ended before this segment was begun: everything up to there must be there.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::event::Event;
use crate::disk::Map;
use crate::error::Damage;
use crate::frame::{self, Salt, u32_at, u64_at};
use crate::limits::{FILE_HEADER_BYTES, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
use crate::mutation::{Mutation, broken};
use crate::{FORMAT_VERSION, StoreId};

const MAGIC: &[u8; 8] = b"SesshuLg";
const HEADER_BYTES: usize = 96;
const SECOND_COPY: usize = 4096;

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) store_id: StoreId,
    pub(crate) number: u64,
    pub(crate) base: u64,
    pub(crate) base_sequence: u64,
    pub(crate) salt: Salt,
    pub(crate) size: u64,
    pub(crate) previous_end: u64,
}

/// What the first bytes of a segment file are.
#[derive(Debug)]
pub(super) enum SegmentStart {
    Header(SegmentHeader),
    /// Zeros: a spare that was never used.
    Spare,
    /// A version that this program does not know.
    Newer(u32),
    Bad,
}

impl SegmentHeader {
    /// The first 8192 bytes of the file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut copy = [0u8; HEADER_BYTES];
        copy[0..8].copy_from_slice(MAGIC);
        copy[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        copy[16..32].copy_from_slice(&self.store_id.0);
        copy[32..40].copy_from_slice(&self.number.to_le_bytes());
        copy[40..48].copy_from_slice(&self.base.to_le_bytes());
        copy[48..56].copy_from_slice(&self.base_sequence.to_le_bytes());
        copy[56..64].copy_from_slice(&self.salt.0.to_le_bytes());
        copy[64..72].copy_from_slice(&self.size.to_le_bytes());
        copy[72..80].copy_from_slice(&self.previous_end.to_le_bytes());
        let crc = crc32fast::hash(&copy);
        copy[12..16].copy_from_slice(&crc.to_le_bytes());
        let mut bytes = vec![0; FILE_HEADER_BYTES as usize];
        bytes[..HEADER_BYTES].copy_from_slice(&copy);
        bytes[SECOND_COPY..SECOND_COPY + HEADER_BYTES].copy_from_slice(&copy);
        bytes
    }

    /// Reads the header from the first 8192 bytes of a file; either copy will do.
    pub(super) fn decode(bytes: &[u8]) -> SegmentStart {
        let Some(bytes) = bytes.get(..FILE_HEADER_BYTES as usize) else { return SegmentStart::Bad };
        let copies = [&bytes[..HEADER_BYTES], &bytes[SECOND_COPY..SECOND_COPY + HEADER_BYTES]];
        for copy in copies {
            let mut unsigned = [0; HEADER_BYTES];
            unsigned.copy_from_slice(copy);
            unsigned[12..16].fill(0);
            if &copy[0..8] != MAGIC || crc32fast::hash(&unsigned) != u32_at(copy, 12) {
                continue;
            }
            let version = u32_at(copy, 8);
            if version != FORMAT_VERSION && !broken(Mutation::AcceptNewerFormat) {
                return SegmentStart::Newer(version);
            }
            let mut store_id = [0; 16];
            store_id.copy_from_slice(&copy[16..32]);
            return SegmentStart::Header(SegmentHeader {
                store_id: StoreId(store_id),
                number: u64_at(copy, 32),
                base: u64_at(copy, 40),
                base_sequence: u64_at(copy, 48),
                salt: Salt(u64_at(copy, 56)),
                size: u64_at(copy, 64),
                previous_end: u64_at(copy, 72),
            });
        }
        if bytes.iter().all(|&byte| byte == 0) { SegmentStart::Spare } else { SegmentStart::Bad }
    }
}

/// A segment that can be read.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    map: Map,
    /// The segment after this one, once there is one: a tail is newer than the view of whoever reads it, and its walk may begin behind the view's segments.
    next: OnceLock<Arc<Segment>>,
}

impl Segment {
    pub(super) fn new(header: SegmentHeader, map: Map) -> Segment {
        Segment { header, map, next: OnceLock::new() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        super::path(self.header.number)
    }

    /// The position behind the file's last byte, where the next segment's base is.
    pub(crate) fn limit(&self) -> u64 {
        self.header.base + self.header.size
    }

    /// The position of the first batch.
    pub(super) fn first_batch(&self) -> u64 {
        self.header.base + FILE_HEADER_BYTES
    }

    /// The bytes from `position` to the end of the file.
    pub(crate) fn from(&self, position: u64) -> &[u8] {
        let at = (position - self.header.base) as usize;
        &self.map.bytes()[at..]
    }

    /// Has a part of the file in memory, or says that the disk cannot read it.
    pub(super) fn load(&self, range: Range<usize>) -> std::io::Result<()> {
        self.map.load(range)
    }

    pub(super) fn damage(&self, position: u64, what: &'static str) -> Damage {
        Damage { file: self.path(), offset: position - self.header.base, municipality: None, what }
    }
}

/// The segments of one view, by base. Later ones are reached through its last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Segments(Vec<Arc<Segment>>);

impl Segments {
    /// The event at `address`, checked. The address must be that of a synced event.
    #[inline]
    pub(crate) fn event(&self, address: u64) -> Result<Event<'_>, Damage> {
        let Some(segment) = self.segment(address) else {
            return Err(self.damage(address, "an address outside every log segment"));
        };
        let frame = frame::decode(segment.from(address), segment.header.salt, address)
            .map_err(|fault| segment.damage(address, fault.what()))?;
        Event::of(frame, address).ok_or_else(|| segment.damage(address, "a frame that is no event"))
    }

    /// Starts to fetch the first lines of the event at `address`.
    #[inline]
    pub(crate) fn prefetch(&self, address: u64) {
        if let Some(segment) = self.segment(address) {
            let at = (address - segment.header.base) as usize;
            for line in 0..3 {
                crate::disk::prefetch(segment.map.bytes(), at + line * 64);
            }
        }
    }

    /// The damage of the file that holds `address`.
    pub(crate) fn damage(&self, address: u64, what: &'static str) -> Damage {
        match self.segment(address) {
            Some(segment) => segment.damage(address, what),
            None => Damage { file: PathBuf::from(super::DIRECTORY), offset: address, municipality: None, what },
        }
    }

    #[inline]
    fn segment(&self, address: u64) -> Option<&Segment> {
        let after = self.0.partition_point(|segment| segment.header.base <= address);
        let mut segment = &**self.0.get(after.checked_sub(1)?)?;
        while address >= segment.limit() {
            segment = segment.next.get().filter(|next| next.header.base <= address)?;
        }
        Some(segment)
    }

    /// The files that hold the log up to `end`, and how many bytes of each: the newest one may hold more.
    pub(crate) fn files_up_to(&self, end: u64) -> impl Iterator<Item = (PathBuf, u64)> {
        let segments = self.0.iter().filter(move |segment| segment.header.base < end);
        segments.map(move |segment| (segment.path(), segment.limit().min(end) - segment.header.base))
    }

    /// The one whose file has a position, or ends there.
    pub(crate) fn of(&self, position: u64) -> Option<&Segment> {
        let after = self.0.partition_point(|segment| segment.header.base <= position);
        self.0.get(after.checked_sub(1)?).map(|segment| &**segment).filter(|segment| position <= segment.limit())
    }

    /// The one of this number.
    pub(crate) fn number(&self, number: u64) -> Option<&Segment> {
        self.0.iter().find(|segment| segment.header.number == number).map(|segment| &**segment)
    }

    /// Whether one of them holds `position`, or ends there: the log may be read from there on.
    pub(crate) fn hold(&self, position: u64) -> bool {
        self.0.iter().any(|segment| (segment.first_batch()..=segment.limit()).contains(&position))
    }

    /// Adds the segment behind the newest one.
    pub(super) fn push(&mut self, segment: Arc<Segment>) {
        if let Some(last) = self.0.last() {
            assert!(last.next.set(Arc::clone(&segment)).is_ok(), "I2: a segment is followed by one other");
        }
        self.0.push(segment);
    }

    /// Takes out the segments that end before `position`, and says where they lie. The newest one always stays.
    pub(super) fn forget_before(&mut self, position: u64) -> Vec<PathBuf> {
        let before = self.0.partition_point(|segment| segment.limit() < position);
        let before = before.min(self.0.len().saturating_sub(1));
        self.0.drain(..before).map(|segment| segment.path()).collect()
    }

    /// In the order of the log.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Segment>> {
        self.0.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of the newest one; 0 if there is none.
    pub(crate) fn newest(&self) -> u64 {
        self.last().map_or(0, |last| last.header.number)
    }

    /// The number of the oldest one; 0 if there is none.
    pub(crate) fn oldest(&self) -> u64 {
        self.0.first().map_or(0, |first| first.header.number)
    }

    /// Where the oldest one begins: what lies before is gone.
    pub(crate) fn begin(&self) -> u64 {
        self.0.first().map_or(0, |first| first.header.base)
    }

    /// Bytes that the log may take next: a segment and its spare, each twice as large as the newest one if there may be such.
    pub(crate) fn next_bytes(&self) -> u64 {
        2 * self.last().map_or(SEGMENT_BYTES_MIN, |last| (last.header.size * 2).min(SEGMENT_BYTES_MAX))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.iter().map(|segment| segment.header.size).sum()
    }

    /// The newest segment.
    pub(super) fn last(&self) -> Option<&Arc<Segment>> {
        self.0.last()
    }
}
