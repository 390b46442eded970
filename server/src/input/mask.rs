//! What may be shown of a row that was rejected: everything but a My Number.
//!
//! A row whose fields can be told apart hides its My Number field whole. But the number may stand in the wrong field, in a column of the file's own, or in a
//! row that cannot be told apart, so every long run of digits is hidden too, wherever it stands: half- and full-width digits, with blanks, hyphens or other
//! marks between them. Commas end a run, since they end a field: a municipality code beside a ticket number stays readable.
//!
//! Eleven digits are enough for a run, because the first eleven of a My Number determine the twelfth. Ticket numbers have ten, dates eight.

use std::borrow::Cow;

use sesshu_engine::intake::Column;

use super::encoding::Encoding;
use super::header::Header;
use super::source::RawRow;

/// What stands in place of what is hidden.
const MASK: &str = "************";

/// Digits of the shortest run that is hidden.
const RUN_DIGITS_MIN: usize = 11;

/// What is taken for a ticket line, misread or not: 18 digits, give or take two.
const TICKET_LINE_DIGITS_MIN: usize = 16;
const TICKET_LINE_CHARACTERS_MAX: usize = 20;

/// Characters of a row that are shown at most.
const SHOWN_CHARACTERS_MAX: usize = 4096;

/// What stands in place of bytes that are not text. Their field is hidden whole, because digits of the other encoding could be read out of it.
const UNREADABLE: &str = "\u{fffd}";

/// The row as it may be shown.
pub(super) fn masked_row(row: &RawRow<'_>, header: &Header) -> String {
    let mut shown = String::with_capacity(row.bytes().len());
    if header.fits(row) {
        for (position, piece) in row.pieces().enumerate() {
            if position > 0 {
                shown.push(',');
            }
            let text = readable(piece, header.encoding);
            if header.position(Column::MyNumber) == Some(position) && text.chars().any(|mark| !is_blank(mark)) {
                shown.push_str(MASK);
            } else if header.position(Column::TicketLine) == Some(position) {
                shown.push_str(&masked_ticket(&text));
            } else {
                mask_digits(&text, &mut shown);
            }
        }
    } else {
        let pieces: Vec<_> =
            row.bytes().split(|&byte| byte == b',').map(|piece| readable(piece, header.encoding)).collect();
        mask_digits(&pieces.join(","), &mut shown);
    }
    if let Some((end, _)) = shown.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

fn is_blank(mark: char) -> bool {
    mark.is_whitespace() || mark == '"'
}

fn readable(piece: &[u8], encoding: Encoding) -> Cow<'_, str> {
    encoding.decode(piece).unwrap_or(Cow::Borrowed(UNREADABLE))
}

/// Appends `text` to `shown`, long runs of digits hidden.
fn mask_digits(text: &str, shown: &mut String) {
    // Where the run began in `shown`, where its last digit ends, and how many digits it has.
    let mut start = shown.len();
    let mut end = start;
    let mut digits = 0;
    for character in text.chars() {
        if character.is_numeric() {
            if digits == 0 {
                start = shown.len();
            }
            digits += 1;
            shown.push(character);
            end = shown.len();
        } else if joins_digits(character) {
            shown.push(character);
        } else {
            hide(shown, start, end, digits);
            digits = 0;
            shown.push(character);
        }
    }
    hide(shown, start, end, digits);
}

/// Whether digits on both sides may be one number: blanks and marks, the long-vowel mark that is typed for a hyphen among them.
fn joins_digits(character: char) -> bool {
    matches!(character, 'ー' | 'ｰ') || (character != ',' && !character.is_alphanumeric())
}

fn hide(shown: &mut String, start: usize, end: usize, digits: usize) {
    if digits >= RUN_DIGITS_MIN {
        shown.replace_range(start..end, MASK);
    }
}

/// `text` with long runs of digits hidden.
pub(super) fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    mask_digits(text, &mut shown);
    shown
}

/// The text of a ticket field as presented, unless it may be a My Number in the wrong field. A ticket line with a digit lost or doubled is shown.
pub(super) fn masked_ticket(text: &str) -> String {
    let digits = text.chars().filter(|character| character.is_numeric()).count();
    let characters = text.chars().filter(|character| character.is_alphanumeric()).count();
    if digits >= TICKET_LINE_DIGITS_MIN && characters <= TICKET_LINE_CHARACTERS_MAX {
        text.to_owned()
    } else {
        masked(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_my_number_is_hidden_in_every_spelling() {
        for spelling in [
            "123456789018",
            "１２３４５６７８９０１８",
            "1234 5678 9018",
            "1234-5678-9018",
            "１２３４　５６７８－９０１８",
            "1234ー5678・9018",
            "\"1234\"\"5678\"9018",
            "1234\u{200b}5678\n9018",
            "١٢٣٤٥٦٧٨٩٠١٨",
            "12345678901",
        ] {
            let shown = masked(&format!("山田,{spelling},花子"));
            assert!(shown.starts_with("山田,") && shown.ends_with(",花子") && shown.contains(MASK), "{shown}");
            assert!(shown.chars().filter(|character| character.is_numeric()).count() == 0, "{shown}");
        }
    }

    #[test]
    fn codes_ticket_numbers_and_dates_stay_readable() {
        let row = "131016,0000012345,000000000123,\"山田 太郎\",19400000,1,新規,20210401,0";
        assert_eq!(masked(row), row.replace("000000000123", MASK));
    }

    #[test]
    fn a_ticket_line_is_shown_and_a_my_number_in_its_place_is_not() {
        for line in [
            "211310170000012345",
            "２１１３１０１６００００１２３４５X",
            "2113 101600 00012345",
            "21131016000001234",
            "12345",
        ] {
            assert_eq!(masked_ticket(line), line);
        }
        assert_eq!(masked_ticket("1234-5678-9018"), MASK);
        assert_eq!(masked_ticket("123456789018山田太郎花子"), format!("{MASK}山田太郎花子"));
    }
}
