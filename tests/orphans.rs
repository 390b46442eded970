//! A shot on a ticket that no register has is kept, and matches by itself when the row arrives.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use sesshu_engine::RecordOutcome;
use sesshu_engine::ticket::TicketLine;
use sesshu_tests::{Answer, CHIYODA, NAHA, Place, SAPPORO, answer, ledger, load, record, shot, shot_of_line, ticket};

#[test]
fn an_orphan_matches_when_its_row_arrives() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=5, 1);
    let ticket = ticket(CHIYODA, 9);
    assert_eq!(answer(&store.view(), ticket), Answer::NotFound);
    assert_eq!(record(&store, shot(ticket, 1, "c-1")).outcome, RecordOutcome::Orphan);
    let orphan = answer(&store.view(), ticket);
    assert!(matches!(orphan, Answer::Orphan(_)));
    assert_eq!((store.status().orphans, store.status().residents, store.status().shots), (1, 5, 1));

    // Folded, it is still an orphan.
    load(&store, CHIYODA, 1..=5, 2);
    assert_eq!(answer(&store.view(), ticket), orphan);
    assert_eq!((store.status().orphans, store.status().residents, store.status().shots), (1, 5, 1));
    record(&store, shot(ticket, 2, "c-2"));
    assert_eq!(store.status().orphans, 1, "one orphan, folded and in the tail");
    drop(store);

    let store = place.open();
    assert!(matches!(answer(&store.view(), ticket), Answer::Orphan(shots) if shots.len() == 2));
    load(&store, CHIYODA, 1..=9, 3);
    let matched = answer(&store.view(), ticket);
    assert_eq!(matched.shots().len(), 2);
    assert_eq!(matched.shots()[0], orphan.shots()[0]);
    assert!(matched.resident().unwrap().name.contains("第3版"));
    assert_eq!((store.status().orphans, store.status().residents, store.status().shots), (0, 9, 2));
    assert_eq!(record(&store, shot(ticket, 3, "c-3")).outcome, RecordOutcome::Recorded);
}

#[test]
fn a_ledger_of_orphans_alone_is_a_ledger() {
    let place = Place::in_memory();
    let store = place.open();
    for number in [9_999_999_999, 0, 500] {
        record(&store, shot(ticket(NAHA, number), 1, ""));
    }
    let copy = place.copy();
    for store in [&store, &copy.open()] {
        let ledger = ledger(&store.view(), NAHA).unwrap();
        assert_eq!(ledger.keys().copied().collect::<Vec<_>>(), [0, 500, 9_999_999_999]);
        assert!(ledger.values().all(|answer| matches!(answer, Answer::Orphan(shots) if shots.len() == 1)));
    }
    let view = store.view();
    assert_eq!(answer(&view, ticket(NAHA, 501)), Answer::NotFound, "another ticket of the ledger");
    assert_eq!(answer(&view, ticket(CHIYODA, 500)), Answer::NotFound, "the same number elsewhere");
    assert_eq!(store.status().orphans, 3);
}

#[test]
fn a_ticket_that_nobody_knows_is_not_found() {
    let place = Place::in_memory();
    let store = place.open();
    assert_eq!(answer(&store.view(), ticket(NAHA, 1)), Answer::NotFound, "an empty store");
    load(&store, NAHA, [5, 7], 1);
    for number in [0, 4, 6, 8, 9_999_999_999] {
        assert_eq!(answer(&store.view(), ticket(NAHA, number)), Answer::NotFound);
    }
    assert_eq!(ledger(&store.view(), NAHA).unwrap().len(), 2);
}

#[test]
fn a_ward_s_code_leads_to_its_city_and_is_kept_as_presented() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, SAPPORO, [12_345], 1);
    // Chūō ward of Sapporo.
    let ward = TicketLine::parse("210110110000012345").unwrap();
    assert_eq!(ward.ticket(), ticket(SAPPORO, 12_345));
    assert_eq!(record(&store, shot_of_line(ward, 1, "")).outcome, RecordOutcome::Recorded);
    record(&store, shot(ticket(SAPPORO, 12_345), 2, ""));
    load(&store, SAPPORO, [12_345], 2);
    let answer = answer(&store.view(), ticket(SAPPORO, 12_345));
    let presented: Vec<_> =
        answer.shots().iter().map(|shot| shot.shot.clone().unwrap().presented_municipality).collect();
    assert_eq!(presented, [11_011, 0]);
}
