//! Verifying: every byte that the store relies on is read and checked, and everything in it that follows from other bytes is made again and compared.
//!
//! Owns what a finding is, and the order of the work. It is the same for a closed store and an open one: what is verified is one moment of it, whose files are
//! pinned by maps, and nothing is written.
//!
//! | file | owns |
//! |---|---|
//! | `closed` | a store that nobody has open, read by a type that cannot write |
//! | `open` | a moment of an open store |
//! | `subject` | what is verified: the files of one moment |
//! | `logs` | the log and the access log, each event's way back, and the tails as the log says they are |
//! | `ledgers` | the generations, and the links of reissued tickets |
//! | `beside` | checkpoint, held loads, snapshots |
//! | `meter` | how far it has come, and how fast it may go |

mod beside;
mod closed;
mod ledgers;
mod logs;
mod meter;
mod open;
mod subject;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::path::PathBuf;

pub use closed::ClosedStore;
pub(super) use closed::verify_closed;
use meter::Meter;
pub(super) use open::verify_open;
pub(super) use subject::Subject;

use crate::error::{Damage, OpenError};
use crate::generation::{Flaw, Remedy};
use crate::ticket::Municipality;

/// Something that is wrong with a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where, and which check failed.
    pub damage: Damage,
    /// Tickets that cannot be answered, or not wholly, because of it; `None` if nobody can say how many. Of the log: events that are gone, each of a ticket's.
    pub tickets: Option<u64>,
    /// What brings it back.
    pub remedy: Remedy,
}

/// What verifying came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// What is wrong, by file and offset. Empty: nothing is.
    pub findings: Vec<Finding>,
    /// Files that were read.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Tickets that the generations have an entry of.
    pub tickets: u64,
    /// Events of the log.
    pub events: u64,
    /// The newest of them.
    pub sequence: u64,
    /// Bytes behind the end of the log that nobody was told of: the next open cuts them. No damage.
    pub torn_bytes: u64,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verifying {
    /// Bytes that were read.
    pub bytes: u64,
    /// As many as there are.
    pub bytes_expected: u64,
}

/// Whom to tell how far it has come; [`ControlFlow::Break`] ends it.
pub type Watcher<'a> = dyn FnMut(Verifying) -> ControlFlow<()> + Send + 'a;

/// The work was ended before its end.
pub(super) struct Ended;

/// What was found so far.
#[derive(Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn add(&mut self, damage: Damage, tickets: impl Into<Option<u64>>, remedy: Remedy) {
        self.0.push(Finding { damage, tickets: tickets.into(), remedy });
    }

    fn at(&mut self, file: PathBuf, what: &'static str, remedy: Remedy) {
        self.add(Damage { file, offset: 0, municipality: None, what }, 0, remedy);
    }

    fn of_flaws(&mut self, file: &std::path::Path, municipality: Municipality, flaws: Vec<Flaw>) {
        for Flaw { offset, what, tickets, remedy } in flaws {
            self.add(Damage { file: file.to_owned(), offset, municipality: Some(municipality), what }, tickets, remedy);
        }
    }

    /// Of an error that is damage; others end the work.
    fn of_error(&mut self, error: OpenError, tickets: Option<u64>, remedy: Remedy) -> Result<(), OpenError> {
        match error {
            OpenError::Damaged(damage) => self.add(damage, tickets, remedy),
            OpenError::Disk { path, source, .. } => {
                tracing::warn!(file = %path.display(), error = &source as &dyn std::error::Error, "a file could not be read");
                let what = "the disk cannot read the file";
                self.add(Damage { file: path, offset: 0, municipality: None, what }, tickets, remedy);
            }
            error => return Err(error),
        }
        Ok(())
    }
}

/// Has a subject's tails and generations be what its log says, whatever is wrong with it.
pub(super) fn read_log(subject: &mut Subject) -> Result<(), OpenError> {
    let goes_on = &mut |_| ControlFlow::Continue(());
    match logs::verify(subject, &mut Findings::default(), &Meter::new(None, goes_on)) {
        Ok(_) | Err(VerifyError::Ended) => Ok(()),
        Err(VerifyError::Failed(error)) => Err(error),
    }
}

/// Verifies everything.
pub(super) fn verify(subject: &mut Subject, meter: &Meter<'_>) -> Result<Verified, VerifyError> {
    meter.expect(subject.bytes()?);
    let mut findings = Findings::default();
    let log = logs::verify(subject, &mut findings, meter)?;
    let ledgers = ledgers::verify(subject, &log, &mut findings, meter)?;
    let beside = beside::verify(subject, (&log, &ledgers), &mut findings, meter)?;
    let mut findings = findings.0;
    findings.sort_by(|a, b| (&a.damage.file, a.damage.offset).cmp(&(&b.damage.file, b.damage.offset)));
    Ok(Verified {
        findings,
        files: ledgers.files + beside + log.files,
        bytes: meter.bytes(),
        tickets: ledgers.tickets,
        events: log.examined.events,
        sequence: log.examined.next_sequence.saturating_sub(1),
        torn_bytes: log.torn_bytes,
    })
}

/// Why there is no result.
pub(super) enum VerifyError {
    /// Whoever was told wanted no more.
    Ended,
    Failed(OpenError),
}

impl From<Ended> for VerifyError {
    fn from(_: Ended) -> VerifyError {
        VerifyError::Ended
    }
}

impl From<OpenError> for VerifyError {
    fn from(error: OpenError) -> VerifyError {
        VerifyError::Failed(error)
    }
}

/// `None` for work that was ended.
pub(super) fn unless_ended(result: Result<Verified, VerifyError>) -> Result<Option<Verified>, OpenError> {
    match result {
        Ok(verified) => Ok(Some(verified)),
        Err(VerifyError::Ended) => Ok(None),
        Err(VerifyError::Failed(error)) => Err(error),
    }
}
