//! Examining a log: every batch of it, also those behind damage.
//!
//! Owns the search for where a log goes on behind bytes that do not validate, and the count of what lies between. A gap ends at the next batch that validates,
//! or where something vouches for an end: the next segment, the manifest. Its sequences are known by those around it; frames in it that validate by
//! themselves are no loss. What lies behind the end and nobody vouches for is torn, and no damage.

use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range};

use super::batch::{self, BatchHeader};
use super::event::Event;
use super::recovery::{Found, Vouched, last_nonzero, open_segment, segment_files};
use super::segment::{Segment, Segments};
use crate::StoreId;
use crate::disk::ReadDisk;
use crate::error::{Damage, OpenError};
use crate::frame;
use crate::limits::FILE_HEADER_BYTES;

/// Bytes that do not validate, where a log has or had some that did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) damage: Damage,
    pub(crate) positions: Range<u64>,
    /// Of the events in it.
    pub(crate) sequences: Range<u64>,
    /// Addresses of those events of it that are whole, in order.
    pub(crate) whole: Vec<u64>,
    /// Commit time of the batch before it, milliseconds since 1970.
    pub(crate) time_ms: u64,
}

impl Gap {
    /// Events that are gone.
    pub(crate) fn lost(&self) -> u64 {
        (self.sequences.end - self.sequences.start).saturating_sub(self.whole.len() as u64)
    }
}

/// A log that was examined.
#[derive(Debug, Default)]
pub(crate) struct ExaminedLog {
    pub(crate) gaps: Vec<Gap>,
    /// Copies of a segment's header that are not what the other one is.
    pub(crate) headers: Vec<Damage>,
    /// What keeps a segment from being read at all; what it held is a gap too, if anything vouches for it.
    pub(crate) unreadable: Vec<Damage>,
    /// Behind the last batch.
    pub(crate) end: u64,
    pub(crate) next_sequence: u64,
    /// Whole events.
    pub(crate) events: u64,
}

/// Bytes that are read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Maps what can be mapped of a log, in order. Damage of a segment is told of, and the segment left out.
pub(crate) fn open_whatever_is_there(
    disk: &dyn ReadDisk,
    store_id: StoreId,
    vouched: Vouched,
) -> Result<(Segments, Vec<Damage>), OpenError> {
    let (mut segments, mut damaged) = (Segments::default(), Vec::new());
    let mut expected = vouched.first.max(1);
    let paths = segment_files(disk, expected)?;
    let missing = |numbers: Range<u64>| {
        let what = "the log segment is missing";
        numbers.map(move |number| Damage { file: super::path(number), offset: 0, municipality: None, what })
    };
    for (index, path) in paths.iter().enumerate() {
        let number = super::number_of(path).unwrap_or(expected);
        damaged.extend(missing(expected..number));
        expected = number + 1;
        match open_segment(disk, store_id, path, index + 1 == paths.len()) {
            Ok(Found::Segment(segment)) => {
                if segments.last().is_some_and(|before| segment.header.base < before.limit()) {
                    let what = "the log segment does not begin where the one before it ends";
                    damaged.push(segment.damage(segment.header.base, what));
                } else {
                    segments.push(segment);
                }
            }
            // One that a manifest names had a header.
            Ok(Found::Spare) if number <= vouched.newest() => damaged.extend(missing(number..number + 1)),
            Ok(Found::Spare) => {}
            Err(OpenError::Damaged(damage)) => damaged.push(damage),
            Err(OpenError::Disk { path, source, .. }) => {
                tracing::warn!(file = %path.display(), error = &source as &dyn std::error::Error, "a segment could not be read");
                let what = "the disk cannot read the segment's header";
                damaged.push(Damage { file: path, offset: 0, municipality: None, what });
            }
            Err(error) => return Err(error),
        }
    }
    damaged.extend(missing(expected..vouched.newest() + 1));
    Ok((segments, damaged))
}

/// Reads a log as far as it goes, or `until` there, where it is known to be durable. Hands on whole events in order, those of gaps too; `told` hears of the bytes
/// that were read, and may end it: `None` then.
pub(crate) fn examine(
    segments: &Segments,
    vouched: Vouched,
    until: Option<u64>,
    visit: &mut dyn FnMut(&Event<'_>),
    told: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Option<ExaminedLog> {
    // A log that was never shortened begins at its beginning, whatever is left of that.
    let is_begun = vouched.first <= 1;
    let found = ExaminedLog { next_sequence: is_begun.into(), ..ExaminedLog::default() };
    let mut reading = Reading { vouched, until, visit, found, is_begun, time_ms: 0, unreadable: BTreeSet::new() };
    for (index, segment) in segments.iter().enumerate() {
        if until.is_some_and(|until| segment.header.base >= until) {
            break;
        }
        reading.follow(segments, segment);
        let next = segments.iter().nth(index + 1);
        if reading.load(segment, told)? {
            reading.segment(segment, next.map(|next| &**next));
            reading.header(segment, next.is_none());
        }
    }
    reading.finish(segments);
    Some(reading.found)
}

struct Reading<'v> {
    vouched: Vouched,
    until: Option<u64>,
    visit: &'v mut dyn FnMut(&Event<'_>),
    found: ExaminedLog,
    is_begun: bool,
    /// Commit time of the last whole batch, or event of a gap.
    time_ms: u64,
    /// Segments of which the disk cannot read some part: nothing of them is looked at.
    unreadable: BTreeSet<u64>,
}

impl Reading<'_> {
    /// Goes on with a segment, which says what was before it.
    fn follow(&mut self, segments: &Segments, segment: &Segment) {
        let header = &segment.header;
        if !self.is_begun {
            (self.found.end, self.found.next_sequence) = (header.previous_end, header.base_sequence);
            self.is_begun = true;
        }
        if header.previous_end != self.found.end || header.base_sequence != self.found.next_sequence {
            let what = "the log breaks off here, but a later segment vouches for more";
            self.gap(segments, header.previous_end, header.base_sequence, what);
        }
        self.found.end = segment.first_batch();
    }

    /// Looks at both copies of a segment's header. They were synced before anything was written behind them; until then one may be missing.
    fn header(&mut self, segment: &Segment, is_last: bool) {
        let header = &segment.header;
        let is_used = self.found.end > segment.first_batch() || self.vouched.segment >= header.number;
        if is_last && !is_used && self.until.is_none() {
            return;
        }
        let copies = segment.from(header.base);
        let (expected, half) = (header.encode(), FILE_HEADER_BYTES as usize / 2);
        for at in [0, half] {
            if copies[at..at + half] != expected[at..at + half] {
                let what = "this copy of the segment's header is not the expected one";
                self.found.headers.push(segment.damage(header.base + at as u64, what));
            }
        }
    }

    /// Has a segment in memory, as far as it is read; false if the disk cannot.
    fn load(&mut self, segment: &Segment, told: &mut dyn FnMut(u64) -> ControlFlow<()>) -> Option<bool> {
        let end = self.until.map_or(segment.limit(), |until| until.min(segment.limit())) - segment.header.base;
        for start in (0..end as usize).step_by(CHUNK_BYTES) {
            let range = start..(start + CHUNK_BYTES).min(end as usize);
            let bytes = range.len() as u64;
            if segment.load(range).is_err() {
                let position = segment.header.base + start as u64;
                self.found.unreadable.push(segment.damage(position, "the disk cannot read this part of the file"));
                self.unreadable.insert(segment.header.number);
                return Some(false);
            }
            if told(bytes).is_break() {
                return None;
            }
        }
        Some(true)
    }

    fn segment(&mut self, segment: &Segment, next: Option<&Segment>) {
        let limit = self.until.map_or(segment.limit(), |until| until.min(segment.limit()));
        let mut events = Vec::new();
        while self.found.end < limit {
            let position = self.found.end;
            let batch = batch::decode(segment.from(position), segment.header.salt, position, &mut events);
            let follows =
                |batch: &BatchHeader| batch.first_sequence == self.found.next_sequence && batch.time_ms >= self.time_ms;
            match batch.filter(follows) {
                Some(batch) => {
                    self.time_ms = batch.time_ms;
                    events.iter().for_each(|event| (self.visit)(event));
                    self.found.events += events.len() as u64;
                    self.found.next_sequence += u64::from(batch.count);
                    self.found.end += batch.size();
                }
                None => match self.next_batch(segment, limit, next) {
                    Some((at, sequence)) => self.gap_in(segment, at, sequence, "a batch does not validate"),
                    // What vouches for more is told by the next segment, or at the end.
                    None => return,
                },
            }
        }
    }

    /// Where the log goes on in a segment, and with which event, if it does and is known to.
    fn next_batch(&self, segment: &Segment, limit: u64, next: Option<&Segment>) -> Option<(u64, u64)> {
        let (end, sequence) = (self.found.end, self.found.next_sequence);
        let headers = (end + 8..limit).step_by(8).filter_map(|at| {
            let header = BatchHeader::decode(segment.from(at), segment.header.salt, at)?;
            (header.first_sequence >= sequence).then_some((at, header))
        });
        let mut headers = headers.peekable();
        let (at, first) = *headers.peek()?;
        // In the last segment one that does not vouch for more may be of two that were on their way.
        let is_vouched =
            next.is_some() || self.until.is_some() || headers.any(|(_, header)| header.durable_position > end);
        is_vouched.then_some((at, first.first_sequence))
    }

    /// What the manifest vouches for must be there.
    fn finish(&mut self, segments: &Segments) {
        let Vouched { position, sequence, .. } = self.vouched;
        let position = position.max(self.until.unwrap_or(0));
        if position > self.found.end || sequence >= self.found.next_sequence && sequence > 0 {
            let (to, next) = (position.max(self.found.end), (sequence + 1).max(self.found.next_sequence));
            self.gap(segments, to, next, "the log breaks off here, but the manifest vouches for more");
        }
    }

    /// The log goes on at a position of another segment than that where it broke off.
    fn gap(&mut self, segments: &Segments, to: u64, next_sequence: u64, what: &'static str) {
        let end = self.found.end;
        let segment = segments.iter().rfind(|segment| segment.header.base <= end && end <= segment.limit());
        // Nothing lies behind its last batch: the log went on in the next one, which cannot be read.
        let is_unreadable = |segment: &Segment| self.unreadable.contains(&segment.header.number);
        let is_over = |segment: &Segment| {
            to > segment.limit() && !is_unreadable(segment) && last_nonzero(segment.from(end)).is_none()
        };
        match segment {
            Some(segment) if !is_over(segment) => self.gap_in(segment, to, next_sequence, what),
            segment => {
                let number = segment.map_or(self.vouched.first.max(1), |segment| segment.header.number + 1);
                let damage = Damage { file: super::path(number), offset: 0, municipality: None, what };
                let sequences = self.found.next_sequence..next_sequence.max(self.found.next_sequence);
                let time_ms = self.time_ms;
                self.found.gaps.push(Gap {
                    damage,
                    positions: end..to.max(end),
                    sequences,
                    whole: Vec::new(),
                    time_ms,
                });
                (self.found.end, self.found.next_sequence) = (to.max(end), next_sequence.max(self.found.next_sequence));
            }
        }
    }

    fn gap_in(&mut self, segment: &Segment, to: u64, next_sequence: u64, what: &'static str) {
        let positions = self.found.end..to.max(self.found.end);
        let sequences = self.found.next_sequence..next_sequence.max(self.found.next_sequence);
        let (mut whole, time_ms) = (Vec::new(), self.time_ms);
        let (mut at, mut limit, mut last) = (positions.start, positions.end.min(segment.limit()), None);
        if self.unreadable.contains(&segment.header.number) {
            limit = at;
        }
        while at < limit {
            let frame = frame::decode(segment.from(at), segment.header.salt, at).ok();
            let frame = frame.filter(|frame| {
                sequences.contains(&frame.header.sequence) && last.is_none_or(|last| last < frame.header.sequence)
            });
            match frame.and_then(|frame| Some((Event::of(frame, at)?, frame.size as u64))) {
                Some((event, size)) => {
                    last = Some(event.header.sequence);
                    self.time_ms = self.time_ms.max(event.header.time_ms);
                    whole.push(at);
                    (self.visit)(&event);
                    at += size;
                }
                None => at += 8,
            }
        }
        self.found.events += whole.len() as u64;
        let damage = segment.damage(positions.start, what);
        (self.found.end, self.found.next_sequence) = (positions.end, sequences.end);
        self.found.gaps.push(Gap { damage, positions, sequences, whole, time_ms });
    }
}

/// Bytes behind the end of a log that are not zero: nobody was told of them, and the next open cuts them.
pub(crate) fn torn_bytes(segments: &Segments, end: u64) -> u64 {
    let rest = segments.last().filter(|last| (last.header.base..=last.limit()).contains(&end));
    rest.and_then(|last| last_nonzero(last.from(end))).map_or(0, |at| at as u64 + 1)
}
