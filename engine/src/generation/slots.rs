//! The slot table: from 34 bits of key to the address of an entry, in eight bytes a slot and one cache line a probe.
//!
//! Owns the packing of a slot and the probe. The index on the ticket number keys it with the number itself and is exact; the look-ups key it with 34 bits of
//! a hash, hold duplicates, and their callers check every hit against the row.
//!
//! ```text
//! slot: | key (34 bits) | entry address in units of 8 bytes (30 bits) |      0 = empty: no entry has address 0
//! ```
//!
//! Eight slots are a line of 64 bytes. The home line is the top of a 64-bit mix of the key times the number of lines, which need not be a power of two.
//! A line is filled from its front: first with keys that are at home there, then with what found no room at home, which goes to the next lines that have some.
//! So a search ends at its home line unless that holds eight keys of its own, and else at the first line that is not full. At most three quarters of the slots
//! are used; then one key in twenty is not at home, and one search in four for a key that is not there looks at a second line.

use bytes::Bytes;

use crate::disk::prefetch_value;
use crate::frame::u64_at;
use crate::lookup::HASH_BITS;

const ADDRESS_BITS: u32 = 30;
const ADDRESS_MASK: u64 = (1 << ADDRESS_BITS) - 1;
/// Bits of a key.
pub(super) const KEY_BITS: u32 = HASH_BITS;
const LINE_BYTES: usize = 64;
const LINE_SLOTS: usize = LINE_BYTES / 8;

/// Spreads keys that follow one another: ticket numbers are often sequential. The finaliser of MurmurHash3 (Austin Appleby, public domain).
#[inline]
fn mix(key: u64) -> u64 {
    let mut x = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

/// Lemire's "fast range": the top 64 bits of a product (D. Lemire, "Fast random integer generation in an interval", 2019).
#[inline]
fn home(key: u64, lines: usize) -> usize {
    ((u128::from(mix(key)) * lines as u128) >> 64) as usize
}

/// A slot that leads from `key` to `address`, in bytes.
#[inline]
pub(super) fn pack(key: u64, address: u64) -> u64 {
    debug_assert!(key >> KEY_BITS == 0 && address.is_multiple_of(8) && address > 0);
    (key << ADDRESS_BITS) | (address / 8)
}

/// How many slots before its turn a slot's line is asked for.
const AHEAD: usize = 12;

/// Builds the table of packed slots.
pub(super) fn build(pairs: &[u64]) -> Vec<u8> {
    let count = (pairs.len() * 4).div_ceil(3).div_ceil(LINE_SLOTS).max(1);
    let mut lines = vec![[0u64; LINE_SLOTS]; count];
    let mut used = vec![0u8; count];
    let home = |slot: u64| home(slot >> ADDRESS_BITS, count);
    let mut homeless = Vec::new();
    for (index, &slot) in pairs.iter().enumerate() {
        if let Some(&ahead) = pairs.get(index + AHEAD) {
            prefetch_value(&lines[home(ahead)]);
        }
        let at = home(slot);
        let used = &mut used[at];
        match lines[at].get_mut(usize::from(*used)) {
            Some(place) => (*place, *used) = (slot, *used + 1),
            None => homeless.push(slot),
        }
    }
    homeless.sort_unstable_by_key(|&slot| home(slot));
    place_homeless(&mut lines, &mut used, &homeless, home);
    let mut bytes = Vec::with_capacity(count * LINE_BYTES);
    for slot in lines.as_flattened() {
        bytes.extend_from_slice(&slot.to_le_bytes());
    }
    bytes
}

/// Places what found no room at home, sorted by home, in the next lines that have some. The last one that has to leave is placed first: a name that many
/// people share may fill lines for a long way, and others whose home lies there stay near it.
fn place_homeless(lines: &mut [[u64; LINE_SLOTS]], used: &mut [u8], mut homeless: &[u64], home: impl Fn(u64) -> usize) {
    let mut waiting = Vec::new();
    let (mut at, count) = (0, lines.len());
    loop {
        if waiting.is_empty() {
            // The next one that has to leave; the second time round there is none.
            let Some(&next) = homeless.first() else { return };
            at = home(next);
        }
        while let Some((&next, rest)) = homeless.split_first().filter(|&(&next, _)| home(next) == at) {
            waiting.push(next);
            homeless = rest;
        }
        for place in &mut lines[at][usize::from(used[at])..] {
            let Some(slot) = waiting.pop() else { break };
            *place = slot;
            used[at] += 1;
        }
        at = if at + 1 == count { 0 } else { at + 1 };
    }
}

/// A table in a mapped file.
#[derive(Clone, Copy)]
pub(super) struct Slots<'a> {
    lines: &'a [Line],
}

type Line = [u8; LINE_BYTES];

impl<'a> Slots<'a> {
    /// The table in `bytes`; `None` if they cannot be one.
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Option<Slots<'a>> {
        let (lines, rest) = bytes.as_chunks();
        (!lines.is_empty() && rest.is_empty()).then_some(Slots { lines })
    }

    /// Every key with its address, in bytes.
    pub(super) fn all(self) -> impl Iterator<Item = (u64, u64)> + 'a {
        let slots = self.lines.iter().flat_map(words).filter(|&slot| slot != 0);
        slots.map(|slot| (slot >> ADDRESS_BITS, (slot & ADDRESS_MASK) * 8))
    }

    /// How many lines there are.
    pub(super) fn line_count(self) -> usize {
        self.lines.len()
    }

    /// The first `count` lines of `bytes`.
    #[inline]
    pub(super) fn of_lines(bytes: &'a [u8], count: u32) -> Slots<'a> {
        Slots { lines: &bytes.as_chunks().0[..count as usize] }
    }

    /// Starts to fetch the line where `key` belongs.
    #[inline]
    pub(super) fn prefetch(self, key: u64) {
        if let Some(line) = self.lines.get(home(key, self.lines.len())) {
            prefetch_value(line);
        }
    }

    /// The address of the one entry with `key`, in bytes.
    #[inline]
    pub(super) fn find(self, key: u64) -> Option<u64> {
        let count = self.lines.len();
        let first = home(key, count);
        let mut at = first;
        for _ in 0..count {
            let line = words(self.lines.get(at)?);
            let mut hit = 0;
            // All eight slots, without a branch: the line is here, the comparisons are free. Where the keys are equal, the address is left.
            for slot in line {
                let rest = slot ^ key << ADDRESS_BITS;
                hit |= if rest <= ADDRESS_MASK { rest } else { 0 };
            }
            if hit != 0 {
                return Some(hit * 8);
            }
            if self.ends(line, at, first) {
                return None;
            }
            at = if at + 1 == count { 0 } else { at + 1 };
        }
        None
    }

    /// Whether a search that began in line `first` ends in line `at`.
    #[inline]
    fn ends(self, line: [u64; LINE_SLOTS], at: usize, first: usize) -> bool {
        let last = line[LINE_SLOTS - 1];
        last == 0 || at == first && home(last >> ADDRESS_BITS, self.lines.len()) != first
    }

    /// The addresses of all entries with `key`, in bytes.
    #[inline]
    pub(super) fn find_all(self, key: u64) -> impl Iterator<Item = u64> + 'a {
        let count = self.lines.len();
        let first = home(key, count);
        let (mut at, mut left) = (first, count);
        // What one line holds is found at once, as in `find`.
        let mut hits = [0u64; LINE_SLOTS];
        let mut held = 0;
        std::iter::from_fn(move || {
            while held == 0 {
                let line = words(self.lines.get(at).filter(|_| left > 0)?);
                for slot in line.into_iter().rev() {
                    let rest = slot ^ key << ADDRESS_BITS;
                    hits[held] = (rest & ADDRESS_MASK) * 8;
                    held += usize::from(rest <= ADDRESS_MASK && rest != 0);
                }
                left = if self.ends(line, at, first) { 0 } else { left - 1 };
                at = if at + 1 == count { 0 } else { at + 1 };
            }
            held -= 1;
            Some(hits[held])
        })
    }
}

#[inline]
fn words(line: &Line) -> [u64; LINE_SLOTS] {
    std::array::from_fn(|index| u64_at(line, index * 8))
}

/// A slot table for questions alone, held by whatever owns its bytes: those of all ledgers lie side by side, so that a question to all of them need not go
/// through the ledgers.
#[derive(Clone)]
pub(crate) struct HeldSlots {
    bytes: Bytes,
}

impl HeldSlots {
    /// The table that `owner` gives; `None` if the bytes cannot be one.
    pub(crate) fn new(owner: impl AsRef<[u8]> + Send + 'static) -> Option<HeldSlots> {
        let bytes = Bytes::from_owner(owner);
        Slots::new(&bytes).is_some().then_some(HeldSlots { bytes })
    }

    #[inline]
    fn slots(&self) -> Slots<'_> {
        Slots { lines: self.bytes.as_chunks().0 }
    }

    /// Starts to fetch the line where `key` belongs.
    #[inline]
    pub(crate) fn prefetch(&self, key: u64) {
        self.slots().prefetch(key);
    }

    /// Whether the line where `key` belongs leaves it open that the table holds it. If the next lines must be looked at, they are on their way.
    #[inline]
    pub(crate) fn may_hold(&self, key: u64) -> bool {
        let slots = self.slots();
        let at = home(key, slots.lines.len());
        let Some(line) = slots.lines.get(at).map(words) else { return false };
        let goes_on = !slots.ends(line, at, at);
        if goes_on {
            slots.lines.iter().skip(at + 1).take(2).for_each(prefetch_value);
        }
        line.iter().fold(goes_on, |may, slot| may | (slot >> ADDRESS_BITS == key))
    }

    /// The addresses of all entries with `key`, in bytes.
    #[inline]
    pub(crate) fn find_all(&self, key: u64) -> impl Iterator<Item = u64> {
        self.slots().find_all(key)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_key_is_found_and_no_other(keys in proptest::collection::btree_set(0u64..1 << KEY_BITS, 0..500), other in 0u64..1 << KEY_BITS) {
            let map: BTreeMap<u64, u64> = keys.iter().enumerate().map(|(at, &key)| (key, (at as u64 + 1) * 8)).collect();
            let bytes = build(&map.iter().map(|(&key, &address)| pack(key, address)).collect::<Vec<_>>());
            let (slots, held) = (Slots::new(&bytes).unwrap(), HeldSlots::new(bytes.clone()).unwrap());
            for (&key, &address) in &map {
                prop_assert_eq!(slots.find(key), Some(address));
                prop_assert!(slots.find_all(key).eq([address]));
                prop_assert!(held.may_hold(key));
            }
            prop_assert_eq!(slots.find(other), map.get(&other).copied());
            prop_assert_eq!(slots.find_all(other).next(), map.get(&other).copied());
        }

        #[test]
        fn duplicates_are_all_found(keys in proptest::collection::vec(0u64..20, 0..2000)) {
            let bytes = build(&keys.iter().enumerate().map(|(at, &key)| pack(key, (at as u64 + 1) * 8)).collect::<Vec<_>>());
            let slots = Slots::new(&bytes).unwrap();
            for key in 0..20 {
                let mut found: Vec<u64> = slots.find_all(key).collect();
                found.sort_unstable();
                let expected: Vec<u64> = (0..keys.len()).filter(|&at| keys[at] == key).map(|at| (at as u64 + 1) * 8).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn a_name_that_all_share_is_built_in_no_time_and_hides_nobody() {
        // The home of the key may be anywhere, at the end too: what overflows goes on at the front.
        for shared in 0..40 {
            let count = 20_000;
            let pairs = (0..count).map(|at| pack(if at % 50 == 0 { 1000 + at } else { shared }, (at + 1) * 8));
            let bytes = build(&pairs.collect::<Vec<_>>());
            let slots = Slots::new(&bytes).unwrap();
            assert_eq!(slots.find_all(shared).count() as u64, count - count / 50);
            assert!((0..count).step_by(50).all(|at| slots.find_all(1000 + at).eq([(at + 1) * 8])));
        }
    }

    #[test]
    fn sequential_numbers_spread_over_the_lines() {
        let bytes = build(&(0..30_000).map(|number| pack(number, (number + 1) * 8)).collect::<Vec<_>>());
        let full = bytes.chunks_exact(LINE_BYTES).filter(|line| u64_at(line, 56) != 0).count();
        // At a load of three quarters a Poisson line is full with a probability near 0.25; clustering would show as far more.
        assert!(full * 100 < bytes.len() / LINE_BYTES * 40, "{full} of {} lines are full", bytes.len() / LINE_BYTES);
    }
}
