//! The log scanner. An input is a small log and what a manifest vouches for:
//!
//! ```text
//! | flags (u8) | vouched position / 8 (u16) | vouched sequence (u8) | vouched segment (u8) | segment | segment | …
//! segment: | header (96 bytes) | length (u16) | that many bytes from byte 8192 on |          zeros follow up to 256 KiB
//! ```
//!
//! The flags say what is made right before it is read, what else lies there, and from where it is read. All events of all whole batches are found by this
//! file itself.

use std::path::PathBuf;
use std::sync::Arc;

use prost::Message as _;
use sesshu_proto::v1::Shot;

use super::memory::{MemoryDisk, platform};
use super::repair::{
    FRAME_HEADER_BYTES, Parts, checksum, frame_size, is_sealed, put_u32, put_u64, seal_frame, seal_header,
};
use crate::StoreId;
use crate::error::OpenError;
use crate::frame::{kind, u32_at, u64_at};
use crate::limits::{BATCH_BYTES_MAX, FILE_HEADER_BYTES, SEGMENT_BYTES_MIN};
use crate::log::{LogOutcome, Recovery, Start, Vouched, Writer};
use crate::rules::with_reasons;
use crate::stored::ShotView;

/// Checksums are made to match.
const CHECKSUMS: u8 = 1;
/// Headers name this log and follow one another; so do sequences, counts and times.
const CHAIN: u8 = 2;
/// A manifest vouches for the position and the sequence of the input.
const VOUCHED: u8 = 4;
/// And says that the log ends there.
const CLOSED: u8 = 8;
/// A spare lies behind the last segment.
const SPARE: u8 = 16;
/// The first copy of every header is lost.
const ONE_COPY: u8 = 32;
/// One more event is recorded, and it is recovered a second time.
const AGAIN: u8 = 64;
/// It is read from behind a whole batch, as a checkpoint has it; the vouched position says behind which.
const START: u8 = 128;

const SEGMENTS_MAX: usize = 4;
const HEADER_BYTES: usize = 96;
const BATCH_HEADER_BYTES: usize = 48;

/// A segment as it will lie on the disk, without the zeros.
struct Raw {
    header: [u8; HEADER_BYTES],
    batches: Vec<u8>,
}

/// What an event says.
#[derive(Debug, PartialEq)]
struct Told {
    address: u64,
    sequence: u64,
    time_ms: u64,
    kind: u8,
    flags: u8,
    ticket_bits: u64,
    previous: u64,
    message: Vec<u8>,
}

/// A batch every byte of which is as it should be.
struct Whole {
    position: u64,
    end: u64,
    last_sequence: u64,
    time_ms: u64,
    events: Vec<Told>,
}

/// Recovery ends with an outcome or with damage. An outcome comes with exactly the events of the whole batches, in order, and with them again, and with what
/// was recorded behind them, when it is repeated; where it is damage nothing was changed.
pub fn log(input: &[u8]) {
    let mut parts = Parts(input);
    let mut flags = parts.u8();
    let place = parts.u16();
    let (sequence, segment) = (parts.u8().into(), parts.u8().into());
    let vouched = match flags & VOUCHED {
        0 => Vouched::default(),
        _ => Vouched {
            position: u64::from(place) * 8,
            sequence,
            segment,
            closed: flags & CLOSED != 0,
            first: 0,
            time_ms: 0,
        },
    };
    let mut segments = take_segments(&mut parts);
    let mut store_id = [0; 16];
    if let Some(first) = segments.first() {
        store_id.copy_from_slice(&first.header[16..32]);
    }
    repair(&mut segments, flags, store_id);
    if flags & SPARE == 0 && segments.pop_if(|last| is_zero(&last.header) && is_zero(&last.batches)).is_some() {
        flags |= SPARE;
    }
    let batches: Vec<Whole> = segments.iter().enumerate().flat_map(|(index, raw)| whole_batches(raw, index)).collect();
    let start = if flags & START != 0 && !batches.is_empty() {
        let batch = &batches[usize::from(place) % batches.len()];
        Some(Start { position: batch.end, sequence: batch.last_sequence, time_ms: batch.time_ms })
    } else {
        None
    };
    let disk = Arc::new(put(&segments, flags));
    let recover = || recover(&disk, StoreId(store_id), vouched, start);
    match recover() {
        Err(OpenError::Damaged(_) | OpenError::Newer { .. }) => {
            assert_eq!(disk.changes(), 0, "a log that was refused was changed");
        }
        Err(error) => panic!("memory does not fail: {error:?}"),
        Ok((events, outcome, mut writer)) => {
            let from = start.map_or(0, |start| start.position);
            let told = batches.iter().filter(|batch| batch.position >= from).flat_map(|batch| &batch.events);
            assert!(events.iter().eq(told), "the events of the whole batches, and no others");
            let next = writer.next_sequence();
            assert!(next > 0, "sequences are counted from 1");
            let ours = |raw: &Raw| raw.header[16..32] == store_id || is_zero(&raw.header);
            assert!(segments.iter().all(ours), "every segment is this store's, or was never used");
            assert!(vouched.sequence < next && vouched.position <= writer.durable(), "what is vouched for is there");
            if let Some(last) = events.last() {
                assert_eq!(next, last.sequence + 1, "I2");
            }
            events.iter().for_each(|event| walk(&writer, event));
            check_end(&segments, &batches, &disk, &outcome);
            if flags & AGAIN == 0 {
                return;
            }
            let mut expected = events;
            // What lies behind the end of a log that was closed means nothing, until something else is the end.
            let closed = outcome == LogOutcome::Closed;
            let goes_on = next < u64::MAX && (!closed || nothing_behind(&segments, &batches));
            if goes_on {
                expected.push(append(&mut writer));
            }
            drop(writer);
            let (again, outcome_again, writer) = recover().expect("a recovered log is recovered again");
            assert_eq!(again, expected, "recovery is idempotent, and what is recorded after it is found by the next");
            assert_eq!(outcome_again, if closed && !goes_on { LogOutcome::Closed } else { LogOutcome::Clean });
            assert_eq!(writer.next_sequence(), next + u64::from(goes_on), "I2");
        }
    }
}

/// What of the last segment's bytes lies behind its last whole batch, and where that is.
fn behind<'a>(segments: &'a [Raw], batches: &[Whole]) -> (&'a [u8], u64) {
    let base = (segments.len().max(1) as u64 - 1) * SEGMENT_BYTES_MIN + FILE_HEADER_BYTES;
    let end = batches.last().map_or(base, |batch| batch.end.max(base));
    let last = segments.last().map_or(&[][..], |last| &last.batches);
    (last.get((end - base) as usize..).unwrap_or(&[]), end)
}

fn nothing_behind(segments: &[Raw], batches: &[Whole]) -> bool {
    is_zero(behind(segments, batches).0)
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

/// A log that was not refused was torn where nothing vouches for it, and what was torn is gone.
fn check_end(segments: &[Raw], batches: &[Whole], disk: &MemoryDisk, outcome: &LogOutcome) {
    let (bytes, end) = behind(segments, batches);
    let Some(last) = segments.last() else { return };
    let salt = u64_at(&last.header, 56);
    for at in (0..bytes.len()).step_by(8) {
        let Some(header) = bytes[at..].first_chunk::<BATCH_HEADER_BYTES>() else { break };
        let sealed = checksum(salt, end + at as u64, u32_at(header, 8), &header[8..]) == u32_at(header, 4);
        let vouches = sealed && header.starts_with(b"Sbat") && is_possible(header) && u64_at(header, 32) > end;
        assert!(!vouches || *outcome == LogOutcome::Closed, "I4: a later batch vouches for more");
    }
    let torn = match outcome {
        LogOutcome::TornTail(torn) => torn,
        LogOutcome::Clean => return assert!(nothing_behind(segments, batches), "what was torn is told"),
        LogOutcome::Closed => return,
    };
    let offset = torn.offset as usize;
    assert_eq!((&torn.file, torn.offset), (&path(segments.len() - 1), end % SEGMENT_BYTES_MIN));
    let left = disk.contents(&torn.file);
    assert!(left.get(offset..).is_none_or(is_zero), "what was torn is zeroed");
}

/// Whether a batch's header, checksum aside, says what can be.
fn is_possible(header: &[u8]) -> bool {
    let (length, count) = (u32_at(header, 8), u32_at(header, 12));
    // Frames have 48 bits for the time.
    length as usize <= BATCH_BYTES_MAX
        && u64_at(header, 16).checked_add(count.into()).is_some()
        && u64_at(header, 24) >> 48 == 0
        && u32_at(header, 44) == 0
}

/// Records one more event.
fn append(writer: &mut Writer) -> Told {
    let message = b"\x08\x01";
    let time_ms = writer.begin(Writer::event_bytes(message.len()), 0).expect("memory has room");
    let appended = writer.push(kind::SHOT_RECORDED, 0, 1, 0, message);
    let sealed = writer.seal();
    sealed.write().expect("memory does not fail");
    writer.written(sealed);
    Told {
        address: appended.address,
        sequence: appended.sequence,
        time_ms,
        kind: kind::SHOT_RECORDED,
        flags: 0,
        ticket_bits: 1,
        previous: 0,
        message: message.to_vec(),
    }
}

fn take_segments(parts: &mut Parts<'_>) -> Vec<Raw> {
    let mut segments = Vec::new();
    while !parts.is_empty() && segments.len() < SEGMENTS_MAX {
        let mut header = [0; HEADER_BYTES];
        let taken = parts.bytes(HEADER_BYTES);
        header[..taken.len()].copy_from_slice(taken);
        let length = parts.u16();
        segments.push(Raw { header, batches: parts.bytes(length.into()).to_vec() });
    }
    segments
}

fn repair(segments: &mut [Raw], flags: u8, store_id: [u8; 16]) {
    let (chain, checksums) = (flags & CHAIN != 0, flags & CHECKSUMS != 0);
    let mut log = Chain { next_sequence: 1, time_ms: 0, end: 0 };
    for (at, raw) in segments.iter_mut().enumerate() {
        if chain {
            if at == 0 {
                log.next_sequence = u64_at(&raw.header, 48);
            }
            raw.header[16..32].copy_from_slice(&store_id);
            let size = SEGMENT_BYTES_MIN;
            let fields =
                [(32, at as u64 + 1), (40, at as u64 * size), (48, log.next_sequence), (64, size), (72, log.end)];
            fields.into_iter().for_each(|(at, value)| put_u64(&mut raw.header, at, value));
        }
        let base = u64_at(&raw.header, 40);
        let salt = u64_at(&raw.header, 56);
        let mut offset = 0;
        while let Some(size) = batch_size(&raw.batches[offset..]) {
            let position = base.wrapping_add(FILE_HEADER_BYTES + offset as u64);
            let batch = &mut raw.batches[offset..offset + size];
            let size = if chain { log.follow(batch, position) } else { size };
            if checksums {
                seal_batch(&mut batch[..size], salt, position);
            }
            offset += size;
        }
        log.end = base.wrapping_add(FILE_HEADER_BYTES + offset as u64);
        if checksums {
            seal_header(&mut raw.header, 12);
        }
    }
}

/// What comes next in a log whose batches follow one another.
struct Chain {
    next_sequence: u64,
    time_ms: u64,
    end: u64,
}

impl Chain {
    /// Makes a batch say that it follows, with the frames that it has. Returns its size.
    fn follow(&mut self, batch: &mut [u8], position: u64) -> usize {
        let (header, frames) = batch.split_at_mut(BATCH_HEADER_BYTES);
        self.time_ms = self.time_ms.max(u64_at(header, 24) & ((1 << 48) - 1));
        let (mut at, mut count) = (0, 0_u32);
        while let Some(size) = frame_size(&frames[at..]).filter(|_| u32_at(frames, at) > 0) {
            let frame = &mut frames[at..at + size];
            let (kind, address) = (u64_at(frame, 8) & 0xffff, position.wrapping_add((BATCH_HEADER_BYTES + at) as u64));
            put_u64(frame, 8, kind.max(1) | self.time_ms << 16);
            put_u64(frame, 24, self.next_sequence.wrapping_add(u64::from(count)));
            if previous(&mut &frame[FRAME_HEADER_BYTES..], address).is_none() {
                frame[FRAME_HEADER_BYTES] = 0;
            }
            count += 1;
            at += size;
        }
        put_u32(header, 8, at as u32);
        put_u32(header, 12, count);
        put_u64(header, 16, self.next_sequence);
        put_u64(header, 24, self.time_ms);
        self.next_sequence = self.next_sequence.wrapping_add(u64::from(count));
        BATCH_HEADER_BYTES + at
    }
}

/// Bytes of the batch at the start of `bytes`, if there is one that ends.
fn batch_size(bytes: &[u8]) -> Option<usize> {
    let length = u32_at(bytes.strip_prefix(b"Sbat")?.get(4..8)?, 0) as usize;
    let size = BATCH_HEADER_BYTES + length;
    (size <= bytes.len()).then_some(size)
}

fn seal_batch(batch: &mut [u8], salt: u64, position: u64) {
    let (header, frames) = batch.split_at_mut(BATCH_HEADER_BYTES);
    let mut at = 0;
    while at < frames.len() {
        let address = position.wrapping_add((BATCH_HEADER_BYTES + at) as u64);
        let Some(size) = seal_frame(&mut frames[at..], salt, address) else { break };
        at += size;
    }
    let crc = checksum(salt, position, u32_at(header, 8), &header[8..]);
    put_u32(header, 4, crc);
}

fn path(index: usize) -> PathBuf {
    format!("log/{:016}.log", index + 1).into()
}

fn put(segments: &[Raw], flags: u8) -> MemoryDisk {
    let disk = MemoryDisk::default();
    for (index, raw) in segments.iter().enumerate() {
        let mut bytes = vec![0; FILE_HEADER_BYTES as usize];
        if flags & ONE_COPY == 0 {
            bytes[..HEADER_BYTES].copy_from_slice(&raw.header);
        }
        bytes[4096..4096 + HEADER_BYTES].copy_from_slice(&raw.header);
        bytes.extend_from_slice(&raw.batches);
        disk.put(path(index), bytes, SEGMENT_BYTES_MIN as usize);
    }
    if flags & SPARE != 0 {
        disk.put(path(segments.len()), Vec::new(), SEGMENT_BYTES_MIN as usize);
    }
    disk
}

fn recover(
    disk: &Arc<MemoryDisk>,
    store_id: StoreId,
    vouched: Vouched,
    start: Option<Start>,
) -> Result<(Vec<Told>, LogOutcome, Writer), OpenError> {
    let mut events = Vec::new();
    let recovery = Recovery::begin(&**disk, store_id, vouched)?;
    assert!(
        start.is_none_or(|start| recovery.segments().hold(start.position)),
        "the end of a whole batch lies in a segment"
    );
    let (writer, outcome) = recovery.replay(&platform(disk), start, &mut |segments, event| {
        let again = segments.event(event.address).expect("an event is found again where it lies");
        assert!(again.header == event.header && again.previous == event.previous && again.message == event.message);
        if event.header.kind == kind::SHOT_RECORDED {
            check_shot(event.message);
        }
        events.push(Told {
            address: event.address,
            sequence: event.header.sequence,
            time_ms: event.header.time_ms,
            kind: event.header.kind,
            flags: event.header.flags,
            ticket_bits: event.header.ticket_bits,
            previous: event.previous,
            message: event.message.to_vec(),
        });
        Ok(())
    })?;
    Ok((events, outcome, writer))
}

/// The whole batches at the front of the segment in place `index`.
fn whole_batches(raw: &Raw, index: usize) -> Vec<Whole> {
    let base = index as u64 * SEGMENT_BYTES_MIN + FILE_HEADER_BYTES;
    let salt = u64_at(&raw.header, 56);
    // The zeros behind the bytes of the input may end a batch.
    let mut bytes = vec![0; (SEGMENT_BYTES_MIN - FILE_HEADER_BYTES) as usize];
    bytes[..raw.batches.len()].copy_from_slice(&raw.batches);
    let mut batches = Vec::new();
    let mut at = 0;
    while let Some(size) = batch_size(&bytes[at..]) {
        let Some(batch) = whole_batch(&bytes[at..at + size], salt, base + at as u64) else { break };
        batches.push(batch);
        at += size;
    }
    batches
}

/// The batch, if every byte of it is as `docs/format.md` says.
fn whole_batch(batch: &[u8], salt: u64, position: u64) -> Option<Whole> {
    let (length, count) = (u32_at(batch, 8), u32_at(batch, 12));
    let (first_sequence, time_ms) = (u64_at(batch, 16), u64_at(batch, 24));
    let sealed = checksum(salt, position, length, &batch[8..BATCH_HEADER_BYTES]) == u32_at(batch, 4);
    if !sealed || !is_possible(batch) {
        return None;
    }
    let next_sequence = first_sequence + u64::from(count);
    let mut events = Vec::new();
    let mut at = BATCH_HEADER_BYTES;
    for sequence in first_sequence..next_sequence {
        let (bytes, address) = (&batch[at..], position + at as u64);
        let size = frame_size(bytes).filter(|_| is_sealed(bytes, salt, address))?;
        let mut message = &bytes[FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + u32_at(bytes, 0) as usize];
        let previous = previous(&mut message, address)?;
        let event = Told {
            address,
            sequence: u64_at(bytes, 24),
            time_ms: u64_at(bytes, 8) >> 16,
            kind: bytes[8],
            flags: bytes[9],
            ticket_bits: u64_at(bytes, 16),
            previous,
            message: message.to_vec(),
        };
        if event.sequence != sequence || event.kind == 0 || event.time_ms != time_ms {
            return None;
        }
        events.push(event);
        at += size;
    }
    let last_sequence = next_sequence.saturating_sub(1);
    let whole = Whole { position, end: position + batch.len() as u64, last_sequence, time_ms, events };
    (at == batch.len()).then_some(whole)
}

/// The address of the event before the one at `address`, off the front of its payload; 0 if there is none, `None` if there cannot be one there.
fn previous(payload: &mut &[u8], address: u64) -> Option<u64> {
    let mut back = 0_u128;
    for shift in (0..70).step_by(7) {
        let (&byte, rest) = payload.split_first()?;
        *payload = rest;
        back |= u128::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return match u128::from(back as u64) * 8 {
                0 => Some(0),
                back => u64::try_from(back).ok().filter(|&back| back < address).map(|back| address - back),
            };
        }
    }
    None
}

/// A shot that is read without copying is the one that prost reads.
fn check_shot(message: &[u8]) {
    let Some(view) = ShotView::of_message(1, 1, message) else { return };
    if let Ok(shot) = Shot::decode(message) {
        let shot = Shot { warnings: with_reasons(shot.warnings), ..shot };
        assert_eq!(view.to_recorded().shot, Some(shot));
    }
}

/// The way from an event to those before it ends.
fn walk(writer: &Writer, event: &Told) {
    let (mut address, mut steps) = (event.previous, 0);
    while address != 0 {
        let Ok(event) = writer.segments().event(address) else { return };
        assert!(event.previous < address, "a walk over a ticket's events goes backwards");
        address = event.previous;
        steps += 1;
        assert!(steps < 1 << 16, "a walk over a ticket's events ends");
    }
}
