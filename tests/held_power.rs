//! A load that was said to be held survives a power cut, a kill and a failing disk, and so does what became of it.
//!
//! Hold, confirm and discard are ended after every single operation of the disk; what is not synced is lost, zeroed or torn.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::PathBuf;

use rand::RngExt;
use sesshu_engine::disk::{SimulatedDisk, Unsynced};
use sesshu_engine::{Held, HoldPolicy, LoadOutcome, Store, View};
use sesshu_tests::machine::{Machine, draw};
use sesshu_tests::{CHIYODA, Place, answer, ledger, load, municipality, record, rng, row, shot, ticket};

fn version(view: &View, number: u64) -> String {
    let name = answer(view, ticket(CHIYODA, number)).resident().unwrap().name.clone();
    name.split('第').nth(1).unwrap().to_owned()
}

/// Files of held loads and of what they wait to install.
fn files(place: &Place) -> Vec<PathBuf> {
    let is_held = |name: &PathBuf| name.starts_with("held") || name.to_string_lossy().contains("-");
    place.bytes().into_keys().filter(is_held).collect()
}

/// What a held load came to: it waits, it is visible, or there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stands {
    Nothing,
    Waits,
    Visible,
}

/// How a store that was opened in `place` stands, and that it is sound; a load that waits can be confirmed.
fn stands(place: &Place) -> Stands {
    let store = place.open();
    let check = |store: &Store| {
        let ledger = ledger(&store.view(), CHIYODA).unwrap();
        let names: Vec<String> = (1..=3).map(|number| version(&store.view(), number)).collect();
        assert!(names.iter().all(|name| *name == names[0]), "whole or not at all: {names:?}");
        assert_eq!(ledger[&1].shots().len(), 1, "the shot before");
        names[0].clone()
    };
    if check(&store) == "2版" {
        assert!(store.held().is_empty() && files(place).is_empty(), "{:?}", files(place));
        return Stands::Visible;
    }
    let waiting = store.held();
    let Some(held) = waiting.first() else {
        assert!(files(place).is_empty(), "{:?}", files(place));
        return Stands::Nothing;
    };
    store.confirm(held.id).unwrap();
    assert_eq!(check(&store), "2版");
    drop(store);
    assert_eq!(check(&place.open()), "2版");
    Stands::Waits
}

/// A closed store with a register and a shot.
fn begun() -> Machine {
    let machine = Machine::empty();
    let store = machine.open();
    load(&store, CHIYODA, 1..=9, 1);
    record(&store, shot(ticket(CHIYODA, 1), 1, "a"));
    drop(store);
    machine
}

/// Does `work` with a disk that stops after every single operation, and holds what is found after each kind of end against `check`.
fn cut_everywhere(prepare: impl Fn(&Store), work: impl Fn(&Store) -> Option<()>, check: impl Fn(bool, Stands)) {
    let mut rng = rng();
    for count in 0.. {
        let machine = begun();
        let store = machine.open();
        prepare(&store);
        machine.disk.stop_after(count);
        let told = work(&store).is_some();
        let done = !machine.disk.stopped();
        for choice in 0..10 {
            let unsynced = if choice < 2 { draw(&mut rng, choice) } else { Unsynced::Torn(rng.random()) };
            println!("cut after {count}, {unsynced:?}, told: {told}");
            check(told, stands(&machine.cut(unsynced)));
        }
        println!("killed after {count}, told: {told}");
        machine.disk.kill();
        drop(store);
        check(told, stands(&machine.place.copy()));
        // What the next program shows, it shows for good.
        let shown = machine.open().held();
        for unsynced in [Unsynced::Lost, Unsynced::Zeros] {
            assert_eq!(machine.cut(unsynced).open().held(), shown);
        }
        if done {
            assert!(count > 2 && told, "{count} operations");
            return;
        }
    }
}

fn hold_one(store: &Store) -> Option<Held> {
    let mut load = store.load(municipality(CHIYODA)).ok()?;
    (1..=3).for_each(|number| load.push(row(number, 2)).unwrap());
    match load.conclude(None, &HoldPolicy::default(), false) {
        Ok(LoadOutcome::Held(held, _)) => Some(*held),
        _ => None,
    }
}

#[test]
fn a_load_that_was_said_to_be_held_is_held_after_a_cut_after_any_operation() {
    cut_everywhere(
        |_| {},
        |store| hold_one(store).map(drop),
        |told, stands| assert!(stands == Stands::Waits || stands == Stands::Nothing && !told, "{stands:?}"),
    );
}

#[test]
fn a_confirmation_that_is_cut_after_any_operation_leaves_the_load_held_or_visible() {
    cut_everywhere(
        |store| drop(hold_one(store).unwrap()),
        |store| store.confirm(store.held()[0].id).ok().map(drop),
        |told, stands| assert!(stands == Stands::Visible || stands == Stands::Waits && !told, "{stands:?}"),
    );
}

#[test]
fn a_load_that_was_said_to_be_discarded_does_not_come_back() {
    cut_everywhere(
        |store| drop(hold_one(store).unwrap()),
        |store| store.discard(store.held()[0].id).ok(),
        |told, stands| assert!(stands == Stands::Nothing || stands == Stands::Waits && !told, "{stands:?}"),
    );
}

#[test]
fn a_confirmation_that_fails_leaves_the_load_held_and_can_be_repeated() {
    for fail in [SimulatedDisk::fail_sync, SimulatedDisk::fail_write] {
        for count in 1.. {
            let machine = begun();
            let store = machine.open();
            let held = hold_one(&store).unwrap();
            let calm = machine.disk.faults();
            fail(&machine.disk, count);
            let confirmed = store.confirm(held.id);
            let faulty = machine.disk.faults() > calm;
            println!("fault {count}: {confirmed:?}");
            if !faulty {
                confirmed.unwrap();
                break;
            }
            if store.status().trouble.is_none() && confirmed.is_err() {
                assert_eq!(store.held(), std::slice::from_ref(&held));
                store.confirm(held.id).unwrap();
                assert_eq!(version(&store.view(), 1), "2版");
            }
            drop(store);
            let stands = stands(&machine.cut(Unsynced::Lost));
            assert!(stands != Stands::Nothing && (stands == Stands::Visible || confirmed.is_err()), "{stands:?}");
        }
    }
}
