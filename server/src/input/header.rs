//! The header line: which encoding the file is in, and which field of a row is which column.
//!
//! Columns are found by name, in any order. Columns that the format does not know are ignored, and told to the caller. A column that must be there and is not,
//! or that is there twice, is an error, because guessing would put values into the wrong field of every row.
//!
//! The encoding is told by the header: with a byte order mark it is UTF-8; else it is the one in which the line holds the name of a column that must be there. The names hold
//! characters that are told apart by every byte, so no file has them in both.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use sesshu_engine::intake::Column;

use super::encoding::Encoding;
use super::error::InputError;
use super::source::RawRow;

/// The kinds of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A municipality's residents.
    Register,
    /// Changes of a municipality's residents.
    Changes,
    /// Shots that were given, of any municipality.
    Shots,
}

impl FileKind {
    const ALL: [FileKind; 3] = [FileKind::Register, FileKind::Changes, FileKind::Shots];

    /// The columns, in the order that municipalities keep them.
    #[must_use]
    pub fn columns(self) -> &'static [Column] {
        match self {
            FileKind::Register => &Column::REGISTER,
            FileKind::Changes => &Column::CHANGES,
            FileKind::Shots => &Column::SHOTS,
        }
    }

    /// The columns that a file must have.
    #[must_use]
    pub fn required(self) -> &'static [Column] {
        match self {
            FileKind::Register | FileKind::Changes => &Column::REGISTER,
            FileKind::Shots => {
                &[Column::TicketLine, Column::Date, Column::Dose, Column::Vaccine, Column::Lot, Column::Venue]
            }
        }
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileKind::Register => "register",
            FileKind::Changes => "changes",
            FileKind::Shots => "shots",
        })
    }
}

/// What the header line says.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) encoding: Encoding,
    /// Fields of every row.
    pub(super) width: usize,
    /// By the column's discriminant.
    positions: [Option<u16>; Column::Row as usize],
    pub(super) ignored: Vec<String>,
}

impl Header {
    /// Reads the header line of a file that is said to be of `kind`.
    pub(super) fn read(path: &Path, kind: FileKind, marked: bool, line: &RawRow<'_>) -> Result<Header, InputError> {
        let path = || path.to_owned();
        if line.broken().is_some() {
            return Err(InputError::NotText {
                path: path(),
                looks: "has a stray quote in its first line, or no end of it",
            });
        }
        let encodings: &[Encoding] = if marked { &[Encoding::Utf8] } else { &[Encoding::Utf8, Encoding::Cp932] };
        let found = |kind: FileKind| encodings.iter().find(|encoding| holds_any(line, **encoding, kind));
        let Some(&encoding) = found(kind) else {
            let looks_like = FileKind::ALL.into_iter().find(|kind| found(*kind).is_some());
            return Err(InputError::NotThisKind { path: path(), kind, looks_like });
        };

        let mut header =
            Header { encoding, width: line.width(), positions: [None; Column::Row as usize], ignored: Vec::new() };
        for (position, name) in names(line, encoding).enumerate() {
            let Some(column) = column_of(kind, &name) else {
                header.ignored.push(name);
                continue;
            };
            // A header line is shorter than 64 KiB, so it has fewer fields than that.
            if header.positions[column as usize].replace(position as u16).is_some() {
                return Err(InputError::DuplicateColumn { path: path(), column });
            }
        }
        let missing = |column: &&Column| header.position(**column).is_none();
        let columns: Vec<Column> = kind.required().iter().filter(missing).copied().collect();
        if columns.is_empty() { Ok(header) } else { Err(InputError::MissingColumns { path: path(), columns }) }
    }

    /// Whether the row is CSV and has as many fields as the header line, so that its columns can be told.
    pub(super) fn fits(&self, row: &RawRow<'_>) -> bool {
        row.broken().is_none() && row.width() == self.width
    }

    /// Which field of a row holds `column`, from 0.
    pub(super) fn position(&self, column: Column) -> Option<usize> {
        self.positions.get(column as usize).copied().flatten().map(usize::from)
    }
}

fn holds_any(line: &RawRow<'_>, encoding: Encoding, kind: FileKind) -> bool {
    names(line, encoding).any(|name| of_name(kind.required(), &name).is_some())
}

fn column_of(kind: FileKind, name: &str) -> Option<Column> {
    of_name(kind.columns(), name)
}

fn of_name(columns: &[Column], name: &str) -> Option<Column> {
    columns.iter().copied().find(|column| column.header() == name)
}

/// The names in the header line. One that is not text in `encoding` is no known name, and is ignored as other unknown names are.
fn names<'a>(line: &'a RawRow<'_>, encoding: Encoding) -> impl Iterator<Item = String> + 'a {
    line.fields().map(move |bytes| {
        let name = encoding.decode(&bytes).unwrap_or(Cow::Borrowed("\u{fffd}"));
        name.trim().to_owned()
    })
}
