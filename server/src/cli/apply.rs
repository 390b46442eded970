//! `sesshu apply`: files of changes, row by row, while shots are recorded.
//!
//! Files come one after another, and the rows of each in their order. A file that broke off may be applied again from its beginning: what is there already adds
//! nothing.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use sesshu_engine::intake;
use sesshu_proto::v1::ChangeOutcome;

use super::results::results;
use super::sender::Sender;
use super::target::Target;
use super::{progress, table};
use crate::answer::{self, ChangeAnswer, ChangeSummary};
use crate::backend::Backend;
use crate::failure::{Done, Failure};
use crate::input::{ChangesFile, RejectsFile};

/// Apply files of single changes to registers, in their order
///
/// A file has the columns of a register file. A row is the resident from then on; where 異動区分 is 転出, 死亡 or 削除 and 氏名 is blank, only status and 異動日
/// change. Where 異動区分 is 再発行, a column 旧券番号 names the ticket that the row's replaces: both match to the person from then on. Applying a file again
/// changes nothing.
#[derive(Debug, Args)]
pub(super) struct Apply {
    #[command(flatten)]
    target: Target,
    /// Files of changes, each of one municipality
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    sender: Sender,
    /// Write the rows that were not taken here, with line, column, code and reason
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// One object a change that was read, then {"added", "changed", "unchanged", "rejected"}
    #[arg(long)]
    json: bool,
}

/// Rows that are read and applied at a time.
const BATCH_ROWS: usize = 4096;

impl Apply {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let sender = self.sender.checked()?;
        // Every file is looked at before the first is applied: a wrong name costs nothing then.
        for file in &self.files {
            ChangesFile::open(file)?;
        }
        let backend = self.target.open(true)?;
        let mut rejects = self.rejects.as_deref().map(RejectsFile::create).transpose()?;
        let mut total = ChangeSummary::default();
        for file in &self.files {
            let summary = self.apply(&backend, file, &sender, rejects.as_mut())?;
            if !self.json {
                writeln!(results(), "{}: {}", file.display(), in_words(&summary))?;
            }
            total.add(&summary);
        }
        if let Some(rejects) = rejects {
            rejects.finish()?;
        }
        backend.close()?;
        if self.json {
            answer::write_line(&mut results(), &total)?;
        } else if total.rejected > 0 && self.rejects.is_none() {
            writeln!(results(), "--rejects FILE tells which rows were rejected, and why")?;
        }
        Ok(Done::whole_if(total.rejected == 0))
    }

    fn apply(
        &self,
        backend: &Backend,
        path: &Path,
        sender: &intake::Sender,
        mut rejects: Option<&mut RejectsFile>,
    ) -> Result<ChangeSummary, Failure> {
        let mut file = ChangesFile::open(path)?;
        let municipality = file.municipality();
        let bar = progress::bytes(file.bytes_total(), municipality.name());
        let mut summary = ChangeSummary::default();
        loop {
            let (mut changes, mut rejected) = (Vec::with_capacity(BATCH_ROWS), Vec::new());
            let more = file.next_batch(&mut changes, &mut rejected, BATCH_ROWS)?;
            let lines: Vec<u64> = changes.iter().map(|row| row.line).collect();
            let mut answers: Vec<ChangeAnswer> = rejected.iter().map(ChangeAnswer::of_rejected).collect();
            if let Some(rejects) = rejects.as_deref_mut() {
                rejected.iter().try_for_each(|row| rejects.write(path, row))?;
            }
            for (reply, line) in backend.apply(municipality, changes, sender)?.into_iter().zip(lines) {
                if let (ChangeOutcome::Rejected, Some(rejects)) = (reply.outcome(), rejects.as_deref_mut()) {
                    reply.rejected.iter().try_for_each(|row| rejects.write_reported(path, row))?;
                }
                answers.push(ChangeAnswer::new(reply, line));
            }
            answers.sort_by_key(|answer| answer.line);
            answers.iter().for_each(|answer| summary.count(answer));
            if self.json {
                let mut out = BufWriter::new(results());
                answers.iter().try_for_each(|answer| answer::write_line(&mut out, answer))?;
                out.flush()?;
            }
            bar.set_position(file.bytes_read());
            if !more {
                bar.finish_and_clear();
                return Ok(summary);
            }
        }
    }
}

fn in_words(summary: &ChangeSummary) -> String {
    let [added, changed, unchanged, rejected] =
        [summary.added, summary.changed, summary.unchanged, summary.rejected].map(table::count);
    format!("{added} added, {changed} changed, {unchanged} unchanged, {rejected} rejected")
}
