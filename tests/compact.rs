//! A ledger that is compacted shows what it showed, and whoever stops it, or has no room, no key or a held load, loses nothing by it.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sesshu_engine::error::{CompactError, LoadError};
use sesshu_engine::intake::Row;
use sesshu_engine::{
    Compacted, CompactionPolicy, CompactionProgress, HoldPolicy, Options, Platform, RecordOutcome, Rotation, Store,
};
use sesshu_tests::machine::Machine;
use sesshu_tests::{
    Answer, CHIYODA, Clock, NAHA, Place, files_below, ledger, load, municipality, my_number, record, resident, row,
    shot, ticket, whatever_comes,
};

fn compact(store: &Store, code: u32) -> Result<Option<Compacted>, CompactError> {
    store.compact(municipality(code), None, &mut |_| ControlFlow::Continue(()))
}

/// A register, shots of people on it and of one who is not, twice each.
fn lived_in(store: &Store, rows: u64) {
    load(store, CHIYODA, 1..=rows, 1);
    for content in 0..2 {
        let shots = (1..=rows + 1).map(|number| shot(ticket(CHIYODA, number), content, &format!("{number}-{content}")));
        assert!(store.record_many(shots.collect()).iter().all(Result::is_ok));
    }
}

fn shown(store: &Store) -> BTreeMap<u64, Answer> {
    ledger(&store.view(), CHIYODA).unwrap()
}

#[test]
fn a_compacted_ledger_shows_what_it_showed_whatever_comes() {
    let place = Place::in_memory();
    let store = place.open();
    lived_in(&store, 40);
    let before = shown(&store);
    let forecast = store.compaction_forecast();
    assert_eq!(forecast.len(), 1);
    assert_eq!((forecast[0].events, forecast[0].tickets, forecast[0].held), (82, 41, None));

    let done = compact(&store, CHIYODA).unwrap().unwrap();
    assert_eq!((done.municipality, done.generation, done.events), (municipality(CHIYODA), 2, 82));
    assert_eq!(done.bytes_before, forecast[0].bytes_before);
    let generations: Vec<_> = files_below(&place.file("ledgers"));
    assert_eq!(generations.len(), 1, "the superseded one is gone: {generations:?}");
    assert_eq!(fs::metadata(&generations[0]).unwrap().len(), done.bytes_after);
    let status = store.status();
    assert_eq!((status.residents, status.orphans, status.shots, status.tail_tickets), (40, 1, 82, 0));

    // What comes again and what comes later is told apart as before.
    let again = store.record(shot(ticket(CHIYODA, 3), 0, "3-0")).unwrap();
    let first = before[&3].shots()[0].shot_id;
    assert_eq!((again.outcome, again.shot_id), (RecordOutcome::AlreadyRecorded, first));
    assert_eq!(compact(&store, CHIYODA).unwrap(), None, "a repeated shot is no event");
    assert_eq!(compact(&store, NAHA).unwrap(), None);
    assert!(store.compaction_forecast().is_empty());
    assert_eq!(shown(&store), before);
    assert_eq!(shown(&place.copy().open()), before, "after a kill");
    // Registers replace rows from here on.
    whatever_comes(&place, store, |store| {
        let after = shown(store);
        assert!(before.iter().all(|(number, answer)| after[number].shots() == answer.shots()), "{after:?}");
    });
}

#[test]
fn a_ledger_without_a_register_is_compacted_and_its_orphans_are_adopted_later() {
    let place = Place::in_memory();
    let store = place.open();
    for number in 1..=5 {
        record(&store, shot(ticket(CHIYODA, number), 1, ""));
    }
    let before = shown(&store);
    let done = compact(&store, CHIYODA).unwrap().unwrap();
    assert_eq!((done.generation, done.bytes_before), (1, 0));
    assert_eq!(shown(&store), before);
    assert_eq!((store.status().orphans, store.status().tail_tickets), (5, 0));
    load(&store, CHIYODA, 1..=3, 1);
    assert_eq!((store.status().orphans, store.status().residents, store.status().shots), (2, 3, 5));
}

#[test]
fn a_compaction_that_is_stopped_leaves_nothing() {
    let place = Place::in_memory();
    let store = place.open();
    lived_in(&store, 12_000);
    let (before, files) = (shown(&store), files_below(&place.path()));
    let mut told = Vec::new();
    let stopped = store.compact(municipality(CHIYODA), None, &mut |progress| {
        told.push(progress);
        ControlFlow::Break(())
    });
    assert!(matches!(stopped, Err(CompactError::Build(LoadError::Stopped(_)))), "{stopped:?}");
    assert_eq!(told.len(), 1, "it stops at once");
    assert!(told[0].bytes > 0 && told[0].bytes < told[0].bytes_expected, "{told:?}");
    assert_eq!((shown(&store), files_below(&place.path())), (before, files));
    assert!(compact(&store, CHIYODA).unwrap().is_some(), "and can be done again");
}

#[test]
fn a_limit_is_kept() {
    let place = Place::in_memory();
    let store = place.open();
    lived_in(&store, 12_000);
    let (limit, begun, mut told) = (NonZeroU64::new(1 << 20), Instant::now(), 0);
    let watch = &mut |progress: CompactionProgress| {
        told = progress.bytes;
        ControlFlow::Continue(())
    };
    store.compact(municipality(CHIYODA), limit, watch).unwrap().unwrap();
    // What comes after the last entry that was told of is not waited for.
    assert!(told >= 1 << 20, "{told} bytes");
    assert!(begun.elapsed().as_secs_f64() >= told as f64 / f64::from(1 << 20), "{told} bytes in {:?}", begun.elapsed());
}

#[test]
fn a_load_that_is_held_or_under_way_comes_first() {
    let place = Place::in_memory();
    let store = place.open();
    lived_in(&store, 20);
    let mut next = store.load(municipality(CHIYODA)).unwrap();
    let busy = compact(&store, CHIYODA);
    assert!(matches!(busy, Err(CompactError::Build(LoadError::UnderWay(_)))), "{busy:?}");
    next.push(row(1, 2)).unwrap();
    let held = next.build(None).unwrap().hold(&HoldPolicy::default()).unwrap();
    assert_eq!(store.compaction_forecast()[0].held, Some(held.id));
    let waits = compact(&store, CHIYODA);
    assert!(matches!(waits, Err(CompactError::Held(id)) if id == held.id), "{waits:?}");
    record(&store, shot(ticket(CHIYODA, 5), 2, "later"));
    store.confirm(held.id).unwrap();
    assert!(compact(&store, CHIYODA).unwrap().is_some(), "what came after the register was built");
}

#[test]
fn a_load_that_comes_while_a_ledger_is_compacted_ends_that_and_goes_on() {
    let place = Place::in_memory();
    let store = place.open();
    lived_in(&store, 12_000);
    let before = shown(&store);
    let (begun, begins) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let compacting = scope.spawn(|| {
            // So slow that it would never end by itself.
            store.compact(municipality(CHIYODA), NonZeroU64::new(1), &mut |_| {
                let _ = begun.send(());
                ControlFlow::Continue(())
            })
        });
        begins.recv().unwrap();
        let mut register = store.load(municipality(CHIYODA)).unwrap();
        let stopped = compacting.join().unwrap();
        assert!(matches!(stopped, Err(CompactError::Build(LoadError::UnderWay(_)))), "{stopped:?}");
        (1..=12_000).for_each(|number| register.push(row(number, 1)).unwrap());
        assert_eq!(register.commit(None).unwrap().unchanged, 12_000);
    });
    assert_eq!(shown(&store), before);
}

#[test]
fn without_room_nothing_is_begun() {
    let machine = Machine::empty();
    let store = machine.open();
    lived_in(&store, 20);
    let operations = machine.disk.operations();
    machine.disk.set_full(true);
    let refused = compact(&store, CHIYODA);
    assert!(matches!(refused, Err(CompactError::NoRoom { available: 0, .. })), "{refused:?}");
    assert_eq!(machine.disk.operations(), operations);
    machine.disk.set_full(false);
    assert!(compact(&store, CHIYODA).unwrap().is_some());
}

#[test]
fn the_key_is_not_needed_and_a_new_data_key_comes_in_if_it_is_there() {
    let place = Place::in_memory();
    let store = place.open();
    let mut register = store.load(municipality(CHIYODA)).unwrap();
    for number in 1..=9 {
        register.push(Row::check(number, Some(my_number(number)), resident(number, 1), 0).unwrap()).unwrap();
    }
    register.commit(None).unwrap();
    let needed = |store: &Store| store.keys().unwrap().iter().map(|key| key.my_numbers).collect::<Vec<_>>();
    store.rotate_key(&Rotation { new_data_key: true, ..Rotation::default() }).unwrap();

    let key = fs::read(place.key()).unwrap();
    fs::remove_file(place.key()).unwrap();
    record(&store, shot(ticket(CHIYODA, 1), 1, ""));
    assert!(compact(&store, CHIYODA).unwrap().is_some(), "without the key");
    assert_eq!(needed(&store), [9, 0], "the seals stay");
    fs::write(place.key(), key).unwrap();
    record(&store, shot(ticket(CHIYODA, 2), 1, ""));
    compact(&store, CHIYODA).unwrap();
    assert_eq!(needed(&store), [0, 9]);
}

/// A store without threads, which does what is due when it is told that it is idle.
fn kept_up(place: &Place, clock: &Arc<Clock>, compaction: CompactionPolicy) -> Store {
    place.open();
    let platform = Platform { environment: clock.clone(), threads: false, ..Platform::real(&place.path()) };
    Store::open_on(platform, &place.path(), Options { compaction, ..Options::default() }).unwrap().0
}

/// Events that are not folded, of Chiyoda and of Naha.
fn unfolded(store: &Store) -> [u64; 2] {
    let forecasts = store.compaction_forecast();
    [CHIYODA, NAHA]
        .map(|code| forecasts.iter().find(|it| it.municipality == municipality(code)).map_or(0, |it| it.events))
}

#[test]
fn a_ledger_is_compacted_unasked_when_its_tail_is_old_long_or_keeps_too_much_of_the_log() {
    const HOUR_MS: i64 = 3_600_000;
    let clock = Arc::new(Clock::standing());
    let policy = CompactionPolicy { tail_events: 50, log_bytes: 1 << 20, ..CompactionPolicy::default() };
    let place = Place::in_memory();
    let store = kept_up(&place, &clock, policy);
    let shots = |code, numbers: std::ops::Range<u64>, content| {
        let shots = numbers.map(|number| shot(ticket(code, number), content, &format!("{code}-{number}-{content}")));
        assert!(store.record_many(shots.collect()).iter().all(Result::is_ok));
    };
    // Old.
    shots(CHIYODA, 1..10, 1);
    clock.step(23 * HOUR_MS);
    shots(NAHA, 1..10, 1);
    store.tick();
    assert_eq!(unfolded(&store), [9, 9], "not a day old");
    clock.step(2 * HOUR_MS);
    store.tick();
    assert_eq!(unfolded(&store), [0, 9], "one is");
    // Long: fifty at least, and more than a quarter of what is folded.
    load(&store, CHIYODA, 1..=300, 1);
    shots(CHIYODA, 1..70, 2);
    store.tick();
    assert_eq!(unfolded(&store), [69, 9], "a quarter of 300 is 75");
    shots(CHIYODA, 70..80, 2);
    store.tick();
    assert_eq!(unfolded(&store), [0, 9]);
    // Naha's nine keep the log from being removed.
    let before = store.status().log_segments;
    for content in 3..40 {
        shots(CHIYODA, 1..300, content);
    }
    assert!(store.status().log_written_bytes > 1 << 20);
    while unfolded(&store) != [0, 0] {
        store.tick();
    }
    assert!(before >= 1 && store.status().log_segments == 1, "{:?}", store.status());
    assert_eq!(store.status().shots, 9 + 9 + 79 + 37 * 299);
}

#[test]
fn a_store_keeps_itself_compact_with_its_own_thread_and_closes_at_once() {
    let place = Place::in_memory();
    let compaction = CompactionPolicy { tail_events: 1, tail_percent: 0, ..CompactionPolicy::default() };
    let open = |compaction| Store::open(&place.path(), Options { compaction, ..Options::default() }).unwrap().0;
    let store = open(compaction);
    lived_in(&store, 100);
    let before = shown(&store);
    let begun = Instant::now();
    while !store.compaction_forecast().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it looks every ten seconds");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(shown(&store), before);
    drop(store);
    // One byte a second: whoever closes the store does not wait for that.
    let store = open(CompactionPolicy { limit: NonZeroU64::new(1), ..compaction });
    lived_in(&store, 12_000);
    let begun = Instant::now();
    while files_below(&place.file("staging")).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it looks every ten seconds");
        std::thread::sleep(Duration::from_millis(50));
    }
    let begun = Instant::now();
    store.close().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert!(files_below(&place.file("staging")).is_empty(), "what was under way is gone");
}
