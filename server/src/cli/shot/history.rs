//! `sesshu shot history`: everything that became of a shot.

use std::io::{self, BufWriter, Write};

use clap::Args;
use sesshu_proto::v1::{HistoryReply, Shot};

use super::super::table;
use super::super::target::Target;
use super::ShotName;
use crate::answer::{self, shot_name};
use crate::answer_shot::{EventAnswer, HistoryAnswer};
use crate::failure::{Done, Failure};

/// Show everything that became of a shot: when, by whom, why
#[derive(Debug, Args)]
pub(super) struct History {
    #[command(flatten)]
    target: Target,
    /// The shot, by a ticket that it is or was on, and its id: 1310160000012345-4711
    #[arg(value_name = "ID")]
    id: ShotName,
    /// One object
    #[arg(long)]
    json: bool,
}

impl History {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let backend = self.target.open(false)?;
        let reply = backend.history(self.id.0)?;
        backend.close()?;
        let mut out = BufWriter::new(std::io::stdout().lock());
        if self.json {
            answer::write_line(&mut out, &HistoryAnswer::new(reply))?;
            out.flush()?;
            return Ok(Done::Whole);
        }
        write(&mut out, reply)?;
        out.flush()?;
        Ok(Done::Whole)
    }
}

/// A shot and its history for people.
pub(in crate::cli) fn write(out: &mut impl Write, reply: HistoryReply) -> io::Result<()> {
    let contents: Vec<Option<Shot>> = reply.events.iter().map(|event| event.shot.clone()).collect();
    if let Some(shot) = &reply.shot {
        writeln!(out, "{}", shot_name(reply.ticket, shot.shot_id))?;
        writeln!(out, "  now: {}", table::shot(shot))?;
    }
    let mut before: Option<Shot> = None;
    for (event, content) in HistoryAnswer::new(reply).events.iter().zip(contents) {
        writeln!(out, "  {}", line(event))?;
        let Some(content) = content else { continue };
        for (field, was, is) in before.iter().flat_map(|before| differences(before, &content)) {
            writeln!(out, "      {field}: {was} -> {is}")?;
        }
        if !event.held {
            before = Some(content);
        }
    }
    Ok(())
}

/// An event in one line.
fn line(event: &EventAnswer) -> String {
    let EventAnswer { sequence, time, event: what, ticket, to_ticket, who, reason, authority, .. } = event;
    let mut text = format!("{sequence}  {time}  {what}");
    if let Some(to) = to_ticket {
        text += &format!(" from {ticket} to {to}");
    }
    if !who.is_empty() {
        text += &format!(" by {who}");
    }
    if let Some(authority) = authority {
        text += &format!(" ({authority})");
    }
    if !reason.is_empty() {
        text += &format!(": {reason}");
    }
    if let Some(batch) = &event.batch {
        text += &format!("  [{batch}]");
    }
    match (event.held, event.settled_by) {
        (true, Some(by)) => text += &format!("  HELD, settled by {by}"),
        (true, None) => text += "  HELD, waits for a decision",
        _ => {}
    }
    text
}

/// The fields in which two contents differ.
fn differences(before: &Shot, after: &Shot) -> Vec<(&'static str, String, String)> {
    let fields = |shot: &Shot| {
        let date = answer::date(shot.date).unwrap_or_default();
        let Shot { dose, vaccine, lot, venue, institution, doctor, .. } = shot.clone();
        [date, dose.to_string(), vaccine, lot, venue, institution, doctor]
    };
    let names = ["date", "dose", "vaccine", "lot", "venue", "institution", "doctor"];
    let pairs = fields(before).into_iter().zip(fields(after));
    names.into_iter().zip(pairs).filter(|(_, (a, b))| a != b).map(|(name, (a, b))| (name, a, b)).collect()
}
