//! From what was typed or scanned to ASCII digits.
//!
//! Owns which characters stand for a digit, which are skipped, and how a character at fault is named. Leaves to its callers
//! how many digits there must be, and what they mean.
//!
//! A Japanese keyboard gives full-width digits, the ideographic space, and for a hyphen whatever the input method offers,
//! the long-vowel mark included; a scanner may add a line end. All of it is accepted, since it is read in one way only.
//! Digits of other scripts and the kanji 一 are not: there, guessing could pick another resident's number.
//!
//! Invariant: a [`Digits`] holds exactly `N` ASCII digits. Nothing here allocates.

use std::fmt;
use std::ops::Range;

/// Exactly `N` ASCII digits, on the stack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digits<const N: usize>([u8; N]);

/// Why a text is not a given number of digits.
///
/// It quotes the character at fault, so it must not be shown for a secret: see `MyNumberError`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigitsError {
    /// A character is neither a digit nor a space or hyphen.
    #[error("character {position} is {character:?}, not a digit; scan or type it again")]
    NotADigit {
        /// Position in the text as given, spaces and hyphens included, from 1.
        position: usize,
        /// The character at fault.
        character: char,
    },
    /// There are too few digits, or too many.
    #[error("{expected} digits were expected, but {found} were found; scan or type all of them again")]
    Length {
        /// Digits that were expected.
        expected: usize,
        /// Digits in the text.
        found: usize,
    },
}

impl<const N: usize> Digits<N> {
    /// Reads exactly `N` digits, full-width or not, between any spaces and hyphens.
    ///
    /// # Errors
    ///
    /// [`DigitsError::NotADigit`] for the first character that is neither, [`DigitsError::Length`] for another count.
    #[inline]
    pub fn parse(text: &str) -> Result<Self, DigitsError> {
        const { assert!(N <= 19, "the value of the digits must fit in a u64") };
        // What a scanner sends: nothing to normalise. The fold has no early exit, so that it compiles to vector code.
        if let Ok(bytes) = <[u8; N]>::try_from(text.as_bytes())
            && bytes.iter().fold(true, |digits, byte| digits & byte.is_ascii_digit())
        {
            return Ok(Self(bytes));
        }
        Self::normalise(text)
    }

    #[cold]
    fn normalise(text: &str) -> Result<Self, DigitsError> {
        let mut digits = [b'0'; N];
        let mut found = 0;
        for (index, character) in text.chars().enumerate() {
            if let Some(value) = digit_value(character) {
                if let Some(place) = digits.get_mut(found) {
                    *place = b'0' + value;
                }
                found += 1;
            } else if !character.is_whitespace() && !is_hyphen(character) {
                return Err(DigitsError::NotADigit { position: index + 1, character });
            }
        }
        if found == N { Ok(Self(digits)) } else { Err(DigitsError::Length { expected: N, found }) }
    }

    /// The digits as ASCII bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; N] {
        &self.0
    }

    /// The number that the digits at `places` (from 0) spell.
    ///
    /// # Panics
    ///
    /// When `places` reaches beyond `N`.
    #[inline]
    #[must_use]
    pub fn value(&self, places: Range<usize>) -> u64 {
        self.0[places].iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'))
    }
}

/// Shows how many digits there are and not which: they may be somebody's My Number.
impl<const N: usize> fmt::Debug for Digits<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digits({N} digits)")
    }
}

/// The value of an ASCII or full-width digit.
pub(super) fn digit_value(character: char) -> Option<u8> {
    let zero = match character {
        '0'..='9' => '0',
        '０'..='９' => '０',
        _ => return None,
    };
    u8::try_from(u32::from(character) - u32::from(zero)).ok()
}

/// Whether a character is a hyphen, or is typed for one.
pub(super) fn is_hyphen(character: char) -> bool {
    matches!(
        character,
        '-' | '\u{ad}' // soft hyphen
            | '\u{2010}'
            ..='\u{2015}' // hyphens, figure dash, en dash, em dash, horizontal bar
            | '\u{2043}' // hyphen bullet
            | '\u{2212}' // minus
            | '\u{2500}' | '\u{2501}' // box-drawing lines, which the input method offers for a dash
            | '\u{fe58}' | '\u{fe63}' // small em dash, small hyphen-minus
            | '\u{ff0d}' // full-width hyphen-minus
            | 'ー' | '\u{ff70}' // long-vowel mark, full-width and half-width: the key beside zero
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<u64, DigitsError> {
        Digits::<6>::parse(text).map(|digits| digits.value(0..6))
    }

    #[test]
    fn every_way_to_type_a_code_gives_the_same_digits() {
        for text in [
            "131016",
            "１３１０１６",
            "1310１６",
            " 13101-6\r\n",
            "13101\u{3000}6",
            "１３１０１－６",
            "13101ー6",
            "13101ｰ6",
            "13101−6",
            "13101—6",
            "13101‐6",
            "13101\u{a0}6",
            "13101─6",
        ] {
            assert_eq!(read(text), Ok(131_016), "{text:?}");
        }
        assert_eq!(Digits::<3>::parse("００7").map(|digits| *digits.as_bytes()), Ok(*b"007"));
    }

    #[test]
    fn an_error_names_the_position_in_the_text_as_typed() {
        assert_eq!(read("13-1O16"), Err(DigitsError::NotADigit { position: 5, character: 'O' }));
        assert_eq!(read("１３１０１Ｘ"), Err(DigitsError::NotADigit { position: 6, character: 'Ｘ' }));
        assert_eq!(read("一31016"), Err(DigitsError::NotADigit { position: 1, character: '一' }));
        assert_eq!(read("١31016"), Err(DigitsError::NotADigit { position: 1, character: '١' }));
        let message = read("1310\u{0}6").expect_err("not a digit").to_string();
        assert_eq!(message, r"character 5 is '\0', not a digit; scan or type it again");
    }

    #[test]
    fn another_count_of_digits_is_told() {
        assert_eq!(read(""), Err(DigitsError::Length { expected: 6, found: 0 }));
        assert_eq!(read("13101"), Err(DigitsError::Length { expected: 6, found: 5 }));
        assert_eq!(read("1310160"), Err(DigitsError::Length { expected: 6, found: 7 }));
    }

    #[test]
    fn debug_does_not_show_the_digits() {
        assert_eq!(format!("{:?}", Digits::<3>::parse("123")), "Ok(Digits(3 digits))");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = read(&text);
        }

        #[test]
        fn spelling_a_number_and_reading_it_gives_the_number(value in 0..1_000_000_u64) {
            prop_assert_eq!(read(&format!("{value:06}")), Ok(value));
        }
    }
}
