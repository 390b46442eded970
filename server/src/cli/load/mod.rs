//! `sesshu load`: register files into ledgers, several at a time.
//!
//! Owns the command: its options, which failures end it, and what it says at the end. How one file is loaded is `file`'s, which comes next is `queue`'s, and
//! that the output is in the order of the files is `in_order`'s.

mod bars;
mod file;
mod held;
mod in_order;
mod queue;
mod text;

use std::io::Write as _;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use sesshu_engine::ticket::Municipality;

use bars::Bars;
use file::Step;
pub(super) use file::{Manner, load_file};
use in_order::{InOrder, Listed, Told};
use queue::{Queue, Waiting};

use super::hold::Hold;
use super::jobs::available_cores;
use super::results::results;
use super::sender::Sender;
use super::table;
use super::target::Target;
use crate::answer;
use crate::answer_load::LoadTotal;
use crate::backend::Backend;
use crate::failure::{Done, Failure};
use crate::input::{InputError, RegisterFile, RejectsFile, find_registers};

/// Load register files; each replaces its municipality's register, whole or not at all
///
/// A load that would remove too many residents, or rejects too many rows, is held: nothing of it is visible until it is confirmed. The command ends with 2 then.
#[derive(Debug, Args)]
pub(super) struct Load {
    #[command(flatten)]
    target: Target,
    /// Register files, or directories of register-*.csv
    #[arg(value_name = "FILE|DIR", required_unless_present_any = ["confirm", "discard", "held"])]
    paths: Vec<PathBuf>,
    /// Say what the loads would do, and load nothing
    #[arg(long)]
    dry_run: bool,
    /// Make a held load visible
    #[arg(long, value_name = "ID", conflicts_with_all = ["paths", "discard", "held", "dry_run", "rejects", "jobs", "who", "reason"])]
    confirm: Option<String>,
    /// Throw a held load away
    #[arg(long, value_name = "ID", conflicts_with_all = ["paths", "held", "dry_run", "rejects", "jobs", "who", "reason"])]
    discard: Option<String>,
    /// List the held loads
    #[arg(long, conflicts_with_all = ["paths", "dry_run", "rejects", "jobs", "who", "reason"])]
    held: bool,
    #[command(flatten)]
    sender: Sender,
    #[command(flatten)]
    hold: Hold,
    /// Write the rows that were not taken here, with line, column, code and reason
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Write remarks on rows that were taken here: private characters, open birth dates, shared numbers
    #[arg(long, value_name = "FILE")]
    remarks: Option<PathBuf>,
    /// Files loaded at a time; with 1 the first file that fails ends the command [default: two for each core, at most 4]
    #[arg(long, value_name = "J")]
    jobs: Option<NonZero<usize>>,
    /// One object a file, then {"accepted", "rejected", "remarks", "held", "seconds"}
    #[arg(long)]
    json: bool,
}

/// A load waits for the disk at its end, so more are under way than there are cores: two for each. More than four would hold too much memory, since each
/// stages its register there, some 900 MB of the largest.
fn default_jobs() -> usize {
    (2 * available_cores().get()).min(4)
}

/// What was seen of a file before the first was loaded.
struct Seen {
    municipality: Municipality,
    bytes: u64,
}

impl Load {
    pub(super) fn run(self) -> Result<Done, Failure> {
        if self.hold.is_said() && self.target.is_server() {
            let text = "--hold-removed, --hold-rejected and --hold-hours are the server's to choose: say them to `sesshu serve`";
            return Err(Failure::Request(text.into()));
        }
        if let Some(asked) = held::Asked::of(self.confirm.as_deref(), self.discard.as_deref(), self.held)? {
            return asked.run(&self.target, self.json);
        }
        let manner = Manner { sender: self.sender.checked()?, policy: self.hold.policy(), dry_run: self.dry_run };
        let started = Instant::now();
        let mut files = Vec::new();
        for path in &self.paths {
            if path.is_dir() { files.extend(find_registers(path)?) } else { files.push(path.clone()) }
        }
        let jobs = self.jobs.map_or_else(default_jobs, NonZero::get);
        let jobs = jobs.min(files.len());
        let seen = look(&files, jobs == 1)?;
        let backend = if seen.iter().any(Result::is_ok) { Some(self.target.open(true)?) } else { None };
        let create = |path: &Option<PathBuf>| path.as_deref().map(RejectsFile::create).transpose();
        let listed = Listed { rejects: create(&self.rejects)?, remarks: create(&self.remarks)? };
        let (told, ended) = load(backend.as_ref(), &files, seen, jobs, &manner, listed, self.json);
        let ended = ended.and_then(|()| backend.map_or(Ok(()), Backend::close));
        let total = told.total(started.elapsed().as_secs_f64());
        let ended = ended.and_then(|()| self.tell_total(&total));
        let failed = (!told.failed.is_empty()).then(|| Failure::Files { failed: told.failed, of: files.len() });
        match (ended, failed) {
            (Ok(()), None) if total.held > 0 => Ok(Done::Held),
            (Ok(()), None) => Ok(Done::whole_if(total.rejected == 0)),
            (Ok(()), Some(failed)) => Err(failed),
            (Err(failure), failed) => {
                failed.iter().for_each(|failed| eprintln!("sesshu: {}", failed.chain()));
                Err(failure)
            }
        }
    }

    fn tell_total(&self, total: &LoadTotal) -> Result<(), Failure> {
        if self.json {
            answer::write_line(&mut results(), total)?;
            return Ok(());
        }
        let (accepted, rejected) = (table::count(total.accepted), table::count(total.rejected));
        let rate = table::count((total.accepted as f64 / total.seconds) as u64);
        let seconds = total.seconds;
        writeln!(results(), "{accepted} rows accepted, {rejected} rejected in {seconds:.1} s: {rate} rows/s")?;
        if total.held > 0 {
            let held = table::count(total.held);
            let are = if self.dry_run { "would be held" } else { "held: `sesshu load --held` tells which" };
            writeln!(results(), "{held} loads {are}")?;
        }
        if total.rejected > 0 && self.rejects.is_none() {
            writeln!(results(), "--rejects FILE tells which rows were rejected, and why")?;
        }
        if total.remarks > 0 && self.remarks.is_none() {
            let remarks = table::count(total.remarks);
            writeln!(results(), "{remarks} remarks on rows that were taken: --remarks FILE tells which")?;
        }
        Ok(())
    }
}

/// Looks at every file before the first is loaded: a wrong name costs nothing then. What is wrong with a file that is there is its own affair, unless the
/// first failure is to end the command.
fn look(files: &[PathBuf], first_ends: bool) -> Result<Vec<Result<Seen, Failure>>, Failure> {
    let look = |file: &PathBuf| match RegisterFile::open(file) {
        Ok(file) => Ok(Ok(Seen { municipality: file.municipality(), bytes: file.bytes_total() })),
        Err(error) if first_ends || matches!(error, InputError::NotFound { .. }) => Err(error.into()),
        Err(error) => Ok(Err(error.into())),
    };
    files.iter().map(look).collect()
}

/// Loads all files that can be read, `jobs` at a time. There is a backend if there is such a file.
fn load(
    backend: Option<&Backend>,
    files: &[PathBuf],
    seen: Vec<Result<Seen, Failure>>,
    jobs: usize,
    manner: &Manner,
    listed: Listed,
    json: bool,
) -> (Told, Result<(), Failure>) {
    let bars = Bars::new(seen.iter().flatten().map(|seen| seen.bytes));
    let in_order = InOrder::new(files, json, listed, &bars);
    let mut readable = Vec::new();
    for (place, seen) in seen.into_iter().enumerate() {
        match seen {
            Ok(Seen { municipality, bytes }) => readable.push(Waiting { place, municipality, bytes }),
            Err(failure) => drop(in_order.ended(place, Err(failure))),
        }
    }
    if let Some(backend) = backend {
        let loads = Loads {
            backend,
            files,
            queue: Queue::new(readable),
            in_order: &in_order,
            bars: &bars,
            manner,
            first_ends: jobs == 1,
        };
        std::thread::scope(|scope| {
            (1..jobs).for_each(|_| drop(scope.spawn(|| loads.work())));
            loads.work();
        });
    }
    in_order.finish()
}

/// What the threads that load share.
struct Loads<'a> {
    backend: &'a Backend,
    files: &'a [PathBuf],
    queue: Queue,
    in_order: &'a InOrder<'a>,
    bars: &'a Bars,
    manner: &'a Manner,
    first_ends: bool,
}

impl Loads<'_> {
    /// Loads the next file until there is none.
    fn work(&self) {
        // A panic must not leave others waiting for a turn that does not come.
        let _ends = EndsByPanic(self);
        while let Some(taken) = self.queue.take() {
            let Waiting { place, municipality, bytes } = taken.file;
            let mut bar = self.bars.begin(bytes, municipality.name());
            let outcome =
                load_file(self.backend, &self.files[place], self.manner, &mut |Step { bytes_read, rows, found }| {
                    bar.read(bytes_read, rows);
                    self.in_order.found(place, found)
                });
            drop(bar);
            let goes_on = match outcome {
                Err(failure) if self.first_ends => {
                    self.in_order.end(failure);
                    false
                }
                outcome => self.in_order.ended(place, outcome),
            };
            if !goes_on {
                self.queue.close();
            }
        }
    }
}

struct EndsByPanic<'a>(&'a Loads<'a>);

impl Drop for EndsByPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.in_order.end(Failure::Machine("loading a file panicked".into()));
            self.0.queue.close();
        }
    }
}
