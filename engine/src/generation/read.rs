//! Reading a generation: a mapped file and the ways into it.
//!
//! Owns the checks on the way: lengths, header and footer when it is opened; index and dictionary whole at first use, each look-up at its own; an entry at
//! every read (I6).
//! Every address is checked against the end of its section.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use sesshu_proto::v1::SentRegister;

use super::cold::{ColdShotView, ColdView};
use super::dictionary::Dictionary;
use super::entry::{Entry, FoldedShot};
use super::layout::{self, Counters, Footer, Identity, Section, tag};
use super::senders;
use super::slots::Slots;
use crate::disk::{Map, ReadDisk, prefetch};
use crate::error::Damage;
use crate::frame::{self, Salt, kind};
use crate::life::{Life, shot_of};
use crate::limits::FILE_HEADER_BYTES;
use crate::lookup::Kind;
use crate::mutation::{Mutation, broken};
use crate::stored::{ShotView, Standing};
use crate::ticket::{ANY_NUMBER_MAX, Municipality};

/// An open generation. A nation's ledgers do not fit the processor's caches, so what a match needs fills one line.
#[repr(C, align(64))]
pub(crate) struct Generation {
    map: Map,
    index_offset: u64,
    entries_offset: u64,
    entries_end: u64,
    salt: Salt,
    index_lines: u32,
    /// The municipality's: they fit, there is none above 47,999.
    five_digits: u16,
    /// Index and dictionary were checked and are sound.
    sound: AtomicBool,
    details: Box<Details>,
}

const _: () = assert!(cfg!(miri) || size_of::<Generation>() == 64, "one line");

/// What only opening, look-ups, folding and the expansion of shots need.
pub(super) struct Details {
    /// By [`Kind`]; a file may lack one.
    pub(super) lookups: [Option<Lookup>; Kind::ALL.len()],
    pub(super) kana_order: Option<Lookup>,
    pub(super) senders: Option<Lookup>,
    pub(super) without_ticket: Option<Lookup>,
    municipality: Municipality,
    identity: Identity,
    counters: Counters,
    pub(super) index: Section,
    pub(super) dictionary: Section,
    pub(super) cold: Section,
    /// What the check of index and dictionary found, once it was made.
    checked: OnceLock<Result<(), Damage>>,
}

/// A section that is checked when it is first asked.
pub(super) struct Lookup {
    pub(super) section: Section,
    pub(super) checked: OnceLock<Result<(), Damage>>,
}

/// Opening failed.
#[derive(Debug)]
pub(crate) enum OpenGenerationError {
    Damaged(Damage),
    /// A whole one, of this version.
    Newer(u32),
    Disk(io::Error),
}

impl Generation {
    /// Maps the generation that `identity` names and checks its length, header and footer.
    pub(crate) fn open(
        disk: &dyn ReadDisk,
        municipality: Municipality,
        identity: Identity,
        file_length: u64,
    ) -> Result<Generation, OpenGenerationError> {
        Generation::open_at(disk, &super::path(municipality, identity.generation), municipality, identity, file_length)
    }

    /// As [`Generation::open`], under another name.
    pub(crate) fn open_at(
        disk: &dyn ReadDisk,
        path: &Path,
        municipality: Municipality,
        identity: Identity,
        file_length: u64,
    ) -> Result<Generation, OpenGenerationError> {
        Generation::map_at(disk, path, municipality, identity, file_length, true)
    }

    /// As [`Generation::open_at`], to examine it: its header may be another's, or none.
    pub(crate) fn open_to_examine(
        disk: &dyn ReadDisk,
        path: &Path,
        municipality: Municipality,
        identity: Identity,
        file_length: u64,
    ) -> Result<Generation, OpenGenerationError> {
        Generation::map_at(disk, path, municipality, identity, file_length, false)
    }

    fn map_at(
        disk: &dyn ReadDisk,
        path: &Path,
        municipality: Municipality,
        identity: Identity,
        file_length: u64,
        by_its_header: bool,
    ) -> Result<Generation, OpenGenerationError> {
        let damaged = |offset, what| {
            let municipality = Some(municipality);
            OpenGenerationError::Damaged(Damage { file: path.to_owned(), offset, municipality, what })
        };
        let map = disk.map(path, file_length).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => damaged(0, "the generation's file is missing"),
            io::ErrorKind::UnexpectedEof => damaged(0, "the generation's file is shorter than it should be"),
            _ => OpenGenerationError::Disk(error),
        })?;
        let bytes = map.bytes();
        if let Some(version) = layout::other_version(bytes).filter(|_| !broken(Mutation::AcceptNewerFormat)) {
            return Err(OpenGenerationError::Newer(version));
        }
        if file_length < FILE_HEADER_BYTES + layout::FOOTER_BYTES as u64
            || by_its_header && !layout::header_is(bytes, &identity)
        {
            return Err(damaged(0, "neither copy of the generation's header is the expected one"));
        }
        let footer_at = file_length - layout::FOOTER_BYTES as u64;
        let footer = Footer::decode(&bytes[footer_at as usize..], identity.salt, file_length)
            .ok_or_else(|| damaged(footer_at, "the generation's footer does not validate"))?;
        let section = |tag| {
            let found = footer.sections.iter().find(|section| section.tag == tag);
            found.copied().ok_or_else(|| damaged(footer_at, "the generation lacks a section"))
        };
        let lookup = |tag| {
            let found = footer.sections.iter().find(|section| section.tag == tag);
            found.map(|&section| Lookup { section, checked: OnceLock::new() })
        };
        let (index, entries) = (section(tag::INDEX)?, section(tag::ENTRIES)?);
        let lines = Slots::new(&bytes[index.offset as usize..][..index.length as usize])
            .and_then(|slots| u32::try_from(slots.line_count()).ok())
            .ok_or_else(|| damaged(index.offset, "the index is no slot table"))?;
        let details = Details {
            lookups: Kind::ALL.map(|kind| lookup(tag::of(kind))),
            kana_order: lookup(tag::KANA_ORDER),
            senders: lookup(tag::SENDERS),
            without_ticket: lookup(tag::WITHOUT_TICKET),
            municipality,
            identity,
            counters: footer.counters,
            index,
            dictionary: section(tag::DICTIONARY)?,
            cold: section(tag::COLD)?,
            checked: OnceLock::new(),
        };
        Ok(Generation {
            index_offset: index.offset,
            entries_offset: entries.offset,
            entries_end: entries.offset + entries.length,
            salt: identity.salt,
            index_lines: lines,
            five_digits: municipality.five_digits() as u16,
            sound: AtomicBool::new(false),
            details: Box::new(details),
            map,
        })
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.details.identity
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.details.counters
    }

    /// Bytes of the file.
    pub(crate) fn file_length(&self) -> u64 {
        self.map.bytes().len() as u64
    }

    /// Starts to fetch the index line of `number`.
    #[inline]
    pub(crate) fn prefetch_index(&self, number: u64) {
        self.index().prefetch(number);
    }

    /// Where the entry of `number` lies. Exact: no address, no entry.
    #[inline]
    pub(crate) fn address(&self, number: u64) -> Result<Option<u64>, Damage> {
        self.check()?;
        Ok(self.index().find(number))
    }

    /// Starts to fetch the entry at `address`.
    #[inline]
    pub(crate) fn prefetch_entry(&self, address: u64) {
        // An entry with two shots has 136 to 160 bytes, which lie on three lines or four.
        for offset in [0, 64, 128, 159] {
            prefetch(self.map.bytes(), address as usize + offset);
        }
    }

    /// The entry at `address`, which must be that of `number` (I6).
    #[inline(always)]
    pub(crate) fn entry(&self, address: u64, number: u64) -> Result<Entry<'_>, Damage> {
        let (entry, _) = self.entry_at(address)?;
        let bits = u64::from(self.five_digits) << 34 | number;
        if entry.header().ticket_bits != bits && !broken(Mutation::SkipTicketCheck) {
            return Err(self.damage(address, "the index names another ticket's entry"));
        }
        Ok(entry)
    }

    /// Every entry in the order of the numbers; ends after the first damage. Their texts lie in the dictionary, so that is checked first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Result<(u64, Entry<'_>), Damage>> {
        self.entries_from(self.entries_offset)
    }

    /// Whether there are entries of people without a ticket.
    pub(crate) fn has_people_without_ticket(&self) -> bool {
        self.details.without_ticket.is_some()
    }

    /// As [`Generation::entries`], those of people without a ticket, whose numbers are the last.
    pub(crate) fn entries_without_ticket(
        &self,
    ) -> Result<impl Iterator<Item = Result<(u64, Entry<'_>), Damage>>, Damage> {
        let Some(first) = &self.details.without_ticket else { return Ok(self.entries_from(self.entries_end)) };
        self.check_lookup(first)?;
        let address = self.bytes(&first.section).first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let is_inside = |address: &u64| (self.entries_offset..self.entries_end).contains(address);
        let address = address.filter(is_inside);
        let address = address.ok_or_else(|| self.damage(first.section.offset, "an address that no entry has"))?;
        Ok(self.entries_from(address))
    }

    fn entries_from(&self, address: u64) -> impl Iterator<Item = Result<(u64, Entry<'_>), Damage>> {
        let end = self.entries_end;
        let (mut address, mut last) = (address, None);
        std::iter::from_fn(move || {
            if address >= end {
                return None;
            }
            let item = self.check().and_then(|()| self.entry_at(address)).and_then(|(entry, size)| {
                let number = self.number(address, &entry)?;
                if last.is_some_and(|last| last >= number) {
                    return Err(self.damage(address, "entries out of order"));
                }
                last = Some(number);
                address += size;
                Ok((number, entry))
            });
            if item.is_err() {
                address = end;
            }
            Some(item)
        })
    }

    /// A folded shot with its texts.
    #[inline]
    pub(crate) fn shot(&self, shot: &FoldedShot) -> Result<ShotView<'_>, Damage> {
        let dictionary = self.dictionary()?;
        let text = |number| self.text(dictionary, number);
        Ok(ShotView {
            shot_id: shot.sequence,
            sequence: shot.sequence,
            recorded_at_ms: shot.time_ms,
            date: shot.date,
            dose: shot.dose,
            vaccine: text(shot.vaccine)?,
            lot: text(shot.lot)?,
            venue: text(shot.venue)?,
            institution: text(shot.institution)?,
            doctor: text(shot.doctor)?,
            capture_id: "",
            source: shot.source,
            recorded_by: text(shot.recorded_by)?,
            stub: shot.stub,
            presented_municipality: shot.presented_municipality,
            standing: Standing::default(),
            more: &[],
        })
    }

    /// A folded shot with what is kept cold of it.
    pub(crate) fn whole_shot<'a>(&'a self, shot: &FoldedShot, cold: &ColdShotView<'a>) -> Result<ShotView<'a>, Damage> {
        if cold.events.is_empty() {
            let &ColdShotView { capture_id, more, .. } = cold;
            return Ok(ShotView { capture_id, more, ..self.shot(shot)? });
        }
        let shot = shot_of(cold.events).filter(|it| it.shot_id == shot.sequence);
        shot.ok_or_else(|| self.damage(self.details.cold.offset, "events that make no shot"))
    }

    /// The same, with what became of it.
    pub(crate) fn life<'a>(&'a self, shot: &FoldedShot, cold: &ColdShotView<'a>) -> Result<Life<'a>, Damage> {
        Ok(Life::folded(self.whole_shot(shot, cold)?, cold.events))
    }

    /// Who sent the registers before this one, oldest first.
    pub(crate) fn senders(&self) -> Result<Vec<SentRegister>, Damage> {
        let Some(senders) = &self.details.senders else { return Ok(Vec::new()) };
        self.check_lookup(senders)?;
        let offset = senders.section.offset;
        senders::decode(self.bytes(&senders.section)).ok_or_else(|| self.damage(offset, "senders that are no message"))
    }

    /// The text of a folded shot's vaccine.
    pub(crate) fn vaccine(&self, shot: &FoldedShot) -> Result<&str, Damage> {
        self.text(self.dictionary()?, shot.vaccine)
    }

    #[inline]
    fn dictionary(&self) -> Result<Dictionary<'_>, Damage> {
        let section = self.details.dictionary;
        Dictionary::new(self.bytes(&section)).ok_or_else(|| self.damage(section.offset, "the dictionary is none"))
    }

    #[inline]
    fn text<'a>(&self, dictionary: Dictionary<'a>, number: u32) -> Result<&'a str, Damage> {
        let lacks = || self.damage(self.details.dictionary.offset, "a text that the dictionary lacks");
        dictionary.text(number).ok_or_else(lacks)
    }

    /// What the generation keeps cold of an entry.
    pub(crate) fn cold(&self, entry: &Entry<'_>) -> Result<ColdView<'_>, Damage> {
        // An entry names the offset in the section plus 8; 0 is "nothing".
        let Some(offset) = entry.cold.checked_sub(8) else { return Ok(ColdView::default()) };
        let section = self.details.cold;
        let Some(bytes) = usize::try_from(offset).ok().and_then(|at| self.bytes(&section).get(at..)) else {
            return Err(self.damage(section.offset, "an entry names a cold entry outside the section"));
        };
        let address = section.offset + offset;
        let frame = frame::decode(bytes, self.salt, address).map_err(|fault| self.damage(address, fault.what()))?;
        if frame.header.kind != kind::COLD_ENTRY || frame.header.ticket_bits != entry.header().ticket_bits {
            return Err(self.damage(address, "an entry names another ticket's cold entry"));
        }
        ColdView::decode(frame.payload).ok_or_else(|| self.damage(address, "a cold entry that is no message"))
    }

    /// The damage of this file at `offset`.
    #[cold]
    pub(crate) fn damage(&self, offset: u64, what: &'static str) -> Damage {
        let Details { municipality, identity, .. } = &*self.details;
        let file = super::path(*municipality, identity.generation);
        Damage { file, offset, municipality: Some(*municipality), what }
    }

    /// The whole file.
    pub(super) fn map(&self) -> &Map {
        &self.map
    }

    pub(super) fn details(&self) -> &Details {
        &self.details
    }

    /// Where the entries lie.
    pub(super) fn entries_range(&self) -> Range<u64> {
        self.entries_offset..self.entries_end
    }

    pub(super) fn footer_offset(&self) -> u64 {
        self.file_length() - layout::FOOTER_BYTES as u64
    }

    pub(super) fn bytes(&self, section: &Section) -> &[u8] {
        // The footer's reader checked that every section lies inside the file.
        &self.map.bytes()[section.offset as usize..(section.offset + section.length) as usize]
    }

    #[inline]
    fn index(&self) -> Slots<'_> {
        Slots::of_lines(&self.map.bytes()[self.index_offset as usize..], self.index_lines)
    }

    #[inline(always)]
    pub(super) fn entry_at(&self, address: u64) -> Result<(Entry<'_>, u64), Damage> {
        let bytes = self.map.bytes().get(address as usize..self.entries_end as usize);
        let Some((bytes, head)) =
            bytes.filter(|_| address >= self.entries_offset).and_then(|b| Some((b, b.first_chunk()?)))
        else {
            return Err(self.damage(address, "an address outside the entries"));
        };
        let frame = frame::decode(bytes, self.salt, address).map_err(|fault| self.damage(address, fault.what()))?;
        if frame.header.kind != kind::ENTRY {
            return Err(self.damage(address, "a frame that is no entry"));
        }
        let entry =
            Entry::decode(head, frame.payload).ok_or_else(|| self.damage(address, "an entry that cannot be read"))?;
        Ok((entry, frame.size as u64))
    }

    /// The ticket number of the entry at `address`, which must be one of this municipality's.
    #[inline]
    pub(super) fn number(&self, address: u64, entry: &Entry<'_>) -> Result<u64, Damage> {
        let number = entry.header().ticket_bits.wrapping_sub(u64::from(self.five_digits) << 34);
        if number > ANY_NUMBER_MAX {
            return Err(self.damage(address, "an entry of no ticket of this municipality"));
        }
        Ok(number)
    }

    pub(super) fn check_section(&self, section: &Section) -> Result<(), Damage> {
        let sound = crc32fast::hash(self.bytes(section)) == section.crc;
        if !sound && !broken(Mutation::SkipSectionCheck) {
            return Err(self.damage(section.offset, "the section's checksum does not match"));
        }
        Ok(())
    }

    /// Checks index and dictionary, once.
    #[inline]
    fn check(&self) -> Result<(), Damage> {
        // Whoever sees that the sections are sound needs to see nothing else of whoever found it.
        if self.sound.load(Ordering::Relaxed) { Ok(()) } else { self.check_sections() }
    }

    #[cold]
    fn check_sections(&self) -> Result<(), Damage> {
        let Details { index, dictionary, checked, .. } = &*self.details;
        let check = || [index, dictionary].into_iter().try_for_each(|section| self.check_section(section));
        checked.get_or_init(check).clone()?;
        self.sound.store(true, Ordering::Relaxed);
        Ok(())
    }
}
