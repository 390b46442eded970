//! My Numbers are nowhere to be read, and only what needs the key asks for it.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::HashSet;
use std::fs;

use sesshu_engine::error::{KeyError, Kind, LoadError, OpenError};
use sesshu_engine::intake::Row;
use sesshu_engine::{KeyLocation, Options, OutsideKey, Platform, Store};
use sesshu_tests::{
    Answer, CHIYODA, Place, answer, files_below, load, municipality, my_number, record, resident, row, shot, ticket,
};

const ROWS: u64 = 300;

fn with_my_numbers(store: &Store, version: u32, numbers: impl Iterator<Item = u64>) {
    let mut load = store.load(municipality(CHIYODA)).unwrap();
    for number in numbers {
        load.push(Row::check(number, Some(my_number(number)), resident(number, version), 0).unwrap()).unwrap();
    }
    load.commit(None).unwrap();
}

/// How often any of the numbers stands in `bytes`, as text or as the five bytes that are sealed, in either order of bytes.
fn sightings(bytes: &[u8], numbers: &[u64]) -> usize {
    let text: HashSet<[u8; 12]> =
        numbers.iter().map(|number| format!("{number:012}").into_bytes().try_into().unwrap()).collect();
    let binary: HashSet<[u8; 5]> = numbers
        .iter()
        .flat_map(|number| {
            let (little, big) = (number.to_le_bytes(), number.to_be_bytes());
            [little[..5].try_into().unwrap(), big[3..].try_into().unwrap()]
        })
        .collect();
    let texts = bytes.windows(12).filter(|window| text.contains(*window)).count();
    texts + bytes.windows(5).filter(|window| binary.contains(*window)).count()
}

#[test]
fn no_file_of_a_store_holds_a_my_number() {
    let place = Place::in_memory();
    let store = place.open();
    with_my_numbers(&store, 1, 1..=ROWS);
    for number in 1..=ROWS {
        record(&store, shot(ticket(CHIYODA, number), 1, ""));
    }
    // Reloaded, kept, removed: however a row comes to the next generation.
    with_my_numbers(&store, 2, 1..=ROWS / 2);
    let mut later = store.load(municipality(CHIYODA)).unwrap();
    later.push(row(1, 3)).unwrap();
    (2..=100).for_each(|number| later.keep(number));
    let crashed = place.copy();
    later.commit(None).unwrap();
    drop(store);

    let numbers: Vec<u64> = (1..=ROWS).map(|number| my_number(number).reveal()).collect();
    let mut searched = 0;
    for place in [place, crashed] {
        for file in files_below(&place.path()) {
            let bytes = fs::read(&file).unwrap();
            assert_eq!(sightings(&bytes, &numbers), 0, "in {}", file.display());
            searched += bytes.len();
        }
    }
    assert!(searched > 500_000);
    // The search finds what it looks for.
    let mut bytes = vec![7; 100];
    bytes.extend(numbers[3].to_le_bytes());
    bytes.extend(numbers[4].to_be_bytes());
    bytes.extend(format!("個人番号{:012}です", numbers[5]).bytes());
    assert_eq!(sightings(&bytes, &numbers), 3);
}

#[test]
fn nothing_that_is_printed_holds_a_my_number() {
    let number = my_number(5);
    let row = Row::check(5, Some(number), resident(5, 1), 0).unwrap();
    let place = Place::in_memory();
    let store = place.open();
    with_my_numbers(&store, 1, 5..=5);
    let printed = format!(
        "{row:?} {row:#?} {number:?} {:?} {:?} {:?}",
        answer(&store.view(), ticket(CHIYODA, 5)),
        store.status(),
        OutsideKey::read(&place.key()).unwrap(),
    );
    assert!(printed.contains("Row") && printed.contains("花子5"));
    let digits = format!("{:012}", number.reveal());
    assert!(!printed.contains(&digits) && !printed.contains(digits.trim_start_matches('0')), "{printed}");
    let key = fs::read_to_string(place.key()).unwrap();
    assert!(!printed.contains(key.trim()));
}

/// Without a key that fits, everything but loading goes on.
fn only_loading_asks(place: &Place, options: Options, told: impl Fn(&KeyError) -> bool) {
    let (store, _) = Store::open(&place.path(), options).unwrap();
    let matched = answer(&store.view(), ticket(CHIYODA, 1));
    assert!(matches!(&matched, Answer::Matched(..)));
    let shots = matched.shots().len();
    record(&store, shot(ticket(CHIYODA, 1), 1, &format!("c-{shots}")));
    assert_eq!(answer(&store.view(), ticket(CHIYODA, 1)).shots().len(), shots + 1);
    let error = store.load(municipality(CHIYODA)).err().expect("loading asks for the key");
    assert_eq!(error.kind(), Kind::Restart);
    let LoadError::Key(error) = error else { panic!("{error}") };
    assert!(told(&error), "{error:?}");
}

#[test]
fn without_its_key_a_store_matches_and_records_and_says_what_it_lacks() {
    let place = Place::in_memory();
    let store = place.open();
    with_my_numbers(&store, 1, 1..=3);
    drop(store);
    let key = fs::read(place.key()).unwrap();

    fs::remove_file(place.key()).unwrap();
    only_loading_asks(
        &place,
        Options::default(),
        |error| matches!(error, KeyError::Missing(path) if *path == place.key()),
    );
    assert!(!place.key().exists(), "a lost key is not replaced by another");

    OutsideKey::create(&place.key(), &*Platform::real(&place.path()).environment).unwrap();
    only_loading_asks(
        &place,
        Options::default(),
        |error| matches!(error, KeyError::Wrong(path) if *path == place.key()),
    );
    fs::write(place.key(), "not a key\n").unwrap();
    only_loading_asks(&place, Options::default(), |error| matches!(error, KeyError::Malformed(_)));

    let elsewhere = place.key().with_file_name("elsewhere");
    fs::write(&elsewhere, key).unwrap();
    let (store, _) =
        Store::open(&place.path(), Options { create: false, key: KeyLocation::File(elsewhere), ..Options::default() })
            .unwrap();
    load(&store, CHIYODA, 1..=3, 2);
}

#[test]
fn a_store_is_not_made_without_the_key_that_was_named() {
    let place = Place::in_memory();
    let missing = place.key().with_file_name("missing");
    let options = Options { key: KeyLocation::File(missing.clone()), ..Options::default() };
    let error = Store::open(&place.path(), options.clone()).err().expect("there is no key");
    assert!(matches!(error, OpenError::Key(KeyError::Missing(path)) if path == missing));
    OutsideKey::create(&missing, &*Platform::real(&place.path()).environment).unwrap();
    assert!(Store::open(&place.path(), options).unwrap().1.created);
}
