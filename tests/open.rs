//! Opening: whose directory it is, who has it, and which program wrote it.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};

use sesshu_engine::error::OpenError;
use sesshu_engine::{FORMAT_VERSION, KeyLocation, Options, Store};
use sesshu_tests::{CHIYODA, NAHA, Place, answer, load, record, shot, ticket};

#[test]
fn a_store_is_made_once() {
    let place = Place::in_memory();
    let no = Options { create: false, ..Options::default() };
    assert!(matches!(Store::open(&place.path(), no.clone()), Err(OpenError::NoStore(path)) if path == place.path()));
    assert!(!place.path().exists(), "asking made nothing");
    let (store, opened) = place.try_open().unwrap();
    assert!(opened.created);
    assert_eq!(opened.key_created, Some(place.key()));
    let id = store.id();
    drop(store);
    let (store, opened) = Store::open(&place.path(), no).unwrap();
    assert!(!opened.created && opened.key_created.is_none());
    assert_eq!(store.id(), id);
}

#[test]
fn a_making_that_was_cut_short_is_no_obstacle() {
    let place = Place::in_memory();
    for directory in ["log", "ledgers", "staging"] {
        fs::create_dir_all(place.file(directory)).unwrap();
    }
    fs::write(place.file("LOCK"), "").unwrap();
    fs::write(place.file("MANIFEST.tmp"), "half").unwrap();
    assert!(place.try_open().unwrap().1.created);
}

#[test]
fn a_directory_of_other_things_is_left_alone() {
    for name in ["letter.txt", "log/0000000000000007.log", "ledgers/131016/000003.gen", "staging/x"] {
        let place = Place::in_memory();
        let file = place.file(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "dear").unwrap();
        let before = place.bytes();
        assert!(matches!(place.try_open(), Err(OpenError::NotAStore(_))), "{name}");
        assert_eq!(place.bytes(), before);
        assert!(!place.key().exists());
    }
}

#[test]
fn one_at_a_time_has_a_store() {
    let place = Place::in_memory();
    let store = place.open();
    record(&store, shot(ticket(NAHA, 1), 1, ""));
    let Err(OpenError::InUse(path, holder)) = place.try_open() else { panic!("two have it") };
    assert_eq!(path, place.path());
    assert_eq!(holder, format!(" (process {})", std::process::id()));
    record(&store, shot(ticket(NAHA, 2), 1, ""));
    drop(store);
    assert_eq!(place.open().status().shots, 2);
}

#[test]
fn a_manifest_of_a_newer_format_is_refused_as_such() {
    let place = Place::in_memory();
    drop(place.open());
    let mut bytes = fs::read(place.file("MANIFEST")).unwrap();
    bytes[8..12].copy_from_slice(&(FORMAT_VERSION + 1).to_le_bytes());
    let crc = crc32fast::hash(&[&bytes[..12], &bytes[16..]].concat());
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    fs::write(place.file("MANIFEST"), bytes).unwrap();
    refuses_as_newer(&place, Path::new("MANIFEST"));
}

#[test]
fn a_log_segment_of_a_newer_format_is_refused_as_such() {
    let place = Place::in_memory();
    drop(place.open());
    let segment = PathBuf::from("log/0000000000000001.log");
    make_newer(&place.file(&segment), 96);
    refuses_as_newer(&place, &segment);
}

#[test]
fn a_generation_of_a_newer_format_is_refused_as_such() {
    let place = Place::in_memory();
    load(&place.open(), CHIYODA, 1..=3, 1);
    let generation = PathBuf::from("ledgers/131016/000001.gen");
    make_newer(&place.file(&generation), 64);
    refuses_as_newer(&place, &generation);
}

/// Raises the version in both copies of a file's header, of so many bytes.
fn make_newer(path: &Path, header_bytes: usize) {
    let mut bytes = fs::read(path).unwrap();
    for copy in [0, 4096] {
        let copy = &mut bytes[copy..copy + header_bytes];
        copy[8..12].copy_from_slice(&(FORMAT_VERSION + 1).to_le_bytes());
        copy[12..16].fill(0);
        let crc = crc32fast::hash(copy);
        copy[12..16].copy_from_slice(&crc.to_le_bytes());
    }
    fs::write(path, bytes).unwrap();
}

fn refuses_as_newer(place: &Place, file: &Path) {
    let before = place.bytes();
    match place.try_open() {
        Err(OpenError::Newer { file: named, found, known }) => {
            assert_eq!((named.as_path(), found, known), (file, FORMAT_VERSION + 1, FORMAT_VERSION));
        }
        other => panic!("{:?}", other.map(|(_, opened)| opened)),
    }
    let mut after = place.bytes();
    after.insert("LOCK".into(), before[Path::new("LOCK")].clone());
    assert!(after == before, "a store that was refused was not changed");
}

#[test]
fn a_store_that_moved_with_its_key_is_the_same_store() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=3, 1);
    record(&store, shot(ticket(CHIYODA, 1), 1, ""));
    let before = answer(&store.view(), ticket(CHIYODA, 1));
    drop(store);
    let copy = place.copy();
    let moved = copy.path().with_file_name("moved");
    fs::rename(copy.path(), &moved).unwrap();
    let options = Options { create: false, key: KeyLocation::File(copy.key()), ..Options::default() };
    let (store, _) = Store::open(&moved, options).unwrap();
    assert_eq!(answer(&store.view(), ticket(CHIYODA, 1)), before);
    load(&store, CHIYODA, 1..=3, 2);
}
