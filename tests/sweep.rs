//! Whatever happens to a byte or a file of a store, no answer is wrong in silence (I4, I6, I8).
//!
//! A part of the sweep: every byte that is not zero, the zeros around them, and some of the others. The whole of it is the binary `sweep`.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;

use sesshu_engine::error::{KeyError, LoadError};
use sesshu_engine::intake::Row;
use sesshu_engine::{LoadReport, Store};
use sesshu_tests::seeded::Seeded;
use sesshu_tests::sweep::{Choice, Ending, Outcome, Subject, Table, sweep};
use sesshu_tests::{CHIYODA, Place, municipality, my_number, resident};

fn swept(ending: Ending) -> Table {
    let seed = sesshu_tests::seed();
    let subject = Subject::new(ending, seed);
    let swept = sweep(&subject, &Choice { zeros: Some(100), aftermath: 10, seed }, &|_, _| ());
    println!("{}", swept.table);
    let first: Vec<&str> = swept.violations.iter().take(20).map(String::as_str).collect();
    assert!(first.is_empty(), "{} harms broke a rule:\n{}", swept.violations.len(), first.join("\n"));
    // A rule that is never met says nothing.
    for (file, outcome, least) in [
        ("manifest", Outcome::Refused, 900),
        ("checkpoint", Outcome::Rebuilt, 400),
        ("generation", Outcome::Refused, 1000),
        ("generation", Outcome::Told, 1000),
        ("segment", Outcome::Refused, 1000),
        ("segment", Outcome::Told, 500),
        ("segment", Outcome::Harmless, 500),
        ("held load", Outcome::Told, 400),
        ("access log", Outcome::Told, 800),
    ] {
        let count = swept.table.count(file, outcome);
        assert!(count >= least, "{file} {outcome:?}: {count}");
    }
    swept.table
}

#[test]
fn no_harm_to_a_closed_store_changes_an_answer_in_silence() {
    let table = swept(Ending::Closed);
    assert_eq!(table.count("segment", Outcome::Cut), 0, "a log that was closed has no unvouched end");
}

#[test]
fn no_harm_to_a_store_that_was_killed_costs_more_than_the_unvouched_end_of_its_log() {
    let table = swept(Ending::Killed);
    assert!(table.count("segment", Outcome::Cut) > 200);
}

#[test]
fn no_harm_to_a_store_that_was_killed_when_idle_costs_a_shot() {
    let table = swept(Ending::KilledIdle);
    assert!(table.count("segment", Outcome::Cut) > 100, "the mark itself is unvouched");
}

/// Builds a generation of two rows with My Numbers, and does not install it.
fn rebuild(store: &Store) -> Result<LoadReport, LoadError> {
    let mut load = store.load(municipality(CHIYODA))?;
    for number in [1, 2] {
        load.push(Row::check(number, Some(my_number(number)), resident(number, 1), 0).unwrap())?;
    }
    Ok(load.build(None)?.report().clone())
}

#[test]
fn a_key_file_that_was_changed_is_named_or_seals_as_before() {
    let place = Place::in_memory();
    let store = Seeded::of(sesshu_tests::seed()).open(&place);
    let mut load = store.load(municipality(CHIYODA)).unwrap();
    for number in [1, 2] {
        load.push(Row::check(number, Some(my_number(number)), resident(number, 1), 0).unwrap()).unwrap();
    }
    load.commit(None).unwrap();
    let key = fs::read(place.key()).unwrap();
    let flipped = (0..key.len()).flat_map(|at| {
        let key = &key;
        (1..=255).map(move |with| {
            let mut key = key.clone();
            key[at] ^= with;
            key
        })
    });
    let truncated = (0..key.len()).map(|length| key[..length].to_vec());
    let other = Place::in_memory();
    drop(Seeded::of(1).open(&other));
    let whole = [fs::read(other.key()).unwrap(), [&key[..], b"7"].concat(), [&key[..], &key].concat(), vec![0; 65]];
    let (mut named, mut same) = (0, 0);
    for changed in flipped.chain(truncated).chain(whole) {
        fs::write(place.key(), &changed).unwrap();
        match rebuild(&store) {
            Err(LoadError::Key(KeyError::Malformed(path) | KeyError::Wrong(path))) if path == place.key() => named += 1,
            // Sealing is the same for the same key, number and ticket: with another key both rows would have changed.
            Ok(report) if (report.unchanged, report.changed) == (2, 0) => same += 1,
            other => panic!("{:?}: {other:?}", String::from_utf8_lossy(&changed)),
        }
    }
    fs::remove_file(place.key()).unwrap();
    assert!(matches!(rebuild(&store), Err(LoadError::Key(KeyError::Missing(path))) if path == place.key()));
    // The case of a digit and what follows the last one do not matter.
    assert!(named > 16_000 && (1..100).contains(&same), "{named} {same}");
    fs::write(place.key(), &key).unwrap();
    assert_eq!(rebuild(&store).unwrap().unchanged, 2);
}
