//! The bytes of a file, one row at a time.
//!
//! Owns the window of the file that is in memory, the count of lines, and the rule where reading goes on after a row that is no CSV: at the line after the one
//! it began on. The window always holds the longest row that is allowed, so `split` never has to wait for more.
//!
//! ```text
//! file    ………………[ read before │ the current row │ not split yet            ]………………
//! window        0              └ row            └ start                    └ end
//! ```
//!
//! Lines are counted as an editor counts them: from 1, line breaks inside quotes included. Blank lines are no rows.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::encoding::{BYTE_ORDER_MARK, not_text};
use super::error::InputError;
use super::split::{ROW_BYTES_MAX, Span, Split, split, swallows_a_row};

/// Bytes of the window.
const WINDOW_BYTES: usize = 1 << 20;

/// Old exports end with Ctrl-Z, the end-of-file mark of DOS.
const END_OF_FILE_MARK: &[u8] = b"\x1a";

/// An open file.
pub(super) struct Source {
    path: PathBuf,
    file: File,
    bytes_total: u64,
    /// Began with a byte order mark.
    marked: bool,
    window: Box<[u8]>,
    start: usize,
    end: usize,
    /// Where in the file the window begins.
    offset: u64,
    /// The file ends where the window ends.
    ended: bool,
    /// The line that `start` is on.
    line: u64,
    /// Fields of a row, once the header line has told.
    width: Option<usize>,
    current: Current,
    spans: Vec<Span>,
    /// Where in the first window the rows begin, and on which line.
    rows_begin: (usize, u64),
    /// The rest of an endless line is to be left out.
    inside_line: bool,
}

#[derive(Default)]
struct Current {
    bytes: Range<usize>,
    line: u64,
    broken: Option<&'static str>,
}

impl Source {
    /// Opens a file and looks at its first bytes.
    pub(super) fn open(path: &Path) -> Result<Source, InputError> {
        let file = File::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => InputError::NotFound { path: path.to_owned() },
            _ => InputError::Open { path: path.to_owned(), source },
        })?;
        let metadata = file.metadata().map_err(|source| InputError::Open { path: path.to_owned(), source })?;
        if metadata.is_dir() {
            return Err(InputError::Directory { path: path.to_owned() });
        }
        let mut source = Source {
            path: path.to_owned(),
            file,
            bytes_total: metadata.len(),
            marked: false,
            window: vec![0; WINDOW_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            offset: 0,
            ended: false,
            line: 1,
            width: None,
            current: Current::default(),
            spans: Vec::new(),
            rows_begin: (0, 1),
            inside_line: false,
        };
        source.fill()?;
        let first = &source.window[..source.end.min(ROW_BYTES_MAX)];
        if let Some(looks) = not_text(first) {
            return Err(InputError::NotText { path: source.path, looks });
        }
        if first.starts_with(&BYTE_ORDER_MARK) {
            source.marked = true;
            source.start = BYTE_ORDER_MARK.len();
        }
        Ok(source)
    }

    /// The file's path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file began with a byte order mark.
    pub(super) fn marked(&self) -> bool {
        self.marked
    }

    /// The file's size when it was opened; 0 for a pipe.
    pub(super) fn bytes_total(&self) -> u64 {
        self.bytes_total
    }

    /// How far rows have been taken.
    pub(super) fn bytes_read(&self) -> u64 {
        self.offset + self.start as u64
    }

    /// Tells that the current row is the header line and has `width` fields.
    pub(super) fn begin_rows(&mut self, width: usize) {
        self.width = Some(width);
        self.rows_begin = (self.start, self.line);
    }

    /// Goes back to the row after the header line. `false` if it is no longer in memory.
    #[must_use]
    pub(super) fn rewind(&mut self) -> bool {
        if self.offset == 0 {
            (self.start, self.line) = self.rows_begin;
            self.inside_line = false;
        }
        self.offset == 0
    }

    /// Whether [`Source::rewind`] still works.
    pub(super) fn can_rewind(&self) -> bool {
        self.offset == 0
    }

    /// Goes to the next row that is not blank. `false` at the end of the file.
    pub(super) fn advance(&mut self) -> Result<bool, InputError> {
        loop {
            if self.inside_line {
                self.leave_line()?;
            }
            self.fill()?;
            if self.start == self.end {
                return Ok(false);
            }
            self.take_row();
            if !self.row().is_blank() {
                return Ok(true);
            }
        }
    }

    /// The row that the last [`Source::advance`] went to.
    pub(super) fn row(&self) -> RawRow<'_> {
        RawRow {
            line: self.current.line,
            bytes: &self.window[self.current.bytes.clone()],
            spans: &self.spans,
            broken: self.current.broken,
        }
    }

    fn take_row(&mut self) {
        let window = &self.window[self.start..self.end];
        let (bytes, breaks) = match split(window, self.ended, &mut self.spans) {
            Split::Row { bytes, breaks } => {
                if breaks > 0 && self.width.is_some_and(|width| swallows_a_row(&window[..bytes], width)) {
                    return self.take_line("a quote opens here and closes in a later row");
                }
                (bytes, breaks)
            }
            Split::Broken { reason } => return self.take_line(reason),
        };
        self.current = Current { bytes: self.start..self.start + bytes, line: self.line, broken: None };
        self.line += 1 + breaks;
        self.start += bytes;
    }

    /// Takes one line of what is no CSV row.
    fn take_line(&mut self, reason: &'static str) {
        let window = &self.window[self.start..self.end];
        let line = window.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
        self.inside_line = line.is_none();
        let bytes = line.unwrap_or(window.len());
        let kept = bytes.min(ROW_BYTES_MAX);
        // Quoted fields before the break may have gone on to later lines.
        self.spans.retain(|span| span.ends_by(kept));
        self.current = Current { bytes: self.start..self.start + kept, line: self.line, broken: Some(reason) };
        self.line += 1;
        self.start += bytes;
    }

    /// Skips the rest of a line that is longer than the window.
    fn leave_line(&mut self) -> Result<(), InputError> {
        while self.inside_line {
            self.fill()?;
            let window = &self.window[self.start..self.end];
            let line = window.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
            self.start += line.unwrap_or(window.len());
            self.inside_line = line.is_none() && !self.ended;
        }
        Ok(())
    }

    /// Reads until the window holds more than the longest row, or all that is left.
    fn fill(&mut self) -> Result<(), InputError> {
        if self.ended || self.end - self.start > ROW_BYTES_MAX {
            return Ok(());
        }
        self.window.copy_within(self.start..self.end, 0);
        self.offset += self.start as u64;
        self.end -= self.start;
        self.start = 0;
        while self.end < self.window.len() {
            match self.file.read(&mut self.window[self.end..]) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(bytes) => self.end += bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    let offset = self.offset + self.end as u64;
                    return Err(InputError::Read { path: self.path.clone(), offset, source });
                }
            }
        }
        Ok(())
    }
}

/// One row as it stands in the file.
pub(super) struct RawRow<'a> {
    /// The line that it begins on.
    pub(super) line: u64,
    bytes: &'a [u8],
    spans: &'a [Span],
    broken: Option<&'static str>,
}

impl<'a> RawRow<'a> {
    /// Why the row is no CSV, if so. Then its fields are only those before the break.
    pub(super) fn broken(&self) -> Option<&'static str> {
        self.broken
    }

    /// How many fields it has.
    pub(super) fn width(&self) -> usize {
        self.spans.len()
    }

    /// A field's bytes.
    pub(super) fn field(&self, position: usize) -> Option<Cow<'a, [u8]>> {
        self.spans.get(position).map(|span| span.of(self.bytes))
    }

    /// The bytes of every field, in order.
    pub(super) fn fields(&self) -> impl Iterator<Item = Cow<'a, [u8]>> {
        let bytes = self.bytes;
        self.spans.iter().map(move |span| span.of(bytes))
    }

    /// Every field as it stands in the row, with its quotes.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &'a [u8]> {
        let bytes = self.bytes;
        self.spans.iter().map(move |span| span.with_quotes(bytes))
    }

    /// The whole row without its line end; of a row that is no CSV, its first line.
    pub(super) fn bytes(&self) -> &'a [u8] {
        let bytes = self.bytes.strip_suffix(b"\n").unwrap_or(self.bytes);
        bytes.strip_suffix(b"\r").unwrap_or(bytes)
    }

    fn is_blank(&self) -> bool {
        let bytes = self.bytes();
        bytes.is_empty() || bytes == END_OF_FILE_MARK
    }
}
