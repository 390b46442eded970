//! A shot of a person without a ticket: recorded all the same, found by the person's kana and birth date, linked to their ticket in one step.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use sesshu_engine::intake::{Act, Amendment, By, Column, ShotRecord, ShotRef, provisional_ticket};
use sesshu_engine::ticket::Ticket;
use sesshu_engine::{AmendmentOutcome, Match, RecordOutcome, Recorded, Store, View, Within};
use sesshu_proto::v1::{Authority, Provisional, Shot, ShotState, WarningKind};
use sesshu_tests::machine::Machine;
use sesshu_tests::{
    Answer, CHIYODA, NAHA, Place, answer, ledger, load, municipality, record, shot, ticket, whatever_comes,
};

fn person(name_kana: &str) -> Provisional {
    Provisional { name_kana: name_kana.into(), birth_date: 19_560_203 }
}

/// A shot of somebody who says that they live in Chiyoda.
fn without_ticket(name_kana: &str, dose: u32, capture_id: &str) -> ShotRecord {
    let shot = Shot {
        date: 20_210_601 + 21 * (dose - 1),
        dose,
        vaccine: "ファイザー".into(),
        capture_id: capture_id.into(),
        provisional: Some(person(name_kana)),
        ..Shot::default()
    };
    ShotRecord::check_without_ticket(municipality(CHIYODA), shot).unwrap()
}

fn of_person(name_kana: &str) -> Ticket {
    provisional_ticket(municipality(CHIYODA), &person(name_kana))
}

fn found(view: &View, name_kana: &str) -> Vec<Ticket> {
    let within = Within { municipality: None, limit: 10 };
    let found = view.without_ticket(within, name_kana, 19_560_203).unwrap();
    found.people.iter().map(|person| person.ticket()).collect()
}

fn waiting(view: &View) -> Vec<Ticket> {
    let people = view.all_without_ticket(municipality(CHIYODA)).unwrap();
    people.iter().map(|person| person.ticket()).collect()
}

fn reassign(store: &Store, from: Ticket, shot_id: u64, to: Ticket) -> AmendmentOutcome {
    let by = By {
        who: "係員 7".into(),
        reason: "券が見つかった".into(),
        authority: Authority::MunicipalityStaff,
        batch: String::new(),
    };
    let of = ShotRef { ticket: from, shot_id };
    let amendment = Amendment::check(of, Act::Reassign(to), by, None, None).unwrap();
    store.amend(&[amendment]).pop().unwrap().unwrap().outcome
}

fn kinds(recorded: &Recorded) -> Vec<WarningKind> {
    recorded.warnings.iter().map(|warning| warning.kind()).collect()
}

#[test]
fn it_is_recorded_and_found_however_the_kana_are_typed() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=3, 1);
    let first = record(&store, without_ticket("ワタナベ　ヨシコ", 1, "c-1"));
    assert_eq!((first.outcome, kinds(&first)), (RecordOutcome::Orphan, vec![]), "nothing is strange about it");
    // Sent again, typed otherwise: the capture id is what tells it, and the content is not the same any more.
    let again = store.record(without_ticket("ワタナベ　ヨシコ", 1, "c-1")).unwrap();
    assert_eq!((again.outcome, again.shot_id), (RecordOutcome::AlreadyRecorded, first.shot_id));
    let otherwise = store.record(without_ticket("ﾜﾀﾅﾍﾞ ﾖｼｺ", 1, "c-1")).unwrap();
    assert_eq!((otherwise.outcome, otherwise.shot_id), (RecordOutcome::CaptureIdConflict, first.shot_id));
    // The same dose again, and the next.
    let same = record(&store, without_ticket("ﾜﾀﾅﾍﾞ ﾖｼｺ", 1, "c-2"));
    assert_eq!(kinds(&same), [WarningKind::DoseAlreadyRecorded]);
    record(&store, without_ticket("わたなべよしこ", 2, "c-3"));
    record(&store, without_ticket("ワタナベ　ヨシオ", 1, "c-1"));
    let (ticket_of, other) = (of_person("ワタナベ　ヨシコ"), of_person("ワタナベ　ヨシオ"));
    let mut both = [ticket_of, other];
    both.sort_unstable();
    whatever_comes(&place, store, |store| {
        let view = store.view();
        assert_eq!(found(&view, "わたなべ　よしこ"), [ticket_of]);
        assert_eq!(found(&view, "ワタナベ　ヨシエ"), []);
        assert_eq!(waiting(&view), both);
        let Answer::Orphan(shots) = answer(&view, ticket_of) else { panic!("no register has it") };
        let typed: Vec<_> = shots.iter().map(|it| it.shot.clone().unwrap().provisional.unwrap().name_kana).collect();
        assert_eq!(typed, ["ワタナベ　ヨシコ", "ﾜﾀﾅﾍﾞ ﾖｼｺ", "わたなべよしこ"], "as it was typed");
        assert_eq!(shots.iter().map(|it| it.same_dose).collect::<Vec<_>>(), [true, true, false]);
        assert_eq!(answer(&view, ticket_of), ledger(&view, CHIYODA).unwrap()[&ticket_of.number()]);
        assert_eq!(store.status().orphans, 2);
        let repeated = store.record(without_ticket("ワタナベ　ヨシコ", 1, "c-1")).unwrap();
        assert_eq!((repeated.outcome, repeated.shot_id), (RecordOutcome::AlreadyRecorded, first.shot_id));
    });
}

#[test]
fn it_is_linked_in_one_step_and_says_for_ever_for_whom_it_was_recorded() {
    let machine = Machine::empty();
    let store = machine.open();
    load(&store, CHIYODA, 1..=3, 1);
    let mine = record(&store, shot(ticket(CHIYODA, 1), 1, "own"));
    let first = record(&store, without_ticket("ワタナベ　ヨシコ", 1, "c-1"));
    let (from, to) = (of_person("ワタナベ　ヨシコ"), ticket(CHIYODA, 1));
    assert_eq!(reassign(&store, from, first.shot_id, to), AmendmentOutcome::Amended);
    assert_eq!(reassign(&store, from, first.shot_id, to), AmendmentOutcome::Unchanged);
    whatever_comes(&machine.place, store, |store| {
        let view = store.view();
        let matched = answer(&view, to);
        let ids: Vec<u64> = matched.shots().iter().map(|shot| shot.shot_id).collect();
        assert_eq!(ids, [mine.shot_id, first.shot_id]);
        let linked = matched.shots()[1].shot.clone().unwrap();
        assert_eq!((linked.provisional, linked.stub), (Some(person("ワタナベ　ヨシコ")), 0));
        assert_eq!((found(&view, "ワタナベ　ヨシコ"), waiting(&view)), (vec![], vec![]), "nobody waits any more");
        let Answer::Orphan(left) = &ledger(&view, CHIYODA).unwrap()[&from.number()] else { panic!("it was there") };
        assert_eq!((left[0].state(), left[0].reassigned_to), (ShotState::Reassigned, to.to_decimal()));
        let history = view.shot_history(ShotRef { ticket: from, shot_id: first.shot_id }).unwrap().unwrap();
        assert_eq!((history.ticket, history.events.len()), (to, 2));
        assert_eq!(history.events[0].ticket, from.to_decimal());
    });
}

#[test]
fn what_stands_for_a_ticket_takes_only_shots_of_its_person() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=3, 1);
    let scanned = record(&store, shot(ticket(CHIYODA, 1), 1, "scan"));
    let first = record(&store, without_ticket("ワタナベ　ヨシコ", 1, "c-1"));
    let (own, other) = (of_person("ワタナベ　ヨシコ"), of_person("ワタナベ　ヨシオ"));
    assert_eq!(reassign(&store, ticket(CHIYODA, 1), scanned.shot_id, own), AmendmentOutcome::OtherPerson);
    assert_eq!(reassign(&store, own, first.shot_id, other), AmendmentOutcome::OtherPerson);
    // Linked to the wrong ticket, and back.
    assert_eq!(reassign(&store, own, first.shot_id, ticket(CHIYODA, 2)), AmendmentOutcome::Amended);
    assert_eq!(reassign(&store, ticket(CHIYODA, 2), first.shot_id, other), AmendmentOutcome::OtherPerson);
    assert_eq!(reassign(&store, ticket(CHIYODA, 2), first.shot_id, own), AmendmentOutcome::Amended);
    // They live elsewhere after all.
    let elsewhere = provisional_ticket(municipality(NAHA), &person("わたなべよしこ"));
    assert_eq!(reassign(&store, own, first.shot_id, elsewhere), AmendmentOutcome::Amended);
    let view = store.view();
    assert_eq!(found(&view, "ワタナベ　ヨシコ"), [elsewhere]);
    let within = |code| Within { municipality: Some(municipality(code)), limit: 10 };
    let here = view.without_ticket(within(CHIYODA), "ワタナベ　ヨシコ", 19_560_203).unwrap();
    assert!(here.people.is_empty());
    assert!(matches!(view.match_ticket(other), Match::NotFound));
}

#[test]
fn the_rules_know_the_birth_date_and_no_stub() {
    let place = Place::in_memory();
    let store = place.open();
    let born = |birth_date, date| {
        let provisional = Some(Provisional { name_kana: "スズキ　アオイ".into(), birth_date });
        let shot = Shot { date, dose: 2, vaccine: "ファイザー".into(), provisional, ..Shot::default() };
        ShotRecord::check_without_ticket(municipality(CHIYODA), shot)
    };
    let early = record(&store, born(20_210_602, 20_210_601).unwrap());
    assert_eq!(kinds(&early), [WarningKind::BeforeBirth, WarningKind::DoseBeforeMissing]);
    let faults = [born(0, 20_210_601), born(20_211_301, 20_210_601)].map(|it| it.err().unwrap().column);
    assert_eq!(faults, [Column::BirthDate; 2]);
    let nobody = ShotRecord::check_without_ticket(municipality(CHIYODA), Shot { provisional: None, ..early_shot() });
    assert_eq!(nobody.err().unwrap().column, Column::NameKana);
}

fn early_shot() -> Shot {
    Shot { date: 20_210_601, dose: 1, ..Shot::default() }
}

#[test]
fn ledgers_without_such_people_are_not_read_for_them() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, NAHA, 1..=3, 1);
    record(&store, without_ticket("ワタナベ　ヨシコ", 1, "c-1"));
    load(&store, CHIYODA, 1..=3, 1);
    store.close().unwrap();
    drop(store);
    // All of Naha's register is damaged.
    let path = place.file("ledgers/472018/000001.gen");
    let mut bytes = std::fs::read(&path).unwrap();
    let content = 8192..bytes.len() - 512;
    bytes[content].iter_mut().for_each(|byte| *byte ^= 0x20);
    std::fs::write(&path, bytes).unwrap();
    let store = place.open();
    let view = store.view();
    assert!(matches!(answer(&view, ticket(NAHA, 1)), Answer::Damaged(_)));
    assert_eq!(found(&view, "ワタナベ　ヨシコ"), [of_person("ワタナベ　ヨシコ")]);
    assert_eq!(waiting(&view), [of_person("ワタナベ　ヨシコ")]);
    assert!(view.all_without_ticket(municipality(NAHA)).unwrap().is_empty());
}
