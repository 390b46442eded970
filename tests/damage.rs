//! Damage to a generation or the manifest is never an answer: each ticket is answered as before, or refused by name (I6).

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use prost::Message as _;
use rand::RngExt;
use sesshu_engine::error::{Damage, LoadError, OpenError};
use sesshu_engine::{CheckpointOutcome, Store, View};
use sesshu_tests::{
    Answer, CHIYODA, NAHA, Place, answer, by_names, flip, ledger, load, municipality, my_number, record, reseal_footer,
    resident, rng, row, shot, ticket,
};

const GENERATION: &str = "ledgers/131016/000001.gen";

/// A closed store with a small generation of everything: rows with and without My Numbers and shots, an orphan; and shots in the tail.
fn small() -> Place {
    let place = Place::in_memory();
    let store = place.open();
    for number in [2, 5] {
        record(&store, shot(ticket(CHIYODA, number), number as u32, &format!("c-{number}")));
        record(&store, shot(ticket(CHIYODA, number), 9, ""));
    }
    let mut load = store.load(municipality(CHIYODA)).unwrap();
    for number in 1..=4u64 {
        let my_number = number.is_multiple_of(2).then(|| my_number(number));
        load.push(sesshu_engine::intake::Row::check(number, my_number, resident(number, 1), 0).unwrap()).unwrap();
    }
    load.commit(None).unwrap();
    record(&store, shot(ticket(CHIYODA, 1), 20, "t-1"));
    record(&store, shot(ticket(CHIYODA, 6), 21, "t-6"));
    record(&store, shot(ticket(NAHA, 1), 22, ""));
    drop(store);
    place
}

/// Everything that can be asked of the store, each question on its own.
#[derive(PartialEq, Debug)]
struct Everything {
    tickets: Vec<Answer>,
    whole: Result<BTreeMap<u64, Answer>, Damage>,
    resident_numbers: Vec<Result<Vec<u64>, Damage>>,
    /// By name, by kana and birth date, by the beginning of the kana.
    names: Vec<Result<Vec<u64>, Damage>>,
}

impl Everything {
    fn of(view: &View) -> Everything {
        let by_resident_number = |number: u64| {
            let people = view.with_resident_number(municipality(CHIYODA), &format!("{number:08}"))?;
            Ok(people.iter().map(|person| person.ticket().number()).collect())
        };
        Everything {
            tickets: (0..=8).map(|number| answer(view, ticket(CHIYODA, number))).collect(),
            whole: ledger(view, CHIYODA),
            resident_numbers: (0..=5).map(by_resident_number).collect(),
            names: (0..=5).flat_map(|number| by_names(view, CHIYODA, &resident(number, 1))).collect(),
        }
    }

    /// Each answer is the one of an undamaged store, or says that it is none. Returns whether all are.
    fn is_honest(&self, before: &Everything, what: &str) -> bool {
        for (number, (now, before)) in self.tickets.iter().zip(&before.tickets).enumerate() {
            assert!(now == before || matches!(now, Answer::Damaged(_)), "{what}, ticket {number}: {now:?}");
        }
        if let Ok(whole) = &self.whole {
            let before = before.whole.as_ref().unwrap();
            assert!(whole.keys().eq(before.keys()), "{what}: a ledger read to its end is whole");
            for (number, now) in whole {
                assert!(
                    now == &before[number] || matches!(now, Answer::Damaged(_)),
                    "{what}, ticket {number}: {now:?}"
                );
            }
        }
        let looked_up = self.resident_numbers.iter().chain(&self.names);
        for (now, before) in looked_up.zip(before.resident_numbers.iter().chain(&before.names)) {
            assert!(now == before || now.is_err(), "{what}: {now:?} instead of {before:?}");
        }
        self == before
    }
}

#[test]
fn no_changed_byte_of_a_generation_changes_an_answer() {
    let mut rng = rng();
    let place = small();
    let before = Everything::of(&place.open().view());
    let length = fs::metadata(place.file(GENERATION)).unwrap().len() as usize;
    let (mut refused, mut told, mut harmless) = (0, 0, 0);
    // Of the zeros between the headers some will do.
    let padding = |at: usize| at < 8192 && at % 4096 >= 64;
    let offsets = (0..length).filter(|&at| !padding(at) || at % 11 == 0);
    for at in offsets {
        let with = rng.random_range(1..=255);
        flip(&place.file(GENERATION), at, with);
        match place.try_open() {
            Err(OpenError::Damaged(damage)) => {
                assert_eq!(damage.file, Path::new(GENERATION));
                refused += 1;
            }
            Err(error) => panic!("byte {at}: {error}"),
            Ok((store, _)) => {
                if Everything::of(&store.view()).is_honest(&before, &format!("byte {at}")) {
                    harmless += 1;
                } else {
                    told += 1;
                }
                assert_eq!(answer(&store.view(), ticket(NAHA, 1)).shots().len(), 1, "another ledger is not concerned");
            }
        }
        flip(&place.file(GENERATION), at, with);
    }
    println!("{length} bytes: {refused} refused at open, {told} told when asked, {harmless} harmless");
    // The footer; the entries and what belongs to them; either of two headers, padding, and the look-up of My Numbers, which needs a key.
    assert!(refused == 512 && told > 1000 && harmless < 1100);
    assert_eq!(Everything::of(&place.open().view()), before, "nothing of it was written down");
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Makes a generation's index name each of two tickets' entries for the other, with all checksums right: what only a program at fault would write.
fn exchange_in_index(path: &Path, numbers: [u64; 2]) {
    let mut bytes = fs::read(path).unwrap();
    let length = bytes.len();
    let footer = length - 512;
    let index = (footer + 64..length).step_by(24).find(|&at| bytes[at..at + 4] == 2u32.to_le_bytes()).unwrap();
    let (from, to) = (u64_at(&bytes, index + 8) as usize, u64_at(&bytes, index + 16) as usize);
    let section = from..from + to;
    let slot =
        |number| section.clone().step_by(8).find(|&at| u64_at(&bytes, at) >> 30 == number && u64_at(&bytes, at) > 0);
    let [one, other] = numbers.map(|number| slot(number).unwrap());
    let (a, b) = (u64_at(&bytes, one), u64_at(&bytes, other));
    let address = (1 << 30) - 1;
    bytes[one..one + 8].copy_from_slice(&(a & !address | b & address).to_le_bytes());
    bytes[other..other + 8].copy_from_slice(&(b & !address | a & address).to_le_bytes());
    let crc = crc32fast::hash(&bytes[section]);
    bytes[index + 4..index + 8].copy_from_slice(&crc.to_le_bytes());
    reseal_footer(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn an_index_that_leads_astray_leads_to_nobody() {
    let place = small();
    let before = Everything::of(&place.open().view());
    exchange_in_index(&place.file(GENERATION), [2, 5]);
    let now = Everything::of(&place.open().view());
    assert!(!now.is_honest(&before, "exchanged"));
    for number in 0..=8 {
        let astray = matches!(&now.tickets[number], Answer::Damaged(damage) if damage.file == Path::new(GENERATION));
        assert_eq!(astray, number == 2 || number == 5, "ticket {number}");
    }
}

/// Makes the newest checkpoint name each of two tickets' events for the other; the manifest names it so.
fn exchange_in_checkpoint(place: &Place, numbers: [u64; 2]) {
    let mut manifest = place.manifest();
    let checkpoint = manifest.checkpoint.as_mut().unwrap();
    let path = place.file(format!("checkpoint/{:016}", checkpoint.position));
    let mut bytes = fs::read(&path).unwrap();
    // The first ledger is that of Chiyoda.
    let pair = |number| (112..bytes.len()).step_by(16).find(|&at| u64_at(&bytes, at) == number).unwrap() + 8;
    let [one, other] = numbers.map(pair);
    let (a, b) = (u64_at(&bytes, one), u64_at(&bytes, other));
    bytes[one..one + 8].copy_from_slice(&b.to_le_bytes());
    bytes[other..other + 8].copy_from_slice(&a.to_le_bytes());
    checkpoint.blake3 = blake3::hash(&bytes).as_bytes().to_vec();
    fs::write(path, bytes).unwrap();
    let message = manifest.encode_to_vec();
    let mut bytes = fs::read(place.file("MANIFEST")).unwrap()[..24].to_vec();
    bytes[16..].copy_from_slice(&(message.len() as u64).to_le_bytes());
    bytes.extend(message);
    let crc = crc32fast::hash(&[&bytes[..12], &bytes[16..]].concat());
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    fs::write(place.file("MANIFEST"), bytes).unwrap();
}

#[test]
fn a_checkpoint_that_leads_astray_leads_to_nobody() {
    let place = small();
    let before = Everything::of(&place.open().view());
    exchange_in_checkpoint(&place, [1, 6]);
    let (store, opened) = place.try_open().unwrap();
    assert!(matches!(opened.checkpoint, CheckpointOutcome::Restored { .. }), "{:?}", opened.checkpoint);
    let now = Everything::of(&store.view());
    assert!(!now.is_honest(&before, "exchanged"));
    for number in 0..=8 {
        let astray = matches!(&now.tickets[number], Answer::Damaged(damage) if damage.file.starts_with("log"));
        assert_eq!(astray, number == 1 || number == 6, "ticket {number}");
    }
}

#[test]
fn a_load_over_a_damaged_generation_is_refused_or_loses_nothing() {
    let mut rng = rng();
    let place = small();
    let store = place.open();
    let whole = ledger(&store.view(), CHIYODA).unwrap();
    drop(store);
    let files = place.bytes();
    let length = files[Path::new(GENERATION)].len();
    let (mut refused, mut loaded) = (0, 0);
    let mut at = 8192;
    while at < length - 512 {
        place.restore(&files);
        flip(&place.file(GENERATION), at, rng.random());
        let store = place.open();
        match reload(&store) {
            Err(LoadError::Damaged(damage)) => {
                assert_eq!(damage.file, Path::new(GENERATION));
                refused += 1;
            }
            Err(error) => panic!("byte {at}: {error}"),
            Ok(()) => {
                let now = ledger(&store.view(), CHIYODA).unwrap();
                assert!(now.keys().eq(whole.keys()), "byte {at}");
                for (number, now) in &now {
                    assert_eq!(now.shots(), whole[number].shots(), "byte {at}, ticket {number}");
                    assert!(*number == 1 || now == &whole[number], "byte {at}, ticket {number}");
                }
                loaded += 1;
            }
        }
        at += rng.random_range(1..7);
    }
    assert!(refused > 100 && loaded > 0, "{refused} refused, {loaded} loaded");
}

/// Loads a new row for ticket 1; the others were rejected and stay.
fn reload(store: &Store) -> Result<(), LoadError> {
    let mut load = store.load(municipality(CHIYODA))?;
    load.push(row(1, 2))?;
    (2..=4).for_each(|number| load.keep(number));
    load.commit(None).map(drop)
}

#[test]
fn a_generation_of_another_length_time_store_or_place_is_refused() {
    let place = small();
    let older = fs::read(place.file(GENERATION)).unwrap();
    let store = place.open();
    load(&store, CHIYODA, 1..=4, 1);
    load(&store, NAHA, 1..=4, 1);
    drop(store);
    let files = place.bytes();
    let newer = Path::new("ledgers/131016/000002.gen");
    let naha = Path::new("ledgers/472018/000001.gen");
    let length = files[newer].len();
    let cuts = [0, 1, 8191, 8192, length / 2, length - 512, length - 1].map(|at| files[newer][..at].to_vec());
    let other_store = fs::read(small().file(GENERATION)).unwrap();
    for (at, bytes) in cuts.into_iter().chain([older, other_store, files[naha].clone()]).enumerate() {
        let mut changed = files.clone();
        changed.insert(newer.into(), bytes);
        place.restore(&changed);
        let Err(OpenError::Damaged(damage)) = place.try_open() else { panic!("change {at} was not told") };
        assert_eq!(damage.file, newer, "change {at}");
        assert_eq!(damage.municipality, Some(municipality(CHIYODA)));
    }
    place.restore(&files);
    assert_eq!(place.open().status().residents, 8);
}

#[test]
fn no_changed_byte_of_the_manifest_changes_the_store() {
    let mut rng = rng();
    let place = small();
    let store = place.open();
    load(&store, NAHA, 1..=4, 1);
    let before = Everything::of(&store.view());
    let crashed = place.copy();
    drop(store);
    for place in [crashed, place] {
        let files = place.bytes();
        let length = files[Path::new("MANIFEST")].len();
        for at in 0..length {
            place.restore(&files);
            flip(&place.file("MANIFEST"), at, rng.random());
            match place.try_open() {
                // The version is looked at before the checksum: only its own program knows where that is.
                Err(OpenError::Damaged(Damage { file, .. }) | OpenError::Newer { file, .. }) => {
                    assert_eq!(file, Path::new("MANIFEST"));
                }
                Err(error) => panic!("byte {at}: {error}"),
                Ok((store, _)) => assert_eq!(Everything::of(&store.view()), before, "byte {at}"),
            }
        }
        for at in 0..length {
            place.restore(&files);
            fs::write(place.file("MANIFEST"), &files[Path::new("MANIFEST")][..at]).unwrap();
            assert!(matches!(place.try_open(), Err(OpenError::Damaged(_))), "cut at {at}");
        }
        place.restore(&files);
        assert_eq!(Everything::of(&place.open().view()), before);
    }
}

#[test]
fn no_changed_byte_of_a_checkpoint_changes_the_store() {
    let mut rng = rng();
    let place = small();
    let (files, store) = (place.bytes(), place.open());
    let before = (Everything::of(&store.view()), store.status().shots, store.status().orphans);
    drop(store);
    let (name, bytes) = files.iter().find(|(name, _)| name.starts_with("checkpoint")).unwrap();
    for at in 0..bytes.len() {
        place.restore(&files);
        flip(&place.file(name), at, rng.random());
        let (store, opened) = place.try_open().unwrap();
        assert!(matches!(&opened.checkpoint, CheckpointOutcome::Rebuilt(damage) if damage.file == *name), "byte {at}");
        assert_eq!((Everything::of(&store.view()), store.status().shots, store.status().orphans), before, "byte {at}");
    }
}

#[test]
fn an_older_manifest_changes_nothing_or_is_refused() {
    // Between any two steps a crash may leave the manifest of the step before, as long as the generations that it names are there.
    let place = Place::in_memory();
    let store = place.open();
    let mut manifests = Vec::new();
    for version in 1..=5 {
        record(&store, shot(ticket(CHIYODA, 1), version, ""));
        load(&store, CHIYODA, 1..=4, version);
        manifests.push(fs::read(place.file("MANIFEST")).unwrap());
    }
    let before = ledger(&store.view(), CHIYODA).unwrap();
    let place = place.copy();
    let files = place.bytes();
    let mut opened = 0;
    for (version, manifest) in manifests.into_iter().enumerate() {
        let mut older = files.clone();
        older.insert("MANIFEST".into(), manifest);
        place.restore(&older);
        match place.try_open() {
            Ok((store, _)) => {
                assert_eq!(ledger(&store.view(), CHIYODA).unwrap(), before, "the manifest after load {}", version + 1);
                opened += 1;
            }
            Err(OpenError::Damaged(damage)) => assert!(damage.file.starts_with("ledgers")),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(opened >= 1);
}
