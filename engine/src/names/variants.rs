//! Kanji and their variants: which of them a name is looked for with.
//!
//! Owns the table, filled from that of crate `jntajis` as kanji are met: 文字情報基盤's shrink map (MJ縮退マップ), whose data is
//! CC BY-SA 2.1 JP of the Character Information Technology Promotion Council and the Information-technology Promotion Agency. Of its four rules three are
//! followed: incorporation into JIS, inference by reading and glyph, and the notices on family registers. The fourth, 法務省告示582号, says what foreigners'
//! cards may write instead and takes 切 for 功.
//!
//! A rule leads from a kanji to another, which may itself lead on (栁 → 柳), or back (徳 ↔ 德). The end of the way counts; of a circle, its first character.

use std::sync::atomic::{AtomicU32, Ordering};

use jntajis::codec::mj_shrink::{MJShrinkScheme, MJShrinkSchemes, mj_shrink_candidates};

/// Blocks of kanji: the basic ones and extension A, compatibility ideographs, the supplementary planes'.
const BLOCKS: [(u32, u32); 3] = [(0x3400, 0xa000), (0xf900, 0xfb00), (0x2_0000, 0x3_23b0)];

/// Characters of all blocks.
const KANJI: usize = {
    let (mut sum, mut block) = (0, 0);
    while block < BLOCKS.len() {
        sum += BLOCKS[block].1 - BLOCKS[block].0;
        block += 1;
    }
    sum as usize
};

/// What each kanji folds to, block after block; 0 where nobody has asked yet. Whoever asks at the same time finds the same.
static FOLDED: [AtomicU32; KANJI] = [const { AtomicU32::new(0) }; KANJI];

/// Whether it is one of the kanji that no normalization changes and nearly all names are written with.
#[inline]
pub(super) fn is_common_kanji(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}')
}

/// Whether it is another kanji.
#[inline]
pub(super) fn is_rare_kanji(c: char) -> bool {
    BLOCKS.iter().any(|&(first, end)| (first..end).contains(&(c as u32))) && !is_common_kanji(c)
}

/// The kanji that a kanji is looked for with; every other character itself.
#[inline]
pub(super) fn fold(c: char) -> char {
    let (code, mut before) = (c as u32, 0);
    for (first, end) in BLOCKS {
        if (first..end).contains(&code) {
            let known = &FOLDED[(before + code - first) as usize];
            return char::from_u32(known.load(Ordering::Relaxed))
                .filter(|&c| c != '\0')
                .unwrap_or_else(|| ask(c, known));
        }
        before += end - first;
    }
    c
}

/// Asks the map, and keeps the answer.
#[cold]
fn ask(c: char, known: &AtomicU32) -> char {
    let folded = end_of_way(c);
    known.store(folded as u32, Ordering::Relaxed);
    folded
}

fn end_of_way(from: char) -> char {
    let mut way = vec![from];
    loop {
        let here = way[way.len() - 1];
        let next = step(here);
        if next == here {
            return here;
        }
        if let Some(met) = way.iter().position(|&c| c == next) {
            return way[met..].iter().copied().min().unwrap_or(next);
        }
        way.push(next);
    }
}

fn step(from: char) -> char {
    // The map lies in an archive of crate `rkyv`, whose relative pointers the interpreter's rules for borrows do not allow.
    if cfg!(miri) {
        return from;
    }
    let rules = MJShrinkSchemes::builder()
        .with(MJShrinkScheme::JISIncorporationUCSUnificationRule)
        .with(MJShrinkScheme::InferenceByReadingAndGlyph)
        .with(MJShrinkScheme::MOJFamilyRegisterActRelatedNotice);
    let first = mj_shrink_candidates(from.encode_utf8(&mut [0; 4]), rules).next();
    // What is no kanji is no way's end: the map knows none, and a name must fold to the same however often it is folded.
    let kanji = |c: &char| BLOCKS.iter().any(|&(first, end)| (first..end).contains(&(*c as u32)));
    first.and_then(|first| first.chars().next()).filter(kanji).unwrap_or(from)
}
