//! `sesshu shot list`: shots as they are, by what they have in common.

use std::io::{BufWriter, Write as _};

use clap::Args;
use sesshu_engine::ticket::Ticket;

use super::super::table;
use super::super::target::Target;
use super::several::Several;
use crate::answer::{self, ShotAnswer, shot_name};
use crate::failure::{Done, Failure};

/// Show shots as they are: of a day, a venue, a device, a lot, a ticket, or an act on many of them
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    several: Several,
    /// One object a shot
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let backend = self.target.open(false)?;
        let shots = self.several.found(&backend)?;
        backend.close()?;
        let mut out = BufWriter::new(std::io::stdout().lock());
        let any = !shots.is_empty();
        for shot in shots {
            match Ticket::from_decimal(shot.ticket) {
                Ok(ticket) if self.json => answer::write_line(&mut out, &ShotAnswer::new(ticket, shot))?,
                _ => writeln!(out, "{}  {}", shot_name(shot.ticket, shot.shot_id), table::shot(&shot))?,
            }
        }
        if !any && !self.json {
            writeln!(out, "no shot is meant")?;
        }
        out.flush()?;
        Ok(Done::whole_if(any))
    }
}
