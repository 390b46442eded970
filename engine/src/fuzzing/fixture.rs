//! A small closed store in memory, whose files the targets replace.
//!
//! Owns its content: a register of three in Chiyoda, one of whose rows changed since, shots that are folded and shots that are not, one that was set right and one
//! that went to another ticket, an orphan, a person without a ticket, a shot in Naha, a register of two that is held, a checkpoint.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prost::Message as _;
use sesshu_proto::v1::{Authority, HeldLoad, Manifest, Provisional, RecordedShot, Resident, Shot};

use super::memory::{MemoryDisk, platform};
use super::repair::{put_u32, put_u64};
use crate::disk::{Disk as _, ReadDisk as _, RealDisk};
use crate::error::OpenError;
use crate::intake::{Act, Amendment, By, Change, Correction, Row, Sender, ShotRecord, ShotRef};
use crate::ticket::{Municipality, Ticket, TicketLine};
use crate::{BuiltLoad, CompactionPolicy, HoldPolicy, Match, Moment, Opened, Options, Store};

pub(super) const MANIFEST: &str = "MANIFEST";
/// Bytes of a manifest before its message.
pub(super) const MANIFEST_HEADER_BYTES: usize = 24;

/// A ticket, its row, its shots.
pub(super) type Shown = (Ticket, Option<Resident>, Vec<RecordedShot>);

pub(super) struct Fixture {
    pub(super) disk: MemoryDisk,
    pub(super) manifest: Manifest,
    /// The file of the load that is held, and what it says.
    pub(super) held: (PathBuf, HeldLoad),
    /// Everything that it shows.
    pub(super) shown: Vec<Shown>,
}

impl Fixture {
    /// The one that all inputs begin with.
    pub(super) fn get() -> &'static Fixture {
        static FIXTURE: OnceLock<Fixture> = OnceLock::new();
        FIXTURE.get_or_init(Fixture::make)
    }

    fn make() -> Fixture {
        let disk = Arc::new(MemoryDisk::default());
        let platform = platform(&disk);
        // A load wants the key, which lies beside the store on a disk of the machine.
        let name = PathBuf::from(format!("sesshu-fuzzing-{}", std::process::id()));
        let path = std::env::temp_dir().join(&name);
        let open = || Store::open_on(platform.clone(), &path, Options::default()).expect("the store opens").0;
        // A map of this disk shows what was there when it was made: the store is opened anew before it reads what it wrote.
        record(&open(), "211310160000000002", 1);
        load(&open());
        let (chiyoda, orphan, naha) = ("211310160000000003", "211310160000000004", "214720180000000001");
        for (line, dose) in [(chiyoda, 1), (chiyoda, 2), (orphan, 1), (naha, 1)] {
            record(&open(), line, dose);
        }
        without_ticket(&open());
        set_right(open);
        change(&open());
        hold(&open());
        let shown = show(&open());
        let key = RealDisk::existing(&std::env::temp_dir()).remove(&name.with_extension("key"));
        key.expect("the key was made and is needed no more");
        assert_eq!(shown.iter().map(|(_, _, shots)| shots.len()).sum::<usize>(), 6);
        let bytes = disk.contents(Path::new(MANIFEST));
        let manifest = Manifest::decode(&bytes[MANIFEST_HEADER_BYTES..]).expect("a manifest");
        let [held] = &disk.list(Path::new("held")).expect("memory does not fail")[..] else {
            panic!("one load is held")
        };
        let message = HeldLoad::decode(&disk.contents(held)[MANIFEST_HEADER_BYTES..]).expect("a held load");
        Fixture { disk: disk.copy(), manifest, held: (held.clone(), message), shown }
    }
}

/// Those files of the store that the targets replace: what their corpora begin with.
pub struct FixtureFiles {
    /// `MANIFEST`.
    pub manifest: Vec<u8>,
    /// The one checkpoint.
    pub checkpoint: Vec<u8>,
    /// The one file of a held load.
    pub held: Vec<u8>,
}

/// Makes the store, once.
#[must_use]
pub fn fixture_files() -> FixtureFiles {
    let fixture = Fixture::get();
    let checkpoint = fixture.manifest.checkpoint.as_ref().expect("a store that was closed has a checkpoint");
    let checkpoint = format!("checkpoint/{:016}", checkpoint.position);
    let [manifest, checkpoint, held] =
        [Path::new(MANIFEST), Path::new(&checkpoint), &fixture.held.0].map(|file| fixture.disk.contents(file));
    FixtureFiles { manifest, checkpoint, held }
}

/// Opens the store on a disk.
pub(super) fn open(disk: &Arc<MemoryDisk>) -> Result<(Store, Opened), OpenError> {
    Store::open_on(
        platform(disk),
        Path::new("store"),
        Options { create: false, compaction: CompactionPolicy::NEVER, ..Options::default() },
    )
}

/// Everything that a store shows of Chiyoda and Naha, but for what is damaged.
pub(super) fn show(store: &Store) -> Vec<Shown> {
    let view = store.view();
    let mut shown = Vec::new();
    for code in [13_101, 47_201] {
        let municipality = Municipality::from_five_digits(code).expect("the code of a municipality");
        for item in view.ledger(municipality) {
            let Ok((ticket, Match::Matched(person) | Match::Orphan(person))) = item else { continue };
            assert_eq!(person.ticket(), ticket);
            if let (Ok(resident), Ok(shots)) = (person.resident(), person.recorded_shots()) {
                shown.push((ticket, resident, shots));
            }
            let _ = (view.person_history(ticket), view.known_at(ticket, Moment::Sequence(4)));
        }
        let _ = view.with_resident_number(municipality, "00000001");
    }
    let _ = store.status();
    shown
}

/// A manifest's file, with a header that is right.
pub(super) fn manifest_file(message: &[u8]) -> Vec<u8> {
    with_header(b"SesshuMf", message)
}

/// The file of one message, with a header that is right.
pub(super) fn with_header(magic: &[u8; 8], message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; MANIFEST_HEADER_BYTES];
    bytes[0..8].copy_from_slice(magic);
    put_u32(&mut bytes, 8, crate::FORMAT_VERSION);
    put_u64(&mut bytes, 16, message.len() as u64);
    bytes.extend_from_slice(message);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..12]);
    hasher.update(&bytes[16..]);
    put_u32(&mut bytes, 12, hasher.finalize());
    bytes
}

fn load(store: &Store) {
    build(store, 3).install().expect("the register is loaded");
}

fn hold(store: &Store) {
    let policy = HoldPolicy { keep: Duration::MAX, ..HoldPolicy::default() };
    build(store, 2).hold(&policy).expect("the register is held");
}

/// Chiyoda's register, of the first so many residents.
fn build(store: &Store, residents: u64) -> BuiltLoad {
    let chiyoda = Municipality::from_five_digits(13_101).expect("the code of a municipality");
    let mut load = store.load(chiyoda).expect("no other load is under way");
    load.sent_by(Sender::check("情報係", "見本").expect("a short name and reason"));
    for number in 1..=residents {
        let resident_number = format!("{number:08}");
        let resident = Resident { resident_number, name: "見本　花子".into(), ..Resident::default() };
        load.push(Row::check(number, None, resident, 0).expect("a row that can be loaded")).expect("it is taken");
    }
    load.build(None).expect("the generation is built")
}

fn without_ticket(store: &Store) {
    let chiyoda = Municipality::from_five_digits(13_101).expect("the code of a municipality");
    let provisional = Some(Provisional { name_kana: "ミホン　ハナコ".into(), birth_date: 19_560_203 });
    let shot = Shot { date: 20_210_412, dose: 1, vaccine: "ファイザー".into(), provisional, ..Shot::default() };
    let shot = ShotRecord::check_without_ticket(chiyoda, shot).expect("a shot that can be recorded");
    store.record(shot).expect("it is recorded");
}

/// The folded shot is corrected and confirmed, what is tried then is held; the orphan's goes to the second ticket.
fn set_right(open: impl Fn() -> Store) {
    let chiyoda = Municipality::from_five_digits(13_101).expect("the code of a municipality");
    let act = |number, act, authority| {
        let (store, ticket) = (open(), Ticket::new(chiyoda, number).expect("a ticket number"));
        let mut shot_id = 0;
        if let Match::Matched(person) | Match::Orphan(person) = store.view().match_ticket(ticket) {
            person.each_shot(|shot| shot_id = shot.shot_id).expect("memory does not fail");
        }
        let by = By { who: "係員 7".into(), reason: "見本".into(), authority, batch: String::new() };
        let of = ShotRef { ticket, shot_id };
        let answers = store.amend(&[Amendment::check(of, act, by, None, None).expect("an act that can be done")]);
        assert!(answers.iter().all(Result::is_ok), "memory does not fail: {answers:?}");
    };
    let correction = Correction { lot: Some("FA0001".into()), ..Correction::default() };
    act(2, Act::Correct(Box::new(correction)), Authority::MunicipalityStaff);
    act(2, Act::Confirm, Authority::MunicipalityStaff);
    act(2, Act::Void, Authority::Terminal);
    act(4, Act::Reassign(Ticket::new(chiyoda, 2).expect("a ticket number")), Authority::MunicipalityStaff);
}

fn change(store: &Store) {
    let chiyoda = Municipality::from_five_digits(13_101).expect("the code of a municipality");
    let changed = Resident { name: "見本　次郎".into(), ..Resident::default() };
    let row = Row::check(2, None, changed, 0).expect("a row that can be loaded");
    let answers = store.change(&[Change::row(chiyoda, row)]).expect("no My Number, no key");
    assert!(answers.iter().all(Result::is_ok), "memory does not fail: {answers:?}");
}

fn record(store: &Store, line: &str, dose: u32) {
    let line = TicketLine::parse(line).expect("a ticket line");
    let shot =
        Shot { date: 20_210_412, dose, vaccine: "ファイザー".into(), lot: "EW4811".into(), ..Shot::default() };
    store.record(ShotRecord::check(line, shot).expect("a shot that can be recorded")).expect("it is recorded");
}
