//! Keys are changed without a moment in which nobody could open what they seal.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::PathBuf;

use sesshu_engine::disk::{Call, Fault, PlannedFault, Unsynced};
use sesshu_engine::error::{KeyError, LoadError, RotateError};
use sesshu_engine::intake::{Change, Row};
use sesshu_engine::{ChangeOutcome, KeyLocation, MyNumberQuestion, Options, Platform, Rotation, Store};
use sesshu_proto::v1::ResidentStatus;
use sesshu_tests::machine::{Machine, draw};
use sesshu_tests::{CHIYODA, Place, files_below, municipality, my_number, resident, rng, row, ticket};

fn with(number: u64, version: u32) -> Row {
    Row::check(number, Some(my_number(number)), resident(number, version), 0).unwrap()
}

fn register(store: &Store, numbers: std::ops::RangeInclusive<u64>, version: u32) -> sesshu_engine::LoadReport {
    let mut load = store.load(municipality(CHIYODA)).unwrap();
    numbers.for_each(|number| load.push(with(number, version)).unwrap());
    load.commit(None).unwrap()
}

fn is_found(store: &Store, number: u64) -> bool {
    let view = store.view();
    let question = MyNumberQuestion { my_number: my_number(number), purpose: "照会", who: "" };
    let found = store.with_my_number(&view, &question, 9).unwrap();
    found.people.iter().map(|person| person.ticket()).eq([ticket(CHIYODA, number)])
}

/// Id and My Numbers of every data key.
fn keys(store: &Store) -> Vec<(u32, u64)> {
    store.keys().unwrap().iter().map(|key| (key.id, key.my_numbers)).collect()
}

/// Copies what lies beside a store: its keys, whatever they are called.
fn copy_keys(from: &Place, to: &Place) {
    let directory = from.key().parent().unwrap().to_owned();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        fs::copy(entry.path(), to.key().with_file_name(entry.file_name())).unwrap();
    }
}

fn options(key: PathBuf) -> Options {
    Options { create: false, key: KeyLocation::File(key), ..Options::default() }
}

#[test]
fn a_new_outside_key_opens_what_the_old_one_did_and_the_old_one_does_no_more() {
    let place = Place::in_memory();
    let store = place.open();
    register(&store, 1..=3, 1);
    let old = fs::read(place.key()).unwrap();
    let rotated = store.rotate_key(&Rotation::default()).unwrap();
    assert_eq!(rotated.key_file, place.key());
    assert_eq!(fs::read(&rotated.old_key_file).unwrap(), old);
    assert_ne!(fs::read(place.key()).unwrap(), old);
    assert!(is_found(&store, 2), "also without opening the store again");
    drop(store);
    let store = place.open();
    assert!(is_found(&store, 3));
    assert_eq!(register(&store, 1..=3, 1).unchanged, 3, "what is sealed stays as it is");
    drop(store);
    let (store, _) = Store::open(&place.path(), options(rotated.old_key_file)).unwrap();
    assert!(matches!(store.load(municipality(CHIYODA)).err(), Some(LoadError::Key(KeyError::Wrong(_)))));
}

#[test]
fn a_new_outside_key_may_lie_in_another_file() {
    let place = Place::in_memory();
    let store = place.open();
    register(&store, 1..=1, 1);
    let other = place.key().with_file_name("other.key");
    let into_other = Rotation { new_key_file: Some(other.clone()), new_data_key: false };
    let rotated = store.rotate_key(&into_other).unwrap();
    assert_eq!((&rotated.key_file, rotated.old_key_file), (&other, place.key()));
    assert!(is_found(&store, 1));
    assert!(matches!(store.rotate_key(&into_other), Err(RotateError::SameFile(_))));
    fs::copy(&other, place.file("../copy.key")).unwrap();
    let copy = Rotation { new_key_file: Some(place.file("../copy.key")), new_data_key: false };
    assert!(matches!(store.rotate_key(&copy), Err(RotateError::SameKey(_))));
    store.close().unwrap();
    assert!(matches!(store.rotate_key(&Rotation::default()), Err(RotateError::Closed)));
    drop(store);
    assert!(is_found(&Store::open(&place.path(), options(other)).unwrap().0, 1));
    let store = place.open();
    assert!(matches!(store.load(municipality(CHIYODA)).err(), Some(LoadError::Key(KeyError::Wrong(_)))));
    assert!(matches!(store.rotate_key(&Rotation::default()), Err(RotateError::Key(KeyError::Wrong(_)))));
}

#[test]
fn a_new_data_key_comes_in_as_ledgers_are_folded() {
    let place = Place::in_memory();
    let store = place.open();
    register(&store, 1..=6, 1);
    assert_eq!(keys(&store), [(1, 6)]);
    let with_data_key = Rotation { new_key_file: None, new_data_key: true };
    assert_eq!(store.rotate_key(&with_data_key).unwrap().data_key, 2);
    assert_eq!(keys(&store), [(1, 6), (2, 0)]);
    store.change(&[Change::row(municipality(CHIYODA), with(7, 1))]).unwrap().pop().unwrap().unwrap();
    let moved = Change::status(ticket(CHIYODA, 6), ResidentStatus::MovedOut, 20_210_501).unwrap();
    store.change(&[moved]).unwrap().pop().unwrap().unwrap();
    assert_eq!(keys(&store), [(1, 6), (2, 1)], "a status alone seals nothing");
    assert!((1..=7).all(|number| is_found(&store, number)));
    // Some rows come again, one is kept, one is gone from the register, one has no My Number any more.
    let mut next = store.load(municipality(CHIYODA)).unwrap();
    (1..=3).for_each(|number| next.push(with(number, 1)).unwrap());
    next.push(row(4, 1)).unwrap();
    (6..=7).for_each(|number| next.keep(number));
    let report = next.commit(None).unwrap();
    assert_eq!((report.unchanged, report.changed, report.kept, report.removed), (3, 1, 2, 1));
    assert_eq!(keys(&store), [(1, 0), (2, 6)], "every row is sealed with the newest key");
    assert!([1, 2, 3, 5, 6, 7].iter().all(|&number| is_found(&store, number)) && !is_found(&store, 4));
    drop(store);
    assert!(is_found(&place.open(), 5));
}

#[test]
fn a_row_that_is_applied_again_under_a_newer_data_key_is_unchanged() {
    let place = Place::in_memory();
    let store = place.open();
    let apply = |change| store.change(&[change]).unwrap().pop().unwrap().unwrap();
    let row = || Change::row(municipality(CHIYODA), with(1, 1));
    let reissued = || Change::reissue(municipality(CHIYODA), 1, with(2, 1)).unwrap();
    let before = [apply(row()), apply(reissued())];
    assert_eq!(before.map(|changed| changed.outcome), [ChangeOutcome::Added; 2]);
    store.rotate_key(&Rotation { new_key_file: None, new_data_key: true }).unwrap();
    let sequence = store.view().sequence();
    for (again, before) in [(apply(row()), before[0]), (apply(reissued()), before[1])] {
        assert_eq!(again.outcome, ChangeOutcome::Unchanged);
        assert!(again.sequence >= before.sequence && again.sequence <= sequence);
    }
    assert_eq!((store.view().sequence(), keys(&store)), (sequence, vec![(1, 2), (2, 0)]));
    // What does change is sealed with the newest.
    assert_eq!(apply(Change::row(municipality(CHIYODA), with(2, 2))).outcome, ChangeOutcome::Changed);
    assert_eq!(keys(&store), [(1, 1), (2, 1)]);
}

#[test]
fn a_rotation_that_is_cut_at_any_operation_leaves_the_key_that_the_manifest_names() {
    let mut rng = rng();
    let begun = Place::in_memory();
    register(&begun.open(), 1..=2, 1);
    for new_data_key in [false, true] {
        for new_file in [false, true] {
            for count in 0.. {
                let machine = Machine::at(begun.copy());
                let new_key_file = new_file.then(|| machine.place.key().with_file_name("other.key"));
                let rotation = Rotation { new_key_file, new_data_key };
                let Ok(store) = machine.try_open() else { unreachable!("nothing was stopped") };
                machine.disk.stop_after(count);
                let rotated = store.rotate_key(&rotation).is_ok();
                let stopped = machine.disk.stopped();
                for choice in 0..4 {
                    let found = machine.cut(draw(&mut rng, choice));
                    copy_keys(&machine.place, &found);
                    let here = |name: PathBuf| found.key().with_file_name(name.file_name().unwrap());
                    let keys = [Some(found.key()), rotation.new_key_file.clone().map(here)];
                    let opens = |key: PathBuf| {
                        let (store, _) = Store::open(&found.path(), options(key)).unwrap();
                        store.load(municipality(CHIYODA)).is_ok() && is_found(&store, 2)
                    };
                    let right: Vec<bool> = keys.into_iter().flatten().map(|key| key.exists() && opens(key)).collect();
                    assert_eq!(right.iter().filter(|&&right| right).count(), 1, "cut after {count}: {right:?}");
                    assert!(!rotated || *right.last().unwrap(), "cut after {count}: what was done is durable");
                }
                drop(store);
                if !stopped {
                    break;
                }
            }
        }
    }
}

#[test]
fn a_rotation_that_fails_and_is_tried_again_leaves_the_key_that_the_manifest_names_wherever_it_is_cut() {
    let begun = Place::in_memory();
    register(&begun.open(), 1..=2, 1);
    for fault in [Fault::Fail, Fault::Late] {
        for failing in 1.. {
            let (mut failed, mut came) = (false, false);
            for count in 0.. {
                let machine = Machine::at(begun.copy());
                let store = machine.open();
                machine.disk.plan(PlannedFault { on: Call::ALL, count: failing, fault });
                let before = machine.disk.faults();
                failed = store.rotate_key(&Rotation::default()).is_err();
                came = machine.disk.faults() > before;
                machine.disk.heal();
                if !failed {
                    break;
                }
                machine.disk.stop_after(count);
                let again = store.rotate_key(&Rotation::default());
                let stopped = machine.disk.stopped();
                assert!(stopped || again.is_ok(), "{again:?}");
                for unsynced in (0..8).map(|seed| Unsynced::Torn(8 * count + seed)).chain([Unsynced::Lost]) {
                    let found = machine.cut(unsynced);
                    copy_keys(&machine.place, &found);
                    let store = found.open();
                    assert!(store.load(municipality(CHIYODA)).is_ok(), "{fault:?} of {failing}, cut after {count}");
                    assert!(is_found(&store, 2));
                }
                if !stopped {
                    break;
                }
            }
            // Without the manifest before this one a rotation goes on.
            if !failed && !came {
                assert!(failing > 3, "a rotation writes and syncs a manifest");
                break;
            }
        }
    }
}

#[test]
fn a_rotation_that_ended_between_manifest_and_key_file_is_gone_on_with() {
    // As a crash leaves the files: the new key beside its place; the old one in it, or under its later name already.
    for old_is_moved in [false, true] {
        let place = Place::in_memory();
        let store = place.open();
        register(&store, 1..=1, 1);
        let rotated = store.rotate_key(&Rotation::default()).unwrap();
        drop(store);
        let mut next = place.key().into_os_string();
        next.push(".new");
        fs::rename(place.key(), &next).unwrap();
        if !old_is_moved {
            fs::rename(&rotated.old_key_file, place.key()).unwrap();
        }
        let store = place.open();
        assert!(is_found(&store, 1));
        assert!(!PathBuf::from(&next).exists() && place.key().exists(), "the new key has its place");
        assert!(rotated.old_key_file.exists(), "and the old one is kept");
        store.rotate_key(&Rotation::default()).unwrap();
        drop(store);
        // A new key that wraps nothing, from an attempt that ended before the manifest.
        let machine = Platform::real(&place.path());
        sesshu_engine::OutsideKey::create(next.as_ref(), &*machine.environment).unwrap();
        let store = place.open();
        assert!(is_found(&store, 1));
        store.rotate_key(&Rotation::default()).unwrap();
        assert!(is_found(&store, 1));
    }
}

#[test]
fn a_key_in_use_that_cannot_be_put_in_its_place_is_kept_and_the_next_rotation_says_so() {
    let place = Place::in_memory();
    let store = place.open();
    register(&store, 1..=1, 1);
    let rotated = store.rotate_key(&Rotation::default()).unwrap();
    drop(store);
    // As a crash between manifest and key file leaves it, with something in the way of the old key's later name.
    let mut next = place.key().into_os_string();
    next.push(".new");
    fs::rename(place.key(), &next).unwrap();
    fs::rename(&rotated.old_key_file, place.key()).unwrap();
    fs::create_dir(&rotated.old_key_file).unwrap();
    let in_use = fs::read(&next).unwrap();
    let store = place.open();
    assert!(is_found(&store, 1));
    assert!(matches!(store.rotate_key(&Rotation::default()), Err(RotateError::Key(KeyError::Disk(..)))));
    assert_eq!(fs::read(&next).unwrap(), in_use);
    assert!(is_found(&store, 1));
    fs::remove_dir(&rotated.old_key_file).unwrap();
    store.rotate_key(&Rotation::default()).unwrap();
    drop(store);
    assert!(is_found(&place.open(), 1));
}

#[test]
fn no_key_lies_in_the_store() {
    let place = Place::in_memory();
    let store = place.open();
    register(&store, 1..=1, 1);
    let rotated = store.rotate_key(&Rotation { new_key_file: None, new_data_key: true }).unwrap();
    drop(store);
    let keys = [place.key(), rotated.old_key_file].map(|file| fs::read_to_string(file).unwrap().trim().to_owned());
    for file in files_below(&place.path()) {
        let bytes = fs::read(&file).unwrap();
        for key in &keys {
            let binary: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&key[at * 2..at * 2 + 2], 16).unwrap()).collect();
            assert!(!bytes.windows(32).any(|window| window == binary), "{}", file.display());
            assert!(!bytes.windows(64).any(|window| window == key.as_bytes()), "{}", file.display());
        }
    }
}
