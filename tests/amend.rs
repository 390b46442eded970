//! A recorded shot that is set right: nothing is overwritten, nothing is lost, and everybody sees the same.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use sesshu_engine::disk::{Call, Fault, PlannedFault, Unsynced};
use sesshu_engine::error::RecordError;
use sesshu_engine::intake::{Act, Amendment, By, Change, Column, Correction, ShotRef};
use sesshu_engine::ticket::Ticket;
use sesshu_engine::{Amended, AmendmentOutcome, RecordOutcome, ShotHistory, ShotsOf, Store};
use sesshu_proto::v1::{Authority, EventKind, RecordedShot, ShotState, WarningKind};
use sesshu_tests::machine::Machine;
use sesshu_tests::{
    Answer, CHIYODA, NAHA, Place, answer, ledger, load, municipality, record, row, shot, ticket, whatever_comes,
};

fn by(authority: Authority) -> By {
    By { who: "係員 7".into(), reason: "読み違い".into(), authority, batch: String::new() }
}

fn of(number: u64, shot_id: u64) -> ShotRef {
    ShotRef { ticket: ticket(CHIYODA, number), shot_id }
}

/// An act of staff, whatever the version is.
fn staff(of: ShotRef, act: Act) -> Amendment {
    Amendment::check(of, act, by(Authority::MunicipalityStaff), None, None).unwrap()
}

fn level(of: ShotRef, act: Act, authority: Authority) -> Amendment {
    Amendment::check(of, act, by(authority), None, None).unwrap()
}

fn lot(lot: &str) -> Act {
    Act::Correct(Box::new(Correction { lot: Some(lot.into()), ..Correction::default() }))
}

fn amend(store: &Store, amendment: Amendment) -> Amended {
    store.amend(&[amendment]).pop().unwrap().unwrap()
}

fn outcome(store: &Store, amendment: Amendment) -> AmendmentOutcome {
    amend(store, amendment).outcome
}

/// Lots of the shots that a ticket matches to.
fn lots(store: &Store, ticket: Ticket) -> Vec<String> {
    answer(&store.view(), ticket).shots().iter().map(|shot| shot.shot.clone().unwrap().lot).collect()
}

fn history(store: &Store, of: ShotRef) -> ShotHistory {
    store.view().shot_history(of).unwrap().unwrap()
}

/// Kinds of what happened to a shot, with whether each is held.
fn kinds(store: &Store, of: ShotRef) -> Vec<(EventKind, bool)> {
    history(store, of).events.iter().map(|event| (event.kind(), event.held)).collect()
}

/// All shots of a ledger's ticket, in force or not.
fn own(store: &Store, code: u32, number: u64) -> Vec<RecordedShot> {
    ledger(&store.view(), code).unwrap()[&number].shots().to_vec()
}

/// A store with a register, whose ticket 1 has two shots; and their ids.
fn two_shots(place: &Place) -> (Store, u64, u64) {
    let store = place.open();
    load(&store, CHIYODA, 1..=3, 1);
    let first = record(&store, shot(ticket(CHIYODA, 1), 7, "c-1")).shot_id;
    let second = record(&store, shot(ticket(CHIYODA, 1), 8, "c-2")).shot_id;
    (store, first, second)
}

#[test]
fn a_correction_is_seen_with_what_was_before_whatever_comes() {
    let place = Place::in_memory();
    let (store, first, second) = two_shots(&place);
    let before = store.view();
    let fields = Correction {
        date: Some(20_210_601),
        dose: Some(2),
        vaccine: Some("武田／モデルナ".into()),
        lot: Some("FA0001".into()),
        venue: Some("区民館".into()),
        institution: Some("1310100009".into()),
        doctor: Some("接種 花子".into()),
    };
    let done = amend(&store, staff(of(1, first), Act::Correct(Box::new(fields))));
    assert_eq!((done.outcome, done.ticket), (AmendmentOutcome::Amended, ticket(CHIYODA, 1)));
    assert_eq!(answer(&before, ticket(CHIYODA, 1)).shots()[0].shot.as_ref().unwrap().lot, "EW0007", "one moment");
    drop(before);
    let again = amend(&store, staff(of(1, first), lot("FA0001")));
    assert_eq!((again.outcome, again.sequence), (AmendmentOutcome::Unchanged, done.sequence));
    let recorded = shot(ticket(CHIYODA, 1), 7, "c-1");
    whatever_comes(&place, store, |store| {
        let shots = answer(&store.view(), ticket(CHIYODA, 1)).shots().to_vec();
        let ids: Vec<u64> = shots.iter().map(|shot| shot.shot_id).collect();
        assert_eq!(ids, [first, second]);
        let answered = RecordedShot { same_dose: true, ..done.shot.clone().unwrap() };
        assert_eq!(shots[0], answered, "as it was answered, beside the other of that dose");
        assert_eq!((shots[0].sequence, shots[0].state()), (done.sequence, ShotState::InForce));
        let now = shots[0].shot.clone().unwrap();
        assert_eq!((now.date, now.dose, &*now.vaccine, &*now.lot), (20_210_601, 2, "武田／モデルナ", "FA0001"));
        assert_eq!((&*now.venue, &*now.institution, &*now.doctor), ("区民館", "1310100009", "接種 花子"));
        assert_eq!((&*now.capture_id, &*now.recorded_by, now.stub), ("c-1", "terminal 1", 21));
        let past = history(store, of(1, first)).events;
        assert_eq!(past.len(), 2);
        assert_eq!((past[0].kind(), past[0].sequence), (EventKind::ShotRecorded, first));
        assert_eq!(past[0].shot.as_ref().unwrap().lot, "EW0007");
        assert_eq!((past[1].kind(), past[1].sequence), (EventKind::ShotCorrected, done.sequence));
        assert_eq!((&*past[1].who, &*past[1].reason), ("係員 7", "読み違い"));
        assert_eq!(past[1].authority(), Authority::MunicipalityStaff);
        assert_eq!(past[1].shot.as_ref(), Some(&now));
        assert!(past[0].time > 0 && past[1].time >= past[0].time);
    });
    // Whoever records it again, as it was, has the same answer as at first.
    let store = place.open();
    let again = store.record(recorded).unwrap();
    assert_eq!((again.outcome, again.shot_id, again.sequence), (RecordOutcome::AlreadyRecorded, first, first));
}

#[test]
fn a_void_shot_counts_no_more_and_is_not_lost() {
    let place = Place::in_memory();
    let (store, first, second) = two_shots(&place);
    let shots = store.status().shots;
    assert_eq!(outcome(&store, staff(of(1, first), Act::Void)), AmendmentOutcome::Amended);
    assert_eq!(outcome(&store, staff(of(1, first), Act::Void)), AmendmentOutcome::Unchanged);
    whatever_comes(&place, store, |store| {
        assert_eq!(lots(store, ticket(CHIYODA, 1)), ["EW0008"]);
        let states: Vec<_> = own(store, CHIYODA, 1).iter().map(|shot| (shot.shot_id, shot.state())).collect();
        assert_eq!(states, [(first, ShotState::Voided), (second, ShotState::InForce)], "the ledger shows both");
        assert_eq!(kinds(store, of(1, first)), [(EventKind::ShotRecorded, false), (EventKind::ShotVoided, false)]);
        assert_eq!(store.status().shots, shots, "a shot that is void is a shot");
    });
    let store = place.open();
    let repeated = store.record(shot(ticket(CHIYODA, 1), 7, "c-1")).unwrap();
    assert_eq!((repeated.outcome, repeated.shot_id), (RecordOutcome::AlreadyRecorded, first));
    // The dose is free again: the rules look at what counts.
    let other = record(&store, shot(ticket(CHIYODA, 1), 14, "c-3"));
    let doubled = |warnings: &[sesshu_proto::v1::Warning]| {
        warnings.iter().any(|warning| warning.kind() == WarningKind::DoseAlreadyRecorded)
    };
    assert!(!doubled(&other.warnings), "{:?}", other.warnings);
    let back = amend(&store, staff(of(1, first), Act::Reinstate));
    assert_eq!(back.outcome, AmendmentOutcome::Amended);
    let marked: Vec<bool> = answer(&store.view(), ticket(CHIYODA, 1)).shots().iter().map(|it| it.same_dose).collect();
    assert_eq!(marked, [true, false, true], "two shots of one dose are both kept, and both flagged");
    // A correction is told of it.
    let dose = Act::Correct(Box::new(Correction { dose: Some(2), ..Correction::default() }));
    let corrected = amend(&store, staff(of(1, first), dose)).shot.unwrap();
    assert!(doubled(&corrected.shot.unwrap().warnings), "the second shot has dose 2");
}

#[test]
fn a_reassigned_shot_is_on_one_ticket_at_a_time_and_keeps_its_name() {
    let place = Place::in_memory();
    let (store, first, second) = two_shots(&place);
    let (here, there) = (ticket(CHIYODA, 1), ticket(NAHA, 2));
    let (before, counted) = (store.view(), store.status().shots);
    let moved = amend(&store, staff(of(1, first), Act::Reassign(there)));
    assert_eq!((moved.outcome, moved.ticket), (AmendmentOutcome::Amended, there));
    assert_eq!(amend(&store, staff(of(1, first), Act::Reassign(there))).outcome, AmendmentOutcome::Unchanged);
    assert_eq!((answer(&before, here).shots().len(), answer(&before, there)), (2, Answer::NotFound), "one moment");
    drop(before);
    assert!(matches!(answer(&store.view(), there), Answer::Orphan(_)));
    let told: Vec<_> =
        moved.shot.as_ref().unwrap().shot.as_ref().unwrap().warnings.iter().map(|it| it.kind()).collect();
    assert!(told.contains(&WarningKind::TicketNotInRegister), "{told:?}");
    whatever_comes(&place, store, |store| {
        assert_eq!((lots(store, here), lots(store, there)), (vec!["EW0008".into()], vec!["EW0007".into()]));
        let left = &own(store, CHIYODA, 1)[0];
        assert_eq!(
            (left.shot_id, left.state(), left.reassigned_to),
            (first, ShotState::Reassigned, there.to_decimal())
        );
        let came = answer(&store.view(), there).shots()[0].clone();
        assert_eq!(Some(&came), moved.shot.as_ref());
        assert_eq!((came.shot_id, came.sequence, came.recorded_at), (first, moved.sequence, left.recorded_at));
        for ticket in [here, there] {
            let history = history(store, ShotRef { ticket, shot_id: first });
            assert_eq!((history.ticket, history.events.len()), (there, 2));
            let event = &history.events[1];
            assert_eq!(event.kind(), EventKind::ShotReassigned);
            assert_eq!((event.ticket, event.to_ticket), (here.to_decimal(), there.to_decimal()));
        }
        assert_eq!(store.status().shots, counted, "a shot that is another's is no other shot");
    });
    // The capture id belongs to the ticket that was read.
    let store = place.open();
    assert_eq!(store.record(shot(here, 7, "c-1")).unwrap().outcome, RecordOutcome::AlreadyRecorded);
    assert_eq!(store.record(shot(there, 9, "c-1")).unwrap().outcome, RecordOutcome::Recorded);
    // It is acted upon by the name that it always had, goes on, and comes back.
    assert_eq!(outcome(&store, staff(of(1, first), lot("FA0001"))), AmendmentOutcome::Amended);
    assert_eq!(outcome(&store, staff(of(1, first), Act::Reassign(ticket(CHIYODA, 3)))), AmendmentOutcome::Amended);
    assert_eq!(lots(&store, there), ["EW0009"]);
    assert_eq!(lots(&store, ticket(CHIYODA, 3)), ["FA0001"]);
    assert_eq!(
        outcome(&store, staff(ShotRef { ticket: there, shot_id: first }, Act::Reassign(here))),
        AmendmentOutcome::Amended
    );
    assert_eq!(amend(&store, staff(of(2, second), Act::Void)).outcome, AmendmentOutcome::UnknownShot);
    let counted = counted + 1;
    whatever_comes(&place, store, |store| {
        assert_eq!(lots(store, here), ["FA0001", "EW0008"], "in the order they were recorded");
        assert_eq!(own(store, CHIYODA, 1).len(), 2);
        assert!(lots(store, ticket(CHIYODA, 3)).is_empty());
        assert_eq!(history(store, of(3, first)).events.len(), 5);
        assert_eq!(store.status().shots, counted);
    });
}

#[test]
fn a_confirmed_shot_is_changed_by_nobody_below_and_what_they_write_is_held() {
    let place = Place::in_memory();
    let (store, first, _) = two_shots(&place);
    let (upload, national) = (Authority::MunicipalityUpload, Authority::National);
    assert_eq!(
        outcome(&store, level(of(1, first), Act::Confirm, Authority::MunicipalityStaff)),
        AmendmentOutcome::Amended
    );
    assert_eq!(outcome(&store, level(of(1, first), Act::Confirm, upload)), AmendmentOutcome::Unchanged);
    let version = own(&store, CHIYODA, 1)[0].sequence;
    let held = amend(&store, level(of(1, first), lot("XX0001"), upload));
    assert_eq!(held.outcome, AmendmentOutcome::Held);
    let again = amend(&store, level(of(1, first), lot("XX0001"), upload));
    assert_eq!((again.outcome, again.sequence), (AmendmentOutcome::Held, held.sequence), "held once");
    for act in [Act::Void, Act::Unlock, Act::Reassign(ticket(CHIYODA, 2))] {
        assert_eq!(outcome(&store, level(of(1, first), act, Authority::Terminal)), AmendmentOutcome::Held);
    }
    whatever_comes(&place, store, |store| {
        let shown = answer(&store.view(), ticket(CHIYODA, 1)).shots()[0].clone();
        assert_eq!((&*shown.shot.as_ref().unwrap().lot, shown.held_writes), ("EW0007", 4));
        assert_eq!((shown.confirmed(), shown.sequence), (Authority::MunicipalityStaff, version));
        let past = history(store, of(1, first)).events;
        let waits: Vec<_> = past.iter().filter(|event| event.held && event.settled_by == 0).collect();
        assert_eq!(waits.len(), 4);
        assert_eq!(
            (&*waits[0].shot.as_ref().unwrap().lot, waits[0].authority()),
            ("XX0001", upload),
            "with its content"
        );
        assert_eq!(waits[3].to_ticket, ticket(CHIYODA, 2).to_decimal());
        assert!(lots(store, ticket(CHIYODA, 2)).is_empty());
    });
    // Whoever may, takes it or leaves it.
    let store = place.open();
    let settle = |act, sequence| {
        let amendment = Amendment::check(of(1, first), act, by(national), Some(version), Some(sequence)).unwrap();
        amend(&store, amendment)
    };
    assert_eq!(settle(Act::Void, held.sequence + 77).outcome, AmendmentOutcome::UnknownWrite);
    let taken = settle(lot("XX0001"), held.sequence);
    assert_eq!(taken.outcome, AmendmentOutcome::Amended);
    assert_eq!(settle(lot("XX0001"), held.sequence).outcome, AmendmentOutcome::Unchanged, "once");
    let shown = answer(&store.view(), ticket(CHIYODA, 1)).shots()[0].clone();
    assert_eq!((shown.held_writes, shown.confirmed()), (3, Authority::MunicipalityStaff), "it stays confirmed");
    let by_staff = |act| outcome(&store, staff(of(1, first), act));
    assert_eq!(by_staff(lot("XX0002")), AmendmentOutcome::Amended, "the level itself may");
    assert_eq!(outcome(&store, level(of(1, first), Act::Confirm, national)), AmendmentOutcome::Amended);
    assert_eq!(by_staff(Act::Unlock), AmendmentOutcome::Held);
    assert_eq!(outcome(&store, level(of(1, first), Act::Unlock, national)), AmendmentOutcome::Amended);
    assert_eq!(outcome(&store, level(of(1, first), lot("XX0003"), Authority::Terminal)), AmendmentOutcome::Amended);
    whatever_comes(&place, store, |store| {
        let past = history(store, of(1, first)).events;
        let settled: Vec<u64> = past.iter().filter(|it| it.held).map(|event| event.settled_by).collect();
        assert_eq!(settled, [taken.sequence, 0, 0, 0, 0]);
        assert_eq!(lots(store, ticket(CHIYODA, 1))[0], "XX0003");
    });
}

#[test]
fn whoever_does_not_know_the_shot_as_it_is_is_told_and_changes_nothing() {
    let place = Place::in_memory();
    let (store, first, _) = two_shots(&place);
    let at = |version, act| Amendment::check(of(1, first), act, by(Authority::Terminal), Some(version), None).unwrap();
    let done = amend(&store, at(first, lot("FA0001")));
    assert_eq!(done.outcome, AmendmentOutcome::Amended);
    let stale = amend(&store, at(first, lot("FA0002")));
    assert_eq!((stale.outcome, stale.sequence), (AmendmentOutcome::Stale, done.sequence));
    assert_eq!(stale.shot, done.shot, "as it is now");
    assert_eq!(amend(&store, at(first, lot("FA0001"))).outcome, AmendmentOutcome::Unchanged, "what is so is so");
    let acts = [at(done.sequence, lot("FA0003")), at(done.sequence, lot("FA0004")), at(done.sequence, Act::Confirm)];
    let outcomes: Vec<_> = store.foresee(&acts).into_iter().map(|answer| answer.unwrap().outcome).collect();
    assert_eq!(outcomes, [AmendmentOutcome::Amended; 3], "each by itself");
    assert_eq!(lots(&store, ticket(CHIYODA, 1))[0], "FA0001", "nothing was done yet");
    let outcomes: Vec<_> = store.amend(&acts).into_iter().map(|answer| answer.unwrap().outcome).collect();
    assert_eq!(outcomes, [AmendmentOutcome::Amended, AmendmentOutcome::Stale, AmendmentOutcome::Stale]);
    assert_eq!(lots(&store, ticket(CHIYODA, 1))[0], "FA0003");
}

#[test]
fn acts_of_one_batch_see_each_other_by_whichever_ticket_they_come() {
    let place = Place::in_memory();
    let (store, first, second) = two_shots(&place);
    let to = ticket(CHIYODA, 2);
    let acts = [
        staff(of(1, first), Act::Reassign(to)),
        staff(of(1, second), lot("FA0002")),
        staff(of(1, first), lot("FA0001")),
        staff(of(2, first), Act::Confirm),
        staff(of(1, second), Act::Reassign(to)),
        staff(of(2, second), Act::Void),
    ];
    let many: Vec<Amendment> = (0..40).map(|index| staff(of(2, first), lot(&format!("FB{index:04}")))).collect();
    let answers = store.amend(&[&acts[..], &many].concat());
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().outcome == AmendmentOutcome::Amended), "{answers:?}");
    whatever_comes(&place, store, |store| {
        assert_eq!((lots(store, ticket(CHIYODA, 1)), lots(store, to)), (vec![], vec!["FB0039".to_owned()]));
        assert_eq!(history(store, of(1, first)).events.len(), 44);
        assert_eq!(own(store, CHIYODA, 2)[1].state(), ShotState::Voided);
    });
}

#[test]
fn a_person_with_two_tickets_has_the_shots_of_both_set_right() {
    use sesshu_engine::intake::Change;
    let place = Place::in_memory();
    let (store, first, _) = two_shots(&place);
    let reissue = Change::reissue(sesshu_tests::municipality(CHIYODA), 1, sesshu_tests::row(9, 2)).unwrap();
    store.change(&[reissue]).unwrap().pop().unwrap().unwrap();
    let done = amend(&store, staff(of(9, first), Act::Void));
    assert_eq!((done.outcome, done.ticket), (AmendmentOutcome::Amended, ticket(CHIYODA, 1)), "where it was recorded");
    for number in [1, 9] {
        assert_eq!(lots(&store, ticket(CHIYODA, number)), ["EW0008"]);
        assert_eq!(kinds(&store, of(number, first)).len(), 2);
    }
    let moved = amend(&store, staff(of(9, first), Act::Reassign(ticket(CHIYODA, 9))));
    assert_eq!((moved.outcome, moved.shot.unwrap().state()), (AmendmentOutcome::Amended, ShotState::Voided));
    assert_eq!(outcome(&store, staff(of(1, first), Act::Reinstate)), AmendmentOutcome::Amended);
    assert_eq!(lots(&store, ticket(CHIYODA, 1)), ["EW0007", "EW0008"], "once, in order");
}

#[test]
fn acts_of_one_batch_are_warned_of_what_those_before_left_on_the_person_s_other_tickets() {
    use sesshu_engine::intake::Change;
    let place = Place::in_memory();
    let (store, first, _) = two_shots(&place);
    let reissue = Change::reissue(sesshu_tests::municipality(CHIYODA), 1, sesshu_tests::row(9, 2)).unwrap();
    store.change(&[reissue]).unwrap().pop().unwrap().unwrap();
    let [third, fourth] = [9, 10].map(|content| record(&store, shot(ticket(CHIYODA, 9), content, "")).shot_id);
    let stray = record(&store, shot(ticket(CHIYODA, 2), 17, "")).shot_id;
    let dose = Act::Correct(Box::new(Correction { dose: Some(3), ..Correction::default() }));
    for (void, then) in
        [(third, staff(of(1, first), dose)), (fourth, staff(of(2, stray), Act::Reassign(ticket(CHIYODA, 1))))]
    {
        let answers = store.amend(&[staff(of(9, void), Act::Void), then]);
        let after = answers[1].as_ref().unwrap();
        let warnings = &after.shot.as_ref().unwrap().shot.as_ref().unwrap().warnings;
        let same_dose = warnings.iter().any(|warning| warning.kind() == WarningKind::DoseAlreadyRecorded);
        assert!(after.outcome == AmendmentOutcome::Amended && !same_dose, "shot {void} is void: {after:?}");
    }
}

#[test]
fn a_reassignment_is_on_both_tickets_or_on_none_wherever_the_disk_stops() {
    for count in 0..30 {
        let machine = Machine::empty();
        let store = machine.open();
        load(&store, CHIYODA, 1..=3, 1);
        let first = record(&store, shot(ticket(CHIYODA, 1), 7, "c-1")).shot_id;
        machine.disk.stop_after(count);
        let answer = store.amend(&[staff(of(1, first), Act::Reassign(ticket(CHIYODA, 2)))]).pop().unwrap();
        drop(store);
        for unsynced in [Unsynced::Lost, Unsynced::Zeros, Unsynced::Torn(count)] {
            let store = machine.cut(unsynced).open();
            let shown = [1, 2].map(|number| lots(&store, ticket(CHIYODA, number)).len());
            assert_eq!(shown.iter().sum::<usize>(), 1, "{shown:?}");
            assert!(answer.is_err() || shown == [0, 1], "what was told is there");
        }
        if answer.is_ok() {
            return;
        }
    }
    panic!("the disk never stopped late enough");
}

#[test]
fn what_is_no_act_is_refused_with_the_field() {
    let check = |act, by| Amendment::check(of(1, 7), act, by, None, None).map(drop).map_err(|fault| fault.column);
    let national = || by(Authority::National);
    assert_eq!(check(Act::Void, By { who: " ".into(), ..national() }), Err(Column::Who));
    assert_eq!(check(Act::Void, By { who: "x".repeat(41), ..national() }), Err(Column::Who));
    assert_eq!(check(Act::Void, By { reason: String::new(), ..national() }), Err(Column::Reason));
    assert_eq!(check(Act::Void, By { reason: "x".repeat(101), ..national() }), Err(Column::Reason));
    assert_eq!(check(Act::Confirm, By { reason: String::new(), ..national() }), Ok(()));
    assert_eq!(check(Act::Confirm, by(Authority::Unspecified)), Err(Column::Authority));
    let correct = |correction| Act::Correct(Box::new(correction));
    assert_eq!(check(correct(Correction::default()), national()), Err(Column::Row));
    let date = Correction { date: Some(20_210_230), ..Correction::default() };
    assert_eq!(check(correct(date), national()), Err(Column::Date));
    let institution = Correction { institution: Some("12".into()), ..Correction::default() };
    assert_eq!(check(correct(institution), national()), Err(Column::Institution));
    let none = ShotRef { shot_id: 0, ..of(1, 7) };
    let refused = Amendment::check(none, Act::Void, national(), None, None).map(drop);
    assert_eq!(refused.unwrap_err().column, Column::ShotId);
}

#[test]
fn an_act_that_cannot_be_made_durable_is_in_doubt_and_shows_nothing() {
    use sesshu_engine::disk::{Call, Fault, PlannedFault};
    let machine = Machine::empty();
    let store = machine.open();
    let first = record(&store, shot(ticket(CHIYODA, 1), 7, "c-1")).shot_id;
    machine.disk.plan(PlannedFault { on: Call::SYNCS, count: 1, fault: Fault::Fail });
    let answers = store.amend(&[staff(of(1, first), Act::Void), staff(of(1, first), Act::Reinstate)]);
    assert!(matches!(answers[0], Err(RecordError::InDoubt(_))), "{answers:?}");
    assert_eq!(lots(&store, ticket(CHIYODA, 1)), ["EW0007"], "nobody sees what may not be there");
}

#[test]
fn an_act_on_many_shots_is_found_by_its_name_wherever_they_are_now() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=3, 1);
    let ids = [1, 2, 3].map(|number| record(&store, shot(ticket(CHIYODA, number), 1, "a")).shot_id);
    let named = |of, act, authority, batch: &str| {
        Amendment::check(of, act, By { batch: batch.into(), ..by(authority) }, None, None).unwrap()
    };
    let (staff, national) = (Authority::MunicipalityStaff, Authority::National);
    amend(&store, level(of(3, ids[2]), Act::Confirm, national));
    let void = |number: u64| named(of(number, ids[number as usize - 1]), Act::Void, staff, "freezer");
    let outcomes: Vec<_> =
        store.amend(&[void(1), void(2), void(3)]).into_iter().map(|it| it.unwrap().outcome).collect();
    assert_eq!(outcomes, [AmendmentOutcome::Amended, AmendmentOutcome::Amended, AmendmentOutcome::Held]);
    // One of them goes elsewhere, in an act of another name; it was in both.
    amend(&store, named(of(2, ids[1]), Act::Reassign(ticket(NAHA, 7)), staff, "moved"));
    whatever_comes(&place, store, |store| {
        let found = |batch: &str, municipality: Option<u32>| {
            let mut found = Vec::new();
            let municipality = municipality.map(sesshu_tests::municipality);
            let shots = ShotsOf { batch: batch.into(), municipality, ..ShotsOf::default() };
            let add = |shot: RecordedShot| {
                found.push((Ticket::from_decimal(shot.ticket).unwrap(), shot.shot_id));
                true
            };
            store.view().each_shot_of(&shots, add).unwrap();
            found
        };
        let (here, there) = ([(ticket(CHIYODA, 1), ids[0]), (ticket(CHIYODA, 3), ids[2])], (ticket(NAHA, 7), ids[1]));
        assert_eq!(found("moved", None), [there]);
        assert_eq!(found("freezer", Some(CHIYODA)), [here[0], there, here[1]], "where it is now");
        assert_eq!(found("freezer", Some(NAHA)), [], "it was on no ticket there when that was done");
        assert_eq!(found("freeze", None), []);
    });
}

#[test]
fn behind_an_act_in_doubt_nothing_is_said_of_any_other() {
    // In the same call, and in the next one.
    for together in [true, false] {
        let machine = Machine::empty();
        let store = machine.open();
        load(&store, CHIYODA, 1..=3, 1);
        let first = record(&store, shot(ticket(CHIYODA, 1), 7, "c-1")).shot_id;
        machine.disk.plan(PlannedFault { on: Call::SYNCS, count: 1, fault: Fault::Fail });
        let (void, reinstate) = (staff(of(1, first), Act::Void), staff(of(1, first), Act::Reinstate));
        let (doubted, behind) = match together {
            true => {
                let before = staff(of(3, 98), Act::Void);
                let mut answers = store.amend(&[before, void, staff(of(2, 99), Act::Void), reinstate]).into_iter();
                let of_nothing = answers.next().unwrap().unwrap();
                assert_eq!(of_nothing.outcome, AmendmentOutcome::UnknownShot, "it came before");
                let (doubted, beside) = (answers.next().unwrap(), answers.next().unwrap());
                assert!(matches!(beside, Err(RecordError::Poisoned(_))), "in the same batch: {beside:?}");
                (doubted, answers.next().unwrap())
            }
            false => (store.amend(&[void]).remove(0), store.amend(&[reinstate]).remove(0)),
        };
        assert!(matches!(doubted, Err(RecordError::InDoubt(_))), "{doubted:?}");
        // As far as anybody can see, it was never void.
        assert!(matches!(behind, Err(RecordError::Poisoned(_))), "{behind:?}");
        let other = store.amend(&[staff(of(2, 99), Act::Void)]).remove(0);
        assert!(matches!(other, Err(RecordError::Poisoned(_))), "of another ticket: {other:?}");
        let row = Change::row(municipality(CHIYODA), row(1, 1));
        assert!(matches!(store.change(&[row]).unwrap().remove(0), Err(RecordError::Poisoned(_))));
        drop(store);
        machine.disk.kill();
        let store = machine.open();
        let states: Vec<ShotState> = own(&store, CHIYODA, 1).iter().map(RecordedShot::state).collect();
        assert_eq!(states, [ShotState::Voided], "it had reached the disk");
        assert_eq!(outcome(&store, staff(of(1, first), Act::Reinstate)), AmendmentOutcome::Amended);
    }
}
