//! The drill: whatever is damaged is brought back, from what is whole or from a snapshot, and what cannot be is listed, each ticket. `repair_log` is that of the log.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rand::RngExt;
use sesshu_engine::disk::{SimulatedDisk, Unsynced};
use sesshu_engine::error::RepairError;
use sesshu_engine::{Loss, MyNumberQuestion, Platform, Remedy, Repaired, Repairs, repair, repair_on};
use sesshu_tests::drill::{GENERATION, everything, exported, findings, is_whole_again, lived, mend, segment};
use sesshu_tests::{
    CHIYODA, NAHA, Place, flip, load, municipality, my_number, raw_batches, record, rng, section, shot, ticket,
};

/// Ticket numbers of Chiyoda whose row or folded shots are gone.
fn numbers(lost: &[Loss]) -> Vec<u64> {
    let number = |loss: &Loss| match loss {
        Loss::Person { ticket } | Loss::Shots { ticket } => Some(ticket.number()),
        _ => None,
    };
    lost.iter().filter_map(number).collect()
}

#[test]
fn a_whole_store_is_left_as_it_is() {
    let place = Place::in_memory();
    drop(lived(&place));
    let before = place.bytes();
    assert_eq!(mend(&place, None, true), Repaired::default());
    assert!(place.bytes() == before);
}

#[test]
fn whatever_follows_from_what_is_whole_is_made_again_byte_for_byte() {
    let place = Place::in_memory();
    drop(lived(&place));
    let before = everything(&place);
    let whole = place.bytes();
    let bytes = &whole[Path::new(GENERATION)];
    let (footer, section) = (bytes.len() - 512, |which| section(bytes, which));
    // Headers, index, four look-ups, order of kana, footer; each by itself, and then all of them.
    let places =
        [9, 4096 + 9, section(1).start + 3, section(2).start, section(3).start, section(4).start, section(5).start];
    let places: Vec<usize> = places.into_iter().chain([section(6).start, footer + 20, footer + 100]).collect();
    let each = places.iter().map(|&at| vec![at]);
    for places in each.chain([places.clone()]) {
        for &at in &places {
            flip(&place.file(GENERATION), at, 0x5a);
        }
        let repaired = mend(&place, None, false);
        assert_eq!(
            (&repaired.made_again[..], &repaired.lost[..]),
            (&[PathBuf::from(GENERATION)][..], &[][..]),
            "{places:?}"
        );
        assert_eq!(repaired.left, [], "{places:?}");
        assert!(place.bytes() == whole, "{places:?}: it is the file that it was");
    }
    is_whole_again(&place, &before, "a generation that was made again");
}

#[test]
fn damage_of_an_entry_costs_its_ticket_alone_and_only_if_that_is_accepted() {
    let place = Place::in_memory();
    drop(lived(&place));
    let before = everything(&place);
    let whole = place.bytes();
    let bytes = &whole[Path::new(GENERATION)];
    let [entries, texts, cold] = [0, 7, 8].map(|which| section(bytes, which));
    let mut seen = std::collections::BTreeSet::new();
    for at in entries.clone().chain(cold.clone()).filter(|at| at % 23 == 5) {
        flip(&place.file(GENERATION), at, 0x5a);
        let damaged = place.bytes();
        let repaired = mend(&place, None, false);
        assert_eq!(
            (repaired.left.len(), repaired.left[0].remedy),
            (1, Remedy::Replace),
            "byte {at}: {:?}",
            repaired.left
        );
        assert!(place.bytes() == damaged && repaired.lost.is_empty(), "byte {at}: nothing is given up unasked");

        let Repaired { lost, left, .. } = mend(&place, None, true);
        assert_eq!(left, [], "byte {at}");
        let [gone] = numbers(&lost)[..] else { panic!("byte {at}: {lost:?}") };
        assert_eq!(matches!(lost[0], Loss::Person { .. }), entries.contains(&at), "byte {at}: {lost:?}");
        assert_eq!(mend(&place, None, true), Repaired::default(), "twice changes nothing");
        for (asked, now) in everything(&place) {
            if asked != (CHIYODA, gone) {
                assert_eq!(now, before[&asked], "byte {at}, {asked:?}");
            } else if let Loss::Shots { .. } = lost[0] {
                assert_eq!(now.resident(), before[&asked].resident(), "byte {at}: the row stays");
            }
        }
        assert_eq!(findings(&place), 0, "byte {at}");
        seen.insert(gone);
        place.restore(&whole);
    }
    assert!(seen.len() > 15, "{seen:?}");
    // The texts of all folded shots: rows stay.
    flip(&place.file(GENERATION), texts.start + 20, 0x5a);
    let repaired = mend(&place, None, true);
    assert_eq!((numbers(&repaired.lost), &repaired.left[..]), (vec![2, 5, 7], &[][..]));
    assert!(everything(&place).iter().all(|(asked, now)| now.resident() == before[asked].resident()));
}

#[test]
fn with_a_snapshot_nothing_is_lost_whatever_file_is_damaged_or_gone() {
    let (place, snapshot, _directory) = exported();
    let before = everything(&place);
    let whole = place.bytes();
    let damageable = whole.keys().filter(|path| path.file_name().unwrap() != "LOCK" && !path.starts_with("checkpoint"));
    let mut rng = rng();
    let mut replaced = 0;
    for path in damageable {
        for trial in 0..24 {
            let length = whole[path].len();
            let written = whole[path].iter().rposition(|&byte| byte != 0).unwrap() + 1;
            match trial {
                0 => fs::remove_file(place.file(path)).unwrap(),
                1 => fs::write(place.file(path), &whole[path][..length / 2]).unwrap(),
                _ => {
                    let at = rng.random_range(0..written);
                    let end = (at + if trial % 2 == 0 { 1 } else { 512 }).min(written);
                    (at..end).for_each(|at| flip(&place.file(path), at, rng.random_range(1..=255)));
                }
            }
            let what = format!("{} {trial}", path.display());
            let repaired = mend(&place, Some(&snapshot), false);
            assert_eq!((&repaired.lost[..], &repaired.left[..]), (&[][..], &[][..]), "{what}");
            replaced += usize::from(!repaired.replaced.is_empty());
            is_whole_again(&place, &before, &what);
            place.restore(&whole);
        }
    }
    assert!(replaced > 12, "{replaced}");
}

#[test]
fn a_checkpoint_is_left_out_and_the_next_open_writes_another() {
    let place = Place::in_memory();
    drop(lived(&place));
    let before = everything(&place);
    let checkpoint = PathBuf::from(format!("checkpoint/{:016}", place.manifest().checkpoint.unwrap().position));
    flip(&place.file(&checkpoint), 40, 1);
    let repaired = mend(&place, None, false);
    assert_eq!((&repaired.made_again[..], &repaired.left[..]), (&[checkpoint][..], &[][..]));
    is_whole_again(&place, &before, "without a checkpoint");
}

#[test]
fn a_manifest_is_made_of_the_one_before_it_and_the_log() {
    let place = Place::in_memory();
    let store = lived(&place);
    load(&store, NAHA, 1..=8, 2);
    store.compact(municipality(CHIYODA), None, &mut |_| ControlFlow::Continue(())).unwrap();
    record(&store, shot(ticket(NAHA, 2), 9, "last"));
    store.rotate_key(&sesshu_engine::Rotation { new_data_key: true, new_key_file: None }).unwrap();
    // As it is now, without a close, and closed.
    let killed = place.copy();
    fs::copy(place.key(), killed.key()).unwrap();
    drop(store);
    for place in [killed, place] {
        let whole = place.bytes();
        let before = everything(&place);
        place.restore(&whole);
        for damage in [true, false] {
            if damage {
                flip(&place.file("MANIFEST"), 40, 1);
            } else {
                fs::remove_file(place.file("MANIFEST")).unwrap();
            }
            let repaired = mend(&place, None, false);
            assert_eq!((&repaired.made_again[..], &repaired.left[..]), (&[PathBuf::from("MANIFEST")][..], &[][..]));
            is_whole_again(&place, &before, "a manifest that was made again");
            let store = place.open();
            let question = MyNumberQuestion { my_number: my_number(2), purpose: "a test", who: "nobody" };
            assert_eq!(
                store.with_my_number(&store.view(), &question, 10).unwrap().people.len(),
                1,
                "the keys are there"
            );
            drop(store);
            place.restore(&whole);
        }
    }
}

#[test]
fn without_any_manifest_a_snapshot_of_the_store_has_one_and_no_other_will_do() {
    let (place, snapshot, _directory) = exported();
    let before = everything(&place);
    for file in ["MANIFEST", "MANIFEST.before"] {
        flip(&place.file(file), 40, 1);
    }
    let refused = repair(&place.path(), Repairs::default(), &mut |_| {}, &mut |_| Ok(()));
    assert!(matches!(refused, Err(RepairError::NoManifest)), "{refused:?}");
    let (_, other, _other_directory) = exported();
    let (another, ..) = exported();
    let refused =
        repair(&another.path(), Repairs { source: Some(&other), accept_loss: true }, &mut |_| {}, &mut |_| Ok(()));
    assert!(matches!(refused, Err(RepairError::OfAnotherStore { .. })), "{refused:?}");
    let repaired = mend(&place, Some(&snapshot), false);
    assert_eq!(repaired.left, []);
    is_whole_again(&place, &before, "a manifest from a snapshot");
}

#[test]
fn a_generation_that_is_gone_is_begun_anew() {
    let place = Place::in_memory();
    drop(lived(&place));
    let before = everything(&place);
    fs::remove_file(place.file(GENERATION)).unwrap();
    assert_eq!(mend(&place, None, false).left.len(), 1);
    let repaired = mend(&place, None, true);
    assert_eq!(
        (&repaired.lost[..], &repaired.left[..]),
        (&[Loss::People { municipality: municipality(CHIYODA), count: Some(18) }][..], &[][..])
    );
    for (asked, now) in everything(&place) {
        if asked.0 == NAHA {
            assert_eq!(now, before[&asked], "{asked:?}");
        } else {
            let before = before[&asked].shots().iter().filter(|shot| shot.shot_id > 3).map(|shot| shot.shot_id);
            assert!(now.shots().iter().map(|shot| shot.shot_id).eq(before), "{asked:?}: what is not folded is there");
        }
    }
    load(&place.open(), CHIYODA, 1..=18, 1);
    assert_eq!(findings(&place), 0, "the register is loaded again");
}

#[test]
fn a_held_load_and_an_entry_of_the_access_log_are_given_up_by_name() {
    let place = Place::in_memory();
    let store = lived(&place);
    let mut register = store.load(municipality(CHIYODA)).unwrap();
    register.push(sesshu_tests::row(1, 2)).unwrap();
    let held = register.build(None).unwrap().hold(&sesshu_engine::HoldPolicy::default()).unwrap();
    drop(store);
    flip(&place.file(format!("held/{}", held.id)), 40, 1);
    let access = "access/0000000000000001.log";
    let entry = raw_batches(&fs::read(place.file(access)).unwrap())[0].at + 60;
    flip(&place.file(access), entry, 1);
    assert_eq!(mend(&place, None, false).left.len(), 2);
    let repaired = mend(&place, None, true);
    assert_eq!(repaired.left, []);
    let [Loss::Access { sequence: 1, .. }, Loss::Held { id }] = repaired.lost[..] else {
        panic!("{:?}", repaired.lost)
    };
    assert_eq!(id, held.id);
    let store = place.open();
    store.accesses(|_| panic!("it is gone")).unwrap();
    assert!(store.held().is_empty());
}

#[test]
fn a_repair_that_is_cut_anywhere_is_gone_on_with() {
    let (whole, snapshot, _directory) = exported();
    let before = everything(&whole);
    let damaged = |place: &Place| {
        flip(&place.file(GENERATION), 8192 + 40, 1);
        flip(&place.file("ledgers/472018/000001.gen"), 9, 1);
        flip(&place.file("MANIFEST"), 40, 1);
        let segment = segment(place);
        let batch = raw_batches(&fs::read(place.file(&segment)).unwrap())[6];
        flip(&place.file(&segment), batch.at + 60, 1);
    };
    let mut cuts = 0;
    for after in 0.. {
        let place = whole.copy();
        damaged(&place);
        let disk = SimulatedDisk::on(&place.path(), after).unwrap();
        disk.stop_after(after);
        let environment = std::sync::Arc::new(sesshu_tests::Clock::standing());
        let platform =
            |disk: &SimulatedDisk| Platform { disk: disk.mount(), environment: environment.clone(), threads: false };
        let repairs = Repairs { source: Some(&snapshot), accept_loss: false };
        let done = repair_on(platform(&disk), &place.path(), repairs, &mut |_| {}, &mut |_| Ok(()));
        let stopped = disk.stopped();
        disk.cut(if after % 2 == 0 { Unsynced::Lost } else { Unsynced::Torn(after) }).unwrap();
        if stopped {
            assert!(done.is_err());
            let again = repair_on(platform(&disk), &place.path(), repairs, &mut |_| {}, &mut |_| Ok(())).unwrap();
            assert_eq!((&again.lost[..], &again.left[..]), (&[][..], &[][..]), "cut after {after}");
            disk.cut(Unsynced::Lost).unwrap();
            cuts += 1;
        }
        drop(disk);
        is_whole_again(&place, &before, &format!("cut after {after}"));
        if !stopped {
            break;
        }
    }
    assert!(cuts > 15, "{cuts}");
}

#[test]
fn what_is_given_up_is_listed_though_the_repair_is_cut_or_the_list_cannot_be_kept() {
    let whole = Place::in_memory();
    drop(lived(&whole));
    let segment = segment(&whole);
    let batch = raw_batches(&whole.bytes()[&segment])[6];
    let damaged = || {
        let place = whole.copy();
        flip(&place.file(GENERATION), 8192 + 40, 1);
        flip(&place.file(&segment), batch.at + 60, 1);
        place
    };
    let place = damaged();
    let repairs = Repairs { source: None, accept_loss: true };
    let not_kept = repair(&place.path(), repairs, &mut |_| {}, &mut |_| Err(std::io::ErrorKind::StorageFull.into()));
    assert!(matches!(not_kept, Err(RepairError::NotKept(_))), "{not_kept:?}");
    let expected = mend(&place, None, true).lost;
    assert_eq!(expected.len(), 2, "{expected:?}");
    assert_eq!(mend(&place, None, true), Repaired::default(), "it was kept");
    for after in 0.. {
        let place = damaged();
        let disk = SimulatedDisk::on(&place.path(), after).unwrap();
        disk.stop_after(after);
        let environment = std::sync::Arc::new(sesshu_tests::Clock::standing());
        let mut kept = Vec::new();
        let mut mend = || {
            let platform = Platform { disk: disk.mount(), environment: environment.clone(), threads: false };
            repair_on(platform, &place.path(), repairs, &mut |_| {}, &mut |lost| {
                kept.extend(lost.iter().copied());
                Ok(())
            })
        };
        let done = mend();
        let stopped = disk.stopped();
        disk.cut(if after % 2 == 0 { Unsynced::Lost } else { Unsynced::Torn(after) }).unwrap();
        let done = if stopped { mend() } else { done };
        assert!(done.unwrap().left.is_empty(), "cut after {after}");
        kept.sort_unstable();
        kept.dedup();
        assert_eq!(kept, expected, "cut after {after}");
        if !stopped {
            break;
        }
    }
}

#[test]
fn who_sent_a_register_and_a_held_load_that_no_longer_fits_are_listed_too() {
    let place = Place::in_memory();
    let store = lived(&place);
    let sent = |version| {
        let sender = sesshu_engine::intake::Sender::check("係員 7", "月次").unwrap();
        let mut register = store.load(municipality(CHIYODA)).unwrap();
        register.sent_by(sender);
        (1..=18).for_each(|number| register.push(sesshu_tests::row(number, version)).unwrap());
        register
    };
    sent(2).commit(None).unwrap();
    sent(3).commit(None).unwrap();
    let held = sent(4).build(None).unwrap().hold(&sesshu_engine::HoldPolicy::default()).unwrap();
    drop(store);
    let generation = "ledgers/131016/000003.gen";
    // Behind the cold section: who sent the first of them.
    let senders = section(&fs::read(place.file(generation)).unwrap(), 9);
    flip(&place.file(generation), senders.start + 3, 1);
    assert_eq!(mend(&place, None, false).left.len(), 1);
    let repaired = mend(&place, None, true);
    let expected = [Loss::Senders { municipality: municipality(CHIYODA) }, Loss::Held { id: held.id }];
    assert_eq!((&repaired.lost[..], &repaired.left[..]), (&expected[..], &[][..]));
    assert!(place.open().held().is_empty());
}
