//! A register becomes visible whole or not at all, and no shot is lost by it.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use sesshu_engine::error::{LoadError, OpenError};
use sesshu_engine::intake::{FaultCode, Row};
use sesshu_engine::ticket::Ticket;
use sesshu_engine::{CheckpointOutcome, Load, Store, View};
use sesshu_proto::v1::{Resident, ResidentStatus};
use sesshu_tests::{
    Answer, CHIYODA, NAHA, Over, Place, SAPPORO, answer, ledger, load, municipality, my_number, record, resident, row,
    shot, ticket,
};

fn version(view: &View, ticket: Ticket) -> u32 {
    let answer = answer(view, ticket);
    let name = &answer.resident().unwrap_or_else(|| panic!("{answer:?}")).name;
    name.split('第').nth(1).unwrap().trim_end_matches('版').parse().unwrap()
}

#[test]
fn a_register_is_visible_whole_or_not_at_all() {
    const ROWS: u64 = 400;
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=ROWS, 1);
    let (acknowledged, done) = (AtomicU32::new(1), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for reader in 0..2 {
            let (store, acknowledged, done) = (&store, &acknowledged, &done);
            scope.spawn(move || {
                let (mut rounds, mut newest) = (0u64, 0);
                while !done.load(Ordering::Acquire) {
                    let before = acknowledged.load(Ordering::Acquire);
                    let view = store.view();
                    let first = version(&view, ticket(CHIYODA, 1 + rounds % ROWS));
                    assert!(first >= before, "version {before} was acknowledged, {first} is seen");
                    assert!(first >= newest, "a reader never sees an older register again");
                    newest = first;
                    if reader == 0 {
                        let versions: HashSet<_> =
                            (1..=ROWS).map(|number| version(&view, ticket(CHIYODA, number))).collect();
                        assert_eq!(versions, HashSet::from([first]));
                    } else {
                        let rows = ledger(&view, CHIYODA).unwrap();
                        assert_eq!(rows.len() as u64, ROWS);
                        let whole = format!("第{first}版");
                        assert!(rows.values().all(|row| row.resident().unwrap().name.ends_with(&whole)));
                    }
                    rounds += 1;
                }
                assert!(rounds > 0);
            });
        }
        let _over = Over(&done);
        for version in 2..=60 {
            load(&store, CHIYODA, 1..=ROWS, version);
            acknowledged.store(version, Ordering::Release);
        }
    });
}

#[test]
fn shots_recorded_while_registers_are_loaded_are_there_at_once_and_for_good() {
    const TICKETS: u64 = 300;
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=TICKETS / 2, 1);
    let (done, loaded) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut recorded: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut loads = 0;
            while !done.load(Ordering::Acquire) {
                // The set of rows changes too: tickets become orphans' tickets, and come back.
                load(&store, CHIYODA, 1..=TICKETS / 2 + loads % 50, loads as u32);
                loads += 1;
                loaded.store(loads, Ordering::Relaxed);
            }
        });
        let over = Over(&done);
        // Loads give way: on a machine that has other things to do they take their time.
        for count in (0u32..).take_while(|&count| count < 6000 || loaded.load(Ordering::Relaxed) < 3) {
            let number = 1 + u64::from(count) * 7 % TICKETS;
            let it = record(&store, shot(ticket(CHIYODA, number), count, &format!("c-{count}")));
            recorded.entry(number).or_default().push(it.shot_id);
            let ids: Vec<u64> =
                answer(&store.view(), ticket(CHIYODA, number)).shots().iter().map(|s| s.shot_id).collect();
            assert_eq!(ids, recorded[&number], "visible as soon as it is acknowledged, and all before it too");
        }
        drop(over);
    });
    assert!(store.status().log_segments > 1, "more than one segment was filled meanwhile");
    let check = |store: &Store| {
        let ledger = ledger(&store.view(), CHIYODA).unwrap();
        for (number, ids) in &recorded {
            let held: Vec<u64> = ledger[number].shots().iter().map(|shot| shot.shot_id).collect();
            assert_eq!(&held, ids);
        }
        assert_eq!(store.status().shots, recorded.values().map(|ids| ids.len() as u64).sum::<u64>());
    };
    check(&store);
    check(&place.copy().open());
    drop(store);
    check(&place.open());
}

#[test]
fn shots_recorded_between_the_fold_and_its_install_stay() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=5, 1);
    record(&store, shot(ticket(CHIYODA, 1), 0, "before"));
    let mut next = store.load(municipality(CHIYODA)).unwrap();
    (1..=5).for_each(|number| next.push(row(number, 2)).unwrap());
    let built = next.build(None).unwrap();
    for number in 1..=9 {
        record(&store, shot(ticket(CHIYODA, number), number as u32, "between"));
    }
    built.install().unwrap();
    let check = |store: &Store| {
        let ledger = ledger(&store.view(), CHIYODA).unwrap();
        for number in 1..=9 {
            let held = ledger[&number].shots().iter().map(|it| it.shot.clone().unwrap().capture_id).collect::<Vec<_>>();
            assert_eq!(held, if number == 1 { vec!["before", "between"] } else { vec!["between"] }, "ticket {number}");
        }
        assert_eq!(
            (store.status().shots, store.status().orphans, version(&store.view(), ticket(CHIYODA, 5))),
            (10, 4, 2)
        );
    };
    check(&store);
    check(&place.copy().open());
    drop(store);
    check(&place.open());
}

#[test]
fn a_crash_changes_no_count() {
    for checkpoint in [false, true] {
        let place = Place::in_memory();
        let store = place.open();
        for version in 1..=2 {
            for number in 1..=9 {
                record(&store, shot(ticket(CHIYODA, number), version, &format!("c-{version}")));
            }
            if checkpoint {
                store.checkpoint().unwrap();
            }
            // What the checkpoint holds, or the log, is folded now.
            load(&store, CHIYODA, 1..=5, version);
        }
        record(&store, shot(ticket(CHIYODA, 1), 7, "after"));
        let counts = |store: &Store| {
            let status = store.status();
            (status.residents, status.orphans, status.shots, status.tail_tickets, status.sequence)
        };
        let (again, opened) = place.copy().try_open().unwrap();
        assert_eq!(matches!(opened.checkpoint, CheckpointOutcome::Restored { .. }), checkpoint);
        assert_eq!(counts(&again), (5, 4, 19, 1, 21));
        assert_eq!(counts(&again), counts(&store));
    }
}

#[test]
fn shots_survive_reloads_and_residents_who_are_gone_are_marked() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=4, 1);
    for number in 1..=5 {
        record(&store, shot(ticket(CHIYODA, number), 1, &format!("c-{number}")));
    }
    let before = ledger(&store.view(), CHIYODA).unwrap();

    let report = load(&store, CHIYODA, [1, 2, 7], 2);
    assert_eq!((report.accepted, report.added, report.changed, report.unchanged), (3, 1, 2, 0));
    assert_eq!((report.removed, report.kept, report.generation), (2, 0, 2));
    let after = ledger(&store.view(), CHIYODA).unwrap();
    assert_eq!(after.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4, 5, 7]);
    for number in 1..=5 {
        assert_eq!(after[&number].shots(), before[&number].shots(), "ticket {number} keeps its shots");
    }
    for number in [3, 4] {
        let (gone, row) = (after[&number].resident().unwrap(), before[&number].resident().unwrap());
        assert_eq!(gone.status(), ResidentStatus::Removed);
        assert!(gone.status_date > 20_200_000 && gone.name == row.name && gone.birth_date == row.birth_date);
    }
    assert!(matches!(after[&5], Answer::Orphan(_)));

    // They were marked once, stay as they were marked, and come back as anyone.
    let report = load(&store, CHIYODA, [1, 2, 7], 2);
    assert_eq!((report.accepted, report.unchanged, report.removed, report.changed), (3, 3, 0, 0));
    assert_eq!(ledger(&store.view(), CHIYODA).unwrap(), after);
    load(&store, CHIYODA, 1..=4, 1);
    assert_eq!(answer(&store.view(), ticket(CHIYODA, 3)), before[&3]);
    drop(store);
    assert_eq!(answer(&place.open().view(), ticket(CHIYODA, 3)), before[&3]);
}

#[test]
fn a_rejected_row_s_resident_stays_as_they_were() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=3, 1);
    let before = answer(&store.view(), ticket(CHIYODA, 2));
    let mut load = store.load(municipality(CHIYODA)).unwrap();
    load.push(row(1, 2)).unwrap();
    load.keep(2);
    // Nobody has this one: there is nothing to keep.
    load.keep(9);
    let report = load.commit(Some(3)).unwrap();
    assert_eq!((report.accepted, report.kept, report.removed), (1, 1, 1));
    assert_eq!(answer(&store.view(), ticket(CHIYODA, 2)), before);
    assert_eq!(answer(&store.view(), ticket(CHIYODA, 9)), Answer::NotFound);
}

#[test]
fn of_two_rows_on_one_ticket_neither_is_taken() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=3, 1);
    let before = answer(&store.view(), ticket(CHIYODA, 2));
    let mut load = store.load(municipality(CHIYODA)).unwrap();
    for number in [3, 2, 1, 2, 4, 4, 4] {
        load.push(row(number, 2)).unwrap();
    }
    let report = load.commit(Some(7)).unwrap();
    assert_eq!(report.rejected.len(), 5);
    assert!(report.rejected.iter().all(|rejected| rejected.fault.code == FaultCode::DuplicateTicket));
    assert_eq!((report.accepted, report.kept, report.removed), (2, 1, 0));
    assert_eq!(answer(&store.view(), ticket(CHIYODA, 2)), before, "the resident stays as they were");
    assert_eq!(answer(&store.view(), ticket(CHIYODA, 4)), Answer::NotFound);
    assert_eq!(version(&store.view(), ticket(CHIYODA, 1)), 2);
}

#[test]
fn another_number_of_rows_than_announced_loads_nothing() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=3, 1);
    let (before, files) = (ledger(&store.view(), CHIYODA).unwrap(), generations(&place));
    for expected in [0, 1, 3] {
        let mut load = store.load(municipality(CHIYODA)).unwrap();
        load.push(row(1, 2)).unwrap();
        load.keep(2);
        let error = load.commit(Some(expected)).unwrap_err();
        assert!(matches!(error, LoadError::RowCount { taken: 2, .. }));
    }
    let error = store.load(municipality(CHIYODA)).unwrap().commit(None).unwrap_err();
    assert!(matches!(error, LoadError::Empty(_)));
    assert_eq!((ledger(&store.view(), CHIYODA).unwrap(), generations(&place)), (before, files));
}

fn generations(place: &Place) -> Vec<std::path::PathBuf> {
    place.bytes().into_keys().filter(|name| name.starts_with("ledgers") || name.starts_with("staging")).collect()
}

#[test]
fn a_municipality_is_loaded_by_one_at_a_time() {
    let place = Place::in_memory();
    let store = place.open();
    let first = store.load(municipality(CHIYODA)).unwrap();
    assert!(matches!(store.load(municipality(CHIYODA)), Err(LoadError::UnderWay(it)) if it == municipality(CHIYODA)));
    let other = store.load(municipality(NAHA)).unwrap();
    drop(first);
    load(&store, CHIYODA, [1], 1);
    drop(other);
    load(&store, CHIYODA, [1], 2);
}

#[test]
fn a_load_that_is_dropped_leaves_nothing() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=3, 1);
    let (before, files) = (ledger(&store.view(), CHIYODA).unwrap(), generations(&place));
    let sequence = store.view().sequence();
    let mut load = store.load(municipality(CHIYODA)).unwrap();
    (1..1000).for_each(|number| load.push(row(number, 2)).unwrap());
    drop(load);
    assert_eq!((ledger(&store.view(), CHIYODA).unwrap(), generations(&place)), (before, files));
    assert_eq!(store.view().sequence(), sequence);
}

#[test]
fn municipalities_are_loaded_side_by_side() {
    let place = Place::in_memory();
    let store = place.open();
    let codes = [CHIYODA, SAPPORO, NAHA, 141_003, 112_241];
    std::thread::scope(|scope| {
        for code in codes {
            let store = &store;
            scope.spawn(move || (1..=20).for_each(|version| drop(load(store, code, 1..=100, version))));
        }
    });
    // Superseded generations are gone while the store is open, and what is left opens.
    assert_eq!(generations(&place).len(), codes.len());
    assert_eq!(place.manifest().generations.len(), codes.len());
    for generation in place.manifest().generations {
        let code = sesshu_engine::ticket::Municipality::from_five_digits(generation.municipality).unwrap().code();
        let file = place.file(format!("ledgers/{code:06}/{:06}.gen", generation.generation));
        let hash = blake3::hash(&std::fs::read(file).unwrap());
        assert_eq!(&generation.blake3[..], hash.as_bytes(), "the manifest knows every file's hash");
    }
    for store in [&store, &place.copy().open()] {
        let view = store.view();
        assert!(codes.iter().all(|&code| (1..=100).all(|number| version(&view, ticket(code, number)) == 20)));
    }
}

#[test]
fn a_view_that_is_held_keeps_its_register() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=50, 1);
    record(&store, shot(ticket(CHIYODA, 1), 1, ""));
    let held = store.view();
    let before = ledger(&held, CHIYODA).unwrap();
    load(&store, CHIYODA, 20..=80, 2);
    load(&store, CHIYODA, 20..=80, 3);
    assert_eq!(ledger(&held, CHIYODA).unwrap(), before);
    assert!(before.iter().all(|(&number, it)| answer(&held, ticket(CHIYODA, number)) == *it));
    assert_eq!(version(&store.view(), ticket(CHIYODA, 50)), 3);
}

#[test]
fn a_load_that_outlives_its_store_keeps_others_out_and_does_no_harm() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=3, 1);
    let mut late = store.load(municipality(CHIYODA)).unwrap();
    late.push(row(1, 7)).unwrap();
    drop(store);
    // It would move its file into a store that someone else has open.
    assert!(matches!(place.try_open(), Err(OpenError::InUse(..))));
    assert!(matches!(late.commit(None), Err(LoadError::Install(_))));
    let (store, opened) = place.try_open().unwrap();
    assert_eq!(opened.log, sesshu_engine::LogOutcome::Closed);
    assert_eq!(opened.removed_files, 0, "it took its file along");
    assert_eq!(version(&store.view(), ticket(CHIYODA, 1)), 1);
}

#[test]
fn an_interrupted_load_s_files_are_removed_when_the_store_opens_and_others_are_left_alone() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=3, 1);
    drop(store);
    let ledgers = place.file("ledgers/131016");
    for name in ["staging/131016-000002.gen", "ledgers/131016/000002.gen", "ledgers/131016/notes.txt"] {
        std::fs::write(place.file(name), b"half a generation").unwrap();
    }
    let (store, opened) = place.try_open().unwrap();
    assert_eq!(opened.removed_files, 2);
    assert!(ledgers.join("notes.txt").exists());
    load(&store, CHIYODA, 1..=3, 2);
    assert_eq!(version(&store.view(), ticket(CHIYODA, 3)), 2);
}

#[test]
fn rows_that_share_a_resident_number_or_a_my_number_are_taken_and_told() {
    let place = Place::in_memory();
    let store = place.open();
    let push = |load: &mut Load, line: u64, resident_number: &str, my: Option<u64>| {
        let resident = Resident { resident_number: resident_number.into(), ..resident(line, 1) };
        load.push(Row::check(line, my.map(my_number), resident, line).unwrap()).unwrap();
    };
    let mut load = store.load(municipality(CHIYODA)).unwrap();
    for (line, resident_number, my) in [
        (9, "007", Some(1)),
        (8, "007", Some(2)),
        (7, "07", Some(3)),
        (6, "", None),
        (5, "", None),
        (4, "4", Some(2)),
        (3, "007", Some(4)),
    ] {
        push(&mut load, line, resident_number, my);
    }
    let report = load.commit(None).unwrap();
    assert_eq!((report.accepted, report.rejected.len()), (7, 0));
    assert_eq!((report.shared_counts.resident_numbers, report.shared_counts.my_numbers), (3, 2));
    let told: Vec<_> = report.shared.iter().map(|it| (it.line, it.code.as_str(), it.reason.as_str())).collect();
    let same = |line, other: &'static str| (line, "shared_resident_number", other);
    assert_eq!(
        told,
        [
            same(3, "line 8 has the same resident number"),
            (4, "shared_my_number", "line 8 has the same My Number"),
            same(8, "line 3 has the same resident number"),
            (8, "shared_my_number", "line 4 has the same My Number"),
            same(9, "line 3 has the same resident number"),
        ]
    );

    // Of a register that is all one mistake, every row is counted and not every row is listed.
    let mut load = store.load(municipality(CHIYODA)).unwrap();
    let rows = sesshu_engine::SHARED_LISTED_MAX as u64 + 5;
    (1..=rows).for_each(|line| push(&mut load, line, "0", None));
    let report = load.commit(None).unwrap();
    assert_eq!((report.shared_counts.resident_numbers, report.shared.len() as u64), (rows, rows - 5));
}
