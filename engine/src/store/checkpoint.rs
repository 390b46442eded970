//! The checkpoint: the tails of all ledgers at one position of the log, so that an open reads the log from there.
//!
//! Owns the file `checkpoint/<position>`. It is derived (I8): where it is missing, older than it should be, or does not validate, the log is read from its
//! beginning. The manifest names the newest one with its length and BLAKE3.
//!
//! ```text
//! header  0        8         12      16         32         40         48        56        64
//!         | magic  | version | crc32 | store id | position | sequence | time ms | ledgers |
//! ledger  0              4      8            16        24       32      40        48     56        64         72
//!         | municipality | zero | generation | tickets | events | shots | orphans | rows | adopted | departed | oldest address | …
//!         … number (u64), newest address (u64) | …
//! ```
//!
//! Addresses lie before the position. The top bit of a number is set if the ticket's row may have changed. *Generation* is the one that the tail begins behind.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use sesshu_proto::v1::Checkpoint as CheckpointMessage;

use super::state::State;
use super::view::View;
use crate::disk::{Disk, File, Map, ReadDisk};
use crate::error::{Damage, OpenError};
use crate::frame::{u32_at, u64_at};
use crate::ledger::{COUNTS, Counts, KeptTicket, Ledger};
use crate::log::{Segments, Start};
use crate::mutation::{Mutation, broken};
use crate::ticket::{ANY_NUMBER_MAX, Municipality};
use crate::{FORMAT_VERSION, StoreId};

/// The directory of the checkpoints, inside the store.
pub(super) const DIRECTORY: &str = "checkpoint";

const MAGIC: &[u8; 8] = b"SesshuCp";
const HEADER_BYTES: usize = 64;
const LEDGER_BYTES: usize = 80;
const TICKET_BYTES: usize = 16;
/// Of a number: the ticket's row may have changed.
const CHANGED: u64 = 1 << 63;
/// Bytes of an event in the log at least: a frame with something in it.
const EVENT_BYTES_MIN: u64 = 40;
/// Bytes of one write.
const CHUNK_BYTES: usize = 1 << 20;

/// The file of the checkpoint at a position.
pub(super) fn path(position: u64) -> PathBuf {
    PathBuf::from(format!("{DIRECTORY}/{position:016}"))
}

/// What opening made of the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointOutcome {
    /// There is none yet: the log was read from its beginning.
    None,
    /// The log was read from this position on.
    Restored {
        /// Bytes from the log's beginning.
        position: u64,
    },
    /// It was of no use, for this reason: the log was read from its beginning.
    Rebuilt(Damage),
}

/// One moment of the store: a view, and the counters of each ledger's tail at that moment.
pub(super) struct Captured {
    pub(super) view: Arc<View>,
    /// Ledgers with tails, and the counts of each.
    pub(super) counters: Vec<(Arc<Ledger>, Counts)>,
}

impl Captured {
    /// What `view` shows; `state` is as of the same batch.
    pub(super) fn of(view: Arc<View>, state: &State) -> Captured {
        let tails = state.ledgers.iter().filter(|ledger| ledger.tail.ticket_count() > 0);
        let counters = tails.map(|ledger| (Arc::clone(ledger), ledger.tail.counts()));
        Captured { counters: counters.collect(), view }
    }
}

/// Writes a checkpoint, durably. Tails may grow meanwhile: what is newer is stepped back over. One that fails leaves no file.
pub(super) fn write(disk: &dyn Disk, store_id: StoreId, captured: &Captured) -> Result<CheckpointMessage, OpenError> {
    let written = write_file(disk, store_id, captured);
    if written.is_err() && !broken(Mutation::LeaveFailedCheckpoint) {
        // Gives the room back; the error that is reported is the first one.
        let _ = disk.remove(&path(captured.view.end));
    }
    written
}

fn write_file(disk: &dyn Disk, store_id: StoreId, captured: &Captured) -> Result<CheckpointMessage, OpenError> {
    let view = &captured.view;
    let path = path(view.end);
    let failed = |source| OpenError::Disk { doing: "writing", path: path.clone(), source };
    let mut output = Output::create(disk, &path).map_err(failed)?;
    output.bytes.extend_from_slice(&encode_header(store_id, view, captured.counters.len() as u64));
    for (ledger, counts) in &captured.counters {
        let mut tickets = Vec::new();
        for (number, newest) in ledger.tail.tickets() {
            if let Some(address) = newest_before(&view.horizon.segments, newest, view.end, ledger.folded_position())? {
                tickets.push((number, address));
            }
        }
        if !broken(Mutation::ForgetChangesInCheckpoint) {
            let changed = ledger.overlay();
            let has_changed = |number| changed.as_ref().is_some_and(|overlay| overlay.holds(number));
            for (number, _) in tickets.iter_mut().filter(|(number, _)| has_changed(*number)) {
                *number |= CHANGED;
            }
        }
        output.bytes.extend_from_slice(&ledger.municipality.five_digits().to_le_bytes());
        output.bytes.extend_from_slice(&[0; 4]);
        let oldest = ledger.tail.oldest().expect("a tail with tickets has events");
        let numbers = [ledger.generation_number(), tickets.len() as u64].into_iter().chain(counts.to_array());
        for number in numbers.chain([oldest]) {
            output.bytes.extend_from_slice(&number.to_le_bytes());
        }
        for (number, address) in tickets {
            output.bytes.extend_from_slice(&number.to_le_bytes());
            output.bytes.extend_from_slice(&address.to_le_bytes());
            output.write_full().map_err(failed)?;
        }
    }
    let (file_length, blake3) = output.finish().map_err(failed)?;
    if !broken(Mutation::SkipCheckpointDirectorySync) {
        disk.sync_directory(DIRECTORY.as_ref()).map_err(failed)?;
    }
    Ok(CheckpointMessage { position: view.end, file_length, blake3: blake3.to_vec() })
}

/// The newest event of a ticket before `end`, from its newest of all; `None` if it has none behind `folded`.
pub(super) fn newest_before(
    segments: &Segments,
    mut address: u64,
    end: u64,
    folded: u64,
) -> Result<Option<u64>, Damage> {
    while address >= end && !broken(Mutation::CheckpointOfNoMoment) {
        address = segments.event(address)?.previous;
    }
    Ok((address != 0 && address >= folded).then_some(address))
}

fn encode_header(store_id: StoreId, view: &View, ledgers: u64) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[0..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes[16..32].copy_from_slice(&store_id.0);
    for (at, number) in [view.end, view.horizon.sequence, view.time_ms, ledgers].into_iter().enumerate() {
        bytes[32 + at * 8..40 + at * 8].copy_from_slice(&number.to_le_bytes());
    }
    let crc = crc32fast::hash(&bytes);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// The file: written in chunks, hashed while the bytes pass.
struct Output {
    file: Arc<dyn File>,
    bytes: Vec<u8>,
    written: u64,
    blake3: blake3::Hasher,
}

impl Output {
    fn create(disk: &dyn Disk, path: &std::path::Path) -> io::Result<Output> {
        disk.create_directory(DIRECTORY.as_ref())?;
        let file = match disk.create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // An attempt that failed before: no manifest names it.
                disk.remove(path)?;
                disk.create(path)?
            }
            file => file?,
        };
        Ok(Output {
            file,
            bytes: Vec::with_capacity(CHUNK_BYTES + TICKET_BYTES),
            written: 0,
            blake3: blake3::Hasher::new(),
        })
    }

    fn write_full(&mut self) -> io::Result<()> {
        if self.bytes.len() >= CHUNK_BYTES { self.write_out() } else { Ok(()) }
    }

    fn write_out(&mut self) -> io::Result<()> {
        self.blake3.update(&self.bytes);
        self.file.write_at(&self.bytes, self.written)?;
        self.written += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<(u64, [u8; 32])> {
        self.write_out()?;
        if !broken(Mutation::SkipCheckpointSync) {
            self.file.sync()?;
        }
        Ok((self.written, *self.blake3.finalize().as_bytes()))
    }
}

/// The tail of one ledger in a checkpoint.
#[derive(Debug)]
pub(crate) struct LedgerTail<'a> {
    municipality: Municipality,
    generation: u64,
    counts: Counts,
    oldest: u64,
    /// Pairs of number and address.
    tickets: &'a [[u8; TICKET_BYTES]],
}

impl LedgerTail<'_> {
    fn tickets(&self) -> impl ExactSizeIterator<Item = KeptTicket> + Clone {
        self.tickets.iter().map(|pair| {
            let (number, newest) = (u64_at(pair, 0), u64_at(pair, 8));
            KeptTicket { number: number & !CHANGED, newest, changed: number & CHANGED != 0 }
        })
    }
}

/// A checkpoint that was read.
#[derive(Debug)]
pub(crate) struct Checkpoint<'a> {
    store_id: StoreId,
    start: Start,
    tails: Vec<LedgerTail<'a>>,
}

/// Reads a whole checkpoint. Pure: what it says must still fit the store.
pub(crate) fn decode(bytes: &[u8]) -> Result<Checkpoint<'_>, &'static str> {
    let (header, mut rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or("shorter than its header")?;
    let mut unsigned = *header;
    unsigned[12..16].fill(0);
    if &header[0..8] != MAGIC || crc32fast::hash(&unsigned) != u32_at(header, 12) {
        return Err("the header does not validate");
    }
    if u32_at(header, 8) != FORMAT_VERSION {
        return Err("another format version");
    }
    let mut store_id = [0; 16];
    store_id.copy_from_slice(&header[16..32]);
    let start = Start { position: u64_at(header, 32), sequence: u64_at(header, 40), time_ms: u64_at(header, 48) };
    if start.sequence > start.position / EVENT_BYTES_MIN || start.time_ms >= 1 << 48 {
        return Err("a sequence or a time that cannot be");
    }
    let mut tails = Vec::new();
    for _ in 0..u64_at(header, 56) {
        let (ledger, after) = rest.split_first_chunk::<LEDGER_BYTES>().ok_or("a ledger is cut short")?;
        let bytes = usize::try_from(u64_at(ledger, 16)).ok().and_then(|count| count.checked_mul(TICKET_BYTES));
        let (tickets, after) =
            bytes.and_then(|bytes| after.split_at_checked(bytes)).ok_or("a ledger's tickets are cut short")?;
        let tail = LedgerTail {
            municipality: Municipality::from_five_digits(u32_at(ledger, 0)).ok_or("an unknown municipality")?,
            generation: u64_at(ledger, 8),
            counts: Counts::from_array(std::array::from_fn::<_, COUNTS, _>(|at| u64_at(ledger, 24 + at * 8))),
            oldest: u64_at(ledger, 72),
            tickets: tickets.as_chunks().0,
        };
        if tail.tickets().any(|it| it.number > ANY_NUMBER_MAX || it.newest == 0 || it.newest >= start.position) {
            return Err("a ticket or an address that cannot be");
        }
        let Counts { events, shots, orphans, rows, adopted, departed } = tail.counts;
        let too_many = events > start.sequence || shots.saturating_add(rows).saturating_add(departed) > events;
        if too_many || orphans > shots || adopted > rows {
            return Err("more events than there were");
        }
        if tail.oldest == 0 || tail.tickets().any(|it| it.newest < tail.oldest) {
            return Err("an oldest event that is not the oldest");
        }
        tails.push(tail);
        rest = after;
    }
    if !rest.is_empty() {
        return Err("bytes behind its end");
    }
    Ok(Checkpoint { store_id: StoreId(store_id), start, tails })
}

/// The checkpoint that the manifest names, as a file: whether it fits the store is not looked at.
pub(super) fn map(disk: &dyn ReadDisk, message: &CheckpointMessage) -> Result<Map, Damage> {
    let file = path(message.position);
    let damage = |what| Damage { file: file.clone(), offset: 0, municipality: None, what };
    let map = disk.map(&file, message.file_length).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => damage("the checkpoint is missing"),
        io::ErrorKind::UnexpectedEof => damage("the checkpoint is shorter than it should be"),
        _ => damage("the checkpoint cannot be read"),
    })?;
    map.load(0..map.bytes().len()).map_err(|_| damage("the checkpoint cannot be read"))?;
    let same = blake3::hash(map.bytes()).as_bytes()[..] == message.blake3[..];
    if !same && !broken(Mutation::TrustAnyCheckpoint) {
        return Err(damage("the checkpoint is not the one that the manifest names"));
    }
    Ok(map)
}

/// Fills the tails from the checkpoint that the manifest names. `Ok(None)`: there is none. After an error the state is of no use.
pub(super) fn restore(
    disk: &dyn ReadDisk,
    store_id: StoreId,
    message: Option<&CheckpointMessage>,
    segments: &Segments,
    state: &mut State,
) -> Result<Option<Start>, Damage> {
    let Some(message) = message else { return Ok(None) };
    let file = path(message.position);
    let damage = |what| Damage { file: file.clone(), offset: 0, municipality: None, what };
    let map = map(disk, message)?;
    let checkpoint = decode(map.bytes()).map_err(damage)?;
    if checkpoint.store_id != store_id || checkpoint.start.position != message.position {
        return Err(damage("the checkpoint of another store or moment"));
    }
    if !segments.hold(checkpoint.start.position) {
        return Err(damage("the log does not reach the checkpoint"));
    }
    for tail in &checkpoint.tails {
        let ledger = state.ledger(tail.municipality);
        match tail.generation.cmp(&ledger.generation_number()) {
            _ if broken(Mutation::IgnoreGenerationOfCheckpoint) => {
                ledger.restore(tail.tickets(), tail.counts, tail.oldest, segments);
            }
            std::cmp::Ordering::Equal => ledger.restore(tail.tickets(), tail.counts, tail.oldest, segments),
            // A newer generation folds a part of it.
            std::cmp::Ordering::Less => {
                ledger.refill(tail.tickets().map(|ticket| (ticket.number, ticket.newest)), segments)?
            }
            std::cmp::Ordering::Greater => return Err(damage("a tail behind a generation that is not there")),
        }
    }
    Ok(Some(checkpoint.start))
}
