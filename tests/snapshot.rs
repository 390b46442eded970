//! Snapshots are made, listed, exported and deleted, and whatever breaks off is gone or goes on.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use sesshu_engine::disk::{Call, Fault, PlannedFault, SimulatedDisk, Unsynced};
use sesshu_engine::error::{Damage, SnapshotError};
use sesshu_engine::{
    Exporting, ListedSnapshot, Options, Platform, Snapshot, SnapshotExport, SnapshotName, Snapshots, Store,
};
use sesshu_tests::machine::draw;
use sesshu_tests::{CHIYODA, NAHA, Place, files_below, flip, ledger, load, municipality, record, rng, shot, ticket};

fn name(text: &str) -> SnapshotName {
    SnapshotName::parse(text).unwrap()
}

fn names(listed: &[ListedSnapshot]) -> Vec<String> {
    listed.iter().map(|listed| listed.name.to_string()).collect()
}

fn compact(store: &Store, code: u32) {
    store.compact(municipality(code), None, &mut |_| ControlFlow::Continue(())).unwrap();
}

/// Two registers and shots, not all folded.
fn lived(place: &Place) -> Store {
    let store = place.open();
    load(&store, CHIYODA, 1..=50, 1);
    load(&store, NAHA, 1..=50, 1);
    for number in 1..=30 {
        record(&store, shot(ticket(CHIYODA, number), 1, "a"));
    }
    store
}

#[test]
fn snapshots_are_listed_oldest_first_with_what_each_alone_keeps_and_deleting_one_frees_that() {
    let place = Place::in_memory();
    let store = lived(&place);
    assert!(store.snapshots().list().unwrap().is_empty());
    let first = store.create_snapshot(&name("b-first")).unwrap();
    let listed = store.snapshots().list().unwrap();
    assert_eq!((names(&listed), listed[0].own_bytes), (vec!["b-first".into()], 0), "the store has all of it");
    assert_eq!(listed[0].snapshot.as_ref().unwrap().window(), first.window());
    assert_eq!((first.generations(), first.store_id()), (2, store.id()));

    let generation = |of: &Snapshot, code| {
        let begins = format!("ledgers/{code:06}");
        of.files().find(|(path, ..)| path.to_str().unwrap().starts_with(&begins)).unwrap().1
    };
    let chiyoda = generation(&first, CHIYODA);
    compact(&store, CHIYODA);
    let second = store.create_snapshot(&name("a-second")).unwrap();
    let listed = Snapshots::of(&place.path()).list().unwrap();
    let own: Vec<u64> = listed.iter().map(|it| it.own_bytes).collect();
    assert_eq!((names(&listed), own), (vec!["b-first".into(), "a-second".into()], vec![chiyoda, 0]));
    assert_eq!(generation(&second, NAHA), generation(&first, NAHA), "one file of three names");

    let held = files_below(&place.file("snapshots/b-first")).len();
    assert_eq!(held, first.files().len() + 1);
    store.delete_snapshot(&name("b-first")).unwrap();
    assert!(!place.file("snapshots/b-first").exists());
    assert_eq!(names(&store.snapshots().list().unwrap()), ["a-second"]);
    let unknown = store.delete_snapshot(&name("b-first"));
    assert!(matches!(unknown, Err(SnapshotError::Unknown(it)) if it == name("b-first")));
    let exists = store.create_snapshot(&name("a-second"));
    assert!(matches!(exists, Err(SnapshotError::Exists(_))), "{exists:?}");
    store.create_snapshot(&name("b-first")).unwrap();
    store.close().unwrap();
    assert!(matches!(store.create_snapshot(&name("late")), Err(SnapshotError::Closed)));
    drop(store);
    assert_eq!(place.open().opened().removed_files, 0, "a store that is opened again has its snapshots");
    assert_eq!(names(&Snapshots::of(&place.path()).list().unwrap()), ["a-second", "b-first"]);
}

#[test]
fn what_is_left_of_a_snapshot_that_was_not_finished_goes_and_what_is_somebody_elses_stays() {
    let place = Place::in_memory();
    let store = lived(&place);
    store.create_snapshot(&name("whole")).unwrap();
    store.create_snapshot(&name("broken-off")).unwrap();
    drop(store);
    fs::remove_file(place.file("snapshots/broken-off/SNAPSHOT")).unwrap();
    fs::write(place.file("snapshots/notes.txt"), "of an operator").unwrap();
    fs::create_dir(place.file("snapshots/mine")).unwrap();
    fs::write(place.file("snapshots/mine/too.txt"), "of an operator").unwrap();
    assert_eq!(names(&Snapshots::of(&place.path()).list().unwrap()), ["whole"]);
    let store = place.open();
    assert!(!place.file("snapshots/broken-off").exists());
    assert!(place.file("snapshots/notes.txt").exists() && place.file("snapshots/mine/too.txt").exists());
    assert_eq!(names(&store.snapshots().list().unwrap()), ["whole"]);
    store.create_snapshot(&name("broken-off")).unwrap();
    let others = store.create_snapshot(&name("mine"));
    assert!(matches!(others, Err(SnapshotError::Exists(_))), "{others:?}");
    assert!(matches!(store.delete_snapshot(&name("mine")), Err(SnapshotError::Unknown(_))));
    // A snapshot under another name is none: what is deleted is what was named.
    fs::rename(place.file("snapshots/whole"), place.file("snapshots/renamed")).unwrap();
    let listed = store.snapshots().list().unwrap();
    assert_eq!(names(&listed), ["broken-off", "renamed"]);
    assert!(matches!(listed[1].snapshot, Err(SnapshotError::Damaged(_))), "{listed:?}");
    store.delete_snapshot(&name("renamed")).unwrap();
    assert!(!place.file("snapshots/renamed").exists());
}

#[test]
fn a_snapshot_whose_file_is_damaged_is_listed_and_can_be_deleted() {
    let place = Place::in_memory();
    let store = lived(&place);
    store.create_snapshot(&name("noon")).unwrap();
    store.create_snapshot(&name("evening")).unwrap();
    flip(&place.file("snapshots/noon/SNAPSHOT"), 40, 1);
    let listed = store.snapshots().list().unwrap();
    assert_eq!(names(&listed), ["evening", "noon"]);
    assert!(
        matches!(&listed[1].snapshot, Err(SnapshotError::Damaged(Damage { file, .. })) if file == Path::new("SNAPSHOT"))
    );
    store.delete_snapshot(&name("noon")).unwrap();
    assert_eq!(names(&store.snapshots().list().unwrap()), ["evening"]);
}

/// The files of an export, without the directory.
fn exported(directory: &Path) -> Vec<PathBuf> {
    files_below(directory).iter().map(|path| path.strip_prefix(directory).unwrap().to_owned()).collect()
}

#[test]
fn an_export_that_broke_off_goes_on_and_is_none_before_it_is_whole() {
    let place = Place::in_memory();
    let store = lived(&place);
    let snapshot = store.create_snapshot(&name("noon")).unwrap();
    let other = store.create_snapshot(&name("evening")).unwrap();
    let target = tempfile::tempdir().unwrap();
    let to = target.path().join("deep/inside");
    let whole = |path: &Path| fs::read(place.file("snapshots/noon").join(path)).unwrap();
    // The third file breaks off in its middle.
    let mut begun = 0;
    let export = SnapshotExport::begin(&snapshot.encoded(), &to).unwrap();
    assert_eq!(export.bytes(), snapshot.bytes());
    let broken = export.run(
        &mut |path, hand_on| {
            begun += 1;
            let (bytes, length) = (whole(path), snapshot.files().find(|(it, ..)| it == path).unwrap().1 as usize);
            if begun == 3 {
                hand_on(&bytes[..length / 2])?;
                return Err(SnapshotError::Closed);
            }
            hand_on(&bytes[..length])
        },
        &mut |_| {},
    );
    assert!(matches!(broken, Err(SnapshotError::Closed)), "{broken:?}");
    assert!(matches!(Snapshot::exported(&to), Err(SnapshotError::NotExported(_))));
    let mixed = other.export(&to, &mut |_| {});
    assert!(matches!(mixed, Err(SnapshotError::NotEmpty(_))), "another one: {mixed:?}");

    let there: u64 = snapshot.files().take(2).map(|(_, length, _)| length).sum();
    let mut told = Vec::new();
    let done = snapshot.export(&to, &mut |exporting| told.push(exporting)).unwrap();
    let files = snapshot.files().len() as u64;
    assert_eq!(done, Exporting { bytes: snapshot.bytes(), found_bytes: there, files });
    assert!(told.is_sorted_by_key(|it| it.bytes) && told.last() == Some(&done));
    let mut expected: Vec<PathBuf> = snapshot.files().map(|(path, ..)| path).collect();
    expected.extend(["SNAPSHOT".into(), "LOCK".into()]);
    expected.sort();
    assert_eq!(exported(&to), expected, "no part is left");
    // Again: everything is there. A file that is not what it was is copied once more.
    assert_eq!(snapshot.export(&to, &mut |_| {}).unwrap().found_bytes, snapshot.bytes());
    let (path, length, _) = snapshot.files().next().unwrap();
    flip(&to.join(&path), 100, 1);
    // While one runs there is no other; and one that cannot mend what it found says that it is not whole.
    let first = SnapshotExport::begin(&snapshot.encoded(), &to).unwrap();
    assert!(matches!(SnapshotExport::begin(&snapshot.encoded(), &to), Err(SnapshotError::Busy(_))));
    first.run(&mut |_, _| Err(SnapshotError::Closed), &mut |_| {}).unwrap_err();
    assert!(matches!(Snapshot::exported(&to), Err(SnapshotError::NotExported(_))));
    let mended = snapshot.export(&to, &mut |_| {}).unwrap();
    assert_eq!(mended.found_bytes, snapshot.bytes() - length, "{mended:?}");

    // Only the snapshot's bytes were copied, and they are all that a restore needs.
    let copied = Snapshot::exported(&to).unwrap();
    let restored = Place::in_memory();
    store.close().unwrap();
    fs::remove_dir_all(place.path()).unwrap();
    copied.restore(&restored.path(), None, &mut |_| {}).unwrap();
    assert_eq!(ledger(&restored.open().view(), CHIYODA).unwrap().len(), 50);
}

#[test]
fn what_is_damaged_is_not_exported_and_nothing_is_exported_over_anything() {
    let place = Place::in_memory();
    let store = lived(&place);
    let snapshot = store.create_snapshot(&name("noon")).unwrap();
    store.close().unwrap();
    let target = tempfile::tempdir().unwrap();
    fs::write(target.path().join("notes.txt"), "of an operator").unwrap();
    let refused = snapshot.export(target.path(), &mut |_| {});
    assert!(matches!(refused, Err(SnapshotError::NotEmpty(_))), "{refused:?}");
    assert_eq!(exported(target.path()), [PathBuf::from("notes.txt")]);

    let (path, length, _) = snapshot.files().next().unwrap();
    flip(&place.file("snapshots/noon").join(&path), length as usize / 2, 1);
    let to = target.path().join("export");
    let refused = snapshot.export(&to, &mut |_| {});
    assert!(matches!(&refused, Err(SnapshotError::Damaged(Damage { file, .. })) if *file == path), "{refused:?}");
    assert!(matches!(Snapshot::exported(&to), Err(SnapshotError::NotExported(_))));
    flip(&place.file("snapshots/noon").join(&path), length as usize / 2, 1);
    snapshot.export(&to, &mut |_| {}).unwrap();
    let no_file = snapshot.read_file(Path::new("../../MANIFEST"), 0, &mut [0; 8]);
    assert!(matches!(no_file, Err(SnapshotError::NoFile(_))), "{no_file:?}");
}

#[test]
fn an_export_that_is_cut_short_anywhere_goes_on_and_never_passes_for_whole() {
    let place = Place::in_memory();
    let store = lived(&place);
    let snapshot = store.create_snapshot(&name("noon")).unwrap();
    let read = &mut |path: &Path, hand_on: &mut dyn FnMut(&[u8]) -> Result<(), SnapshotError>| {
        let length = snapshot.files().find(|(it, ..)| it == path).unwrap().1 as usize;
        hand_on(&fs::read(place.file("snapshots/noon").join(path)).unwrap()[..length])
    };
    let (mut rng, mut whole) = (rng(), 0);
    for operations in 0.. {
        let target = tempfile::tempdir().unwrap();
        let disk = SimulatedDisk::on(target.path(), operations).unwrap();
        disk.stop_after(operations);
        let mut export =
            || SnapshotExport::begin_on(&snapshot.encoded(), disk.mount(), target.path())?.run(read, &mut |_| {});
        let done = export();
        if !disk.stopped() {
            done.unwrap();
            // What is said to be whole stays so.
            disk.cut(Unsynced::Lost).unwrap();
            Snapshot::exported(target.path()).unwrap().verify(&mut |_| {}).unwrap();
            break;
        }
        disk.cut(draw(&mut rng, operations)).unwrap();
        match Snapshot::exported(target.path()) {
            Ok(there) => {
                there.verify(&mut |_| {}).unwrap();
                whole += 1;
            }
            Err(error) => assert!(matches!(error, SnapshotError::NotExported(_)), "{error:?}"),
        }
        export().unwrap();
        Snapshot::exported(target.path()).unwrap().verify(&mut |_| {}).unwrap();
    }
    assert!(whole > 0, "a name that was not synced may be there");
}

/// The store of a place on a simulated disk that begins with what is there.
fn open_on(disk: &SimulatedDisk, place: &Place) -> Store {
    let platform = Platform { threads: false, ..Platform::on(disk.mount()) };
    Store::open_on(platform, &place.path(), Options::default()).unwrap().0
}

fn below_snapshots(disk: &SimulatedDisk) -> Vec<PathBuf> {
    disk.files().into_iter().map(|(path, _)| path).filter(|path| path.starts_with("snapshots")).collect()
}

#[test]
fn a_snapshot_that_was_made_outlasts_the_power_and_a_deleted_one_does_not_come_back() {
    let place = Place::in_memory();
    drop(lived(&place));
    let disk = SimulatedDisk::on(&place.path(), 1).unwrap();
    let store = open_on(&disk, &place);
    store.create_snapshot(&name("noon")).unwrap();
    store.create_snapshot(&name("evening")).unwrap();
    store.delete_snapshot(&name("evening")).unwrap();
    for unsynced in [Unsynced::Lost, Unsynced::Zeros, Unsynced::Torn(7)] {
        disk.cut(unsynced).unwrap();
        let store = open_on(&disk, &place);
        let listed = store.snapshots().list().unwrap();
        assert_eq!(names(&listed), ["noon"], "{unsynced:?}");
        listed[0].snapshot.as_ref().unwrap().verify(&mut |_| {}).unwrap();
        assert!(below_snapshots(&disk).iter().all(|path| path.starts_with("snapshots/noon")));
    }
}

#[test]
fn a_snapshot_that_fails_leaves_nothing_and_the_next_one_is_made() {
    let place = Place::in_memory();
    drop(lived(&place));
    let mut failed = 0;
    for (count, fault) in (1..).flat_map(|count| [(count, Fault::Fail), (count, Fault::NoRoom), (count, Fault::Late)]) {
        let copy = place.copy();
        let disk = SimulatedDisk::on(&copy.path(), count).unwrap();
        let store = open_on(&disk, &copy);
        disk.plan(PlannedFault { on: Call::ALL, count, fault });
        let made = store.create_snapshot(&name("noon"));
        if disk.faults() == 0 {
            break;
        }
        disk.heal();
        if made.is_err() {
            failed += 1;
            assert_eq!(below_snapshots(&disk), Vec::<PathBuf>::new(), "{fault:?} of call {count}");
            store.create_snapshot(&name("noon")).unwrap();
        }
        store.snapshots().open(&name("noon")).unwrap().verify(&mut |_| {}).unwrap();
        record(&store, shot(ticket(CHIYODA, 1), 9, "it-goes-on"));
    }
    assert!(failed > 50, "{failed}");
}
