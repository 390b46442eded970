//! What is acknowledged survives the end of its process, however that comes (I1, I2, I10).

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rand::RngExt;
use sesshu_engine::error::{Kind, RecordError};
use sesshu_engine::intake::ShotRecord;
use sesshu_engine::limits::{COMMAND_SHOTS_MAX, QUEUE_SHOTS_MAX};
use sesshu_engine::{LogOutcome, Recorded, Store};
use sesshu_tests::{Answer, CHIYODA, NAHA, Place, ledger, load, record, rng, shot, ticket};

#[test]
fn acknowledged_shots_survive_a_clean_close() {
    let place = Place::on_disk();
    let store = place.open();
    load(&store, CHIYODA, 1..=50, 1);
    let recorded: Vec<_> = (1..=100).map(|number| record(&store, shot(ticket(CHIYODA, number), 7, ""))).collect();
    let before = ledger(&store.view(), CHIYODA).unwrap();
    store.close().unwrap();
    drop(store);

    let (store, opened) = place.try_open().unwrap();
    assert_eq!(opened.log, LogOutcome::Closed);
    assert!(!opened.created && opened.generations == 1);
    assert_eq!(ledger(&store.view(), CHIYODA).unwrap(), before);
    assert_eq!(store.view().sequence(), recorded.last().unwrap().sequence);
}

#[test]
fn dropping_a_store_closes_it() {
    let place = Place::on_disk();
    let store = place.open();
    let recorded = record(&store, shot(ticket(NAHA, 7), 7, ""));
    drop(store);
    let (store, opened) = place.try_open().unwrap();
    assert_eq!(opened.log, LogOutcome::Closed);
    let ledger = ledger(&store.view(), NAHA).unwrap();
    assert_eq!(ledger[&7].shots()[0].shot_id, recorded.shot_id);
}

#[test]
fn nothing_is_taken_after_a_close_and_what_was_taken_stays_readable() {
    let place = Place::in_memory();
    let store = place.open();
    record(&store, shot(ticket(NAHA, 7), 7, ""));
    store.close().unwrap();
    store.close().unwrap();
    assert!(matches!(store.record(shot(ticket(NAHA, 8), 7, "")), Err(RecordError::Closed)));
    assert_eq!(ledger(&store.view(), NAHA).unwrap().len(), 1);
}

#[test]
fn a_full_queue_says_so_at_once_and_what_waits_in_it_is_recorded() {
    let place = Place::in_memory();
    let store = place.open();
    let (entered, committer) = mpsc::channel();
    let (leave, stay) = mpsc::channel::<()>();
    // Call-backs run on the committer: while this one stays, nothing is taken from the queue.
    let hold = move |_| {
        entered.send(()).unwrap();
        let _ = stay.recv();
    };
    store.submit(vec![shot(ticket(NAHA, 0), 1, "holds")], Box::new(hold));
    committer.recv().unwrap();

    let (sender, answers) = mpsc::channel();
    let mut next = 0;
    let mut command = || {
        let shots = (next..next + COMMAND_SHOTS_MAX as u64).map(|number| shot(ticket(NAHA, number), 2, "waits"));
        next += COMMAND_SHOTS_MAX as u64;
        shots.collect::<Vec<_>>()
    };
    for _ in 0..QUEUE_SHOTS_MAX / COMMAND_SHOTS_MAX {
        let sender = sender.clone();
        store.submit(command(), Box::new(move |answers| drop(sender.send(answers))));
    }
    assert_eq!(store.status().queued_shots, QUEUE_SHOTS_MAX as u64);
    assert!(answers.try_recv().is_err(), "what waits is not answered yet");

    let (sender, refused) = mpsc::channel();
    let too_much = vec![shot(ticket(CHIYODA, 1), 3, "refused")];
    store.submit(too_much, Box::new(move |answers| drop(sender.send(answers))));
    let refused = refused.try_recv().expect("nobody waits to get in");
    assert!(matches!(refused[..], [Err(RecordError::QueueFull)]), "{refused:?}");
    assert_eq!(RecordError::QueueFull.kind(), Kind::Retry);

    leave.send(()).unwrap();
    for answers in answers.iter().take(QUEUE_SHOTS_MAX / COMMAND_SHOTS_MAX) {
        assert!(answers.iter().all(Result::is_ok), "what waited is recorded");
    }
    record(&store, shot(ticket(CHIYODA, 1), 3, "refused"));
    assert_eq!(store.view().sequence(), QUEUE_SHOTS_MAX as u64 + 2, "what was refused was not done");
}

/// Records and gives up after a long time, so that a test which waits for ever fails.
fn answer_in_time(store: &Arc<Store>, shot: ShotRecord) -> Result<Recorded, RecordError> {
    let (sender, receiver) = mpsc::channel();
    let store = Arc::clone(store);
    std::thread::spawn(move || sender.send(store.record(shot)));
    receiver.recv_timeout(Duration::from_secs(30)).expect("nobody waits for ever")
}

#[test]
fn a_panic_in_a_callback_leaves_nobody_waiting_and_loses_nothing() {
    let place = Place::in_memory();
    let store = Arc::new(place.open());
    let before = record(&store, shot(ticket(NAHA, 1), 1, ""));
    store
        .submit(vec![shot(ticket(NAHA, 2), 2, "")], Box::new(|_| panic!("a callback at fault; the test expects this")));
    // Whether this waits in the queue when the committer ends, or comes later: it gets an answer.
    answer_in_time(&store, shot(ticket(NAHA, 3), 3, "")).unwrap_err();
    answer_in_time(&store, shot(ticket(NAHA, 4), 4, "")).unwrap_err();
    assert!(store.status().trouble.is_some());
    store.close().unwrap();
    let ledger = ledger(&place.copy().open().view(), NAHA).unwrap();
    assert_eq!(ledger[&1].shots()[0].shot_id, before.shot_id);
    assert_eq!(ledger[&2].shots().len(), 1, "durable before the callback ran");
}

#[test]
fn a_panic_in_a_callback_answers_also_those_whose_batch_is_on_its_way() {
    for round in 0..20 {
        let place = Place::in_memory();
        let store = place.open();
        let answers: Vec<_> = (0..40_u64)
            .map(|command| {
                let (sender, answer) = mpsc::channel();
                let shots = (0..8).map(|number| shot(ticket(NAHA, command * 8 + number), 1, "")).collect();
                let done = move |answers| {
                    assert!(command != round * 2, "a callback at fault; the test expects this");
                    drop(sender.send(answers));
                };
                store.submit(shots, Box::new(done));
                answer
            })
            .collect();
        for (command, answer) in answers.into_iter().enumerate() {
            let answer = answer.recv_timeout(Duration::from_secs(30));
            assert!(!matches!(answer, Err(RecvTimeoutError::Timeout)), "command {command} waits for ever");
        }
    }
}

/// Ends its process whatever happens to the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself; the test sees that by what it said.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a killed process had acknowledged.
#[derive(Default)]
struct Acknowledged {
    /// Capture id to ticket number and shot id.
    shots: HashMap<String, (u64, u64)>,
    version: u32,
    /// Name to newest event; those that were about to be deleted are not here.
    snapshots: HashMap<String, u64>,
    /// Every name that was ever told.
    named: HashSet<String>,
    compacted: u64,
}

impl Acknowledged {
    /// Reads what the process says until it was killed after `lines` lines, and if `loaded` not before it has loaded a register.
    fn gather(&mut self, mut process: Killed, lines: usize, loaded: bool) {
        let mut output = BufReader::new(process.0.stdout.take().expect("a pipe"));
        let mut line = String::new();
        let before = self.version;
        let mut killed = false;
        for count in 0.. {
            if !killed && count >= lines && (!loaded || self.version > before) {
                process.0.kill().expect("the process is there until it is killed");
                killed = true;
            }
            line.clear();
            output.read_line(&mut line).expect("the pipe");
            // The last line may be half of one: then nobody was told.
            let Some(whole) = line.strip_suffix('\n') else {
                assert!(killed, "the process ended by itself after {count} lines");
                return;
            };
            match whole.split(' ').collect::<Vec<_>>()[..] {
                ["shot", capture_id, number, shot_id] => {
                    let told = (number.parse().expect("a number"), shot_id.parse().expect("a number"));
                    assert_eq!(self.shots.insert(capture_id.into(), told), None, "acknowledged twice");
                }
                ["compacted", _] => self.compacted += 1,
                ["snapshot", name, sequence] => {
                    self.snapshots.insert(name.into(), sequence.parse().expect("a number"));
                    self.named.insert(name.into());
                }
                ["deleting", name] => drop(self.snapshots.remove(name)),
                ["load", version, _] => self.version = version.parse().expect("a number"),
                _ => panic!("the process said: {whole}"),
            }
        }
    }

    fn check(&self, ledger: &BTreeMap<u64, Answer>) {
        let mut held = HashMap::new();
        let mut ids = HashSet::new();
        for (&number, answer) in ledger {
            for recorded in answer.shots() {
                let capture_id = recorded.shot.clone().expect("a shot").capture_id;
                assert!(ids.insert(recorded.shot_id), "shot {} is there twice", recorded.shot_id);
                let twice = held.insert(capture_id, (number, recorded.shot_id));
                assert_eq!(twice, None, "a capture id is there twice");
            }
        }
        for (capture_id, told) in &self.shots {
            assert_eq!(held.get(capture_id), Some(told), "shot {capture_id} was acknowledged");
        }
        let versions: HashSet<_> =
            ledger.values().filter_map(Answer::resident).map(|row| row.name.rsplit('子').next().map(suffix)).collect();
        assert!(versions.len() <= 1, "a register is visible whole: {versions:?}");
        let version = versions.into_iter().flatten().next().map_or(0, |text| text.parse().expect("a version"));
        assert!(version >= self.version, "version {} was acknowledged, {version} is there", self.version);
        let rows = ledger.values().filter(|answer| answer.resident().is_some()).count();
        assert!(rows == 250 || (rows == 0 && self.version == 0), "{rows} rows");
    }
}

impl Acknowledged {
    /// The snapshots are there, whole, and what was acknowledged before is in them. They go then.
    fn check_snapshots(&mut self, store: &Store) {
        let listed = store.snapshots().list().unwrap();
        for (name, sequence) in self.snapshots.drain() {
            let listed = listed.iter().find(|listed| listed.name.to_string() == name);
            let snapshot = listed.expect("a snapshot that was acknowledged is there").snapshot.as_ref().unwrap();
            assert_eq!(snapshot.window().end.0, sequence);
            let copy = Place::in_memory();
            snapshot.restore(&copy.path(), None, &mut |_| {}).unwrap();
            let then = ledger(&copy.open().view(), CHIYODA).unwrap();
            let held: HashSet<u64> = then.values().flat_map(Answer::shots).map(|shot| shot.shot_id).collect();
            let mut known = self.shots.values().filter(|(_, shot_id)| *shot_id <= sequence);
            assert!(known.all(|(_, shot_id)| held.contains(shot_id)), "{name} has every shot that was acknowledged");
        }
        // One that was being made or deleted is there whole or not at all.
        for listed in listed {
            listed.snapshot.unwrap().verify(&mut |_| {}).unwrap();
            store.delete_snapshot(&listed.name).unwrap();
        }
    }
}

/// The version in "12　第3版".
fn suffix(text: &str) -> String {
    text.split('第').nth(1).and_then(|text| text.strip_suffix('版')).expect("a name of the fixtures").to_owned()
}

#[test]
fn acknowledged_shots_registers_and_snapshots_survive_a_kill() {
    let mut rng = rng();
    let place = Place::on_disk();
    let mut acknowledged = Acknowledged::default();
    for round in 0..20 {
        let process = Command::new(env!("CARGO_BIN_EXE_sesshu-recorder"))
            .arg(place.path())
            .args([round.to_string(), (acknowledged.version + 2).to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        acknowledged.gather(Killed(process), rng.random_range(1..2000), round % 2 == 1);
        let (store, opened) = place.try_open().unwrap();
        assert_ne!(opened.log, LogOutcome::Closed);
        acknowledged.check(&ledger(&store.view(), CHIYODA).unwrap());
        acknowledged.check_snapshots(&store);
    }
    assert!(acknowledged.shots.len() > 1000 && acknowledged.version > 0);
    let Acknowledged { compacted, named, .. } = acknowledged;
    println!("{compacted} ledgers compacted, {} snapshots made", named.len());
    assert!(compacted > 0 && named.len() > 20, "{compacted} {}", named.len());
}
