//! Why a command ends without its result, and the exit code that says whose fault it is.
//!
//! Owns the four exit codes. Results go to standard output, failures to standard error; the chain of causes is printed once, in `main`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sesshu_engine::error::{
    ChangeError, HeldError, Kind, LoadError, OpenError, RecordError, RepairError, RestoreError, RotateError,
    SnapshotError,
};

use crate::app::ServeError;
use crate::client::ClientError;
use crate::compaction::CompactionError;
use crate::find::FindError;
use crate::generate::GenerateError;
use crate::input::InputError;

/// How a command that did its work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// All of it.
    Whole = 0,
    /// Done, with some rows rejected or some tickets not matched.
    Partly = 1,
    /// Done, but some loads wait for somebody's word.
    Held = 2,
    /// Done, and damage was found.
    Damaged = 3,
}

impl Done {
    /// `Whole` if `whole`.
    #[must_use]
    pub fn whole_if(whole: bool) -> Done {
        if whole { Done::Whole } else { Done::Partly }
    }
}

impl From<Done> for ExitCode {
    fn from(done: Done) -> ExitCode {
        ExitCode::from(done as u8)
    }
}

/// A command that could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The request is at fault.
    #[error("{0}")]
    Request(String),
    /// The store or the machine is at fault.
    #[error("{0}")]
    Machine(String),
    /// A file of input.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The store could not be opened or closed.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A held load.
    #[error(transparent)]
    Held(#[from] HeldError),
    /// A compaction.
    #[error(transparent)]
    Compact(#[from] CompactionError),
    /// A snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A restore.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// A repair.
    #[error(transparent)]
    Repair(#[from] RepairError),
    /// A change of the register.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The store's keys.
    #[error(transparent)]
    Rotate(#[from] RotateError),
    /// Finding people.
    #[error(transparent)]
    Find(#[from] FindError),
    /// A record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The server said no, or did not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Some files of many were not loaded; the others were.
    #[error("{} of {of} files were not loaded{}", failed.len(), list(failed))]
    Files {
        /// Each with its reason, in the order given.
        failed: Vec<(PathBuf, Failure)>,
        /// How many there were.
        of: usize,
    },
    /// Writing generated files.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// Serving.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// Standard output is gone, or a file of results could not be written.
    #[error("writing results")]
    Output(#[from] std::io::Error),
}

impl Failure {
    /// 2: the request is at fault. 3: the store or the machine is.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let request = match self {
            Failure::Files { failed, .. } => failed.iter().all(|(_, failure)| failure.exit_code() == 2),
            Failure::Request(_) | Failure::Change(ChangeError::Key(_)) | Failure::Find(FindError::Invalid(_)) => true,
            Failure::Find(FindError::Access(error)) => error.kind() == Kind::Request,
            Failure::Find(FindError::Damaged(_)) | Failure::Rotate(RotateError::Manifest(_)) => false,
            Failure::Rotate(_) => true,
            Failure::Input(error) => !matches!(error, InputError::Read { .. } | InputError::WriteRejects { .. }),
            Failure::Repair(RepairError::OfAnotherStore { .. }) => true,
            Failure::Repair(RepairError::NoManifest | RepairError::TooOld | RepairError::NotKept(_)) => false,
            Failure::Open(error) | Failure::Repair(RepairError::Store(error)) => matches!(
                error,
                OpenError::NoStore(_)
                    | OpenError::NotAStore(_)
                    | OpenError::InUse(..)
                    | OpenError::Newer { .. }
                    | OpenError::Key(_)
            ),
            // A load that is under way is somebody's; a full disk, which may be retried as well, is the machine's.
            Failure::Load(error) | Failure::Held(HeldError::Load(error)) => {
                matches!(error, LoadError::Key(_) | LoadError::UnderWay(_)) || error.kind() == Kind::Request
            }
            Failure::Held(error) => error.kind() == Kind::Request,
            Failure::Snapshot(error) | Failure::Restore(RestoreError::Snapshot(error)) => error.kind() == Kind::Request,
            Failure::Restore(error) => {
                matches!(error, RestoreError::OutsideWindow { .. } | RestoreError::NotEmpty(_))
            }
            Failure::Compact(error) => matches!(error, CompactionError::Invalid(_)),
            Failure::Record(error) => error.kind() == Kind::Request,
            Failure::Client(error) => error.is_request(),
            Failure::Generate(error) => matches!(error, GenerateError::Plan(_)),
            Failure::Serve(error) => {
                matches!(error, ServeError::NotLoopback(_) | ServeError::Listen(..) | ServeError::Metrics(_))
            }
            Failure::Machine(_) | Failure::Output(_) => false,
        };
        if request { 2 } else { 3 }
    }

    /// The failure of a file, told so that the file is named.
    #[must_use]
    pub fn of_file(&self, file: &Path) -> String {
        let (reason, file) = (self.chain(), file.display().to_string());
        if reason.contains(&file) { reason } else { format!("{file}: {reason}") }
    }

    /// Whether whoever read standard output has stopped reading.
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Failure::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// The failure and what caused it, in one line.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            let cause = error.to_string();
            if !text.ends_with(&cause) {
                text.push_str(": ");
                text.push_str(&cause);
            }
            source = error.source();
        }
        text
    }
}

/// Each failure on a line of its own.
fn list(failed: &[(PathBuf, Failure)]) -> String {
    failed.iter().map(|(file, failure)| format!("\n  {}", failure.of_file(file))).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use sesshu_engine::ticket::Municipality;

    use super::*;

    #[test]
    fn what_can_be_retried_is_the_requests_fault_only_if_another_request_is_in_its_way() {
        let municipality = Municipality::from_code(131_016).unwrap();
        assert_eq!(Failure::from(LoadError::UnderWay(municipality)).exit_code(), 2);
        assert_eq!(Failure::from(LoadError::Install(RecordError::DiskFull)).exit_code(), 3);
        assert_eq!(Failure::from(LoadError::Install(RecordError::QueueFull)).exit_code(), 3);
        assert_eq!(Failure::from(RecordError::DiskFull).exit_code(), 3);
    }

    #[test]
    fn of_many_files_the_worst_failure_counts_and_each_is_told_with_its_file_once() {
        let (request, machine) = (|| Failure::Request("no".into()), || Failure::Machine("b.csv is torn".into()));
        let files =
            |second| Failure::Files { failed: vec![("a.csv".into(), request()), ("b.csv".into(), second)], of: 9 };
        assert_eq!((files(request()).exit_code(), files(machine()).exit_code()), (2, 3));
        assert_eq!(files(machine()).chain(), "2 of 9 files were not loaded\n  a.csv: no\n  b.csv is torn");
    }
}
