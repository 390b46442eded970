//! The encodings that files come in, and how bytes become text.
//!
//! UTF-8 with or without a byte order mark, and CP932 (Windows-31J). Both hold ASCII as it is, so ASCII fields are never decoded. The user-defined
//! characters of CP932 (外字, F040–F9FC) become the private-use characters U+E000–U+E757 in order, and are kept: only the municipality knows what they
//! look like.
//!
//! Which of the two a file is in is told by its header line: see `header`.

use std::borrow::Cow;
use std::fmt;

use encoding_rs::SHIFT_JIS;

/// The byte order mark of UTF-8.
pub(super) const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// The encoding of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    Utf8,
    /// CP932, as Windows in Japanese writes it.
    Cp932,
}

impl Encoding {
    /// The text of `bytes`, or `None` if they are not text in this encoding.
    pub(super) fn decode(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        match self {
            Encoding::Utf8 => str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Encoding::Cp932 => SHIFT_JIS.decode_without_bom_handling_and_without_replacement(bytes),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Encoding::Utf8 => "UTF-8",
            Encoding::Cp932 => "CP932",
        })
    }
}

/// What bytes at the start of a file look like, if they are surely not text in either encoding.
pub(super) fn not_text(start: &[u8]) -> Option<&'static str> {
    if start.starts_with(b"PK\x03\x04") {
        return Some("looks like an Excel workbook or a ZIP archive");
    }
    if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
        return Some("is in UTF-16");
    }
    start.contains(&0).then_some("holds binary data")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn user_defined_characters_of_cp932_are_kept_in_order() {
        let mut expected = 0xe000;
        for lead in 0xf0..=0xf9 {
            for trail in (0x40..=0x7e).chain(0x80..=0xfc) {
                let bytes = [lead, trail];
                let text = Encoding::Cp932.decode(&bytes).unwrap();
                assert_eq!(text.chars().collect::<Vec<_>>(), [char::from_u32(expected).unwrap()]);
                expected += 1;
            }
        }
        assert_eq!(expected, 0xe758);
    }

    #[test]
    fn no_character_of_cp932_holds_a_byte_that_splits_csv() {
        for lead in 0x80..=0xff {
            for splitter in *b",\"\r\n" {
                let bytes = [lead, splitter];
                let text = Encoding::Cp932.decode(&bytes);
                // Half-width kana are one byte long, so the splitter stands for itself.
                assert!(text.is_none_or(|text| text.ends_with(char::from(splitter))));
            }
        }
    }

    #[test]
    fn characters_with_a_backslash_or_a_bar_as_second_byte_are_read() {
        assert_eq!(Encoding::Cp932.decode(b"\x95\x5c\x83\x5c\x83\x7c"), Some("表ソポ".into()));
        assert_eq!(Encoding::Cp932.decode(b"\xfb\xfc\xfa\xb1\xb1"), Some("髙﨑ｱ".into()));
    }
}
