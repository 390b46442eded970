//! `sesshu match`: from ticket lines to residents.

use std::io::{BufRead as _, BufReader, BufWriter, StdinLock, Write as _};

use clap::Args;
use sesshu_engine::ticket::TicketLine;
use sesshu_proto::v1::{MatchOutcome, MatchReply};

use super::across::Across;
use super::known::KnownAt;
use super::table;
use super::target::Target;
use crate::answer::{self, TicketAnswer};
use crate::backend::Backend;
use crate::failure::{Done, Failure};
use crate::reply;

/// Match ticket lines to residents and their shots
#[derive(Debug, Args)]
pub(super) struct Match {
    #[command(flatten)]
    target: Target,
    /// Ticket lines of 18 digits (full-width digits, spaces and hyphens are normalised), or "-" for one a line from standard input
    #[arg(value_name = "LINE", required = true)]
    lines: Vec<String>,
    #[command(flatten)]
    known: KnownAt,
    #[command(flatten)]
    across: Across,
    /// One object a line, in order
    #[arg(long)]
    json: bool,
}

/// Lines that are looked up side by side.
const BATCH_LINES: usize = 4096;

impl Match {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let from_stdin = self.lines == ["-"];
        if let ([only], false) = (&self.lines[..], from_stdin)
            && let Err(error) = TicketLine::parse(only)
        {
            // One wrong argument is a wrong request; it still has its object.
            if self.json {
                answer::write_line(
                    &mut std::io::stdout(),
                    &TicketAnswer::new(reply::of_invalid_line(&error), Some(only)),
                )?;
            }
            return Err(Failure::Request(error.to_string()));
        }
        let backend = self.target.open(false)?;
        let mut tally = Tally::default();
        if from_stdin {
            let mut input = BufReader::with_capacity(1 << 16, std::io::stdin().lock());
            let mut batch = Vec::new();
            loop {
                let more = read_lines(&mut input, &mut batch)?;
                self.answer(&backend, &batch, &mut tally)?;
                if !more {
                    break;
                }
            }
        } else {
            for lines in self.lines.chunks(BATCH_LINES) {
                self.answer(&backend, lines, &mut tally)?;
            }
        }
        backend.close()?;
        match tally {
            Tally { damaged: 1.., .. } => Err(Failure::Machine(format!("{} tickets are damaged", tally.damaged))),
            Tally { unmatched, .. } => Ok(Done::whole_if(unmatched == 0)),
        }
    }

    fn answer(&self, backend: &Backend, texts: &[String], tally: &mut Tally) -> Result<(), Failure> {
        let parsed: Vec<_> = texts.iter().map(|text| TicketLine::parse(text)).collect();
        let lines: Vec<TicketLine> = parsed.iter().filter_map(|line| line.as_ref().ok().copied()).collect();
        let mut replies = backend.match_lines(&lines, self.known.moment(), self.across.asked().as_ref())?.into_iter();
        let mut out = BufWriter::new(std::io::stdout().lock());
        for (text, line) in texts.iter().zip(parsed) {
            let reply = match line {
                Ok(_) => replies.next().unwrap_or_default(),
                Err(error) => reply::of_invalid_line(error),
            };
            tally.count(&reply);
            if self.json {
                answer::write_line(&mut out, &TicketAnswer::new(reply, Some(text)))?;
            } else {
                writeln!(out, "{}", table::person(&reply, text))?;
            }
        }
        out.flush()?;
        Ok(())
    }
}

#[derive(Default)]
struct Tally {
    unmatched: u64,
    damaged: u64,
}

impl Tally {
    fn count(&mut self, reply: &MatchReply) {
        self.unmatched += u64::from(reply.outcome() != MatchOutcome::Matched);
        self.damaged += u64::from(reply.outcome() == MatchOutcome::Damaged);
    }
}

/// Reads the next lines; false after the last. Takes no more than are here already, so that whoever writes one line and waits gets its answer.
fn read_lines(input: &mut BufReader<StdinLock<'_>>, batch: &mut Vec<String>) -> Result<bool, Failure> {
    batch.clear();
    while batch.len() < BATCH_LINES {
        let mut bytes = Vec::new();
        let read = input.read_until(b'\n', &mut bytes);
        if read.map_err(|error| Failure::Machine(format!("standard input: {error}")))? == 0 {
            return Ok(false);
        }
        batch.push(String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned());
        if !input.buffer().contains(&b'\n') {
            break;
        }
    }
    Ok(true)
}
