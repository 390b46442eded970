//! What does upkeep cost, and whom? A nation's shots are folded by a compaction of every ledger while 500 matches and 500 records a second go on over gRPC;
//! before and behind that snapshots are made, checked, exported and restored. Requests come at a fixed rate, each by itself, whatever became of those before, and
//! are timed from when they were due. Client and server share the machine.
//!
//! Prints a line each. Reading the files of a snapshot, or of a store, in order, and doing nothing with them, is the limit of checking it.

use std::fs;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use sesshu::client::record_request;
use sesshu_benches::{Nation, RESIDENTS, SEED, Served, shot_record, sizes};
use sesshu_engine::intake::ShotRecord;
use sesshu_engine::ticket::Ticket;
use sesshu_engine::{ClosedStore, Options, Snapshot, SnapshotName, Store};
use sesshu_proto::v1::MatchRequest;
use sesshu_proto::v1::match_request::Ticket as MatchTicket;
use sesshu_proto::v1::matching_client::MatchingClient;
use sesshu_proto::v1::shot_log_client::ShotLogClient;
use tokio::sync::mpsc;

/// Matches a second, and records a second.
const RATE: u64 = 500;

/// How long is measured while nothing else goes on.
const IDLE: Duration = Duration::from_secs(20);

fn main() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let residents = *RESIDENTS;
    // What is compacted, and when, is the bench's to say.
    let options = Options {
        compaction: sesshu_engine::CompactionPolicy::NEVER,
        scrub: sesshu_engine::ScrubPolicy::NEVER,
        ..Options::default()
    };
    let nation = Nation::settle_with(directory, residents, options).with_shots();
    let store = &nation.store;
    let snapshot = snapshots(store, "log", residents);
    let served = Served::start(store, 1);
    let mut shots = more_shots(residents);
    let mut tickets = nation.tickets.iter().copied().cycle();

    let over = AtomicBool::new(false);
    let idle = |over: &AtomicBool| {
        std::thread::sleep(IDLE);
        over.store(true, Ordering::Relaxed);
    };
    beside(&served, "nothing", residents, &mut tickets, &mut shots, || idle(&over), &over);
    let before = store.status();
    let begun = Instant::now();
    over.store(false, Ordering::Relaxed);
    let compact = || {
        for forecast in store.compaction_forecast() {
            store.compact(forecast.municipality, None, &mut |_| ControlFlow::Continue(())).expect("it is compacted");
        }
        store.checkpoint().expect("a checkpoint is written");
        over.store(true, Ordering::Relaxed);
    };
    beside(&served, "compaction", residents, &mut tickets, &mut shots, compact, &over);
    let (took, after) = (begun.elapsed(), store.status());
    let written = after.generation_bytes as f64 / took.as_secs_f64() / 1e6;
    println!(
        "compaction/residents={residents}/shots={}: {:.1} s, {written:.0} MB/s; generations {} -> {} MB, log {} -> {} MB",
        before.shots,
        took.as_secs_f64(),
        before.generation_bytes / 1_000_000,
        after.generation_bytes / 1_000_000,
        before.log_bytes / 1_000_000,
        after.log_bytes / 1_000_000
    );
    over.store(false, Ordering::Relaxed);
    beside(&served, "nothing-again", residents, &mut tickets, &mut shots, || idle(&over), &over);

    drop(snapshot);
    store.delete_snapshot(&name("log")).expect("it is deleted");
    let snapshot = snapshots(store, "folded", residents);
    let (target, files) = (tempfile::tempdir_in(directory).expect("a directory"), snapshot.bytes());
    timed("export", residents, files, || snapshot.export(&target.path().join("export"), &mut |_| {}).map(drop));
    fs::remove_dir_all(target.path().join("export")).expect("it is removed");
    timed("restore", residents, files, || {
        snapshot.restore(&target.path().join("store"), None, &mut |_| {}).map(drop).map_err(|error| match error {
            sesshu_engine::error::RestoreError::Snapshot(error) => error,
            error => panic!("it is restored: {error}"),
        })
    });
    whole(store, "open", residents);
    verifies(&target.path().join("store"), residents);
}

/// Verifies an open store, beside nothing.
fn whole(store: &Store, what: &str, residents: u64) {
    for _ in 0..3 {
        let begun = Instant::now();
        let verified = store.verify(None, &mut |_| ControlFlow::Continue(())).expect("it is read").expect("to its end");
        told(&format!("verify/{what}"), residents, verified.bytes, begun);
        assert!(verified.findings.is_empty(), "{:?}", verified.findings);
    }
}

/// Verifies a closed store, and reads its files in order, all of them in memory or none.
fn verifies(store: &Path, residents: u64) {
    let files: Vec<_> = files_below(store);
    let bytes = files.iter().map(|file| fs::metadata(file).expect("it is there").len()).sum();
    for (what, is_cold) in [("memory", false), ("disk", true)] {
        for _ in 0..3 {
            forget(&files, is_cold);
            let begun = Instant::now();
            let mut buffer = vec![0; 1 << 20];
            for file in &files {
                let mut file = fs::File::open(file).expect("it is there");
                while file.read(&mut buffer).expect("it is read") > 0 {}
            }
            told(&format!("read/closed/{what}"), residents, bytes, begun);
            forget(&files, is_cold);
            let begun = Instant::now();
            let closed = ClosedStore::open(store).expect("nobody has it");
            let verified = closed.verify(&mut |_| ControlFlow::Continue(())).expect("it is read").expect("to its end");
            told(&format!("verify/closed/{what}"), residents, verified.bytes, begun);
            assert!(verified.findings.is_empty(), "{:?}", verified.findings);
        }
    }
}

/// Has the kernel forget what it holds of files, if it is to.
fn forget(files: &[PathBuf], is_cold: bool) {
    for file in files.iter().filter(|_| is_cold) {
        let file = fs::File::open(file).expect("it is there");
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("a hint");
    }
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        match entry.path() {
            path if path.is_dir() => files.extend(files_below(&path)),
            path => files.push(path),
        }
    }
    files
}

fn told(what: &str, residents: u64, bytes: u64, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    println!("{what}/residents={residents}: {seconds:.2} s, {:.0} MB/s", bytes as f64 / seconds / 1e6);
}

fn name(text: &str) -> SnapshotName {
    SnapshotName::parse(text).expect("a name")
}

/// Makes a snapshot, checks it, and reads its files.
fn snapshots(store: &Store, called: &str, residents: u64) -> Snapshot {
    let begun = Instant::now();
    let snapshot = store.create_snapshot(&name(called)).expect("a snapshot is made");
    let took = begun.elapsed();
    let of_log: u64 = snapshot.files().filter(|(path, ..)| path.starts_with("log")).map(|(_, length, _)| length).sum();
    println!(
        "snapshot/{called}/residents={residents}: {:.0} ms for {} files of {} MB, {} MB of them log",
        took.as_secs_f64() * 1e3,
        snapshot.files().len(),
        snapshot.bytes() / 1_000_000,
        of_log / 1_000_000
    );
    let directory = store.path().join("snapshots").join(called);
    for _ in 0..3 {
        timed("read", residents, snapshot.bytes(), || {
            read(&directory, &snapshot);
            Ok(())
        });
        timed("verify", residents, snapshot.bytes(), || snapshot.verify(&mut |_| {}));
    }
    snapshot
}

fn timed(
    what: &str,
    residents: u64,
    bytes: u64,
    work: impl FnOnce() -> Result<(), sesshu_engine::error::SnapshotError>,
) {
    let begun = Instant::now();
    work().expect("nothing fails");
    let seconds = begun.elapsed().as_secs_f64();
    println!("{what}/residents={residents}: {seconds:.2} s, {:.0} MB/s", bytes as f64 / seconds / 1e6);
}

/// Reads the bytes of every file in order.
fn read(directory: &Path, snapshot: &Snapshot) {
    let mut buffer = vec![0; 1 << 20];
    for (path, length, _) in snapshot.files() {
        let mut file = fs::File::open(directory.join(path)).expect("it is there").take(length);
        while file.read(&mut buffer).expect("it is read") > 0 {}
    }
}

/// The line of a ticket's first stub.
fn line_of(ticket: Ticket) -> MatchTicket {
    MatchTicket::Line(21 * 10_u64.pow(16) + ticket.to_decimal())
}

/// Shots that are new to the nation's people.
fn more_shots(residents: u64) -> impl Iterator<Item = ShotRecord> {
    sizes(residents).into_iter().flat_map(|(municipality, count)| {
        sesshu::generate::shots_of(SEED + 1, municipality, count, count).map(|shot| shot_record(&shot))
    })
}

/// Matches and records until `work` has said that it is over, and prints how long each took.
fn beside(
    served: &Served,
    what: &str,
    residents: u64,
    tickets: &mut impl Iterator<Item = Ticket>,
    shots: &mut impl Iterator<Item = ShotRecord>,
    work: impl FnOnce() + Send,
    over: &AtomicBool,
) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    std::thread::scope(|scope| {
        scope.spawn(work);
        let begun = Instant::now();
        for at in 0.. {
            let due = begun + Duration::from_nanos(at * 1_000_000_000 / (2 * RATE));
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if over.load(Ordering::Relaxed) {
                break;
            }
            let (sender, channel) = (sender.clone(), served.channels[0].clone());
            if at % 2 == 0 {
                let line = line_of(tickets.next().expect("it never ends"));
                served.clients.spawn(async move {
                    let mut client = MatchingClient::new(channel);
                    let request = MatchRequest { ticket: Some(line), ..MatchRequest::default() };
                    let reply = client.r#match(request).await.expect("it is answered").into_inner();
                    assert!(reply.resident.is_some(), "everybody is known");
                    // Whoever measures waits for every answer.
                    let _ = sender.send((true, due.elapsed()));
                });
            } else {
                let request = record_request(&shots.next().expect("there are more"));
                served.clients.spawn(async move {
                    let mut client = ShotLogClient::new(channel);
                    client.record(request).await.expect("it is recorded");
                    let _ = sender.send((false, due.elapsed()));
                });
            }
        }
    });
    drop(sender);
    let mut times = [(); 2].map(|()| Histogram::<u64>::new(3).expect("three digits"));
    while let Some((is_match, took)) = served.clients.block_on(receiver.recv()) {
        times[usize::from(!is_match)].record(took.as_micros() as u64).expect("the histogram grows");
    }
    for (of, times) in ["match", "record"].into_iter().zip(times) {
        let [p50, p90, p99] = [0.5, 0.9, 0.99].map(|quantile| times.value_at_quantile(quantile));
        let name = format!("{of}_grpc/beside={what}/rate={RATE}/residents={residents}");
        let (worst, count) = (times.max(), times.len());
        println!("{name:<64} p50 {p50:>6} µs   p90 {p90:>6} µs   p99 {p99:>6} µs   worst {worst:>7} µs   ({count})");
    }
}
