//! The ticket line: the 18 digits printed on a stub, and the payload of its QR code.
//!
//!   kind   dose   municipality   number
//!   1      2      3 ... 8        9 ... 18        digit, as errors count them
//!
//! Owns the layout of the line and what is said to the operator who scanned it. Leaves the key in it to [`Ticket`], and to
//! the rules what a strange kind or dose means: people present the wrong stub, so both are hints and any digit is accepted.
//!
//! The line has no check digit of its own. A misread in the municipality is mostly caught here; one in the number lands on
//! another resident, and only plausibility, in the ledger, can catch it.
//!
//! Invariant: a [`TicketLine`] prints exactly the digits it was read from, also where a ward's code led to its city.

use std::fmt;

use super::digits::{Digits, DigitsError};
use super::municipality::{Municipality, MunicipalityError};
use super::number::{NUMBER_END, Ticket};

/// A stub's line as presented, and the ticket that it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TicketLine {
    kind: u8,
    dose: u8,
    presented_municipality: u32,
    ticket: Ticket,
}

/// Why a line leads to no ticket. Written for the operator with the stub in hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketLineError {
    /// The text is not 18 digits.
    #[error(transparent)]
    Text(#[from] DigitsError),
    /// The number has more than 18 digits.
    #[error("{value} is no ticket line: a line has 18 digits")]
    OutOfRange {
        /// The number as given.
        value: u64,
    },
    /// The municipality's check digit is not the one that its code asks for.
    #[error(
        "digit 8 (the municipality's check digit) is {}, but {:05} asks for {expected}; \
         the line was probably misread: scan or type it again",
        code % 10,
        code / 10
    )]
    CheckDigit {
        /// The municipality code as read.
        code: u32,
        /// The right last digit for the first five.
        expected: u8,
    },
    /// The code is a prefecture's.
    #[error(
        "digits 3 to 8 are {code:06}, the code of a prefecture, and prefectures issue no tickets; \
         the line was probably misread: scan or type it again"
    )]
    Prefecture {
        /// The municipality code as read.
        code: u32,
    },
    /// The check digit is right, but no municipality has the code.
    #[error(
        "digits 3 to 8 are {code:06}, which is no code in the list of municipalities; \
         the line was probably misread: scan or type it again"
    )]
    UnknownMunicipality {
        /// The municipality code as read.
        code: u32,
    },
}

const DOSE_UNIT: u64 = 10_u64.pow(16);
const KIND_UNIT: u64 = 10_u64.pow(17);
const LINE_END: u64 = 10_u64.pow(18);

impl TicketLine {
    /// Reads the 18 digits as scanned or typed.
    ///
    /// # Errors
    ///
    /// [`TicketLineError`], never its `OutOfRange`.
    #[inline]
    pub fn parse(text: &str) -> Result<Self, TicketLineError> {
        let digits = Digits::<18>::parse(text)?;
        Self::from_parts(digits.value(0..1), digits.value(1..2), digits.value(2..8), digits.value(8..18))
    }

    /// Reads the 18 digits as an integer.
    ///
    /// # Errors
    ///
    /// [`TicketLineError`], never its `Text`.
    #[inline]
    pub fn from_decimal(value: u64) -> Result<Self, TicketLineError> {
        if value >= LINE_END {
            return Err(TicketLineError::OutOfRange { value });
        }
        Self::from_parts(value / KIND_UNIT, value / DOSE_UNIT % 10, value / NUMBER_END % 1_000_000, value % NUMBER_END)
    }

    /// The parts of 18 digits, each already within its own digits.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "kind and dose are one digit, the municipality six")]
    fn from_parts(kind: u64, dose: u64, code: u64, number: u64) -> Result<Self, TicketLineError> {
        let code = code as u32;
        let municipality = Municipality::from_code(code).map_err(|error| municipality_at_fault(error, code))?;
        let ticket = Ticket::new(municipality, number).expect("a line's number has ten digits");
        Ok(Self { kind: kind as u8, dose: dose as u8, presented_municipality: code, ticket })
    }

    /// The 18 digits as an integer.
    #[inline]
    #[must_use]
    pub fn to_decimal(self) -> u64 {
        u64::from(self.kind) * KIND_UNIT
            + u64::from(self.dose) * DOSE_UNIT
            + u64::from(self.presented_municipality) * NUMBER_END
            + self.ticket.number()
    }

    /// The kind of stub, 0 to 9: a hint. Which digits mean a shot and which an interview only is configured.
    #[inline]
    #[must_use]
    pub fn kind(self) -> u8 {
        self.kind
    }

    /// The dose that the stub was printed for, 0 to 9: a hint, since people present the wrong stub.
    #[inline]
    #[must_use]
    pub fn dose(self) -> u8 {
        self.dose
    }

    /// The municipality code as printed, which may be the code of a ward; [`TicketLine::ticket`] has its city.
    #[inline]
    #[must_use]
    pub fn presented_municipality(self) -> u32 {
        self.presented_municipality
    }

    /// The ticket that the stub belongs to.
    #[inline]
    #[must_use]
    pub fn ticket(self) -> Ticket {
        self.ticket
    }
}

/// The 18 digits as presented.
impl fmt::Display for TicketLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:018}", self.to_decimal())
    }
}

/// Says where on the line the code is wrong: the operator has 18 digits in view, and no municipality code.
#[cold]
fn municipality_at_fault(error: MunicipalityError, code: u32) -> TicketLineError {
    match error {
        MunicipalityError::Text(error) => TicketLineError::Text(error),
        MunicipalityError::CheckDigit { expected, .. } => TicketLineError::CheckDigit { code, expected },
        MunicipalityError::Prefecture { .. } => TicketLineError::Prefecture { code },
        MunicipalityError::Unknown { .. } | MunicipalityError::OutOfRange { .. } => {
            TicketLineError::UnknownMunicipality { code }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn documented_lines_are_read() {
        for (text, kind, dose, code, number) in [
            ("211310160000012345", 2, 1, 131_016, 12_345),
            ("221122419876543210", 2, 2, 112_241, 9_876_543_210),
            ("230110020000000001", 2, 3, 11_002, 1),
        ] {
            let line = TicketLine::parse(text).expect(text);
            assert_eq!((line.kind(), line.dose(), line.presented_municipality()), (kind, dose, code));
            assert_eq!((line.ticket().municipality().code(), line.ticket().number()), (code, number));
            assert_eq!(line.to_string(), text);
        }
    }

    #[test]
    fn a_line_reads_the_same_at_any_width_and_spacing() {
        let line = TicketLine::parse("211310160000012345");
        assert!(line.is_ok());
        for text in
            ["２１１３１０１６０００００１２３４５", "2 1 131016-0000012345\r", "２１　１３１０１６ー０００００12345"]
        {
            assert_eq!(TicketLine::parse(text), line, "{text:?}");
        }
    }

    #[test]
    fn a_line_of_another_length_is_refused() {
        for (text, found) in [("21131016000001234", 17), ("2113101600000123456", 19), ("", 0)] {
            let length = DigitsError::Length { expected: 18, found };
            assert_eq!(TicketLine::parse(text), Err(TicketLineError::Text(length)));
        }
        assert_eq!(TicketLine::from_decimal(LINE_END), Err(TicketLineError::OutOfRange { value: LINE_END }));
    }

    #[test]
    fn a_character_that_is_no_digit_is_named() {
        let error = TicketLine::parse("21131016000001234X").expect_err("X");
        assert_eq!(error.to_string(), "character 18 is 'X', not a digit; scan or type it again");
    }

    #[test]
    fn a_misread_municipality_is_named_by_its_digits() {
        let message = |text| TicketLine::parse(text).expect_err(text).to_string();
        assert_eq!(
            message("211310170000012345"),
            "digit 8 (the municipality's check digit) is 7, but 13101 asks for 6; \
             the line was probably misread: scan or type it again"
        );
        assert!(message("211300010000012345").starts_with("digits 3 to 8 are 130001, the code of a prefecture"));
        assert!(message("210169510000012345").starts_with("digits 3 to 8 are 016951, which is no code in the list"));
        let unknown = TicketLineError::UnknownMunicipality { code: 999_997 };
        assert_eq!(TicketLine::parse("219999970000012345"), Err(unknown));
    }

    /// A 1 read as a 4 in the number: arithmetic cannot know, so it must not pretend to.
    #[test]
    fn a_misread_number_is_another_ticket() {
        let read = |text| TicketLine::parse(text).expect(text).ticket();
        assert_ne!(read("211310160000042345"), read("211310160000012345"));
    }

    #[test]
    fn stubs_of_one_person_lead_to_one_ticket() {
        let read = |text| TicketLine::parse(text).expect(text).ticket();
        assert_eq!(read("211310160000012345"), read("221310160000012345"));
    }

    #[test]
    fn a_wards_line_leads_to_its_city_and_prints_as_presented() {
        let line = TicketLine::parse("210110110000000001").expect("a ward of Sapporo");
        assert_eq!(line.presented_municipality(), 11_011);
        assert_eq!(line.ticket().to_string(), "0110020000000001");
        assert_eq!(line.to_string(), "210110110000000001");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = TicketLine::parse(&text);
        }

        #[test]
        fn every_form_of_a_line_leads_back_to_it(
            kind in 0..10_u64, dose in 0..10_u64, ordinal in 0..Municipality::COUNT, number in 0..NUMBER_END,
        ) {
            let municipality = Municipality::from_ordinal(ordinal).expect("below the count");
            let value = kind * KIND_UNIT + dose * DOSE_UNIT + u64::from(municipality.code()) * NUMBER_END + number;
            let line = TicketLine::from_decimal(value).expect("a line");
            prop_assert_eq!(line.to_decimal(), value);
            prop_assert_eq!(Ticket::new(municipality, number), Ok(line.ticket()));
            prop_assert_eq!(TicketLine::parse(&line.to_string()), Ok(line));
        }

        #[test]
        fn text_and_integer_agree(value in 0..LINE_END) {
            prop_assert_eq!(TicketLine::parse(&format!("{value:018}")), TicketLine::from_decimal(value));
        }
    }
}
