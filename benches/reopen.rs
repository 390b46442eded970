//! How long until a store answers again? Closed, killed, and without its checkpoint: residents in all ledgers, shots of a tenth of them in the tails.
//!
//! Before each opening the log, the manifest and the checkpoint are put back as they were; generations never change. Files are warm, as after a restart of
//! the process.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use sesshu_benches::{Nation, RESIDENTS, record_shots};
use sesshu_engine::{Options, Store};

fn reopen(criterion: &mut Criterion) {
    let residents = *RESIDENTS;
    let shots = residents / 10;
    let nation = Nation::settle(Path::new(env!("CARGO_TARGET_TMPDIR")), residents);
    record_shots(&nation.store, residents, shots);
    let path = nation.store.path().to_owned();
    let killed = Saved::of(&path);
    let directory = nation.into_directory();
    let closed = Saved::of(&path);

    let mut group = criterion.benchmark_group("reopen");
    group.sample_size(10);
    let without = closed.clone().without("checkpoint");
    for (name, saved) in [("closed", &closed), ("killed", &killed), ("without-checkpoint", &without)] {
        group.bench_function(format!("{name}/residents={residents}/shots={shots}"), |bencher| {
            bencher.iter_custom(|times| (0..times).map(|_| saved.open(&path)).sum());
        });
    }
    group.finish();
    drop(directory);
}

/// The files of a store that an opening changes, as they were.
#[derive(Clone)]
struct Saved(Vec<(PathBuf, Vec<u8>)>);

const CHANGING: [&str; 2] = ["log", "checkpoint"];

impl Saved {
    fn of(store: &Path) -> Saved {
        let inside = CHANGING.iter().flat_map(|directory| fs::read_dir(store.join(directory)).into_iter().flatten());
        let paths = inside.map(|entry| entry.expect("a directory of the store").path());
        let paths = paths.chain([store.join("MANIFEST")]);
        Saved(paths.map(|path| (path.clone(), fs::read(path).expect("a file of the store"))).collect())
    }

    fn without(mut self, directory: &str) -> Saved {
        self.0.retain(|(path, _)| !path.parent().is_some_and(|parent| parent.ends_with(directory)));
        self
    }

    /// Puts the files back and times an opening.
    fn open(&self, store: &Path) -> Duration {
        for directory in CHANGING {
            fs::remove_dir_all(store.join(directory)).expect("a directory of the store");
            fs::create_dir(store.join(directory)).expect("a directory of the store");
        }
        for (path, bytes) in &self.0 {
            fs::write(path, bytes).expect("a file of the store");
        }
        let started = Instant::now();
        let (store, _) = Store::open(store, Options::default()).expect("the store opens");
        let elapsed = started.elapsed();
        drop(store);
        elapsed
    }
}

criterion_group!(benches, reopen);
criterion_main!(benches);
