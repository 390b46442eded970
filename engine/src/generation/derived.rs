//! What a generation has that follows from its entries: the index, the look-ups, the order of kana, where people without a ticket begin, the counters.
//!
//! Owns how each is made. A file is built with them; whoever examines one makes them again and compares.

use super::kana_order::KanaOrderBuilder;
use super::layout::Counters;
use super::slots;
use crate::limits::GENERATION_BYTES_MAX;
use crate::lookup::{Kind, LookupKey, RowFields, RowHasher};
use crate::ticket::NUMBER_MAX;

/// A row as far as anything follows from it.
#[derive(Clone, Copy)]
pub(super) struct DerivedRow<'a> {
    /// The encoded `Resident`.
    pub(super) bytes: &'a [u8],
    pub(super) active: bool,
    /// The keyed hash of its My Number, if it has one.
    pub(super) my_number_hash: Option<u64>,
}

/// Takes entries in the order of their numbers; gives one part after another.
pub(super) struct Derivation {
    /// Slots of every entry.
    index: Vec<u64>,
    hasher: RowHasher,
    /// Slots of each look-up, by [`Kind`].
    lookups: [Vec<u64>; Kind::ALL.len()],
    kana_order: KanaOrderBuilder,
    /// The address of the first entry of a person without a ticket.
    pub(super) without_ticket: Option<u64>,
    pub(super) counters: Counters,
}

impl Derivation {
    pub(super) fn new(lookup_key: LookupKey) -> Derivation {
        Derivation {
            index: Vec::new(),
            hasher: RowHasher::new(lookup_key),
            lookups: Default::default(),
            kana_order: KanaOrderBuilder::default(),
            without_ticket: None,
            counters: Counters::default(),
        }
    }

    /// Makes room for so many rows.
    pub(super) fn reserve(&mut self, rows: usize) {
        self.index.reserve(rows);
        self.lookups.iter_mut().for_each(|slots| slots.reserve(rows));
        self.kana_order.reserve(rows);
    }

    /// Adds the entry of `number` at `address`. `shots`: those of its shots that are not another ticket's.
    pub(super) fn push(&mut self, number: u64, address: u64, row: Option<DerivedRow<'_>>, shots: u64) {
        debug_assert!(address < GENERATION_BYTES_MAX);
        if number > NUMBER_MAX {
            self.without_ticket.get_or_insert(address);
        }
        self.index.push(slots::pack(number, address));
        if let Some(row) = &row {
            self.look_up(row, address);
        }
        self.counters.entries += 1;
        self.counters.rows += u64::from(row.is_some());
        self.counters.active += u64::from(row.is_some_and(|row| row.active));
        self.counters.orphans += u64::from(row.is_none());
        self.counters.shots += shots;
    }

    /// Takes note of what a row can be looked up by.
    fn look_up(&mut self, row: &DerivedRow<'_>, address: u64) {
        // A row that is no message can be looked up by its ticket alone, which tells of the damage.
        let fields = RowFields::of(row.bytes).unwrap_or_default();
        let (hashes, kana) = self.hasher.hash(&fields);
        for (slots, hash) in self.lookups.iter_mut().zip(hashes.into_iter().chain([row.my_number_hash])) {
            slots.extend(hash.map(|hash| slots::pack(hash, address)));
        }
        self.kana_order.push(kana, address);
    }

    /// The bytes of the index.
    pub(super) fn index(&self) -> Vec<u8> {
        slots::build(&self.index)
    }

    /// The bytes of a look-up, which is forgotten with that.
    pub(super) fn take_lookup(&mut self, kind: Kind) -> Vec<u8> {
        slots::build(&std::mem::take(&mut self.lookups[kind as usize]))
    }

    /// The bytes of the order of kana, which is forgotten with that.
    pub(super) fn take_kana_order(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.kana_order).finish()
    }

    /// Bytes that all of it comes to, about, and not less.
    pub(super) fn bytes(&self) -> u64 {
        let slots = self.lookups.iter().map(Vec::len).sum::<usize>() + self.index.len();
        slots as u64 * 11 + self.index.len() as u64 * 4
    }
}
