//! One change of a register that may be applied: a birth, a move, a death, a correction.
//!
//! Owns the three forms in which municipalities send one: the row as it is from now on; a status alone (異動区分 and 異動日), which leaves the rest of the row
//! as it is; or a new ticket in the place of another (再発行), with the row as it is from now on.

use std::fmt;

use sesshu_proto::v1::ResidentStatus;

use super::fault::{Column, Fault, FaultCode};
use super::row::Row;
use super::sender::Sender;
use crate::ticket::{Date, Municipality, NUMBER_MAX, Ticket};

/// A checked change of one ticket's row.
pub struct Change {
    ticket: Ticket,
    content: ChangeContent,
    sender: Sender,
}

/// What a change says.
pub enum ChangeContent {
    /// The row from now on.
    Row(Box<Row>),
    /// The status from now on, and since which day: YYYYMMDD, or 0.
    Status(ResidentStatus, u32),
    /// The row from now on, of a ticket that replaces the one with this ten-digit number.
    Reissue(u64, Box<Row>),
}

impl Change {
    /// The row is this one from now on, whether the register had the ticket or not.
    #[must_use]
    pub fn row(municipality: Municipality, row: Row) -> Change {
        let ticket = Ticket::new(municipality, row.number()).expect("a checked row has a ticket number");
        Change::new(ticket, ChangeContent::Row(Box::new(row)))
    }

    /// The ticket of the row replaces the one with the number `previous`: both are the same person's from now on.
    ///
    /// # Errors
    ///
    /// A [`Fault`] of the previous number.
    pub fn reissue(municipality: Municipality, previous: u64, row: Row) -> Result<Change, Fault> {
        if previous > NUMBER_MAX {
            return Err(Fault::new(Column::PreviousNumber, FaultCode::NotDigits, "a ticket number has ten digits"));
        }
        if previous == row.number() {
            let reason = "a reissued ticket has a new number";
            return Err(Fault::new(Column::PreviousNumber, FaultCode::UnknownValue, reason));
        }
        let ticket = Ticket::new(municipality, row.number()).expect("a checked row has a ticket number");
        Ok(Change::new(ticket, ChangeContent::Reissue(previous, Box::new(row))))
    }

    /// The status is this one from now on; `date` is the day it took effect, YYYYMMDD, or 0 if it is not stated.
    ///
    /// # Errors
    ///
    /// A [`Fault`] of the date.
    pub fn status(ticket: Ticket, status: ResidentStatus, date: u32) -> Result<Change, Fault> {
        if status == ResidentStatus::Unspecified {
            return Err(Fault::new(Column::Change, FaultCode::Missing, "says nothing of the status"));
        }
        if date != 0 {
            Date::from_yyyymmdd(date)
                .map_err(|error| Fault::new(Column::ChangeDate, FaultCode::NotADate, error.to_string()))?;
        }
        Ok(Change::new(ticket, ChangeContent::Status(status, date)))
    }

    fn new(ticket: Ticket, content: ChangeContent) -> Change {
        Change { ticket, content, sender: Sender::default() }
    }

    /// Says who sends it, and why; else nobody does.
    #[must_use]
    pub fn sent_by(self, sender: Sender) -> Change {
        Change { sender, ..self }
    }

    /// Who sends it, and why.
    #[must_use]
    pub fn sender(&self) -> &Sender {
        &self.sender
    }

    /// The ticket whose row it changes.
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// What it says.
    #[must_use]
    pub fn content(&self) -> &ChangeContent {
        &self.content
    }

    /// What it says, given away.
    #[must_use]
    pub fn into_content(self) -> ChangeContent {
        self.content
    }
}

/// Without the row: it is a person's.
impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change").finish_non_exhaustive()
    }
}
