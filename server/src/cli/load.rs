//! `sesshu load`: register files into ledgers.
//!
//! One thread reads and checks rows while this one seals and stages them. Each file becomes visible whole, when it has been read, or not at all.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Instant;

use clap::Args;
use sesshu_engine::intake::Row;
use sesshu_proto::v1::{LoadCommitted, LoadSummary};

use super::results::results;
use super::target::Target;
use super::{progress, table};
use crate::answer::{self, LoadAnswer, LoadTotal};
use crate::backend::Backend;
use crate::failure::{Done, Failure};
use crate::input::{InputError, RegisterFile, RejectedRow, RejectsFile, find_registers};

/// Load register files; each replaces its municipality's register, whole or not at all
#[derive(Debug, Args)]
pub(super) struct Load {
    #[command(flatten)]
    target: Target,
    /// Register files, or directories of register-*.csv
    #[arg(value_name = "FILE|DIR", required = true)]
    paths: Vec<PathBuf>,
    /// Write the rows that were not taken here, with line, column, code and reason
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// One object a file, then {"accepted", "rejected", "seconds"}
    #[arg(long)]
    json: bool,
}

/// Rows that are read and checked at a time.
const BATCH_ROWS: usize = 4096;

impl Load {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let started = Instant::now();
        let mut files = Vec::new();
        for path in &self.paths {
            if path.is_dir() { files.extend(find_registers(path)?) } else { files.push(path.clone()) }
        }
        // Every file is looked at before the first is loaded: a wrong name costs nothing then.
        for file in &files {
            RegisterFile::open(file)?;
        }
        let backend = self.target.open(true)?;
        let mut rejects = self.rejects.as_deref().map(RejectsFile::create).transpose()?;
        let mut total = LoadTotal { accepted: 0, rejected: 0, seconds: 0.0 };
        for file in &files {
            let answer = load_file(&backend, file, rejects.as_mut())?;
            total.accepted += answer.accepted;
            total.rejected += answer.rejected;
            self.tell(&answer)?;
        }
        if let Some(rejects) = rejects {
            rejects.finish()?;
        }
        backend.close()?;
        total.seconds = started.elapsed().as_secs_f64();
        if self.json {
            answer::write_line(&mut results(), &total)?;
        } else {
            let (accepted, rejected) = (table::count(total.accepted), table::count(total.rejected));
            let rate = table::count((total.accepted as f64 / total.seconds) as u64);
            let seconds = total.seconds;
            writeln!(results(), "{accepted} rows accepted, {rejected} rejected in {seconds:.1} s: {rate} rows/s")?;
            if total.rejected > 0 && self.rejects.is_none() {
                writeln!(results(), "--rejects FILE tells which rows were rejected, and why")?;
            }
        }
        Ok(Done::whole_if(total.rejected == 0))
    }

    fn tell(&self, answer: &LoadAnswer) -> Result<(), Failure> {
        if self.json {
            answer::write_line(&mut results(), answer)?;
            return Ok(());
        }
        let LoadAnswer { file, municipality, accepted, rejected, added, changed, kept, removed, .. } = answer;
        writeln!(
            results(),
            "{file}: {municipality}  {accepted} accepted ({added} added, {changed} changed), {rejected} rejected \
             ({kept} kept), {removed} removed"
        )?;
        Ok(())
    }
}

/// What the reading thread hands over.
struct Batch {
    rows: Vec<Row>,
    rejected: Vec<RejectedRow>,
    bytes_read: u64,
}

/// Loads one file.
pub(crate) fn load_file(
    backend: &Backend,
    path: &Path,
    mut rejects: Option<&mut RejectsFile>,
) -> Result<LoadAnswer, Failure> {
    let mut file = RegisterFile::open(path)?;
    let municipality = file.municipality();
    let mut loading = backend.load(municipality)?;
    let bar = progress::bytes(file.bytes_total(), municipality.name());
    let mut rejected_by_reader = 0;
    std::thread::scope(|scope| {
        let (batches, received) = mpsc::sync_channel(4);
        let reader = scope.spawn(move || read(&mut file, &batches));
        for Batch { rows, rejected, bytes_read } in received {
            rejected_by_reader += rejected.len() as u64;
            let kept = rejected.iter().filter_map(|row| row.kept_number).collect();
            if let Some(rejects) = rejects.as_deref_mut() {
                rejected.iter().try_for_each(|row| rejects.write(path, row))?;
            }
            loading.push(rows, kept)?;
            bar.set_position(bytes_read);
        }
        reader.join().map_err(|_| Failure::Machine("reading the file panicked".into()))?.map_err(Failure::from)
    })?;
    let LoadCommitted { rejected, summary } = loading.commit()?;
    bar.finish_and_clear();
    if let Some(rejects) = rejects {
        rejected.iter().try_for_each(|row| rejects.write_reported(path, row))?;
    }
    let summary = summary.unwrap_or_default();
    let summary = LoadSummary { rejected: summary.rejected + rejected_by_reader, ..summary };
    Ok(LoadAnswer::new(path.display().to_string(), municipality.to_string(), &summary))
}

/// Reads and checks a whole file. Ends early if nobody takes the rows any more: whoever does not says why.
fn read(file: &mut RegisterFile, batches: &mpsc::SyncSender<Batch>) -> Result<(), InputError> {
    loop {
        let (mut rows, mut rejected) = (Vec::with_capacity(BATCH_ROWS), Vec::new());
        let more = file.next_batch(&mut rows, &mut rejected, BATCH_ROWS)?;
        let batch = Batch { rows, rejected, bytes_read: file.bytes_read() };
        if batches.send(batch).is_err() || !more {
            return Ok(());
        }
    }
}
