//! A file of changes: single rows of one municipality's register, in the order in which they happened.
//!
//! It has the columns of a register file. A row is the resident as they are from then on; where 異動区分 is 転出, 死亡 or 削除 and the name is blank, it is that
//! status and 異動日 alone, and the rest of the resident's row stays as it is. Where it is 再発行, a further column, 旧券番号, names the ticket that is replaced.

use std::path::Path;

use sesshu_engine::intake::{Change, Column, Fault, FaultCode};
use sesshu_engine::ticket::{Date, Municipality, Ticket};
use sesshu_proto::v1::ResidentStatus;

use super::error::InputError;
use super::fields::Fields;
use super::header::FileKind;
use super::register::{RegisterFile, status};
use super::rejects::RejectedRow;
use super::source::RawRow;

/// A change and the line it stands on.
pub struct ChangeRow {
    /// The line that the row begins on, from 1; the header line is 1.
    pub line: u64,
    /// The checked change.
    pub change: Change,
}

/// An open file of changes.
pub struct ChangesFile {
    file: RegisterFile,
}

impl ChangesFile {
    /// Opens a file of changes, reads its header line, and looks for its municipality.
    ///
    /// # Errors
    ///
    /// As [`RegisterFile::open`].
    pub fn open(path: &Path) -> Result<ChangesFile, InputError> {
        Ok(ChangesFile { file: RegisterFile::open_as(path, FileKind::Changes)? })
    }

    /// Whose register it changes.
    #[must_use]
    pub fn municipality(&self) -> Municipality {
        self.file.municipality()
    }

    /// The file's size when it was opened; 0 for a pipe.
    #[must_use]
    pub fn bytes_total(&self) -> u64 {
        self.file.bytes_total()
    }

    /// Bytes up to the next row.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.file.bytes_read()
    }

    /// Reads up to `rows_max` rows and appends each to one of the two lists. `false` when the file has ended.
    ///
    /// # Errors
    ///
    /// [`InputError::Read`].
    pub fn next_batch(
        &mut self,
        changes: &mut Vec<ChangeRow>,
        rejected: &mut Vec<RejectedRow>,
        rows_max: usize,
    ) -> Result<bool, InputError> {
        for _ in 0..rows_max {
            if !self.file.source.advance()? {
                return Ok(false);
            }
            let row = self.file.source.row();
            match self.read(&row) {
                Ok(change) => changes.push(ChangeRow { line: row.line, change }),
                Err(fault) => rejected.push(RejectedRow::of_register(&row, &self.file.header, fault, None)),
            }
        }
        Ok(true)
    }

    fn read(&self, row: &RawRow<'_>) -> Result<Change, Fault> {
        let fields = Fields::of(row, &self.file.header)?;
        if fields.text(Column::Change)?.is_some_and(|text| text.trim() == "再発行") {
            if self.file.header.position(Column::PreviousNumber).is_none() {
                let reason = "再発行 needs a column 旧券番号 that names the ticket which is replaced";
                return Err(Fault::new(Column::PreviousNumber, FaultCode::Missing, reason));
            }
            return Change::reissue(self.municipality(), fields.previous_number()?, self.file.read(row)?);
        }
        let status = status(&fields)?;
        if status == ResidentStatus::Active || fields.text(Column::Name)?.is_some() {
            return Ok(Change::row(self.municipality(), self.file.read(row)?));
        }
        self.file.check_municipality(&fields)?;
        let number = fields.number()?;
        let ticket = Ticket::new(self.municipality(), number).expect("ten digits are a ticket number");
        let date = fields.date_or_none(Column::ChangeDate, |text| Date::parse(text).map(Date::yyyymmdd))?;
        Change::status(ticket, status, date)
    }
}
