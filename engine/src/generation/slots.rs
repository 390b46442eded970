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
//! A line is filled from its front and overflows into the next one, so an empty slot ends every search. At most three quarters of the slots are used.

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

/// The address of a packed slot, in bytes.
#[inline]
fn address_of(slot: u64) -> u64 {
    (slot & ADDRESS_MASK) * 8
}

/// Slots that are looked at before a key waits for all others to have their place. Names that many people share would fill lines for a long way, and each of
/// them would walk it.
const PROBES_MAX: usize = 64;

/// How many slots before its turn a slot's line is asked for.
const AHEAD: usize = 12;

/// Builds the table of packed slots.
pub(super) fn build(pairs: &[u64]) -> Vec<u8> {
    let lines = (pairs.len() * 4).div_ceil(3).div_ceil(LINE_SLOTS).max(1);
    let mut slots = vec![0u64; lines * LINE_SLOTS];
    let first = |slot: u64| home(slot >> ADDRESS_BITS, lines) * LINE_SLOTS;
    let mut crowded = Vec::new();
    for (index, &slot) in pairs.iter().enumerate() {
        if let Some(&ahead) = pairs.get(index + AHEAD) {
            prefetch_value(&slots[first(ahead)]);
        }
        let (mut at, mut probes) = (first(slot), 0);
        while slots[at] != 0 && probes < PROBES_MAX {
            at = if at + 1 == slots.len() { 0 } else { at + 1 };
            probes += 1;
        }
        if slots[at] == 0 { slots[at] = slot } else { crowded.push(slot) }
    }
    place_crowded(&mut slots, crowded, first);
    let mut bytes = Vec::with_capacity(slots.len() * 8);
    for slot in slots {
        bytes.extend_from_slice(&slot.to_le_bytes());
    }
    bytes
}

/// Places what found no room near its home: in the order of the homes, so that nothing between a home and where the last one was placed is free, and is looked
/// at again.
fn place_crowded(slots: &mut [u64], mut crowded: Vec<u64>, first: impl Fn(u64) -> usize) {
    crowded.sort_unstable_by_key(|&slot| first(slot));
    let (mut at, mut wrapped) = (0, 0);
    for slot in crowded {
        at = at.max(first(slot));
        while at < slots.len() && slots[at] != 0 {
            at += 1;
        }
        if at == slots.len() {
            // From here to the end all is full, for this one and whatever comes after it.
            while slots[wrapped] != 0 {
                wrapped += 1;
            }
        }
        slots[if at == slots.len() { wrapped } else { at }] = slot;
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
        let mut at = home(key, count);
        for _ in 0..count {
            let line = self.lines.get(at)?;
            let mut hit = 0;
            // All eight slots, without a branch: the line is here, the comparisons are free. Where the keys are equal, the address is left.
            for index in 0..LINE_SLOTS {
                let rest = u64_at(line, index * 8) ^ key << ADDRESS_BITS;
                hit |= if rest <= ADDRESS_MASK { rest } else { 0 };
            }
            if hit != 0 {
                return Some(hit * 8);
            }
            // A line is filled from its front.
            if u64_at(line, LINE_BYTES - 8) == 0 {
                return None;
            }
            at = if at + 1 == count { 0 } else { at + 1 };
        }
        None
    }

    /// The addresses of all entries with `key`, in bytes.
    pub(super) fn find_all(self, key: u64) -> impl Iterator<Item = u64> + 'a {
        let lines = self.lines;
        let first = home(key, lines.len());
        // Two ranges, and not a remainder for each slot: most questions are asked of tables that do not have the key.
        let around = lines[first..].iter().chain(&lines[..first]);
        around
            .flat_map(|line| (0..LINE_SLOTS).map(move |slot| u64_at(line, slot * 8)))
            .take_while(|&slot| slot != 0)
            .filter(move |slot| slot >> ADDRESS_BITS == key)
            .map(address_of)
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
            let slots = Slots::new(&bytes).unwrap();
            for (&key, &address) in &map {
                prop_assert_eq!(slots.find(key), Some(address));
            }
            prop_assert_eq!(slots.find(other), map.get(&other).copied());
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
