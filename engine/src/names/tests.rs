//! What staff type finds what registers write.

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization as _;

use super::*;

#[track_caller]
fn kana_meet(spellings: &[&str]) {
    let folded: Vec<String> = spellings.iter().map(|name| fold_kana(name)).collect();
    assert!(folded.windows(2).all(|pair| pair[0] == pair[1]), "{spellings:?} fold to {folded:?}");
}

#[track_caller]
fn kanji_meet(spellings: &[&str]) {
    let folded: Vec<String> = spellings.iter().map(|name| fold_kanji(name)).collect();
    assert!(folded.windows(2).all(|pair| pair[0] == pair[1]), "{spellings:?} fold to {folded:?}");
}

#[test]
fn kana_of_every_width_and_kind_meet() {
    kana_meet(&[
        "ヤマダ　タロウ",
        "ﾔﾏﾀﾞ ﾀﾛｳ",
        "やまだ たろう",
        "ヤマダタロウ",
        "ヤマタ゛・タロウ",
        "ヤマタ\u{3099}\u{200b}タロウ",
    ]);
    kana_meet(&["キョウコ", "キヨウコ", "ｷｮｳｺ", "きょうこ"]);
    kana_meet(&["ハットリ", "ハツトリ", "ﾊｯﾄﾘ"]);
    kana_meet(&["ヴィクトリア", "ｳﾞｨｸﾄﾘｱ", "ゔぃくとりあ", "ヴイクトリア"]);
    kana_meet(&["ジョー", "ジョ‐", "ジョ−", "ジョ―", "ｼﾞｮｰ", "ジョ-", "ジョ－", "ジョ–", "ジヨー"]);
    kana_meet(&["パク", "ﾊﾟｸ", "ハ゜ク", "ぱく"]);
    kana_meet(&["Smith John", "ｓｍｉｔｈ　ｊｏｈｎ", "SMITH・JOHN"]);
    kana_meet(&["", "　", " \u{3000}・"]);
}

#[test]
fn what_sounds_different_stays_different() {
    for (one, other) in [("ハシモト", "バシモト"), ("ユウコ", "ユーコ"), ("オオノ", "オノ"), ("シン", "ジン")]
    {
        assert_ne!(fold_kana(one), fold_kana(other));
    }
    for (one, other) in [("吉田", "古田"), ("斎藤", "斉藤"), ("切", "効"), ("大", "犬"), ("\u{e000}", "\u{e001}")]
    {
        assert_ne!(fold_kanji(one), fold_kanji(other));
    }
}

#[test]
fn variants_of_a_kanji_meet() {
    kanji_meet(&["髙橋　一郎", "高橋一郎", "高橋・一郎"]);
    kanji_meet(&["山﨑", "山崎", "山\u{fa11}"]);
    kanji_meet(&["渡邉", "渡邊", "渡辺", "渡邉\u{e0101}", "渡\u{fe00}邊", "渡邉\u{e0100}"]);
    kanji_meet(&["𠮷田", "吉田"]);
    kanji_meet(&["齋藤", "斎藤"]);
    kanji_meet(&["長澤", "長沢"]);
    kanji_meet(&["濵田", "濱田", "浜田"]);
    kanji_meet(&["栁", "柳"]);
    kanji_meet(&["徳", "德"]);
    kanji_meet(&["神\u{fe00}山", "\u{fa19}山", "神山"]);
    kanji_meet(&["さくら", "サクラ", "ｻｸﾗ"]);
    kanji_meet(&["鶴ヶ岡", "鶴ケ岡", "鶴ｹ岡"]);
    kanji_meet(&["㈱", "(株)"]);
}

#[test]
fn private_use_characters_stay_as_they_are() {
    assert_eq!(fold_kanji("\u{e000}田 \u{f8ff}"), "\u{e000}田\u{f8ff}");
    assert_eq!(fold_kana("\u{e000}"), "\u{e000}");
    assert_eq!(fold_kanji("\u{f_0000}髙"), "\u{f_0000}高");
}

#[test]
fn the_short_way_and_the_long_way_lead_to_the_same() {
    let every = (0..=0x3_2400).filter_map(char::from_u32);
    for c in every {
        if let Plain::To(_) | Plain::Nothing = plain_kana(c) {
            let mut slow = String::new();
            fold_slowly(&mut slow, c.encode_utf8(&mut [0; 4]));
            assert_eq!(fold_kana(c.encode_utf8(&mut [0; 4])), slow, "{c:?}");
        }
        if variants::is_common_kanji(c) {
            assert!(std::iter::once(c).nfkc().eq([c]), "{c:?}: no normalization changes it");
        }
    }
}

#[test]
fn every_character_folds_to_what_folds_to_itself() {
    for c in (0..=0x10_ffff).filter_map(char::from_u32) {
        let once = fold_kanji(c.encode_utf8(&mut [0; 4]));
        assert_eq!(fold_kanji(&once), once, "{c:?}");
    }
}

fn name() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        any::<char>(),
        prop::char::range('\u{3000}', '\u{30ff}'),
        prop::char::range('\u{3099}', '\u{309c}'),
        prop::char::range('\u{ff61}', '\u{ff9f}'),
        prop::char::range('\u{4e00}', '\u{9fff}'),
        prop::char::range('\u{f900}', '\u{fb00}'),
        prop::char::range('\u{e0100}', '\u{e01ef}'),
        prop::sample::select(vec![' ', '\u{3000}', '・', '-', 'ー', '\u{300}', '\u{345}', 'ß', 'ﬀ', '𠮷', '\u{e000}']),
    ];
    prop::collection::vec(character, 0..12).prop_map(String::from_iter)
}

proptest! {
    #[test]
    fn folding_twice_is_folding_once(name in name()) {
        let (kana, kanji) = (fold_kana(&name), fold_kanji(&name));
        prop_assert_eq!(&fold_kana(&kana), &kana);
        prop_assert_eq!(&fold_kanji(&kanji), &kanji);
    }

    #[test]
    fn a_selector_or_a_space_anywhere_changes_nothing(name in name(), at in any::<prop::sample::Index>(), what in prop::sample::select(vec![' ', '\u{3000}', '\u{fe00}', '\u{e0100}', '・', '\u{200b}'])) {
        let mut characters: Vec<char> = name.chars().collect();
        let at = at.index(characters.len() + 1);
        characters.insert(at, what);
        let other: String = characters.into_iter().collect();
        prop_assert_eq!(fold_kana(&other), fold_kana(&name));
        prop_assert_eq!(fold_kanji(&other), fold_kanji(&name));
    }
}
