//! Rows that cannot be read as a resident, one kind after the other.
//!
//! A bad row starts as a resident's row with numbers that no resident has, and one thing in it is spoiled. So each kind
//! tests one rule of a reader and not two, and nothing of a bad row collides with a good one.

use sesshu_engine::ticket::Municipality;

use super::plan::Encoding;
use super::register_row::{
    BIRTH_DATE, MOVEMENT, MUNICIPALITY, MY_NUMBER, NAME, Row, SEX, TICKET_NUMBER, append_digits,
};

/// Longer than any name a register takes.
const LONG_NAME_CHARACTERS: usize = 61;

/// A way for a row to be bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BadRowKind {
    /// A ticket number of nine digits.
    TicketNumberShort,
    /// A ticket number of eleven digits.
    TicketNumberLong,
    /// A ticket number with the letter O for its last digit.
    TicketNumberNotDigits,
    /// No ticket number.
    TicketNumberMissing,
    /// Born on 30 February.
    BirthDateImpossible,
    /// No name.
    NameMissing,
    /// Sex 3.
    SexUnknown,
    /// A name of 61 characters.
    NameTooLong,
    /// A My Number whose check digit is wrong.
    MyNumberCheckDigit,
    /// The code of another municipality than the file's.
    OtherMunicipality,
    /// A municipality code whose check digit is wrong.
    MunicipalityCheckDigit,
    /// A word in 異動区分 that is none.
    MovementUnknown,
    /// One column too few.
    ColumnMissing,
    /// One column too many.
    ColumnTooMany,
    /// Bytes that are no character; in CP932 files only.
    InvalidBytes,
}

impl BadRowKind {
    /// All kinds of an encoding, in the order in which bad rows take turns.
    #[must_use]
    pub const fn all(encoding: Encoding) -> &'static [BadRowKind] {
        const ALL: [BadRowKind; 15] = [
            BadRowKind::TicketNumberShort,
            BadRowKind::BirthDateImpossible,
            BadRowKind::SexUnknown,
            BadRowKind::NameTooLong,
            BadRowKind::MyNumberCheckDigit,
            BadRowKind::OtherMunicipality,
            BadRowKind::ColumnMissing,
            BadRowKind::TicketNumberNotDigits,
            BadRowKind::TicketNumberLong,
            BadRowKind::TicketNumberMissing,
            BadRowKind::NameMissing,
            BadRowKind::MunicipalityCheckDigit,
            BadRowKind::MovementUnknown,
            BadRowKind::ColumnTooMany,
            BadRowKind::InvalidBytes,
        ];
        match encoding {
            Encoding::Utf8 => ALL.split_at(ALL.len() - 1).0,
            Encoding::Cp932 => &ALL,
        }
    }

    /// The kind of bad row number `index` of a plan.
    pub(super) fn in_turn(index: u64, encoding: Encoding) -> BadRowKind {
        let kinds = BadRowKind::all(encoding);
        let turn = index % kinds.len() as u64;
        kinds[usize::try_from(turn).expect("there are few kinds")]
    }

    /// Makes a readable row bad in this way. `my_number` is the row's, which may have been left blank in it.
    pub(super) fn spoil(self, row: &mut Row, municipality: Municipality, my_number: u64) {
        match self {
            BadRowKind::TicketNumberShort => {
                let number = row.field(TICKET_NUMBER).to_vec();
                row.replace(TICKET_NUMBER, &number[..9]);
            }
            BadRowKind::TicketNumberLong => {
                // In front: behind, a reader that drops leading zeros could arrive at a resident's number.
                let number = [b"9", row.field(TICKET_NUMBER)].concat();
                row.replace(TICKET_NUMBER, &number);
            }
            BadRowKind::TicketNumberNotDigits => {
                let mut number = row.field(TICKET_NUMBER).to_vec();
                number[9] = b'O';
                row.replace(TICKET_NUMBER, &number);
            }
            BadRowKind::TicketNumberMissing => row.replace(TICKET_NUMBER, b""),
            BadRowKind::BirthDateImpossible => row.replace(BIRTH_DATE, b"20210230"),
            BadRowKind::NameMissing => row.replace(NAME, b""),
            BadRowKind::SexUnknown => row.replace(SEX, b"3"),
            BadRowKind::NameTooLong => row.replace(NAME, &[b'A'; LONG_NAME_CHARACTERS]),
            BadRowKind::MyNumberCheckDigit => {
                row.replace(MY_NUMBER, &digits(next_last_digit(my_number), 12));
            }
            BadRowKind::OtherMunicipality => row.replace(MUNICIPALITY, &digits(another(municipality).code().into(), 6)),
            BadRowKind::MunicipalityCheckDigit => {
                row.replace(MUNICIPALITY, &digits(next_last_digit(municipality.code().into()), 6));
            }
            BadRowKind::MovementUnknown => row.replace(MOVEMENT, b"X"),
            BadRowKind::ColumnMissing => row.drop_last(),
            BadRowKind::ColumnTooMany => row.push(b"0"),
            // 0xFF begins nothing in CP932.
            BadRowKind::InvalidBytes => row.replace(NAME, b"A\xFFA"),
        }
    }
}

fn digits(value: u64, width: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(width);
    append_digits(&mut bytes, value, width);
    bytes
}

/// `value` with its last digit one higher, 9 becoming 0.
const fn next_last_digit(value: u64) -> u64 {
    value - value % 10 + (value % 10 + 1) % 10
}

/// The next municipality in code order, the first after the last.
fn another(municipality: Municipality) -> Municipality {
    let next = (municipality.ordinal() + 1) % Municipality::all().len();
    Municipality::from_ordinal(next).expect("an ordinal below the number of municipalities")
}

#[cfg(test)]
mod tests {
    use sesshu_engine::ticket::{Municipality, MyNumber};

    use super::{another, next_last_digit};

    #[test]
    fn a_wrong_check_digit_is_wrong() {
        assert!(MyNumber::from_value(next_last_digit(123_456_789_018)).is_err());
        assert_eq!(next_last_digit(131_019), 131_010);
    }

    #[test]
    fn another_municipality_is_a_real_one_even_after_the_last() {
        assert!(Municipality::all().all(|municipality| another(municipality) != municipality));
    }
}
