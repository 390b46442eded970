//! What is worth a remark in a register row that is taken.
//!
//! Owns the list of remarks and how each is told. A remark changes nothing: it names what the municipality may want to look at. Those of one row alone are
//! found here, from the row; those of two rows of one register are found by its load, which tells them in the same words.

use super::fault::Column;
use super::row::Row;

/// What a remark is about, as a stable word for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RemarkCode {
    /// A character that only the register's own system knows how to draw (外字).
    PrivateUse,
    /// A birth date whose month or day is not known, or none at all.
    OpenBirthDate,
    /// Another row of the register has the same resident number.
    SharedResidentNumber,
    /// Another row of the register has the same My Number.
    SharedMyNumber,
}

impl RemarkCode {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            RemarkCode::PrivateUse => "private_use",
            RemarkCode::OpenBirthDate => "open_birth_date",
            RemarkCode::SharedResidentNumber => "shared_resident_number",
            RemarkCode::SharedMyNumber => "shared_my_number",
        }
    }
}

/// A remark on one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The row's line in its file, or 0.
    pub line: u64,
    /// The column that it is about.
    pub column: Column,
    /// The stable word.
    pub code: RemarkCode,
    /// For people.
    pub reason: String,
}

/// The remarks on a row alone, in the order of its columns.
pub(super) fn of_row(row: &Row) -> impl Iterator<Item = Remark> {
    let (line, resident) = (row.line(), row.resident());
    let names = [(Column::Name, &resident.name), (Column::NameKana, &resident.name_kana)];
    let private = names.into_iter().filter_map(move |(column, text)| {
        let (place, first) = first_private_use(text)?;
        let reason = format!(
            "character {place} is private (U+{:04X}): only the register's own system can draw it",
            first as u32
        );
        Some(Remark { line, column, code: RemarkCode::PrivateUse, reason })
    });
    let birth_date = resident.birth_date;
    let open = (birth_date % 100 == 0).then(|| {
        let reason = match (birth_date, birth_date / 100 % 100) {
            (0, _) => "there is no birth date",
            (_, 0) => "neither the month nor the day of birth is known",
            _ => "the day of birth is not known",
        };
        Remark { line, column: Column::BirthDate, code: RemarkCode::OpenBirthDate, reason: reason.into() }
    });
    private.chain(open)
}

/// A remark on a row that shares a value with the row in line `other`.
pub(crate) fn of_shared(line: u64, code: RemarkCode, other: u64) -> Remark {
    let (column, what) = match code {
        RemarkCode::SharedMyNumber => (Column::MyNumber, "My Number"),
        _ => (Column::ResidentNumber, "resident number"),
    };
    Remark { line, column, code, reason: format!("line {other} has the same {what}") }
}

/// The first private-use character of a text, and its place, from 1.
fn first_private_use(text: &str) -> Option<(usize, char)> {
    // Their first bytes are 0xEE, 0xEF, 0xF3 and 0xF4; most texts have none of these. All bytes are looked at, so several are at once.
    if !text.bytes().fold(false, |found, byte| found | matches!(byte, 0xee | 0xef | 0xf3 | 0xf4)) {
        return None;
    }
    let is_private =
        |c: char| matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{ffffd}' | '\u{100000}'..='\u{10fffd}');
    (1..).zip(text.chars()).find(|&(_, c)| is_private(c))
}

#[cfg(test)]
mod tests {
    use sesshu_proto::v1::Resident;

    use super::*;

    fn remarks(name: &str, name_kana: &str, birth_date: u32) -> Vec<(Column, RemarkCode)> {
        let resident = Resident { name: name.into(), name_kana: name_kana.into(), birth_date, ..Resident::default() };
        let row = Row::check(1, None, resident, 9).unwrap();
        row.remarks().inspect(|remark| assert_eq!(remark.line, 9)).map(|it| (it.column, it.code)).collect()
    }

    #[test]
    fn a_row_is_remarked_upon_for_private_characters_and_open_dates_alone() {
        use Column::{BirthDate, Name, NameKana};
        use RemarkCode::{OpenBirthDate, PrivateUse};
        assert_eq!(remarks("𠮷田　邉\u{e0101}子", "ﾖｼﾀﾞ", 19_400_229), []);
        assert_eq!(remarks("！～￥", "", 19_400_229), [], "full width begins with the same byte");
        assert_eq!(remarks("\u{e000}田", "\u{10fffd}", 19_400_229), [(Name, PrivateUse), (NameKana, PrivateUse)]);
        for open in [0, 19_400_000, 19_400_500] {
            assert_eq!(remarks("\u{f8ff}", "", open), [(Name, PrivateUse), (BirthDate, OpenBirthDate)]);
        }
        let resident = Resident { name: "田\u{e757}".into(), birth_date: 20_210_412, ..Resident::default() };
        let row = Row::check(1, None, resident, 0).unwrap();
        let reasons: Vec<String> = row.remarks().map(|remark| remark.reason).collect();
        assert_eq!(reasons, ["character 2 is private (U+E757): only the register's own system can draw it"]);
    }
}
