//! A process to be killed: it records shots from 64 threads, loads registers, compacts their ledger, makes snapshots and deletes them, and says on its standard
//! output what was acknowledged.
//!
//! `sesshu-recorder STORE ROUND FIRST_VERSION`. A line is `shot CAPTURE_ID NUMBER SHOT_ID`, `load VERSION SEQUENCE`, `compacted GENERATION` or `snapshot NAME SEQUENCE`,
//! written after the acknowledgement and never before, or `deleting NAME`, written before. It goes on until it is killed, or nobody reads any more.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use sesshu_engine::error::{CompactError, LoadError};
use sesshu_engine::{Options, SnapshotName, Store};
use sesshu_tests::{CHIYODA, load, municipality, record, shot, ticket};

const THREADS: u64 = 64;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, path, round, version] = &arguments[..] else { panic!("STORE ROUND FIRST_VERSION") };
    let version: u32 = version.parse().expect("a number");
    let (store, _) = Store::open(Path::new(path), Options::default()).expect("the store opens");
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || {
                for count in 0.. {
                    // Half of the tickets are in the register, half are not.
                    let number = (thread * 31 + count * 7) % 500 + 1;
                    let capture_id = format!("{round}-{thread}-{count}");
                    let recorded = record(store, shot(ticket(CHIYODA, number), count as u32, &capture_id));
                    say(&format!("shot {capture_id} {number} {}\n", recorded.shot_id));
                }
            });
        }
        scope.spawn(|| keep_up(&store, round));
        for version in version.. {
            let report = load(&store, CHIYODA, 1..=250, version);
            say(&format!("load {version} {}\n", report.sequence));
        }
    });
}

fn keep_up(store: &Store, round: &str) {
    let mut before = None;
    for count in 0.. {
        match store.compact(municipality(CHIYODA), None, &mut |_| ControlFlow::Continue(())) {
            Ok(Some(done)) => say(&format!("compacted {}\n", done.generation)),
            // The loads never rest, and go first.
            Ok(None) | Err(CompactError::Build(LoadError::UnderWay(_))) => {}
            Err(error) => panic!("it is compacted: {error:?}"),
        }
        store.checkpoint().expect("a checkpoint is written");
        let name = SnapshotName::parse(&format!("r{round}-{count}")).expect("a name");
        let snapshot = store.create_snapshot(&name).expect("a snapshot is made");
        say(&format!("snapshot {name} {}\n", snapshot.window().end.0));
        if let Some(before) = before.replace(name) {
            say(&format!("deleting {before}\n"));
            store.delete_snapshot(&before).expect("it is deleted");
        }
    }
}

fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    if output.write_all(line.as_bytes()).and_then(|()| output.flush()).is_err() {
        std::process::exit(1);
    }
}
