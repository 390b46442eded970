//! The order of kana: the addresses of all rows, in the order of their folded kana, for whoever knows the beginning of a name.
//!
//! Owns the section and the sorting. Four bytes a row: the address of its entry in units of 8 bytes. Rows of one name lie in the order of their ticket
//! numbers; those without kana come first. A search reads the entries that it compares.
//!
//! Rows are sorted by a packed word, seven bits a character: 0 behind the name's end, 1 for what comes before katakana, 2 and more for katakana, 127 for what
//! comes after. A name that the word says less than all of is kept beside it.

use std::collections::HashMap;

/// Characters that a word has room for; its last two bits say whether it is the whole name.
const CHARACTERS: u32 = 18;
const BITS: u32 = 7;
const BEFORE_KATAKANA: u128 = 1;
const AFTER_KATAKANA: u128 = 127;
const KATAKANA: std::ops::RangeInclusive<char> = 'ァ'..='ー';

/// A name and where its row lies. Ordered as the section is, where both words are the whole name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    high: u64,
    low: u64,
    /// In units of 8 bytes.
    address: u32,
}

#[derive(Default)]
pub(super) struct KanaOrderBuilder {
    places: Vec<Place>,
    /// Names that their words say less than all of, by address.
    long: HashMap<u32, Box<str>>,
}

impl KanaOrderBuilder {
    pub(super) fn reserve(&mut self, rows: usize) {
        self.places.reserve(rows);
    }

    /// Takes a row.
    pub(super) fn push(&mut self, kana: &str, address: u64) {
        let address = u32::try_from(address / 8).expect("an address of a generation has 30 bits");
        let (word, whole) = pack(kana);
        if !whole {
            self.long.insert(address, kana.into());
        }
        self.places.push(Place { high: (word >> 64) as u64, low: word as u64, address });
    }

    /// The section.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.places.sort_unstable();
        if !self.long.is_empty() {
            for same in self.places.chunk_by_mut(|a, b| (a.high, a.low) == (b.high, b.low)) {
                if same.len() > 1 && self.long.contains_key(&same[0].address) {
                    same.sort_by(|a, b| {
                        (self.long.get(&a.address), a.address).cmp(&(self.long.get(&b.address), b.address))
                    });
                }
            }
        }
        self.places.iter().flat_map(|place| place.address.to_le_bytes()).collect()
    }
}

/// A name's word, and whether it is the whole name.
fn pack(kana: &str) -> (u128, bool) {
    let mut word = 0;
    let mut room = CHARACTERS;
    for c in kana.chars() {
        if room == 0 {
            return (word | 1, false);
        }
        room -= 1;
        let (code, katakana) = match c {
            _ if KATAKANA.contains(&c) => (u128::from(c as u32 - *KATAKANA.start() as u32) + 2, true),
            _ if c < *KATAKANA.start() => (BEFORE_KATAKANA, false),
            _ => (AFTER_KATAKANA, false),
        };
        word |= code << (2 + room * BITS);
        if !katakana {
            return (word | 1, false);
        }
    }
    (word, true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn places_are_in_the_order_of_the_names(names in prop::collection::vec("[アイーヲン0Aカ山\u{3099}]{0,22}", 0..60)) {
            let mut builder = KanaOrderBuilder::default();
            names.iter().enumerate().for_each(|(at, name)| builder.push(name, 8 * (at as u64 + 1)));
            let bytes = builder.finish();
            let sorted: Vec<usize> = bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes) as usize - 1).collect();
            let mut expected: Vec<usize> = (0..names.len()).collect();
            expected.sort_by_key(|&at| (&names[at], at));
            prop_assert_eq!(sorted, expected);
        }
    }
}
