//! What is whole has no findings, and whatever is not is found: in its file, at its place, with those whom it concerns.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use prost::Message as _;
use sesshu_engine::error::OpenError;
use sesshu_engine::{ClosedStore, Finding, MyNumberQuestion, Remedy, ScrubPolicy, SnapshotName, Store, Verified};
use sesshu_proto::v1::Manifest;
use sesshu_tests::{
    CHIYODA, NAHA, Over, Place, flip, load, municipality, my_number, raw_batches, record, reseal_footer, resident, rng,
    section, shot, ticket,
};

const GENERATION: &str = "ledgers/131016/000001.gen";

/// A store that has some of everything: registers, My Numbers, shots that are folded and shots that are not, an orphan, a checkpoint, an access log.
fn lived(place: &Place) -> Store {
    let store = place.open();
    for number in [2, 5] {
        record(&store, shot(ticket(CHIYODA, number), number as u32, &format!("c-{number}")));
    }
    let mut register = store.load(municipality(CHIYODA)).unwrap();
    for number in 1..=40u64 {
        let my_number = number.is_multiple_of(2).then(|| my_number(number));
        register.push(sesshu_engine::intake::Row::check(number, my_number, resident(number, 1), 0).unwrap()).unwrap();
    }
    register.commit(None).unwrap();
    load(&store, NAHA, 1..=10, 1);
    for number in 1..=6 {
        record(&store, shot(ticket(CHIYODA, number), 20, &format!("t-{number}")));
    }
    let question = MyNumberQuestion { my_number: my_number(2), purpose: "a test", who: "nobody" };
    store.with_my_number(&store.view(), &question, 10).unwrap();
    store
}

fn verify_closed(place: &Place) -> Verified {
    let before = place.bytes();
    let verified = ClosedStore::open(&place.path()).unwrap().verify(&mut |_| ControlFlow::Continue(())).unwrap();
    assert!(place.bytes() == before, "verifying changes nothing");
    verified.expect("nobody ended it")
}

fn verify(store: &Store) -> Verified {
    store.verify(None, &mut |_| ControlFlow::Continue(())).unwrap().expect("nobody ended it")
}

/// The one finding.
fn only(verified: &Verified) -> &Finding {
    let [finding] = &verified.findings[..] else { panic!("{:?}", verified.findings) };
    finding
}

#[test]
fn a_whole_store_has_no_findings_open_closed_or_killed() {
    let place = Place::in_memory();
    let store = lived(&place);
    let open = verify(&store);
    assert_eq!(open.findings, []);
    // Forty people of Chiyoda and ten of Naha; eight shots and two installs.
    assert_eq!((open.tickets, open.events, open.sequence), (50, 10, 10));
    assert_eq!(store.status().verification.unwrap().verified, open);
    let killed = verify_closed(&place.copy());
    assert_eq!((&killed.findings[..], killed.events), (&[][..], 10));

    store.create_snapshot(&SnapshotName::parse("noon").unwrap()).unwrap();
    store.compact(municipality(CHIYODA), None, &mut |_| ControlFlow::Continue(())).unwrap();
    record(&store, shot(ticket(NAHA, 3), 1, ""));
    assert_eq!(verify(&store).findings, []);
    store.close().unwrap();
    drop(store);
    let closed = verify_closed(&place);
    assert_eq!((&closed.findings[..], closed.torn_bytes), (&[][..], 0));
    assert!(closed.files > open.files, "the snapshot's generation is read too");
}

#[test]
fn verifying_can_be_ended_and_says_how_far_it_has_come() {
    let place = Place::in_memory();
    let store = lived(&place);
    let mut told = Vec::new();
    store
        .verify(None, &mut |verifying| {
            told.push(verifying);
            ControlFlow::Continue(())
        })
        .unwrap();
    let last = told.last().unwrap();
    assert!(last.bytes > 0 && last.bytes <= last.bytes_expected, "{last:?}");
    assert!(told.is_sorted_by_key(|verifying| verifying.bytes));
    assert_eq!(store.verify(None, &mut |_| ControlFlow::Break(())).unwrap(), None);
    assert!(store.status().verifying.is_none() && store.status().verification.is_some());
}

#[test]
fn a_store_in_use_is_not_verified_as_closed_and_one_that_is_verified_is_not_opened() {
    let place = Place::in_memory();
    let store = lived(&place);
    assert!(matches!(ClosedStore::open(&place.path()), Err(OpenError::InUse(..))));
    drop(store);
    let closed = ClosedStore::open(&place.path()).unwrap();
    assert!(matches!(place.try_open(), Err(OpenError::InUse(..))));
    ClosedStore::open(&place.path()).expect("two may read");
    drop(closed);
    place.open();
    assert!(matches!(ClosedStore::open(Path::new("/nowhere")), Err(OpenError::NoStore(_))));
}

#[test]
fn no_changed_byte_of_a_generation_goes_unnoticed_and_one_of_an_entry_concerns_its_ticket_alone() {
    let place = Place::in_memory();
    drop(lived(&place));
    let mut rng = rng();
    let bytes = fs::read(place.file(GENERATION)).unwrap();
    let (footer, entries) = (bytes.len() - 512, section(&bytes, 0));
    let (mut of_one, mut of_more) = (0, 0);
    for at in (0..bytes.len()).filter(|at| at % 7 == 3 || *at >= footer) {
        let with = rand::RngExt::random_range(&mut rng, 1..=255);
        flip(&place.file(GENERATION), at, with);
        let verified = verify_closed(&place);
        flip(&place.file(GENERATION), at, with);
        assert!(!verified.findings.is_empty(), "byte {at}");
        for Finding { damage, .. } in &verified.findings {
            assert_eq!((&*damage.file, damage.municipality), (Path::new(GENERATION), Some(municipality(CHIYODA))));
        }
        if entries.contains(&at) {
            let Finding { damage, tickets, remedy } = only(&verified);
            assert_eq!((*tickets, *remedy), (Some(1), Remedy::Replace), "byte {at}: {damage}");
            assert!(damage.offset <= at as u64 && at as u64 - damage.offset < 400, "byte {at}: {damage}");
            of_one += 1;
        } else if at >= footer {
            assert_eq!(only(&verified).tickets, Some(40), "without its footer nothing of it can be read");
            assert_eq!(only(&verified).remedy, Remedy::Rebuild);
            of_more += 1;
        }
    }
    assert!(of_one > 500 && of_more == 512, "{of_one} {of_more}");
}

#[test]
fn damage_behind_damage_is_found_with_and_without_an_index() {
    let place = Place::in_memory();
    drop(lived(&place));
    let bytes = fs::read(place.file(GENERATION)).unwrap();
    let (entries, index) = (section(&bytes, 0).start, section(&bytes, 1).start);
    // Two entries that lie far from one another, and one of those between.
    for at in [entries + 40, entries + 45, index - 60, (entries + index) / 2] {
        flip(&place.file(GENERATION), at, 1);
    }
    let places: Vec<_> = verify_closed(&place).findings.iter().map(|it| (it.damage.offset, it.tickets)).collect();
    assert_eq!(places.len(), 3, "{places:?}");
    assert_eq!(places[0].0, entries as u64);
    assert!(places.iter().all(|(_, tickets)| *tickets == Some(1)), "{places:?}");
    flip(&place.file(GENERATION), index + 8, 1);
    let verified = verify_closed(&place);
    let of_entries: Vec<_> = verified.findings.iter().filter(|it| it.damage.offset < index as u64).collect();
    assert_eq!(
        of_entries.iter().map(|it| it.damage.offset).collect::<Vec<_>>(),
        places.iter().map(|it| it.0).collect::<Vec<_>>()
    );
    assert_eq!(verified.tickets, 50 - 3);
    let of_index = verified.findings.iter().find(|it| it.damage.offset == index as u64).unwrap();
    assert_eq!((of_index.tickets, of_index.remedy), (Some(40), Remedy::Rebuild));
}

/// Changes a file of the store and everything that vouches for its bytes.
fn forge(place: &Place, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(place.file(name)).unwrap();
    change(&mut bytes);
    fs::write(place.file(name), &bytes).unwrap();
    let hash = blake3::hash(&bytes).as_bytes().to_vec();
    let mut manifest: Manifest = place.manifest();
    match manifest.checkpoint.as_mut().filter(|_| name.starts_with("checkpoint")) {
        Some(checkpoint) => checkpoint.blake3 = hash,
        None => {
            let of = manifest.generations.iter_mut().find(|it| it.municipality == CHIYODA / 10);
            of.unwrap().blake3 = hash.into();
        }
    }
    let payload = manifest.encode_to_vec();
    let mut file = fs::read(place.file("MANIFEST")).unwrap();
    file.truncate(16);
    file.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    file.extend_from_slice(&payload);
    let mut crc = crc32fast::Hasher::new();
    crc.update(&file[..12]);
    crc.update(&file[16..]);
    file[12..16].copy_from_slice(&crc.finalize().to_le_bytes());
    fs::write(place.file("MANIFEST"), file).unwrap();
}

fn reseal_section(bytes: &mut [u8], which: usize) {
    let range = section(bytes, which);
    let (crc, at) = (crc32fast::hash(&bytes[range]), bytes.len() - 512 + 64 + which * 24);
    bytes[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
    reseal_footer(bytes);
}

#[test]
fn what_was_written_wrong_is_found_though_every_checksum_is_right() {
    // Index, four look-ups, order of kana: two slots, or two places, are exchanged.
    for which in 1..=6 {
        let place = Place::in_memory();
        drop(lived(&place));
        forge(&place, GENERATION, |bytes| {
            let range = section(bytes, which);
            let (step, table) = (if which == 6 { 4 } else { 8 }, &mut bytes[range]);
            let used: Vec<usize> =
                (0..table.len()).step_by(step).filter(|&at| table[at..at + step].iter().any(|it| *it != 0)).collect();
            let (first, last) = (used[0], *used.last().unwrap());
            (0..step).for_each(|at| table.swap(first + at, last + at));
            reseal_section(bytes, which);
        });
        let verified = verify_closed(&place);
        assert_eq!(only(&verified).remedy, Remedy::Rebuild, "{which}");
        assert!(only(&verified).damage.what.contains(" is not that of the "), "{:?}", verified.findings);
    }
    // A counter.
    let place = Place::in_memory();
    drop(lived(&place));
    forge(&place, GENERATION, |bytes| {
        let shots = bytes.len() - 512 + 56;
        bytes[shots] += 1;
        reseal_footer(bytes);
    });
    assert_eq!(only(&verify_closed(&place)).damage.what, "the generation's counters are not what its entries come to");
    // The checkpoint: one shot more than there is.
    let place = Place::in_memory();
    drop(lived(&place));
    let checkpoint = format!("checkpoint/{:016}", place.manifest().checkpoint.unwrap().position);
    forge(&place, &checkpoint, |bytes| bytes[64 + 24 + 8] -= 1);
    let verified = verify_closed(&place);
    assert_eq!(only(&verified).damage.what, "the checkpoint's tail is not what the log says");
    assert_eq!(only(&verified).damage.municipality, Some(municipality(CHIYODA)));
}

#[test]
fn what_is_wrong_with_a_log_is_found_with_the_events_that_are_gone() {
    let place = Place::in_memory();
    drop(lived(&place));
    let [segment] = &place.segments()[..] else { panic!("one segment") };
    let batches = raw_batches(&fs::read(place.file(segment)).unwrap());
    let shots: Vec<_> = batches.iter().filter(|batch| batch.count == 1).collect();
    // The event of a batch; then its header, which takes nothing along.
    for (at, lost, remedy) in [(60, 1, Remedy::Replace), (20, 0, Remedy::Rebuild)] {
        flip(&place.file(segment), shots[3].at + at, 1);
        let verified = verify_closed(&place);
        let Finding { damage, tickets, remedy: found } = only(&verified);
        assert_eq!((&damage.file, damage.offset, *tickets, *found), (segment, shots[3].at as u64, Some(lost), remedy));
        assert_eq!((verified.events, verified.sequence), (10 - lost, 10));
        flip(&place.file(segment), shots[3].at + at, 1);
    }
    // Either copy of the header.
    for at in [9, 4096 + 9] {
        flip(&place.file(segment), at, 1);
        let verified = verify_closed(&place);
        assert_eq!((only(&verified).damage.offset, only(&verified).remedy), (at as u64 / 4096 * 4096, Remedy::Rebuild));
        flip(&place.file(segment), at, 1);
    }
    fs::remove_file(place.file(segment)).unwrap();
    let verified = verify_closed(&place);
    assert_eq!((&only(&verified).damage.file, verified.events), (segment, 0));
}

#[test]
fn whatever_else_is_damaged_is_named() {
    let place = Place::in_memory();
    let store = lived(&place);
    store.create_snapshot(&SnapshotName::parse("noon").unwrap()).unwrap();
    store.compact(municipality(CHIYODA), None, &mut |_| ControlFlow::Continue(())).unwrap();
    drop(store);
    let checkpoint = format!("checkpoint/{:016}", place.manifest().checkpoint.unwrap().position);
    let access = "access/0000000000000001.log";
    let entry = raw_batches(&fs::read(place.file(access)).unwrap())[0].at + 60;
    let files = [
        (&*checkpoint, 40, Remedy::Rebuild),
        ("MANIFEST", 30, Remedy::Rebuild),
        ("MANIFEST.before", 30, Remedy::Rebuild),
        (access, entry, Remedy::Replace),
        ("snapshots/noon/SNAPSHOT", 40, Remedy::Replace),
        ("snapshots/noon/ledgers/131016-000001.gen", 9000, Remedy::Replace),
    ];
    for (file, at, remedy) in files {
        flip(&place.file(file), at, 1);
        let verified = verify_closed(&place);
        assert_eq!((&*only(&verified).damage.file, only(&verified).remedy), (Path::new(file), remedy), "{file}");
        flip(&place.file(file), at, 1);
    }
    fs::remove_file(place.file("MANIFEST")).unwrap();
    assert_eq!(only(&verify_closed(&place)).damage.what, "the manifest is missing");
}

#[test]
fn a_held_load_whose_register_is_damaged_is_found() {
    let place = Place::in_memory();
    let store = lived(&place);
    let mut register = store.load(municipality(CHIYODA)).unwrap();
    register.push(sesshu_tests::row(1, 2)).unwrap();
    let held = register.build(None).unwrap().hold(&sesshu_engine::HoldPolicy::default()).unwrap();
    drop(store);
    assert_eq!(verify_closed(&place).findings, []);
    let generation = format!("ledgers/131016/{}.gen", &held.id.to_string()[7..]);
    for (file, at) in [(generation, 8300), (format!("held/{}", held.id), 40)] {
        flip(&place.file(&file), at, 1);
        assert_eq!(only(&verify_closed(&place)).damage.file, Path::new(&file));
        flip(&place.file(&file), at, 1);
    }
}

#[test]
fn what_a_disk_cannot_read_is_found_and_does_not_end_the_program() {
    // A file that is shorter than its map is, for the kernel, a disk that cannot read.
    let place = Place::on_disk();
    let store = lived(&place);
    let length = fs::metadata(place.file(GENERATION)).unwrap().len();
    fs::OpenOptions::new().write(true).open(place.file(GENERATION)).unwrap().set_len(length - 4096).unwrap();
    let verified = verify(&store);
    assert_eq!(only(&verified).damage.file, Path::new(GENERATION));
    assert_eq!((only(&verified).tickets, only(&verified).remedy), (Some(40), Remedy::Replace));
    // Nothing of it may be read any more.
    std::mem::forget(store);
}

#[test]
fn an_open_store_is_whole_at_every_moment_while_it_goes_on() {
    let place = Place::on_disk();
    let store = lived(&place);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            let mut at = 0u64;
            while !over.load(Ordering::Acquire) {
                at += 1;
                record(&store, shot(ticket(CHIYODA, at % 60 + 1), at as u32 % 90 + 1, &format!("w-{at}")));
                match at % 40 {
                    10 => drop(load(&store, NAHA, 1..=at % 30 + 5, at as u32)),
                    20 => drop(store.compact(municipality(CHIYODA), None, &mut |_| ControlFlow::Continue(())).unwrap()),
                    30 => store.checkpoint().unwrap(),
                    _ => {}
                }
            }
            at
        });
        let _over = Over(&over);
        for _ in 0..60 {
            assert_eq!(verify(&store).findings, []);
        }
        over.store(true, Ordering::Release);
        assert!(work.join().unwrap() > 100);
    });
}

#[test]
fn a_store_verifies_itself_slowly_and_says_what_it_found() {
    let place = Place::on_disk();
    drop(lived(&place));
    flip(&place.file(GENERATION), 9000, 1);
    let every = std::time::Duration::from_millis(1);
    let scrub = ScrubPolicy { automatic: true, every, limit: None };
    let options = sesshu_engine::Options { scrub, ..sesshu_engine::Options::default() };
    let (store, _) = Store::open(&place.path(), options).unwrap();
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let found = loop {
        if let Some(verification) = store.status().verification {
            break verification;
        }
        assert!(std::time::Instant::now() < patience, "it does so by itself");
        std::thread::sleep(every);
    };
    assert_eq!(only(&found.verified).damage.file, Path::new(GENERATION));
}

#[test]
fn a_snapshots_file_is_read_where_the_store_has_another_of_that_name() {
    let place = Place::in_memory();
    let store = lived(&place);
    store.create_snapshot(&SnapshotName::parse("noon").unwrap()).unwrap();
    drop(store);
    // One file under two names: told once, and where the store has it.
    flip(&place.file(GENERATION), 9, 1);
    assert_eq!(only(&verify_closed(&place)).damage.file, Path::new(GENERATION));
    let repaired = sesshu_tests::drill::mend(&place, None, false);
    assert_eq!(repaired.made_again, [Path::new(GENERATION)]);
    let snapshots = Path::new("snapshots/noon/ledgers/131016-000001.gen");
    assert_eq!(only(&verify_closed(&place)).damage.file, snapshots);
}
