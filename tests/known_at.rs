//! What was known at a moment is what was shown then, whatever came after.
//!
//! The model is the store itself: what it shows is kept at every moment, and asked for again when it is the past.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::RngExt as _;
use sesshu_engine::intake::{Act, Amendment, By, Change, Correction, Sender, ShotRef};
use sesshu_engine::ticket::Ticket;
use sesshu_engine::{HoldPolicy, Known, Match, Moment, Store, View};
use sesshu_proto::v1::{Authority, ResidentStatus};
use sesshu_tests::{
    Answer, CHIYODA, NAHA, Place, answer, ledger, load, municipality, record, resident, rng, row, shot, ticket,
};

/// Ticket numbers of each of the two ledgers.
const NUMBERS: std::ops::RangeInclusive<u64> = 1..=6;

fn tickets() -> impl Iterator<Item = Ticket> {
    [CHIYODA, NAHA].into_iter().flat_map(|code| NUMBERS.map(move |number| ticket(code, number)))
}

/// What is shown of every ticket: by a match, by which tickets of the person, and by its ledger.
type Shown = BTreeMap<u64, (Answer, Vec<u64>, Answer)>;

fn shown(view: &View) -> Shown {
    let ledgers = [CHIYODA, NAHA].map(|code| ledger(view, code).unwrap());
    let of = |ticket: Ticket| {
        let tickets = match view.match_ticket(ticket) {
            Match::Matched(person) | Match::Orphan(person) => person.tickets().unwrap(),
            _ => Vec::new(),
        };
        let own = ledgers[usize::from(ticket.municipality() == municipality(NAHA))].get(&ticket.number());
        let tickets = tickets.iter().map(|ticket| ticket.to_decimal()).collect();
        (answer(view, ticket), tickets, own.cloned().unwrap_or(Answer::NotFound))
    };
    tickets().map(|ticket| (ticket.to_decimal(), of(ticket))).collect()
}

fn as_answer(known: Option<Known>) -> (Answer, Vec<u64>) {
    let Some(Known { resident, shots, tickets }) = known else { return (Answer::NotFound, Vec::new()) };
    let tickets = tickets.iter().map(|ticket| ticket.to_decimal()).collect();
    match resident {
        Some(resident) => (Answer::Matched(Box::new(resident), shots), tickets),
        None => (Answer::Orphan(shots), tickets),
    }
}

fn known(view: &View, moment: Moment) -> Shown {
    let of = |ticket: Ticket| {
        let (matched, tickets) = as_answer(view.known_at(ticket, moment).unwrap());
        let own = match view.match_ticket(ticket) {
            Match::Matched(person) | Match::Orphan(person) => person.own_known_at(moment).unwrap(),
            _ => None,
        };
        (matched, tickets, as_answer(own).0)
    };
    tickets().map(|ticket| (ticket.to_decimal(), of(ticket))).collect()
}

fn by(authority: Authority) -> By {
    By { who: "係員".into(), reason: "読み違い".into(), authority, batch: String::new() }
}

/// Does something.
fn step(store: &Store, rng: &mut impl rand::Rng, at: u32) {
    let code = if rng.random_ratio(1, 4) { NAHA } else { CHIYODA };
    let mut number = || rng.random_range(NUMBERS);
    let (one, other, random) = (number(), number(), rng.random::<u32>());
    let change = |change: Change| {
        store.change(&[change]).unwrap().pop().unwrap().unwrap();
    };
    match random % 16 {
        0..=3 => drop(store.record(shot(ticket(code, one), random % 9, &format!("c-{at}"))).unwrap()),
        4..=8 => {
            let answers = shown(&store.view());
            let ids: Vec<u64> =
                answers.values().flat_map(|(_, _, own)| own.shots().iter().map(|it| it.shot_id)).collect();
            let Some(&shot_id) = ids.get(random as usize / 16 % ids.len().max(1)) else { return };
            let holds = |(_, (_, _, own)): &(&u64, &(Answer, Vec<u64>, Answer))| {
                own.shots().iter().any(|it| it.shot_id == shot_id)
            };
            let on = *answers.iter().find(holds).unwrap().0;
            let of = ShotRef { ticket: Ticket::from_decimal(on).unwrap(), shot_id };
            let act = match random / 256 % 6 {
                0 => Act::Void,
                1 => Act::Reinstate,
                2 => Act::Reassign(ticket(code, other)),
                3 => Act::Confirm,
                4 => Act::Unlock,
                _ => Act::Correct(Box::new(Correction { lot: Some(format!("L{at}")), ..Correction::default() })),
            };
            let authority = if random.is_multiple_of(3) { Authority::Terminal } else { Authority::MunicipalityStaff };
            store.amend(&[Amendment::check(of, act, by(authority), None, None).unwrap()]).pop().unwrap().unwrap();
        }
        9 => change(Change::row(municipality(code), row(one, random % 4))),
        10 => {
            let status = if random.is_multiple_of(2) { ResidentStatus::MovedOut } else { ResidentStatus::Active };
            change(Change::status(ticket(code, one), status, 20_210_501).unwrap());
        }
        11 if one != other => change(Change::reissue(municipality(code), one, row(other, random % 4)).unwrap()),
        12..=13 => drop(load(
            store,
            code,
            NUMBERS.filter(|number| *number == one || random >> (8 + number) & 1 == 0),
            random % 3,
        )),
        14 => {
            // A register that is built, and installed after something changed.
            let mut load = store.load(municipality(code)).unwrap();
            for number in NUMBERS {
                load.push(row(number, random % 3)).unwrap();
            }
            let built = load.build(None).unwrap();
            change(Change::row(municipality(code), row(one, 7)));
            record(store, shot(ticket(code, other), random % 9, &format!("d-{at}")));
            built.install().unwrap();
        }
        _ => drop(store.checkpoint()),
    }
}

#[test]
fn what_was_known_is_what_was_shown_whatever_came_after() {
    let mut rng = rng();
    for _ in 0..30 {
        let mut place = Place::in_memory();
        let mut store = Some(place.open());
        let mut moments: BTreeMap<u64, Shown> = BTreeMap::new();
        for at in 0..60 {
            let open = store.as_ref().unwrap();
            step(open, &mut rng, at);
            let view = open.view();
            let kept = moments.entry(view.sequence()).or_insert_with(|| shown(&view));
            assert_eq!(*kept, shown(&view), "nothing changes without an event");
            drop(view);
            match rng.random_range(0..12) {
                0 => {
                    store.take().unwrap().close().unwrap();
                    store = Some(place.open());
                }
                1 => {
                    place = place.copy();
                    store = Some(place.open());
                }
                _ => {}
            }
            if at % 20 == 19 {
                let view = store.as_ref().unwrap().view();
                for (&sequence, then) in &moments {
                    let known = known(&view, Moment::Sequence(sequence));
                    for (ticket, then) in then {
                        assert_eq!(&known[ticket], then, "ticket {ticket} at {sequence}, now {}", view.sequence());
                    }
                }
                assert_eq!(known(&view, Moment::Sequence(u64::MAX)), shown(&view), "what is to come is now");
                assert!(known(&view, Moment::Sequence(0)).values().all(|it| it.0 == Answer::NotFound));
            }
        }
    }
}

#[test]
fn a_moment_may_be_a_time() {
    let place = Place::in_memory();
    let store = place.open();
    let now = || {
        std::thread::sleep(Duration::from_millis(3));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        std::thread::sleep(Duration::from_millis(3));
        now
    };
    let mut moments = vec![(now(), Answer::NotFound)];
    let one = ticket(CHIYODA, 1);
    let id = record(&store, shot(one, 1, "a")).shot_id;
    moments.push((now(), answer(&store.view(), one)));
    load(&store, CHIYODA, [1, 2], 1);
    moments.push((now(), answer(&store.view(), one)));
    let of = ShotRef { ticket: one, shot_id: id };
    let void = Amendment::check(of, Act::Void, by(Authority::National), None, None).unwrap();
    store.amend(&[void]).pop().unwrap().unwrap();
    moments.push((now(), answer(&store.view(), one)));
    load(&store, CHIYODA, [2], 2);
    moments.push((now(), answer(&store.view(), one)));
    assert_eq!(moments[4].1.resident().unwrap().status(), ResidentStatus::Removed);
    load(&store, CHIYODA, [1, 2], 3);
    assert_eq!(answer(&store.view(), one).resident().unwrap().name, resident(1, 3).name);
    for (time, then) in moments {
        let known = store.view().known_at(one, Moment::Time(time)).unwrap();
        assert_eq!(as_answer(known).0, then);
    }
}

#[test]
fn a_person_has_every_row_that_was_ever_seen_and_no_other() {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, [1, 2], 1);
    let mut built = store.load(municipality(CHIYODA)).unwrap();
    for number in [1, 2] {
        built.push(row(number, 2)).unwrap();
    }
    let built = built.build(None).unwrap();
    // What changes meanwhile is newer than the register, whose row is never seen.
    store.change(&[Change::row(municipality(CHIYODA), row(1, 3))]).unwrap().pop().unwrap().unwrap();
    built.install().unwrap();
    let reissue = Change::reissue(municipality(CHIYODA), 1, row(7, 4)).unwrap();
    store.change(&[reissue]).unwrap().pop().unwrap().unwrap();
    let check = |store: &Store, versions: &[(u64, u32)]| {
        let history = store.view().person_history(ticket(CHIYODA, 1)).unwrap().unwrap();
        let names: Vec<String> = history.rows.iter().map(|row| row.resident.clone().unwrap().name).collect();
        assert_eq!(names, versions.iter().map(|&(number, version)| resident(number, version).name).collect::<Vec<_>>());
        assert!(history.rows.is_sorted_by_key(|row| row.known_since));
        assert!(history.rows.iter().all(|row| row.known_since_time > 0));
        let of_valid = store.view().person_history(ticket(CHIYODA, 7)).unwrap().unwrap();
        assert_eq!(of_valid, history, "by whichever ticket");
    };
    // The old ticket's row was changed once more: it names the new one.
    check(&store, &[(1, 1), (1, 3), (1, 3), (7, 4)]);
    check(&place.copy().open(), &[(1, 1), (1, 3), (1, 3), (7, 4)]);
    load(&store, CHIYODA, [7, 2], 4);
    check(&store, &[(1, 1), (1, 3), (1, 3), (7, 4)]);
    load(&store, CHIYODA, [7, 2], 5);
    check(&store, &[(1, 1), (1, 3), (1, 3), (7, 4), (7, 5)]);
    check(&place.copy().open(), &[(1, 1), (1, 3), (1, 3), (7, 4), (7, 5)]);
    assert_eq!(store.view().person_history(ticket(CHIYODA, 99)).unwrap(), None);
}

#[test]
fn a_row_keeps_who_sent_it_and_why() {
    let place = Place::in_memory();
    let store = place.open();
    let sender = |who: &str, reason: &str| Sender::check(who, reason).unwrap();
    let register = |store: &Store, version: u32, who: &str, reason: &str| {
        let mut load = store.load(municipality(CHIYODA)).unwrap();
        load.sent_by(sender(who, reason));
        (1..=2).for_each(|number| load.push(row(number, if number == 1 { 1 } else { version })).unwrap());
        load.commit(None).unwrap().sequence
    };
    let change = |number, version, who: &str, reason: &str| {
        let change = Change::row(municipality(CHIYODA), row(number, version)).sent_by(sender(who, reason));
        store.change(&[change]).unwrap().remove(0).unwrap().sequence
    };
    let first = register(&store, 1, "情報係", "初回");
    let moved = change(2, 7, "窓口 3", "転居");
    let again = change(2, 7, "窓口 4", "もう一度");
    assert_eq!(again, moved, "what is so already is nobody's");
    let second = register(&store, 2, "委託先", "月次");
    let born = change(3, 1, "", "");
    let rows = |store: &Store, number| -> Vec<(u64, String, String)> {
        let history = store.view().person_history(ticket(CHIYODA, number)).unwrap().unwrap();
        history.rows.into_iter().map(|version| (version.known_since, version.who, version.reason)).collect()
    };
    let told = |sequence, who: &str, reason: &str| (sequence, who.to_owned(), reason.to_owned());
    let check = |store: &Store| {
        assert_eq!(rows(store, 1), [told(first, "情報係", "初回")], "as long as the row is the same");
        let of_two = [told(first, "情報係", "初回"), told(moved, "窓口 3", "転居"), told(second, "委託先", "月次")];
        assert_eq!(rows(store, 2)[..3], of_two);
        assert_eq!(rows(store, 3)[0], told(born, "", ""));
    };
    check(&store);
    check(&place.copy().open());
    store.checkpoint().unwrap();
    check(&place.copy().open());
    let last = change(2, 9, "窓口 3", "");
    for version in [2, 3] {
        // Held, and confirmed: by whoever sent it.
        let mut load = store.load(municipality(CHIYODA)).unwrap();
        load.sent_by(sender("情報係", "照合"));
        load.push(row(1, 1)).unwrap();
        load.push(row(2, version)).unwrap();
        load.keep(3);
        let held = load.build(None).unwrap().hold(&HoldPolicy::default()).unwrap();
        store.confirm(held.id).unwrap();
        check(&store);
        check(&place.copy().open());
    }
    let of_two = rows(&store, 2);
    assert_eq!(of_two[3], told(last, "窓口 3", ""));
    assert_eq!((&*of_two[4].1, &*of_two[5].2, of_two.len()), ("情報係", "照合", 6));
    store.close().unwrap();
    drop(store);
    check(&place.open());
    assert_eq!(rows(&place.open(), 2), of_two);
    assert!(Sender::check("あ".repeat(41), "").is_err() && Sender::check("", "い".repeat(101)).is_err());
}
