//! An act on a recorded shot that may be done: set right, void, move to another ticket, confirm.
//!
//! Owns what each act may say and who may say it. Whether the shot is there, and whether the writer's word counts enough, is known when it is judged.

use sesshu_proto::v1::{Authority, Shot};

use super::fault::{Column, Fault, FaultCode, check_text};
use super::mask::masked;
use super::shot::{check_ascii, check_content};
use crate::limits;
use crate::ticket::Ticket;

/// A checked act on a shot.
#[derive(Clone)]
pub struct Amendment {
    pub(crate) of: ShotRef,
    pub(crate) act: Act,
    pub(crate) by: By,
    /// The newest event of the shot that the writer knows of; `None`: whatever became of it.
    pub(crate) version: Option<u64>,
    /// The sequence of a held write that this act settles.
    pub(crate) settles: Option<u64>,
}

/// Names a shot: a ticket that it is on, or was on, and the shot's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ShotRef {
    /// Of the person, or one from which the shot was reassigned.
    pub ticket: Ticket,
    /// The sequence of the event that recorded it.
    pub shot_id: u64,
}

/// Who acts, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// A user or a device, in the client's words.
    pub who: String,
    /// In words; an act that takes a shot from a person, or opens a lock, needs one.
    pub reason: String,
    /// How much the writer's word counts.
    pub authority: Authority,
    /// Names an act on many shots, so that the history tells that they were one; or empty.
    pub batch: String,
}

/// What is done.
#[derive(Clone, PartialEq)]
pub enum Act {
    /// Other content, field by field.
    Correct(Box<Correction>),
    /// It does not count: recorded by mistake.
    Void,
    /// It counts again.
    Reinstate,
    /// It is this ticket's.
    Reassign(Ticket),
    /// Only writers of this level or above change it from here on.
    Confirm,
    /// Everybody may change it again.
    Unlock,
}

/// The fields of a shot that a correction changes; the others stay.
#[derive(Clone, Default, PartialEq)]
#[allow(missing_docs, reason = "as in Shot")]
pub struct Correction {
    pub date: Option<u32>,
    pub dose: Option<u32>,
    pub vaccine: Option<String>,
    pub lot: Option<String>,
    pub venue: Option<String>,
    pub institution: Option<String>,
    pub doctor: Option<String>,
}

impl Correction {
    /// Puts its fields into a shot.
    pub(crate) fn put(&self, shot: &mut Shot) {
        let Correction { date, dose, vaccine, lot, venue, institution, doctor } = self;
        shot.date = date.unwrap_or(shot.date);
        shot.dose = dose.unwrap_or(shot.dose);
        let texts = [
            (vaccine, &mut shot.vaccine),
            (lot, &mut shot.lot),
            (venue, &mut shot.venue),
            (institution, &mut shot.institution),
            (doctor, &mut shot.doctor),
        ];
        for (text, field) in texts {
            if let Some(text) = text {
                field.clone_from(text);
            }
        }
    }

    fn check(&self) -> Result<(), Fault> {
        if *self == Correction::default() {
            return Err(Fault::new(Column::Row, FaultCode::Missing, "a correction says what is otherwise"));
        }
        // A shot that is in order but for what the correction says.
        let mut shot = Shot { date: 20_210_401, dose: 1, ..Shot::default() };
        self.put(&mut shot);
        check_content(&shot)
    }
}

impl Amendment {
    /// Checks an act on a shot.
    ///
    /// # Errors
    ///
    /// The first [`Fault`].
    pub fn check(
        of: ShotRef,
        act: Act,
        by: By,
        version: Option<u64>,
        settles: Option<u64>,
    ) -> Result<Amendment, Fault> {
        if of.shot_id == 0 {
            return Err(Fault::new(Column::ShotId, FaultCode::Missing, "which shot of the ticket"));
        }
        if by.who.trim().is_empty() {
            return Err(Fault::new(Column::Who, FaultCode::Missing, "who acts is kept with the shot"));
        }
        check_text(Column::Who, &by.who, limits::RECORDED_BY_CHARACTERS_MAX)?;
        check_ascii(Column::Batch, &by.batch)?;
        check_text(Column::Reason, &by.reason, limits::REASON_CHARACTERS_MAX)?;
        if by.authority == Authority::Unspecified {
            return Err(Fault::new(Column::Authority, FaultCode::Missing, "how much the writer's word counts"));
        }
        let needs_reason = matches!(act, Act::Void | Act::Reinstate | Act::Reassign(_) | Act::Unlock);
        if needs_reason && by.reason.trim().is_empty() {
            return Err(Fault::new(Column::Reason, FaultCode::Missing, "this act needs a reason"));
        }
        if let Act::Correct(correction) = &act {
            correction.check()?;
        }
        // The history keeps it: people write down what they look at.
        let by = By { who: masked(&by.who), reason: masked(&by.reason), ..by };
        Ok(Amendment { of, act, by, version, settles })
    }

    /// The shot that it is of.
    #[must_use]
    pub fn of(&self) -> ShotRef {
        self.of
    }
}
