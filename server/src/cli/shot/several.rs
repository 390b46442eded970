//! An act with some shots: those that are named, or all of a day and a venue.
//!
//! Owns which they are, and what is said of each and of all of them. An act with all shots of a day is done on each as it was found: one that changed
//! meanwhile is left alone, and told of. The history has one name for the whole.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use sesshu_engine::ticket::{Municipality, Ticket};
use sesshu_proto::v1::amend_request::Act;
use sesshu_proto::v1::{
    AmendOutcome, AmendReply, AmendRequest, FindShotsRequest, HistoryReply, RecordedShot, ShotReference,
};

use super::super::results::results;
use super::super::table;
use super::{ShotName, With, day, ticket};
use crate::answer::{self, shot_name};
use crate::answer_shot::{AmendAnswer, AmendSummary};
use crate::backend::Backend;
use crate::failure::{Done, Failure};

/// Which shots.
#[derive(Debug, Args)]
pub(super) struct Several {
    /// Shots, each by its ticket and its id, as `match`, `ledger` and `record` show them: 1310160000012345-4711
    #[arg(value_name = "ID", required_unless_present_any = ["of_date", "of_ticket", "of_batch"], conflicts_with_all = ["of_date", "of_ticket", "of_batch"])]
    ids: Vec<ShotName>,
    /// All shots in force of a ticket, or of a person without one: P and 16 digits
    #[arg(long, value_name = "TICKET", value_parser = ticket, help_heading = "Instead of IDs")]
    of_ticket: Option<Ticket>,
    /// All shots in force of a day; every ledger is read, or that of --of-municipality
    #[arg(long, value_name = "YYYYMMDD", value_parser = day, help_heading = "Instead of IDs")]
    of_date: Option<u32>,
    /// Of them, those of a venue, as the shots have it
    #[arg(long, value_name = "TEXT", requires = "of_date", help_heading = "Instead of IDs")]
    of_venue: Option<String>,
    /// Of them, those that a user or device recorded
    #[arg(long, value_name = "TEXT", requires = "of_date", help_heading = "Instead of IDs")]
    of_device: Option<String>,
    /// Of them, those of a lot, as the shots have it
    #[arg(long, value_name = "TEXT", requires = "of_date", help_heading = "Instead of IDs")]
    of_lot: Option<String>,
    /// Of them, those on tickets of a municipality
    #[arg(long, value_name = "CODE", requires = "of_date", help_heading = "Instead of IDs")]
    of_municipality: Option<String>,
    /// All shots with which an act on many of them did something, or wanted to: the name that the history has of it
    #[arg(long, value_name = "NAME", help_heading = "Instead of IDs")]
    of_batch: Option<String>,
}

/// Shots of one request.
const SHOTS_AT_A_TIME: usize = 4096;

impl With {
    /// Does an act with the shots that are meant.
    pub(super) fn run(self, act: Act) -> Result<Done, Failure> {
        // What it says, or of whom, is judged again by the rules.
        let is_judged = matches!(act, Act::Correct(_) | Act::Reassign(_));
        let request = self.request(act);
        let backend = self.target.open(false)?;
        let shots = self.several.shots(&backend, request.version)?;
        let several = self.several.are_sought() || shots.len() > 1;
        let batch = self.batch.clone().or_else(|| several.then(batch_name)).unwrap_or_default();
        let mut summary = AmendSummary { dry_run: self.dry_run, ..AmendSummary::default() };
        summary.batch = (!batch.is_empty()).then(|| batch.clone());
        let mut last = String::new();
        for shots in shots.chunks(SHOTS_AT_A_TIME) {
            let act = |&(of, version): &(ShotReference, u64)| AmendRequest {
                of: Some(of),
                version,
                batch: batch.clone(),
                ..request.clone()
            };
            let replies = backend.amend(shots.iter().map(act).collect(), self.dry_run)?;
            for ((of, _), reply) in shots.iter().zip(replies) {
                summary.count(&reply);
                last.clone_from(&reply.reason);
                self.tell(*of, reply, is_judged)?;
            }
        }
        backend.close()?;
        if several {
            self.tell_all(&summary)?;
        } else if summary.missed() > 0 {
            // One wrong argument is a wrong request.
            return Err(Failure::Request(last));
        }
        match summary {
            AmendSummary { held: 1.., .. } => Ok(Done::Held),
            _ => Ok(Done::whole_if(summary.missed() == 0)),
        }
    }

    fn tell(&self, of: ShotReference, reply: AmendReply, is_judged: bool) -> Result<(), Failure> {
        let id = shot_name(of.ticket, of.shot_id);
        if self.json {
            return Ok(answer::write_line(&mut results(), &AmendAnswer::new(id, reply))?);
        }
        let would = match reply.outcome() {
            AmendOutcome::Amended if self.dry_run => "would be ",
            AmendOutcome::Held if self.dry_run => "would be ",
            _ => "",
        };
        let AmendAnswer { outcome, reason, shot, .. } = AmendAnswer::new(id.clone(), reply.clone());
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        writeln!(results(), "{id}  {would}{outcome}{reason}")?;
        if let Some(shot) = &reply.shot {
            writeln!(results(), "  {}", table::shot(shot))?;
        }
        let is_news = reply.outcome() == AmendOutcome::Amended && is_judged;
        for warning in shot.iter().filter(|_| is_news).flat_map(|shot| &shot.warnings) {
            writeln!(results(), "  warning: {}", warning.reason)?;
        }
        Ok(())
    }

    fn tell_all(&self, summary: &AmendSummary) -> Result<(), Failure> {
        if self.json {
            return Ok(answer::write_line(&mut results(), summary)?);
        }
        let AmendSummary { amended, unchanged, held, stale, unknown, invalid, .. } = *summary;
        let of = [(amended, "amended"), (unchanged, "unchanged"), (held, "held"), (stale, "changed meanwhile")];
        let of = of.into_iter().chain([(unknown, "unknown"), (invalid, "invalid")]);
        let counted: Vec<String> =
            of.filter(|(count, _)| *count > 0).map(|(count, what)| format!("{} {what}", table::count(count))).collect();
        let counted = if counted.is_empty() { "no shot is meant".into() } else { counted.join(", ") };
        let batch = summary.batch.as_deref().unwrap_or_default();
        match self.dry_run {
            true => writeln!(results(), "dry run, nothing was done: {counted}")?,
            false => writeln!(results(), "{counted}; the history calls it {batch}")?,
        }
        Ok(())
    }
}

impl Several {
    /// Whether they are described, and not named.
    fn are_sought(&self) -> bool {
        self.of_date.is_some() || self.of_ticket.is_some() || self.of_batch.is_some()
    }

    /// The shots that are meant, each with the version that it must have; 0: any.
    fn shots(&self, backend: &Backend, version: u64) -> Result<Vec<(ShotReference, u64)>, Failure> {
        if !self.are_sought() {
            if self.ids.len() > 1 && version != 0 {
                return Err(Failure::Request("--if-version goes with one shot".into()));
            }
            return Ok(self.ids.iter().map(|id| (id.0, version)).collect());
        }
        let named = |it: RecordedShot| (ShotReference { ticket: it.ticket, shot_id: it.shot_id }, it.sequence);
        Ok(self.sought(backend)?.into_iter().map(named).collect())
    }

    /// The shots that are described, or named, as they are, each with the ticket that has it.
    pub(super) fn found(&self, backend: &Backend) -> Result<Vec<RecordedShot>, Failure> {
        if self.are_sought() {
            return self.sought(backend);
        }
        let shot = |id: &ShotName| {
            let HistoryReply { ticket, shot, .. } = backend.history(id.0)?;
            Ok(RecordedShot { ticket, ..shot.unwrap_or_default() })
        };
        self.ids.iter().map(shot).collect()
    }

    fn sought(&self, backend: &Backend) -> Result<Vec<RecordedShot>, Failure> {
        let municipality = match &self.of_municipality {
            None => 0,
            Some(code) => Municipality::parse(code).map_err(|error| Failure::Request(error.to_string()))?.code(),
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (venue, recorded_by, lot) = (text(&self.of_venue), text(&self.of_device), text(&self.of_lot));
        let (date, ticket) = (self.of_date.unwrap_or(0), self.of_ticket.map_or(0, Ticket::to_decimal));
        let batch = text(&self.of_batch);
        backend.find_shots(FindShotsRequest { date, venue, recorded_by, lot, municipality, ticket, batch })
    }
}

/// A name that no other act has.
fn batch_name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    format!("{}-{}", answer::time(now), std::process::id())
}
