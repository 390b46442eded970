//! From the text of a field to its value.
//!
//! Owns what is blank, which spellings a field may have, and which fault code stands for which mistake. The values themselves are checked by `ticket` and
//! `intake`; their errors become the reasons.
//!
//! Names, vaccines, lots and venues are kept character for character. Codes, numbers and dates lose the blanks around them. A field of blanks only is blank.
//! Columns that a row's values do not come from are never decoded, so bad bytes in them do no harm.

use std::borrow::Cow;

use sesshu_engine::intake::{Column, Fault, FaultCode};
use sesshu_engine::ticket::{
    Date, DateError, Digits, Municipality, MunicipalityError, MyNumber, MyNumberError, TicketLine, TicketLineError,
    TicketNumberError, parse_number,
};

use super::header::Header;
use super::source::RawRow;

/// A row whose columns can be told.
pub(super) struct Fields<'a> {
    row: &'a RawRow<'a>,
    header: &'a Header,
}

impl<'a> Fields<'a> {
    /// The fields of a row.
    pub(super) fn of(row: &'a RawRow<'a>, header: &'a Header) -> Result<Fields<'a>, Fault> {
        if let Some(reason) = row.broken() {
            return Err(Fault::new(Column::Row, FaultCode::NotCsv, reason));
        }
        if !header.fits(row) {
            let reason = format!("{} fields, where the header line has {}", row.width(), header.width);
            return Err(Fault::new(Column::Row, FaultCode::FieldCount, reason));
        }
        Ok(Fields { row, header })
    }

    /// The fields of a row whose columns may be shifted or missing. For what is told of a rejected row only.
    pub(super) fn unverified(row: &'a RawRow<'a>, header: &'a Header) -> Fields<'a> {
        Fields { row, header }
    }

    /// A field's bytes; none if the file does not have the column.
    pub(super) fn bytes(&self, column: Column) -> Cow<'a, [u8]> {
        self.header.position(column).and_then(|position| self.row.field(position)).unwrap_or_default()
    }

    /// A field's text, or `None` if it is blank.
    pub(super) fn text(&self, column: Column) -> Result<Option<Cow<'a, str>>, Fault> {
        let encoding = self.header.encoding;
        let text = match self.bytes(column) {
            Cow::Borrowed(bytes) => encoding.decode(bytes),
            Cow::Owned(bytes) => encoding.decode(&bytes).map(|text| Cow::Owned(text.into_owned())),
        };
        let text = text.ok_or_else(|| {
            Fault::new(column, FaultCode::Encoding, format!("holds bytes that are no text in {encoding}"))
        })?;
        Ok(if is_blank(&text) { None } else { Some(text) })
    }

    /// A field's text, character for character; empty if it is blank.
    pub(super) fn exact(&self, column: Column) -> Result<String, Fault> {
        Ok(self.text(column)?.map(Cow::into_owned).unwrap_or_default())
    }

    /// A field's text without the blanks around it; empty if it is blank.
    pub(super) fn trimmed(&self, column: Column) -> Result<String, Fault> {
        Ok(self.text(column)?.map(|text| text.trim().to_owned()).unwrap_or_default())
    }

    /// The text of a field that must not be blank.
    fn present(&self, column: Column) -> Result<Cow<'a, str>, Fault> {
        self.text(column)?.ok_or_else(|| Fault::new(column, FaultCode::Missing, "is blank, and must not be"))
    }

    /// 自治体コード; a ward's code gives its city.
    pub(super) fn municipality(&self) -> Result<Municipality, Fault> {
        Municipality::parse(&self.present(Column::Municipality)?).map_err(|error| {
            let code = match error {
                MunicipalityError::Text(_) => FaultCode::NotDigits,
                MunicipalityError::CheckDigit { .. } => FaultCode::CheckDigit,
                _ => FaultCode::UnknownMunicipality,
            };
            Fault::new(Column::Municipality, code, error.to_string())
        })
    }

    /// 券番号.
    pub(super) fn number(&self) -> Result<u64, Fault> {
        self.number_in(Column::Number)
    }

    /// 旧券番号.
    pub(super) fn previous_number(&self) -> Result<u64, Fault> {
        self.number_in(Column::PreviousNumber)
    }

    fn number_in(&self, column: Column) -> Result<u64, Fault> {
        parse_number(&self.present(column)?)
            .map_err(|error: TicketNumberError| Fault::new(column, FaultCode::NotDigits, error.to_string()))
    }

    /// 個人番号, if the register has it.
    pub(super) fn my_number(&self) -> Result<Option<MyNumber>, Fault> {
        let Some(text) = self.text(Column::MyNumber)? else { return Ok(None) };
        MyNumber::parse(&text).map(Some).map_err(|error| {
            let code = match error {
                MyNumberError::NotADigit { .. } | MyNumberError::Length => FaultCode::NotDigits,
                MyNumberError::CheckDigit => FaultCode::CheckDigit,
                MyNumberError::AllZeros => FaultCode::UnknownValue,
            };
            Fault::new(Column::MyNumber, code, error.to_string())
        })
    }

    /// The eight digits of a date that may be open or unknown, read by `parse`; 0 if it is blank or all zeros. Whether plain digits are a day is left to the
    /// check of the row.
    pub(super) fn date_or_none(&self, column: Column, parse: fn(&str) -> Result<u32, DateError>) -> Result<u32, Fault> {
        let Some(text) = self.text(column)? else { return Ok(0) };
        if let Some(value) = plain_date(&text) {
            return Ok(value);
        }
        parse(&text).map_err(|error| Fault::new(column, FaultCode::NotADate, error.to_string()))
    }

    /// The eight digits of a date that must be there.
    pub(super) fn date(&self, column: Column) -> Result<u32, Fault> {
        let text = self.present(column)?;
        let date = Date::parse(&text).map_err(|error| Fault::new(column, FaultCode::NotADate, error.to_string()))?;
        Ok(date.yyyymmdd())
    }

    /// A number of one or two digits, or `None` if it is blank.
    pub(super) fn small_number(&self, column: Column) -> Result<Option<u32>, Fault> {
        let Some(text) = self.text(column)? else { return Ok(None) };
        let one = Digits::<1>::parse(&text).map(|digits| digits.value(0..1));
        let value = one.or_else(|_| Digits::<2>::parse(&text).map(|digits| digits.value(0..2)));
        match value {
            Ok(value) => Ok(Some(value as u32)),
            Err(_) => Err(Fault::new(column, FaultCode::NotDigits, "a number of one or two digits")),
        }
    }

    /// 接種券.
    pub(super) fn ticket_line(&self) -> Result<TicketLine, Fault> {
        TicketLine::parse(&self.present(Column::TicketLine)?).map_err(|error| {
            let code = match error {
                TicketLineError::Text(_) | TicketLineError::OutOfRange { .. } => FaultCode::NotDigits,
                TicketLineError::CheckDigit { .. } => FaultCode::CheckDigit,
                _ => FaultCode::UnknownMunicipality,
            };
            Fault::new(Column::TicketLine, code, error.to_string())
        })
    }

    /// 接種回数.
    pub(super) fn dose(&self) -> Result<u32, Fault> {
        let missing = || Fault::new(Column::Dose, FaultCode::Missing, "is blank, and must not be");
        self.small_number(Column::Dose)?.ok_or_else(missing)
    }

    /// 医療機関コード in half-width digits. What is no code is left as it is, for the check to refuse.
    pub(super) fn institution(&self) -> Result<String, Fault> {
        let Some(text) = self.text(Column::Institution)? else { return Ok(String::new()) };
        Ok(match Digits::<10>::parse(&text) {
            Ok(digits) => digits.as_bytes().iter().copied().map(char::from).collect(),
            Err(_) => text.into_owned(),
        })
    }
}

fn is_blank(text: &str) -> bool {
    // Most fields begin with what is surely no blank.
    text.as_bytes().first().is_none_or(|&byte| byte <= b' ' || byte >= 0x80) && text.trim_start().is_empty()
}

/// The value of eight ASCII digits and nothing else, which is how nearly all dates come.
fn plain_date(text: &str) -> Option<u32> {
    if text.len() != 8 {
        return None;
    }
    // Eight bytes that hold eight digits hold no separator.
    Digits::<8>::parse(text).ok().map(|digits| digits.value(0..8) as u32)
}
