//! How much a command does at the same time.

use std::num::NonZero;
use std::thread::available_parallelism;

/// The cores that this process may use; one where the system does not tell.
#[must_use]
pub(super) fn available_cores() -> NonZero<usize> {
    available_parallelism().unwrap_or(NonZero::<usize>::MIN)
}
