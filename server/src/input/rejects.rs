//! Rows that were not taken: what is told of one, and the file they are written to.
//!
//! The file is for the people who must mend the rows: CSV that a spreadsheet opens, with the line in their own file, the column, a word, a reason, and the row
//! itself. It holds names and birth dates, so only its owner may read it, and it never holds a My Number: see `mask`.
//!
//! Remarks on rows that were taken are told in files of the same form.
//!
//! The store rejects rows too (a ticket number that stands twice). It knows the line and not the text, so there the row is left blank.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sesshu_engine::intake::{Column, Fault};
use sesshu_proto::v1;

use super::encoding::BYTE_ORDER_MARK;
use super::error::InputError;
use super::fields::Fields;
use super::header::Header;
use super::mask::{masked, masked_row, masked_ticket};
use super::source::RawRow;

/// A row that was not taken. It holds no My Number, nor a longer run of digits that could be one.
#[derive(Clone, PartialEq, Eq)]
pub struct RejectedRow {
    /// The line that the row begins on, from 1; the header line is 1.
    pub line: u64,
    /// What is wrong with it.
    pub fault: Fault,
    /// The row as it stands in the file, masked.
    pub row: String,
    /// Of a register: the ticket number, if it can be read. The resident's previous version is to be kept.
    pub kept_number: Option<u64>,
    /// Of a shots file: the ticket as presented, if there is one.
    pub ticket: Option<String>,
}

impl RejectedRow {
    pub(super) fn of_register(
        row: &RawRow<'_>,
        header: &Header,
        fault: Fault,
        kept_number: Option<u64>,
    ) -> RejectedRow {
        RejectedRow { kept_number, ..RejectedRow::new(row, header, fault) }
    }

    pub(super) fn of_shots(row: &RawRow<'_>, header: &Header, fault: Fault) -> RejectedRow {
        let ticket = Fields::unverified(row, header).text(Column::TicketLine).ok().flatten();
        RejectedRow { ticket: ticket.map(|text| masked_ticket(&text)), ..RejectedRow::new(row, header, fault) }
    }

    fn new(row: &RawRow<'_>, header: &Header, fault: Fault) -> RejectedRow {
        // A reason may quote what was found.
        let fault = Fault { reason: masked(&fault.reason), ..fault };
        RejectedRow { line: row.line, fault, row: masked_row(row, header), kept_number: None, ticket: None }
    }
}

/// Without the row and the ticket: they are a person's.
impl fmt::Debug for RejectedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RejectedRow").field("line", &self.line).field("fault", &self.fault).finish_non_exhaustive()
    }
}

/// A file of rejected rows: UTF-8 with a byte order mark, because spreadsheets take it for the local encoding otherwise.
pub struct RejectsFile {
    path: PathBuf,
    writer: csv::Writer<File>,
}

impl RejectsFile {
    const HEADER: [&str; 6] = ["line", "column", "code", "reason", "row", "file"];

    /// Creates the file, or empties it. A new one is readable by its owner only.
    ///
    /// # Errors
    ///
    /// [`InputError::WriteRejects`].
    pub fn create(path: &Path) -> Result<RejectsFile, InputError> {
        let failed = |source: io::Error| InputError::WriteRejects { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(failed)?;
        file.write_all(&BYTE_ORDER_MARK).map_err(failed)?;
        let writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(file);
        let mut rejects = RejectsFile { path: path.to_owned(), writer };
        rejects.write_record(RejectsFile::HEADER)?;
        Ok(rejects)
    }

    /// Writes a row of `file` that was rejected by its reader.
    ///
    /// # Errors
    ///
    /// [`InputError::WriteRejects`].
    pub fn write(&mut self, file: &Path, rejected: &RejectedRow) -> Result<(), InputError> {
        let RejectedRow { line, fault, row, .. } = rejected;
        let (column, code) = (fault.column.header(), fault.code.as_str());
        self.write_record([&line.to_string(), column, code, &fault.reason, row, &file.to_string_lossy()])
    }

    /// Writes a row of `file` that was rejected by the store.
    ///
    /// # Errors
    ///
    /// [`InputError::WriteRejects`].
    pub fn write_reported(&mut self, file: &Path, rejected: &v1::RejectedRow) -> Result<(), InputError> {
        let v1::RejectedRow { line, column, code, reason } = rejected;
        self.write_record([&line.to_string(), column, code, &masked(reason), "", &file.to_string_lossy()])
    }

    /// Writes a remark on a row of `file` that was taken.
    ///
    /// # Errors
    ///
    /// [`InputError::WriteRejects`].
    pub fn write_remark(&mut self, file: &Path, remark: &v1::Remark) -> Result<(), InputError> {
        let v1::Remark { line, column, code, reason } = remark;
        self.write_record([&line.to_string(), column, code, reason, "", &file.to_string_lossy()])
    }

    /// Writes what is buffered. Rows that a dropped file still held are lost.
    ///
    /// # Errors
    ///
    /// [`InputError::WriteRejects`].
    pub fn finish(mut self) -> Result<(), InputError> {
        self.writer.flush().map_err(|source| InputError::WriteRejects { path: self.path, source })
    }

    fn write_record(&mut self, record: [&str; 6]) -> Result<(), InputError> {
        self.writer
            .write_record(record)
            .map_err(|error| InputError::WriteRejects { path: self.path.clone(), source: error.into() })
    }
}
