//! The drill of the log: what is whole of it stays where it is, and each event that is gone is listed.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use rand::RngExt;
use sesshu_engine::intake::{Act, Amendment, By, Change, ShotRef};
use sesshu_engine::{ChangeOutcome, Loss, Store};
use sesshu_proto::v1::Authority;
use sesshu_tests::drill::{everything, findings, is_whole_again, lived, mend, segment};
use sesshu_tests::{
    Answer, CHIYODA, NAHA, Place, answer, flip, load, municipality, raw_batches, record, rng, row, shot, ticket,
};

#[test]
fn the_header_of_a_batch_costs_nothing_and_an_event_costs_itself() {
    let place = Place::in_memory();
    drop(lived(&place));
    let before = everything(&place);
    let whole = place.bytes();
    let segment = segment(&place);
    let batches = raw_batches(&whole[&segment]);
    let shots: Vec<_> = batches.iter().filter(|batch| batch.count == 1).collect();
    for batch in &shots {
        flip(&place.file(&segment), batch.at + 20, 1);
        let repaired = mend(&place, None, false);
        assert_eq!((&repaired.made_again[..], &repaired.left[..]), (&[segment.clone()][..], &[][..]), "{batch:?}");
        is_whole_again(&place, &before, "a batch whose header was made again");
        place.restore(&whole);
    }
    // The first of three shots of one ticket: later ones lead to it.
    let first = shots.iter().find(|batch| batch.first_sequence == 6).unwrap();
    flip(&place.file(&segment), first.at + 60, 1);
    let repaired = mend(&place, None, false);
    assert_eq!((repaired.left.len(), repaired.left[0].tickets), (1, Some(1)), "{:?}", repaired.left);
    let repaired = mend(&place, None, true);
    let [Loss::Event { sequence: 6, ticket: Some(gone), .. }] = repaired.lost[..] else {
        panic!("{:?}", repaired.lost)
    };
    assert_eq!((gone, &repaired.left[..]), (ticket(CHIYODA, 1), &[][..]));
    for (asked, now) in everything(&place) {
        let shots = before[&asked].shots().iter().filter(|shot| shot.shot_id != 6);
        assert!(now.shots().iter().eq(shots), "{asked:?}: {now:?}");
    }
    // It goes on as any other.
    let store = place.open();
    record(&store, shot(gone, 77, "again"));
    store.compact(municipality(CHIYODA), None, &mut |_| ControlFlow::Continue(())).unwrap();
    drop(store);
    assert_eq!(findings(&place), 0);
}

#[test]
fn whatever_happens_to_a_log_what_is_whole_of_it_stays_and_what_is_gone_is_counted() {
    let mut rng = rng();
    let place = Place::in_memory();
    drop(lived(&place));
    let before = everything(&place);
    let whole = place.bytes();
    let segment = segment(&place);
    let written = whole[&segment].iter().rposition(|&byte| byte != 0).unwrap();
    let (mut events, mut nothing) = (0, 0);
    for trial in 0..300 {
        let mut bytes = whole[&segment].clone();
        for _ in 0..=trial % 3 {
            let at = rng.random_range(8192..written);
            let end = (at + [1, 8, 100, 512, 3000][trial % 5]).min(written);
            let zeros = trial % 2 == 0;
            bytes[at..end].iter_mut().for_each(|byte| *byte = if zeros { 0 } else { rng.random() });
        }
        fs::write(place.file(&segment), &bytes).unwrap();
        let repaired = mend(&place, None, true);
        assert_eq!(repaired.left, [], "trial {trial}");
        let gone: Vec<u64> = repaired
            .lost
            .iter()
            .map(|loss| if let Loss::Event { sequence, .. } = loss { *sequence } else { panic!("{loss:?}") })
            .collect();
        assert_eq!(findings(&place), 0, "trial {trial}");
        // An install that is gone leaves a generation that nobody names, which the manifest does.
        for (asked, now) in everything(&place) {
            let shots = before[&asked].shots().iter().filter(|shot| !gone.contains(&shot.shot_id));
            let expected: Vec<u64> = shots.map(|shot| shot.shot_id).collect();
            let now: Vec<u64> = now.shots().iter().map(|shot| shot.shot_id).collect();
            // What is folded is there though the event is gone.
            assert!(expected.iter().all(|shot| now.contains(shot)), "trial {trial}, {asked:?}: {now:?}, {expected:?}");
        }
        events += gone.len();
        nothing += usize::from(gone.is_empty());
        place.restore(&whole);
    }
    assert!(events > 300 && nothing > 10, "{events} events gone, {nothing} times none");
}

#[test]
fn a_segment_that_is_gone_is_listed_event_by_event() {
    let place = Place::in_memory();
    drop(lived(&place));
    let before = everything(&place);
    let segment = segment(&place);
    fs::remove_file(place.file(&segment)).unwrap();
    assert!(!mend(&place, None, false).left.is_empty());
    let repaired = mend(&place, None, true);
    assert_eq!(repaired.left, []);
    let events = repaired.lost.iter().filter(|loss| matches!(loss, Loss::Event { ticket: None, .. })).count();
    assert_eq!(events, 19, "{:?}", repaired.lost);
    for (asked, now) in everything(&place) {
        let before = before[&asked].shots().iter().filter(|shot| shot.shot_id <= 3);
        assert!(now.shots().iter().eq(before), "{asked:?}: what is folded is there");
    }
    let store = place.open();
    assert_eq!(record(&store, shot(ticket(CHIYODA, 1), 3, "")).sequence, 20, "no sequence is given twice");
}

#[test]
fn the_first_of_two_shots_of_one_batch_and_ticket_is_given_up_alone() {
    let place = Place::in_memory();
    let store = lived(&place);
    let twice = |content| shot(ticket(NAHA, 9), content, "");
    let recorded = store.record_many(vec![twice(1), twice(2), shot(ticket(CHIYODA, 4), 3, "")]);
    assert!(recorded.iter().all(Result::is_ok));
    let last = store.view().sequence();
    store.compact(municipality(CHIYODA), None, &mut |_| ControlFlow::Continue(())).unwrap();
    drop(store);
    let whole = place.bytes();
    let segment = segment(&place);
    let batch = *raw_batches(&whole[&segment]).iter().find(|batch| batch.count == 3).unwrap();
    for at in batch.at + 48..batch.at + batch.size {
        flip(&place.file(&segment), at, 64);
        let repaired = mend(&place, None, true);
        let [Loss::Event { sequence, .. }] = repaired.lost[..] else { panic!("byte {at}: {:?}", repaired.lost) };
        assert!((last - 2..=last).contains(&sequence) && repaired.left.is_empty(), "byte {at}: {repaired:?}");
        place.restore(&whole);
    }
}

#[test]
fn a_register_whose_install_is_gone_is_found_again_by_its_file() {
    // Killed before a manifest named it: nothing but the event says that it is the ledger's.
    let (place, disk) = (Place::in_memory(), Place::in_memory());
    let store = lived(&place);
    let before = place.copy();
    fs::copy(place.file("MANIFEST"), disk.key()).unwrap();
    load(&store, NAHA, 1..=8, 2);
    record(&store, shot(ticket(NAHA, 6), 50, "behind"));
    let expected: Vec<Answer> = (1..=9).map(|number| answer(&store.view(), ticket(NAHA, number))).collect();
    let killed = place.copy();
    drop(store);
    // The manifest that was before the register, and what names nothing of it.
    fs::copy(disk.key(), killed.file("MANIFEST")).unwrap();
    let generation = Path::new("ledgers/472018/000001.gen");
    fs::write(killed.file(generation), &before.bytes()[generation]).unwrap();
    let segment = segment(&killed);
    let installs: Vec<_> = raw_batches(&fs::read(killed.file(&segment)).unwrap());
    let behind = installs.iter().rev().filter(|batch| batch.count == 1).nth(1).unwrap();
    flip(&killed.file(&segment), behind.at + 60, 1);
    let repaired = mend(&killed, None, true);
    assert!(matches!(repaired.lost[..], [Loss::Event { .. }]) && repaired.left.is_empty(), "{repaired:?}");
    let store = killed.open();
    let now: Vec<Answer> = (1..=9).map(|number| answer(&store.view(), ticket(NAHA, number))).collect();
    assert_eq!(now, expected);
}

#[test]
fn a_reissue_of_which_one_end_is_gone_is_whole_when_it_is_applied_again() {
    let reissue = || Change::reissue(municipality(NAHA), 3, row(20, 5)).unwrap();
    let apply = |store: &Store| store.change(&[reissue()]).unwrap().pop().unwrap().unwrap().outcome;
    // A new ticket that the register knows, or that nobody knows.
    for registered in [true, false] {
        let place = Place::in_memory();
        let store = lived(&place);
        if registered {
            load(&store, NAHA, (1..=8).chain([20]), 1);
        }
        assert_ne!(apply(&store), ChangeOutcome::Unchanged);
        let links = |store: &Store| {
            [3, 20].map(|number| {
                let answer = answer(&store.view(), ticket(NAHA, number));
                (answer.resident().map(|row| row.name.clone()), answer.shots().len())
            })
        };
        let expected = links(&store);
        drop(store);
        let whole = place.bytes();
        let segment = segment(&place);
        let batch = *raw_batches(&whole[&segment]).iter().rfind(|batch| batch.count == 2).unwrap();
        for at in [batch.at + 60, batch.at + batch.size - 20] {
            flip(&place.file(&segment), at, 1);
            let repaired = mend(&place, None, true);
            assert_eq!(repaired.lost.len(), 1, "{:?}", repaired.lost);
            let store = place.open();
            apply(&store);
            assert_eq!(links(&store), expected, "registered {registered}, byte {at}");
            assert_eq!(apply(&store), ChangeOutcome::Unchanged);
            drop(store);
            assert_eq!(findings(&place), 0, "registered {registered}, byte {at}");
            place.restore(&whole);
        }
    }
}

#[test]
fn what_became_of_a_shot_that_is_gone_says_nothing_and_keeps_nobody_from_anything() {
    let place = Place::in_memory();
    let store = lived(&place);
    // The first shot of Naha's seventh is set right later.
    let asked = ticket(NAHA, 7);
    let first = answer(&store.view(), asked).shots()[0].clone();
    let by =
        By {
            who: "test".into(), reason: "誤り".into(), authority: Authority::MunicipalityStaff, batch: String::new()
        };
    let of = ShotRef { ticket: asked, shot_id: first.shot_id };
    let void = Amendment::check(of, Act::Void, by, None, None).unwrap();
    store.amend(&[void]).pop().unwrap().unwrap();
    let others: Vec<u64> = answer(&store.view(), asked).shots().iter().map(|shot| shot.shot_id).collect();
    drop(store);
    let segment = segment(&place);
    let batches = raw_batches(&place.bytes()[&segment]);
    let batch = batches.iter().find(|batch| batch.count == 1 && batch.first_sequence == first.shot_id).unwrap();
    flip(&place.file(&segment), batch.at + 60, 1);
    assert_eq!(mend(&place, None, true).lost.len(), 1);
    let store = place.open();
    let now: Vec<u64> = answer(&store.view(), asked).shots().iter().map(|shot| shot.shot_id).collect();
    assert_eq!(now, others);
    record(&store, shot(asked, 60, "more"));
    store.compact(municipality(NAHA), None, &mut |_| ControlFlow::Continue(())).unwrap();
    drop(store);
    assert_eq!(findings(&place), 0);
}

#[test]
fn a_segment_that_is_too_short_has_what_it_has() {
    let place = Place::in_memory();
    drop(lived(&place));
    let before = everything(&place);
    let segment = segment(&place);
    let bytes = place.bytes()[&segment].clone();
    fs::write(place.file(&segment), &bytes[..bytes.len() - 4096]).unwrap();
    let repaired = mend(&place, None, false);
    assert_eq!((&repaired.made_again[..], &repaired.left[..]), (&[segment][..], &[][..]));
    is_whole_again(&place, &before, "a segment that was too short");
}
