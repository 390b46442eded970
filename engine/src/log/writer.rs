//! The writer: the one place that appends to the log.
//!
//! Owns the end of the log: positions, sequences, the durable position, the switch to the next segment. One thread at a time uses it. A batch is begun,
//! events are pushed, the batch is sealed; whoever holds the sealed batch writes and syncs it, and hands it back. Only then may anyone hear of it (I1, I5).
//! The next batch can be gathered meanwhile, but not sealed: one is on its way at a time, so each vouches for all before it.
//!
//! After a failed write or sync nothing more is written (I7): what the file holds is not known, and a repeated sync would lie.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::Arc;

use super::batch::{self, BatchHeader};
use super::event::{PREVIOUS_BYTES_MAX, put_previous};
use super::segment::{Segment, SegmentHeader, Segments};
use super::spare::{Spare, SpareMaker};
use crate::StoreId;
use crate::disk::File;
use crate::frame::{self, Header, Salt};
use crate::limits::{BATCH_BYTES_MAX, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
use crate::mutation::{Mutation, broken};
use crate::platform::Platform;

/// Where an event came to lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) address: u64,
    pub(crate) sequence: u64,
}

/// Why a batch is not durable.
#[derive(Debug)]
pub(crate) enum LogError {
    /// The next segment could not be prepared: nothing was written, and it may be tried again.
    NoSegment(io::Error),
    /// A write or sync failed: nothing may be written any more.
    Failed(io::Error),
}

impl LogError {
    fn into_source(self) -> io::Error {
        match self {
            LogError::NoSegment(error) | LogError::Failed(error) => error,
        }
    }
}

/// Whether there was no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The state from which a log goes on.
pub(crate) struct End {
    /// The position behind the last batch.
    pub(crate) position: u64,
    pub(crate) next_sequence: u64,
    /// The newest commit time, milliseconds since 1970.
    pub(crate) time_ms: u64,
}

/// A batch whose bytes are final, on its way to the disk.
pub(crate) struct Sealed {
    file: Arc<dyn File>,
    offset: u64,
    bytes: Vec<u8>,
    /// What its header says is durable.
    vouches: u64,
    /// Where the log will end.
    pub(crate) end: u64,
    pub(crate) last_sequence: u64,
    pub(crate) time_ms: u64,
}

impl Sealed {
    /// Writes and syncs the batch: any thread may. After an error nothing more may be written to the log; a panic of the disk is one.
    pub(crate) fn write(&self) -> io::Result<()> {
        let written = panic::catch_unwind(AssertUnwindSafe(|| self.write_and_sync()));
        written.unwrap_or_else(|_| Err(io::Error::other("the disk panicked")))
    }

    fn write_and_sync(&self) -> io::Result<()> {
        self.file.write_at(&self.bytes, self.offset)?;
        if broken(Mutation::AcknowledgeBeforeSync) {
            return Ok(());
        }
        if broken(Mutation::GoOnAfterFailedSync) {
            return self.file.sync().or_else(|_| self.file.sync());
        }
        self.file.sync()
    }
}

pub(crate) struct Writer {
    platform: Platform,
    store_id: StoreId,
    spares: SpareMaker,
    segments: Segments,
    /// The newest segment's; `None` if nothing more may be written to that one.
    file: Option<Arc<dyn File>>,
    /// Behind the last batch that was sealed.
    end: u64,
    /// Behind the last batch that was written and synced.
    durable: u64,
    /// A batch or mark that lies in the log says that everything up to here is durable.
    vouched: u64,
    next_sequence: u64,
    time_ms: u64,
    /// The batch that is being gathered: room for its header, then frames.
    batch: Vec<u8>,
    batch_first: u64,
    /// The memory of a batch that was written, for the next one.
    spare_batch: Vec<u8>,
    /// Scratch: the way from an event to the one before it.
    way_back: Vec<u8>,
}

impl Writer {
    /// Begins a log in which nothing was ever written.
    pub(super) fn found(platform: &Platform, store_id: StoreId) -> io::Result<Writer> {
        // Position 0 belongs to the header of the first segment, so no event has address 0.
        let end = End { position: 0, next_sequence: 1, time_ms: 0 };
        Writer::in_new_segment(platform, store_id, Segments::default(), &end)
    }

    /// Goes on in a new segment behind `segments`, all of whose bytes up to `end` are durable. The segment is of the smallest size: what is written at open
    /// delays it.
    pub(super) fn in_new_segment(
        platform: &Platform,
        store_id: StoreId,
        mut segments: Segments,
        end: &End,
    ) -> io::Result<Writer> {
        let number = segments.last().map_or(1, |last| last.header.number + 1);
        let spare = super::spare::make(&*platform.disk, number, SEGMENT_BYTES_MIN)?;
        let segment = begin(platform, store_id, &spare, &segments, end).map_err(LogError::into_source)?;
        segments.push(segment);
        Writer::new(platform, store_id, segments, Some(spare.file), end)
    }

    /// Goes on where the log ends, in its last segment; everything up to `end` is durable and nothing of what follows it validates.
    pub(super) fn in_last_segment(
        platform: &Platform,
        store_id: StoreId,
        segments: Segments,
        end: &End,
    ) -> io::Result<Writer> {
        let last = segments.last().ok_or_else(|| io::Error::other("the log has no segment"))?;
        let file = platform.disk.open_to_write(&last.path())?;
        Writer::new(platform, store_id, segments, Some(file), end)
    }

    /// As [`Writer::in_new_segment`], when there is room for one.
    pub(super) fn waiting(platform: &Platform, store_id: StoreId, segments: Segments, end: &End) -> io::Result<Writer> {
        Writer::new(platform, store_id, segments, None, end)
    }

    fn new(
        platform: &Platform,
        store_id: StoreId,
        segments: Segments,
        file: Option<Arc<dyn File>>,
        end: &End,
    ) -> io::Result<Writer> {
        let last = segments.last().ok_or_else(|| io::Error::other("the log has no segment"))?;
        let position = end.position.max(last.first_batch());
        Ok(Writer {
            spares: SpareMaker::start(platform)?,
            platform: platform.clone(),
            store_id,
            segments,
            file,
            end: position,
            durable: position,
            vouched: position,
            next_sequence: end.next_sequence,
            time_ms: end.time_ms,
            batch: Vec::with_capacity(BATCH_BYTES_MAX),
            batch_first: end.next_sequence,
            spare_batch: Vec::with_capacity(BATCH_BYTES_MAX),
            way_back: Vec::with_capacity(PREVIOUS_BYTES_MAX),
        })
    }

    /// The segments, for the views.
    pub(crate) fn segments(&self) -> &Segments {
        &self.segments
    }

    /// Forgets the segments before `position`, whose files are to be removed when a durable manifest says that they are not needed. Views that hold them go on.
    pub(crate) fn forget_before(&mut self, position: u64) -> Vec<PathBuf> {
        self.segments.forget_before(position)
    }

    /// Whether there is a segment to write to: else the next batch waits for one.
    pub(crate) fn has_segment(&self) -> bool {
        self.file.is_some()
    }

    /// Behind the last durable batch.
    pub(crate) fn durable(&self) -> u64 {
        self.durable
    }

    /// The sequence that the next event will have.
    pub(crate) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// The newest commit time.
    pub(crate) fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// The number of the segment that is being written.
    pub(crate) fn segment_number(&self) -> u64 {
        self.active().header.number
    }

    /// Whether a mark would vouch for something that nothing vouches for yet.
    pub(crate) fn wants_mark(&self) -> bool {
        self.vouched < self.durable && !broken(Mutation::NeverMark)
    }

    /// Bytes that an event with a message of `message` bytes takes at most.
    pub(crate) fn event_bytes(message: usize) -> usize {
        frame::size(PREVIOUS_BYTES_MAX + message)
    }

    /// Begins a batch of at least `bytes` bytes of events, all with one commit time: `now_ms`, or the last one's if the clock went back. Goes to the next
    /// segment if this one has no room, which must wait until no batch is on its way.
    pub(crate) fn begin(&mut self, bytes: usize, now_ms: u64) -> Result<u64, LogError> {
        assert!(self.is_empty(), "I2: a batch that holds events is sealed before the next one is begun");
        assert!(bytes + batch::HEADER_BYTES <= BATCH_BYTES_MAX, "a batch of {bytes} bytes is beyond the limit");
        if !self.has_room(bytes) {
            assert!(self.durable == self.end, "I4: a segment is followed by the next one when all of it is durable");
            self.switch()?;
        }
        let active = &self.active().header;
        if active.base + active.size - self.end < active.size / 2 {
            let (number, size) = next(&self.segments, self.end);
            self.spares.prepare(number, size);
        }
        self.begin_here(now_ms);
        Ok(self.time_ms)
    }

    fn begin_here(&mut self, now_ms: u64) {
        // 48 bits last until the year 10889.
        let earliest_ms = if broken(Mutation::LetTimeGoBack) { 0 } else { self.time_ms };
        self.time_ms = earliest_ms.max(now_ms.min((1 << 48) - 1));
        self.batch.clear();
        self.batch.resize(batch::HEADER_BYTES, 0);
        self.batch_first = self.next_sequence;
    }

    /// Whether a batch of `bytes` bytes of events can begin in this segment: with room behind it for the mark that vouches for it.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.file.is_some() && self.end + (2 * batch::HEADER_BYTES + bytes) as u64 <= self.active().limit()
    }

    /// Bytes of events that the batch which was begun can still take.
    pub(crate) fn room(&self) -> usize {
        let in_segment = (self.active().limit() - self.end).min(BATCH_BYTES_MAX as u64) as usize;
        in_segment.saturating_sub(self.batch.len() + batch::HEADER_BYTES)
    }

    /// Whether the batch holds no event.
    pub(crate) fn is_empty(&self) -> bool {
        self.next_sequence == self.batch_first
    }

    /// Adds an event to the batch that was begun.
    pub(crate) fn push(&mut self, kind: u8, flags: u8, ticket_bits: u64, previous: u64, message: &[u8]) -> Appended {
        let address = self.end + self.batch.len() as u64;
        let sequence = self.next_sequence;
        let header = Header { kind, flags, time_ms: self.time_ms, ticket_bits, sequence };
        let salt = self.active().header.salt;
        self.way_back.clear();
        put_previous(&mut self.way_back, address, previous);
        frame::encode(&mut self.batch, salt, address, header, &[&self.way_back, message]);
        self.next_sequence += 1;
        Appended { address, sequence }
    }

    /// Ends the batch that was begun. It must be written, and handed back with [`Writer::written`], before another one is sealed.
    pub(crate) fn seal(&mut self) -> Sealed {
        assert!(self.durable == self.end, "I2: one batch is on its way at a time");
        let active = &self.active().header;
        let header = BatchHeader {
            length: (self.batch.len() - batch::HEADER_BYTES) as u32,
            count: (self.next_sequence - self.batch_first) as u32,
            first_sequence: self.batch_first,
            time_ms: self.time_ms,
            durable_position: self.durable,
            epoch: 0,
        };
        let (offset, header) = (self.end - active.base, header.encode(active.salt, self.end));
        assert!(offset + self.batch.len() as u64 <= active.size, "I4: a batch never crosses its segment's end");
        self.batch[..batch::HEADER_BYTES].copy_from_slice(&header);
        let bytes = std::mem::replace(&mut self.batch, std::mem::take(&mut self.spare_batch));
        self.end += bytes.len() as u64;
        self.batch_first = self.next_sequence;
        Sealed {
            file: Arc::clone(self.file.as_ref().expect("a batch was begun, so there is a segment to write to")),
            offset,
            bytes,
            vouches: self.durable,
            end: self.end,
            last_sequence: self.next_sequence - 1,
            time_ms: self.time_ms,
        }
    }

    /// Takes note that a batch is durable.
    pub(crate) fn written(&mut self, sealed: Sealed) {
        assert!(self.end == sealed.end, "I2: the batch that was on its way");
        self.durable = sealed.end;
        self.vouched = sealed.vouches;
        self.spare_batch = sealed.bytes;
    }

    /// Writes and syncs an empty batch, so that the batch before it is vouched for: it left room for that.
    pub(crate) fn mark(&mut self) -> io::Result<()> {
        self.begin_here(self.time_ms);
        let sealed = self.seal();
        sealed.write()?;
        self.written(sealed);
        // A mark itself needs no vouching.
        self.vouched = self.durable;
        Ok(())
    }

    fn active(&self) -> &Arc<Segment> {
        self.segments.last().expect("a writer has a segment from its construction on")
    }

    fn switch(&mut self) -> Result<(), LogError> {
        let (number, size) = next(&self.segments, self.end);
        let spare = self.spares.take(number, size).map_err(LogError::NoSegment)?;
        let end = End { position: self.end, next_sequence: self.next_sequence, time_ms: self.time_ms };
        let segment = begin(&self.platform, self.store_id, &spare, &self.segments, &end)?;
        self.end = segment.first_batch();
        (self.durable, self.vouched) = (self.end, self.end);
        self.segments.push(segment);
        self.file = Some(spare.file);
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

/// Turns a spare into the segment behind `segments`: writes and syncs its header. What can fail and be tried again comes before that.
fn begin(
    platform: &Platform,
    store_id: StoreId,
    spare: &Spare,
    segments: &Segments,
    end: &End,
) -> Result<Arc<Segment>, LogError> {
    let map = platform.disk.map(&super::path(spare.number), spare.size).map_err(LogError::NoSegment)?;
    let header = SegmentHeader {
        store_id,
        number: spare.number,
        base: segments.last().map_or(0, |last| last.limit()),
        base_sequence: end.next_sequence,
        salt: Salt(platform.environment.random_u64().map_err(LogError::NoSegment)?),
        size: spare.size,
        previous_end: end.position,
    };
    spare.file.write_at(&header.encode(), 0).map_err(LogError::Failed)?;
    if !broken(Mutation::SkipSegmentHeaderSync) {
        spare.file.sync().map_err(LogError::Failed)?;
    }
    Ok(Arc::new(Segment::new(header, map)))
}
