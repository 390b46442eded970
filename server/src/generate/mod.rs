//! Invented registers and shots in the shapes of real ones, for trying, testing and measuring.
//!
//! A [`Plan`] says how much of what; [`write()`] turns it into files, and [`residents()`] and [`shots_of()`] give the same people
//! and shots without files. Everything is a function of the plan: the same plan gives the same bytes, on any machine.
//!
//! ```text
//! plan ─ population                        how many, where
//!   └ resident ─ numbering, demography, names      who     (draw, permutation: random without memory)
//!        ├ register_row, bad_row ─ register_file   register-<code>.csv
//!        └ shot ─ campaign ─────── shot_file       shots.csv
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

use std::fs;
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

use progress::Progress;
use register_file::RegisterContents;

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
/// `progress` is called now and then with the rows written so far, shots included, and at the end with all.
///
/// # Errors
/// [`GenerateError::Plan`] before anything is touched, [`GenerateError::File`] when the disk refuses.
pub fn write(plan: &Plan, directory: &Path, progress: &mut dyn FnMut(u64)) -> Result<Report, GenerateError> {
    plan.check()?;
    fs::create_dir_all(directory).map_err(GenerateError::at(Operation::Create, directory))?;
    let mut progress = Progress::new(progress);
    let registers = write_registers(plan, directory, &mut progress)?;
    let shots = if plan.shots == 0 { None } else { Some(shot_file::write(plan, directory, &mut progress)?) };
    progress.finished();
    Ok(Report { registers, shots })
}

fn write_registers(
    plan: &Plan,
    directory: &Path,
    progress: &mut Progress<'_>,
) -> Result<Vec<RegisterFile>, GenerateError> {
    let mut first_bad_row = 0;
    let mut registers = Vec::with_capacity(plan.municipalities.len());
    for (&(municipality, residents), bad_rows) in plan.municipalities.iter().zip(plan.bad_rows_each()) {
        let contents = RegisterContents {
            municipality,
            residents,
            seed: plan.seed,
            encoding: plan.encoding,
            bad_rows,
            first_bad_row,
        };
        registers.push(contents.write(directory, progress)?);
        first_bad_row += bad_rows;
    }
    Ok(registers)
}
