//! `sesshu generate`: invented registers and shots as files.

use std::io::Write as _;
use std::num::NonZero;
use std::path::PathBuf;

use clap::Args;
use sesshu_engine::ticket::Municipality;

use super::jobs::available_cores;
use super::results::results;
use super::{progress, table};
use crate::failure::{Done, Failure};
use crate::generate::{self, Encoding, GenerateError, Plan};

/// Write register files of invented people, and shots of theirs
///
/// Writes DIR/register-<code>.csv, one for each municipality, and with --shots DIR/shots.csv. The same options give the same bytes.
#[derive(Debug, Args)]
pub(super) struct Generate {
    /// The directory, made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Good rows in all
    #[arg(long, value_name = "N")]
    residents: u64,
    /// How many municipalities, 1 to 1,741, of realistic sizes
    #[arg(long, value_name = "M", default_value_t = 1)]
    municipalities: usize,
    /// All 1,741 municipalities
    #[arg(long, conflicts_with = "municipalities")]
    nation: bool,
    /// Another seed, other people
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// utf-8 or cp932
    #[arg(long, default_value_t = Encoding::Utf8)]
    encoding: Encoding,
    /// Rows that must be rejected, besides the good ones
    #[arg(long, value_name = "N", default_value_t = 0)]
    bad_rows: u64,
    /// Valid shots of these residents, at most two each
    #[arg(long, value_name = "N", default_value_t = 0)]
    shots: u64,
    /// Files written at a time; the bytes are the same for any number [default: one for each core]
    #[arg(long, value_name = "J")]
    jobs: Option<NonZero<usize>>,
    /// One object: {"files", "rows", "bad_rows", "shots"}
    #[arg(long)]
    json: bool,
}

impl Generate {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let municipalities = if self.nation { Municipality::all().len() } else { self.municipalities };
        let plan = Plan::spread(self.residents, municipalities, self.seed).map_err(GenerateError::Plan)?;
        let plan = Plan { encoding: self.encoding, bad_rows: self.bad_rows, shots: self.shots, ..plan };
        let bar = progress::rows(self.residents + self.bad_rows + self.shots, "writing");
        let jobs = self.jobs.unwrap_or_else(available_cores);
        let report = generate::write(&plan, &self.out, jobs, &mut |rows| bar.set_position(rows))?;
        bar.finish_and_clear();
        let files = report.registers.len() + usize::from(report.shots.is_some());
        if self.json {
            let shots = report.shots.as_ref().map_or(0, |file| file.shots);
            let told =
                serde_json::json!({"files": files, "rows": self.residents, "bad_rows": self.bad_rows, "shots": shots});
            writeln!(results(), "{told}")?;
        } else {
            let (rows, shots) = (table::count(self.residents), table::count(self.shots));
            let (out, bad_rows) = (self.out.display(), self.bad_rows);
            writeln!(results(), "{files} files in {out}: {rows} residents, {bad_rows} bad rows, {shots} shots")?;
        }
        Ok(Done::Whole)
    }
}
