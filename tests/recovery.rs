//! Recovery says what the log holds, or refuses by name; it never loses in silence what something vouches for (I4).
//!
//! The batches are found by these tests themselves. Whatever byte of the log is changed, zeroed or cut off: what a later batch, a mark, a later segment or
//! the manifest vouches for is there or its loss is told with segment and offset, and a store that was refused was not changed.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rand::RngExt;
use sesshu_engine::error::{Damage, OpenError};
use sesshu_engine::{LogOutcome, Opened, Store};
use sesshu_tests::{
    Answer, CHIYODA, HEADER_BYTES, NAHA, Place, RawBatch, answer, flip, ledger, load, raw_batches, record, rng, shot,
    ticket,
};

type Files = BTreeMap<PathBuf, Vec<u8>>;

const SEGMENT: &str = "log/0000000000000001.log";

/// A store of a few batches in one segment, as it lies on disk at one moment.
struct Small {
    place: Place,
    files: Files,
    batches: Vec<RawBatch>,
}

impl Small {
    /// Recorded, not closed, and killed; the last batch is vouched for by a mark.
    fn crashed() -> Small {
        let place = Place::in_memory();
        let store = place.open();
        record_some(&store);
        // The mark comes by itself while nothing else does.
        let marked = || raw_batches(&fs::read(place.file(SEGMENT)).unwrap()).last().is_some_and(|last| last.count == 0);
        while !marked() {
            std::thread::yield_now();
        }
        let copy = place.copy();
        Small::of(copy)
    }

    /// As [`Small::crashed`], but killed before the mark was written.
    fn crashed_at_once() -> Small {
        let mut small = Small::crashed();
        let mark = small.batches.pop().unwrap();
        small.files.get_mut(Path::new(SEGMENT)).unwrap()[mark.at..mark.at + mark.size].fill(0);
        small
    }

    /// Recorded and closed. Its checkpoint is gone: the log is read from its beginning.
    fn closed() -> Small {
        let place = Place::in_memory();
        record_some(&place.open());
        fs::remove_dir_all(place.file("checkpoint")).unwrap();
        Small::of(place)
    }

    fn of(place: Place) -> Small {
        let files = place.bytes();
        let batches = raw_batches(&files[Path::new(SEGMENT)]);
        assert!(batches.iter().map(|batch| batch.count).sum::<u32>() == 7 && batches.len() >= 4);
        Small { place, files, batches }
    }

    /// Behind the last batch.
    fn end(&self) -> usize {
        self.batches.last().map(|batch| batch.at + batch.size).unwrap()
    }

    fn batch_with(&self, at: usize) -> Option<usize> {
        self.batches.iter().position(|batch| (batch.at..batch.at + batch.size).contains(&at))
    }

    /// Events in the first `count` batches.
    fn events(&self, count: usize) -> u64 {
        self.batches[..count].iter().map(|batch| u64::from(batch.count)).sum()
    }

    /// The offsets of a whole segment's header that mean something, some others, and everything from the first batch to a little behind the last.
    fn offsets(&self) -> impl Iterator<Item = usize> {
        let headers = (0..HEADER_BYTES).filter(|at| at % 4096 < 96 || at % 97 == 0);
        headers.chain(HEADER_BYTES..self.end() + 100)
    }

    /// Opens the store with a segment that was changed. Refused, it must not have been changed further.
    fn open(&self, change: impl FnOnce(&Path)) -> Result<(Store, Opened), Damage> {
        self.place.restore(&self.files);
        change(&self.place.file(SEGMENT));
        let before = self.place.bytes();
        match self.place.try_open() {
            Ok(opened) => Ok(opened),
            Err(OpenError::Damaged(damage)) => {
                let mut after = self.place.bytes();
                after.insert("LOCK".into(), before[Path::new("LOCK")].clone());
                assert!(after == before, "a store that was refused was not changed");
                Err(damage)
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// The store holds the first `events` shots and goes on behind them, now and when it is opened again.
    fn holds(&self, store: Store, events: u64) {
        let whole = self.batches.iter().scan(0, |sum, batch| {
            *sum += u64::from(batch.count);
            Some((*sum, batch.at + batch.size))
        });
        // A mark behind them may have been cut or not.
        let end = whole.take_while(|(sum, _)| *sum <= events).last().map_or(HEADER_BYTES, |(_, end)| end);
        let behind = &fs::read(self.place.file(SEGMENT)).unwrap()[end..];
        let closed = store.opened().log == LogOutcome::Closed;
        assert!(closed || behind.iter().all(|&byte| byte == 0), "what was cut is gone from the disk too");
        assert!(shot_ids(&store).into_iter().eq(1..=events), "{:?}", shot_ids(&store));
        assert_eq!(record(&store, shot(ticket(NAHA, 9), 9, "next")).sequence, events + 1);
        drop(store);
        let (store, opened) = self.place.try_open().unwrap();
        assert_eq!(opened.log, LogOutcome::Closed);
        assert!(shot_ids(&store).into_iter().eq(1..=events + 1));
    }
}

fn record_some(store: &Store) {
    let many =
        |from: u64, to: u64| (from..to).map(|n| shot(ticket(NAHA, n % 3), n as u32, &format!("c-{n}"))).collect();
    assert!(store.record_many(many(0, 2)).iter().all(Result::is_ok));
    record(store, shot(ticket(CHIYODA, 1), 1, ""));
    assert!(store.record_many(many(3, 6)).iter().all(Result::is_ok));
    record(store, shot(ticket(CHIYODA, 1), 2, ""));
}

fn shot_ids(store: &Store) -> Vec<u64> {
    let view = store.view();
    let mut ids: Vec<u64> = [CHIYODA, NAHA]
        .into_iter()
        .flat_map(|code| ledger(&view, code).unwrap().into_values())
        .flat_map(|answer| answer.shots().iter().map(|shot| shot.shot_id).collect::<Vec<_>>())
        .collect();
    ids.sort_unstable();
    ids
}

fn names(damage: &Damage, offset: usize) {
    assert_eq!((damage.file.as_path(), damage.offset), (Path::new(SEGMENT), offset as u64), "{damage}");
}

#[test]
fn a_changed_byte_costs_at_most_the_last_batch_if_nothing_vouches_for_it() {
    let mut rng = rng();
    for small in [Small::crashed(), Small::crashed_at_once()] {
        let last = small.batches.len() - 1;
        for at in small.offsets() {
            let opened = small.open(|segment| flip(segment, at, rng.random()));
            match (small.batch_with(at), opened) {
                (None, Ok((store, opened))) => {
                    // Either copy of the header will do; nonzero bytes behind the end are told of.
                    let torn = matches!(&opened.log, LogOutcome::TornTail(torn) if torn.offset == small.end() as u64);
                    assert!(if at < HEADER_BYTES { opened.log == LogOutcome::Clean } else { torn }, "byte {at}");
                    small.holds(store, small.events(last + 1));
                }
                (Some(batch), Ok((store, opened))) => {
                    assert_eq!(batch, last, "byte {at}: a later batch vouches for this one");
                    let LogOutcome::TornTail(torn) = opened.log else { panic!("byte {at}: {:?}", opened.log) };
                    assert_eq!((torn.file.as_path(), torn.offset), (Path::new(SEGMENT), small.batches[last].at as u64));
                    small.holds(store, small.events(last));
                }
                (Some(batch), Err(damage)) => {
                    assert_ne!(batch, last, "byte {at}: nothing vouches for the last batch");
                    names(&damage, small.batches[batch].at);
                }
                (None, Err(damage)) => panic!("byte {at}: {damage}"),
            }
        }
    }
}

#[test]
fn a_later_segment_vouches_for_the_one_before_it() {
    let mut rng = rng();
    let small = Small::crashed();
    // Opened, and killed before the manifest was written again: the second segment has a header and no batch.
    let store = small.place.open();
    let mut files = small.place.copy().bytes();
    drop(store);
    files.insert("MANIFEST".into(), small.files[Path::new("MANIFEST")].clone());
    let two = Small { place: Place::in_memory(), files, batches: small.batches.clone() };
    fs::copy(small.place.key(), two.place.key()).unwrap();
    for at in HEADER_BYTES..two.end() {
        let damage = two.open(|segment| flip(segment, at, rng.random())).err().unwrap_or_else(|| panic!("byte {at}"));
        names(&damage, two.batches[two.batch_with(at).unwrap()].at);
    }
    two.holds(two.open(|_| ()).unwrap().0, 7);
}

#[test]
fn a_log_that_was_never_written_from_some_byte_on_ends_with_its_last_whole_batch() {
    let small = Small::crashed();
    for at in HEADER_BYTES..=small.end() {
        let zeros = vec![0; small.end() - at];
        let (store, opened) = small.open(|segment| overwrite(segment, at, &zeros)).unwrap();
        // The padding at a batch's end is zero anyway.
        let segment = &small.files[Path::new(SEGMENT)];
        let survives = |from: usize, to: usize| from >= to || segment[from..to].iter().all(|&byte| byte == 0);
        let whole = small.batches.iter().take_while(|batch| survives(at.max(batch.at), batch.at + batch.size)).count();
        let half = small.batches.get(whole).is_some_and(|batch| batch.at < at);
        assert_eq!(matches!(opened.log, LogOutcome::TornTail(_)), half, "byte {at}: {:?}", opened.log);
        small.holds(store, small.events(whole));
    }
}

fn overwrite(path: &Path, at: usize, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, at as u64).unwrap();
}

#[test]
fn a_hole_in_the_log_is_told_wherever_it_is() {
    let small = Small::crashed();
    // A sector that was lost in the middle: whatever lies before or behind, the mark vouches for it.
    let mark = small.batches.last().unwrap().at;
    for at in HEADER_BYTES..mark {
        let zeros = vec![0; 512.min(mark - at)];
        let hit = small.batch_with(at).unwrap();
        let segment = &small.files[Path::new(SEGMENT)];
        let changes = segment[at..at + zeros.len()].iter().any(|&byte| byte != 0);
        match small.open(|segment| overwrite(segment, at, &zeros)) {
            Ok((store, _)) => {
                assert!(!changes, "byte {at}");
                small.holds(store, 7);
            }
            Err(damage) => {
                let first = (at..at + zeros.len()).find(|&at| segment[at] != 0).and_then(|at| small.batch_with(at));
                assert!(first >= Some(hit));
                names(&damage, small.batches[first.unwrap()].at);
            }
        }
    }
}

#[test]
fn a_closed_log_is_whole_or_refused() {
    let mut rng = rng();
    let small = Small::closed();
    for at in small.offsets() {
        match (small.batch_with(at), small.open(|segment| flip(segment, at, rng.random()))) {
            (None, Ok((store, opened))) => {
                // What lies behind the end is no batch, and is written over.
                assert_eq!(opened.log, LogOutcome::Closed, "byte {at}");
                small.holds(store, 7);
            }
            (Some(batch), Err(damage)) => names(&damage, small.batches[batch].at),
            (_, opened) => panic!("byte {at}: {:?}", opened.map(|(_, opened)| opened)),
        }
    }
    for at in HEADER_BYTES..small.end() {
        let zeros = vec![0; small.end() - at];
        let changes = small.files[Path::new(SEGMENT)][at..small.end()].iter().any(|&byte| byte != 0);
        let opened = small.open(|segment| overwrite(segment, at, &zeros));
        assert_eq!(opened.is_err(), changes, "from byte {at} on");
    }
}

#[test]
fn a_segment_that_was_cut_is_refused() {
    for small in [Small::crashed(), Small::closed()] {
        let length = small.files[Path::new(SEGMENT)].len();
        for at in small.offsets().chain([length / 2, length - 1]) {
            let cut = |segment: &Path| fs::OpenOptions::new().write(true).open(segment).unwrap().set_len(at as u64);
            let damage = small.open(|segment| cut(segment).unwrap()).err().unwrap_or_else(|| panic!("cut at {at}"));
            assert_eq!(damage.file, Path::new(SEGMENT), "cut at {at}: {damage}");
        }
    }
}

#[test]
fn a_segment_without_its_header_is_never_taken_for_a_spare() {
    for small in [Small::crashed(), Small::closed()] {
        small.open(|segment| overwrite(segment, 0, &[0; HEADER_BYTES])).err().expect("refused");
        // The same where segments before it are whole.
        let place = Place::in_memory();
        let store = place.open();
        let many = (0..2500).map(|n| shot(ticket(CHIYODA, n % 100), n as u32, ""));
        assert!(store.record_many(many.collect()).iter().all(Result::is_ok));
        let place = place.copy();
        let last = place.segments().pop().unwrap();
        assert_ne!(last, Path::new(SEGMENT));
        overwrite(&place.file(&last), 0, &[0; HEADER_BYTES]);
        let before = place.bytes();
        let Err(OpenError::Damaged(damage)) = place.try_open() else { panic!("refused") };
        assert_eq!(damage.file, last, "{damage}");
        assert!(place.bytes()[&last] == before[&last], "it is still there to be repaired");
    }
}

#[test]
fn a_spare_that_was_cut_short_is_no_obstacle() {
    let small = Small::crashed();
    let spare = Path::new("log/0000000000000002.log");
    for length in [0, 1, 511, 8191, 8192, 8193, 100_000, 256 << 10] {
        let add = |_: &Path| fs::write(small.place.file(spare), vec![0; length]).unwrap();
        let (store, opened) = small.open(add).unwrap();
        assert_eq!(opened.log, LogOutcome::Clean);
        small.holds(store, 7);
    }
}

#[test]
fn recovery_that_is_cut_short_is_done_again() {
    // Killed right after recovery, again and again: nothing of it is lost, and nothing that was cut comes back.
    let small = Small::crashed_at_once();
    let last = *small.batches.last().unwrap();
    let (store, opened) = small.open(|segment| flip(segment, last.at + last.size - 1, 0x55)).unwrap();
    assert!(matches!(opened.log, LogOutcome::TornTail(_)));
    let mut place = small.place.copy();
    drop(store);
    for round in 0..4 {
        let (store, opened) = place.try_open().unwrap();
        assert_eq!(opened.log, LogOutcome::Clean, "round {round}");
        assert!(shot_ids(&store).into_iter().eq(1..=6));
        place = place.copy();
    }
    // Cut short before the new segment had its header: a spare, or one whose making was not finished.
    for length in [0, 4096, 256 << 10] {
        let damage = |segment: &Path| {
            flip(segment, last.at + last.size - 1, 0x55);
            fs::write(small.place.file("log/0000000000000002.log"), vec![0; length]).unwrap();
        };
        let (store, _) = small.open(damage).unwrap();
        small.holds(store, 6);
    }
}

/// A closed store with a generation and four segments of the log, the last one with shots, and no checkpoint: the log is read from its beginning.
fn large() -> Place {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..=10, 1);
    for part in 0..2 {
        let many = (0..4000).map(|n| shot(ticket(CHIYODA, n % 100), n as u32, &format!("{part}-{n}")));
        assert!(store.record_many(many.collect()).iter().all(Result::is_ok));
        load(&store, NAHA, 1..=10, part);
    }
    drop(store);
    fs::remove_dir_all(place.file("checkpoint")).unwrap();
    assert!(place.segments().len() >= 3, "{:?}", place.segments());
    place
}

fn refused(place: &Place, files: &Files, what: &str) -> Damage {
    place.restore(files);
    match place.try_open() {
        Err(OpenError::Damaged(damage)) => damage,
        Err(error) => panic!("{what}: {error}"),
        Ok(_) => panic!("{what}: the store opened"),
    }
}

#[test]
fn a_missing_file_is_told() {
    let place = large();
    let files = place.bytes();
    let segments = place.segments();
    for name in files.keys().filter(|name| segments.contains(name) || name.starts_with("ledgers")) {
        let mut fewer = files.clone();
        fewer.remove(name);
        refused(&place, &fewer, &format!("without {}", name.display()));
    }
    let mut fewer = files.clone();
    fewer.retain(|name, _| !name.starts_with("log"));
    refused(&place, &fewer, "without the log");
    fewer.retain(|name, _| name != Path::new("MANIFEST"));
    place.restore(&fewer);
    assert!(matches!(place.try_open(), Err(OpenError::NotAStore(_))), "ledgers without a manifest are no new store");
    assert!(place.file("ledgers/131016/000001.gen").exists());
    fewer = files.clone();
    fewer.remove(Path::new("MANIFEST"));
    place.restore(&fewer);
    assert!(matches!(place.try_open(), Err(OpenError::NotAStore(_))));
    fewer = files.clone();
    fewer.remove(Path::new("LOCK"));
    place.restore(&fewer);
    assert_eq!(place.open().status().shots, 8000, "a lock says nothing");
}

#[test]
fn a_missing_segment_of_a_store_that_was_killed_is_told() {
    let place = Place::in_memory();
    let store = place.open();
    let many = (0..6000).map(|n| shot(ticket(CHIYODA, n % 100), n as u32, ""));
    assert!(store.record_many(many.collect()).iter().all(Result::is_ok));
    // The spare is made beside the commits; with it, the last segment's absence is a gap.
    let spare =
        |place: &Place| place.bytes().keys().filter(|name| name.starts_with("log")).count() > place.segments().len();
    let mut number = 6000;
    while !spare(&place) {
        record(&store, shot(ticket(CHIYODA, 1), number, &number.to_string()));
        number += 1;
    }
    let place = place.copy();
    let files = place.bytes();
    for name in place.segments() {
        let mut fewer = files.clone();
        fewer.remove(&name);
        refused(&place, &fewer, &format!("without {}", name.display()));
    }
    place.restore(&files);
    assert_eq!(place.open().status().shots, u64::from(number));
}

#[test]
fn segments_in_each_other_s_place_are_told() {
    let place = large();
    let files = place.bytes();
    let segments = place.segments();
    for (at, one) in segments.iter().enumerate() {
        for other in &segments[at + 1..] {
            let mut swapped = files.clone();
            swapped.insert(one.clone(), files[other].clone());
            swapped.insert(other.clone(), files[one].clone());
            refused(&place, &swapped, &format!("{} and {} swapped", one.display(), other.display()));
        }
    }
}

#[test]
fn a_segment_of_another_store_is_told() {
    let (place, other) = (large(), large());
    let (files, other_files) = (place.bytes(), other.bytes());
    // Where one ends depends on how the batches fell; the first ones both have.
    for (name, bytes) in place.segments().into_iter().zip(other.segments().iter().map(|name| &other_files[name])) {
        let mut mixed = files.clone();
        mixed.insert(name.clone(), bytes.clone());
        let damage = refused(&place, &mixed, "a segment of another store");
        assert_eq!(damage.file, name);
    }
}

#[test]
fn an_older_state_of_a_segment_is_told() {
    let place = Place::in_memory();
    let store = place.open();
    let mut states = Vec::new();
    for number in 0..10 {
        record(&store, shot(ticket(NAHA, number), 1, ""));
        states.push(fs::read(place.file(SEGMENT)).unwrap());
    }
    drop(store);
    let files = place.bytes();
    for (number, state) in states.into_iter().enumerate().take(9) {
        let mut older = files.clone();
        older.insert(SEGMENT.into(), state);
        place.restore(&older);
        // With a checkpoint the log is not read again: whoever asks for a shot that is gone is told where.
        let store = place.open();
        for asked in 0..10 {
            match answer(&store.view(), ticket(NAHA, asked)) {
                Answer::Orphan(shots) => assert!(asked <= number as u64 && shots.len() == 1, "shot {asked}"),
                Answer::Damaged(damage) => assert!(asked > number as u64 && damage.file == Path::new(SEGMENT)),
                other => panic!("shot {asked} of {number}: {other:?}"),
            }
        }
        drop(store);
        older.retain(|name, _| !name.starts_with("checkpoint"));
        refused(&place, &older, &format!("the segment as it was after shot {number}"));
    }
}

#[test]
fn an_event_that_is_damaged_while_the_store_is_open_is_never_shown() {
    let mut rng = rng();
    let place = Place::in_memory();
    let store = place.open();
    record_some(&store);
    let tickets = [ticket(CHIYODA, 1), ticket(NAHA, 0), ticket(NAHA, 1), ticket(NAHA, 2)];
    let before = tickets.map(|ticket| answer(&store.view(), ticket));
    let batches = raw_batches(&fs::read(place.file(SEGMENT)).unwrap());
    let mut hidden = 0;
    for at in batches[0].at..batches.last().map(|last| last.at + last.size).unwrap() {
        let with = rng.random_range(1..=255);
        flip(&place.file(SEGMENT), at, with);
        for (ticket, before) in tickets.iter().zip(&before) {
            match answer(&store.view(), *ticket) {
                Answer::Damaged(damage) => {
                    assert_eq!(damage.file, Path::new(SEGMENT));
                    hidden += 1;
                }
                answer => assert_eq!(&answer, before, "byte {at}"),
            }
        }
        flip(&place.file(SEGMENT), at, with);
    }
    assert!(hidden > 100);
}
