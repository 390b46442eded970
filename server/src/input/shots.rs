//! A shots file: inoculations that happened, of any municipality, row by row.
//!
//! Refuses only what cannot be parsed: the check of a shot says so, and nothing here is stricter. A blank vaccine, lot or venue is for the quality rules to
//! find, since a rule that blocks makes people write false data. Columns that a file may lack are read as blank. A row without a ticket says whose shot it is:
//! municipality, name in kana, birth date.
//!
//! A rejected row goes with its ticket as presented, so that whoever sent the file is answered shot by shot.

use std::path::Path;

use sesshu_engine::intake::{Column, Fault, FaultCode, ShotRecord};
use sesshu_engine::ticket::BirthDate;
use sesshu_proto::v1::{Provisional, Shot, Source as Origin};

use super::encoding::Encoding;
use super::error::InputError;
use super::fields::Fields;
use super::header::{FileKind, Header};
use super::register::open_with_header;
use super::rejects::RejectedRow;
use super::source::{RawRow, Source};

/// A shot and the line it stands on.
pub struct ShotRow {
    /// The line that the row begins on, from 1; the header line is 1.
    pub line: u64,
    /// The checked shot.
    pub record: ShotRecord,
}

/// An open shots file.
pub struct ShotsFile {
    source: Source,
    header: Header,
}

impl ShotsFile {
    /// Opens a shots file and reads its header line. A file without rows is no error.
    ///
    /// # Errors
    ///
    /// [`InputError`] if it is no shots file.
    pub fn open(path: &Path) -> Result<ShotsFile, InputError> {
        let (source, header) = open_with_header(path, FileKind::Shots)?;
        Ok(ShotsFile { source, header })
    }

    /// The file's encoding.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.header.encoding
    }

    /// Columns that are no shot's, by the names in the header line.
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
        shots: &mut Vec<ShotRow>,
        rejected: &mut Vec<RejectedRow>,
        rows_max: usize,
    ) -> Result<bool, InputError> {
        for _ in 0..rows_max {
            if !self.source.advance()? {
                return Ok(false);
            }
            let row = self.source.row();
            match self.read(&row) {
                Ok(record) => shots.push(ShotRow { line: row.line, record }),
                Err(fault) => rejected.push(RejectedRow::of_shots(&row, &self.header, fault)),
            }
        }
        Ok(true)
    }

    fn read(&self, row: &RawRow<'_>) -> Result<ShotRecord, Fault> {
        let fields = Fields::of(row, &self.header)?;
        let has_ticket = fields.text(Column::TicketLine)?.is_some();
        let shot = Shot {
            date: fields.date(Column::Date)?,
            dose: fields.dose()?,
            vaccine: fields.exact(Column::Vaccine)?,
            lot: fields.exact(Column::Lot)?,
            venue: fields.exact(Column::Venue)?,
            institution: fields.institution()?,
            doctor: fields.exact(Column::Doctor)?,
            capture_id: fields.trimmed(Column::CaptureId)?,
            source: Origin::File.into(),
            ..Shot::default()
        };
        if has_ticket {
            return ShotRecord::check(fields.ticket_line()?, shot);
        }
        let name_kana = fields.exact(Column::NameKana)?;
        if name_kana.is_empty() {
            let reason = "is blank; where there is no ticket, 自治体コード, 氏名カナ and 生年月日 say whose shot it is";
            return Err(Fault::new(Column::TicketLine, FaultCode::Missing, reason));
        }
        let municipality = fields.municipality()?;
        let birth_date =
            fields.date_or_none(Column::BirthDate, |text| BirthDate::parse(text).map(BirthDate::yyyymmdd))?;
        let provisional = Some(Provisional { name_kana, birth_date });
        ShotRecord::check_without_ticket(municipality, Shot { provisional, ..shot })
    }
}
