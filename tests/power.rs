//! What was acknowledged survives a power cut, a failing disk and a full one (I1, I7, I10).
//!
//! The stores lie on a disk that knows which of their bytes and names were synced. The power is cut after every single operation, in the recovery too, and
//! what was not synced is lost, zeroed or torn. What the machine finds then is opened as any store is.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::sync::Mutex;
use std::time::Instant;

use rand::RngExt;
use sesshu_engine::disk::{SimulatedDisk, Unsynced};
use sesshu_engine::error::{Kind, LoadError, RecordError};
use sesshu_engine::{CheckpointOutcome, Store};
use sesshu_tests::machine::{Machine, ROWS, Shown, Told, draw, try_load};
use sesshu_tests::{CHIYODA, NAHA, Place, load, raw_batches, record, rng, shot, ticket};

/// Makes a store and does some of everything, until the disk stops.
fn work(machine: &Machine, told: &mut Told) -> Option<()> {
    let store = machine.try_open().ok()?;
    told.record(&store, NAHA, 1, "a".into()).ok()?;
    told.load(&store, 1).ok()?;
    told.record(&store, CHIYODA, 1, "b".into()).ok()?;
    told.record(&store, CHIYODA, 9, "c".into()).ok()?;
    told.load(&store, 2).ok()?;
    told.record(&store, CHIYODA, 1, "d".into()).ok()?;
    store.close().ok()?;
    // The same again in a store that was closed.
    drop(store);
    let store = machine.try_open().ok()?;
    told.record(&store, CHIYODA, 2, "e".into()).ok()?;
    told.load(&store, 3).ok()?;
    store.close().ok()
}

/// Runs [`work`] once for every operation, and stops the disk after it.
fn at_every_operation(mut check: impl FnMut(u64, &Machine, Told)) {
    for count in 0.. {
        let machine = Machine::empty();
        machine.disk.stop_after(count);
        let mut told = Told::default();
        let done = work(&machine, &mut told).is_some();
        let stopped = machine.disk.stopped();
        check(count, &machine, told);
        if done && !stopped {
            assert!(count > 60, "{count} operations");
            return;
        }
    }
}

#[test]
fn acknowledged_shots_and_registers_survive_a_cut_after_any_operation() {
    let mut rng = rng();
    at_every_operation(|count, machine, told| {
        // Once lost, once zeroed, and torn in several ways.
        for choice in [0, 1].into_iter().chain([2; 10]) {
            let unsynced = draw(&mut rng, choice);
            println!("cut after {count}, {unsynced:?}: {told:?}");
            told.check(&Shown::in_place(&machine.cut(unsynced)));
        }
    });
}

#[test]
fn a_recovery_that_is_cut_after_any_operation_is_done_again() {
    let mut rng = rng();
    at_every_operation(|count, machine, told| {
        let unsynced = draw(&mut rng, count);
        println!("cut after {count}, {unsynced:?}: {told:?}");
        let shown = Shown::by(&machine.cut(unsynced).open());
        told.check(&shown);
        for second in 0.. {
            let machine = Machine::at(machine.cut(unsynced));
            machine.disk.stop_after(second);
            let opened = machine.try_open();
            let unsynced = draw(&mut rng, second);
            println!("recovery cut after {second}, {unsynced:?}");
            assert_eq!(Shown::by(&machine.cut(unsynced).open()), shown, "the same as without the second cut");
            if opened.is_ok() && !machine.disk.stopped() {
                break;
            }
        }
    });
}

#[test]
fn what_an_opened_store_shows_survives_a_cut() {
    // The program is killed, and the next one sees what was written and never synced. It may say so only when that is durable.
    let mut rng = rng();
    at_every_operation(|count, machine, told| {
        machine.disk.kill();
        let store = machine.open();
        let shown = Shown::by(&store);
        told.check(&shown);
        for choice in 0..3 {
            let unsynced = draw(&mut rng, choice);
            println!("killed after {count}, opened, cut, {unsynced:?}: {told:?}");
            assert_eq!(Shown::by(&machine.cut(unsynced).open()), shown);
        }
    });
}

#[test]
fn what_a_killed_program_left_survives_a_cut_after_any_operation_of_the_next() {
    // What the next one reads may never have been synced, names of files too: nothing is built on it before it is durable.
    let mut rng = rng();
    for count in 0.. {
        let mut whole = false;
        for second in 0.. {
            let machine = Machine::empty();
            machine.disk.stop_after(count);
            let mut told = Told::default();
            let begun = machine.try_open().ok().and_then(|store| {
                told.record(&store, NAHA, 1, "a".into()).ok()?;
                told.load(&store, 1).ok()?;
                told.load(&store, 2).ok()
            });
            whole = begun.is_some() && !machine.disk.stopped();
            machine.disk.kill();
            machine.disk.stop_after(second);
            let opened = machine.try_open();
            let unsynced = draw(&mut rng, count + second);
            println!("killed after {count}, opened, cut after {second}, {unsynced:?}: {told:?}");
            told.check(&Shown::by(&machine.cut(unsynced).open()));
            if opened.is_ok() && !machine.disk.stopped() {
                break;
            }
        }
        if whole {
            assert!(count > 30, "{count} operations");
            return;
        }
    }
}

#[test]
fn acknowledged_shots_survive_a_cut_at_once_also_between_segments() {
    let mut rng = rng();
    let mut segments = 0;
    for chain in 0..6 {
        let mut place = Place::in_memory();
        let mut told = Told::default();
        for round in 0..6 {
            let machine = Machine::at(place);
            let store = machine.open();
            if round % 2 == 1 {
                told.load(&store, round).unwrap();
            }
            // Fills a part of a segment, so that the cut comes before, in or after the way to the next one.
            let many = (0..rng.random_range(0..1500)).map(|n| format!("{chain}-{round}-{n}")).collect::<Vec<_>>();
            let shots = many.iter().map(|capture_id| shot(ticket(NAHA, rng.random_range(0..300)), 7, capture_id));
            for (capture_id, recorded) in many.iter().zip(store.record_many(shots.collect())) {
                told.shots.insert(capture_id.clone(), recorded.unwrap().shot_id);
            }
            let acknowledged = Mutex::new(told);
            let records = rng.random_range(1..400);
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let (store, acknowledged, machine) = (&store, &acknowledged, &machine);
                    scope.spawn(move || {
                        for count in 0.. {
                            let capture_id = format!("{chain}-{round}-{thread}-{count}");
                            let shot = shot(ticket(CHIYODA, count % 50), 1, &capture_id);
                            let Ok(recorded) = store.record(shot) else { return };
                            let mut told = acknowledged.lock().unwrap();
                            told.shots.insert(capture_id, recorded.shot_id);
                            if thread == 0 && count == records {
                                // At once: the others are in the middle of something.
                                machine.disk.stop_after(0);
                            }
                        }
                    });
                }
            });
            told = acknowledged.into_inner().unwrap();
            let unsynced = draw(&mut rng, round.into());
            println!("chain {chain}, round {round}, {unsynced:?}, {} shots", told.shots.len());
            segments += store.status().log_segments;
            place = machine.cut(unsynced);
            told.check(&Shown::by(&place.copy().open()));
        }
    }
    assert!(segments > 100, "{segments}");
}

/// A closed store, with a register and shots that were acknowledged.
fn some() -> (Machine, Told) {
    let machine = Machine::empty();
    let mut told = Told::default();
    work(&machine, &mut told).unwrap();
    (machine, told)
}

/// After a failure of the log: nothing more is written, reads go on, and what was acknowledged is there after a cut and after a restart.
fn read_only(machine: &Machine, store: Store, told: &Told) {
    let operations = machine.disk.operations();
    for number in 0..3 {
        let error = store.record(shot(ticket(CHIYODA, number), 9, "later")).unwrap_err();
        assert!(matches!(error, RecordError::Poisoned(_)), "{error:?}");
    }
    assert!(store.status().trouble.is_some_and(|trouble| trouble.starts_with("the log failed")));
    told.check(&Shown::by(&store));
    store.close().unwrap();
    drop(store);
    assert_eq!(machine.disk.operations(), operations, "I7: nothing is written after a failure, by nobody");
    for seed in 0..8 {
        for unsynced in [Unsynced::Lost, Unsynced::Zeros, Unsynced::Torn(seed)] {
            told.check(&Shown::in_place(&machine.cut(unsynced)));
        }
    }
    let shown = Shown::by(&machine.open());
    told.check(&shown);
    for unsynced in [Unsynced::Lost, Unsynced::Zeros] {
        let found = machine.cut(unsynced);
        let batches = |name| raw_batches(&fs::read(found.file(name)).unwrap());
        let events = found.segments().iter().flat_map(batches).map(|batch| u64::from(batch.count)).sum::<u64>();
        assert_eq!(events, shown.sequence, "what recovery cut from the end of the log is wiped");
        assert_eq!(Shown::in_place(&found), shown, "what was shown again is durable");
    }
}

#[test]
fn a_failed_sync_or_write_of_the_log_ends_all_writing() {
    for fail in [SimulatedDisk::fail_sync, SimulatedDisk::fail_write] {
        let (machine, told) = some();
        let store = machine.open();
        fail(&machine.disk, 1);
        let error = store.record(shot(ticket(CHIYODA, 1), 9, "doubtful")).unwrap_err();
        assert!(matches!(error, RecordError::InDoubt(_)), "{error:?}");
        assert!(!Shown::by(&store).shots().contains_key("doubtful"), "nothing is shown before it is durable");
        read_only(&machine, store, &told);
    }
}

#[test]
fn a_failed_sync_or_write_of_a_mark_ends_all_writing() {
    for fail in [SimulatedDisk::fail_sync, SimulatedDisk::fail_write] {
        let (machine, mut told) = some();
        let store = machine.open();
        // The record's own is the first, the mark's the second.
        fail(&machine.disk, 2);
        told.record(&store, CHIYODA, 1, "unvouched".into()).unwrap();
        let begun = Instant::now();
        while store.status().trouble.is_none() {
            assert!(begun.elapsed().as_secs() < 10, "the mark comes by itself, and fails");
            std::thread::yield_now();
        }
        read_only(&machine, store, &told);
    }
}

#[test]
fn whatever_sync_or_write_fails_nothing_acknowledged_is_lost() {
    let mut rng = rng();
    let mut failures = 0;
    for round in 0..24 {
        let (machine, mut told) = some();
        let store = machine.open();
        let count = rng.random_range(1..24);
        if round % 2 == 0 {
            machine.disk.fail_sync(count)
        } else {
            machine.disk.fail_write(count)
        }
        // Across the end of a segment: the fault may hit a batch, a mark, the next segment or its header.
        for part in 0..2 {
            let names: Vec<String> = (0..1200).map(|n| format!("{part}-{n}")).collect();
            let shots = names.iter().map(|name| shot(ticket(NAHA, rng.random_range(0..99)), 7, name)).collect();
            for (name, recorded) in names.iter().zip(store.record_many(shots)) {
                match recorded {
                    Ok(recorded) => drop(told.shots.insert(name.clone(), recorded.shot_id)),
                    Err(error) => assert!(error.kind() != Kind::Repair, "{error:?}"),
                }
            }
            // Whatever it says is written down.
            let _ = told.load(&store, 4 + part);
        }
        told.check(&Shown::by(&store));
        drop(store);
        failures += machine.disk.faults();
        println!("round {round}, fault {count}, {} shots", told.shots.len());
        told.check(&Shown::in_place(&machine.cut(draw(&mut rng, count))));
        machine.disk.heal();
        let store = machine.open();
        let shown = Shown::by(&store);
        told.check(&shown);
        assert_eq!(Shown::by(&machine.cut(Unsynced::Lost).open()), shown, "what is shown again is durable");
    }
    println!("{failures} faults came");
    assert!(failures > 8, "{failures}");
}

/// Records one shot after another until the log wants a segment that the disk has no room for.
fn fill(store: &Store, told: &mut Told, name: &str) {
    for count in 0.. {
        match told.record(store, NAHA, count % 50, format!("{name}-{count}")) {
            Ok(()) => assert!(count < 20_000, "a full disk is noticed"),
            Err(error) => return assert!(matches!(error, RecordError::DiskFull), "{error:?}"),
        }
    }
}

#[test]
fn a_full_disk_refuses_shots_and_loses_none() {
    let (machine, mut told) = some();
    let store = machine.open();
    for round in 0..3 {
        machine.disk.set_full(true);
        fill(&store, &mut told, &format!("round-{round}"));
        assert_eq!(store.status().trouble.as_deref(), Some("the disk is full"));
        assert!(matches!(store.record(shot(ticket(NAHA, 7), 9, "again")), Err(RecordError::DiskFull)));
        assert!(try_load(&store, 9).is_err());
        told.check(&Shown::by(&store));
        for unsynced in [Unsynced::Lost, Unsynced::Zeros, Unsynced::Torn(round)] {
            told.check(&Shown::in_place(&machine.cut(unsynced)));
        }
        machine.disk.set_full(false);
        told.record(&store, NAHA, 7, format!("room-{round}")).unwrap();
        assert_eq!(store.status().trouble, None);
        told.load(&store, 10 + round as u32).unwrap();
    }
    told.check(&Shown::in_place(&machine.cut(Unsynced::Lost)));
    store.close().unwrap();
    told.check(&Shown::in_place(&machine.cut(Unsynced::Lost)));
}

#[test]
fn a_disk_that_was_full_in_between_refuses_nothing() {
    let machine = Machine::empty();
    let store = machine.open();
    let mut told = Told::default();
    // The next segment is prepared early, when half of this one is used.
    machine.disk.set_full(true);
    let mut count = 0;
    while machine.disk.faults() == 0 {
        let status = store.status();
        if status.log_written_bytes * 10 > status.log_bytes * 6 {
            // Whoever prepares it is on the way.
            std::thread::sleep(std::time::Duration::from_millis(1));
            continue;
        }
        told.record(&store, NAHA, count % 50, count.to_string()).unwrap();
        count += 1;
    }
    machine.disk.set_full(false);
    let segments = store.status().log_segments;
    while store.status().log_segments == segments {
        told.record(&store, NAHA, count % 50, count.to_string()).unwrap();
        count += 1;
    }
    told.check(&Shown::in_place(&machine.cut(Unsynced::Lost)));
}

#[test]
fn an_open_on_a_full_disk_removes_nothing_that_the_manifest_names() {
    // The manifest cannot be written again there, and the older one may name what the log has superseded.
    let mut rng = rng();
    at_every_operation(|count, machine, told| {
        machine.disk.kill();
        machine.disk.set_full(true);
        let opened = machine.try_open().map(drop);
        println!("killed after {count}, opened on a full disk: {opened:?}, {told:?}");
        for choice in 0..3 {
            told.check(&Shown::by(&machine.cut(draw(&mut rng, choice)).open()));
        }
        machine.disk.kill();
        machine.disk.heal();
        told.check(&Shown::by(&machine.open()));
    });
}

#[test]
fn a_checkpoint_that_was_written_survives_a_cut() {
    let (machine, told) = some();
    let store = machine.open();
    record(&store, shot(ticket(NAHA, 5), 1, "new"));
    store.checkpoint().unwrap();
    for unsynced in [Unsynced::Lost, Unsynced::Zeros, Unsynced::Torn(1), Unsynced::Torn(2)] {
        let store = machine.cut(unsynced).open();
        assert!(matches!(store.opened().checkpoint, CheckpointOutcome::Restored { .. }), "{:?}", store.opened());
        told.check(&Shown::by(&store));
    }
}

/// Loads once for each count, with a fault that comes so late, until it does not come any more.
fn loads_with(fault: impl Fn(&SimulatedDisk, u64)) {
    for count in 1.. {
        let (machine, mut told) = some();
        let store = machine.open();
        let before = Shown::by(&store);
        let calm = machine.disk.faults();
        fault(&machine.disk, count);
        let loaded = told.load(&store, 4);
        let faulty = machine.disk.faults() > calm;
        println!("fault {count}: {loaded:?}");
        if !faulty {
            assert!(count > 3 && loaded.is_ok());
            return;
        }
        if store.status().trouble.is_some() {
            // The log failed: at the install, or at a mark that came in between.
            assert!(matches!(loaded, Ok(()) | Err(LoadError::Install(RecordError::InDoubt(_)))));
            assert!(loaded.is_ok() || Shown::by(&store) == before, "nothing is shown before it is durable");
            for seed in 0..8 {
                told.check(&Shown::in_place(&machine.cut(Unsynced::Torn(seed))));
            }
            // Opened again without a cut, the log may name the generation, which must be there then.
            drop(store);
            told.check(&Shown::by(&machine.open()));
            continue;
        }
        if let Err(error) = loaded {
            assert!(matches!(error, LoadError::Disk { .. }), "{error:?}");
            assert_eq!(Shown::by(&store), before, "a load that failed changes nothing");
            for unsynced in [Unsynced::Lost, Unsynced::Zeros, Unsynced::Torn(count)] {
                assert_eq!(Shown::in_place(&machine.cut(unsynced)), before);
            }
        }
        // It can be repeated, and what comes later stays as durable as ever.
        told.load(&store, 5).unwrap();
        told.record(&store, CHIYODA, 3, "after".into()).unwrap();
        for unsynced in [Unsynced::Lost, Unsynced::Zeros, Unsynced::Torn(count)] {
            told.check(&Shown::in_place(&machine.cut(unsynced)));
        }
    }
}

#[test]
fn a_load_whose_sync_fails_changes_nothing_and_can_be_repeated() {
    loads_with(|disk, count| disk.fail_sync(count));
}

#[test]
fn a_load_whose_write_fails_changes_nothing_and_can_be_repeated() {
    loads_with(|disk, count| disk.fail_write(count));
}

#[test]
fn a_store_that_cannot_be_made_can_be_made_later() {
    for fail in [SimulatedDisk::fail_sync, SimulatedDisk::fail_write] {
        for count in 1.. {
            let machine = Machine::empty();
            fail(&machine.disk, count);
            let opened = machine.try_open();
            machine.disk.heal();
            let found = machine.cut(Unsynced::Lost);
            record(&found.open(), shot(ticket(NAHA, 1), 1, ""));
            if opened.is_ok() {
                break;
            }
            let store = machine.open();
            record(&store, shot(ticket(NAHA, 1), 1, ""));
            load(&store, CHIYODA, 1..=ROWS, 1);
            let shown = Shown::by(&store);
            assert_eq!(Shown::in_place(&machine.cut(Unsynced::Lost)), shown);
        }
    }
}
