//! What the rules say of a shot: against everything that is known of the person at that moment, and the same for ever.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::{Arc, mpsc};

use sesshu_engine::intake::{Change, ShotRecord};
use sesshu_engine::limits::COMMAND_SHOTS_MAX;
use sesshu_engine::rules::Rules;
use sesshu_engine::{Options, RecordOutcome, Recorded, Store};
use sesshu_proto::v1::{RecordedShot, Shot, Source, Warning, WarningKind};
use sesshu_tests::{CHIYODA, Place, answer, line, load, municipality, record, row, ticket};

/// Dose `dose` on a day of 2021, as MMDD.
fn dose(number: u64, dose: u32, mmdd: u32, capture_id: &str) -> ShotRecord {
    changed(number, dose, mmdd, capture_id, |_| {})
}

fn changed(number: u64, dose: u32, mmdd: u32, capture_id: &str, change: impl FnOnce(&mut Shot)) -> ShotRecord {
    let mut shot = Shot {
        date: 20_210_000 + mmdd,
        dose,
        vaccine: "ファイザー".into(),
        lot: "EW4811".into(),
        venue: "千代田区役所".into(),
        capture_id: capture_id.into(),
        ..Shot::default()
    };
    change(&mut shot);
    ShotRecord::check(line(ticket(CHIYODA, number)), shot).unwrap()
}

fn kinds(recorded: &Recorded) -> Vec<WarningKind> {
    recorded.warnings.iter().map(Warning::kind).collect()
}

/// The first of the warnings of a kind.
fn warning(recorded: &Recorded, kind: WarningKind) -> &Warning {
    recorded.warnings.iter().find(|warning| warning.kind() == kind).unwrap_or_else(|| panic!("{kind:?}: {recorded:?}"))
}

fn shown(store: &Store, number: u64) -> Vec<RecordedShot> {
    answer(&store.view(), ticket(CHIYODA, number)).shots().to_vec()
}

#[test]
fn a_shot_that_is_recorded_again_is_warned_of_as_it_was() {
    let place = Place::in_memory();
    let mut store = place.open();
    let second = || dose(5, 2, 610, "c-2");
    let first = record(&store, dose(5, 1, 601, "c-1"));
    assert_eq!(kinds(&first), [WarningKind::TicketNotInRegister]);
    let recorded = record(&store, second());
    let expected = [WarningKind::TicketNotInRegister, WarningKind::IntervalTooShort, WarningKind::PrintedDoseDiffers];
    assert_eq!(kinds(&recorded), expected);
    let short = warning(&recorded, WarningKind::IntervalTooShort);
    assert_eq!((short.shot_id, short.days, short.days_min, &*short.rule), (first.shot_id, 9, 19, "pfizer-2"));

    let mut again = |what: &str, change: &dyn Fn(Store) -> Store| {
        store = change(std::mem::replace(&mut store, Place::in_memory().open()));
        let again = store.record(second()).unwrap();
        assert_eq!(again, Recorded { outcome: RecordOutcome::AlreadyRecorded, ..recorded.clone() }, "{what}");
        let conflict = store.record(dose(5, 3, 610, "c-2")).unwrap();
        assert_eq!(conflict, Recorded { outcome: RecordOutcome::CaptureIdConflict, ..recorded.clone() }, "{what}");
        let shots = shown(&store, 5);
        let warnings: Vec<_> = shots.iter().map(|shot| &shot.shot.as_ref().unwrap().warnings[..]).collect();
        for (warnings, recorded) in warnings.into_iter().zip([&first, &recorded]) {
            let bare: Vec<_> = warnings.iter().map(|it| Warning { reason: String::new(), ..it.clone() }).collect();
            assert_eq!(bare, recorded.warnings, "{what}");
            assert!(warnings.iter().all(|warning| !warning.reason.is_empty()), "{warnings:?}");
        }
    };
    let reopened = |store: Store| {
        drop(store);
        place.open()
    };
    let killed = |store: Store| {
        let copy = place.bytes();
        drop(store);
        place.restore(&copy);
        place.open()
    };
    let loaded = |version| {
        move |store: Store| {
            load(&store, CHIYODA, 1..10, version);
            store
        }
    };
    again("at once", &|store| store);
    again("after a restart", &reopened);
    again("after a kill", &killed);
    again("folded, in the register now", &loaded(1));
    again("folded twice", &loaded(2));
    again("after a restart of what is folded", &reopened);
}

#[test]
fn shots_of_one_batch_are_compared_with_each_other() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..10, 1);
    let shots = vec![dose(5, 1, 601, "a"), dose(6, 1, 601, "b"), dose(5, 1, 602, "c"), dose(5, 2, 605, "d")];
    let answers: Vec<Recorded> = store.record_many(shots).into_iter().map(Result::unwrap).collect();
    assert!(kinds(&answers[0]).is_empty() && kinds(&answers[1]).is_empty(), "{answers:?}");
    assert_eq!(kinds(&answers[2]), [WarningKind::DoseAlreadyRecorded]);
    assert_eq!(warning(&answers[2], WarningKind::DoseAlreadyRecorded).shot_id, answers[0].shot_id);
    assert_eq!(kinds(&answers[3]), [WarningKind::IntervalTooShort, WarningKind::PrintedDoseDiffers]);
    // From the later of the two first doses.
    let short = warning(&answers[3], WarningKind::IntervalTooShort);
    assert_eq!((short.shot_id, short.days), (answers[2].shot_id, 3));
}

#[test]
fn shots_on_their_way_are_compared_with_each_other() {
    let place = Place::on_disk();
    let store = place.open();
    load(&store, CHIYODA, 1..2000, 1);
    let (sender, receiver) = mpsc::channel();
    let rounds = 200;
    for round in 1..=rounds {
        for part in 0..2 {
            let sender = sender.clone();
            let shots = (0..8).map(|n| dose(round * 8 + n, 1, 601, &format!("{part}"))).collect();
            store.submit(shots, Box::new(move |answers| sender.send(answers).unwrap()));
        }
    }
    drop(sender);
    let (mut first, mut second) = (0, 0);
    for recorded in receiver.into_iter().flatten() {
        match kinds(&recorded.unwrap())[..] {
            [] => first += 1,
            [WarningKind::DoseAlreadyRecorded] => second += 1,
            ref other => panic!("{other:?}"),
        }
    }
    // Whichever came first, the other knew.
    assert_eq!((first, second), (rounds * 8, rounds * 8));
}

#[test]
fn warnings_that_turn_up_late_have_room_however_many_there_are() {
    let place = Place::on_disk();
    let store = place.open();
    load(&store, CHIYODA, 1..10, 1);
    let (sender, receiver) = mpsc::channel();
    let (commands, tickets) = (40, 9);
    // A first dose of each ticket, and then second ones without end: short shots, of which the caller's view says little, and those before them much.
    for command in 0..commands {
        let shot = |n: usize| {
            changed(1 + n as u64 % tickets, 2, 605, &format!("{command}-{n}"), |shot| {
                shot.vaccine = "モデルナ".into();
                shot.venue = "会場".into();
                if command == 0 && n < tickets as usize {
                    (shot.dose, shot.date, shot.vaccine) = (1, 20_210_601, "ファイザー".into());
                }
            })
        };
        let sender = sender.clone();
        store
            .submit((0..COMMAND_SHOTS_MAX).map(shot).collect(), Box::new(move |answers| sender.send(answers).unwrap()));
    }
    drop(sender);
    let answers: Vec<Recorded> = receiver.into_iter().flatten().map(Result::unwrap).collect();
    assert_eq!(answers.len(), commands * COMMAND_SHOTS_MAX);
    let repeated = answers.iter().filter(|it| kinds(it).contains(&WarningKind::DoseAlreadyRecorded)).count();
    assert_eq!(repeated, answers.len() - 2 * tickets as usize, "all but the first of each dose of each ticket");
    let mixed = answers.iter().filter(|it| kinds(it).contains(&WarningKind::MixedVaccines)).count();
    assert_eq!(mixed, answers.len() - tickets as usize, "all but the first doses");
    drop(store);
    let store = place.open();
    let shots: Vec<RecordedShot> = (1..10).flat_map(|number| shown(&store, number)).collect();
    assert_eq!(shots.len(), answers.len());
    for recorded in &answers {
        let held = shots.iter().find(|shot| shot.shot_id == recorded.shot_id).unwrap();
        assert_eq!(held.shot.as_ref().unwrap().warnings.len(), recorded.warnings.len());
    }
}

#[test]
fn a_dose_is_the_persons_whatever_their_ticket() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..10, 1);
    let first = record(&store, dose(5, 1, 601, ""));
    store.change(&[Change::reissue(municipality(CHIYODA), 5, row(50, 1)).unwrap()]).unwrap();
    let second = record(&store, dose(50, 1, 602, ""));
    assert_eq!(warning(&second, WarningKind::DoseAlreadyRecorded).shot_id, first.shot_id);
    // In one batch, on both tickets: the third is compared with the one before it.
    let shots = vec![dose(50, 2, 701, ""), dose(5, 2, 702, "")];
    let answers: Vec<Recorded> = store.record_many(shots).into_iter().map(Result::unwrap).collect();
    assert_eq!(warning(&answers[1], WarningKind::DoseAlreadyRecorded).shot_id, answers[0].shot_id);
    // Another ticket of nobody's is another person.
    assert!(kinds(&record(&store, dose(6, 1, 601, ""))).is_empty());
}

#[test]
fn a_terminal_that_scans_a_ticket_twice_is_told() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..10, 1);
    let scan = |number, which, device: &str, capture_id: &str, source: Source| {
        let shot = changed(number, which, 601 + which, capture_id, |shot| {
            shot.recorded_by = device.into();
            shot.set_source(source);
        });
        let recorded = store.record(shot).unwrap();
        kinds(&recorded).contains(&WarningKind::SameAsScanBefore)
    };
    assert!(!scan(5, 1, "t-1", "a", Source::Terminal));
    assert!(!scan(5, 1, "t-1", "a", Source::Terminal), "the same scan, sent again");
    assert!(!scan(5, 2, "t-2", "b", Source::Terminal), "another terminal");
    assert!(scan(5, 2, "t-1", "c", Source::Terminal));
    assert!(scan(5, 2, "t-1", "c", Source::Terminal), "sent again, it is answered as it was");
    assert!(!scan(6, 1, "t-1", "d", Source::Terminal));
    assert!(!scan(5, 3, "t-1", "e", Source::Terminal), "another ticket lies between");
    assert!(!scan(5, 4, "t-1", "f", Source::File), "a file is no terminal");
}

#[test]
fn a_store_goes_by_the_rules_it_is_given() {
    let table = "[programme]\nbegins = 2021-07-01\nstub_kinds = [7]\nsame_scan_seconds = 0\n";
    let place = Place::in_memory();
    let rules = Arc::new(Rules::from_toml(table).unwrap());
    let (store, _) = Store::open(&place.path(), Options { rules, ..Options::default() }).unwrap();
    load(&store, CHIYODA, 1..10, 1);
    let recorded = record(&store, dose(5, 1, 601, ""));
    assert_eq!(kinds(&recorded), [WarningKind::BeforeProgramme, WarningKind::UnknownStubKind]);
    let second = record(&store, dose(5, 2, 702, ""));
    assert_eq!(
        kinds(&second),
        [WarningKind::PrintedDoseDiffers, WarningKind::UnknownStubKind],
        "no interval is asked for"
    );
}
