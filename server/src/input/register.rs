//! A register file: the residents of one municipality, row by row.
//!
//! Owns which municipality a file is of. The first row with a valid code fixes it, before any row is handed out; a row of another municipality is rejected,
//! because its ticket number would name a different person. A ward's code stands for its city.
//!
//! Where a row is rejected and its ticket number can still be read, the number goes with it, so that the caller keeps the resident it belongs to. That needs
//! more care the less of the row can be trusted: see [`kept_number`].

use std::path::Path;

use sesshu_engine::intake::{Column, Fault, FaultCode, Row};
use sesshu_engine::ticket::{BirthDate, Date, Municipality};
use sesshu_proto::v1::{Resident, ResidentStatus, Sex};

use super::encoding::Encoding;
use super::error::InputError;
use super::fields::Fields;
use super::header::{FileKind, Header};
use super::rejects::RejectedRow;
use super::source::{RawRow, Source};

/// An open register file.
pub struct RegisterFile {
    pub(super) source: Source,
    pub(super) header: Header,
    municipality: Municipality,
    /// The municipality's code as the rows spell it: most rows need no more than a comparison.
    code: Box<[u8]>,
    /// The line that fixed the municipality.
    fixed_on: u64,
}

impl RegisterFile {
    /// Opens a register file, reads its header line, and looks for its municipality.
    ///
    /// # Errors
    ///
    /// [`InputError`] if it is no register file. `NoReadableRow` if no row of the first mebibyte names a municipality.
    pub fn open(path: &Path) -> Result<RegisterFile, InputError> {
        RegisterFile::open_as(path, FileKind::Register)
    }

    /// As [`RegisterFile::open`], of a kind that has a register's columns.
    pub(super) fn open_as(path: &Path, kind: FileKind) -> Result<RegisterFile, InputError> {
        let (mut source, header) = open_with_header(path, kind)?;
        let (municipality, code, fixed_on) = find_municipality(&mut source, &header)?;
        Ok(RegisterFile { source, header, municipality, code, fixed_on })
    }

    /// Whose register it is.
    #[must_use]
    pub fn municipality(&self) -> Municipality {
        self.municipality
    }

    /// The file's encoding.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.header.encoding
    }

    /// Columns that are no register's, by the names in the header line.
    #[must_use]
    pub fn ignored_columns(&self) -> &[String] {
        &self.header.ignored
    }

    /// The file's size when it was opened; 0 for a pipe.
    #[must_use]
    pub fn bytes_total(&self) -> u64 {
        self.source.bytes_total()
    }

    /// Bytes up to the next row.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.source.bytes_read()
    }

    /// Reads up to `rows_max` rows and appends each to one of the two lists. `false` when the file has ended.
    ///
    /// # Errors
    ///
    /// [`InputError::Read`].
    pub fn next_batch(
        &mut self,
        rows: &mut Vec<Row>,
        rejected: &mut Vec<RejectedRow>,
        rows_max: usize,
    ) -> Result<bool, InputError> {
        for _ in 0..rows_max {
            if !self.source.advance()? {
                return Ok(false);
            }
            let row = self.source.row();
            match self.read(&row) {
                Ok(row) => rows.push(row),
                Err(fault) => {
                    let number = kept_number(&row, &self.header, self.municipality);
                    rejected.push(RejectedRow::of_register(&row, &self.header, fault, number));
                }
            }
        }
        Ok(true)
    }

    /// The checked row.
    pub(super) fn read(&self, row: &RawRow<'_>) -> Result<Row, Fault> {
        let fields = Fields::of(row, &self.header)?;
        self.check_municipality(&fields)?;
        let number = fields.number()?;
        let resident_number = fields.trimmed(Column::ResidentNumber)?;
        let my_number = fields.my_number()?;
        let resident = Resident {
            resident_number,
            name: fields.exact(Column::Name)?,
            name_kana: fields.exact(Column::NameKana)?,
            birth_date: fields
                .date_or_none(Column::BirthDate, |text| BirthDate::parse(text).map(BirthDate::yyyymmdd))?,
            sex: sex(&fields)?.into(),
            status: status(&fields)?.into(),
            status_date: fields.date_or_none(Column::ChangeDate, |text| Date::parse(text).map(Date::yyyymmdd))?,
            protected: protected(&fields)?,
            ..Resident::default()
        };
        Row::check(number, my_number, resident, row.line)
    }

    pub(super) fn check_municipality(&self, fields: &Fields<'_>) -> Result<(), Fault> {
        if *fields.bytes(Column::Municipality) == *self.code {
            return Ok(());
        }
        let (own, other) = (self.municipality, fields.municipality()?);
        if own == other {
            return Ok(());
        }
        let reason = format!(
            "{other} ({}), where line {} made this the register of {own} ({}); load the row from that municipality's own file",
            other.name(),
            self.fixed_on,
            own.name(),
        );
        Err(Fault::new(Column::Municipality, FaultCode::OtherMunicipality, reason))
    }
}

/// Opens a file of `kind` and goes to its first row.
pub(super) fn open_with_header(path: &Path, kind: FileKind) -> Result<(Source, Header), InputError> {
    let mut source = Source::open(path)?;
    if !source.advance()? {
        return Err(InputError::Empty { path: path.to_owned() });
    }
    let header = Header::read(path, kind, source.marked(), &source.row())?;
    source.begin_rows(header.width);
    Ok((source, header))
}

/// The municipality, how its code is spelled, and the line that says so. The source is where it was before.
fn find_municipality(source: &mut Source, header: &Header) -> Result<(Municipality, Box<[u8]>, u64), InputError> {
    let mut rows = 0;
    let mut first = None;
    while source.advance()? {
        rows += 1;
        let row = source.row();
        let line = row.line;
        let found = Fields::of(&row, header).and_then(|fields| {
            let municipality = fields.municipality()?;
            Ok((municipality, fields.bytes(Column::Municipality).into(), line))
        });
        match found {
            Ok(found) if source.rewind() => return Ok(found),
            Ok(_) => break,
            Err(fault) => first = first.or(Some((line, fault))),
        }
        if !source.can_rewind() {
            break;
        }
    }
    let path = source.path().to_owned();
    Err(match first {
        Some((line, fault)) => InputError::NoReadableRow { path, rows, line, fault },
        None => InputError::NoRows { path },
    })
}

/// The ticket number of a rejected row, if it is surely one of this register.
///
/// In a row of the right form a municipality code that cannot be read is a mistake in the code, not another register's row: removing the resident would be
/// worse. In a row of the wrong form the columns may be shifted, so there the code must stand in its place and be the file's.
fn kept_number(row: &RawRow<'_>, header: &Header, municipality: Municipality) -> Option<u64> {
    let fields = Fields::unverified(row, header);
    let number = fields.number().ok()?;
    match fields.municipality() {
        Ok(of_row) => (of_row == municipality).then_some(number),
        Err(_) => header.fits(row).then_some(number),
    }
}

fn sex(fields: &Fields<'_>) -> Result<Sex, Fault> {
    let refused = || Fault::new(Column::Sex, FaultCode::UnknownValue, "1 (male), 2 (female) or 9 (unknown)");
    match fields.small_number(Column::Sex).map_err(|fault| unless_encoding(fault, refused))? {
        None => Ok(Sex::Unspecified),
        Some(1) => Ok(Sex::Male),
        Some(2) => Ok(Sex::Female),
        Some(9) => Ok(Sex::Unknown),
        Some(_) => Err(refused()),
    }
}

/// 異動区分, as the status that it leads to; blank: active.
pub(super) fn status(fields: &Fields<'_>) -> Result<ResidentStatus, Fault> {
    let Some(text) = fields.text(Column::Change)? else { return Ok(ResidentStatus::Active) };
    match text.trim() {
        "新規" | "変更" | "再発行" => Ok(ResidentStatus::Active),
        "転出" => Ok(ResidentStatus::MovedOut),
        "死亡" => Ok(ResidentStatus::Deceased),
        "削除" => Ok(ResidentStatus::Removed),
        _ => {
            let reason = "新規, 変更, 転出, 死亡, 再発行, 削除, or nothing";
            Err(Fault::new(Column::Change, FaultCode::UnknownValue, reason))
        }
    }
}

/// 支援措置 is never guessed: a protected resident taken for an unprotected one can be found by whom they fled from.
fn protected(fields: &Fields<'_>) -> Result<bool, Fault> {
    let refused = || Fault::new(Column::Protected, FaultCode::UnknownValue, "0 (not protected) or 1 (protected)");
    match fields.small_number(Column::Protected).map_err(|fault| unless_encoding(fault, refused))? {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        Some(_) => Err(refused()),
        None => Err(Fault::new(Column::Protected, FaultCode::Missing, "is blank: write 0 or 1")),
    }
}

/// A value outside a list is told by the list, not as a number with the wrong digits.
fn unless_encoding(fault: Fault, refused: impl Fn() -> Fault) -> Fault {
    if fault.code == FaultCode::Encoding { fault } else { refused() }
}
