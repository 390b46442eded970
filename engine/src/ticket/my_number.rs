//! My Number (個人番号): twelve digits that by law are never shown, logged or counted.
//!
//! Owns the number's check digit, and that no text made here gives any part of one away: not `Debug`, not an error, not
//! even which digit the check asked for. Leaves sealing it on disk, and asking for what purpose it is read, to the store.
//!
//! Invariants: a [`MyNumber`] has the check digit of its first eleven digits and is not all zeros. There is no `Display`,
//! and no order, so that nothing sorted by it can leak one. Two texts at fault in the same way at the same place give
//! equal errors, whatever their digits.

use std::fmt;

use super::digits::{Digits, DigitsError};

/// A resident's My Number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MyNumber(u64);

/// Why something is no My Number. It holds no digit of what was given, and so may be logged and shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MyNumberError {
    /// A character is neither a digit nor a space or hyphen.
    #[error("character {position} of the My Number is not a digit; compare it with the card")]
    NotADigit {
        /// Position in the text as given, from 1.
        position: usize,
    },
    /// There are not twelve digits.
    #[error("a My Number has twelve digits, and this has more or fewer; compare it with the card")]
    Length,
    /// The last digit is not the one that the first eleven ask for.
    #[error("the My Number's check digit is wrong, so a digit was mistyped; compare it with the card")]
    CheckDigit,
    /// Twelve zeros pass the formula, and stand for "none" in old registers.
    #[error("twelve zeros are no My Number; leave it blank when it is not known")]
    AllZeros,
}

const MY_NUMBER_END: u64 = 10_u64.pow(12);

impl MyNumber {
    /// Reads twelve digits, full-width or not, between any spaces and hyphens.
    ///
    /// # Errors
    ///
    /// [`MyNumberError`].
    pub fn parse(text: &str) -> Result<Self, MyNumberError> {
        match Digits::<12>::parse(text) {
            Ok(digits) => Self::from_value(digits.value(0..12)),
            Err(DigitsError::NotADigit { position, .. }) => Err(MyNumberError::NotADigit { position }),
            Err(DigitsError::Length { .. }) => Err(MyNumberError::Length),
        }
    }

    /// The My Number whose twelve digits, leading zeros included, have this value.
    ///
    /// # Errors
    ///
    /// [`MyNumberError`], never its `NotADigit`.
    pub fn from_value(value: u64) -> Result<Self, MyNumberError> {
        if value >= MY_NUMBER_END {
            return Err(MyNumberError::Length);
        }
        if value == 0 {
            return Err(MyNumberError::AllZeros);
        }
        if u64::from(check_digit(value / 10)) != value % 10 {
            return Err(MyNumberError::CheckDigit);
        }
        Ok(Self(value))
    }

    /// The number itself, for sealing it, for its keyed hash, and for an answer whose purpose was logged. The only way
    /// out: every place where a My Number leaves this type is found by this name.
    #[must_use]
    pub fn reveal(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for MyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MyNumber(redacted)")
    }
}

/// The check digit of a My Number's first eleven digits. Digits above the eleventh are ignored.
///
/// With P1 to P11 the digits from the right, and Qn = n + 1 for n ≤ 6 and n − 5 for n ≥ 7: r = Σ Pn·Qn mod 11, and the
/// check digit is 0 for r ≤ 1, otherwise 11 − r.
///
/// Source: ordinance 85 of 2014 of the Ministry of Internal Affairs and Communications (平成26年総務省令第85号), article 5.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "a value below ten")]
pub const fn check_digit(first_eleven: u64) -> u8 {
    let mut rest = first_eleven;
    let mut sum = 0;
    let mut n = 1;
    while n <= 11 {
        let weight = if n <= 6 { n + 1 } else { n - 5 };
        sum += rest % 10 * weight;
        rest /= 10;
        n += 1;
    }
    match sum % 11 {
        0 | 1 => 0,
        remainder => (11 - remainder) as u8,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn published_examples_are_valid() {
        for (text, value) in
            [("621498320257", 621_498_320_257), ("123456789018", 123_456_789_018), ("000000000060", 60)]
        {
            assert_eq!(MyNumber::parse(text).map(MyNumber::reveal), Ok(value), "{text}");
        }
        assert_eq!(MyNumber::parse("６２１４　９８３２－0257"), MyNumber::from_value(621_498_320_257));
    }

    #[test]
    fn twelve_zeros_are_refused_though_the_formula_holds() {
        assert_eq!(check_digit(0), 0);
        assert_eq!(MyNumber::parse("000000000000"), Err(MyNumberError::AllZeros));
    }

    #[test]
    fn what_is_not_twelve_digits_is_refused() {
        assert_eq!(MyNumber::parse("62149832025"), Err(MyNumberError::Length));
        assert_eq!(MyNumber::parse("6214983202577"), Err(MyNumberError::Length));
        assert_eq!(MyNumber::from_value(MY_NUMBER_END), Err(MyNumberError::Length));
        assert_eq!(MyNumber::parse("6214 9832 025X"), Err(MyNumberError::NotADigit { position: 14 }));
    }

    /// The fixture's numbers are invented, and its verdicts those of an independent implementation.
    #[test]
    fn an_independent_implementation_agrees_on_a_thousand_numbers() {
        let fixture = include_str!("fixtures/my_number.txt");
        let mut seen = (0, 0);
        for line in fixture.lines().filter(|line| !line.starts_with('#')) {
            let (number, valid) = line.split_once(' ').expect("number and verdict");
            assert_eq!(MyNumber::parse(number).is_ok(), valid == "1", "{number}");
            if valid == "1" { seen.0 += 1 } else { seen.1 += 1 }
        }
        assert_eq!(seen.0 + seen.1, 1_000);
        assert!(seen.0 >= 400 && seen.1 >= 400, "{seen:?}");
    }

    #[test]
    fn debug_shows_nothing() {
        let number = MyNumber::parse("123456789018");
        assert_eq!(format!("{number:?} {number:#?}").matches(|c: char| c.is_ascii_digit()).count(), 0);
    }

    fn everything_an_error_says(text: &str) -> Option<(MyNumberError, String)> {
        let error = MyNumber::parse(text).err()?;
        let said = format!("{error} {error:?}");
        Some((error, said))
    }

    proptest! {
        #[test]
        fn every_number_with_its_check_digit_is_valid(first_eleven in 1..100_000_000_000_u64) {
            let value = first_eleven * 10 + u64::from(check_digit(first_eleven));
            let number = MyNumber::from_value(value);
            prop_assert_eq!(number.clone().map(MyNumber::reveal), Ok(value));
            prop_assert_eq!(MyNumber::parse(&format!("{value:012}")), number);
        }

        #[test]
        fn an_error_holds_no_digit_of_the_number(text in "[0-9]{9,15}") {
            if let Some((_, said)) = everything_an_error_says(&text) {
                prop_assert!(!said.contains(|c: char| c.is_ascii_digit()), "{}", said);
            }
        }

        #[test]
        fn an_error_does_not_depend_on_the_characters(a in "[0-9]{5}[a-zA-Z][0-9]{6}", b in "[0-9]{5}[ア-ン][0-9]{6}") {
            let (a, b) = (everything_an_error_says(&a), everything_an_error_says(&b));
            prop_assert!(a.is_some());
            prop_assert_eq!(a, b);
        }
    }
}
