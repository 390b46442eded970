//! `sesshu verify`: whether a store is whole.

use std::io::{self, Write as _};
use std::ops::ControlFlow;

use clap::Args;
use indicatif::ProgressBar;
use sesshu_engine::ClosedStore;
use sesshu_engine::ticket::Municipality;
use sesshu_proto::v1::verify_reply::What;
use sesshu_proto::v1::{Finding, VerifyReply, VerifyRequest, VerifySummary};

use super::results::results;
use super::target::Place;
use super::{progress, table};
use crate::answer;
use crate::answer_verify::{FindingAnswer, VerifySummaryAnswer};
use crate::client::Client;
use crate::failure::{Done, Failure};
use crate::verification;

/// Read every byte of a store, check it, and make what follows from others again to compare it
///
/// A closed store (--store) is only read: nothing of it is changed, nor can be. A running one (--server) goes on meanwhile. Exit code 0: it is whole; 3: there are
/// findings, each with its file, its place and whom it concerns.
#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    place: Place,
    /// Read so many MB a second at most, of a running server's store
    #[arg(long, value_name = "MB/s", value_parser = clap::value_parser!(u64).range(1..=1_000_000), requires = "server")]
    limit: Option<u64>,
    /// One object a finding, and one at the end
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let bar = progress::bytes(0, "verifying");
        let mut told = Told { json: self.json, bar, whole: true, written: Ok(()) };
        match self.place.directory()? {
            Ok(store) => verification::verify_closed(&ClosedStore::open(store)?, &mut |reply| told.hear(reply))?,
            Err(url) => {
                let request = VerifyRequest { bytes_per_second: self.limit.unwrap_or(0) * 1_000_000 };
                Client::connect(url)?.verify(request, &mut |reply| told.hear(reply))?;
            }
        }
        told.written?;
        Ok(if told.whole { Done::Whole } else { Done::Damaged })
    }
}

/// What was heard so far.
struct Told {
    json: bool,
    bar: ProgressBar,
    whole: bool,
    written: io::Result<()>,
}

impl Told {
    fn hear(&mut self, reply: VerifyReply) -> ControlFlow<()> {
        self.written = match reply.what {
            Some(What::Progress(progress)) => {
                self.bar.set_length(progress.bytes_expected);
                self.bar.set_position(progress.bytes);
                Ok(())
            }
            Some(What::Finding(finding)) => {
                self.whole = false;
                self.bar.suspend(|| print(finding, self.json))
            }
            Some(What::Summary(summary)) => {
                self.bar.finish_and_clear();
                print_summary(summary, self.json)
            }
            None => Ok(()),
        };
        if self.written.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn print(finding: Finding, json: bool) -> io::Result<()> {
    if json {
        return answer::write_line(&mut results(), &FindingAnswer::from(finding));
    }
    writeln!(results(), "{}", line(finding))
}

/// A finding, for people.
pub(super) fn line(finding: Finding) -> String {
    let code = Municipality::from_code(finding.municipality).ok();
    let whose = code.map_or(String::new(), |it| format!("; {it} {}{}", it.prefecture(), it.name()));
    let FindingAnswer { file, offset, what, tickets, remedy, .. } = finding.into();
    let tickets = match tickets {
        None => "; how many tickets are concerned nobody can say".to_owned(),
        Some(0) => String::new(),
        Some(1) => "; 1 ticket is concerned".to_owned(),
        Some(count) => format!("; {} tickets are concerned", table::count(count)),
    };
    let remedy = match remedy {
        "rebuild" => "repair makes it again",
        _ => "repair takes it from a snapshot, or gives it up",
    };
    format!("{file}: byte {offset}: {what}{whose}{tickets}; {remedy}")
}

fn print_summary(summary: VerifySummary, json: bool) -> io::Result<()> {
    let summary = VerifySummaryAnswer::from(summary);
    if json {
        return answer::write_line(&mut results(), &summary);
    }
    let found = match summary.findings {
        0 => "whole".to_owned(),
        1 => "1 finding".to_owned(),
        count => format!("{} findings", table::count(count)),
    };
    let [files, tickets, events] = [summary.files, summary.tickets, summary.events].map(table::count);
    let bytes = table::bytes(summary.bytes);
    let torn = match summary.torn_bytes {
        0 => String::new(),
        torn => format!("; {torn} bytes behind the end of the log are cut by the next open: nobody was told of them"),
    };
    writeln!(
        results(),
        "{found}: {files} files, {bytes}, {tickets} tickets in generations, {events} events in the log{torn}"
    )
}
