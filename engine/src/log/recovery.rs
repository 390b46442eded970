//! Recovery: what a log holds after any end of its process, its machine or its disk.
//!
//! Owns the answer to "is this end torn, or was something lost?". Batches are read in order up to the first that does not validate. That is the end, unless
//! something vouches for more: a later batch or mark whose header validates, the header of a later segment, the manifest. Then it is corruption, the store
//! is not opened, and nothing is changed. Bytes behind an end that nothing vouches for are torn; they are cut, and the report says how many.
//!
//! What was read may never have been synced (after a kill, the page cache still shows it): before anyone sees it, everything behind the last vouched
//! position is written and synced again, the torn bytes are zeroed, and the log goes on in a new segment with a new salt. Doing this twice changes nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::batch::{self, BatchHeader};
use super::event::Event;
use super::segment::{Segment, SegmentHeader, SegmentStart, Segments};
use super::writer::{End, Writer, is_full};
use crate::disk::{Disk, ReadDisk};
use crate::error::{Damage, OpenError};
use crate::limits::{FILE_HEADER_BYTES, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
use crate::mutation::{Mutation, broken};
use crate::platform::Platform;
use crate::{FORMAT_VERSION, StoreId};

/// What the manifest says of the log.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Vouched {
    /// Everything up to this position is durable.
    pub(crate) position: u64,
    /// The sequence of the last event before it.
    pub(crate) sequence: u64,
    /// The number of the segment that the position lies in; 0 if there is none yet.
    pub(crate) segment: u64,
    /// The log ended there when the store was closed.
    pub(crate) closed: bool,
    /// The number of the oldest segment that is needed; 0 stands for 1.
    pub(crate) first: u64,
    /// A commit time that was given: none is earlier from now on, whatever is left of the log.
    pub(crate) time_ms: u64,
}

impl Vouched {
    /// The number of the newest segment that must be there; 0 if none must.
    pub(super) fn newest(&self) -> u64 {
        // A manifest of a log that was begun names a segment.
        let begun = u64::from(self.position > 0 || self.sequence > 0);
        self.segment.max(begun)
    }
}

/// What was found at the end of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogOutcome {
    /// The store was closed, and the log ends where it said.
    Closed,
    /// The log ends with a whole batch, and nothing lies behind it.
    Clean,
    /// Bytes behind the last whole batch were cut.
    TornTail(Torn),
}

/// Bytes that were cut from the end of the log: a batch that nobody was told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The segment's file, relative to the store.
    pub file: PathBuf,
    /// Bytes from the start of the file.
    pub offset: u64,
    /// From there to the last byte that was not zero.
    pub bytes: u64,
}

/// From where the log is read: what came before is known from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// Behind a durable batch.
    pub(crate) position: u64,
    /// The sequence of the last event before it.
    pub(crate) sequence: u64,
    /// The commit time of that batch.
    pub(crate) time_ms: u64,
}

/// A log that was found and not read yet.
pub(crate) struct Recovery {
    store_id: StoreId,
    vouched: Vouched,
    segments: Segments,
    /// A last file that was never used.
    spare: Option<PathBuf>,
}

impl Recovery {
    /// Maps the segments and checks that they follow one another.
    pub(crate) fn begin(disk: &dyn ReadDisk, store_id: StoreId, vouched: Vouched) -> Result<Recovery, OpenError> {
        let (segments, spare) = open_segments(disk, store_id, vouched.first.max(1))?;
        let named = vouched.newest();
        if vouched.first > named.max(1) {
            let what = "the manifest needs no log segment of those that it vouches for";
            return Err(Damage { file: super::path(vouched.first), offset: 0, municipality: None, what }.into());
        }
        let missing = segments.last().map_or(0, |last| last.header.number) < named;
        if missing && !broken(Mutation::IgnoreNamedSegment) {
            let what = "the manifest vouches for a log segment that is not there";
            let file = super::path(named);
            return Err(Damage { file, offset: 0, municipality: None, what }.into());
        }
        Ok(Recovery { store_id, vouched, segments, spare })
    }

    /// The segments, for whoever needs single events before the log is read.
    pub(crate) fn segments(&self) -> &Segments {
        &self.segments
    }

    /// Reads the log from its beginning and hands every event to `visit` in order; nothing is changed.
    pub(crate) fn read(
        self,
        visit: &mut dyn FnMut(&Segments, &Event<'_>) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        if self.segments.is_empty() {
            return Ok(());
        }
        let scanned = scan(&self.segments, self.vouched, None, visit)?;
        judge(&self.segments, &scanned, self.vouched).map(drop)
    }

    /// Reads the log from `start`, or from its beginning, hands every event to `apply` in order, makes the end durable, and returns its writer.
    pub(crate) fn replay(
        self,
        platform: &Platform,
        start: Option<Start>,
        apply: &mut dyn FnMut(&Segments, &Event<'_>) -> Result<(), OpenError>,
    ) -> Result<(Writer, LogOutcome), OpenError> {
        let Recovery { store_id, vouched, segments, spare } = self;
        if segments.is_empty() {
            remove_spare(&*platform.disk, spare.as_deref(), &LogOutcome::Clean)?;
            let writer = Writer::found(platform, store_id).map_err(failed("beginning the log in", super::DIRECTORY))?;
            return Ok((writer, LogOutcome::Clean));
        }
        let mut scanned = scan(&segments, vouched, start, apply)?;
        scanned.time_ms = scanned.time_ms.max(vouched.time_ms);
        let outcome = judge(&segments, &scanned, vouched)?;
        remove_spare(&*platform.disk, spare.as_deref(), &outcome)?;
        let writer = go_on(platform, store_id, segments, &scanned, vouched, &outcome)?;
        Ok((writer, outcome))
    }
}

/// The files of the segments from number `first` on, in order.
pub(super) fn segment_files(disk: &dyn ReadDisk, first: u64) -> Result<Vec<PathBuf>, OpenError> {
    let directory = Path::new(super::DIRECTORY);
    let mut paths = disk.list(directory).map_err(failed("listing", directory))?;
    paths.retain(|path| super::number_of(path).is_some_and(|number| number >= first));
    Ok(paths)
}

/// What a file of the log is.
pub(super) enum Found {
    Segment(Arc<Segment>),
    /// Nothing was ever written to it.
    Spare,
}

/// Maps one segment, and checks what can be said of it alone.
pub(super) fn open_segment(
    disk: &dyn ReadDisk,
    store_id: StoreId,
    path: &Path,
    is_last: bool,
) -> Result<Found, OpenError> {
    let damage = |what| Damage { file: path.to_owned(), offset: 0, municipality: None, what };
    let file = disk.open(path).map_err(failed("opening", path))?;
    let length = file.length().map_err(failed("opening", path))?;
    let mut start = vec![0; FILE_HEADER_BYTES.min(length) as usize];
    file.read_at(&mut start, 0).map_err(failed("reading", path))?;
    let header = match SegmentHeader::decode(&start) {
        SegmentStart::Header(header) => header,
        SegmentStart::Newer(found) => {
            return Err(OpenError::Newer { file: path.to_owned(), found, known: FORMAT_VERSION });
        }
        SegmentStart::Spare if is_last => return Ok(Found::Spare),
        // A spare whose making was cut short: its length was not synced, so it was never used.
        SegmentStart::Bad if is_last && start.iter().all(|&byte| byte == 0) => return Ok(Found::Spare),
        SegmentStart::Spare | SegmentStart::Bad => {
            return Err(damage("neither copy of the segment's header validates").into());
        }
    };
    if header.store_id != store_id && !broken(Mutation::AcceptForeignSegment) {
        return Err(damage("a log segment of another store").into());
    }
    if Some(header.number) != super::number_of(path) {
        return Err(damage("a log segment under another segment's name").into());
    }
    if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&header.size) || length < header.size {
        return Err(damage("the log segment is shorter than its header says").into());
    }
    if header.base_sequence == 0 {
        return Err(damage("a log segment that begins with sequence 0, which no event has").into());
    }
    let map = disk.map(path, header.size).map_err(failed("mapping", path))?;
    Ok(Found::Segment(Arc::new(Segment::new(header, map))))
}

/// Maps the segments from number `first` on in order and checks that they follow one another. Also the path of a spare that was never used.
fn open_segments(disk: &dyn ReadDisk, store_id: StoreId, first: u64) -> Result<(Segments, Option<PathBuf>), OpenError> {
    let paths = segment_files(disk, first)?;
    let mut segments = Segments::default();
    for (index, path) in paths.iter().enumerate() {
        let follows = segments.last().map_or(first, |before| before.header.number + 1);
        if super::number_of(path) != Some(follows) {
            let file = super::path(follows);
            return Err(Damage { file, offset: 0, municipality: None, what: "the log segment is missing" }.into());
        }
        let segment = match open_segment(disk, store_id, path, index + 1 == paths.len())? {
            Found::Segment(segment) => segment,
            Found::Spare => return Ok((segments, Some(path.clone()))),
        };
        let base = segments.last().map(|before| before.limit()).or((first == 1).then_some(0));
        if base.is_some_and(|base| segment.header.base != base) {
            let what = "the log segment does not begin where the one before it ends";
            return Err(segment.damage(segment.header.base, what).into());
        }
        segments.push(segment);
    }
    Ok((segments, None))
}

/// Removes a spare that was never used. Zeros where a header should be do not prove that: unless the manifest knows the log's end, all of it must be zero.
fn remove_spare(disk: &dyn Disk, path: Option<&Path>, outcome: &LogOutcome) -> Result<(), OpenError> {
    let Some(path) = path else { return Ok(()) };
    if *outcome != LogOutcome::Closed && !broken(Mutation::RemoveAnySpare) {
        let file = disk.open(path).map_err(failed("opening", path))?;
        let length = file.length().map_err(failed("opening", path))?;
        let mut bytes = vec![0; 1 << 20];
        for offset in (0..length).step_by(bytes.len()) {
            let chunk = (length - offset).min(bytes.len() as u64) as usize;
            file.read_at(&mut bytes[..chunk], offset).map_err(failed("reading", path))?;
            if let Some(at) = bytes[..chunk].iter().position(|&byte| byte != 0) {
                let what = "a log segment whose header is gone and whose batches are not";
                return Err(Damage { file: path.into(), offset: offset + at as u64, municipality: None, what }.into());
            }
        }
    }
    disk.remove(path).map_err(failed("removing the unused log segment", path))
}

/// Where reading ended.
struct Scanned {
    /// Behind the last batch that validates.
    end: u64,
    next_sequence: u64,
    time_ms: u64,
    /// The highest position that a batch which was read vouches for.
    vouched: u64,
}

fn scan(
    segments: &Segments,
    vouched: Vouched,
    start: Option<Start>,
    apply: &mut dyn FnMut(&Segments, &Event<'_>) -> Result<(), OpenError>,
) -> Result<Scanned, OpenError> {
    let first = &segments.iter().next().expect("the caller saw that there are segments").header;
    let (end, next_sequence, time_ms) = match start {
        Some(start) => (start.position, start.sequence + 1, start.time_ms),
        None => (first.previous_end, first.base_sequence, 0),
    };
    let mut scanned = Scanned { end, next_sequence, time_ms, vouched: vouched.position.max(end) };
    // A segment whose last batch ends where the start is comes first: the next one must say that it follows there.
    let begun = |segment: &&Arc<Segment>| start.is_some_and(|start| segment.first_batch() <= start.position);
    let skipped = segments.iter().filter(begun).count().saturating_sub(1);
    let mut events = Vec::new();
    for (index, segment) in segments.iter().enumerate().skip(skipped) {
        let header = &segment.header;
        if index == skipped && start.is_some() {
            read_batches(segments, segment, &mut scanned, &mut events, apply)?;
            continue;
        }
        let follows = header.previous_end == scanned.end && header.base_sequence == scanned.next_sequence;
        if !follows && !broken(Mutation::IgnoreBreakInLog) {
            let before = segments.iter().rfind(|before| before.header.base <= scanned.end).unwrap_or(segment);
            let what = "the log breaks off here, but a later segment vouches for more";
            return Err(before.damage(scanned.end.max(before.header.base), what).into());
        }
        scanned.end = segment.first_batch();
        scanned.vouched = scanned.vouched.max(scanned.end);
        read_batches(segments, segment, &mut scanned, &mut events, apply)?;
    }
    Ok(scanned)
}

/// Reads a segment's batches from where reading ended, up to the first that does not validate.
fn read_batches<'s>(
    segments: &Segments,
    segment: &'s Segment,
    scanned: &mut Scanned,
    events: &mut Vec<Event<'s>>,
    apply: &mut dyn FnMut(&Segments, &Event<'_>) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    while scanned.end < segment.limit() {
        let bytes = segment.from(scanned.end);
        let Some(batch) = batch::decode(bytes, segment.header.salt, scanned.end, events) else { break };
        if batch.first_sequence != scanned.next_sequence || batch.time_ms < scanned.time_ms {
            let what = "I2: a whole batch that does not follow the one before it";
            return Err(segment.damage(scanned.end, what).into());
        }
        for event in events.iter() {
            apply(segments, event)?;
        }
        scanned.vouched = scanned.vouched.max(batch.durable_position);
        scanned.time_ms = batch.time_ms;
        scanned.next_sequence += u64::from(batch.count);
        scanned.end += batch.size();
    }
    Ok(())
}

/// Decides what the end of the log is.
fn judge(segments: &Segments, scanned: &Scanned, vouched: Vouched) -> Result<LogOutcome, OpenError> {
    let last = segments.last().expect("the caller saw that there are segments");
    let end = scanned.end;
    let missing = vouched.position > end || vouched.sequence >= scanned.next_sequence;
    if missing && !broken(Mutation::IgnoreVouchedPosition) {
        return Err(last.damage(end, "the log breaks off here, but the manifest vouches for more").into());
    }
    if vouched.closed && vouched.position == end {
        // What may follow is no batch, and the next one is written over it.
        return Ok(LogOutcome::Closed);
    }
    let rest = last.from(end);
    let Some(nonzero) = last_nonzero(rest) else { return Ok(LogOutcome::Clean) };
    for at in (0..=nonzero).step_by(8) {
        let position = end + at as u64;
        let later = BatchHeader::decode(&rest[at..], last.header.salt, position);
        if later.is_some_and(|later| later.durable_position > end) && !broken(Mutation::IgnoreLaterBatches) {
            return Err(last.damage(end, "the log breaks off here, but a later batch vouches for more").into());
        }
    }
    let torn = Torn { file: last.path(), offset: end - last.header.base, bytes: nonzero as u64 + 1 };
    Ok(LogOutcome::TornTail(torn))
}

/// The place of the last byte that is not zero. The end of a segment may be 256 MiB of zeros, so lines are looked at whole.
pub(super) fn last_nonzero(bytes: &[u8]) -> Option<usize> {
    let (lines, rest) = bytes.as_chunks::<64>();
    let within = |bytes: &[u8]| bytes.iter().rposition(|&byte| byte != 0);
    if let Some(at) = within(rest) {
        return Some(lines.len() * 64 + at);
    }
    let at = lines.iter().rposition(|line| line.iter().fold(0, |any, byte| any | byte) != 0)?;
    within(&lines[at]).map(|within| at * 64 + within)
}

/// Makes what was read durable and prepares to write behind it.
fn go_on(
    platform: &Platform,
    store_id: StoreId,
    segments: Segments,
    scanned: &Scanned,
    vouched: Vouched,
    outcome: &LogOutcome,
) -> Result<Writer, OpenError> {
    let last = segments.last().expect("the caller saw that there are segments");
    let path = last.path();
    let end = End { position: scanned.end, next_sequence: scanned.next_sequence, time_ms: scanned.time_ms };
    if *outcome == LogOutcome::Closed {
        return Writer::in_last_segment(platform, store_id, segments, &end).map_err(failed("opening", &path));
    }
    let synced = scanned.vouched.max(vouched.position).max(last.header.base);
    rewrite(&*platform.disk, last, synced.min(scanned.end), scanned.end, outcome)
        .map_err(failed("making durable", &path))?;
    match Writer::in_new_segment(platform, store_id, segments.clone(), &end) {
        Err(error) if is_full(&error) && !broken(Mutation::RefuseToOpenWhenFull) => {
            Writer::waiting(platform, store_id, segments, &end)
        }
        writer => writer,
    }
    .map_err(failed("beginning a segment after", &path))
}

fn rewrite(disk: &dyn Disk, last: &Segment, synced: u64, end: u64, outcome: &LogOutcome) -> io::Result<()> {
    let file = disk.open_to_write(&last.path())?;
    // The header too: it may lie in the page cache alone. Both copies are made good.
    file.write_at(&last.header.encode(), 0)?;
    let from = synced.max(last.first_batch());
    if from < end && !broken(Mutation::TrustUnsyncedBytes) {
        let bytes = last.from(from)[..(end - from) as usize].to_vec();
        file.write_at(&bytes, from - last.header.base)?;
    }
    if let LogOutcome::TornTail(torn) = outcome {
        let zeros = vec![0; 1 << 20];
        let mut at = 0;
        while at < torn.bytes && !broken(Mutation::LeaveTornBytes) {
            let length = zeros.len().min((torn.bytes - at) as usize);
            file.write_at(&zeros[..length], torn.offset + at)?;
            at += length as u64;
        }
    }
    if !broken(Mutation::SkipRecoverySync) {
        file.sync()?;
    }
    disk.sync_directory(Path::new(super::DIRECTORY))
}

fn failed(doing: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.as_ref().to_owned();
    move |source| OpenError::Disk { doing, path, source }
}
