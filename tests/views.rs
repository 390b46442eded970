//! A view is one moment: everything read from it agrees with itself, whatever goes on meanwhile (I9).

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use rand::RngExt;
use rand::seq::IndexedRandom;
use sesshu_engine::ticket::Ticket;
use sesshu_engine::{Store, View};
use sesshu_tests::{Answer, CHIYODA, NAHA, Place, SAPPORO, answer, ledger, load, record, rng, shot, ticket};

const CODES: [u32; 4] = [CHIYODA, SAPPORO, NAHA, 141_003];

/// Some municipalities with rows, orphans, folded shots and shots in the tail; one of them with orphans alone.
fn mixed(store: &Store, rng: &mut impl RngExt) {
    for round in 0..2 {
        for code in &CODES[..3] {
            let rows: Vec<u64> = (1..=200).filter(|_| rng.random_bool(0.7)).collect();
            load(store, *code, rows, round);
        }
        let shots = (0..500).map(|count| {
            let code = *CODES.choose(rng).unwrap();
            shot(ticket(code, rng.random_range(1..=300)), count, &format!("{round}-{count}"))
        });
        assert!(store.record_many(shots.collect()).iter().all(Result::is_ok));
    }
}

/// All tickets of which anything could be known, and some more.
fn tickets() -> Vec<Ticket> {
    CODES.iter().chain(&[112_241]).flat_map(|&code| (0..=320).map(move |number| ticket(code, number))).collect()
}

fn agrees_with_itself(view: &View, rng: &mut impl RngExt) {
    let mut kinds = [0; 3];
    for code in CODES {
        let whole = ledger(view, code).unwrap();
        let numbers: Vec<u64> =
            view.ledger(sesshu_tests::municipality(code)).map(|it| it.unwrap().0.number()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b));
        for number in 0..=320 {
            let one = answer(view, ticket(code, number));
            kinds[match &one {
                Answer::Matched(..) => 0,
                Answer::Orphan(_) => 1,
                _ => 2,
            }] += 1;
            assert_eq!(whole.get(&number).unwrap_or(&Answer::NotFound), &one, "{code:06} {number}");
        }
    }
    assert!(kinds.iter().all(|&count| count > 0), "rows, orphans and misses: {kinds:?}");

    let all = tickets();
    for size in [0, 1, 2, 15, 16, 17, 31, 64, 1000] {
        let batch: Vec<Ticket> = (0..size).map(|_| *all.choose(rng).unwrap()).collect();
        let mut answers = Vec::new();
        view.match_batch(&batch, |at, found| {
            assert_eq!(at, answers.len(), "in order");
            answers.push(Answer::of(&found));
        });
        let one_by_one: Vec<Answer> = batch.iter().map(|&ticket| answer(view, ticket)).collect();
        assert_eq!(answers, one_by_one);
    }
}

#[test]
fn a_ledger_read_whole_and_a_batch_say_what_a_match_says() {
    let mut rng = rng();
    let place = Place::in_memory();
    let store = place.open();
    mixed(&store, &mut rng);
    agrees_with_itself(&store.view(), &mut rng);
    drop(store);
    agrees_with_itself(&place.open().view(), &mut rng);
}

#[test]
fn a_resident_number_leads_to_the_people_who_have_it() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, (1..=200).chain([100_000_007]), 1);
    let view = store.view();
    let municipality = sesshu_tests::municipality(CHIYODA);
    for number in 1..=200u64 {
        let people = view.with_resident_number(municipality, &format!("{number:08}")).unwrap();
        let numbers: Vec<u64> = people.iter().map(|person| person.ticket().number()).collect();
        assert_eq!(numbers, if number == 7 { vec![7, 100_000_007] } else { vec![number] });
    }
    assert!(view.with_resident_number(municipality, "0").unwrap().is_empty());
    assert!(view.with_resident_number(sesshu_tests::municipality(NAHA), "00000007").unwrap().is_empty());
}

#[test]
fn a_view_shows_nothing_newer_and_loses_nothing_while_the_log_grows() {
    let mut rng = rng();
    let place = Place::in_memory();
    let store = place.open();
    mixed(&store, &mut rng);
    let held = store.view();
    let before: Vec<Answer> = tickets().into_iter().map(|ticket| answer(&held, ticket)).collect();
    let (sequence, segments) = (held.sequence(), store.status().log_segments);

    // New events on old tickets and new ones, in segments that the held view has never heard of, and tails that were doubled.
    for round in 0..10 {
        let shots = tickets().into_iter().map(|ticket| shot(ticket, round, &format!("new-{round}")));
        assert!(store.record_many(shots.collect()).iter().all(Result::is_ok));
    }
    assert!(store.status().log_segments > segments + 1);
    let after: Vec<Answer> = tickets().into_iter().map(|ticket| answer(&held, ticket)).collect();
    assert!(after == before, "the held view shows what it showed");
    assert_eq!(held.sequence(), sequence);
    agrees_with_itself(&held, &mut rng);

    // A register folded from now on holds all of it; the held view still does not.
    load(&store, CHIYODA, 1..=200, 9);
    assert!(tickets().iter().all(|&ticket| answer(&store.view(), ticket).shots().len() >= 10));
    assert!(tickets().into_iter().map(|ticket| answer(&held, ticket)).eq(before));
}

#[test]
fn what_is_acknowledged_is_in_every_later_view() {
    let place = Place::in_memory();
    let store = place.open();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for count in 0..300 {
                    let ticket = ticket(CHIYODA, thread * 10 + u64::from(count) % 10);
                    let recorded = record(store, shot(ticket, count, &format!("{thread}-{count}")));
                    let view = store.view();
                    assert!(view.sequence() >= recorded.sequence);
                    let answer = answer(&view, ticket);
                    assert_eq!(answer.shots().last().unwrap().shot_id, recorded.shot_id);
                    assert_eq!(answer.shots().len() as u32, count / 10 + 1);
                }
            });
        }
    });
}
