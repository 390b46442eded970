//! Examining a generation: every byte of its file, and everything in it that follows from the rest.
//!
//! Owns what counts as a flaw, where it lies, whom it concerns, and what brings it back. The file is read once, whole, for its BLAKE3; then its entries are
//! walked, and what follows from them is made again and compared. A walk goes on behind damage: the index says where the next entry lies, and where that is
//! damaged too, the next frame that validates is one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};

use super::derived::{Derivation, DerivedRow};
use super::entry::Entry;
use super::layout::{Section, encode_header};
use super::read::Generation;
use super::slots::Slots;
use crate::error::Damage;
use crate::frame::{flag, kind};
use crate::limits::FILE_HEADER_BYTES;
use crate::lookup::{Kind, RowFields};
use crate::mutation::{Mutation, broken};
use crate::stored::counts_as_active;

/// What brings back what a flaw has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// It follows from what is whole, and is made again.
    Rebuild,
    /// Nothing else has it: it is taken from a snapshot, or given up.
    Replace,
}

/// Something that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// Bytes from the start of the file.
    pub(crate) offset: u64,
    pub(crate) what: &'static str,
    /// Tickets that cannot be answered, wholly, because of it; `None` if nobody can say how many.
    pub(crate) tickets: Option<u64>,
    pub(crate) remedy: Remedy,
}

/// What was found in a file.
#[derive(Debug, Default)]
pub(crate) struct Examined {
    /// In no order.
    pub(crate) flaws: Vec<Flaw>,
    /// Numbers whose entry cannot be read whole, as far as the index tells them.
    pub(crate) lost: Vec<u64>,
    /// Numbers whose row names other tickets of the person.
    pub(crate) linked: Vec<u64>,
    /// The disk can read all of it.
    pub(crate) is_readable: bool,
    /// Entries that are whole.
    pub(crate) entries: u64,
    /// Under which My Numbers are sealed.
    pub(crate) data_keys: BTreeSet<u32>,
}

impl Examined {
    fn flaw(&mut self, offset: u64, what: &'static str, tickets: impl Into<Option<u64>>, remedy: Remedy) {
        self.flaws.push(Flaw { offset, what, tickets: tickets.into(), remedy });
    }
}

/// Bytes that are read at a time.
const CHUNK_BYTES: usize = 1 << 20;
const PAGE_BYTES: usize = 4096;

impl Generation {
    /// Examines the whole file, whose BLAKE3 was `blake3`. `told` hears of the bytes that were read, and may end it: `None` then.
    pub(crate) fn examine(&self, blake3: &[u8], told: &mut dyn FnMut(u64) -> ControlFlow<()>) -> Option<Examined> {
        let mut found = Examined::default();
        let Some(hash) = self.read_whole(&mut found, told)? else { return Some(found) };
        found.is_readable = true;
        self.examine_header(&mut found);
        let is_index_sound = self.check_section(&self.details().index).is_ok();
        let is_dictionary_sound = self.check_section(&self.details().dictionary).is_ok();
        let entries = self.counters().entries;
        if !is_dictionary_sound {
            let what = "the dictionary's checksum does not match";
            found.flaw(self.details().dictionary.offset, what, entries, Remedy::Replace);
        }
        if let Some(senders) = self.senders_section().filter(|section| self.check_section(section).is_err()) {
            found.flaw(senders.offset, "the senders' checksum does not match", 0, Remedy::Replace);
        }
        let mut walk =
            Walk { generation: self, is_dictionary_sound, derived: Derivation::new(self.identity().lookup_key) };
        let is_whole = walk.entries(&mut found, is_index_sound);
        walk.compare(&mut found, is_whole);
        if found.flaws.is_empty() && hash.as_bytes()[..] != *blake3 && !broken(Mutation::SkipFileHash) {
            found.flaw(0, "the file is not the one that was installed: its BLAKE3 differs", 0, Remedy::Rebuild);
        }
        Some(found)
    }

    /// Hands on every entry whose frame is whole, in order, with whether all that it names is: number, entry, whether what is kept cold of it can be read.
    pub(crate) fn each_whole<'a>(&'a self, visit: &mut dyn FnMut(u64, Entry<'a>, bool)) {
        let is_index_sound = self.check_section(&self.details().index).is_ok();
        let is_dictionary_sound = self.check_section(&self.details().dictionary).is_ok();
        let derived = Derivation::new(self.identity().lookup_key);
        let mut walk = Walk { generation: self, is_dictionary_sound, derived };
        let mut found = Examined::default();
        walk.walk(&mut found, is_index_sound, &mut |_, _, _, number, entry: &Entry<'a>| {
            let is_cold_whole = is_dictionary_sound && self.cold(entry).is_ok();
            visit(number, *entry, is_cold_whole || self.cold(entry).is_ok() && entry.shot_count == 0);
        });
    }

    /// Reads the file, and has it in memory then; `Some(None)`: the disk cannot.
    fn read_whole(
        &self,
        found: &mut Examined,
        told: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> Option<Option<blake3::Hash>> {
        let bytes = self.map().bytes();
        let mut hasher = blake3::Hasher::new();
        for (chunk, start) in bytes.chunks(CHUNK_BYTES).zip((0..).step_by(CHUNK_BYTES)) {
            if self.map().load(start..start + chunk.len()).is_err() {
                let pages = (start..start + chunk.len()).step_by(PAGE_BYTES);
                let end = |page: usize| bytes.len().min(page + PAGE_BYTES);
                let page = pages.clone().find(|&page| self.map().load(page..end(page)).is_err()).unwrap_or(start);
                let what = "the disk cannot read this part of the file";
                found.flaw(page as u64, what, self.counters().entries, Remedy::Replace);
                return Some(None);
            }
            hasher.update(chunk);
            if told(chunk.len() as u64).is_break() {
                return None;
            }
        }
        Some(Some(hasher.finalize()))
    }

    fn examine_header(&self, found: &mut Examined) {
        let (expected, bytes) = (encode_header(self.identity()), self.map().bytes());
        for at in [0, FILE_HEADER_BYTES as usize / 2] {
            let half = at..at + FILE_HEADER_BYTES as usize / 2;
            if bytes[half.clone()] != expected[half] {
                found.flaw(
                    at as u64,
                    "this copy of the generation's header is not the expected one",
                    0,
                    Remedy::Rebuild,
                );
            }
        }
    }
}

/// What a walk does with an entry: its address, its number, itself.
type Visit<'a, 'v> = dyn FnMut(&mut Walk<'a>, &mut Examined, u64, u64, &Entry<'a>) + 'v;

/// A walk through the entries.
struct Walk<'a> {
    generation: &'a Generation,
    is_dictionary_sound: bool,
    derived: Derivation,
}

impl<'a> Walk<'a> {
    /// Reads every entry, with all that it names. Whether all of them are whole.
    fn entries(&mut self, found: &mut Examined, is_index_sound: bool) -> bool {
        self.walk(found, is_index_sound, &mut |walk, found, address, number, entry| {
            walk.entry(found, address, number, entry);
        })
    }

    /// Goes from entry to entry, also behind damage, of which it tells. Whether there is none.
    fn walk(&mut self, found: &mut Examined, is_index_sound: bool, visit: &mut Visit<'a, '_>) -> bool {
        let generation = self.generation;
        let (mut address, mut last) = (generation.entries_range().start, None);
        // Where entries lie, once it matters.
        let mut places: Option<BTreeMap<u64, u64>> = None;
        let mut gaps = Vec::new();
        while address < generation.entries_range().end {
            match self.entry_behind(address, last) {
                Ok((number, entry, size)) => {
                    last = Some(number);
                    visit(self, found, address, number, &entry);
                    address += size;
                }
                Err(damage) => {
                    let places =
                        places.get_or_insert_with(|| if is_index_sound { self.places() } else { BTreeMap::new() });
                    let number = places.get(&address).copied();
                    found.lost.extend(number);
                    let (flaw, from) = (found.flaws.len(), address);
                    found.flaw(address, damage.what, number.map(|_| 1), Remedy::Replace);
                    let next = places.range(address + 8..).next().map(|(&next, _)| next);
                    let next = if is_index_sound { next } else { self.next_frame(address + 8, last) };
                    address = next.unwrap_or(generation.entries_range().end);
                    gaps.push((flaw, from..address));
                    // The next one need not follow the last one that was read.
                    last = number.max(last);
                }
            }
        }
        // Without an index, how many there were says how many are gone.
        if let &[(gap, _)] = &gaps[..]
            && found.flaws[gap].tickets.is_none()
        {
            found.flaws[gap].tickets =
                Some(generation.counters().entries.saturating_sub(self.derived.counters.entries));
        }
        join_neighbours(&mut found.flaws, &gaps);
        found.entries = self.derived.counters.entries;
        gaps.is_empty() && found.lost.is_empty()
    }

    /// The entry at `address`, whose number is above `last`.
    fn entry_behind(&self, address: u64, last: Option<u64>) -> Result<(u64, Entry<'a>, u64), Damage> {
        let (entry, size) = self.generation.entry_at(address)?;
        let number = self.generation.number(address, &entry)?;
        if last.is_some_and(|last| last >= number) {
            return Err(self.generation.damage(address, "entries out of order"));
        }
        Ok((number, entry, size))
    }

    /// Examines an entry whose frame validates, and takes note of what follows from it.
    fn entry(&mut self, found: &mut Examined, address: u64, number: u64, entry: &Entry<'a>) {
        let read = self.read(entry, &mut found.data_keys).and_then(|(hash, shots)| {
            let row = (!entry.row.is_empty()).then_some(entry.row);
            let is_row = row.is_none_or(|row| RowFields::of(row).is_some());
            let what = "a row that is no message";
            is_row.then_some((row, hash, shots)).ok_or_else(|| self.generation.damage(address, what))
        });
        match read {
            Ok((row, my_number_hash, shots)) => {
                let row = row.map(|bytes| DerivedRow { bytes, active: counts_as_active(bytes), my_number_hash });
                self.derived.push(number, address, row, shots);
                if entry.header().flags & flag::LINKED != 0 {
                    found.linked.push(number);
                }
            }
            Err(damage) => {
                found.lost.push(number);
                found.flaw(damage.offset, damage.what, 1, Remedy::Replace);
            }
        }
    }

    /// Reads what is kept cold of an entry, and its shots. Returns the hash of the row's My Number, if it has one, and how many shots are not another ticket's.
    fn read(&self, entry: &Entry<'a>, data_keys: &mut BTreeSet<u32>) -> Result<(Option<u64>, u64), Damage> {
        let (generation, cold) = (self.generation, self.generation.cold(entry)?);
        let mut here = 0;
        for (index, shot) in entry.shots().enumerate() {
            let unreadable =
                || generation.damage(generation.entries_range().start, "an entry's shot that cannot be read");
            let (shot, kept) = (shot.ok_or_else(unreadable)?, cold.shot(index));
            let is_here = match kept.events.is_empty() {
                true if !self.is_dictionary_sound => true,
                _ => generation.whole_shot(&shot, &kept)?.standing.reassigned_to == 0,
            };
            here += u64::from(is_here);
        }
        let hash = (!cold.sealed_my_number.is_empty()).then_some(cold.my_number_hash);
        if hash.is_some() && data_keys.last() != Some(&cold.data_key_id) {
            data_keys.insert(cold.data_key_id);
        }
        Ok((hash, here))
    }

    /// Address and number of every entry, as the index has them.
    fn places(&self) -> BTreeMap<u64, u64> {
        let index = Slots::new(self.generation.bytes(&self.generation.details().index));
        let range = self.generation.entries_range();
        let slots = index.into_iter().flat_map(Slots::all).map(|(number, address)| (address, number));
        slots.filter(|(address, _)| range.contains(address)).collect()
    }

    /// Where the next frame lies that is an entry's of a number above `last`.
    fn next_frame(&self, from: u64, last: Option<u64>) -> Option<u64> {
        let bytes = self.generation.map().bytes();
        // The kind's place in a frame, before the checksum is asked.
        let may_be = |at: &u64| bytes.get(*at as usize + 8) == Some(&kind::ENTRY);
        let mut places = (from..self.generation.entries_range().end).step_by(8).filter(may_be);
        places.find(|&at| self.entry_behind(at, last).is_ok())
    }

    /// Compares what follows from the entries with what the file has. Where entries are missing, only its checksum says whether a part is what it was.
    fn compare(&mut self, found: &mut Examined, is_whole: bool) {
        let generation = self.generation;
        let (entries, rows) = (generation.counters().entries, generation.counters().rows);
        let index = is_whole.then(|| self.derived.index());
        self.part(found, generation.details().index, index, "the index is not that of the entries", entries);
        for kind in Kind::ALL {
            let Some(section) = generation.lookup_section(kind) else { continue };
            let lookup = is_whole.then(|| self.derived.take_lookup(kind));
            self.part(found, section, lookup, "a look-up is not that of the rows", rows);
        }
        if let Some(section) = generation.kana_order_section() {
            let order = is_whole.then(|| self.derived.take_kana_order());
            self.part(found, section, order, "the order of kana is not that of the rows", rows);
        }
        let first = is_whole.then(|| self.derived.without_ticket.map(u64::to_le_bytes));
        match (generation.without_ticket_section(), first) {
            (Some(section), first) => {
                let first = first.map(|first| first.map_or(Vec::new(), |first| first.to_vec()));
                self.part(found, section, first, "people without a ticket do not begin there", 0);
            }
            (None, Some(Some(_))) => {
                let what = "the generation does not say where people without a ticket begin";
                found.flaw(generation.footer_offset(), what, 0, Remedy::Rebuild);
            }
            (None, _) => {}
        }
        if is_whole && self.derived.counters != *generation.counters() && !broken(Mutation::SkipRecount) {
            let what = "the generation's counters are not what its entries come to";
            found.flaw(generation.footer_offset(), what, 0, Remedy::Rebuild);
        }
    }

    fn part(&self, found: &mut Examined, section: Section, made: Option<Vec<u8>>, what: &'static str, tickets: u64) {
        let sound = self.generation.check_section(&section).is_ok();
        let kept = self.generation.bytes(&section);
        let differs = match made {
            Some(made) if !broken(Mutation::SkipDerivedComparison) => {
                let common = kept.iter().zip(&made).position(|(kept, made)| kept != made);
                common.or((kept.len() != made.len()).then_some(kept.len().min(made.len())))
            }
            _ => None,
        };
        match (differs, sound) {
            (Some(at), _) => found.flaw(section.offset + at as u64, what, tickets, Remedy::Rebuild),
            (None, false) => {
                found.flaw(section.offset, "the section's checksum does not match", tickets, Remedy::Rebuild);
            }
            (None, true) => {}
        }
    }
}

/// Makes one flaw of those at `gaps`, in their order, that say the same of entries behind one another.
fn join_neighbours(flaws: &mut Vec<Flaw>, gaps: &[(usize, Range<u64>)]) {
    for pair in gaps.windows(2).rev() {
        let [(first, before), (second, behind)] = pair else { continue };
        if before.end == behind.start && flaws[*first].what == flaws[*second].what {
            let both = flaws[*first].tickets.zip(flaws[*second].tickets);
            flaws[*first].tickets = both.map(|(first, second)| first + second);
            flaws.remove(*second);
        }
    }
}
