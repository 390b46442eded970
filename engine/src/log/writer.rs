//! The writer: the one place that appends to the log.
//!
//! Owns the end of the log: positions, sequences, the durable position, the switch to the next segment. One thread uses it. A batch is begun, events are
//! pushed, and `commit` writes and syncs them; only then may anyone hear of them (I1, I5).
//!
//! After a failed write or sync nothing more is written (I7): what the file holds is not known, and a repeated sync would lie.

use std::io;
use std::sync::Arc;

use super::batch::{self, BatchHeader};
use super::event::PREVIOUS_BYTES;
use super::segment::{Segment, SegmentHeader, Segments};
use super::spare::{Spare, SpareMaker};
use crate::StoreId;
use crate::disk::{Disk, File};
use crate::frame::{self, Header, Salt};
use crate::limits::{BATCH_BYTES_MAX, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};

/// Where an event came to lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) address: u64,
    pub(crate) sequence: u64,
}

/// Why a batch is not durable.
#[derive(Debug)]
pub(crate) enum LogError {
    /// No room for the next segment: nothing was written, and it may be tried again.
    Full,
    /// A write or sync failed: nothing may be written any more.
    Failed(io::Error),
}

/// The state from which a log goes on.
pub(crate) struct End {
    /// The position behind the last batch.
    pub(crate) position: u64,
    pub(crate) next_sequence: u64,
    /// The newest commit time, milliseconds since 1970.
    pub(crate) time_ms: u64,
}

pub(crate) struct Writer {
    disk: Arc<dyn Disk>,
    store_id: StoreId,
    spares: SpareMaker,
    segments: Segments,
    file: Arc<dyn File>,
    /// Behind the last batch that was written; all of it is durable.
    end: u64,
    /// A batch or mark that lies in the log says that everything up to here is durable.
    vouched: u64,
    next_sequence: u64,
    time_ms: u64,
    batch: Vec<u8>,
    batch_first: u64,
}

impl Writer {
    /// Begins a log in which nothing was ever written.
    pub(super) fn found(disk: Arc<dyn Disk>, store_id: StoreId) -> io::Result<Writer> {
        // Position 0 belongs to the header of the first segment, so no event has address 0.
        let end = End { position: 0, next_sequence: 1, time_ms: 0 };
        Writer::in_new_segment(disk, store_id, Segments::default(), end)
    }

    /// Goes on in a new segment behind `segments`, all of whose bytes up to `end` are durable.
    pub(super) fn in_new_segment(
        disk: Arc<dyn Disk>,
        store_id: StoreId,
        mut segments: Segments,
        end: End,
    ) -> io::Result<Writer> {
        let (number, size) = next(&segments, end.position);
        let spare = super::spare::make(&*disk, number, size)?;
        let segment = begin(&*disk, store_id, &spare, &segments, &end)?;
        let file = spare.file;
        segments.push(segment);
        Writer::new(disk, store_id, segments, file, end)
    }

    /// Goes on where the log ends, in its last segment; everything up to `end` is durable and zeros follow it.
    pub(super) fn in_last_segment(
        disk: Arc<dyn Disk>,
        store_id: StoreId,
        segments: Segments,
        end: End,
    ) -> io::Result<Writer> {
        let last = segments.last().ok_or_else(|| io::Error::other("the log has no segment"))?;
        let file = disk.open(&last.path(), true)?;
        Writer::new(disk, store_id, segments, file, end)
    }

    fn new(
        disk: Arc<dyn Disk>,
        store_id: StoreId,
        segments: Segments,
        file: Arc<dyn File>,
        end: End,
    ) -> io::Result<Writer> {
        let last = segments.last().ok_or_else(|| io::Error::other("the log has no segment"))?;
        let position = end.position.max(last.first_batch());
        Ok(Writer {
            spares: SpareMaker::start(Arc::clone(&disk))?,
            disk,
            store_id,
            segments,
            file,
            end: position,
            vouched: position,
            next_sequence: end.next_sequence,
            time_ms: end.time_ms,
            batch: Vec::with_capacity(BATCH_BYTES_MAX),
            batch_first: end.next_sequence,
        })
    }

    /// The segments, for the views.
    pub(crate) fn segments(&self) -> &Segments {
        &self.segments
    }

    /// Behind the last durable batch.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// The sequence that the next event will have.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// The number of the segment that is being written.
    pub(crate) fn segment_number(&self) -> u64 {
        self.active().header.number
    }

    /// Whether a mark would vouch for something that nothing vouches for yet.
    pub(crate) fn wants_mark(&self) -> bool {
        self.vouched < self.end
    }

    /// Bytes that an event with a message of `message` bytes takes.
    pub(crate) fn event_bytes(message: usize) -> usize {
        frame::size(PREVIOUS_BYTES + message)
    }

    /// Begins a batch of at most `bytes` bytes of events, all with one commit time: `now_ms`, or the last one's if the clock went back. Goes to the next
    /// segment if this one has no room.
    pub(crate) fn begin(&mut self, bytes: usize, now_ms: u64) -> Result<u64, LogError> {
        assert!(bytes + batch::HEADER_BYTES <= BATCH_BYTES_MAX, "a batch of {bytes} bytes is beyond the limit");
        let needed = (batch::HEADER_BYTES + bytes) as u64;
        if self.end + needed > self.active().limit() {
            self.switch()?;
        }
        let left = self.active().limit() - self.end;
        if left < self.active().header.size / 2 {
            let (number, size) = next(&self.segments, self.end);
            self.spares.prepare(number, size);
        }
        self.time_ms = self.time_ms.max(now_ms);
        self.batch.clear();
        self.batch.resize(batch::HEADER_BYTES, 0);
        self.batch_first = self.next_sequence;
        Ok(self.time_ms)
    }

    /// Adds an event to the batch that was begun.
    pub(crate) fn push(&mut self, kind: u8, ticket_bits: u64, previous: u64, message: &[u8]) -> Appended {
        let address = self.end + self.batch.len() as u64;
        let sequence = self.next_sequence;
        let header = Header { kind, flags: 0, time_ms: self.time_ms, ticket_bits, sequence };
        let salt = self.active().header.salt;
        frame::encode(&mut self.batch, salt, address, header, &[&previous.to_le_bytes(), message]);
        self.next_sequence += 1;
        Appended { address, sequence }
    }

    /// Writes and syncs the batch that was begun.
    pub(crate) fn commit(&mut self) -> Result<(), LogError> {
        let active = Arc::clone(self.active());
        let header = BatchHeader {
            length: (self.batch.len() - batch::HEADER_BYTES) as u32,
            count: (self.next_sequence - self.batch_first) as u32,
            first_sequence: self.batch_first,
            time_ms: self.time_ms,
            durable_position: self.end,
            epoch: 0,
        };
        self.batch[..batch::HEADER_BYTES].copy_from_slice(&header.encode(active.header.salt, self.end));
        assert!(self.end + self.batch.len() as u64 <= active.limit(), "I4: a batch never crosses its segment's end");
        let offset = self.end - active.header.base;
        self.file.write_at(&self.batch, offset).and_then(|()| self.file.sync()).map_err(LogError::Failed)?;
        self.vouched = self.end;
        self.end += self.batch.len() as u64;
        Ok(())
    }

    /// Writes and syncs an empty batch, so that the batch before it is vouched for. Does nothing where there is no room for one.
    pub(crate) fn mark(&mut self) -> Result<(), LogError> {
        if self.end + batch::HEADER_BYTES as u64 > self.active().limit() {
            self.vouched = self.end;
            return Ok(());
        }
        self.begin(0, self.time_ms)?;
        let end = self.end;
        self.commit()?;
        // The mark itself needs no vouching.
        debug_assert_eq!(self.vouched, end);
        self.vouched = self.end;
        Ok(())
    }

    fn active(&self) -> &Arc<Segment> {
        self.segments.last().expect("a writer has a segment from its construction on")
    }

    fn switch(&mut self) -> Result<(), LogError> {
        let (number, size) = next(&self.segments, self.end);
        let spare = self.spares.take(number, size).map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => LogError::Full,
            _ => LogError::Failed(error),
        })?;
        let end = End { position: self.end, next_sequence: self.next_sequence, time_ms: self.time_ms };
        let segment = begin(&*self.disk, self.store_id, &spare, &self.segments, &end).map_err(LogError::Failed)?;
        self.end = segment.first_batch();
        self.vouched = self.end;
        self.segments.push(segment);
        self.file = spare.file;
        Ok(())
    }
}

/// Number and size of the segment after `segments`, whose last ends at `end`. Sizes double while they are used up, so an empty store stays small.
fn next(segments: &Segments, end: u64) -> (u64, u64) {
    let Some(last) = segments.last() else { return (1, SEGMENT_BYTES_MIN) };
    let used = end.saturating_sub(last.header.base);
    let doubled = if used > last.header.size / 2 { last.header.size * 2 } else { last.header.size };
    (last.header.number + 1, doubled.clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX))
}

/// Turns a spare into the segment behind `segments`: writes and syncs its header.
fn begin(
    disk: &dyn Disk,
    store_id: StoreId,
    spare: &Spare,
    segments: &Segments,
    end: &End,
) -> io::Result<Arc<Segment>> {
    let header = SegmentHeader {
        store_id,
        number: spare.number,
        base: segments.last().map_or(0, |last| last.limit()),
        base_sequence: end.next_sequence,
        salt: Salt(crate::random_u64()?),
        size: spare.size,
        previous_end: end.position,
    };
    spare.file.write_at(&header.encode(), 0)?;
    spare.file.sync()?;
    let map = disk.map(&super::path(header.number), header.size)?;
    Ok(Arc::new(Segment::new(header, map)))
}
