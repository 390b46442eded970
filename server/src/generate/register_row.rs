//! A row of a register, field by field, and how it is laid out as a line of CSV.
//!
//! A row is filled from a resident into one buffer that is used again for every row, spoiled if it is to be a bad one, and
//! then written with the file's layout. Layouts differ by municipality as real files do: byte order mark, line ends and
//! quoting cycle with the municipality's ordinal, so that a reader meets every mixture whatever the seed.
//!
//! No generated field holds a comma, a quote or a line end, so quotes are there to exercise readers and never needed.

use sesshu_engine::ticket::Municipality;

use super::cp932::encode_common;
use super::names::Name;
use super::plan::Encoding;
use super::resident::{GeneratedResident, Movement};

/// The register's columns, in order.
pub(super) const COLUMNS: [&str; 11] = [
    "自治体コード",
    "券番号",
    "宛名番号",
    "個人番号",
    "氏名",
    "氏名カナ",
    "生年月日",
    "性別",
    "異動区分",
    "異動日",
    "支援措置",
];

pub(super) const MUNICIPALITY: usize = 0;
pub(super) const TICKET_NUMBER: usize = 1;
pub(super) const MY_NUMBER: usize = 3;
pub(super) const NAME: usize = 4;
pub(super) const NAME_KANA: usize = 5;
pub(super) const BIRTH_DATE: usize = 6;
pub(super) const SEX: usize = 7;
pub(super) const MOVEMENT: usize = 8;

const IDEOGRAPHIC_SPACE_CP932: &[u8] = &[0x81, 0x40];

/// Which fields stand in quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quoting {
    Nothing,
    Names,
    Everything,
}

/// How a municipality's file is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) encoding: Encoding,
    byte_order_mark: bool,
    line_end: &'static [u8],
    quoting: Quoting,
}

impl Layout {
    pub(super) fn of(municipality: Municipality, encoding: Encoding) -> Layout {
        let ordinal = municipality.ordinal();
        Layout {
            encoding,
            byte_order_mark: encoding == Encoding::Utf8 && ordinal.is_multiple_of(2),
            line_end: if (ordinal / 2).is_multiple_of(2) { b"\r\n" } else { b"\n" },
            quoting: [Quoting::Nothing, Quoting::Names, Quoting::Everything][ordinal % 3],
        }
    }

    /// The first line, with the byte order mark before it if the file has one.
    pub(super) fn header(self) -> Vec<u8> {
        let mut line = Vec::new();
        if self.byte_order_mark {
            line.extend_from_slice("\u{FEFF}".as_bytes());
        }
        let mut row = Row::default();
        for column in COLUMNS {
            row.text(column, self.encoding);
            row.end_field();
        }
        row.append_to(&mut line, self);
        line
    }

    fn quotes(self, field: usize) -> bool {
        match self.quoting {
            Quoting::Nothing => false,
            Quoting::Names => matches!(field, NAME | NAME_KANA),
            Quoting::Everything => true,
        }
    }
}

/// A row's fields, encoded, one behind the other.
#[derive(Default)]
pub(super) struct Row {
    bytes: Vec<u8>,
    /// Where each field ends in `bytes`.
    ends: Vec<usize>,
}

impl Row {
    /// Replaces the row by a resident's.
    pub(super) fn fill(&mut self, resident: &GeneratedResident, encoding: Encoding) {
        self.bytes.clear();
        self.ends.clear();

        self.digits(resident.ticket.municipality().code().into(), 6);
        self.end_field();
        self.digits(resident.ticket.number(), 10);
        self.end_field();
        if let Some(number) = resident.resident_number {
            self.digits(number.value, number.digits.into());
        }
        self.end_field();
        if let Some(my_number) = resident.my_number {
            self.digits(my_number.reveal(), 12);
        }
        self.end_field();
        self.name(resident.family, resident.given, encoding);
        self.kana(resident.family, resident.given, encoding);
        self.digits(resident.birth_date.yyyymmdd().into(), 8);
        self.end_field();
        self.bytes.push(b'0' + resident.sex.digit());
        self.end_field();
        self.movement(resident.movement, encoding);
        self.bytes.push(b'0' + u8::from(resident.protected));
        self.end_field();
    }

    /// The bytes of a field.
    pub(super) fn field(&self, field: usize) -> &[u8] {
        let start = if field == 0 { 0 } else { self.ends[field - 1] };
        &self.bytes[start..self.ends[field]]
    }

    /// Puts other bytes in the place of a field.
    pub(super) fn replace(&mut self, field: usize, bytes: &[u8]) {
        let old = self.field(field).len();
        let end = self.ends[field];
        self.bytes.splice(end - old..end, bytes.iter().copied());
        for later in &mut self.ends[field..] {
            *later = *later - old + bytes.len();
        }
    }

    /// Drops the last field, as a row that was cut short.
    pub(super) fn drop_last(&mut self) {
        self.ends.pop();
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Adds a field behind the last.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.end_field();
    }

    /// Appends the row as one line.
    pub(super) fn append_to(&self, line: &mut Vec<u8>, layout: Layout) {
        let mut start = 0;
        for (field, &end) in self.ends.iter().enumerate() {
            if field > 0 {
                line.push(b',');
            }
            let bytes = &self.bytes[start..end];
            if layout.quotes(field) {
                line.push(b'"');
                line.extend_from_slice(bytes);
                line.push(b'"');
            } else {
                line.extend_from_slice(bytes);
            }
            start = end;
        }
        line.extend_from_slice(layout.line_end);
    }

    fn end_field(&mut self) {
        self.ends.push(self.bytes.len());
    }

    fn digits(&mut self, value: u64, width: usize) {
        append_digits(&mut self.bytes, value, width);
    }

    fn text(&mut self, text: &str, encoding: Encoding) {
        match encoding {
            Encoding::Utf8 => self.bytes.extend_from_slice(text.as_bytes()),
            Encoding::Cp932 => encode_common(text, &mut self.bytes),
        }
    }

    fn name(&mut self, family: &Name, given: &Name, encoding: Encoding) {
        match encoding {
            Encoding::Utf8 => self.joined(family.written.as_bytes(), "\u{3000}".as_bytes(), given.written.as_bytes()),
            Encoding::Cp932 => self.joined(&family.written_cp932, IDEOGRAPHIC_SPACE_CP932, &given.written_cp932),
        }
    }

    fn kana(&mut self, family: &Name, given: &Name, encoding: Encoding) {
        match encoding {
            Encoding::Utf8 => self.joined(family.reading.as_bytes(), "\u{3000}".as_bytes(), given.reading.as_bytes()),
            Encoding::Cp932 => self.joined(&family.reading_cp932, IDEOGRAPHIC_SPACE_CP932, &given.reading_cp932),
        }
    }

    fn joined(&mut self, before: &[u8], between: &[u8], after: &[u8]) {
        self.bytes.extend_from_slice(before);
        self.bytes.extend_from_slice(between);
        self.bytes.extend_from_slice(after);
        self.end_field();
    }

    fn movement(&mut self, movement: Movement, encoding: Encoding) {
        let moved = match movement {
            Movement::None => None,
            Movement::MovedOut(date) => Some(("転出", date)),
            Movement::Deceased(date) => Some(("死亡", date)),
        };
        if let Some((what, _)) = moved {
            self.text(what, encoding);
        }
        self.end_field();
        if let Some((_, date)) = moved {
            self.digits(date.yyyymmdd().into(), 8);
        }
        self.end_field();
    }
}

/// Appends `value` in `width` digits, with leading zeros.
pub(super) fn append_digits(bytes: &mut Vec<u8>, value: u64, width: usize) {
    const WIDEST: usize = 20;
    let mut digits = [b'0'; WIDEST];
    let mut rest = value;
    for digit in digits[WIDEST - width..].iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).expect("a digit is below ten");
        rest /= 10;
    }
    assert_eq!(rest, 0, "{value} has more than {width} digits");
    bytes.extend_from_slice(&digits[WIDEST - width..]);
}
