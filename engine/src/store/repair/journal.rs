//! What a repair gives up, before it does: one that is cut short says it the next time.
//!
//! Owns the file `REPAIR`. It is there from the first loss until whoever repairs has kept the list.

use std::io;
use std::path::Path;

use prost::Message as _;
use sesshu_proto::v1::repair_loss::Kind;
use sesshu_proto::v1::{RepairJournal, RepairLoss};

use super::super::held_file::HeldId;
use super::super::manifest;
use super::Loss;
use crate::disk::Disk;
use crate::error::OpenError;
use crate::ticket::{Municipality, Ticket};

const PATH: &str = "REPAIR";
const TEMPORARY: &str = "REPAIR.tmp";
const MAGIC: &[u8; 8] = b"SesshuRj";

/// What was given up until now.
pub(super) struct Journal<'d> {
    disk: &'d dyn Disk,
    lost: Vec<Loss>,
}

impl<'d> Journal<'d> {
    /// Of the repair that was cut short, if there was one.
    pub(super) fn open(disk: &'d dyn Disk) -> Result<Journal<'d>, OpenError> {
        let read = || -> io::Result<Vec<u8>> {
            let file = disk.open(Path::new(PATH))?;
            let mut bytes = vec![0; file.length()? as usize];
            file.read_at(&mut bytes, 0)?;
            Ok(bytes)
        };
        let lost = match read() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(OpenError::Disk { doing: "reading", path: PATH.into(), source }),
            // One that is damaged has nothing to say; what it listed is gone all the same.
            Ok(bytes) => decode(&bytes).unwrap_or_default(),
        };
        Ok(Journal { disk, lost })
    }

    /// Takes note of what is given up next, durably.
    pub(super) fn give_up(&mut self, losses: impl IntoIterator<Item = Loss>) -> Result<(), OpenError> {
        let before = self.lost.len();
        self.lost.extend(losses);
        if self.lost.len() == before {
            return Ok(());
        }
        self.lost.sort_unstable();
        self.lost.dedup();
        let bytes = manifest::with_header(MAGIC, &encode(&self.lost));
        let written = manifest::replace(self.disk, (Path::new(PATH), Path::new(TEMPORARY)), &bytes);
        written.map_err(|source| OpenError::Disk { doing: "writing", path: PATH.into(), source })
    }

    /// All of it, sorted.
    pub(super) fn lost(&self) -> &[Loss] {
        &self.lost
    }

    /// Somebody has kept the list.
    pub(super) fn close(self) -> Result<Vec<Loss>, OpenError> {
        let failed = |source| OpenError::Disk { doing: "removing", path: PATH.into(), source };
        let names = self.disk.list(Path::new("")).map_err(failed)?;
        if names.iter().any(|name| name == Path::new(PATH)) {
            let gone = self.disk.remove(Path::new(PATH)).and_then(|()| self.disk.sync_directory(Path::new("")));
            gone.map_err(failed)?;
        }
        Ok(self.lost)
    }
}

fn encode(lost: &[Loss]) -> Vec<u8> {
    let of = |loss: &Loss| {
        let none = RepairLoss::default();
        match *loss {
            Loss::Event { sequence, ticket, time_ms } => {
                let ticket = ticket.map_or(0, Ticket::to_bits);
                RepairLoss { kind: Kind::Event.into(), sequence, ticket, time: time_ms, ..none }
            }
            Loss::Access { sequence, time_ms } => {
                RepairLoss { kind: Kind::Access.into(), sequence, time: time_ms, ..none }
            }
            Loss::Person { ticket } => RepairLoss { kind: Kind::Person.into(), ticket: ticket.to_bits(), ..none },
            Loss::Shots { ticket } => RepairLoss { kind: Kind::Shots.into(), ticket: ticket.to_bits(), ..none },
            Loss::People { municipality, count } => {
                RepairLoss { kind: Kind::People.into(), municipality: municipality.five_digits(), count, ..none }
            }
            Loss::Senders { municipality } => {
                RepairLoss { kind: Kind::Senders.into(), municipality: municipality.five_digits(), ..none }
            }
            Loss::Held { id } => RepairLoss { kind: Kind::Held.into(), held: id.to_string(), ..none },
        }
    };
    RepairJournal { lost: lost.iter().map(of).collect() }.encode_to_vec()
}

fn decode(bytes: &[u8]) -> Option<Vec<Loss>> {
    let journal = RepairJournal::decode(manifest::message(bytes, MAGIC).ok()?).ok()?;
    let of = |loss: &RepairLoss| {
        let RepairLoss { sequence, time, count, .. } = *loss;
        let ticket = || Ticket::from_bits(loss.ticket).ok();
        Some(match loss.kind() {
            Kind::Event => Loss::Event { sequence, ticket: ticket(), time_ms: time },
            Kind::Access => Loss::Access { sequence, time_ms: time },
            Kind::Person => Loss::Person { ticket: ticket()? },
            Kind::Shots => Loss::Shots { ticket: ticket()? },
            Kind::People => Loss::People { municipality: Municipality::from_five_digits(loss.municipality)?, count },
            Kind::Senders => Loss::Senders { municipality: Municipality::from_five_digits(loss.municipality)? },
            Kind::Held => Loss::Held { id: HeldId::parse(&loss.held).ok()? },
            Kind::Unspecified => return None,
        })
    };
    journal.lost.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loss_comes_back() {
        let municipality = Municipality::from_code(131_016).expect("a municipality");
        let ticket = Ticket::new(municipality, 7).expect("a ticket");
        let lost = [
            Loss::Event { sequence: 5, ticket: None, time_ms: 9 },
            Loss::Event { sequence: 6, ticket: Some(ticket), time_ms: 9 },
            Loss::Access { sequence: 7, time_ms: 10 },
            Loss::Person { ticket },
            Loss::Shots { ticket },
            Loss::People { municipality, count: None },
            Loss::People { municipality, count: Some(3) },
            Loss::Senders { municipality },
            Loss::Held { id: HeldId::parse("131016-000012-9f3a").expect("an id") },
        ];
        let bytes = manifest::with_header(MAGIC, &encode(&lost));
        assert_eq!(decode(&bytes).as_deref(), Some(&lost[..]));
        assert_eq!(decode(&bytes[1..]), None);
    }
}
