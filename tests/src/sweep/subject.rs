//! The store that is damaged: small, and with everything.
//!
//! Owns its making: three ledgers; rows with and without My Number; folded shots with capture ids; an entry without a row; tails with shots, also of tickets
//! that nothing else is known of; a generation whose predecessor was removed; a shot that was recorded while a register was built; a checkpoint with tails;
//! rows that changed alone, and who sent them; acts on shots; a person without a ticket; a load that is held; an access log; a segment of the log for each of three programs, two of which were killed. It is made on a
//! machine of a seed: the same bytes every time.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sesshu_engine::error::AccessError;
use sesshu_engine::intake::{Act, Amendment, By, Change, Correction, Row, Sender, ShotRecord, ShotRef};
use sesshu_engine::{HoldPolicy, Load, MyNumberQuestion, Store};
use sesshu_proto::v1::{Authority, Provisional, Shot};

use super::everything::Everything;
use crate::seeded::Seeded;
use crate::{
    CHIYODA, NAHA, Place, SAPPORO, answer, municipality, my_number, raw_batches, record, resident, shot, ticket,
};

pub(super) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// The version of the rows of the load that is held.
pub(super) const HELD_VERSION: u32 = 4;

/// How the last program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Ending {
    /// It closed the store.
    Closed,
    /// It was killed after its last shot: nothing vouches for that one.
    Killed,
    /// It was killed when it had nothing to do: a mark vouches for the last shot.
    KilledIdle,
}

/// The end of the log that nothing vouches for.
pub(super) struct Unvouched {
    pub(super) segment: PathBuf,
    /// Where it begins, in bytes from the start of the file.
    pub(super) from: usize,
    /// Where it ends.
    pub(super) to: usize,
    /// What the store shows without it.
    pub(super) without: Everything,
}

/// What a file was before.
pub(super) struct Older {
    pub(super) file: PathBuf,
    pub(super) bytes: Vec<u8>,
    /// What the store showed then.
    pub(super) shown: Everything,
}

/// A store, and what is known of it.
pub struct Subject {
    pub(super) ending: Ending,
    pub(super) files: Files,
    pub(super) key: Vec<u8>,
    /// What it shows.
    pub(super) whole: Everything,
    pub(super) unvouched: Option<Unvouched>,
    /// Oldest first.
    pub(super) older: Vec<Older>,
    /// The files of another store that was made in the same way.
    pub(super) twin: Files,
}

/// One run of the programs: what lies there in the end, and what lay there and was shown after every step.
struct Run {
    place: Place,
    moments: Vec<(Files, Everything)>,
}

impl Subject {
    /// Makes it, with the machine of a seed.
    pub fn new(ending: Ending, seed: u64) -> Subject {
        let (run, twin) = (Run::new(ending, seed), Run::new(ending, seed + 1));
        let files = run.place.bytes();
        let key = fs::read(run.place.key()).expect("the key is there");
        let last = |run: &Run| run.moments.last().map(|(_, shown)| shown.clone()).expect("there were steps");
        let segment = run.place.segments().pop().expect("there are segments");
        let unvouched = (ending != Ending::Closed).then(|| {
            let batch = *raw_batches(&files[&segment]).last().expect("there are batches");
            assert_eq!(batch.count == 0, ending == Ending::KilledIdle);
            let without = if batch.count == 0 { last(&run) } else { run.moments[run.moments.len() - 2].1.clone() };
            Unvouched { segment, from: batch.at, to: batch.at + batch.size, without }
        });
        let whole = last(&run);
        let mut older: Vec<Older> = Vec::new();
        for (before, shown) in &run.moments {
            for (name, now) in &files {
                for bytes in versions(before, name).filter(|bytes| *bytes != now) {
                    older.retain(|older| (&older.file, &older.bytes) != (name, bytes));
                    older.push(Older { file: name.clone(), bytes: bytes.clone(), shown: shown.clone() });
                }
            }
        }
        Subject { ending, files, key, whole, unvouched, older, twin: twin.place.bytes() }
    }

    /// For people.
    pub fn name(&self) -> &'static str {
        match self.ending {
            Ending::Closed => "closed",
            Ending::Killed => "killed after a shot",
            Ending::KilledIdle => "killed when idle",
        }
    }

    /// The generation of the load that is held.
    pub(super) fn held_generation(&self) -> &Path {
        let of_held = |name: &&PathBuf| {
            let stem = name.file_stem().and_then(|stem| stem.to_str());
            name.starts_with("ledgers") && stem.is_some_and(|stem| stem.contains('-'))
        };
        self.files.keys().find(of_held).expect("a load is held")
    }

    /// The checkpoint that the manifest names.
    pub(super) fn checkpoint(&self) -> &Path {
        let mut checkpoints = self.files.keys().filter(|name| name.starts_with("checkpoint"));
        let (checkpoint, None) = (checkpoints.next().expect("there is a checkpoint"), checkpoints.next()) else {
            panic!("there is one checkpoint")
        };
        checkpoint
    }
}

/// What may be taken for an earlier version of a file: what had its name; and whatever checkpoint or generation of the same ledger there was.
fn versions<'f>(files: &'f Files, name: &'f Path) -> impl Iterator<Item = &'f Vec<u8>> {
    let derived = name.starts_with("checkpoint") || name.starts_with("ledgers");
    let same = move |other: &Path| other == name || (derived && other.parent() == name.parent());
    files.iter().filter(move |(other, _)| same(other)).map(|(_, bytes)| bytes)
}

impl Run {
    fn new(ending: Ending, seed: u64) -> Run {
        let machine = Seeded::of(seed);
        let mut run = Run { place: Place::in_memory(), moments: Vec::new() };

        let store = machine.open(&run.place);
        for (code, number, capture_id) in
            [(CHIYODA, 2, "c-1"), (CHIYODA, 2, ""), (CHIYODA, 5, "c-2"), (NAHA, 1, "c-3"), (SAPPORO, 9, "c-4")]
        {
            run.record(&store, code, number, capture_id);
        }
        run.without_ticket(&store, 1);
        run.amend(
            &store,
            2,
            Act::Correct(Box::new(Correction { lot: Some("FA0001".into()), ..Correction::default() })),
        );
        run.load(&store, CHIYODA, 1..=4, 1, |_| ());
        run.record(&store, CHIYODA, 1, "c-5");
        run.kill(store);

        let store = machine.open(&run.place);
        run.record(&store, CHIYODA, 2, "c-6");
        run.load(&store, NAHA, 1..=3, 1, |run| {
            run.record(&store, NAHA, 2, "c-7");
            run.record(&store, NAHA, 7, "c-8");
        });
        run.record(&store, SAPPORO, 9, "");
        run.load(&store, CHIYODA, 1..=3, 2, |_| ());
        run.ask(&store, 2);
        run.amend(&store, 2, Act::Void);
        run.amend(&store, 5, Act::Reassign(ticket(CHIYODA, 1)));
        run.without_ticket(&store, 2);
        for (code, number, capture_id) in [(CHIYODA, 1, "c-9"), (CHIYODA, 6, "c-10"), (NAHA, 3, "c-11")] {
            run.record(&store, code, number, capture_id);
        }
        run.change(&store, CHIYODA, 2, 3);
        run.change(&store, NAHA, 7, 3);
        run.hold(&store, CHIYODA, 1..=2, HELD_VERSION);
        store.checkpoint().expect("a checkpoint is written");
        run.take_note(&store);
        run.record(&store, NAHA, 3, "c-12");
        run.record(&store, SAPPORO, 8, "c-13");
        run.kill(store);

        let store = machine.open(&run.place);
        run.record(&store, CHIYODA, 3, "c-14");
        run.change(&store, CHIYODA, 5, 3);
        // From here on the manifest vouches for the first question.
        run.ask(&store, 4);
        run.record(&store, SAPPORO, 9, "c-15");
        run.record(&store, NAHA, 1, "c-16");
        match ending {
            Ending::Closed => store.close().expect("the store closes"),
            Ending::Killed => run.kill(store),
            Ending::KilledIdle => {
                store.tick();
                run.take_note(&store);
                run.kill(store);
            }
        }
        run
    }

    fn take_note(&mut self, store: &Store) {
        self.moments.push((self.place.bytes(), Everything::of(store)));
    }

    fn record(&mut self, store: &Store, code: u32, number: u64, capture_id: &str) {
        record(store, self.shot(code, number, capture_id));
        self.take_note(store);
    }

    /// An act on the newest shot in force of a ticket of Chiyoda.
    fn amend(&mut self, store: &Store, number: u64, act: Act) {
        let ticket = ticket(CHIYODA, number);
        let shot_id = answer(&store.view(), ticket).shots().last().expect("it has a shot").shot_id;
        let (authority, batch) = (Authority::MunicipalityStaff, String::new());
        let by = By { who: "係員 7".into(), reason: "読み違い".into(), authority, batch };
        let amendment = Amendment::check(ShotRef { ticket, shot_id }, act, by, None, None);
        let answers = store.amend(&[amendment.expect("an act that can be done")]);
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        self.take_note(store);
    }

    /// A shot of a person of Chiyoda without a ticket.
    fn without_ticket(&mut self, store: &Store, content: u32) {
        let provisional = Some(Provisional { name_kana: "ミホン　ハナコ".into(), birth_date: 19_560_203 });
        let shot = Shot { provisional, ..shot(ticket(CHIYODA, 1), content, "").shot().clone() };
        record(store, ShotRecord::check_without_ticket(municipality(CHIYODA), shot).expect("a shot"));
        self.take_note(store);
    }

    /// Changes one row.
    fn change(&mut self, store: &Store, code: u32, number: u64, version: u32) {
        let my_number = number.is_multiple_of(2).then(|| my_number(number));
        let row = Row::check(number, my_number, resident(number, version), 0).expect("a row that can be loaded");
        let changed =
            store.change(&[Change::row(municipality(code), row).sent_by(sender("窓口 3"))]).expect("the key is there");
        assert!(changed.iter().all(Result::is_ok), "{changed:?}");
        self.take_note(store);
    }

    /// Looks somebody up by My Number.
    fn ask(&mut self, store: &Store, index: u64) {
        ask(store, index).expect("the key is there");
        self.take_note(store);
    }

    /// Builds a register that waits for somebody's word, for longer than anybody does.
    fn hold(&mut self, store: &Store, code: u32, numbers: impl IntoIterator<Item = u64>, version: u32) {
        let mut load = store.load(municipality(code)).expect("no other load is under way");
        push(&mut load, numbers, version);
        let built = load.build(None).expect("the generation is built");
        built.hold(&HoldPolicy { keep: Duration::MAX, ..HoldPolicy::default() }).expect("the load is held");
        self.take_note(store);
    }

    fn shot(&self, code: u32, number: u64, capture_id: &str) -> ShotRecord {
        shot(ticket(code, number), self.moments.len() as u32, capture_id)
    }

    /// Loads a register in which every second row has a My Number; `meanwhile` happens after it was built and before it is installed.
    fn load(
        &mut self,
        store: &Store,
        code: u32,
        numbers: impl IntoIterator<Item = u64>,
        version: u32,
        meanwhile: impl FnOnce(&mut Run),
    ) {
        let mut load = store.load(municipality(code)).expect("no other load is under way");
        push(&mut load, numbers, version);
        let built = load.build(None).expect("the generation is built");
        meanwhile(self);
        built.install().expect("the generation is installed");
        self.take_note(store);
    }

    /// Ends a program so that what it wrote is there and nothing more.
    fn kill(&mut self, store: Store) {
        let files = self.place.bytes();
        drop(store);
        self.place.restore(&files);
    }
}

/// Looks somebody up by My Number, with a word in the access log.
pub(super) fn ask(store: &Store, index: u64) -> Result<(), AccessError> {
    let question = MyNumberQuestion { my_number: my_number(index), purpose: "転入", who: "窓口 1" };
    store.with_my_number(&store.view(), &question, 10).map(drop)
}

/// Rows, of which every second one has a My Number.
pub(super) fn push(load: &mut Load, numbers: impl IntoIterator<Item = u64>, version: u32) {
    load.sent_by(sender("情報係"));
    for number in numbers {
        let my_number = number.is_multiple_of(2).then(|| my_number(number));
        let row = Row::check(number, my_number, resident(number, version), 0).expect("a row that can be loaded");
        load.push(row).expect("a checked row is taken");
    }
}

fn sender(who: &str) -> Sender {
    Sender::check(who, "月次").expect("a short name and reason")
}
