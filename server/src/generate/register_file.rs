//! One municipality's register as a file: header, residents in order, bad rows at random rows between them.
//!
//! Rows stream through one buffer into a buffered file; memory does not grow with residents. Where bad rows go is decided
//! row by row with the chance that makes the count come out exactly (Knuth's selection sampling), so no list is kept.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use sesshu_engine::ticket::Municipality;

use super::bad_row::BadRowKind;
use super::draw::{Draws, Purpose, key};
use super::error::{GenerateError, Operation};
use super::numbering::{bad_row_my_number, bad_row_ticket_number};
use super::progress::Progress;
use super::register_row::{Layout, Row};
use super::resident::Register;
use super::{Encoding, RegisterFile};

/// Large enough that system calls do not show in a profile.
pub(super) const WRITE_BUFFER_BYTES: usize = 1 << 20;

/// What goes into one file.
pub(super) struct RegisterContents {
    pub(super) municipality: Municipality,
    pub(super) residents: u64,
    pub(super) seed: u64,
    pub(super) encoding: Encoding,
    pub(super) bad_rows: u64,
    /// The number, in the whole plan, of this file's first bad row: kinds take turns across files.
    pub(super) first_bad_row: u64,
}

impl RegisterContents {
    /// Writes `register-<code>.csv` in `directory`.
    pub(super) fn write(&self, directory: &Path, progress: &mut Progress) -> Result<RegisterFile, GenerateError> {
        let path = directory.join(format!("register-{}.csv", self.municipality));
        let file = File::create(&path).map_err(GenerateError::at(Operation::Create, &path))?;
        let mut writer = BufWriter::with_capacity(WRITE_BUFFER_BYTES, file);
        self.write_rows(&mut writer, progress).map_err(GenerateError::at(Operation::Write, &path))?;
        Ok(self.report(path))
    }

    fn write_rows(&self, writer: &mut impl Write, progress: &mut Progress) -> std::io::Result<()> {
        let layout = Layout::of(self.municipality, self.encoding);
        let register = Register::new(self.seed, self.municipality);
        let mut places = Draws::keyed(key(self.seed, Purpose::BadRows, self.municipality.code()), 0);
        let mut row = Row::default();
        let mut line = Vec::new();

        writer.write_all(&layout.header())?;
        let (mut good_left, mut bad_left) = (self.residents, self.bad_rows);
        while good_left + bad_left > 0 {
            line.clear();
            if bad_left > 0 && places.below(good_left + bad_left) < bad_left {
                self.fill_bad_row(&mut row, &register, self.bad_rows - bad_left);
                bad_left -= 1;
            } else {
                row.fill(&register.resident(self.residents - good_left), self.encoding);
                good_left -= 1;
            }
            row.append_to(&mut line, layout);
            writer.write_all(&line)?;
            progress.row_written();
        }
        writer.flush()
    }

    fn fill_bad_row(&self, row: &mut Row, register: &Register, place: u64) {
        let index = self.first_bad_row + place;
        let my_number = bad_row_my_number(self.seed, index);
        row.fill(&register.bad_row_resident(place, bad_row_ticket_number(index), my_number), self.encoding);
        BadRowKind::in_turn(index, self.encoding).spoil(row, self.municipality, my_number);
    }

    fn report(&self, path: PathBuf) -> RegisterFile {
        RegisterFile { path, municipality: self.municipality, good_rows: self.residents, bad_rows: self.bad_rows }
    }
}
