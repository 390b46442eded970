//! A store that is restored from a snapshot is the original at that moment, row for row and shot for shot, and from then on a store of its own.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sesshu_engine::disk::{Call, Fault, PlannedFault, RealDisk, SimulatedDisk};
use sesshu_engine::error::{Damage, OpenError, RestoreError, SnapshotError};
use sesshu_engine::intake::{Act, Amendment, By, Change, Row, ShotRef};
use sesshu_engine::{
    Known, Match, Moment, MyNumberQuestion, Options, Platform, RestoreStep, Restoring, Snapshot, SnapshotName, Store,
};
use sesshu_proto::v1::{Authority, ResidentStatus};
use sesshu_tests::machine::draw;
use sesshu_tests::{
    Answer, CHIYODA, Clock, NAHA, Over, Place, SAPPORO, by_names, files_below, flip, ledger, load, municipality,
    my_number, record, resident, rng, row, shot, ticket, whatever_comes,
};

const CODES: [u32; 3] = [CHIYODA, SAPPORO, NAHA];

/// Everything that a store shows.
type Shown = Vec<BTreeMap<u64, Answer>>;

fn shown(store: &Store) -> Shown {
    let view = store.view();
    CODES.iter().map(|&code| ledger(&view, code).unwrap()).collect()
}

fn name(text: &str) -> SnapshotName {
    SnapshotName::parse(text).unwrap()
}

fn compact(store: &Store, code: u32) {
    store.compact(municipality(code), None, &mut |_| ControlFlow::Continue(())).unwrap();
}

fn change(store: &Store, change: Change) {
    store.change(&[change]).unwrap().pop().unwrap().unwrap();
}

fn amend(store: &Store, shot: ShotRef, act: Act) {
    let by = By {
        who: "係員 7".into(),
        reason: "届出".into(),
        authority: Authority::MunicipalityStaff,
        batch: String::new(),
    };
    store.amend(&[Amendment::check(shot, act, by, None, None).unwrap()]).pop().unwrap().unwrap();
}

/// Restores into a place of its own, with the key of the original.
fn restored(original: &Place, snapshot: &Snapshot, moment: Option<Moment>) -> Place {
    let place = Place::in_memory();
    snapshot.restore(&place.path(), moment, &mut |_| {}).unwrap();
    fs::copy(original.key(), place.key()).unwrap();
    place
}

/// Lives through some of everything, and notes what was shown when which event was the newest.
fn lived(store: &Store) -> Vec<(u64, Shown)> {
    load(store, CHIYODA, 1..=20, 1);
    load(store, SAPPORO, 1..=5, 1);
    for number in 1..=25 {
        record(store, shot(ticket(CHIYODA, number), 1, "a"));
    }
    compact(store, CHIYODA);
    let mut moments = Vec::new();
    let mut note = |store: &Store| moments.push((store.view().sequence(), shown(store)));
    note(store);
    record(store, shot(ticket(CHIYODA, 3), 2, "b"));
    note(store);
    let many = (1..=40).map(|number| shot(ticket(NAHA, number), 3, "c"));
    assert!(store.record_many(many.collect()).iter().all(Result::is_ok));
    note(store);
    let moved = record(store, shot(ticket(CHIYODA, 4), 4, "d"));
    note(store);
    let moved = ShotRef { ticket: ticket(CHIYODA, 4), shot_id: moved.shot_id };
    amend(store, moved, Act::Reassign(ticket(SAPPORO, 2)));
    note(store);
    amend(store, moved, Act::Void);
    note(store);
    change(store, Change::row(municipality(SAPPORO), row(9, 1)));
    note(store);
    change(store, Change::reissue(municipality(SAPPORO), 9, row(10, 2)).unwrap());
    note(store);
    change(store, Change::status(ticket(CHIYODA, 1), ResidentStatus::MovedOut, 20_210_601).unwrap());
    note(store);
    moments
}

#[test]
fn a_restored_store_is_the_original_at_that_moment_and_then_a_store_of_its_own() {
    let place = Place::in_memory();
    let store = place.open();
    let moments = lived(&store);
    let snapshot = store.create_snapshot(&name("noon")).unwrap();
    // What comes later is not in it, whatever it does to the files.
    let then = shown(&store);
    record(&store, shot(ticket(CHIYODA, 2), 7, "later"));
    load(&store, SAPPORO, 1..=3, 2);
    for code in CODES {
        compact(&store, code);
    }
    store.checkpoint().unwrap();
    let later = shown(&store);
    assert_ne!(later, then);

    let copy = restored(&place, &snapshot, None);
    let (new, opened) = copy.try_open().unwrap();
    assert_eq!((opened.created, opened.removed_files), (false, 0), "{opened:?}");
    assert_ne!(new.id(), store.id());
    assert_eq!(shown(&new), then);
    assert_eq!(then, moments.last().unwrap().1);
    // People are found by what their rows say, too.
    let sought = resident(3, 1);
    let [by_number, by_name, by_kana] = by_names(&new.view(), CHIYODA, &sought).map(Result::unwrap);
    assert!([&by_number, &by_name, &by_kana].iter().all(|found| found.contains(&3)), "{by_number:?} {by_name:?}");
    // A snapshot of it is as good as one of the original.
    let again = new.create_snapshot(&name("again")).unwrap();
    again.verify(&mut |_| {}).unwrap();
    assert_eq!(shown(&restored(&copy, &again, None).open()), then);
    // It goes on by itself, and so does the original.
    record(&new, shot(ticket(CHIYODA, 2), 8, "its-own"));
    load(&new, NAHA, 1..=3, 1);
    let shots = |store: &Store| -> Vec<Vec<_>> {
        let tickets = shown(store)
            .into_iter()
            .map(|ledger| ledger.into_iter().map(|(number, answer)| (number, answer.shots().to_vec())).collect());
        tickets.collect()
    };
    let own = shots(&new);
    assert_eq!(shown(&store), later);
    // Registers replace rows from here on.
    whatever_comes(&copy, new, |new| {
        let now = shots(new);
        assert!(own.iter().zip(&now).all(|(own, now)| own.iter().all(|ticket| now.contains(ticket))), "{now:?}");
    });
}

#[test]
fn a_store_is_restored_as_of_any_event_of_the_window_and_an_act_is_there_whole_or_not_at_all() {
    let place = Place::in_memory();
    let store = place.open();
    let moments = lived(&store);
    let snapshot = store.create_snapshot(&name("noon")).unwrap();
    let window = snapshot.window();
    assert_eq!((window.begin.0, window.end.0), (moments[0].0, moments.last().unwrap().0));
    let view = store.view();
    let mut halves = 0;
    for asked in window.begin.0..=window.end.0 {
        let copy = Place::in_memory();
        let done = snapshot.restore(&copy.path(), Some(Moment::Sequence(asked)), &mut |_| {}).unwrap();
        assert!(done.sequence == asked || done.sequence + 1 == asked, "{asked}: {done:?}");
        halves += u64::from(done.sequence != asked);
        let new = copy.open();
        assert_eq!(new.view().sequence(), done.sequence);
        let found = shown(&new);
        if let Some((_, then)) = moments.iter().find(|(sequence, _)| *sequence == asked) {
            assert_eq!(&found, then, "as of {asked}");
        }
        for (code, tickets) in CODES.into_iter().zip(&found) {
            for number in 1..=41 {
                let asked = ticket(code, number);
                let known = view.known_at(asked, Moment::Sequence(done.sequence)).unwrap();
                assert_eq!(known.is_some(), tickets.contains_key(&number), "{asked:?} as of {}", done.sequence);
                let Some(Known { resident, shots, .. }) = known else { continue };
                let new = new.view();
                let (Match::Matched(person) | Match::Orphan(person)) = new.match_ticket(asked) else {
                    panic!("{asked:?} is known")
                };
                assert_eq!((person.resident().unwrap(), person.recorded_shots().unwrap()), (resident, shots));
            }
        }
    }
    assert_eq!(halves, 2, "the reassignment and the reissue are acts of two events");
}

#[test]
fn a_store_is_restored_as_of_a_time_and_outside_the_window_not_at_all() {
    let place = Place::in_memory();
    let clock = std::sync::Arc::new(Clock::standing());
    fs::create_dir(place.path()).unwrap();
    let disk = std::sync::Arc::new(RealDisk::existing(&place.path()));
    let platform = Platform { environment: std::sync::Arc::clone(&clock) as _, ..Platform::on(disk) };
    let (store, _) = Store::open_on(platform, &place.path(), Options::default()).unwrap();
    record(&store, shot(ticket(CHIYODA, 1), 1, "before"));
    clock.step(1000);
    load(&store, CHIYODA, 1..=3, 1);
    let begin = store.view().sequence();
    for number in 1..=3 {
        clock.step(1000);
        record(&store, shot(ticket(CHIYODA, number), 2, "a"));
    }
    clock.step(5000);
    let snapshot = store.create_snapshot(&name("noon")).unwrap();
    let window = snapshot.window();
    assert_eq!((window.begin.0, window.end.0), (begin, begin + 3));
    assert_eq!(window.end.1, window.begin.1 + 8000, "until the snapshot was made: nothing came after the last shot");
    let at = |time_ms| {
        let copy = Place::in_memory();
        snapshot.restore(&copy.path(), Some(Moment::Time(time_ms)), &mut |_| {}).unwrap().sequence - begin
    };
    let asked = [0, 999, 1000, 2500, 3000, 8000].map(|after| at(window.begin.1 + after));
    assert_eq!(asked, [0, 0, 1, 2, 3, 3]);
    let copy = Place::in_memory();
    let (first, last) = (window.begin.1, window.end.1);
    for moment in
        [Moment::Sequence(begin - 1), Moment::Sequence(begin + 4), Moment::Time(first - 1), Moment::Time(last + 1)]
    {
        let outside = snapshot.restore(&copy.path(), Some(moment), &mut |_| {});
        assert!(
            matches!(&outside, Err(RestoreError::OutsideWindow { asked, window: it }) if *asked == moment && *it == window),
            "{outside:?}"
        );
    }
    assert!(!copy.path().exists(), "nothing was made");
}

#[test]
fn nothing_is_restored_over_anything() {
    let place = Place::in_memory();
    let store = place.open();
    lived(&store);
    let snapshot = store.create_snapshot(&name("noon")).unwrap();
    for lies in ["MANIFEST", "notes.txt", "log/0000000000000001.log"] {
        let copy = Place::in_memory();
        fs::create_dir_all(copy.file(lies).parent().unwrap()).unwrap();
        fs::write(copy.file(lies), "mine").unwrap();
        let refused = snapshot.restore(&copy.path(), None, &mut |_| {});
        assert!(matches!(refused, Err(RestoreError::NotEmpty(_))), "{refused:?}");
        assert_eq!(files_below(&copy.path()), [copy.file(lies)]);
    }
    let refused = snapshot.restore(&place.path(), None, &mut |_| {});
    assert!(matches!(refused, Err(RestoreError::NotEmpty(_))), "the original itself: {refused:?}");
    // An empty directory is as good as none.
    let copy = Place::in_memory();
    fs::create_dir(copy.path()).unwrap();
    snapshot.restore(&copy.path(), None, &mut |_| {}).unwrap();
    assert_eq!(shown(&copy.open()), shown(&store));
}

#[test]
fn nothing_is_restored_where_somebody_else_was_faster() {
    let place = Place::in_memory();
    let store = place.open();
    lived(&store);
    let snapshot = store.create_snapshot(&name("noon")).unwrap();
    let copy = Place::in_memory();
    let mut made = None;
    let refused = snapshot.restore(&copy.path(), None, &mut |restoring| {
        if restoring.step == RestoreStep::Verifying && made.is_none() {
            let other = copy.open();
            record(&other, shot(ticket(NAHA, 1), 1, "theirs"));
            other.close().unwrap();
            made = Some(copy.bytes());
        }
    });
    assert!(matches!(refused, Err(RestoreError::NotEmpty(_))), "{refused:?}");
    assert_eq!(Some(copy.bytes()), made, "it is as it was");
}

#[test]
fn damage_of_any_file_is_found_before_anything_is_made() {
    let place = Place::in_memory();
    let store = place.open();
    lived(&store);
    // An access log too.
    let asked = MyNumberQuestion { my_number: my_number(7), purpose: "転入", who: "窓口 1" };
    store.with_my_number(&store.view(), &asked, 10).unwrap();
    let snapshot = store.create_snapshot(&name("noon")).unwrap();
    store.close().unwrap();
    let directory = place.file("snapshots/noon");
    let copies = Place::in_memory();
    let files = snapshot.files().map(|(path, length, _)| (path, length));
    let files: Vec<_> = files.chain([("SNAPSHOT".into(), 100)]).collect();
    assert!(files.len() >= 5, "{files:?}");
    for (path, length) in files {
        let bytes = fs::read(directory.join(&path)).unwrap();
        // The files are the store's too: what is damaged here is a copy of them.
        fs::remove_file(directory.join(&path)).unwrap();
        for at in [30, length / 2, length - 1] {
            fs::write(directory.join(&path), &bytes).unwrap();
            flip(&directory.join(&path), at as usize, 1 << (at % 8));
            is_refused(&directory, &path, &copies);
        }
        fs::write(directory.join(&path), &bytes[..length as usize - 1]).unwrap();
        is_refused(&directory, &path, &copies);
        fs::remove_file(directory.join(&path)).unwrap();
        is_refused(&directory, &path, &copies);
        fs::write(directory.join(&path), &bytes).unwrap();
    }
    let snapshot = Snapshot::exported(&directory).unwrap();
    snapshot.restore(&copies.path(), None, &mut |_| {}).unwrap();
}

fn is_refused(directory: &Path, path: &Path, copies: &Place) {
    let refused = Snapshot::exported(directory).map_err(RestoreError::from);
    let refused = refused.and_then(|snapshot| snapshot.restore(&copies.path(), None, &mut |_| {}));
    let named = match &refused {
        Err(RestoreError::Snapshot(SnapshotError::Damaged(Damage { file, .. }))) => file == path,
        Err(RestoreError::Snapshot(SnapshotError::NotExported(_))) => path == Path::new("SNAPSHOT"),
        _ => false,
    };
    assert!(named, "{}: {refused:?}", path.display());
    assert!(files_below(&copies.path()).is_empty(), "{}: nothing was made", path.display());
}

#[test]
fn the_access_log_and_the_keys_come_along() {
    let place = Place::in_memory();
    let store = place.open();
    let mut load = store.load(municipality(CHIYODA)).unwrap();
    for number in 1..=5 {
        load.push(Row::check(number, Some(my_number(number)), resident(number, 1), 0).unwrap()).unwrap();
    }
    load.commit(None).unwrap();
    let ask = |store: &Store, number| {
        let asked = MyNumberQuestion { my_number: my_number(number), purpose: "転入", who: "窓口 1" };
        let view = store.view();
        let found = store.with_my_number(&view, &asked, 10).unwrap();
        found.people.iter().map(|person| person.ticket()).collect::<Vec<_>>()
    };
    let entries = |store: &Store| {
        let mut entries = Vec::new();
        store.accesses(|access| entries.push(access)).unwrap();
        entries
    };
    let noon = store.create_snapshot(&name("noon")).unwrap();
    assert_eq!(ask(&store, 3), [ticket(CHIYODA, 3)]);
    ask(&store, 4);
    let open = store.create_snapshot(&name("open")).unwrap();
    // As after a kill: nothing vouches for what was asked.
    let killed = place.copy();
    let told = entries(&store);
    assert_eq!(told.len(), 2);
    drop(store);
    let closed = place.open().create_snapshot(&name("closed")).unwrap();
    let killed_store = killed.open();
    let behind = killed_store.create_snapshot(&name("killed")).unwrap();
    for (snapshot, known) in [(&noon, 0), (&open, 2), (&closed, 2), (&behind, 2)] {
        let copy = restored(&place, snapshot, None);
        let new = copy.open();
        assert_eq!(entries(&new), told[..known], "{snapshot:?}");
        assert_eq!(ask(&new, 3), [ticket(CHIYODA, 3)], "{snapshot:?}");
        assert_eq!(entries(&new).len(), known + 1);
        drop(new);
        assert_eq!(entries(&copy.open()).len(), known + 1);
    }
    assert_eq!(noon.outside_key_id(), place.open().keys().unwrap()[0].outside_key_id);
}

/// The platform of a simulated disk in a place of its own.
fn simulated(place: &Place, seed: u64) -> (SimulatedDisk, Platform) {
    let disk = SimulatedDisk::on(&place.path(), seed).unwrap();
    let platform = Platform { threads: false, ..Platform::on(disk.mount()) };
    (disk, platform)
}

#[test]
fn a_restore_that_is_cut_short_anywhere_leaves_the_store_or_none() {
    let place = Place::in_memory();
    let store = place.open();
    lived(&store);
    let snapshot = store.create_snapshot(&name("noon")).unwrap();
    let then = shown(&store);
    let (mut rng, mut none, mut some) = (rng(), 0, 0);
    for operations in 0.. {
        let copy = Place::in_memory();
        let (disk, platform) = simulated(&copy, operations);
        disk.stop_after(operations);
        let restored = snapshot.restore_on(platform, &copy.path(), None, &mut |_| {});
        if !disk.stopped() {
            restored.unwrap();
            break;
        }
        disk.cut(draw(&mut rng, operations)).unwrap();
        let platform = Platform { threads: false, ..Platform::on(disk.mount()) };
        match Store::open_on(platform, &copy.path(), Options { create: false, ..Options::default() }) {
            Err(OpenError::NoStore(_)) => none += 1,
            opened => {
                assert_eq!(shown(&opened.unwrap().0), then, "cut after {operations}");
                some += 1;
            }
        }
    }
    assert!(none > 20 && some > 5, "{none} times no store, {some} times the store");
}

#[test]
fn a_restore_that_fails_leaves_room_for_the_next_one() {
    let place = Place::in_memory();
    let store = place.open();
    lived(&store);
    let snapshot = store.create_snapshot(&name("noon")).unwrap();
    let then = shown(&store);
    let mut failed = 0;
    for (count, fault) in (1..).flat_map(|count| [(count, Fault::Fail), (count, Fault::NoRoom), (count, Fault::Late)]) {
        let copy = Place::in_memory();
        let (disk, platform) = simulated(&copy, count);
        disk.plan(PlannedFault { on: Call::ALL, count, fault });
        let restored = snapshot.restore_on(platform.clone(), &copy.path(), None, &mut |_| {});
        if disk.faults() == 0 {
            restored.unwrap();
            break;
        }
        disk.heal();
        failed += u64::from(restored.is_err());
        let there = || disk.files().iter().any(|(path, _)| path == Path::new("MANIFEST"));
        if restored.is_err() && !there() {
            snapshot.restore_on(platform.clone(), &copy.path(), None, &mut |_| {}).unwrap();
        }
        let (new, _) = Store::open_on(platform, &copy.path(), Options { create: false, ..Options::default() }).unwrap();
        assert_eq!(shown(&new), then, "{fault:?} of call {count}");
    }
    assert!(failed > 100, "{failed}");
}

#[test]
fn a_restore_tells_how_far_it_has_come() {
    let place = Place::in_memory();
    let store = place.open();
    lived(&store);
    let snapshot = store.create_snapshot(&name("noon")).unwrap();
    let (copy, mut told) = (Place::in_memory(), Vec::new());
    snapshot.restore(&copy.path(), None, &mut |restoring| told.push(restoring)).unwrap();
    for step in [RestoreStep::Verifying, RestoreStep::Copying] {
        let of: Vec<u64> = told.iter().filter(|it| it.step == step).map(|it| it.bytes).collect();
        assert!(of.is_sorted() && of.len() > 2, "{told:?}");
        assert_eq!(of.last(), Some(&snapshot.bytes()), "{step:?}");
    }
    let last = Restoring { step: RestoreStep::Opening, bytes: snapshot.bytes() };
    assert_eq!(told.last(), Some(&last));
}

#[test]
fn snapshots_of_a_store_that_never_rests_are_whole() {
    let place = Place::on_disk();
    let store = place.open();
    load(&store, CHIYODA, 1..=300, 1);
    let (over, recorded) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut snapshots = Vec::new();
    std::thread::scope(|scope| {
        let _over = Over(&over);
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let at = recorded.load(Ordering::Relaxed);
                record(&store, shot(ticket(CHIYODA, 1 + at % 300), 1, &format!("{at}")));
                recorded.store(at + 1, Ordering::Release);
            }
        });
        scope.spawn(|| {
            let mut version = 2;
            while !over.load(Ordering::Relaxed) {
                // Generations and segments go all the time.
                load(&store, SAPPORO, 1..=50, version);
                compact(&store, CHIYODA);
                store.checkpoint().unwrap();
                version += 1;
            }
        });
        for index in 0..20 {
            let before = recorded.load(Ordering::Acquire);
            let snapshot = store.create_snapshot(&name(&format!("s{index}"))).unwrap();
            snapshots.push((snapshot, before, recorded.load(Ordering::Acquire)));
        }
    });
    for (snapshot, before, after) in snapshots {
        let copy = restored(&place, &snapshot, None);
        let new = copy.open();
        let shots: Vec<u64> = shown(&new)[0].values().map(|answer| answer.shots().len() as u64).collect();
        let count: u64 = shots.iter().sum();
        // Those that were acknowledged before are in it, and none that was offered after.
        assert!((before..=after + 1).contains(&count), "{count} of {before} to {after}");
        assert!(shots.is_sorted_by(|a, b| a >= b), "one ticket after another: {shots:?}");
        assert_eq!(new.view().sequence(), snapshot.window().end.0);
    }
}
