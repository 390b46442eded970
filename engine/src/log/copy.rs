//! A copy of a log's beginning, for another store.
//!
//! Owns which bytes a copy takes and what it changes of them: every segment's header names the new store; the last batch is cut where the copy ends; nothing
//! lies behind that. Positions, addresses and salts stay as they are, and so do the frames. Every batch is checked on the way: what does not validate is not
//! copied, and says where it lies.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::batch::{self, BatchHeader};
use super::event::Event;
use super::segment::{Segment, SegmentHeader, SegmentStart};
use crate::disk::{Disk, File, ReadDisk};
use crate::error::{Damage, OpenError};
use crate::limits::{FILE_CHUNK_BYTES, FILE_HEADER_BYTES, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
use crate::mutation::{Mutation, broken};
use crate::{FORMAT_VERSION, StoreId};

/// The part of a log that is there to be copied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// The number of its first segment.
    pub(crate) first: u64,
    /// Where it ends: behind a batch.
    pub(crate) position: u64,
    /// The sequence of the last event before that.
    pub(crate) sequence: u64,
}

/// Up to which event a copy goes.
pub(crate) struct Until<'a> {
    /// None of a higher sequence.
    pub(crate) sequence: u64,
    /// None that was committed later, milliseconds since 1970.
    pub(crate) time_ms: u64,
    /// Whether an event and the one behind it are one act: a copy has both or neither.
    pub(crate) are_one_act: &'a dyn Fn(&Event<'_>, &Event<'_>) -> bool,
}

impl Until<'_> {
    /// Everything.
    pub(crate) const END: Until<'static> =
        Until { sequence: u64::MAX, time_ms: u64::MAX, are_one_act: &|_, _| unreachable!("no act is cut at the end") };

    /// How many of a batch's events the copy has.
    fn of(&self, batch: &BatchHeader, events: &[Event<'_>]) -> usize {
        if batch.time_ms > self.time_ms {
            return 0;
        }
        let beyond = events.partition_point(|event| event.header.sequence <= self.sequence);
        let halves = beyond > 0 && beyond < events.len() && (self.are_one_act)(&events[beyond - 1], &events[beyond]);
        if halves && !broken(Mutation::CutActs) { beyond - 1 } else { beyond }
    }
}

/// Where a copy ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Copied {
    /// Behind its last batch.
    pub(crate) position: u64,
    /// The sequence of its last event.
    pub(crate) sequence: u64,
    /// The number of its last segment.
    pub(crate) segment: u64,
}

/// Copies a log from one disk to another, durably; `told` hears of every byte that was read.
pub(crate) fn copy(
    (from, from_id): (&dyn ReadDisk, StoreId),
    extent: Extent,
    until: &Until<'_>,
    (to, to_id): (&dyn Disk, StoreId),
    told: &mut dyn FnMut(u64),
) -> Result<Copied, OpenError> {
    let failed = |doing: &'static str, path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Disk { doing, path, source }
    };
    let directory = Path::new(super::DIRECTORY);
    to.create_directory(directory).map_err(failed("making", directory))?;
    let (mut copied, mut time_ms) = (Copied::default(), 0);
    for number in extent.first.. {
        let path = super::path(number);
        let segment = open(from, from_id, number, extent.position)?;
        let begin = Part { time_ms, ..follows(&segment, number == extent.first, &copied)? };
        let part = read(&segment, begin, extent, until)?;
        let is_last = part.is_cut || segment.limit() >= extent.position;
        // A last one of which nothing is wanted is not begun: the copy ends in the segment before.
        let is_begun = part.end > segment.first_batch() || number == extent.first || !is_last;
        if is_begun {
            write(to, to_id, &segment, &part, is_last).map_err(failed("writing", &path))?;
            copied = Copied { position: part.end, sequence: part.sequence, segment: number };
            time_ms = part.time_ms;
        }
        told(extent.position.min(segment.limit()) - segment.header.base);
        if is_last {
            break;
        }
    }
    to.sync_directory(directory).map_err(failed("making durable", directory))?;
    Ok(copied)
}

/// Maps as much of a segment as belongs to the log's part before `position`.
fn open(disk: &dyn ReadDisk, store_id: StoreId, number: u64, position: u64) -> Result<Segment, OpenError> {
    let path = super::path(number);
    let damage = |what| Damage { file: path.clone(), offset: 0, municipality: None, what };
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => OpenError::Damaged(damage("the log segment is missing")),
        io::ErrorKind::UnexpectedEof => OpenError::Damaged(damage("the log segment is shorter than it should be")),
        _ => OpenError::Disk { doing: "reading", path: path.clone(), source },
    };
    let file = disk.open(&path).map_err(failed)?;
    let mut start = vec![0; FILE_HEADER_BYTES as usize];
    file.read_at(&mut start, 0).map_err(failed)?;
    let header = match SegmentHeader::decode(&start) {
        SegmentStart::Header(header) => header,
        SegmentStart::Newer(found) => return Err(OpenError::Newer { file: path, found, known: FORMAT_VERSION }),
        SegmentStart::Spare | SegmentStart::Bad => {
            return Err(damage("neither copy of the segment's header validates").into());
        }
    };
    if header.store_id != store_id || header.number != number || header.base >= position {
        return Err(damage("a log segment of another store or place").into());
    }
    let is_possible = (SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&header.size)
        && header.base.checked_add(header.size).is_some()
        && position - header.base >= FILE_HEADER_BYTES;
    if !is_possible {
        return Err(damage("a log segment of a size that cannot be").into());
    }
    let map = disk.map(&path, header.size.min(position - header.base)).map_err(failed)?;
    Ok(Segment::new(header, map))
}

/// Where the first batch of a segment is, and which event is the first in it, if it follows what was copied before it.
fn follows(segment: &Segment, is_first: bool, before: &Copied) -> Result<Part, OpenError> {
    let SegmentHeader { previous_end, base_sequence, .. } = segment.header;
    let sequence = base_sequence.checked_sub(1);
    let follows = is_first || (previous_end == before.position && sequence == Some(before.sequence));
    let Some(sequence) = sequence.filter(|_| follows) else {
        return Err(segment.damage(segment.header.base, "the log breaks off before this segment").into());
    };
    let end = segment.first_batch();
    Ok(Part { end, sequence, time_ms: 0, cut: None, is_cut: false })
}

/// The part of a segment that is copied.
struct Part {
    /// Where it ends, and the last event and commit time before that.
    end: u64,
    sequence: u64,
    time_ms: u64,
    /// The last batch, where only its first events are copied.
    cut: Option<(u64, BatchHeader)>,
    /// The copy ends in it, or before it.
    is_cut: bool,
}

/// Reads the batches of a segment, up to where the copy or the log ends.
fn read(segment: &Segment, mut part: Part, extent: Extent, until: &Until<'_>) -> Result<Part, OpenError> {
    let limit = segment.limit().min(extent.position);
    let mut events = Vec::new();
    while part.end < limit {
        let bytes = segment.from(part.end);
        let Some(batch) = batch::decode(bytes, segment.header.salt, part.end, &mut events) else { break };
        if batch.first_sequence != part.sequence + 1 || batch.time_ms < part.time_ms {
            let what = "I2: a whole batch that does not follow the one before it";
            return Err(segment.damage(part.end, what).into());
        }
        let wanted = until.of(&batch, &events);
        if wanted < events.len() || batch.time_ms > until.time_ms {
            part.is_cut = true;
            if let Some(beyond) = events.get(wanted).filter(|_| wanted > 0) {
                let frames = beyond.address - part.end - batch::HEADER_BYTES as u64;
                let cut = BatchHeader { length: frames as u32, count: wanted as u32, ..batch };
                part.cut = Some((part.end, cut));
                (part.time_ms, part.sequence) = (batch.time_ms, part.sequence + wanted as u64);
                part.end += cut.size();
            }
            return Ok(part);
        }
        (part.time_ms, part.sequence) = (batch.time_ms, part.sequence + u64::from(batch.count));
        part.end += batch.size();
    }
    let reached = part.end == extent.position && part.sequence == extent.sequence;
    if segment.limit() >= extent.position && !reached {
        return Err(segment.damage(part.end, "the log breaks off here, but more is vouched for").into());
    }
    Ok(part)
}

/// Writes the part of a segment for another store: whole, so that the next one begins where it ends, or, the last one, as short as may be.
fn write(to: &dyn Disk, to_id: StoreId, segment: &Segment, part: &Part, is_last: bool) -> io::Result<()> {
    let used = part.end - segment.header.base;
    let shortest = used.next_multiple_of(4096).max(SEGMENT_BYTES_MIN);
    let size = if is_last { shortest.min(segment.header.size) } else { segment.header.size };
    let header = SegmentHeader { store_id: to_id, size, ..segment.header };
    let file: Arc<dyn File> = to.create(&super::path(header.number))?;
    file.write_at(&header.encode(), 0)?;
    let bytes = &segment.from(segment.first_batch())[..(part.end - segment.first_batch()) as usize];
    for (chunk, at) in bytes.chunks(FILE_CHUNK_BYTES).zip((FILE_HEADER_BYTES..).step_by(FILE_CHUNK_BYTES)) {
        file.write_at(chunk, at)?;
    }
    if let Some((position, cut)) = &part.cut {
        file.write_at(&cut.encode(header.salt, *position), position - header.base)?;
    }
    let zeros = vec![0; FILE_CHUNK_BYTES.min((size - used) as usize)];
    let mut at = used;
    while at < size {
        let length = zeros.len().min((size - at) as usize);
        file.write_at(&zeros[..length], at)?;
        at += length as u64;
    }
    file.sync()
}
