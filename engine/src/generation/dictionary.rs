//! The dictionary: each distinct text of a ledger's shots once.
//!
//! Owns the numbering of texts and the section's bytes. Number 0 is the empty text and is not stored.
//!
//! ```text
//! | count (u32) | end of text 1, end of text 2, … (u32 each, from the start of the texts) | texts |
//! ```

use std::collections::HashMap;

use crate::frame::u32_at;

/// Collects texts while a generation is built.
#[derive(Default)]
pub(super) struct DictionaryBuilder {
    numbers: HashMap<Box<str>, u32>,
    ends: Vec<u32>,
    texts: Vec<u8>,
}

impl DictionaryBuilder {
    /// The number of `text`, which it keeps from then on.
    pub(super) fn number(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        self.texts.extend_from_slice(text.as_bytes());
        self.ends.push(self.texts.len() as u32);
        let number = self.ends.len() as u32;
        self.numbers.insert(text.into(), number);
        number
    }

    /// The section's bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(4 + self.ends.len() * 4 + self.texts.len());
        bytes.extend_from_slice(&(self.ends.len() as u32).to_le_bytes());
        for end in &self.ends {
            bytes.extend_from_slice(&end.to_le_bytes());
        }
        bytes.extend_from_slice(&self.texts);
        bytes
    }
}

/// The dictionary in a mapped file.
#[derive(Clone, Copy)]
pub(super) struct Dictionary<'a> {
    ends: &'a [u8],
    texts: &'a [u8],
}

impl<'a> Dictionary<'a> {
    /// The dictionary in `bytes`; `None` if they cannot be one.
    pub(super) fn new(bytes: &'a [u8]) -> Option<Dictionary<'a>> {
        let count = u32_at(bytes.first_chunk::<4>()?, 0) as usize;
        let (ends, texts) = bytes[4..].split_at_checked(count.checked_mul(4)?)?;
        Some(Dictionary { ends, texts })
    }

    /// The text with `number`; `None` if there is none.
    #[inline]
    pub(super) fn text(self, number: u32) -> Option<&'a str> {
        if number == 0 {
            return Some("");
        }
        let at = (number as usize - 1) * 4;
        let end = u32_at(self.ends.get(at..at + 4)?, 0) as usize;
        let start = if at == 0 { 0 } else { u32_at(self.ends, at - 4) as usize };
        std::str::from_utf8(self.texts.get(start..end)?).ok()
    }
}

/// How long the dictionary at the start of `bytes` is, by what it says of itself; `None` if it cannot be one.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let Dictionary { ends, texts } = Dictionary::new(bytes)?;
    let last = ends.as_chunks::<4>().0.last().map_or(0, |end| u32::from_le_bytes(*end) as usize);
    (last <= texts.len()).then_some(4 + ends.len() + last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_by_number_and_are_kept_once() {
        let mut builder = DictionaryBuilder::default();
        let texts = ["", "ファイザー", "EW4811", "𠮷田医院", "ファイザー"];
        let numbers = texts.map(|text| builder.number(text));
        assert_eq!(numbers, [0, 1, 2, 3, 1]);
        let bytes = builder.encode();
        let dictionary = Dictionary::new(&bytes).unwrap();
        for (text, number) in texts.into_iter().zip(numbers) {
            assert_eq!(dictionary.text(number), Some(text));
        }
        assert_eq!(dictionary.text(4), None);
        assert!(Dictionary::new(&bytes[..3]).is_none());
    }
}
