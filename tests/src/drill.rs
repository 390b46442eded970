//! What the drills have in common: a store that has some of everything, an export of it, and what it says.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use sesshu_engine::{ClosedStore, MyNumberQuestion, Repaired, Repairs, Snapshot, SnapshotName, Store, repair};

use crate::{Answer, CHIYODA, NAHA, Place, answer, load, municipality, my_number, record, resident, shot, ticket};

/// A generation of it.
pub const GENERATION: &str = "ledgers/131016/000001.gen";

/// Tickets that are asked for.
pub fn tickets() -> impl Iterator<Item = (u32, u64)> {
    (1..=20).map(|number| (CHIYODA, number)).chain((1..=9).map(|number| (NAHA, number)))
}

/// A register with My Numbers and shots that are folded, one without, shots and changes that are not folded, and an access log.
pub fn lived(place: &Place) -> Store {
    let store = place.open();
    for number in [2, 5, 7] {
        record(&store, shot(ticket(CHIYODA, number), number as u32, &format!("c-{number}")));
    }
    let mut register = store.load(municipality(CHIYODA)).expect("it works");
    for number in 1..=18u64 {
        let my_number = number.is_multiple_of(2).then(|| my_number(number));
        register
            .push(sesshu_engine::intake::Row::check(number, my_number, resident(number, 1), 0).expect("it works"))
            .expect("it works");
    }
    register.commit(None).expect("it works");
    load(&store, NAHA, 1..=8, 1);
    for (at, number) in [1, 2, 3, 1, 4, 2, 1].into_iter().enumerate() {
        record(&store, shot(ticket(CHIYODA, number), 20 + at as u32, &format!("t-{at}")));
        record(&store, shot(ticket(NAHA, number + 5), 30 + at as u32, &format!("n-{at}")));
    }
    let question = MyNumberQuestion { my_number: my_number(2), purpose: "a test", who: "nobody" };
    store.with_my_number(&store.view(), &question, 10).expect("it works");
    store
}

/// A closed store, and an export of a snapshot of it that has all of it.
pub fn exported() -> (Place, Snapshot, tempfile::TempDir) {
    let place = Place::in_memory();
    let store = lived(&place);
    let name = SnapshotName::parse("noon").expect("it works");
    let directory = tempfile::tempdir().expect("it works");
    let to = directory.path().join("exported");
    store.create_snapshot(&name).expect("it works").export(&to, &mut |_| {}).expect("it works");
    store.delete_snapshot(&name).expect("it works");
    drop(store);
    (place, Snapshot::exported(&to).expect("it works"), directory)
}

/// Repairs it; the list of what is gone is kept.
///
/// # Panics
///
/// If that cannot be.
pub fn mend(place: &Place, source: Option<&Snapshot>, accept_loss: bool) -> Repaired {
    repair(&place.path(), Repairs { source, accept_loss }, &mut |_| {}, &mut |_| Ok(())).expect("it works")
}

/// What a store says of every ticket.
pub fn everything(place: &Place) -> BTreeMap<(u32, u64), Answer> {
    let store = place.open();
    let view = store.view();
    tickets().map(|(code, number)| ((code, number), answer(&view, ticket(code, number)))).collect()
}

/// How much is wrong with it.
///
/// # Panics
///
/// If it is open, or none.
pub fn findings(place: &Place) -> usize {
    let store = ClosedStore::open(&place.path()).expect("it works");
    store.verify(&mut |_| ControlFlow::Continue(())).expect("it works").expect("it works").findings.len()
}

/// Nothing is wrong with it, and it says what it said.
///
/// # Panics
///
/// Otherwise.
pub fn is_whole_again(place: &Place, before: &BTreeMap<(u32, u64), Answer>, what: &str) {
    assert_eq!(findings(place), 0, "{what}");
    assert!(everything(place) == *before, "{what}");
    assert_eq!(findings(place), 0, "{what}, opened and closed");
}

/// The segment that has the shots.
pub fn segment(place: &Place) -> PathBuf {
    place.segments()[0].clone()
}
