//! Mending a log: what takes the place of events that are gone.
//!
//! Owns the bytes. A gap is filled so that every event that is whole stays where it is, with its sequence, and reading goes on behind it: where an event is gone
//! lies one of the kind `LOST`, which says nothing but that. Where a later event of a ticket leads to it, it is the ticket's, and leads on to the one before.

use std::collections::BTreeMap;
use std::path::Path;

use super::batch::{self, BatchHeader};
use super::event::put_previous;
use super::examine::Gap;
use super::segment::{Segment, SegmentHeader, SegmentStart, Segments};
use crate::StoreId;
use crate::disk::ReadDisk;
use crate::frame::{self, Header, Salt, kind};
use crate::limits::{BATCH_BYTES_MAX, FILE_HEADER_BYTES, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};

/// An event that is gone and whose ticket is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) ticket_bits: u64,
    /// The address of the ticket's event before it; 0 if there is none.
    pub(crate) previous: u64,
}

/// An event that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LostEvent {
    pub(crate) sequence: u64,
    /// 0 if nobody knows.
    pub(crate) ticket_bits: u64,
    /// It was committed at this time, or is not known to have been: that of those around it.
    pub(crate) time_ms: u64,
}

/// Bytes of the least frame: a way back of one byte.
const FRAME_BYTES_LEAST: u64 = frame::size(1) as u64;
/// Of one that takes the place of an event, at most.
const FRAME_BYTES_MOST: u64 = 16 << 10;
const BATCH_HEADER: u64 = batch::HEADER_BYTES as u64;
const BATCH_BYTES: u64 = BATCH_BYTES_MAX as u64;

/// What takes the place of a gap, all of which lies in `segment` or is empty, and which events are gone with it; `None` if it cannot be filled. `named` are the
/// places that later events lead to.
pub(crate) fn fill(gap: &Gap, segment: &Segment, named: &BTreeMap<u64, Named>) -> Option<(Vec<u8>, Vec<LostEvent>)> {
    let salt = segment.header.salt;
    let mut whole = Vec::new();
    for &address in &gap.whole {
        let frame = frame::decode(segment.from(address), salt, address).ok()?;
        whole.push(Whole { address, bytes: &segment.from(address)[..frame.size], header: frame.header });
    }
    let mut filling = Filling {
        salt,
        begin: gap.positions.start,
        out: Vec::new(),
        sequence: gap.sequences.start,
        batch: None,
        named,
        lost: Vec::new(),
        time_ms: whole.first().map_or(gap.time_ms, |first| first.header.time_ms),
    };
    for next in &whole {
        let missing = next.header.sequence.checked_sub(filling.sequence)?;
        filling.reach(next.address, missing, Some(next.header.time_ms))?;
        filling.keep(next);
    }
    let missing = gap.sequences.end.checked_sub(filling.sequence)?;
    filling.reach(gap.positions.end, missing, None)?;
    filling.close();
    (filling.position() == gap.positions.end).then_some((filling.out, filling.lost))
}

/// A segment for the place of one that is gone: of the bytes and sequences that those around it leave, and nothing in it. `None` if they do not say.
pub(crate) fn empty_segment(
    store_id: StoreId,
    number: u64,
    salt: u64,
    gap: &Gap,
    segments: &Segments,
) -> Option<Vec<u8>> {
    let (before, next) = (number.checked_sub(1).and_then(|it| segments.number(it)), segments.number(number + 1));
    let base = match before {
        Some(before) => before.limit(),
        None => (number == 1).then_some(0)?,
    };
    let used = gap.positions.end.checked_sub(base)?;
    let size = match next {
        Some(next) => next.header.base.checked_sub(base)?,
        None => used.next_multiple_of(4096).max(SEGMENT_BYTES_MIN),
    };
    if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&size) || used > size {
        return None;
    }
    let header = SegmentHeader {
        store_id,
        number,
        base,
        base_sequence: gap.sequences.start,
        salt: Salt(salt),
        size,
        previous_end: gap.positions.start,
    };
    let mut bytes = header.encode();
    bytes.resize(size as usize, 0);
    Some(bytes)
}

/// The bytes of a segment as far as a file has them, and zeros behind that; `None` if the file is not that segment of the store's.
pub(crate) fn segment_bytes(disk: &dyn ReadDisk, store_id: StoreId, path: &Path) -> Option<Vec<u8>> {
    let file = disk.open(path).ok()?;
    let length = file.length().ok().filter(|length| (FILE_HEADER_BYTES..=SEGMENT_BYTES_MAX).contains(length))?;
    let mut bytes = vec![0; length as usize];
    file.read_at(&mut bytes, 0).ok()?;
    let SegmentStart::Header(header) = SegmentHeader::decode(&bytes) else { return None };
    let is_it = header.store_id == store_id && Some(header.number) == super::number_of(path);
    if !is_it || !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&header.size) {
        return None;
    }
    bytes.resize(header.size as usize, 0);
    Some(bytes)
}

struct Whole<'a> {
    address: u64,
    bytes: &'a [u8],
    header: Header,
}

struct Filling<'a> {
    salt: Salt,
    /// The position of the first byte.
    begin: u64,
    out: Vec<u8>,
    /// Of the next event.
    sequence: u64,
    /// Position and first sequence of the batch that is not closed.
    batch: Option<(u64, u64)>,
    named: &'a BTreeMap<u64, Named>,
    lost: Vec<LostEvent>,
    /// Of the batch that is not closed, or the next one.
    time_ms: u64,
}

impl Filling<'_> {
    fn position(&self) -> u64 {
        self.begin + self.out.len() as u64
    }

    /// Fills up to `to`, with `missing` events that are gone; there a whole event of the commit time `then` lies, or the end.
    fn reach(&mut self, to: u64, missing: u64, then: Option<u64>) -> Option<()> {
        // What lies at `to` is of another batch, or there is none yet.
        let begins = then.is_some_and(|then| then != self.time_ms || self.batch.is_none());
        let room = to.checked_sub(self.position())?;
        if missing == 0 {
            if room == 0 && !begins {
                return Some(());
            }
            // Nothing but headers of batches, the last of them of what lies at `to`.
            let headers = room / BATCH_HEADER;
            if !room.is_multiple_of(BATCH_HEADER) || then.is_some() && headers == 0 {
                return None;
            }
            self.close();
            (0..headers - u64::from(then.is_some())).for_each(|_| self.mark());
            self.time_ms = then.unwrap_or(self.time_ms);
            if then.is_some() {
                self.open();
            }
            return Some(());
        }
        let another = self.batch.is_some() && begins;
        if self.batch.is_none() {
            self.open();
        }
        let (end, goes_on) = if another { (to.checked_sub(BATCH_HEADER)?, false) } else { (to, then.is_some()) };
        self.lose(end, missing, goes_on)?;
        if another {
            self.close();
            self.time_ms = then.unwrap_or(self.time_ms);
            self.open();
        }
        Some(())
    }

    /// Fills up to `to` with `missing` events that are gone; a batch is open, and is, or another one, behind them if it `goes_on`.
    fn lose(&mut self, to: u64, missing: u64, goes_on: bool) -> Option<()> {
        let named: Vec<u64> = self.named.range(self.position()..to).map(|(&address, _)| address).collect();
        // Those that others lead to come at their places; the others have what is left, from the front.
        let mut others = missing.checked_sub(named.len() as u64)?;
        let first = named.first().copied().unwrap_or(to);
        let here = others.min((first - self.position()) / FRAME_BYTES_LEAST);
        others -= here;
        self.spread(first, here, goes_on || !named.is_empty())?;
        for (at, &place) in named.iter().enumerate() {
            let end = named.get(at + 1).copied().unwrap_or(to);
            let here = others.min((end - place) / FRAME_BYTES_LEAST - 1);
            others -= here;
            self.spread(end, here + 1, goes_on || at + 1 < named.len())?;
        }
        (others == 0).then_some(())
    }

    /// Fills up to `to` with `count` events that are gone.
    fn spread(&mut self, to: u64, count: u64, goes_on: bool) -> Option<()> {
        for left in (1..=count).rev() {
            let room = to.checked_sub(self.position())?;
            let even = (room / left / 8 * 8).min(FRAME_BYTES_MOST);
            let is_full = self.batch_bytes() + even.max(room / left) > BATCH_BYTES;
            if is_full && left < count && room >= BATCH_HEADER + left * FRAME_BYTES_LEAST {
                self.close();
                self.open();
            }
            let room = to.checked_sub(self.position())?;
            let size = match left {
                // What it leaves has room for headers alone.
                1 => room - room.saturating_sub(FRAME_BYTES_MOST).next_multiple_of(BATCH_HEADER),
                _ => (room / left / 8 * 8).min(FRAME_BYTES_MOST),
            };
            if size < FRAME_BYTES_LEAST {
                return None;
            }
            self.lost_event(size);
        }
        let room = to.checked_sub(self.position())?;
        if room == 0 {
            return Some(());
        }
        // Too much room: batches without events.
        let headers = room / BATCH_HEADER;
        if !room.is_multiple_of(BATCH_HEADER) {
            return None;
        }
        self.close();
        (0..headers - u64::from(goes_on)).for_each(|_| self.mark());
        if goes_on {
            self.open();
        }
        Some(())
    }

    fn batch_bytes(&self) -> u64 {
        self.batch.map_or(0, |(at, _)| self.position() - at)
    }

    fn lost_event(&mut self, size: u64) {
        let address = self.position();
        let nobodys = Named { ticket_bits: 0, previous: 0 };
        let Named { ticket_bits, previous } = self.named.get(&address).copied().unwrap_or(nobodys);
        let header = Header { kind: kind::LOST, flags: 0, time_ms: self.time_ms, ticket_bits, sequence: self.sequence };
        let mut payload = Vec::new();
        put_previous(&mut payload, address, previous);
        payload.resize(payload.len().max(size as usize - frame::HEADER_BYTES), 0);
        frame::encode(&mut self.out, self.salt, address, header, &[&payload]);
        self.lost.push(LostEvent { sequence: self.sequence, ticket_bits, time_ms: self.time_ms });
        self.sequence += 1;
    }

    fn keep(&mut self, whole: &Whole<'_>) {
        self.out.extend_from_slice(whole.bytes);
        self.sequence = whole.header.sequence + 1;
    }

    fn open(&mut self) {
        self.batch = Some((self.position(), self.sequence));
        self.out.resize(self.out.len() + batch::HEADER_BYTES, 0);
    }

    fn close(&mut self) {
        let Some((at, first_sequence)) = self.batch.take() else { return };
        let length = self.position() - at - BATCH_HEADER;
        self.header(at, length as u32, first_sequence);
    }

    /// A batch without events.
    fn mark(&mut self) {
        let at = self.position();
        self.out.resize(self.out.len() + batch::HEADER_BYTES, 0);
        self.header(at, 0, self.sequence);
    }

    fn header(&mut self, at: u64, length: u32, first_sequence: u64) {
        let count = (self.sequence - first_sequence) as u32;
        // All of it is synced before anybody reads it.
        let header =
            BatchHeader { length, count, first_sequence, time_ms: self.time_ms, durable_position: at, epoch: 0 };
        let begin = (at - self.begin) as usize;
        self.out[begin..begin + batch::HEADER_BYTES].copy_from_slice(&header.encode(self.salt, at));
    }
}
