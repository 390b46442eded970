//! A ticket holds a capture id once, whichever way the repetition comes.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::mpsc;

use sesshu_engine::{RecordOutcome, Recorded, Store};
use sesshu_tests::{CHIYODA, Place, answer, load, record, shot, ticket};

/// Offers the shot again, the conflicting one too, and a new one; all must be told what the store holds.
fn repeats(store: &Store, first: &Recorded, content: u32, capture_id: &str) {
    let ticket = ticket(CHIYODA, 5);
    let held = answer(&store.view(), ticket);
    let again = store.record(shot(ticket, content, capture_id)).unwrap();
    assert_eq!(again, Recorded { outcome: RecordOutcome::AlreadyRecorded, ..first.clone() });
    if !capture_id.is_empty() {
        let conflict = store.record(shot(ticket, content + 1, capture_id)).unwrap();
        assert_eq!(conflict, Recorded { outcome: RecordOutcome::CaptureIdConflict, ..first.clone() });
    }
    assert_eq!(answer(&store.view(), ticket), held, "a repetition adds nothing");
}

fn across_everything(capture_id: &str) {
    let place = Place::in_memory();
    let store = place.open();
    let ticket = ticket(CHIYODA, 5);
    let many = store.record_many(vec![shot(ticket, 1, capture_id), shot(ticket, 1, capture_id)]);
    let (first, second) = (many[0].clone().unwrap(), many[1].clone().unwrap());
    assert_eq!(first.outcome, RecordOutcome::Orphan);
    assert_eq!(second, Recorded { outcome: RecordOutcome::AlreadyRecorded, ..first.clone() }, "within a batch");
    repeats(&store, &first, 1, capture_id);

    drop(store);
    let store = place.open();
    repeats(&store, &first, 1, capture_id);

    // Others before and behind it, so that its place among the folded shots matters.
    record(&store, shot(ticket, 40, ""));
    record(&store, shot(ticket, 41, "other"));
    load(&store, CHIYODA, 1..10, 1);
    repeats(&store, &first, 1, capture_id);
    load(&store, CHIYODA, 1..10, 2);
    repeats(&store, &first, 1, capture_id);

    drop(store);
    repeats(&place.open(), &first, 1, capture_id);
    assert_eq!(answer(&place.copy().open().view(), ticket).shots().len(), 3);
}

#[test]
fn a_capture_id_counts_once_across_batches_restarts_and_folds() {
    across_everything("c-1");
}

#[test]
fn without_a_capture_id_the_identical_shot_counts_once() {
    across_everything("");
}

#[test]
fn one_batch_holds_a_conflicting_capture_id_once() {
    let place = Place::in_memory();
    let store = place.open();
    let ticket = ticket(CHIYODA, 5);
    let many = store.record_many(vec![shot(ticket, 1, "c-1"), shot(ticket, 2, "c-1"), shot(ticket, 1, "c-2")]);
    let outcomes: Vec<_> = many.into_iter().map(|recorded| recorded.unwrap().outcome).collect();
    assert_eq!(outcomes, [RecordOutcome::Orphan, RecordOutcome::CaptureIdConflict, RecordOutcome::Orphan]);
    assert_eq!(answer(&store.view(), ticket).shots().len(), 2);
}

#[test]
fn two_shots_of_one_dose_are_both_kept() {
    let place = Place::in_memory();
    let store = place.open();
    let ticket = ticket(CHIYODA, 5);
    record(&store, shot(ticket, 1, "c-1"));
    record(&store, shot(ticket, 1, "c-2"));
    record(&store, shot(ticket, 1, ""));
    // Other tickets, and other municipalities, may use the same capture id.
    record(&store, shot(sesshu_tests::ticket(CHIYODA, 6), 1, "c-1"));
    assert_eq!(answer(&store.view(), ticket).shots().len(), 3);
}

#[test]
fn concurrent_repetitions_count_once() {
    let place = Place::in_memory();
    let store = place.open();
    let ticket = ticket(CHIYODA, 5);
    let recorded: Vec<Recorded> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| store.record(shot(ticket, 1, "c-1")).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(recorded.iter().filter(|recorded| recorded.outcome == RecordOutcome::Orphan).count(), 1);
    assert!(recorded.iter().all(|it| it.shot_id == recorded[0].shot_id));
    assert_eq!(answer(&store.view(), ticket).shots().len(), 1);
}

#[test]
fn a_repetition_counts_once_while_the_first_is_on_its_way() {
    const TICKETS: u64 = 64;
    let place = Place::on_disk();
    let store = place.open();
    let rounds = 50;
    for round in 0..rounds {
        let (sender, receiver) = mpsc::channel();
        let offer = |part: u32| {
            // Half of the second part repeats the first; half is new, on the same tickets.
            let capture_id = |number: u64| if number.is_multiple_of(2) { round * 2 } else { round * 2 + part };
            let shots = (0..TICKETS).map(|n| shot(ticket(CHIYODA, n), 1, &format!("c-{}", capture_id(n))));
            let sender = sender.clone();
            store.submit(shots.collect(), Box::new(move |answers| sender.send((part, answers)).unwrap()));
        };
        offer(0);
        // Taken, and on its way to the disk for as long as a sync takes.
        while store.status().queued_shots > 0 {
            std::thread::yield_now();
        }
        offer(1);
        let mut answers: Vec<_> = receiver.iter().take(2).collect();
        answers.sort_by_key(|(part, _)| *part);
        for (at, (first, second)) in answers[0].1.iter().zip(&answers[1].1).enumerate() {
            let (first, second) = (first.clone().unwrap(), second.clone().unwrap());
            let repeated = Recorded { outcome: RecordOutcome::AlreadyRecorded, ..first.clone() };
            assert_eq!(second == repeated, at % 2 == 0, "round {round}: {first:?}, {second:?}");
        }
    }
    for number in 0..TICKETS {
        let shots = answer(&store.view(), ticket(CHIYODA, number)).shots().len() as u32;
        assert_eq!(shots, if number.is_multiple_of(2) { rounds } else { 2 * rounds }, "each once, and all of them");
    }
}
