//! People are found by what staff type of them, by their newest row, in every municipality, and come back as the register wrote them.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rand::RngExt as _;
use sesshu_engine::error::Damage;
use sesshu_engine::intake::{Change, Row};
use sesshu_engine::names::{fold_kana, fold_kanji};
use sesshu_engine::{Found, Store, View, Within};
use sesshu_proto::v1::Resident;
use sesshu_tests::{CHIYODA, NAHA, Place, SAPPORO, load, municipality, reseal_footer, rng, shot, ticket};

/// Number, name, kana, birth date.
type Written = (u64, &'static str, &'static str, u32);

const PEOPLE: [Written; 8] = [
    (1, "渡邉\u{e0101}　花子", "ﾜﾀﾅﾍﾞ ﾊﾅｺ", 19_400_203),
    (2, "𠮷田 一郎", "ヨシダ　イチロウ", 19_400_203),
    (3, "髙橋 ジョー", "タカハシ　ジョ‐", 0),
    (4, "山﨑\u{e000} 京子", "やまさき　きょうこ", 19_990_100),
    (5, "SMITH JOHN", "スミス・ジョン", 19_851_111),
    (6, "渡辺 花子", "ワタナベハナコ", 19_400_203),
    (7, "渡邊花子", "ワタナベ ハナヨ", 19_850_102),
    (8, "仮名 無子", "", 19_850_102),
];

fn resident((number, name, name_kana, birth_date): Written) -> Resident {
    let resident_number = format!("{number:08}");
    Resident { resident_number, name: name.into(), name_kana: name_kana.into(), birth_date, ..Resident::default() }
}

fn row(written: Written) -> Row {
    Row::check(written.0, None, resident(written), 0).unwrap()
}

fn register(store: &Store, code: u32, people: &[Written]) {
    let mut load = store.load(municipality(code)).unwrap();
    people.iter().for_each(|&written| load.push(row(written)).unwrap());
    load.commit(None).unwrap();
}

fn change(store: &Store, code: u32, written: Written) {
    store.change(&[Change::row(municipality(code), row(written))]).unwrap().pop().unwrap().unwrap();
}

fn numbers(found: Result<Found<'_>, Damage>) -> Vec<u64> {
    let found = found.unwrap();
    assert!(!found.more);
    found.people.iter().map(|person| person.ticket().number()).collect()
}

const fn all() -> Within {
    Within { municipality: None, limit: 1000 }
}

fn within(code: u32) -> Within {
    Within { municipality: Some(municipality(code)), ..all() }
}

fn by_name(view: &View, name: &str) -> Vec<u64> {
    numbers(view.with_name(within(CHIYODA), name, None))
}

fn by_kana(view: &View, kana: &str, birth_date: u32) -> Vec<u64> {
    numbers(view.with_kana_and_birth_date(within(CHIYODA), kana, birth_date))
}

fn beginning(view: &View, kana: &str) -> Vec<u64> {
    numbers(view.with_kana_beginning(municipality(CHIYODA), kana, 1000))
}

/// Everybody is found by what staff may type.
fn everybody_is_found(view: &View) {
    for name in ["渡辺花子", "渡邊　花子", "渡邉 花子", "渡邉\u{e0100}花子"] {
        assert_eq!(by_name(view, name), [1, 6, 7], "{name}");
    }
    assert_eq!(numbers(view.with_name(within(CHIYODA), "渡辺花子", Some(19_850_102))), [7]);
    assert_eq!(
        [by_name(view, "吉田一郎"), by_name(view, "高橋ジョー"), by_name(view, "山崎\u{e000}京子")],
        [[2], [3], [4]]
    );
    assert_eq!(by_name(view, "ｓｍｉｔｈ　ｊｏｈｎ"), [5]);
    for kana in ["ワタナベハナコ", "わたなべ はなこ", "ﾜﾀﾅﾍﾞﾊﾅｺ"] {
        assert_eq!(by_kana(view, kana, 19_400_203), [1, 6], "{kana}");
        assert!(by_kana(view, kana, 19_400_204).is_empty(), "{kana}");
    }
    assert_eq!([by_kana(view, "ﾀｶﾊｼ ｼﾞﾖｰ", 0), by_kana(view, "ヤマサキ キヨウコ", 19_990_100)], [[3], [4]]);
    assert_eq!(beginning(view, "わたなべ"), [1, 6, 7]);
    assert_eq!(beginning(view, "ワタナベハナヨ"), [7]);
    assert!(beginning(view, "ワタナベハナヨコ").is_empty());
    assert_eq!(beginning(view, ""), [8, 5, 3, 4, 2, 1, 6, 7], "in the order of kana, then of numbers");
    assert!(by_name(view, "").is_empty() && by_kana(view, "", 19_850_102).is_empty());
    let people = view.with_resident_number(municipality(CHIYODA), "00000004").unwrap();
    assert_eq!(people[0].resident().unwrap().unwrap(), Resident { sex: 9, status: 1, ..resident(PEOPLE[3]) });
}

#[test]
fn people_are_found_by_what_staff_type_and_come_back_as_written() {
    let place = Place::in_memory();
    let store = place.open();
    // In the tail, in a generation, and half of them in each.
    PEOPLE.iter().for_each(|&person| change(&store, CHIYODA, person));
    everybody_is_found(&store.view());
    store.record(shot(ticket(CHIYODA, 99), 1, "")).unwrap();
    register(&store, CHIYODA, &PEOPLE);
    everybody_is_found(&store.view());
    register(&store, CHIYODA, &PEOPLE[..4]);
    PEOPLE[4..].iter().for_each(|&person| change(&store, CHIYODA, person));
    everybody_is_found(&store.view());
    everybody_is_found(&place.copy().open().view());
    drop(store);
    everybody_is_found(&place.open().view());
}

#[test]
fn a_changed_row_is_found_by_what_it_says_now_and_not_by_what_it_said() {
    let place = Place::in_memory();
    let store = place.open();
    register(&store, CHIYODA, &PEOPLE);
    let before = store.view();
    change(&store, CHIYODA, (2, "見本 次郎", "ミホン ジロウ", 19_400_203));
    change(&store, CHIYODA, (2, "見本 三郎", "ミホン サブロウ", 19_400_204));
    change(&store, CHIYODA, (9, "見本 三郎", "ミホン サブロウ", 19_400_204));
    let as_now = |view: &View| {
        assert_eq!(by_name(view, "見本三郎"), [2, 9]);
        assert_eq!(by_kana(view, "ミホンサブロウ", 19_400_204), [2, 9]);
        assert_eq!(beginning(view, "ミホン"), [2, 9]);
        assert!(by_name(view, "吉田一郎").is_empty() && by_name(view, "見本次郎").is_empty());
        assert!(by_kana(view, "ヨシダイチロウ", 19_400_203).is_empty());
        assert!(beginning(view, "ヨシダ").is_empty() && beginning(view, "ミホンジ").is_empty());
    };
    as_now(&store.view());
    assert_eq!(
        (by_name(&before, "吉田一郎"), beginning(&before, "ヨシダ")),
        (vec![2], vec![2]),
        "a view is one moment"
    );
    assert!(by_name(&before, "見本三郎").is_empty() && beginning(&before, "ミホン").is_empty());
    drop(before);
    as_now(&place.copy().open().view());
    store.checkpoint().unwrap();
    as_now(&place.copy().open().view());
    let mut next = store.load(municipality(CHIYODA)).unwrap();
    next.push(row(PEOPLE[0])).unwrap();
    (2..=9).for_each(|number| next.keep(number));
    let built = next.build(None).unwrap();
    change(&store, CHIYODA, (9, "見本 四郎", "ミホン シロウ", 19_400_205));
    built.install().unwrap();
    let folded = |view: &View| {
        assert_eq!((by_name(view, "見本三郎"), by_name(view, "見本四郎")), (vec![2], vec![9]));
        assert_eq!(beginning(view, "ミホン"), [2, 9]);
    };
    folded(&store.view());
    drop(store);
    folded(&place.open().view());
}

#[test]
fn people_of_all_municipalities_are_found_and_more_than_were_asked_for_are_told() {
    let place = Place::in_memory();
    let store = place.open();
    for code in [CHIYODA, NAHA, SAPPORO] {
        register(&store, code, &PEOPLE);
    }
    change(&store, NAHA, (1, "見本 花子", "ミホン ハナコ", 19_400_203));
    let view = store.view();
    let tickets = |found: Found<'_>| -> Vec<_> { found.people.iter().map(|person| person.ticket()).collect() };
    let everywhere = tickets(view.with_kana_and_birth_date(all(), "ワタナベハナコ", 19_400_203).unwrap());
    let expected = [(SAPPORO, 1), (SAPPORO, 6), (CHIYODA, 1), (CHIYODA, 6), (NAHA, 6)];
    assert_eq!(everywhere, expected.map(|(code, number)| ticket(code, number)));
    for limit in 0..=6 {
        let found = view.with_name(Within { limit, ..all() }, "渡辺花子", Some(19_400_203)).unwrap();
        assert_eq!(found.more, limit < 5);
        assert_eq!(tickets(found)[..], everywhere[..limit.min(5)]);
        let found = view.with_kana_beginning(municipality(NAHA), "", limit).unwrap();
        assert_eq!((found.people.len(), found.more), (limit, true));
    }
}

#[test]
fn a_name_that_everybody_has_loads_and_is_found() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=20_000, 1);
    let view = store.view();
    let found = view.with_kana_and_birth_date(all(), "ヨシダハナコ", 19_400_000).unwrap();
    assert_eq!((found.people.len(), found.more), (1000, true));
    let limit = usize::MAX;
    let found = view.with_kana_beginning(municipality(CHIYODA), "ヨシ", limit).unwrap();
    assert!(found.people.iter().map(|person| person.ticket().number()).eq(1..=20_000));
}

/// Takes the look-ups out of a generation: what a program writes that does not know of them.
fn forget_look_ups(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let footer = bytes.len() - 512;
    for at in (footer + 64..bytes.len()).step_by(24) {
        if [3u32, 6, 7, 8, 9].iter().any(|tag| bytes[at..at + 4] == tag.to_le_bytes()) {
            bytes[at..at + 4].copy_from_slice(&200u32.to_le_bytes());
        }
    }
    reseal_footer(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_generation_without_look_ups_is_read_through() {
    let place = Place::in_memory();
    let store = place.open();
    register(&store, CHIYODA, &PEOPLE[..6]);
    PEOPLE[6..].iter().for_each(|&person| change(&store, CHIYODA, person));
    drop(store);
    forget_look_ups(&place.file("ledgers/131016/000001.gen"));
    everybody_is_found(&place.open().view());
}

#[test]
fn whatever_changes_everybody_is_found_and_nobody_else() {
    let mut rng = rng();
    let place = Place::in_memory();
    let mut store = place.open();
    let pieces =
        ["アイ", "あい", "ｱｲ", "ヴァ", "カ\u{3099}", "ー", "−", "髙", "高", "邉\u{e0100}", "辺", "A", "ａ", " ", "ッ"];
    let mut held = std::collections::BTreeMap::<u64, Resident>::new();
    for round in 0..60 {
        let mut text =
            || -> String { (0..rng.random_range(1..4)).map(|_| pieces[rng.random_range(0..pieces.len())]).collect() };
        let (name, name_kana) = (format!("山{}", text()), text());
        let number = rng.random_range(0..25);
        let resident =
            Resident { name, name_kana, birth_date: rng.random_range(0..2) * 19_990_000, ..Resident::default() };
        let checked = Row::check(number, None, resident, 0).unwrap();
        held.insert(number, checked.resident().clone());
        store.change(&[Change::row(municipality(CHIYODA), checked)]).unwrap().pop().unwrap().unwrap();
        match round % 20 {
            7 => {
                let mut next = store.load(municipality(CHIYODA)).unwrap();
                for (&number, resident) in &held {
                    next.push(Row::check(number, None, resident.clone(), 0).unwrap()).unwrap();
                }
                next.commit(None).unwrap();
            }
            13 => {
                drop(store);
                store = place.open();
            }
            _ => {}
        }
    }
    let view = store.view();
    for resident in held.values() {
        let with = |is: &dyn Fn(&Resident) -> bool| -> Vec<u64> {
            held.iter().filter(|(_, other)| is(other)).map(|(&number, _)| number).collect()
        };
        let kana = fold_kana(&resident.name_kana);
        let same = with(&|other| fold_kana(&other.name_kana) == kana && other.birth_date == resident.birth_date);
        assert_eq!(
            by_kana(&view, &resident.name_kana, resident.birth_date),
            if kana.is_empty() { vec![] } else { same }
        );
        assert_eq!(
            by_name(&view, &resident.name),
            with(&|other| fold_kanji(&other.name) == fold_kanji(&resident.name))
        );
        for end in (0..=kana.len()).filter(|&end| kana.is_char_boundary(end)) {
            let ordered: BTreeSet<(String, u64)> =
                held.iter().map(|(&number, other)| (fold_kana(&other.name_kana), number)).collect();
            let expected = ordered.iter().filter(|(other, _)| other.starts_with(&kana[..end]));
            assert_eq!(beginning(&view, &kana[..end]), expected.map(|(_, number)| *number).collect::<Vec<_>>());
        }
    }
}
