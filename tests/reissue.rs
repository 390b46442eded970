//! A reissued ticket: the old number and the new one both match to the person, with all shots, whatever comes after.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use proptest::prelude::*;
use sesshu_engine::disk::Unsynced;
use sesshu_engine::intake::{Change, Row};
use sesshu_engine::{ChangeOutcome, Match, RecordOutcome, Store};
use sesshu_proto::v1::{Resident, ResidentStatus};
use sesshu_tests::machine::Machine;
use sesshu_tests::{
    Answer, CHIYODA, Place, SAPPORO, answer, ledger, load, municipality, my_number, record, resident, row, shot, ticket,
};

/// Ticket `to` replaces ticket `from`, with the row of a version.
fn reissue(from: u64, to: u64, version: u32) -> Change {
    Change::reissue(municipality(CHIYODA), from, row(to, version)).unwrap()
}

fn change(store: &Store, change: Change) -> ChangeOutcome {
    store.change(&[change]).unwrap().pop().unwrap().unwrap().outcome
}

/// The name that a number matches to, and the captures of its shots.
fn shown(store: &Store, number: u64) -> (String, Vec<String>) {
    let answer = answer(&store.view(), ticket(CHIYODA, number));
    let captures = answer.shots().iter().map(|it| it.shot.clone().unwrap().capture_id).collect();
    (answer.resident().unwrap().name.clone(), captures)
}

fn tickets(store: &Store, number: u64) -> Vec<u64> {
    match store.view().match_ticket(ticket(CHIYODA, number)) {
        Match::Matched(person) => person.tickets().unwrap().iter().map(|ticket| ticket.number()).collect(),
        _ => Vec::new(),
    }
}

/// Both ends are as they should be, in whatever state the store is.
fn both_match(store: &Store) {
    let captures = ["on-the-old-one", "on-the-new-one", "on-the-old-one-again"].map(String::from).to_vec();
    for number in [1, 7] {
        assert_eq!(shown(store, number), (resident(7, 2).name, captures.clone()), "by {number}");
        assert_eq!(tickets(store, number), [1, 7]);
    }
    let found = answer(&store.view(), ticket(CHIYODA, 7));
    let on: Vec<u64> = found.shots().iter().map(|shot| shot.ticket).collect();
    let old = ticket(CHIYODA, 1).to_decimal();
    assert_eq!(on, [old, 0, old], "each shot says where it was recorded, if elsewhere");
    let ledger = ledger(&store.view(), CHIYODA).unwrap();
    assert_eq!(ledger[&1].resident().unwrap().reissued_as, Some(7));
    assert_eq!(ledger[&7].resident().unwrap().previous_numbers, [1]);
    assert_eq!((ledger[&1].shots().len(), ledger[&7].shots().len()), (2, 1), "a ledger has each shot once");
}

fn reissued(place: &Place) -> Store {
    let store = place.open();
    load(&store, CHIYODA, 1..=3, 1);
    record(&store, shot(ticket(CHIYODA, 1), 1, "on-the-old-one"));
    assert_eq!(change(&store, reissue(1, 7, 2)), ChangeOutcome::Added);
    record(&store, shot(ticket(CHIYODA, 7), 2, "on-the-new-one"));
    let old = record(&store, shot(ticket(CHIYODA, 1), 3, "on-the-old-one-again"));
    assert_eq!(old.outcome, RecordOutcome::Recorded, "a stub of the old number still records");
    store
}

#[test]
fn both_numbers_match_to_the_person_with_all_shots_and_stay_so() {
    let place = Place::in_memory();
    let store = reissued(&place);
    both_match(&store);
    both_match(&place.copy().open());
    // A register that has the new number alone, then one that was made before and has the old number alone.
    for numbers in [[7, 2, 3], [1, 2, 3]] {
        let version = if numbers[0] == 7 { 2 } else { 1 };
        let mut next = store.load(municipality(CHIYODA)).unwrap();
        numbers.iter().for_each(|&number| next.push(row(number, version)).unwrap());
        let report = next.commit(None).unwrap();
        assert_eq!((report.removed, report.added), (0, 0), "{report:?}");
        if version == 2 {
            both_match(&store);
            both_match(&place.copy().open());
        }
    }
    store.close().unwrap();
    drop(store);
    let store = place.open();
    assert_eq!(tickets(&store, 1), [1, 7]);
    assert_eq!(shown(&store, 7).1.len(), 3);
}

#[test]
fn a_register_that_has_the_person_no_more_removes_them_under_both_numbers() {
    let place = Place::in_memory();
    let store = reissued(&place);
    let report = load(&store, CHIYODA, 2..=3, 1);
    assert_eq!(report.removed, 1, "one person");
    for number in [1, 7] {
        let answer = answer(&store.view(), ticket(CHIYODA, number));
        assert_eq!(answer.resident().unwrap().status(), ResidentStatus::Removed);
        assert_eq!(answer.shots().len(), 3);
    }
}

#[test]
fn a_file_of_changes_may_be_applied_again_from_its_beginning() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=3, 1);
    let of = |number, version| Change::row(municipality(CHIYODA), row(number, version));
    let deceased = |number| Change::status(ticket(CHIYODA, number), ResidentStatus::Deceased, 20_210_601).unwrap();
    let file = || vec![of(3, 5), reissue(1, 7, 6), reissue(7, 8, 7), reissue(1, 9, 8), deceased(1), of(2, 3)];
    let outcomes = |store: &Store| -> Vec<ChangeOutcome> {
        store.change(&file()).unwrap().into_iter().map(|answer| answer.unwrap().outcome).collect()
    };
    use ChangeOutcome::{Added, Changed, Superseded, Unchanged};
    assert_eq!(outcomes(&store), [Changed, Added, Added, Added, Changed, Changed]);
    assert_eq!(tickets(&store, 7), [1, 7, 8, 9], "who was reissued by an older number is reissued from the valid one");
    let events = store.view().sequence();
    assert_eq!(outcomes(&store), [Unchanged; 6]);
    assert_eq!(store.view().sequence(), events);
    let place = place.copy();
    let copy = place.open();
    assert_eq!(outcomes(&copy), [Unchanged; 6], "after a kill");
    load(&copy, CHIYODA, [2, 3, 9], 8);
    assert_eq!(tickets(&copy, 7), [1, 7, 8, 9], "after a fold");

    for number in [1, 7, 8, 9] {
        let answer = answer(&store.view(), ticket(CHIYODA, number));
        assert_eq!(answer.resident().unwrap().status(), ResidentStatus::Deceased, "by {number}");
    }
    assert_eq!(change(&store, reissue(9, 1, 9)), Superseded, "a ticket that was replaced does not come back");
    assert_eq!(change(&store, reissue(2, 8, 9)), Superseded, "nor does it become another person's");
    assert_eq!(store.view().sequence(), events);
}

#[test]
fn a_ticket_that_the_register_never_had_can_be_replaced_and_leads_to_the_person() {
    let place = Place::in_memory();
    let store = place.open();
    record(&store, shot(ticket(CHIYODA, 1), 1, "an-orphans"));
    assert_eq!(change(&store, reissue(1, 7, 2)), ChangeOutcome::Added);
    assert_eq!(change(&store, reissue(4, 5, 2)), ChangeOutcome::Added);
    let counts = |store: &Store| (store.status().residents, store.status().orphans, store.status().shots);
    assert_eq!(counts(&store), (4, 0, 1));
    let moved = Change::status(ticket(CHIYODA, 4), ResidentStatus::MovedOut, 20_210_601).unwrap();
    assert_eq!(change(&store, moved), ChangeOutcome::Changed, "the person is meant");
    let check = |store: &Store| {
        assert_eq!(shown(store, 1), (resident(7, 2).name, vec!["an-orphans".to_owned()]));
        assert_eq!(shown(store, 4).0, resident(5, 2).name);
        assert_eq!(answer(&store.view(), ticket(CHIYODA, 4)).resident().unwrap().status(), ResidentStatus::MovedOut);
        assert_eq!(counts(store), (4, 0, 1));
    };
    check(&store);
    check(&place.copy().open());
    load(&store, CHIYODA, [20], 1);
    assert_eq!(tickets(&store, 1), [1, 7], "links survive that the register has neither");
    assert_eq!(store.status().shots, 1);
}

#[test]
fn a_register_that_was_built_before_a_reissue_does_not_undo_it() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=3, 1);
    let mut next = store.load(municipality(CHIYODA)).unwrap();
    (1..=3).for_each(|number| next.push(row(number, 2)).unwrap());
    let built = next.build(None).unwrap();
    record(&store, shot(ticket(CHIYODA, 1), 1, "meanwhile"));
    change(&store, reissue(1, 7, 3));
    built.install().unwrap();
    for store in [&store, &place.copy().open()] {
        for number in [1, 7] {
            assert_eq!(shown(store, number), (resident(7, 3).name, vec!["meanwhile".to_owned()]));
        }
    }
}

#[test]
fn a_link_has_both_ends_or_none_wherever_the_disk_stops() {
    for count in 0..40 {
        let machine = Machine::empty();
        let store = machine.open();
        load(&store, CHIYODA, 1..=3, 1);
        let pinned = store.view();
        machine.disk.stop_after(count);
        let answers = store.change(&[reissue(1, 7, 2), reissue(7, 8, 3)]).unwrap();
        let done = answers.iter().take_while(|answer| answer.is_ok()).count();
        drop(store);
        assert_eq!(answer(&pinned, ticket(CHIYODA, 7)), Answer::NotFound, "a view is one moment");
        drop(pinned);
        for unsynced in [Unsynced::Lost, Unsynced::Zeros, Unsynced::Torn(count)] {
            let store = machine.cut(unsynced).open();
            let found = tickets(&store, 1);
            assert!(
                [&[1][..], &[1, 7], &[1, 7, 8]].contains(&&found[..]) && found.len() > done,
                "{found:?}, told {done}"
            );
            for &number in &found {
                assert_eq!(tickets(&store, number), found);
                assert_eq!(shown(&store, number).0, resident(*found.last().unwrap(), found.len() as u32).name);
            }
        }
        if done == 2 {
            return;
        }
    }
    panic!("the disk never stopped late enough");
}

#[test]
fn a_my_number_goes_along_and_links_of_a_request_are_ignored() {
    let place = Place::in_memory();
    let store = place.open();
    let linked = Resident { previous_numbers: vec![3], reissued_as: Some(4), ..resident(1, 1) };
    let row = |number, resident| Row::check(number, Some(my_number(1)), resident, 0).unwrap();
    let mut next = store.load(municipality(CHIYODA)).unwrap();
    next.push(row(1, linked)).unwrap();
    next.commit(None).unwrap();
    assert_eq!(tickets(&store, 1), [1]);
    let change_to = Change::reissue(municipality(CHIYODA), 1, row(7, resident(7, 1))).unwrap();
    change(&store, change_to);
    // Folded from the tail, both stay as they are: the same register again changes nothing.
    for _ in 0..2 {
        let mut next = store.load(municipality(CHIYODA)).unwrap();
        next.push(row(7, resident(7, 1))).unwrap();
        let report = next.commit(None).unwrap();
        assert_eq!((report.unchanged, report.changed, report.removed), (1, 0, 0), "{report:?}");
    }
    assert!(Change::reissue(municipality(CHIYODA), 7, row(7, resident(7, 1))).is_err());
    assert!(Change::reissue(municipality(CHIYODA), 10_000_000_000, row(7, resident(7, 1))).is_err());
    assert_eq!(store.view().ledger(municipality(SAPPORO)).count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is reissued as what, in whatever order: people are groups of tickets, each group has one valid ticket, and every member shows the shots of all.
    #[test]
    fn people_are_groups_of_tickets(reissues in proptest::collection::vec((0u64..8, 0u64..8), 1..12), folds in any::<u16>()) {
        let place = Place::in_memory();
        let store = place.open();
        load(&store, CHIYODA, 0..4, 1);
        for number in 0..8 {
            record(&store, shot(ticket(CHIYODA, number), number as u32, ""));
        }
        let mut replaced_by: [Option<u64>; 8] = [None; 8];
        let successors = |replaced_by: &[Option<u64>; 8], number: u64| -> Vec<u64> {
            std::iter::successors(replaced_by[number as usize], |&next| replaced_by[next as usize]).collect()
        };
        for (at, (from, to)) in reissues.into_iter().enumerate() {
            let Ok(change_to) = Change::reissue(municipality(CHIYODA), from, row(to, 2)) else { continue };
            let chain = successors(&replaced_by, from);
            let is_new = !chain.contains(&to);
            let expected_refusal = is_new && replaced_by[to as usize].is_some();
            prop_assert_eq!(change(&store, change_to) == ChangeOutcome::Superseded, expected_refusal);
            if is_new && !expected_refusal {
                replaced_by[chain.last().copied().unwrap_or(from) as usize] = Some(to);
            }
            if folds >> (at % 16) & 1 == 1 {
                load(&store, CHIYODA, [0, 1, 2, 3, 20], 1);
            }
        }
        let valid = |number| successors(&replaced_by, number).last().copied().unwrap_or(number);
        for number in 0..8 {
            let view = store.view();
            let (Match::Matched(person) | Match::Orphan(person)) = view.match_ticket(ticket(CHIYODA, number)) else {
                panic!("a ticket with a shot was lost");
            };
            let mut tickets: Vec<u64> = person.tickets().unwrap().iter().map(|ticket| ticket.number()).collect();
            prop_assert_eq!(tickets.last(), Some(&valid(number)));
            tickets.sort_unstable();
            let expected: Vec<u64> = (0..8).filter(|&other| valid(other) == valid(number)).collect();
            prop_assert_eq!(&tickets, &expected);
            let shots: Vec<u64> = person.shots().unwrap().iter().map(|shot| shot.shot_id).collect();
            prop_assert_eq!(shots.len(), expected.len());
            prop_assert!(shots.is_sorted());
        }
    }
}

#[test]
fn changes_of_one_person_see_each_other_by_whichever_number_they_come() {
    let place = Place::in_memory();
    let store = place.open();
    assert_eq!(change(&store, reissue(4, 8, 2)), ChangeOutcome::Added);
    let row = |version| Change::row(municipality(CHIYODA), row(8, version));
    let status = |status| Change::status(ticket(CHIYODA, 4), status, 20_210_601).unwrap();
    let expected = [(vec![row(3), status(ResidentStatus::Deceased)], ResidentStatus::Deceased, 3)];
    let back = (vec![status(ResidentStatus::MovedOut), row(4)], ResidentStatus::Active, 4);
    for (changes, status, version) in expected.into_iter().chain([back]) {
        let outcomes = store.change(&changes).unwrap().into_iter().map(|answer| answer.unwrap().outcome);
        assert!(outcomes.eq([ChangeOutcome::Changed; 2]));
        let shown = answer(&store.view(), ticket(CHIYODA, 4)).resident().unwrap().clone();
        assert_eq!((shown.status(), shown.name), (status, resident(8, version).name));
    }
}
