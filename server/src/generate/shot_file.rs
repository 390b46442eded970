//! All shots of a plan as one file, municipality after municipality.
//!
//! Each shot is of a resident whom the register files hold. Rows are composed as text and encoded as they go out: what
//! stands in them, places and common names, is in CP932 but for a rare kanji in a place name.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::ShotFile;
use super::cp932::encode_common;
use super::error::{GenerateError, Operation};
use super::plan::{Encoding, Plan};
use super::progress::Progress;
use super::register_file::WRITE_BUFFER_BYTES;
use super::shot::{GeneratedShot, shots_of};

const FILE_NAME: &str = "shots.csv";
const HEADER: &str = "接種券,接種日,接種回数,メーカー,ロット番号,会場名,医療機関コード,医師名,読取ID\n";

/// Writes `shots.csv` in `directory`.
pub(super) fn write(plan: &Plan, directory: &Path, progress: &mut Progress) -> Result<ShotFile, GenerateError> {
    let path = directory.join(FILE_NAME);
    let file = File::create(&path).map_err(GenerateError::at(Operation::Create, &path))?;
    let mut writer = BufWriter::with_capacity(WRITE_BUFFER_BYTES, file);
    write_rows(plan, &mut writer, progress).map_err(GenerateError::at(Operation::Write, &path))?;
    Ok(ShotFile { path, shots: plan.shots })
}

fn write_rows(plan: &Plan, writer: &mut impl Write, progress: &mut Progress) -> std::io::Result<()> {
    let mut text = String::new();
    let mut cp932 = Vec::new();
    let mut write_text = |text: &str, writer: &mut dyn Write| match plan.encoding {
        Encoding::Utf8 => writer.write_all(text.as_bytes()),
        Encoding::Cp932 => {
            cp932.clear();
            encode_common(text, &mut cp932);
            writer.write_all(&cp932)
        }
    };

    write_text(HEADER, writer)?;
    for (&(municipality, residents), shots) in plan.municipalities.iter().zip(plan.shots_each()) {
        for shot in shots_of(plan.seed, municipality, residents, shots) {
            text.clear();
            append_row(&mut text, &shot);
            write_text(&text, writer)?;
            progress.row_written();
        }
    }
    writer.flush()
}

fn append_row(text: &mut String, shot: &GeneratedShot) {
    writeln!(
        text,
        "{},{:08},{},{},{},{},{},{},{}",
        shot.line,
        shot.date.yyyymmdd(),
        shot.dose,
        shot.maker.name(),
        shot.lot,
        shot.venue.name,
        shot.venue.institution_code.as_deref().unwrap_or_default(),
        shot.venue.doctors[shot.doctor],
        shot.capture_id,
    )
    .expect("writing to a string does not fail");
}
