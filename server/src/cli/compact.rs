//! `sesshu compact`: what came one by one is folded, and the log becomes shorter.

use std::io::{self, Write as _};
use std::ops::ControlFlow;

use clap::Args;
use indicatif::ProgressBar;
use sesshu_engine::ticket::Municipality;
use sesshu_proto::v1::compact_reply::What;
use sesshu_proto::v1::{CompactReply, CompactRequest, CompactionPlan, CompactionSummary, LedgerCompaction};

use super::results::results;
use super::target::Target;
use super::{progress, table};
use crate::answer;
use crate::answer_compact::{CompactionPlanAnswer, CompactionSummaryAnswer, LedgerCompactionAnswer};
use crate::failure::{Done, Failure};

/// Fold what came one by one into the ledgers' next generations, and remove the log that nothing needs any more
///
/// Everything else goes on meanwhile. A ledger of which a load is under way or held, or for which there is no room, is left alone, and the exit code is then 1.
/// Stopping the command loses nothing: ledgers that were done stay so.
#[derive(Debug, Args)]
pub(super) struct Compact {
    #[command(flatten)]
    target: Target,
    /// The ledger of this municipality alone, by its six-digit code; may be repeated [default: all that have something to fold]
    #[arg(long, value_name = "CODE", value_parser = Municipality::parse)]
    municipality: Vec<Municipality>,
    /// Show what would be folded and how much room that needs, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Write so many MB a second at most
    #[arg(long, value_name = "MB/s", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    limit: Option<u64>,
    /// One object a ledger, and one at the end
    #[arg(long)]
    json: bool,
}

impl Compact {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let backend = self.target.open(false)?;
        let request = CompactRequest {
            municipalities: self.municipality.iter().map(|it| it.code()).collect(),
            dry_run: self.dry_run,
            bytes_per_second: self.limit.unwrap_or(0) * 1_000_000,
        };
        let mut told =
            Told { dry_run: self.dry_run, json: self.json, bar: None, done: 0, left_alone: 0, written: Ok(()) };
        backend.compact(request, &mut |reply| told.hear(reply))?;
        backend.close()?;
        told.written?;
        Ok(Done::whole_if(told.left_alone == 0))
    }
}

/// What was heard so far.
struct Told {
    dry_run: bool,
    json: bool,
    bar: Option<ProgressBar>,
    /// Bytes of the generations that are done, as they were expected.
    done: u64,
    left_alone: u64,
    written: io::Result<()>,
}

impl Told {
    fn hear(&mut self, reply: CompactReply) -> ControlFlow<()> {
        self.written = match reply.what {
            Some(What::Plan(plan)) => self.plan(plan),
            Some(What::Progress(progress)) => {
                if let Some(bar) = &self.bar {
                    bar.set_position(self.done + progress.bytes);
                }
                Ok(())
            }
            Some(What::Ledger(ledger)) => self.ledger(ledger),
            Some(What::Summary(summary)) => self.summary(summary),
            None => Ok(()),
        };
        if self.written.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn plan(&mut self, plan: CompactionPlan) -> io::Result<()> {
        let total = plan.ledgers.iter().map(|ledger| ledger.bytes_after).sum();
        if !self.dry_run {
            self.bar = Some(progress::bytes(total, ledgers_of(plan.ledgers.len() as u64)));
            return Ok(());
        }
        let at_the_end = CompactionPlanAnswer::new(&plan);
        self.left_alone = plan.ledgers.iter().filter(|ledger| !ledger.reason.is_empty()).count() as u64;
        for ledger in plan.ledgers {
            self.print(ledger)?;
        }
        if self.json {
            return answer::write_line(&mut results(), &at_the_end);
        }
        let CompactionPlanAnswer { ledgers, bytes_needed, bytes_available } = at_the_end;
        let (needed, available) = (table::bytes(bytes_needed), table::bytes(bytes_available));
        match ledgers {
            0 => writeln!(results(), "nothing to fold"),
            count => {
                let ledgers = ledgers_of(count as u64);
                writeln!(results(), "{ledgers}; needs {needed} for a while, the disk has {available}")
            }
        }
    }

    fn ledger(&mut self, ledger: LedgerCompaction) -> io::Result<()> {
        self.left_alone += u64::from(ledger.generation == 0);
        self.done += ledger.bytes_after;
        match self.bar.clone() {
            Some(bar) => bar.suspend(|| self.print(ledger)),
            None => self.print(ledger),
        }
    }

    fn print(&self, ledger: LedgerCompaction) -> io::Result<()> {
        let ledger = LedgerCompactionAnswer::new(ledger, self.dry_run);
        if self.json {
            return answer::write_line(&mut results(), &ledger);
        }
        let (events, tickets) = (table::count(ledger.events), table::count(ledger.tickets));
        let (before, after) = (table::bytes(ledger.bytes_before), table::bytes(ledger.bytes_after));
        let about = if ledger.outcome == "compacted" { "" } else { "about " };
        let reason = ledger.reason.map_or(String::new(), |reason| format!("; left alone: {reason}"));
        writeln!(
            results(),
            "{}  {events} events of {tickets} tickets, {before} -> {about}{after}{reason}",
            ledger.municipality
        )
    }

    fn summary(&mut self, summary: CompactionSummary) -> io::Result<()> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let summary = CompactionSummaryAnswer::from(summary);
        if self.json {
            return answer::write_line(&mut results(), &summary);
        }
        let CompactionSummaryAnswer { compacted, left_alone, events, .. } = summary;
        let [before, after, log_before, log_after] =
            [summary.bytes_before, summary.bytes_after, summary.log_bytes_before, summary.log_bytes_after]
                .map(table::bytes);
        let left = if left_alone == 0 { String::new() } else { format!(", {left_alone} left alone") };
        writeln!(
            results(),
            "{} compacted{left}: {} events folded, generations {before} -> {after}, log {log_before} -> {log_after}",
            ledgers_of(compacted),
            table::count(events)
        )
    }
}

fn ledgers_of(count: u64) -> String {
    format!("{} {}", table::count(count), if count == 1 { "ledger" } else { "ledgers" })
}
