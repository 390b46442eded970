//! What can go wrong while generating: a plan that cannot be, or a file that cannot be written.
//!
//! Nothing is cleaned up after a failed write: the files so far are good, but the one of each thread that was begun last may
//! be short, and the same plan writes them all again.

use std::path::{Path, PathBuf};

use super::plan::PlanError;

/// Why nothing, or not everything, was generated.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The plan cannot be carried out; no file was touched.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The disk refused.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// What was tried.
        operation: Operation,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What was done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Creating a directory or a file.
    Create,
    /// Writing to a file.
    Write,
}

impl std::fmt::Display for Operation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Operation::Create => "create",
            Operation::Write => "write",
        })
    }
}

impl GenerateError {
    /// For `map_err`: an error of the system with what was done to which path.
    pub(super) fn at(operation: Operation, path: &Path) -> impl FnOnce(std::io::Error) -> GenerateError {
        move |source| GenerateError::File { operation, path: path.to_owned(), source }
    }
}
