//! The ticket: municipality and ticket number, the key that everything is found by.
//!
//! Owns the ticket number's range, the ticket's packing in a `u64`, and its sixteen decimal digits. The stub that a ticket
//! is printed on is `line`'s; whether the ticket was ever issued is the ledger's to know.
//!
//!   bits 63..50   49..34                        33..0
//!        zero     municipality, five digits     number: ten digits, or provisional
//!
//! The order of the bits is the order of (municipality, number). The check digit is left out: it follows from the five.
//!
//! Ten digits do not fill 34 bits. The numbers above are on no paper: they stand for people whose ticket nobody knows, and
//! are printed as a P before the digits of the municipality and of what the number has above ten digits.
//!
//! Invariant: the municipality of a [`Ticket`] is in the published list, from whatever source the bits came. All ten-digit
//! numbers are possible: a ticket number has no check digit.

use std::fmt;

use super::digits::{Digits, DigitsError};
use super::municipality::{Municipality, MunicipalityError};

/// The largest number that a ticket is issued with: ten digits.
pub const NUMBER_MAX: u64 = NUMBER_END - 1;

/// The largest number of all, those included that stand for people without a ticket.
pub(crate) const ANY_NUMBER_MAX: u64 = (1 << NUMBER_BITS) - 1;

/// How many numbers there are for people without a ticket.
pub(crate) const PROVISIONAL_NUMBERS: u64 = ANY_NUMBER_MAX - NUMBER_MAX;

pub(super) const NUMBER_END: u64 = 10_u64.pow(10);
const NUMBER_BITS: u32 = 34;
const _: () = assert!(PROVISIONAL_NUMBERS < NUMBER_END, "what a number has above ten digits has ten digits at most");

/// Above the decimals of all issued tickets, and of all ticket lines.
const PROVISIONAL_DECIMALS: u64 = 10_u64.pow(18);

/// A resident's ticket: the municipality that issued it, and the number that is unique there; or what stands for the ticket
/// of a person of whom none is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// Why parts, bits or digits make no ticket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// The number has more than ten digits.
    #[error("{number} is no ticket number: it has more than 10 digits")]
    NumberOutOfRange {
        /// The number as given.
        number: u64,
    },
    /// No ticket has these bits: what they were read from is damaged, or written by a store with another list.
    #[error("{bits:#018x} is no ticket: its municipality is in no list, or its number is too large")]
    ImpossibleBits {
        /// The bits as given.
        bits: u64,
    },
    /// The value has more than sixteen digits, and is no provisional ticket's.
    #[error("{value} is no ticket: a ticket is 6 digits of municipality and 10 of number")]
    DecimalOutOfRange {
        /// The value as given.
        value: u64,
    },
    /// Neither sixteen digits nor a P before sixteen.
    #[error("a ticket is 6 digits of municipality and 10 of number, or P and 16 digits where no ticket is known")]
    NotATicket,
    /// The first six of sixteen digits are no municipality.
    #[error(transparent)]
    Municipality(#[from] MunicipalityError),
}

impl Ticket {
    /// The ticket with this number of this municipality.
    ///
    /// # Errors
    ///
    /// [`TicketError::NumberOutOfRange`] above [`NUMBER_MAX`].
    #[inline]
    pub fn new(municipality: Municipality, number: u64) -> Result<Self, TicketError> {
        if number > NUMBER_MAX {
            return Err(TicketError::NumberOutOfRange { number });
        }
        Ok(Self(u64::from(municipality.five_digits()) << NUMBER_BITS | number))
    }

    /// What stands for the ticket of a person of whom none is known, in a municipality; `which` tells such people apart.
    ///
    /// # Panics
    ///
    /// If `which` is not below [`PROVISIONAL_NUMBERS`].
    #[must_use]
    pub(crate) fn provisional(municipality: Municipality, which: u64) -> Self {
        assert!(which < PROVISIONAL_NUMBERS, "numbers have 34 bits");
        Self(u64::from(municipality.five_digits()) << NUMBER_BITS | (NUMBER_END + which))
    }

    /// Whether it stands for a ticket that nobody knows.
    #[inline]
    #[must_use]
    pub fn is_provisional(self) -> bool {
        self.number() > NUMBER_MAX
    }

    /// The ticket with this number, issued or provisional, of this municipality.
    #[inline]
    pub(crate) fn of_any_number(municipality: Municipality, number: u64) -> Option<Self> {
        (number <= ANY_NUMBER_MAX).then(|| Self(u64::from(municipality.five_digits()) << NUMBER_BITS | number))
    }

    /// The municipality that issued the ticket.
    #[inline]
    #[must_use]
    pub fn municipality(self) -> Municipality {
        Municipality::from_valid_five_digits(self.five_digits())
    }

    /// The number inside the municipality. Print that of an issued ticket as ten digits: leading zeros belong to it.
    #[inline]
    #[must_use]
    pub fn number(self) -> u64 {
        self.0 & ((1 << NUMBER_BITS) - 1)
    }

    /// The municipality's [`ordinal`](Municipality::ordinal).
    #[inline]
    #[must_use]
    pub fn ordinal(self) -> usize {
        Municipality::ordinal_of_valid_five_digits(self.five_digits())
    }

    /// The packed form, for disk and wire.
    #[inline]
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// Reads the packed form of bytes that may be damaged.
    ///
    /// # Errors
    ///
    /// [`TicketError::ImpossibleBits`] for what [`Ticket::to_bits`] never gives.
    #[inline]
    pub fn from_bits(bits: u64) -> Result<Self, TicketError> {
        let municipality = u32::try_from(bits >> NUMBER_BITS).ok().and_then(Municipality::from_five_digits);
        municipality.map(|_| Self(bits)).ok_or(TicketError::ImpossibleBits { bits })
    }

    /// The sixteen digits as an integer: municipality code × 10¹⁰ + number; of a provisional one 10¹⁸ + municipality code × 10¹⁰ + what the number has above
    /// ten digits.
    #[inline]
    #[must_use]
    pub fn to_decimal(self) -> u64 {
        let municipality = u64::from(self.municipality().code()) * NUMBER_END;
        match self.number().checked_sub(NUMBER_END) {
            None => municipality + self.number(),
            Some(which) => PROVISIONAL_DECIMALS + municipality + which,
        }
    }

    /// Reads the digits as an integer. A ward's code gives the ticket of its city, as it does on a line.
    ///
    /// # Errors
    ///
    /// [`TicketError::DecimalOutOfRange`] and [`TicketError::Municipality`].
    pub fn from_decimal(value: u64) -> Result<Self, TicketError> {
        let (is_provisional, digits) = (value >= PROVISIONAL_DECIMALS, value % PROVISIONAL_DECIMALS);
        let code = u32::try_from(digits / NUMBER_END).ok().filter(|&code| code <= 999_999);
        let code = code.filter(|_| value < 2 * PROVISIONAL_DECIMALS).ok_or(TicketError::DecimalOutOfRange { value })?;
        match digits % NUMBER_END {
            number if !is_provisional => Self::new(Municipality::from_code(code)?, number),
            which if which < PROVISIONAL_NUMBERS => Ok(Self::provisional(Municipality::from_code(code)?, which)),
            _ => Err(TicketError::DecimalOutOfRange { value }),
        }
    }

    /// Reads the sixteen digits as text, however they are typed; of a provisional one behind a P.
    ///
    /// # Errors
    ///
    /// [`TicketError`].
    pub fn parse(text: &str) -> Result<Self, TicketError> {
        let (base, digits) = match text.trim_start().strip_prefix(['P', 'p', 'Ｐ', 'ｐ']) {
            Some(digits) => (PROVISIONAL_DECIMALS, digits),
            None => (0, text),
        };
        let digits = Digits::<16>::parse(digits).map_err(|_| TicketError::NotATicket)?;
        Self::from_decimal(base + digits.value(0..16))
    }

    #[inline]
    fn five_digits(self) -> u32 {
        (self.0 >> NUMBER_BITS) as u32
    }
}

/// Sixteen digits: the municipality's six, and ten of the number. Of a provisional one behind a P.
impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.is_provisional() { "P" } else { "" };
        write!(f, "{mark}{:016}", self.to_decimal() % PROVISIONAL_DECIMALS)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({self})")
    }
}

/// Why a text is no ticket number (券番号).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketNumberError {
    /// A character is neither a digit nor a space or hyphen.
    #[error("character {position} of the ticket number is {character:?}, not a digit; compare it with the ticket")]
    NotADigit {
        /// Position in the text as given, from 1.
        position: usize,
        /// The character at fault.
        character: char,
    },
    /// There are not ten digits. Never padded: the digits that are missing may not be leading zeros.
    #[error(
        "a ticket number has 10 digits, but this one has {found}; \
         if a spreadsheet dropped leading zeros, export the column again as text"
    )]
    Length {
        /// Digits in the text.
        found: usize,
    },
}

/// Reads a ticket number that stands by itself, as in a column of a register: ten digits, leading zeros included.
///
/// # Errors
///
/// [`TicketNumberError`], for a text that is not ten digits after normalising.
pub fn parse_number(text: &str) -> Result<u64, TicketNumberError> {
    match Digits::<10>::parse(text) {
        Ok(digits) => Ok(digits.value(0..10)),
        Err(DigitsError::NotADigit { position, character }) => {
            Err(TicketNumberError::NotADigit { position, character })
        }
        Err(DigitsError::Length { found, .. }) => Err(TicketNumberError::Length { found }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tickets() -> impl Strategy<Value = Ticket> {
        (0..Municipality::COUNT, 0..=ANY_NUMBER_MAX).prop_map(|(ordinal, number)| {
            let municipality = Municipality::from_ordinal(ordinal).expect("below the count");
            Ticket::of_any_number(municipality, number).expect("34 bits")
        })
    }

    fn chiyoda() -> Municipality {
        Municipality::from_code(131_016).expect("Chiyoda")
    }

    #[test]
    fn packing_is_as_documented() {
        let ticket = Ticket::new(chiyoda(), 12_345).expect("a ticket");
        assert_eq!(ticket.to_bits(), 13_101 * (1 << 34) + 12_345);
        assert_eq!(ticket.to_decimal(), 1_310_160_000_012_345);
        assert_eq!(format!("{ticket} {ticket:?}"), "1310160000012345 Ticket(1310160000012345)");
    }

    #[test]
    fn a_provisional_ticket_is_told_from_every_issued_one() {
        let ticket = Ticket::provisional(chiyoda(), 12_345);
        assert_eq!(ticket.to_bits(), 13_101 * (1 << 34) + 10_000_012_345);
        assert_eq!(ticket.to_decimal(), 1_001_310_160_000_012_345);
        assert_eq!(ticket.to_string(), "P1310160000012345");
        for typed in ["p1310160000012345", "Ｐ１３１０１６０００００１２３４５", " P131016-0000-012345 "]
        {
            assert_eq!(Ticket::parse(typed), Ok(ticket), "{typed}");
        }
        assert!(ticket.is_provisional() && !Ticket::new(chiyoda(), NUMBER_MAX).expect("ten digits").is_provisional());
        let last = Ticket::provisional(chiyoda(), PROVISIONAL_NUMBERS - 1);
        assert_eq!((last.number(), last.municipality()), (ANY_NUMBER_MAX, chiyoda()));
    }

    #[test]
    fn a_leading_zero_of_the_municipality_is_printed() {
        let sapporo = Municipality::from_code(11_002).expect("Sapporo");
        let ticket = Ticket::new(sapporo, 1).expect("a ticket");
        assert_eq!(ticket.to_string(), "0110020000000001");
        assert_eq!(Ticket::from_decimal(110_110_000_000_001), Ok(ticket), "a ward's code is its city's");
    }

    #[test]
    fn impossible_parts_bits_and_digits_are_refused() {
        assert_eq!(Ticket::new(chiyoda(), NUMBER_END), Err(TicketError::NumberOutOfRange { number: NUMBER_END }));
        let ward = 1_101 << 34;
        for bits in [0, u64::MAX, NUMBER_MAX, 13_000 << 34, ward, (13_101 << 34) | 1 << 60] {
            assert_eq!(Ticket::from_bits(bits), Err(TicketError::ImpossibleBits { bits }));
        }
        let too_high = 1_001_310_160_000_000_000 + PROVISIONAL_NUMBERS;
        for value in [10_u64.pow(16), 2 * 10_u64.pow(18), too_high, u64::MAX] {
            assert_eq!(Ticket::from_decimal(value), Err(TicketError::DecimalOutOfRange { value }));
        }
        for text in ["", "P", "131016000001234", "P131016000001234", "+131016000001234", "Q1310160000012345"] {
            assert_eq!(Ticket::parse(text), Err(TicketError::NotATicket), "{text}");
        }
        let check_digit = MunicipalityError::CheckDigit { code: 131_017, expected: 6 };
        assert_eq!(Ticket::from_decimal(1_310_170_000_012_345), Err(TicketError::Municipality(check_digit)));
    }

    #[test]
    fn a_ticket_number_is_exactly_ten_digits() {
        assert_eq!(parse_number("0000012345"), Ok(12_345));
        assert_eq!(parse_number(" ００００-０１-２３４５ "), Ok(12_345));
        assert_eq!(parse_number("12345"), Err(TicketNumberError::Length { found: 5 }));
        assert_eq!(parse_number("00000012345"), Err(TicketNumberError::Length { found: 11 }));
        assert_eq!(parse_number("1.2345E+4"), Err(TicketNumberError::NotADigit { position: 2, character: '.' }));
    }

    proptest! {
        #[test]
        fn every_form_of_a_ticket_leads_back_to_it(ticket in tickets()) {
            prop_assert_eq!(Ticket::of_any_number(ticket.municipality(), ticket.number()), Some(ticket));
            prop_assert_eq!(Ticket::from_bits(ticket.to_bits()), Ok(ticket));
            prop_assert_eq!(Ticket::from_decimal(ticket.to_decimal()), Ok(ticket));
            prop_assert_eq!(Ticket::parse(&ticket.to_string()), Ok(ticket));
            prop_assert_eq!(Municipality::from_ordinal(ticket.ordinal()), Some(ticket.municipality()));
            let issued = Ticket::new(ticket.municipality(), ticket.number());
            prop_assert_eq!(issued.is_err(), ticket.is_provisional());
            if !ticket.is_provisional() {
                prop_assert_eq!(issued, Ok(ticket));
                prop_assert_eq!(parse_number(&ticket.to_string()[6..]), Ok(ticket.number()));
            }
        }

        #[test]
        fn tickets_sort_by_municipality_and_then_number(a in tickets(), b in tickets()) {
            let parts = |ticket: Ticket| (ticket.municipality(), ticket.number());
            prop_assert_eq!(a.cmp(&b), parts(a).cmp(&parts(b)));
            if !a.is_provisional() && !b.is_provisional() {
                prop_assert_eq!(a.cmp(&b), a.to_decimal().cmp(&b.to_decimal()));
            }
        }

        #[test]
        fn bits_that_are_accepted_are_kept(bits: u64) {
            for bits in [bits, bits >> 14] {
                if let Ok(ticket) = Ticket::from_bits(bits) {
                    prop_assert_eq!(ticket.to_bits(), bits);
                    prop_assert!(Municipality::all().any(|municipality| municipality == ticket.municipality()));
                }
            }
        }
    }
}
