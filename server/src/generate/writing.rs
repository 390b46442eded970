//! Writing the files of a plan, several at a time.
//!
//! Owns which thread writes which file. A file is a function of the plan alone, so the number of threads shows in the time it takes and nowhere else. Files
//! are begun in the order of their size, the largest first, so that no thread is left alone with a large one at the end.

use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::error::GenerateError;
use super::plan::Plan;
use super::progress::Progress;
use super::register_file::RegisterContents;
use super::{RegisterFile, Report, ShotFile, shot_file};

/// A file to be written.
enum Contents {
    Register(RegisterContents),
    Shots(u64),
}

/// A file that was written, with its place in the plan.
enum Written {
    Register(usize, RegisterFile),
    Shots(ShotFile),
}

/// Writes all files into a directory that is there.
pub(super) fn write_all(
    plan: &Plan,
    directory: &Path,
    threads: NonZero<usize>,
    listener: &mut dyn FnMut(u64),
) -> Result<Report, GenerateError> {
    let files = files(plan);
    let (next, threads) = (AtomicUsize::new(0), threads.get().min(files.len()));
    let written = std::thread::scope(|scope| {
        let (sender, counts) = mpsc::channel();
        let writers: Vec<_> = (0..threads)
            .map(|_| {
                let mut progress = Progress::new(sender.clone());
                let (files, next) = (&files, &next);
                scope.spawn(move || write_some(plan, directory, files, next, &mut progress))
            })
            .collect();
        drop(sender);
        let mut rows = 0;
        for count in counts {
            rows += count;
            listener(rows);
        }
        let ended =
            writers.into_iter().map(|writer| writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        ended.collect::<Result<Vec<_>, GenerateError>>()
    })?;
    Ok(report(written.into_iter().flatten()))
}

/// The files of a plan with their places in it, the largest first.
fn files(plan: &Plan) -> Vec<(usize, Contents)> {
    let mut bad_rows_before = 0;
    let registers =
        plan.municipalities.iter().zip(plan.bad_rows_each()).map(|(&(municipality, residents), bad_rows)| {
            let first_bad_row = bad_rows_before;
            bad_rows_before += bad_rows;
            let (seed, encoding) = (plan.seed, plan.encoding);
            Contents::Register(RegisterContents { municipality, residents, seed, encoding, bad_rows, first_bad_row })
        });
    let shots = (plan.shots > 0).then_some(Contents::Shots(plan.shots));
    let mut files: Vec<_> = registers.chain(shots).enumerate().collect();
    files.sort_by_key(|(_, contents)| std::cmp::Reverse(contents.rows()));
    files
}

/// Writes the next file until there is none. After a failure nothing more is begun, by any thread.
fn write_some(
    plan: &Plan,
    directory: &Path,
    files: &[(usize, Contents)],
    next: &AtomicUsize,
    progress: &mut Progress,
) -> Result<Vec<Written>, GenerateError> {
    let mut written = Vec::new();
    while let Some((place, contents)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
        let ended = match contents {
            Contents::Register(register) => {
                register.write(directory, progress).map(|file| Written::Register(*place, file))
            }
            Contents::Shots(_) => shot_file::write(plan, directory, progress).map(Written::Shots),
        };
        written.push(ended.inspect_err(|_| next.store(files.len(), Ordering::Relaxed))?);
    }
    Ok(written)
}

fn report(written: impl Iterator<Item = Written>) -> Report {
    let (mut registers, mut shots) = (Vec::new(), None);
    for file in written {
        match file {
            Written::Register(place, file) => registers.push((place, file)),
            Written::Shots(file) => shots = Some(file),
        }
    }
    registers.sort_unstable_by_key(|&(place, _)| place);
    Report { registers: registers.into_iter().map(|(_, file)| file).collect(), shots }
}

impl Contents {
    fn rows(&self) -> u64 {
        match self {
            Contents::Register(register) => register.residents + register.bad_rows,
            Contents::Shots(shots) => *shots,
        }
    }
}
