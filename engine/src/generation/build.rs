//! Building a generation: entries in the order of their numbers in, a synced file out.
//!
//! Owns the writing of the file: chunks of 4 MiB, section checksums and the BLAKE3 of the whole, computed while the bytes pass. Which rows and shots an
//! entry gets is decided by the load that calls it.
//!
//! In memory it keeps the cold section, eight bytes for each slot of the index and of a look-up, and 24 for each place in the order of kana.

use std::borrow::Cow;
use std::io;
use std::path::Path;
use std::sync::Arc;

use sesshu_proto::v1::SentRegister;

use super::cold::{ColdSection, ColdShotView, ColdView};
use super::derived::{Derivation, DerivedRow};
use super::dictionary::DictionaryBuilder;
use super::entry::{self, Entry, FoldedShot};
use super::layout::{self, Footer, Identity, Section, tag};
use super::senders;
use crate::disk::{Disk, File};
use crate::frame::{self, Header, Salt, flag, kind};
use crate::limits::{FILE_CHUNK_BYTES, FILE_HEADER_BYTES, GENERATION_BYTES_MAX};
use crate::lookup::Kind;
use crate::mutation::{Mutation, broken};
use crate::stored::{SenderView, ShotView, counts_as_active};
use crate::ticket::ANY_NUMBER_MAX;

/// A row as an entry keeps it.
#[derive(Clone, Copy)]
pub(crate) struct RowToFold<'a> {
    /// The encoded `Resident`.
    pub(crate) bytes: &'a [u8],
    pub(crate) active: bool,
    /// It names other tickets of the person.
    pub(crate) linked: bool,
    /// Since which event and time the row is known; zeros for since this generation's install.
    pub(crate) known_since: (u64, u64),
    /// The sealed My Number and its data key; empty if there is none.
    pub(crate) sealed_my_number: &'a [u8],
    pub(crate) data_key_id: u32,
    /// The keyed hash of the My Number; 0 if there is none.
    pub(crate) my_number_hash: u64,
    /// The rows that the ticket had before, as fields of a `ColdEntry`.
    pub(crate) older_rows: &'a [u8],
    /// Empty if it came in a register.
    pub(crate) sender: SenderView<'a>,
}

/// A shot as it is folded: texts resolved.
pub(crate) struct ShotToFold<'a> {
    pub(crate) shot: ShotView<'a>,
    /// As fields of a `ColdShot`; empty if nothing became of it after it was recorded.
    pub(crate) events: Cow<'a, [u8]>,
}

/// Why a generation was not built.
#[derive(Debug)]
pub(crate) enum BuildError {
    TooLarge,
    Disk(io::Error),
}

impl From<io::Error> for BuildError {
    fn from(error: io::Error) -> BuildError {
        BuildError::Disk(error)
    }
}

/// A generation file that was built and synced, not yet installed.
pub(crate) struct Built {
    pub(crate) file_length: u64,
    pub(crate) blake3: [u8; 32],
    pub(crate) entries: u64,
}

pub(crate) struct Builder {
    identity: Identity,
    output: Output,
    /// The last number that came.
    last: Option<u64>,
    derived: Derivation,
    dictionary: DictionaryBuilder,
    cold: ColdSection,
    senders: Vec<SentRegister>,
    /// Scratch of one entry.
    folded: Vec<FoldedShot>,
    payload: Vec<u8>,
}

impl Builder {
    /// Begins a generation in the new file `path`.
    pub(crate) fn create(disk: &dyn Disk, path: &Path, identity: Identity) -> io::Result<Builder> {
        let mut output = Output::new(disk.create(path)?);
        output.write(&layout::encode_header(&identity))?;
        debug_assert_eq!(output.position(), FILE_HEADER_BYTES);
        output.begin_section();
        Ok(Builder {
            identity,
            output,
            last: None,
            derived: Derivation::new(identity.lookup_key),
            dictionary: DictionaryBuilder::default(),
            cold: ColdSection::default(),
            senders: Vec::new(),
            folded: Vec::new(),
            payload: Vec::new(),
        })
    }

    /// Makes room for what is kept in memory of so many rows.
    pub(crate) fn reserve(&mut self, rows: usize) {
        self.derived.reserve(rows);
    }

    /// Takes note of who sent the registers before, oldest first.
    pub(crate) fn sent_before(&mut self, senders: Vec<SentRegister>) {
        self.senders = senders;
    }

    /// Bytes that the file has so far.
    pub(crate) fn position(&self) -> u64 {
        self.output.position()
    }

    /// Adds the entry of `number`. Numbers come in ascending order. An entry has a row, or shots, or both.
    pub(crate) fn push(
        &mut self,
        number: u64,
        row: Option<RowToFold<'_>>,
        shots: &[ShotToFold<'_>],
    ) -> Result<(), BuildError> {
        assert!(number <= ANY_NUMBER_MAX && self.last.is_none_or(|last| last < number));
        assert!(row.is_some() || !shots.is_empty(), "an entry holds something");
        let address = self.output.position();
        if address + self.cold.size() > GENERATION_BYTES_MAX / 2 {
            self.check_size(address)?;
        }
        let (bytes, known_since) = row.map_or((&[][..], (0, 0)), |row| (row.bytes, row.known_since));
        let ticket_bits = u64::from(self.identity.five_digits) << 34 | number;
        let cold = cold_of(row, shots).map_or(0, |message| self.cold.add(ticket_bits, &message));

        self.folded.clear();
        self.folded.extend(shots.iter().map(|shot| fold(&mut self.dictionary, &shot.shot)));
        self.payload.clear();
        entry::encode(&mut self.payload, bytes, cold, &self.folded);
        let flags = if row.is_some_and(|row| row.linked) { flag::LINKED } else { 0 };
        let header = Header { kind: kind::ENTRY, flags, time_ms: known_since.1, ticket_bits, sequence: known_since.0 };
        self.output.frame(self.identity.salt, header, &self.payload)?;

        self.last = Some(number);
        let row = row.map(|row| DerivedRow {
            bytes: row.bytes,
            active: row.active,
            my_number_hash: (!row.sealed_my_number.is_empty()).then_some(row.my_number_hash),
        });
        let shots = shots.iter().filter(|it| it.shot.standing.reassigned_to == 0).count();
        self.derived.push(number, address, row, shots as u64);
        Ok(())
    }

    /// Adds the row of an entry without anything else that was known of its ticket.
    pub(crate) fn push_row_alone(&mut self, number: u64, entry: &Entry<'_>) -> Result<(), BuildError> {
        let header = entry.header();
        let row = RowToFold {
            bytes: entry.row,
            active: counts_as_active(entry.row),
            linked: header.flags & flag::LINKED != 0,
            known_since: (header.sequence, header.time_ms),
            sealed_my_number: &[],
            data_key_id: 0,
            my_number_hash: 0,
            older_rows: &[],
            sender: SenderView::default(),
        };
        self.push(number, Some(row), &[])
    }

    pub(crate) fn salt(&self) -> Salt {
        self.identity.salt
    }

    /// Writes what follows the entries, and syncs the file.
    pub(crate) fn finish(mut self) -> Result<Built, BuildError> {
        self.check_size(self.output.position())?;
        let mut sections = vec![self.output.end_section(tag::ENTRIES)];
        self.output.align(64)?;
        sections.push(self.output.section(tag::INDEX, &self.derived.index())?);
        for kind in Kind::ALL {
            self.output.align(64)?;
            sections.push(self.output.section(tag::of(kind), &self.derived.take_lookup(kind))?);
        }
        sections.push(self.output.section(tag::KANA_ORDER, &self.derived.take_kana_order())?);
        sections.push(self.output.section(tag::DICTIONARY, &self.dictionary.encode())?);
        self.output.align(8)?;
        self.output.begin_section();
        for (header, payload) in self.cold.frames() {
            self.output.frame(self.identity.salt, header, payload)?;
        }
        sections.push(self.output.end_section(tag::COLD));
        if !self.senders.is_empty() {
            let senders = senders::encode(std::mem::take(&mut self.senders));
            sections.push(self.output.section(tag::SENDERS, &senders)?);
        }
        if let Some(address) = self.derived.without_ticket {
            sections.push(self.output.section(tag::WITHOUT_TICKET, &address.to_le_bytes())?);
        }
        self.output.align(8)?;

        let file_length = self.output.position() + layout::FOOTER_BYTES as u64;
        let counters = self.derived.counters;
        let footer = Footer { file_length, counters, sections };
        self.output.write(&footer.encode(self.identity.salt))?;
        let blake3 = self.output.finish()?;
        Ok(Built { file_length, blake3, entries: counters.entries })
    }

    fn check_size(&self, position: u64) -> Result<(), BuildError> {
        let total = position + self.cold.size() + self.derived.bytes() + (64 << 20);
        if total > GENERATION_BYTES_MAX { Err(BuildError::TooLarge) } else { Ok(()) }
    }
}

/// What an entry's row and shots keep cold; `None` if that is nothing.
fn cold_of<'a>(row: Option<RowToFold<'a>>, shots: &'a [ShotToFold<'a>]) -> Option<ColdView<'a>> {
    let sealed = row.map_or(&[][..], |row| row.sealed_my_number);
    let captured = shots.iter().any(|it| !it.shot.capture_id.is_empty()) && !broken(Mutation::ForgetCaptureIds);
    let cold_shots = (0..).zip(shots).filter_map(|(index, ShotToFold { shot, events })| {
        let more = if broken(Mutation::ForgetWarnings) { &[][..] } else { shot.more };
        let events = if broken(Mutation::ForgetAmendments) { &[][..] } else { events };
        let any = !more.is_empty() || !events.is_empty();
        any.then_some(ColdShotView { index, capture_id: "", events, more })
    });
    let cold = ColdView {
        sealed_my_number: sealed,
        data_key_id: row.filter(|_| !sealed.is_empty()).map_or(0, |row| row.data_key_id),
        my_number_hash: row.filter(|_| !sealed.is_empty()).map_or(0, |row| row.my_number_hash),
        capture_ids: shots.iter().filter(|_| captured).map(|it| it.shot.capture_id).collect(),
        shots: cold_shots.collect(),
        older_rows: row.filter(|_| !broken(Mutation::ForgetOlderRows)).map_or(&[], |row| row.older_rows),
        sender: row.filter(|_| !broken(Mutation::ForgetSenders)).map(|row| row.sender).unwrap_or_default(),
    };
    let is_something = !sealed.is_empty()
        || captured
        || !cold.shots.is_empty()
        || !cold.older_rows.is_empty()
        || cold.sender != SenderView::default();
    is_something.then_some(cold)
}

fn fold(dictionary: &mut DictionaryBuilder, shot: &ShotView<'_>) -> FoldedShot {
    FoldedShot {
        sequence: shot.shot_id,
        time_ms: shot.recorded_at_ms,
        date: shot.date,
        dose: shot.dose,
        stub: shot.stub,
        source: shot.source,
        presented_municipality: shot.presented_municipality,
        vaccine: dictionary.number(shot.vaccine),
        lot: dictionary.number(shot.lot),
        venue: dictionary.number(shot.venue),
        institution: dictionary.number(shot.institution),
        doctor: dictionary.number(shot.doctor),
        recorded_by: dictionary.number(shot.recorded_by),
    }
}

/// The file: bytes pass through one chunk, and every checksum sees them once.
struct Output {
    file: Arc<dyn File>,
    chunk: Vec<u8>,
    /// Bytes before the chunk.
    written: u64,
    blake3: blake3::Hasher,
    section_start: u64,
    /// Checksum of the section's bytes that were written, and how many of the chunk's it covers already.
    crc: crc32fast::Hasher,
    crc_from: usize,
}

impl Output {
    fn new(file: Arc<dyn File>) -> Output {
        Output {
            file,
            chunk: Vec::with_capacity(FILE_CHUNK_BYTES + (1 << 20)),
            written: 0,
            blake3: blake3::Hasher::new(),
            section_start: 0,
            crc: crc32fast::Hasher::new(),
            crc_from: 0,
        }
    }

    fn position(&self) -> u64 {
        self.written + self.chunk.len() as u64
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = FILE_CHUNK_BYTES.saturating_sub(self.chunk.len()).max(1);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.chunk.extend_from_slice(now);
            bytes = later;
            self.write_full_chunks()?;
        }
        Ok(())
    }

    /// Writes a frame.
    fn frame(&mut self, salt: Salt, header: Header, payload: &[u8]) -> io::Result<()> {
        let position = self.position();
        frame::encode(&mut self.chunk, salt, position, header, &[payload]);
        self.write_full_chunks()
    }

    #[inline]
    fn write_full_chunks(&mut self) -> io::Result<()> {
        while self.chunk.len() >= FILE_CHUNK_BYTES {
            self.write_out(FILE_CHUNK_BYTES)?;
        }
        Ok(())
    }

    fn write_out(&mut self, length: usize) -> io::Result<()> {
        let bytes = &self.chunk[..length];
        self.blake3.update(bytes);
        self.crc.update(&bytes[self.crc_from.min(length)..]);
        self.crc_from = self.crc_from.saturating_sub(length);
        self.file.write_at(bytes, self.written)?;
        self.written += length as u64;
        self.chunk.drain(..length);
        Ok(())
    }

    fn begin_section(&mut self) {
        self.section_start = self.position();
        self.crc = crc32fast::Hasher::new();
        self.crc_from = self.chunk.len();
    }

    fn end_section(&mut self, tag: u32) -> Section {
        let mut crc = self.crc.clone();
        crc.update(&self.chunk[self.crc_from..]);
        let length = self.position() - self.section_start;
        Section { tag, crc: crc.finalize(), offset: self.section_start, length }
    }

    fn section(&mut self, tag: u32, bytes: &[u8]) -> io::Result<Section> {
        self.align(8)?;
        self.begin_section();
        self.write(bytes)?;
        Ok(self.end_section(tag))
    }

    fn align(&mut self, alignment: u64) -> io::Result<()> {
        let zeros = self.position().next_multiple_of(alignment) - self.position();
        self.write(&[0; 64][..zeros as usize])
    }

    fn finish(mut self) -> io::Result<[u8; 32]> {
        self.write_out(self.chunk.len())?;
        if !broken(Mutation::SkipGenerationSync) {
            self.file.sync()?;
        }
        Ok(*self.blake3.finalize().as_bytes())
    }
}
