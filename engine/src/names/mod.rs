//! Names as they are looked for: one form for all the spellings that staff may type for the same name.
//!
//! Owns the folding. What is folded is a key to look a name up by and is never shown: the spelling that a register has is kept byte for byte. Folding
//! brings together too much rather than too little: whoever looks sees a few people more, and misses nobody. Pure.
//!
//! | is folded | to |
//! |---|---|
//! | variation selectors, joiners, spaces of every width, middle dots | nothing |
//! | half-width kana, full-width letters, compatibility characters | what NFKC makes of them |
//! | letters | upper case |
//! | hiragana | katakana |
//! | small kana | large kana |
//! | dashes and lines that stand for a long mark | ー |
//! | variants of a kanji ([`fold_kanji`] alone) | the kanji that family registers write for it (see `variants`) |
//!
//! Private-use characters (外字) stay as they are: what one means is known to the register that holds it alone.

mod variants;

use unicode_normalization::UnicodeNormalization as _;

/// 氏名カナ as it is looked for.
#[must_use]
pub fn fold_kana(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    fold_kana_into(&mut folded, name);
    folded
}

/// 氏名 as it is looked for.
#[must_use]
pub fn fold_kanji(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    fold_kanji_into(&mut folded, name);
    folded
}

/// As [`fold_kana`], into `folded`, whose content is replaced.
pub(crate) fn fold_kana_into(folded: &mut String, name: &str) {
    fold(folded, name, plain_kana);
}

/// As [`fold_kanji`], into `folded`, whose content is replaced.
pub(crate) fn fold_kanji_into(folded: &mut String, name: &str) {
    fold(folded, name, |c| if variants::is_common_kanji(c) { Plain::To(variants::fold(c)) } else { plain_kana(c) });
    if !folded.is_ascii() && folded.chars().any(variants::is_rare_kanji) {
        let kanji: String = folded.chars().map(variants::fold).collect();
        folded.clone_from(&kanji);
    }
}

/// What a character folds to whatever stands beside it.
enum Plain {
    To(char),
    Nothing,
    /// That depends on what stands beside it, or on tables: the name takes the long way.
    Unknown,
}

/// Folds a name: character by character while they are plain ones, as nearly all are, else on the long way.
#[inline]
fn fold(folded: &mut String, name: &str, plain: impl Fn(char) -> Plain) {
    folded.clear();
    for c in name.chars() {
        match plain(c) {
            Plain::To(c) => folded.push(c),
            Plain::Nothing => {}
            Plain::Unknown => {
                fold_slowly(folded, name);
                let after: String = folded.chars().map(|c| if let Plain::To(to) = plain(c) { to } else { c }).collect();
                folded.clone_from(&after);
                return;
            }
        }
    }
}

/// Kana and what stands between them.
#[inline]
fn plain_kana(c: char) -> Plain {
    match c {
        'ァ'..='ヶ' | 'ー' => Plain::To(large(c)),
        ' ' | '\u{3000}' | '・' => Plain::Nothing,
        'ぁ'..='ゖ' => Plain::To(large(katakana(c))),
        _ => Plain::Unknown,
    }
}

/// Rounds of the long way at most. Each takes characters apart or away or brings them nearer to katakana; two are the most that is known to be needed.
const ROUNDS_MAX: usize = 8;

/// Characters of any kind. What one round leaves may be composed or dropped by the next (ｶ, a space, a mark): it ends when a round changes nothing.
fn fold_slowly(folded: &mut String, name: &str) {
    let mut before = name.to_owned();
    for _ in 0..ROUNDS_MAX {
        folded.clear();
        folded.extend(before.chars().filter(|&c| !is_dropped(c)).map(mark).nfkc().filter_map(kana).flat_map(upper));
        if *folded == before {
            return;
        }
        before.clone_from(folded);
    }
}

/// Marks of voicing that stand for themselves, as those that belong to the kana before them.
fn mark(c: char) -> char {
    match c {
        '゛' => '\u{3099}',
        '゜' => '\u{309a}',
        _ => c,
    }
}

fn kana(c: char) -> Option<char> {
    match c {
        _ if is_dropped(c) => None,
        'ぁ'..='ゖ' => Some(large(katakana(c))),
        'ァ'..='ヶ' => Some(large(c)),
        // Hyphens, dashes, the minus sign, lines of tables: what a keyboard gives for a long mark.
        '-' | '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{2500}' | '\u{2501}' | '\u{30fc}' => Some('ー'),
        'ㇰ'..='ㇿ' => Some(
            ['ク', 'シ', 'ス', 'ト', 'ヌ', 'ハ', 'ヒ', 'フ', 'ヘ', 'ホ', 'ム', 'ラ', 'リ', 'ル', 'レ', 'ロ']
                [c as usize - 0x31f0],
        ),
        _ => Some(c),
    }
}

/// Upper case where that is one character; ß and its like stay.
fn upper(c: char) -> impl Iterator<Item = char> {
    let mut upper = c.to_uppercase();
    let one = upper.next().filter(|_| upper.next().is_none());
    std::iter::once(one.unwrap_or(c))
}

/// What a name is the same without.
fn is_dropped(c: char) -> bool {
    let selector =
        matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' | '\u{180b}'..='\u{180d}' | '\u{180f}');
    let joiner = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}' | '\u{34f}');
    let dot = matches!(c, '・' | '･' | '·' | '•' | '‧' | '∙' | '⋅');
    selector || joiner || dot || c.is_whitespace()
}

/// The katakana of a hiragana.
#[inline]
fn katakana(c: char) -> char {
    char::from_u32(c as u32 + 0x60).unwrap_or(c)
}

/// The large kana of a small katakana; every other character itself.
#[inline]
fn large(c: char) -> char {
    match c {
        'ァ' | 'ィ' | 'ゥ' | 'ェ' | 'ォ' | 'ッ' | 'ャ' | 'ュ' | 'ョ' | 'ヮ' => {
            char::from_u32(c as u32 + 1).unwrap_or(c)
        }
        'ヵ' => 'カ',
        'ヶ' => 'ケ',
        _ => c,
    }
}

#[cfg(test)]
mod tests;
