//! Splits one row of a window of bytes into its fields, by the rules of CSV (RFC 4180), and says where the row ends.
//!
//! Works on raw bytes in either encoding: the second byte of a CP932 character is 0x40–0x7E or 0x80–0xFC, never a comma (0x2C), a quote (0x22) or a line
//! feed (0x0A). Fields are spans of the window; nothing is copied.
//!
//! Stricter than common CSV readers, which accept stray quotes and then swallow the rows up to the next one: a quote stands at both ends of a field or
//! nowhere, and a row ends within [`ROW_BYTES_MAX`]. Where that fails the row is [`Split::Broken`] at its first line, so the rows after it are read.

use std::borrow::Cow;

/// Bytes of one row at most, line end included. A register row at its longest fields has under 1 KiB.
pub(super) const ROW_BYTES_MAX: usize = 64 << 10;

/// Where a field stands in the window, without its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
    /// Holds doubled quotes.
    escaped: bool,
}

impl Span {
    fn new(start: usize, end: usize, escaped: bool) -> Span {
        // Spans lie in a window of ROW_BYTES_MAX.
        Span { start: start as u32, end: end as u32, escaped }
    }

    /// Whether the field ends at or before `place`.
    pub(super) fn ends_by(self, place: usize) -> bool {
        self.end as usize <= place
    }

    /// The field as it stands in the row.
    pub(super) fn with_quotes(self, row: &[u8]) -> &[u8] {
        let (start, end) = (self.start as usize, self.end as usize);
        // What stands before a field without quotes is a comma.
        if start > 0 && row[start - 1] == b'"' { &row[start - 1..=end] } else { &row[start..end] }
    }

    /// The field's bytes. Only doubled quotes cost a copy.
    pub(super) fn of(self, row: &[u8]) -> Cow<'_, [u8]> {
        let bytes = &row[self.start as usize..self.end as usize];
        if !self.escaped {
            return Cow::Borrowed(bytes);
        }
        let mut unescaped = Vec::with_capacity(bytes.len());
        let mut after_quote = false;
        for &byte in bytes {
            after_quote = byte == b'"' && !after_quote;
            if !after_quote {
                unescaped.push(byte);
            }
        }
        Cow::Owned(unescaped)
    }
}

/// What stands at the start of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Split {
    /// A row of `bytes` bytes, line end included, that holds `breaks` line breaks inside quotes.
    Row { bytes: usize, breaks: u64 },
    /// No CSV row. The fields before the break are still told.
    Broken { reason: &'static str },
}

/// Splits the row at the start of `window` into `fields`. `whole` says that the input ends where the window ends; otherwise the window is longer than
/// [`ROW_BYTES_MAX`].
pub(super) fn split(window: &[u8], whole: bool, fields: &mut Vec<Span>) -> Split {
    fields.clear();
    let row_ends_here = whole && window.len() <= ROW_BYTES_MAX;
    let window = &window[..window.len().min(ROW_BYTES_MAX)];
    let mut breaks = 0;
    let mut at = 0;
    loop {
        let (span, after) = if window.get(at) == Some(&b'"') {
            match quoted(window, at + 1) {
                Some((span, after, inside)) => {
                    breaks += inside;
                    (span, after)
                }
                None if row_ends_here => return Split::Broken { reason: "a quote opens here and never closes" },
                None => return Split::Broken { reason: "a quote opens here and does not close within 64 KiB" },
            }
        } else {
            let rest = &window[at..];
            let length = rest.iter().position(|&byte| matches!(byte, b',' | b'\n' | b'"')).unwrap_or(rest.len());
            (unquoted(window, at, at + length), at + length)
        };
        match window.get(after) {
            Some(b',') => {
                fields.push(span);
                at = after + 1;
            }
            Some(b'\n') => {
                fields.push(span);
                return Split::Row { bytes: after + 1, breaks };
            }
            Some(b'\r') if matches!(window.get(after + 1), Some(b'\n')) => {
                fields.push(span);
                return Split::Row { bytes: after + 2, breaks };
            }
            // The file may end without a line end, or in the middle of one.
            None | Some(b'\r') if row_ends_here && after + 1 >= window.len() => {
                fields.push(span);
                return Split::Row { bytes: window.len(), breaks };
            }
            None => return Split::Broken { reason: "a row of more than 64 KiB" },
            Some(b'"') => return Split::Broken { reason: "a quote inside a field that does not begin with one" },
            Some(_) => return Split::Broken { reason: "characters after the quote that ends a field" },
        }
    }
}

/// The field from `start`, just behind its opening quote: its span, the place behind its closing quote, and the line breaks inside.
fn quoted(window: &[u8], start: usize) -> Option<(Span, usize, u64)> {
    let mut escaped = false;
    let mut breaks = 0;
    let mut at = start;
    loop {
        match window.get(at)? {
            b'"' if window.get(at + 1) == Some(&b'"') => {
                escaped = true;
                at += 1;
            }
            b'"' => return Some((Span::new(start, at, escaped), at + 1, breaks)),
            b'\n' => breaks += 1,
            _ => {}
        }
        at += 1;
    }
}

/// The field without quotes from `start` to `end`. The last of a row runs to the line feed, and so over the carriage return before it.
fn unquoted(window: &[u8], start: usize, end: usize) -> Span {
    let last = window.get(end).is_none_or(|&byte| byte == b'\n');
    let carriage_return = last && window[start..end].last() == Some(&b'\r');
    Span::new(start, end - usize::from(carriage_return), false)
}

/// Whether a row with line breaks inside has swallowed another row: a stray quote in one row that meets a stray quote in a later one reads as one field.
/// A line of its own that has all of a row's commas is taken for a row.
pub(super) fn swallows_a_row(row: &[u8], columns: usize) -> bool {
    row.split(|&byte| byte == b'\n')
        .skip(1)
        .any(|line| line.iter().filter(|&&byte| byte == b',').count() >= columns.saturating_sub(1).max(1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(window: &[u8]) -> (Split, Vec<String>) {
        let mut fields = Vec::new();
        let split = split(window, true, &mut fields);
        (split, fields.iter().map(|span| String::from_utf8(span.of(window).into_owned()).unwrap()).collect())
    }

    #[test]
    fn quotes_commas_and_line_breaks_stay_inside_their_field() {
        let row = b"a,\"b,\"\"c\"\"\r\nd\",\"\",e\r\nnext";
        let (split, fields) = texts(row);
        assert_eq!(fields, ["a", "b,\"c\"\r\nd", "", "e"]);
        assert_eq!(split, Split::Row { bytes: row.len() - 4, breaks: 1 });
    }

    #[test]
    fn a_stray_quote_breaks_the_row_and_keeps_the_fields_before_it() {
        for row in [&b"a,b\"c,d\n"[..], b"a,\"b\"c,d\n", b"a,\"b\n", b"a,\"b\"\rc\n"] {
            let (split, fields) = texts(row);
            assert!(matches!(split, Split::Broken { .. }), "{split:?}");
            assert_eq!(fields, ["a"]);
        }
    }

    #[test]
    fn the_last_row_needs_no_line_end() {
        for row in [&b"a,b"[..], b"a,b\r", b"a,\"b\"", b"a,\"b\"\r"] {
            let (split, fields) = texts(row);
            assert_eq!(
                (split, &fields[..]),
                (Split::Row { bytes: row.len(), breaks: 0 }, &["a".into(), "b".into()][..])
            );
        }
    }

    #[test]
    fn a_row_ends_within_its_limit_or_is_broken() {
        let mut fields = Vec::new();
        let mut row = vec![b'a'; ROW_BYTES_MAX];
        row[ROW_BYTES_MAX - 1] = b'\n';
        row.push(b'b');
        assert_eq!(split(&row, false, &mut fields), Split::Row { bytes: ROW_BYTES_MAX, breaks: 0 });
        row.insert(0, b'a');
        assert!(matches!(split(&row, false, &mut fields), Split::Broken { .. }));
        assert!(matches!(split(&row, true, &mut fields), Split::Broken { .. }));
    }

    proptest! {
        #[test]
        fn what_a_csv_writer_wrote_is_read_back(
            fields in prop::collection::vec("[a-c,\"\r\n 　山]{0,6}", 2..6), crlf: bool,
        ) {
            // Without the carriage return at the line end, a writer leaves one at the end of a field unquoted.
            let (end, quotes) = match crlf {
                true => (csv::Terminator::CRLF, csv::QuoteStyle::Necessary),
                false => (csv::Terminator::Any(b'\n'), csv::QuoteStyle::Always),
            };
            let mut writer = csv::WriterBuilder::new().terminator(end).quote_style(quotes).from_writer(Vec::new());
            writer.write_record(&fields).unwrap();
            let written = writer.into_inner().unwrap();
            let (split, read) = texts(&written);
            prop_assert_eq!(read, fields);
            let whole = matches!(split, Split::Row { bytes, .. } if bytes == written.len());
            prop_assert!(whole);
        }

        #[test]
        fn any_bytes_are_split_or_broken_without_a_panic(bytes in prop::collection::vec(prop::sample::select(&b"a,\"\r\n"[..]), 0..40)) {
            let mut fields = Vec::new();
            if let Split::Row { bytes: length, .. } = split(&bytes, true, &mut fields) {
                prop_assert!(length <= bytes.len());
                prop_assert!(!fields.is_empty());
            }
        }
    }
}
