//! Fixtures of the engine's integration tests.
//!
//! Owns what several tests need: a store in a directory that goes away with the test, rows and shots that a number tells apart, answers that can be
//! compared, and copies of a store as a crash would leave it. What must hold is in the test files, one property each.
//!
//! Every test that draws random numbers prints its seed; `SESSHU_SEED` repeats a run.

pub mod corpus;
pub mod drill;
pub mod machine;
pub mod seeded;
pub mod simulation;
pub mod sweep;
pub mod year;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use prost::Message as _;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sesshu_engine::error::{Damage, OpenError};
use sesshu_engine::intake::{Row, ShotRecord};
use sesshu_engine::ticket::{Municipality, MyNumber, Ticket, TicketLine};
use sesshu_engine::{
    Environment, LoadReport, Match, Opened, Options, Person, RecordOutcome, Recorded, Store, View, Within,
};
use sesshu_proto::v1::{Manifest, RecordedShot, Resident, Shot};
use tempfile::TempDir;

/// Chiyoda.
pub const CHIYODA: u32 = 131_016;
/// Sapporo, a designated city.
pub const SAPPORO: u32 = 11_002;
/// Naha.
pub const NAHA: u32 = 472_018;
/// Bytes of a segment's or a generation's header, both copies.
pub const HEADER_BYTES: usize = 8192;

/// A seed that was printed, or the one of `SESSHU_SEED`.
pub fn seed() -> u64 {
    let seed = match std::env::var("SESSHU_SEED") {
        Ok(text) => text.parse().expect("SESSHU_SEED is a number"),
        Err(_) => rand::random(),
    };
    println!("SESSHU_SEED={seed}");
    seed
}

/// Random numbers of a seed that was printed.
pub fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed())
}

/// The municipality with a six-digit code.
pub fn municipality(code: u32) -> Municipality {
    Municipality::from_code(code).expect("the code of a municipality")
}

/// A ticket of the municipality with a six-digit code; or what stands for one, if the number has more than ten digits.
pub fn ticket(code: u32, number: u64) -> Ticket {
    let bits = u64::from(municipality(code).five_digits()) << 34 | number;
    Ticket::from_bits(bits).expect("a ticket number")
}

/// The line of a ticket's first stub.
pub fn line(ticket: Ticket) -> TicketLine {
    let text = format!("21{:06}{:010}", ticket.municipality().code(), ticket.number());
    TicketLine::parse(&text).expect("a ticket line")
}

/// A shot; `content` tells it from others.
pub fn shot(ticket: Ticket, content: u32, capture_id: &str) -> ShotRecord {
    shot_of_line(line(ticket), content, capture_id)
}

/// A shot that was given on a line as presented.
pub fn shot_of_line(line: TicketLine, content: u32, capture_id: &str) -> ShotRecord {
    let shot = Shot {
        date: 20_210_401 + content % 28,
        dose: 1 + content % 7,
        vaccine: if content.is_multiple_of(2) { "ファイザー" } else { "武田／モデルナ" }.into(),
        lot: format!("EW{content:04}"),
        venue: format!("第{}会場", content % 5),
        institution: if content.is_multiple_of(3) { "1310100001".into() } else { String::new() },
        doctor: if content.is_multiple_of(4) { "接種　太郎".into() } else { String::new() },
        capture_id: capture_id.into(),
        recorded_by: format!("terminal {}", content % 3),
        ..Shot::default()
    };
    ShotRecord::check(line, shot).expect("a shot that can be recorded")
}

/// The resident on a ticket number; `version` tells registers apart.
pub fn resident(number: u64, version: u32) -> Resident {
    Resident {
        resident_number: format!("{:08}", number % 100_000_000),
        name: format!("𠮷田　花子{number}　第{version}版"),
        name_kana: "ヨシダ　ハナコ".into(),
        birth_date: 19_400_000,
        ..Resident::default()
    }
}

/// A checked row of [`resident`], without a My Number.
pub fn row(number: u64, version: u32) -> Row {
    Row::check(number, None, resident(number, version), 0).expect("a row that can be loaded")
}

/// A My Number; `index` tells it from others.
pub fn my_number(index: u64) -> MyNumber {
    let digits = 10_000_000_000 + index * 7919 % 89_999_999_999;
    (0..10).find_map(|check| MyNumber::from_value(digits * 10 + check).ok()).expect("one of ten check digits is right")
}

/// Loads version `version` of a register with these ticket numbers.
pub fn load(store: &Store, code: u32, numbers: impl IntoIterator<Item = u64>, version: u32) -> LoadReport {
    let mut load = store.load(municipality(code)).expect("no other load is under way");
    for number in numbers {
        load.push(row(number, version)).expect("a checked row is taken");
    }
    load.commit(None).expect("the register is loaded")
}

/// Records a shot that must be new.
pub fn record(store: &Store, shot: ShotRecord) -> Recorded {
    let recorded = store.record(shot).expect("the shot is recorded");
    assert!(matches!(recorded.outcome, RecordOutcome::Recorded | RecordOutcome::Orphan), "{recorded:?}");
    recorded
}

/// Checks a store as it is, after a kill, a checkpoint, registers of Chiyoda and Naha with the tickets 1 to 3, a close, and all of that once more.
pub fn whatever_comes(place: &Place, store: Store, check: impl Fn(&Store)) {
    check(&store);
    check(&place.copy().open());
    store.checkpoint().expect("a checkpoint is made");
    check(&place.copy().open());
    for version in [1, 2] {
        for code in [CHIYODA, NAHA] {
            load(&store, code, 1..=3, version);
        }
        check(&store);
        check(&place.copy().open());
    }
    store.close().expect("the store closes");
    drop(store);
    check(&place.open());
}

/// What a match said, in full and on its own.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A row, and shots.
    Matched(Box<Resident>, Vec<RecordedShot>),
    /// Shots alone.
    Orphan(Vec<RecordedShot>),
    /// Nothing.
    NotFound,
    /// Some byte that was needed failed its check.
    Damaged(Damage),
}

impl Answer {
    /// Reads everything that a match gives access to.
    pub fn of(found: &Match<'_>) -> Answer {
        Answer::read(found, |person| Ok((person.resident()?, person.recorded_shots()?)))
    }

    fn read(
        found: &Match<'_>,
        read: impl Fn(&Person<'_>) -> Result<(Option<Resident>, Vec<RecordedShot>), Damage>,
    ) -> Answer {
        let person = match found {
            Match::NotFound => return Answer::NotFound,
            Match::Damaged(damage) => return Answer::Damaged(damage.clone()),
            Match::Matched(person) | Match::Orphan(person) => person,
        };
        match (read(person), found) {
            (Ok((Some(resident), shots)), Match::Matched(_)) => Answer::Matched(Box::new(resident), shots),
            (Ok((None, shots)), Match::Orphan(_)) => Answer::Orphan(shots),
            (Ok((resident, _)), _) => panic!("a match and its row disagree: {resident:?}"),
            (Err(damage), _) => Answer::Damaged(damage),
        }
    }

    /// As [`Answer::of`], of the ticket's own row and shots alone.
    pub fn own(found: &Match<'_>) -> Answer {
        let read = |person: &Person<'_>| Ok::<_, Damage>((person.own_resident()?, person.own_recorded_shots()?));
        Answer::read(found, read)
    }

    /// The shots, if there is a person.
    pub fn shots(&self) -> &[RecordedShot] {
        match self {
            Answer::Matched(_, shots) | Answer::Orphan(shots) => shots,
            Answer::NotFound | Answer::Damaged(_) => &[],
        }
    }

    /// The row, if there is one.
    pub fn resident(&self) -> Option<&Resident> {
        match self {
            Answer::Matched(resident, _) => Some(resident),
            _ => None,
        }
    }
}

/// What a view answers for a ticket.
pub fn answer(view: &View, ticket: Ticket) -> Answer {
    Answer::of(&view.match_ticket(ticket))
}

/// A whole ledger, read from front to back.
///
/// # Errors
///
/// The first [`Damage`] that keeps a ticket from being known.
pub fn ledger(view: &View, code: u32) -> Result<BTreeMap<u64, Answer>, Damage> {
    view.ledger(municipality(code))
        .map(|item| item.map(|(ticket, found)| (ticket.number(), Answer::own(&found))))
        .collect()
}

/// A clock that a test moves, and the machine's chance. Holds milliseconds since 1970.
pub struct Clock(AtomicU64);

impl Clock {
    /// A clock that stands at a morning in April 2021.
    #[must_use]
    pub fn standing() -> Clock {
        Clock(AtomicU64::new(1_618_185_600_000))
    }

    /// Goes on, or back.
    pub fn step(&self, ms: i64) {
        self.0.fetch_add(ms.cast_unsigned(), Ordering::Relaxed);
    }
}

impl Environment for Clock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        rand::fill(bytes);
        Ok(())
    }
}

/// A directory with a store in it and the store's key beside it.
pub struct Place {
    directory: TempDir,
}

impl Place {
    /// On the disk of temporary files.
    pub fn on_disk() -> Place {
        Place { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    /// In memory where the machine has a file system there: for tests of what bytes mean, which open a store thousands of times.
    pub fn in_memory() -> Place {
        let memory = Path::new("/dev/shm");
        let directory = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Place { directory: directory.expect("a temporary directory") }
    }

    /// The store's directory.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    /// The store's key.
    pub fn key(&self) -> PathBuf {
        self.directory.path().join("store.key")
    }

    /// A file of the store.
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// Opens the store, or makes it.
    pub fn open(&self) -> Store {
        self.try_open().expect("the store opens").0
    }

    /// Opens the store, or makes it.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub fn try_open(&self) -> Result<(Store, Opened), OpenError> {
        Store::open(&self.path(), Options::default())
    }

    /// A copy as a crash at this moment would leave it, as far as bytes that were written are concerned.
    pub fn copy(&self) -> Place {
        let copy = Place::in_memory();
        fs::copy(self.key(), copy.key()).expect("the key is copied");
        copy.restore(&self.bytes());
        copy
    }

    /// Every file of the store and its bytes, by name. A file that goes away meanwhile is left out.
    pub fn bytes(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        for path in files_below(&self.path()) {
            if let Ok(bytes) = fs::read(&path) {
                files.insert(path.strip_prefix(self.path()).expect("below the store").to_owned(), bytes);
            }
        }
        files
    }

    /// Makes the store hold these files and no others.
    pub fn restore(&self, files: &BTreeMap<PathBuf, Vec<u8>>) {
        for path in files_below(&self.path()) {
            if !files.contains_key(path.strip_prefix(self.path()).expect("below the store")) {
                fs::remove_file(&path).expect("a file is removed");
            }
        }
        for (name, bytes) in files {
            let path = self.file(name);
            fs::create_dir_all(path.parent().expect("inside the store")).expect("a directory is made");
            if fs::read(&path).ok().as_ref() != Some(bytes) {
                fs::write(&path, bytes).expect("a file is written");
            }
        }
    }

    /// The manifest as it lies there.
    pub fn manifest(&self) -> Manifest {
        let bytes = fs::read(self.file("MANIFEST")).expect("the manifest is there");
        Manifest::decode(&bytes[24..]).expect("a manifest")
    }

    /// The segments of the log that were begun, in order; spares are left out.
    pub fn segments(&self) -> Vec<PathBuf> {
        let begun = |bytes: &[u8]| bytes.iter().take(HEADER_BYTES).any(|&byte| byte != 0);
        let files = self.bytes();
        files
            .into_iter()
            .filter(|(name, bytes)| name.starts_with("log") && begun(bytes))
            .map(|(name, _)| name)
            .collect()
    }
}

/// All files below a directory, in name order.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_directory { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

/// Says that something is over when it is dropped, also by a panic: other threads of a test must not wait for what will not come.
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// The ticket numbers of the people of a municipality who have a resident's name, kana and birth date, or the beginning of those kana.
pub fn by_names(view: &View, code: u32, resident: &Resident) -> [Result<Vec<u64>, Damage>; 3] {
    let within = Within { municipality: Some(municipality(code)), limit: 1000 };
    let beginning: String = resident.name_kana.chars().take(2).collect();
    let found = [
        view.with_name(within, &resident.name, None),
        view.with_kana_and_birth_date(within, &resident.name_kana, resident.birth_date),
        view.with_kana_beginning(municipality(code), &beginning, 1000),
    ];
    found.map(|found| Ok(found?.people.iter().map(|person| person.ticket().number()).collect()))
}

/// Makes the checksum of a generation's footer match again, as `docs/format.md` has it.
///
/// # Panics
///
/// If it is no generation.
pub fn reseal_footer(generation: &mut [u8]) {
    let length = generation.len();
    let (salt, footer) = (u64::from_le_bytes(generation[48..56].try_into().expect("eight bytes")), length - 512);
    let mixed = (salt ^ (length as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(512);
    let mixed = mixed.wrapping_mul(0xd6e8_feb8_6659_fd93);
    let mut crc = crc32fast::Hasher::new_with_initial((mixed >> 32) as u32 ^ mixed as u32);
    crc.update(&generation[footer + 12..]);
    generation[footer + 8..footer + 12].copy_from_slice(&crc.finalize().to_le_bytes());
}

/// Where section `which` of a generation lies, in the order of its footer: entries, index, four look-ups, order of kana, dictionary, cold.
///
/// # Panics
///
/// If it is no generation.
pub fn section(generation: &[u8], which: usize) -> std::ops::Range<usize> {
    let number = |at: usize| u64::from_le_bytes(generation[at..at + 8].try_into().expect("eight bytes")) as usize;
    let at = generation.len() - 512 + 64 + which * 24;
    number(at + 8)..number(at + 8) + number(at + 16)
}

/// Changes one byte of a file so that it is another.
pub fn flip(path: &Path, at: usize, with: u8) {
    use std::os::unix::fs::FileExt;
    let file = fs::OpenOptions::new().read(true).write(true).open(path).expect("the file opens");
    let mut byte = [0];
    file.read_exact_at(&mut byte, at as u64).expect("the byte is there");
    file.write_all_at(&[byte[0] ^ with.max(1)], at as u64).expect("the byte is written");
}

/// A batch of the log as `docs` draw it, found by its magic and not by the engine: what the tests know of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawBatch {
    /// Bytes from the start of the segment.
    pub at: usize,
    /// Bytes of the whole batch.
    pub size: usize,
    /// Events in it; 0 for a mark.
    pub count: u32,
    /// The sequence of its first event.
    pub first_sequence: u64,
}

/// The batches in a segment's bytes.
pub fn raw_batches(segment: &[u8]) -> Vec<RawBatch> {
    let number = |at: usize| u32::from_le_bytes(segment[at..at + 4].try_into().expect("four bytes"));
    let mut batches = Vec::new();
    let mut at = HEADER_BYTES;
    while at + 48 <= segment.len() && &segment[at..at + 4] == b"Sbat" {
        let size = 48 + number(at + 8) as usize;
        let first_sequence = u64::from(number(at + 16)) | u64::from(number(at + 20)) << 32;
        batches.push(RawBatch { at, size, count: number(at + 12), first_sequence });
        at += size;
    }
    batches
}
