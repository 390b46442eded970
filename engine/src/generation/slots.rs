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

const ADDRESS_BITS: u32 = 30;
const ADDRESS_MASK: u64 = (1 << ADDRESS_BITS) - 1;
/// Bits of a key.
pub(super) const KEY_BITS: u32 = 34;
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

/// Builds the table of `(key, address in bytes)` pairs.
pub(super) fn build(pairs: impl ExactSizeIterator<Item = (u64, u64)>) -> Vec<u8> {
    let lines = (pairs.len() * 4).div_ceil(3).div_ceil(LINE_SLOTS).max(1);
    let mut slots = vec![0u64; lines * LINE_SLOTS];
    for (key, address) in pairs {
        debug_assert!(key >> KEY_BITS == 0 && address % 8 == 0 && address > 0);
        let slot = (key << ADDRESS_BITS) | (address / 8);
        let mut at = home(key, lines) * LINE_SLOTS;
        while slots[at] != 0 {
            at = if at + 1 == slots.len() { 0 } else { at + 1 };
        }
        slots[at] = slot;
    }
    let mut bytes = Vec::with_capacity(slots.len() * 8);
    for slot in slots {
        bytes.extend_from_slice(&slot.to_le_bytes());
    }
    bytes
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
        let first = home(key, lines.len()) * LINE_SLOTS;
        let count = lines.len() * LINE_SLOTS;
        (0..count)
            .map(move |step| (first + step) % count)
            .map(move |at| u64_at(&lines[at / LINE_SLOTS], at % LINE_SLOTS * 8))
            .take_while(|&slot| slot != 0)
            .filter(move |slot| slot >> ADDRESS_BITS == key)
            .map(|slot| (slot & ADDRESS_MASK) * 8)
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
            let bytes = build(map.iter().map(|(&key, &address)| (key, address)));
            let slots = Slots::new(&bytes).unwrap();
            for (&key, &address) in &map {
                prop_assert_eq!(slots.find(key), Some(address));
            }
            prop_assert_eq!(slots.find(other), map.get(&other).copied());
        }

        #[test]
        fn duplicates_are_all_found(keys in proptest::collection::vec(0u64..20, 0..200)) {
            let bytes = build(keys.iter().enumerate().map(|(at, &key)| (key, (at as u64 + 1) * 8)));
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
    fn sequential_numbers_spread_over_the_lines() {
        let bytes = build((0..30_000u32).map(|number| (number.into(), (u64::from(number) + 1) * 8)));
        let full = bytes.chunks_exact(LINE_BYTES).filter(|line| u64_at(line, 56) != 0).count();
        // At a load of three quarters a Poisson line is full with a probability near 0.25; clustering would show as far more.
        assert!(full * 100 < bytes.len() / LINE_BYTES * 40, "{full} of {} lines are full", bytes.len() / LINE_BYTES);
    }
}
