//! `sesshu shot`: recorded shots, set right and explained.
//!
//! Owns the list of its commands, how a shot is named on the command line, and who acts. What an act is done with, one shot or all of a day and venue, is in
//! `several`; the history for people in `history`.

pub(super) mod history;
mod list;
mod several;

use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use sesshu_engine::ticket::{Date, Ticket, TicketLine};
use sesshu_proto::v1::amend_request::Act;
use sesshu_proto::v1::{AmendRequest, Authority, Correction, Nothing, ShotReference};

use super::target::Target;
use super::who::user;
use crate::failure::{Done, Failure};
use several::Several;

/// Set recorded shots right, and show what became of them
///
/// Nothing is overwritten: each act is kept with who did it and why, and `shot history` shows all of it. A shot that is confirmed is changed only by a writer of
/// its level or above; what anybody else writes is held with its content, and waits for a decision (--settles).
#[derive(Debug, Args)]
pub(super) struct Shot {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Correct(Correct),
    /// A shot does not count: it was recorded by mistake
    Void(Plain),
    /// A shot that was void counts again
    Reinstate(Plain),
    Reassign(Reassign),
    /// From here on only writers of this level or above change a shot
    Confirm(Plain),
    /// Everybody may change a shot again
    Unlock(Plain),
    History(history::History),
    List(list::List),
}

/// Say what of a shot is otherwise; the other fields stay
#[derive(Debug, Args)]
struct Correct {
    #[command(flatten)]
    with: With,
    /// 接種日: the day of the shot
    #[arg(long, value_name = "YYYYMMDD", value_parser = day)]
    date: Option<u32>,
    /// 接種回数: the number of the dose
    #[arg(long, value_name = "N")]
    dose: Option<u32>,
    /// メーカー
    #[arg(long, value_name = "TEXT")]
    vaccine: Option<String>,
    /// ロット番号
    #[arg(long, value_name = "TEXT")]
    lot: Option<String>,
    /// 会場名
    #[arg(long, value_name = "TEXT")]
    venue: Option<String>,
    /// 医療機関コード: ten digits
    #[arg(long, value_name = "DIGITS")]
    institution: Option<String>,
    /// 医師名
    #[arg(long, value_name = "TEXT")]
    doctor: Option<String>,
}

/// Move a shot to the ticket of the person who had it; it keeps its name
#[derive(Debug, Args)]
struct Reassign {
    #[command(flatten)]
    with: With,
    /// The ticket, or a line of it
    #[arg(long, value_name = "TICKET", value_parser = ticket)]
    to: Ticket,
}

#[derive(Debug, Args)]
struct Plain {
    #[command(flatten)]
    with: With,
}

/// With which shots, and by whom.
#[derive(Debug, Args)]
struct With {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    several: Several,
    /// Why; the history keeps it
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// Who acts; the history keeps it [default: the user of this machine]
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// How much the writer's word counts
    #[arg(long, value_name = "LEVEL", default_value = "municipality-staff")]
    authority: Level,
    /// Only if this is still the sequence of the shot's newest event, as `match` and `ledger` show it with --json
    #[arg(long, value_name = "SEQUENCE")]
    if_version: Option<u64>,
    /// The held write that this decides about, whichever way: its sequence, as `shot history` shows it
    #[arg(long, value_name = "SEQUENCE")]
    settles: Option<u64>,
    /// The name that the history has of the whole [default: made of the time, where there are several shots]
    #[arg(long, value_name = "NAME")]
    batch: Option<String>,
    /// Say what would become of each shot, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// One object a shot, and a summary after several
    #[arg(long)]
    json: bool,
}

/// How much a writer's word counts, lowest first.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    Terminal,
    MunicipalityUpload,
    MunicipalityStaff,
    National,
}

impl Level {
    fn authority(self) -> Authority {
        match self {
            Level::Terminal => Authority::Terminal,
            Level::MunicipalityUpload => Authority::MunicipalityUpload,
            Level::MunicipalityStaff => Authority::MunicipalityStaff,
            Level::National => Authority::National,
        }
    }
}

/// A shot as people name it: `1310160000012345-4711`, ticket and shot id; a line of the ticket will do.
#[derive(Clone, Copy, Debug)]
struct ShotName(ShotReference);

impl FromStr for ShotName {
    type Err = String;

    fn from_str(text: &str) -> Result<ShotName, String> {
        let parts = text.rsplit_once('-').and_then(|(of, id)| Some((of, id.parse().ok().filter(|&id| id > 0)?)));
        let (of, shot_id) = parts.ok_or("a shot is named by its ticket and its id: 1310160000012345-4711")?;
        Ok(ShotName(ShotReference { ticket: ticket(of)?.to_decimal(), shot_id }))
    }
}

impl Shot {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let nothing = Nothing {};
        match self.command {
            Command::History(history) => history.run(),
            Command::List(list) => list.run(),
            Command::Correct(Correct { with, date, dose, vaccine, lot, venue, institution, doctor }) => {
                let correction = Correction { date, dose, vaccine, lot, venue, institution, doctor };
                if correction == Correction::default() {
                    return Err(Failure::Request("what is otherwise? See sesshu shot correct --help".into()));
                }
                with.run(Act::Correct(correction))
            }
            Command::Void(Plain { with }) => with.run(Act::Void(nothing)),
            Command::Reinstate(Plain { with }) => with.run(Act::Reinstate(nothing)),
            Command::Reassign(Reassign { with, to }) => with.run(Act::Reassign(to.to_decimal())),
            Command::Confirm(Plain { with }) => with.run(Act::Confirm(nothing)),
            Command::Unlock(Plain { with }) => with.run(Act::Unlock(nothing)),
        }
    }
}

impl With {
    /// The request, but for the shot.
    fn request(&self, act: Act) -> AmendRequest {
        AmendRequest {
            act: Some(act),
            who: self.who.clone().unwrap_or_else(user),
            reason: self.reason.clone(),
            authority: self.authority.authority().into(),
            version: self.if_version.unwrap_or(0),
            settles: self.settles.unwrap_or(0),
            ..AmendRequest::default()
        }
    }
}

/// A ticket, or a line of it.
pub(super) fn ticket(text: &str) -> Result<Ticket, String> {
    let ticket = Ticket::parse(text).ok().or_else(|| TicketLine::parse(text).ok().map(|line| line.ticket()));
    ticket.ok_or_else(|| {
        "neither a ticket of 16 digits (of somebody without one P and 16 digits) nor a line of 18".into()
    })
}

/// A day.
fn day(text: &str) -> Result<u32, String> {
    Date::parse(text).map(Date::yyyymmdd).map_err(|error| error.to_string())
}
