//! Municipalities: the 1,741 that keep a register and issue tickets.
//!
//! Owns the code's check digit, the way from a printed code to its municipality, and the dense ordinal that other tables
//! are indexed by. The list itself is in `municipality_table`; whether a municipality has loaded its register is the
//! store's to know.
//!
//! Three spellings of one municipality, and what each is for:
//!   code         131016   six digits, check digit last: on paper, on screen, in files
//!   five digits   13101   without the check digit: in storage keys
//!   ordinal           …   place in code order, 0 to 1,740: in memory only, since a merger moves it
//!
//! Invariant: a [`Municipality`] is in the table and is a city, town, village or special ward of Tokyo. A prefecture is
//! none; a ward of a designated city is read as its city.

use std::fmt;

use super::digits::{Digits, DigitsError};
use super::municipality_table::{MUNICIPALITIES, PREFECTURES, WARDS};

/// One of the municipalities in the published list. Ordered by code, which is also the order of ordinals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Municipality(u32);

/// Why a code is not a municipality's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MunicipalityError {
    /// The text is not six digits.
    #[error(transparent)]
    Text(#[from] DigitsError),
    /// The number has more than six digits.
    #[error("{code} is no municipality code: a code has 6 digits")]
    OutOfRange {
        /// The number as given.
        code: u32,
    },
    /// The last digit is not the one that the first five ask for.
    #[error(
        "digit 6 of {code:06} (the check digit) is {}, but {:05} asks for {expected}; compare the code with its source",
        code % 10,
        code / 10
    )]
    CheckDigit {
        /// The code as given.
        code: u32,
        /// The right last digit for the first five.
        expected: u8,
    },
    /// The code is a prefecture's.
    #[error("{code:06} is the code of a prefecture; give the code of one of its municipalities")]
    Prefecture {
        /// The code as given.
        code: u32,
    },
    /// The check digit is right, but no municipality has the code.
    #[error("{code:06} is no code in the list of municipalities; compare it with its source")]
    Unknown {
        /// The code as given.
        code: u32,
    },
}

/// By five digits: [`NONE`], a municipality's ordinal, or the ordinal of a ward's city with [`WARD`] set. 96 kB, and one
/// load where a search would take eleven.
static DIRECTORY: [u16; FIVE_DIGITS_END] = build_directory();

const FIVE_DIGITS_END: usize = 48_000;
const NONE: u16 = u16::MAX;
const WARD: u16 = 1 << 15;

#[expect(clippy::cast_possible_truncation, reason = "an ordinal is below WARD, which is asserted")]
#[allow(clippy::large_stack_arrays, reason = "built by the compiler, for a static")]
const fn build_directory() -> [u16; FIVE_DIGITS_END] {
    assert!(MUNICIPALITIES.len() < WARD as usize, "an ordinal and the ward bit must not overlap");
    let mut directory = [NONE; FIVE_DIGITS_END];
    let mut ordinal = 0;
    while ordinal < MUNICIPALITIES.len() {
        assert!(
            ordinal == 0 || MUNICIPALITIES[ordinal - 1].0 < MUNICIPALITIES[ordinal].0,
            "the table is in code order"
        );
        directory[(MUNICIPALITIES[ordinal].0 / 10) as usize] = ordinal as u16;
        ordinal += 1;
    }
    let mut index = 0;
    while index < WARDS.len() {
        let (ward, city) = WARDS[index];
        let ordinal = directory[(city / 10) as usize];
        assert!(ordinal < WARD, "a ward's city is a municipality");
        let slot = &mut directory[(ward / 10) as usize];
        assert!(*slot == NONE, "a ward is no municipality");
        *slot = ordinal | WARD;
        index += 1;
    }
    directory
}

impl Municipality {
    /// How many there are.
    pub const COUNT: usize = MUNICIPALITIES.len();

    /// Reads a six-digit code as typed or printed; a ward's code gives its city.
    ///
    /// # Errors
    ///
    /// [`MunicipalityError`], for a text that is not six digits or a code that is not a municipality's.
    #[expect(clippy::cast_possible_truncation, reason = "six digits fit in a u32")]
    pub fn parse(text: &str) -> Result<Self, MunicipalityError> {
        Self::from_code(Digits::<6>::parse(text)?.value(0..6) as u32)
    }

    /// The municipality of a six-digit code: check digit first, then the list. A ward's code gives its city.
    ///
    /// # Errors
    ///
    /// [`MunicipalityError`], never its `Text`.
    #[inline]
    pub fn from_code(code: u32) -> Result<Self, MunicipalityError> {
        if code > 999_999 {
            return Err(MunicipalityError::OutOfRange { code });
        }
        let expected = check_digit(code / 10);
        if code % 10 != u32::from(expected) {
            return Err(MunicipalityError::CheckDigit { code, expected });
        }
        match DIRECTORY.get((code / 10) as usize) {
            Some(&ordinal) if ordinal < WARD => Ok(Self(code)),
            Some(&ward) if ward != NONE => Ok(Self(MUNICIPALITIES[usize::from(ward & !WARD)].0)),
            _ if PREFECTURES.iter().any(|&(prefecture, _)| prefecture == code) => {
                Err(MunicipalityError::Prefecture { code })
            }
            _ => Err(MunicipalityError::Unknown { code }),
        }
    }

    /// The municipality of a storage key's five digits. `None` for everything else, a ward included: keys are written
    /// from a [`Municipality`], so a ward in one is damage and not another spelling.
    #[inline]
    #[must_use]
    pub fn from_five_digits(five_digits: u32) -> Option<Self> {
        let ordinal = *DIRECTORY.get(five_digits as usize)?;
        (ordinal < WARD).then(|| Self::from_valid_five_digits(five_digits))
    }

    /// The same, where the caller's invariant says that the five digits came from a [`Municipality`].
    #[inline]
    pub(super) fn from_valid_five_digits(five_digits: u32) -> Self {
        Self(five_digits * 10 + u32::from(check_digit(five_digits)))
    }

    /// The municipality at a place in code order, if there is one.
    #[inline]
    #[must_use]
    pub fn from_ordinal(ordinal: usize) -> Option<Self> {
        MUNICIPALITIES.get(ordinal).map(|&(code, _)| Self(code))
    }

    /// All municipalities, in code order.
    #[must_use]
    pub fn all() -> impl ExactSizeIterator<Item = Self> + DoubleEndedIterator + Clone {
        MUNICIPALITIES.iter().map(|&(code, _)| Self(code))
    }

    /// The six-digit code, check digit last. Leading zeros matter on paper: print it with `Display`.
    #[inline]
    #[must_use]
    pub fn code(self) -> u32 {
        self.0
    }

    /// The first five digits of the code, 1,100 to 47,999: what storage keys hold.
    #[inline]
    #[must_use]
    pub fn five_digits(self) -> u32 {
        self.0 / 10
    }

    /// The place in code order, from 0 and below [`Municipality::COUNT`]. Not for disk or wire: a merger moves it.
    #[inline]
    #[must_use]
    pub fn ordinal(self) -> usize {
        usize::from(DIRECTORY[self.five_digits() as usize])
    }

    /// The ordinal of the municipality with these five digits, where the caller's invariant says that there is one.
    #[inline]
    pub(super) fn ordinal_of_valid_five_digits(five_digits: u32) -> usize {
        usize::from(DIRECTORY[five_digits as usize])
    }

    /// The name, such as 千代田区 or 札幌市, without the prefecture: 府中市 is the name of two.
    #[must_use]
    pub fn name(self) -> &'static str {
        MUNICIPALITIES[self.ordinal()].1
    }

    /// The prefecture's name, such as 東京都.
    #[must_use]
    pub fn prefecture(self) -> &'static str {
        PREFECTURES[usize::from(self.prefecture_number()) - 1].1
    }

    /// The prefecture's number, 1 to 47: the first two digits of the code.
    #[inline]
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "two digits")]
    pub fn prefecture_number(self) -> u8 {
        (self.0 / 10_000) as u8
    }
}

/// The six digits of the code.
impl fmt::Display for Municipality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

impl fmt::Debug for Municipality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Municipality({self})")
    }
}

/// The check digit of a local government code: for the five digits abcde, s = 6a + 5b + 4c + 3d + 2e, and the check digit
/// is the last digit of 11 − s mod 11. Digits above the fifth are ignored.
///
/// Source: JIS X 0402, as the ministry publishes it with the list at <https://www.soumu.go.jp/denshijiti/code.html>.
/// Chiyoda's 13101 asks for 6, so its code is 131016.
#[inline]
#[must_use]
pub const fn check_digit(five_digits: u32) -> u8 {
    let sum = five_digits / 10_000 % 10 * 6
        + five_digits / 1_000 % 10 * 5
        + five_digits / 100 % 10 * 4
        + five_digits / 10 % 10 * 3
        + five_digits % 10 * 2;
    ((11 - sum % 11) % 10) as u8
}

#[cfg(test)]
mod tests;
