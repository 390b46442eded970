//! Invented registers and shots in the shapes of real ones, for trying, testing and measuring.
//!
//! A [`Plan`] says how much of what; [`write()`] turns it into files, and [`residents()`] and [`shots_of()`] give the same people
//! and shots without files. Everything is a function of the plan: the same plan gives the same bytes, on any machine.
//!
//! ```text
//! plan ─ population                        how many, where
//!   └ resident ─ numbering, demography, names      who     (draw, permutation: random without memory)
//!        ├ register_row, bad_row ─ register_file   register-<code>.csv   ┐ writing: several
//!        └ shot ─ campaign ─────── shot_file       shots.csv             ┘ files at a time
//! ```
//!
//! Nothing is kept per resident, so 100 million of them need no more memory than ten. All people are invented; where names
//! and proportions come from is in `data/README.md` and at the head of each file.

mod bad_row;
mod campaign;
mod cp932;
mod demography;
mod draw;
mod error;
mod names;
mod numbering;
mod permutation;
mod plan;
mod population;
mod progress;
#[cfg(test)]
mod properties;
mod register_file;
mod register_row;
mod resident;
mod shot;
mod shot_file;
mod writing;

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use sesshu_engine::ticket::Municipality;

pub use bad_row::BadRowKind;
pub use campaign::{Maker, Venue};
pub use demography::Sex;
pub use error::{GenerateError, Operation};
pub use names::Name;
pub use numbering::{BAD_ROWS_MAX, RESIDENTS_PER_MUNICIPALITY_MAX, ResidentNumber};
pub use plan::{Encoding, Plan, PlanError, SHOTS_PER_RESIDENT_MAX, UnknownEncoding};
pub use resident::{GeneratedResident, Movement, Register, residents};
pub use shot::{GeneratedShot, shots_of};

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// One for each municipality of the plan, in its order.
    pub registers: Vec<RegisterFile>,
    /// If the plan has shots.
    pub shots: Option<ShotFile>,
}

/// A register that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterFile {
    /// Where.
    pub path: PathBuf,
    /// Whose.
    pub municipality: Municipality,
    /// Rows that are residents.
    pub good_rows: u64,
    /// Rows that cannot be read as one.
    pub bad_rows: u64,
}

/// The file of shots that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShotFile {
    /// Where.
    pub path: PathBuf,
    /// How many.
    pub shots: u64,
}

/// Writes a plan's files into `directory`, which is made if it is not there: `register-<code>.csv` for each municipality,
/// and `shots.csv` if there are shots. Files of those names are replaced, others left alone.
///
/// `threads` files are written at a time; the bytes are the same for any number. `progress` is called on the caller's thread, now and then and at the end,
/// with the rows written so far, shots included.
///
/// # Errors
/// [`GenerateError::Plan`] before anything is touched, [`GenerateError::File`] when the disk refuses.
pub fn write(
    plan: &Plan,
    directory: &Path,
    threads: NonZero<usize>,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, GenerateError> {
    plan.check()?;
    fs::create_dir_all(directory).map_err(GenerateError::at(Operation::Create, directory))?;
    writing::write_all(plan, directory, threads, progress)
}
