//! Why a file as a whole could not be read.
//!
//! Each message names the file, says what is wrong with it and what to do next, and leaves its source to the chain. Faults of single rows are not here: they
//! are [`RejectedRow`](super::RejectedRow)s, and the rest of the file goes on.
//!
//! A message never holds a value of a row, only header names and what was expected.

use std::io;
use std::path::PathBuf;

use sesshu_engine::intake::{Column, Fault};

use super::header::FileKind;

/// Why a file could not be read, or the file of rejected rows not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// Nothing has this name.
    #[error("there is no file {}: check the name and the working directory", path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// The system refused to open it.
    #[error("cannot open {}: check that this user may read it", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A directory where a file was expected.
    #[error("{} is a directory: name a CSV file in it", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// The system failed in the middle of the file.
    #[error("cannot read {} at byte {offset}: check the disk or the network share, then start again", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Bytes that had been read.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// No bytes, or blank lines only.
    #[error("{} is empty: check that the export finished", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Not text.
    #[error("{} is not a CSV file: it {looks}; save it as \"CSV UTF-8\" or as CSV in CP932", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        looks: &'static str,
    },
    /// The header line is not this kind of file's in any encoding.
    #[error("{} is not a {kind} file: the header line holds none of {}{}", path.display(), names(kind.columns()), hint(*looks_like))]
    NotThisKind {
        /// The file.
        path: PathBuf,
        /// What it was opened as.
        kind: FileKind,
        /// The kind whose header it has.
        looks_like: Option<FileKind>,
    },
    /// Columns that must be there are not.
    #[error("{} lacks {}: add the column to the header line and its value to every row", path.display(), names(columns))]
    MissingColumns {
        /// The file.
        path: PathBuf,
        /// All of them.
        columns: Vec<Column>,
    },
    /// Two columns have the same name, so a value would be a guess.
    #[error("{} has the column {column} twice: remove or rename one", path.display())]
    DuplicateColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: Column,
    },
    /// A header line and no row.
    #[error("{} has a header line and no rows: check that the export finished", path.display())]
    NoRows {
        /// The file.
        path: PathBuf,
    },
    /// No row names a municipality, so the file cannot be told to be anyone's.
    #[error(
        "{}: none of its first {rows} rows has a valid {}: compare the header line with the rows; line {line} is at fault in {fault}",
        path.display(), Column::Municipality
    )]
    NoReadableRow {
        /// The file.
        path: PathBuf,
        /// Rows that were tried.
        rows: usize,
        /// The line of the first.
        line: u64,
        /// What was wrong with the first.
        fault: Fault,
    },
    /// A folder without registers.
    #[error("{} holds no register-*.csv: check the folder, or name the file itself", path.display())]
    NoRegisters {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that cannot be listed.
    #[error("cannot list the folder {}: check its name and that this user may read it", path.display())]
    List {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file of rejected rows cannot be written.
    #[error("cannot write the rejected rows to {}: check the folder and the space left", path.display())]
    WriteRejects {
        /// The file of rejected rows.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn names(columns: &[Column]) -> String {
    let names: Vec<&str> = columns.iter().map(|column| column.header()).collect();
    names.join(", ")
}

fn hint(looks_like: Option<FileKind>) -> String {
    match looks_like {
        Some(kind) => format!("; it is a {kind} file"),
        None => "; check the file, or put the column names into its first line".to_owned(),
    }
}
