//! A register that would remove or reject too much waits for somebody's word, and is as safe while it waits as anything that was acknowledged.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sesshu_engine::error::{HeldError, LoadError};
use sesshu_engine::intake::Change;
use sesshu_engine::{
    Environment as _, Held, HeldId, HoldPolicy, LoadOutcome, Options, Platform, Samples, Share, Store, View,
};
use sesshu_proto::v1::ResidentStatus;
use sesshu_tests::{
    Answer, CHIYODA, Clock, NAHA, Place, answer, ledger, load, municipality, record, row, shot, ticket,
};

/// Concludes a load of these rows, and of rows that were rejected: some with a number, some without.
fn conclude(store: &Store, rows: impl IntoIterator<Item = u64>, version: u32, dry_run: bool) -> LoadOutcome {
    let mut load = store.load(municipality(CHIYODA)).unwrap();
    rows.into_iter().for_each(|number| load.push(row(number, version)).unwrap());
    load.conclude(None, &HoldPolicy::default(), dry_run).unwrap()
}

/// A load that must be held.
fn hold(store: &Store, rows: impl IntoIterator<Item = u64>, version: u32) -> Held {
    match conclude(store, rows, version, false) {
        LoadOutcome::Held(held, _) => *held,
        other => panic!("{other:?}"),
    }
}

fn version(view: &View, number: u64) -> String {
    let name = answer(view, ticket(CHIYODA, number)).resident().unwrap().name.clone();
    name.split('第').nth(1).unwrap().to_owned()
}

fn status(view: &View, number: u64) -> ResidentStatus {
    answer(view, ticket(CHIYODA, number)).resident().unwrap().status()
}

/// Files of held loads and of what they wait to install.
fn files(place: &Place) -> Vec<PathBuf> {
    let is_held = |name: &PathBuf| name.starts_with("held") || name.to_string_lossy().contains("-");
    place.bytes().into_keys().filter(is_held).collect()
}

#[test]
fn a_load_that_removes_more_than_its_share_waits_and_shows_what_it_would_do() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=100, 1);
    let before = ledger(&store.view(), CHIYODA).unwrap();
    // Ten of a hundred may go, eleven may not.
    let held = hold(&store, (12..=100).chain([200]), 2);
    assert_eq!(ledger(&store.view(), CHIYODA).unwrap(), before, "nothing of it is visible");
    let report = &held.report;
    assert_eq!((report.accepted, report.added, report.changed, report.unchanged), (90, 1, 89, 0));
    assert_eq!((report.removed, report.known, report.rows, report.rejected_rows), (11, 100, 90, 0));
    let samples = Samples { added: vec![200], changed: (12..=16).collect(), removed: (1..=5).collect() };
    assert_eq!(report.samples, samples);
    assert_eq!(held.reason.unwrap().removed, Some(Share { part: 11, whole: 100, percent: 10 }));
    assert_eq!(held.reason.unwrap().rejected, None);
    assert_eq!(store.held(), std::slice::from_ref(&held));
    assert!(matches!(conclude(&store, 11..=100, 3, false), LoadOutcome::Loaded(_)));
    // The ten are removed: of ninety-nine who are left, ten are more than a tenth.
    let held = hold(&store, 21..=100, 4);
    assert_eq!((held.report.removed, held.report.known), (10, 90));
}

#[test]
fn a_load_that_rejects_more_than_its_share_waits_also_if_it_is_the_first() {
    let place = Place::in_memory();
    let store = place.open();
    let offer = |duplicates: u64, kept: u64, unreadable: u64| {
        let mut load = store.load(municipality(CHIYODA)).unwrap();
        (1..=100 - kept - unreadable - 2 * duplicates).for_each(|number| load.push(row(number, 1)).unwrap());
        (0..2 * duplicates).for_each(|number| load.push(row(1000 + number / 2, 1)).unwrap());
        (0..kept).for_each(|number| load.keep(2000 + number));
        load.reject(unreadable);
        load.conclude(None, &HoldPolicy::default(), true).unwrap()
    };
    for (duplicates, kept, unreadable, is_held) in
        [(5, 0, 0, false), (0, 10, 0, false), (0, 0, 10, false), (3, 2, 3, true), (0, 11, 0, true), (0, 0, 11, true)]
    {
        let LoadOutcome::Shown(report, reason) = offer(duplicates, kept, unreadable) else { panic!() };
        let rejected = 2 * duplicates + kept + unreadable;
        assert_eq!((report.rows, report.rejected_rows), (100, rejected), "{report:?}");
        let share = is_held.then_some(Share { part: rejected, whole: 100, percent: 10 });
        assert_eq!(reason.and_then(|reason| reason.rejected), share);
    }
    // Nobody is known yet: nobody can be removed.
    assert!(matches!(conclude(&store, 1..=3, 1, false), LoadOutcome::Loaded(_)));
}

#[test]
fn a_dry_run_shows_the_same_and_leaves_nothing() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=10, 1);
    let (files, sequence) = (place.bytes().into_keys().collect::<Vec<_>>(), store.view().sequence());
    let LoadOutcome::Shown(shown, reason) = conclude(&store, 1..=3, 2, true) else { panic!() };
    assert_eq!(place.bytes().into_keys().collect::<Vec<_>>(), files);
    assert_eq!((store.view().sequence(), store.held().len()), (sequence, 0));
    let held = hold(&store, 1..=3, 2);
    assert_eq!((held.report, held.reason), (shown, reason));
}

#[test]
fn a_confirmed_load_is_visible_with_what_was_recorded_and_changed_since_its_build() {
    for reopened in [false, true] {
        let place = Place::in_memory();
        let mut store = place.open();
        load(&store, CHIYODA, 1..=9, 1);
        record(&store, shot(ticket(CHIYODA, 1), 0, "before"));
        let held = hold(&store, 1..=3, 2);
        for number in 1..=9 {
            record(&store, shot(ticket(CHIYODA, number), number as u32, "since"));
        }
        store
            .change(&[Change::row(municipality(CHIYODA), row(2, 7)), Change::row(municipality(CHIYODA), row(20, 7))])
            .unwrap();
        if reopened {
            store.checkpoint().unwrap();
            drop(store);
            let (again, opened) = place.try_open().unwrap();
            assert_eq!((opened.held, opened.removed_held), (1, 0));
            assert_eq!(again.held(), std::slice::from_ref(&held), "it is as it was");
            store = again;
        }
        let report = store.confirm(held.id).unwrap();
        assert_eq!((report.generation, report.removed), (2, 6));
        let check = |store: &Store| {
            let (view, ledger) = (store.view(), ledger(&store.view(), CHIYODA).unwrap());
            for number in 1..=9 {
                let captures: Vec<String> =
                    ledger[&number].shots().iter().map(|it| it.shot.clone().unwrap().capture_id).collect();
                assert_eq!(captures, if number == 1 { vec!["before", "since"] } else { vec!["since"] });
                let expected = if number <= 3 { ResidentStatus::Active } else { ResidentStatus::Removed };
                assert_eq!(status(&view, number), expected);
            }
            assert_eq!([1, 2, 3, 20].map(|number| version(&view, number)), ["2版", "7版", "2版", "7版"]);
            assert!(store.held().is_empty());
        };
        check(&store);
        assert!(files(&place).is_empty(), "{:?}", files(&place));
        check(&place.copy().open());
        drop(store);
        check(&place.open());
    }
}

#[test]
fn of_a_municipality_one_load_is_held_and_the_newer_replaces_the_older() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=9, 1);
    let older = hold(&store, 1..=3, 2);
    let newer = hold(&store, 1..=4, 3);
    assert_ne!(older.id, newer.id);
    assert_eq!(store.held(), std::slice::from_ref(&newer));
    assert!(matches!(store.confirm(older.id), Err(HeldError::Unknown(id)) if id == older.id));
    assert!(matches!(store.discard(older.id), Err(HeldError::Unknown(_))));
    assert_eq!(files(&place).len(), 2);
    drop(store);
    let store = place.open();
    assert_eq!(store.held(), std::slice::from_ref(&newer));
    store.confirm(newer.id).unwrap();
    assert_eq!(version(&store.view(), 4), "3版");
}

#[test]
fn a_load_that_is_installed_makes_a_held_one_void() {
    for reopened in [false, true] {
        let place = Place::in_memory();
        let store = place.open();
        load(&store, CHIYODA, 1..=9, 1);
        let held = hold(&store, 1..=3, 2);
        let (marker, generation) = (place.file(format!("held/{}", held.id)), files(&place));
        let bytes = fs::read(&marker).unwrap();
        let behind =
            generation.iter().map(|name| (name.clone(), fs::read(place.file(name)).unwrap())).collect::<Vec<_>>();
        load(&store, CHIYODA, 1..=9, 4);
        let store = if reopened {
            // A crash left its files there.
            drop(store);
            for (name, bytes) in behind {
                fs::write(place.file(name), bytes).unwrap();
            }
            fs::write(&marker, bytes).unwrap();
            let (store, opened) = place.try_open().unwrap();
            assert_eq!((opened.held, opened.removed_held), (0, 1));
            store
        } else {
            store
        };
        assert!(store.held().is_empty());
        assert!(files(&place).is_empty(), "{:?}", files(&place));
        assert!(matches!(store.confirm(held.id), Err(HeldError::Void(id)) if id == held.id));
        assert_eq!((version(&store.view(), 9), status(&store.view(), 9)), ("4版".into(), ResidentStatus::Active));
    }
}

#[test]
fn a_confirmed_load_is_confirmed_once() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=9, 1);
    let held = hold(&store, 1..=3, 2);
    let sequence = store.confirm(held.id).unwrap().sequence;
    assert!(matches!(store.confirm(held.id), Err(HeldError::Void(_))));
    assert_eq!(store.view().sequence(), sequence);
    load(&store, CHIYODA, 1..=3, 3);
    assert!(matches!(store.discard(held.id), Err(HeldError::Void(_))));
}

#[test]
fn a_discarded_load_is_gone_and_the_ledger_stays() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=9, 1);
    let before = ledger(&store.view(), CHIYODA).unwrap();
    let held = hold(&store, 1..=3, 2);
    store.discard(held.id).unwrap();
    for store in [&store, &place.copy().open()] {
        assert!(store.held().is_empty());
        assert!(matches!(store.confirm(held.id), Err(HeldError::Unknown(_))));
        assert_eq!(ledger(&store.view(), CHIYODA).unwrap(), before);
    }
    assert!(files(&place).is_empty());
    let other = HeldId::parse("472018-000001-0000").unwrap();
    assert!(matches!(store.confirm(other), Err(HeldError::Unknown(_))));
}

#[test]
fn a_held_load_waits_for_the_loads_of_its_municipality_and_they_for_it() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=9, 1);
    let held = hold(&store, 1..=3, 2);
    let under_way = store.load(municipality(CHIYODA)).unwrap();
    assert!(matches!(store.confirm(held.id), Err(HeldError::Load(LoadError::UnderWay(_)))));
    drop(under_way);
    store.confirm(held.id).unwrap();
}

#[test]
fn the_time_of_a_held_load_runs_out_whether_the_store_is_open_or_not() {
    const DAY_MS: u64 = 24 * 3_600_000;
    for reopened in [false, true] {
        let place = Place::in_memory();
        place.open();
        let clock = Arc::new(Clock::standing());
        let open = || {
            let platform = Platform { environment: clock.clone(), ..Platform::real(&place.path()) };
            Store::open_on(platform, &place.path(), Options::default()).unwrap().0
        };
        let mut store = open();
        load(&store, CHIYODA, 1..=9, 1);
        let held = hold(&store, 1..=3, 2);
        assert_eq!(held.expires_at_ms, clock.now_ms() + DAY_MS);
        clock.step(DAY_MS as i64 - 1);
        assert_eq!(store.held().len(), 1);
        clock.step(1);
        if reopened {
            drop(store);
            store = open();
            assert_eq!((store.opened().held, store.opened().removed_held), (0, 1));
            assert!(matches!(store.confirm(held.id), Err(HeldError::Unknown(_))));
        } else {
            assert!(matches!(store.confirm(held.id), Err(HeldError::Expired(_))));
        }
        assert!(store.held().is_empty());
        assert!(files(&place).is_empty(), "{:?}", files(&place));
        assert_eq!(version(&store.view(), 9), "1版");
        // And a shorter time, as the policy has it.
        let policy = HoldPolicy { keep: Duration::from_secs(1), ..HoldPolicy::default() };
        let mut load = store.load(municipality(CHIYODA)).unwrap();
        load.push(row(1, 3)).unwrap();
        assert!(matches!(load.conclude(None, &policy, false), Ok(LoadOutcome::Held(..))));
        clock.step(1000);
        assert!(store.held().is_empty() && files(&place).is_empty());
    }
}

#[test]
fn no_changed_byte_of_a_held_load_is_ever_installed() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=9, 1);
    record(&store, shot(ticket(CHIYODA, 1), 1, "a"));
    let before = ledger(&store.view(), CHIYODA).unwrap();
    let held = hold(&store, 1..=2, 2);
    drop(store);
    let whole = place.bytes();
    let expected = {
        let store = place.open();
        store.confirm(held.id).unwrap();
        ledger(&store.view(), CHIYODA).unwrap()
    };
    let (mut removed, mut refused) = (0, 0);
    for name in files_of(&whole) {
        // Every byte of the marker; of the generation, which is mostly zeros, every 13th.
        let step = if name.starts_with("held") { 1 } else { 13 };
        for at in (0..whole[&name].len()).step_by(step) {
            let mut files = whole.clone();
            files.get_mut(&name).unwrap()[at] ^= 1 << (at % 8);
            place.restore(&files);
            let (store, opened) = place.try_open().unwrap();
            assert_eq!(ledger(&store.view(), CHIYODA).unwrap(), before, "{name:?} {at}");
            match store.confirm(held.id) {
                Err(HeldError::Unknown(_)) => {
                    assert_eq!((opened.removed_held, opened.held), (1, 0));
                    removed += 1;
                }
                Err(HeldError::Damaged { damage, .. }) => {
                    assert_eq!(damage.file, name);
                    refused += 1;
                    store.discard(held.id).unwrap();
                }
                other => panic!("{name:?} {at}: {other:?}"),
            }
            assert_eq!(ledger(&store.view(), CHIYODA).unwrap(), before, "{name:?} {at}");
        }
    }
    assert!(removed > 100 && refused > 100, "{removed} {refused}");
    place.restore(&whole);
    let store = place.open();
    store.confirm(held.id).unwrap();
    let shown = ledger(&store.view(), CHIYODA).unwrap();
    assert_eq!(shown.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
}

fn files_of(files: &std::collections::BTreeMap<PathBuf, Vec<u8>>) -> Vec<PathBuf> {
    files.keys().filter(|name| name.starts_with("held") || name.to_string_lossy().contains('-')).cloned().collect()
}

#[test]
fn half_of_a_held_load_s_files_are_removed_when_the_store_opens_and_others_are_left_alone() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=9, 1);
    let held = hold(&store, 1..=2, 2);
    drop(store);
    let whole = place.bytes();
    let names = files_of(&whole);
    assert_eq!(names.len(), 2);
    for name in &names {
        let mut files = whole.clone();
        files.remove(name);
        files.insert("held/notes.txt".into(), b"mine".to_vec());
        files.insert("held/131016-000002-0000.tmp".into(), b"half".to_vec());
        place.restore(&files);
        let store = place.open();
        assert!(store.held().is_empty());
        assert!(matches!(store.confirm(held.id), Err(HeldError::Unknown(_))));
        drop(store);
        assert_eq!(files_of(&place.bytes()), [PathBuf::from("held/notes.txt")]);
    }
}

#[test]
fn held_loads_of_other_municipalities_have_nothing_to_do_with_each_other() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=9, 1);
    load(&store, NAHA, 1..=9, 1);
    let chiyoda = hold(&store, 1..=2, 2);
    let mut naha = store.load(municipality(NAHA)).unwrap();
    naha.push(row(1, 2)).unwrap();
    let Ok(LoadOutcome::Held(naha, _)) = naha.conclude(None, &HoldPolicy::default(), false) else { panic!() };
    store.confirm(naha.id).unwrap();
    assert_eq!(store.held(), std::slice::from_ref(&chiyoda));
    load(&store, NAHA, 1..=9, 3);
    drop(store);
    let store = place.open();
    assert_eq!(store.held(), std::slice::from_ref(&chiyoda));
    store.confirm(chiyoda.id).unwrap();
    assert!(matches!(answer(&store.view(), ticket(NAHA, 9)), Answer::Matched(..)));
}
