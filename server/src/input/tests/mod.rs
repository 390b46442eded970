//! Whole files, written to disk and read back: what a municipality may send and what comes of it.
//!
//! Owns the sample files: a header line, and rows of invented people that are right unless a test breaks them. Each file of tests has one question: does a
//! register give its rows, does a shots file, which files are refused, and does a My Number stay hidden.

use std::path::PathBuf;

use sesshu_engine::intake::{Fault, Row};
use sesshu_proto::v1::Resident;

use super::{InputError, RegisterFile, RejectedRow, ShotRow, ShotsFile};

mod files;
mod privacy;
mod register;
mod shots;

const REGISTER: &str = "自治体コード,券番号,宛名番号,個人番号,氏名,氏名カナ,生年月日,性別,異動区分,異動日,支援措置";
const SHOTS: &str = "接種券,接種日,接種回数,メーカー,ロット番号,会場名,医療機関コード,医師名,読取ID";

const ONE: &str = "131016,0000000001,000123,123456789018,山田 太郎,ﾔﾏﾀﾞ ﾀﾛｳ,19700131,1,新規,20210401,0";
const TWO: &str = "131016,0000000002,,,表ソ 花子,ヒョウソ　ハナコ,19400000,2,転出,20210501,1";
const THREE: &str = "131016,0000000003,000125,621498320257,髙﨑 翔,タカサキ　ショウ,,9,,,0";
const SHOT: &str = "211310160000000001,20210412,1,ファイザー,EW0203,中央会場,1310123456,佐藤,t1-1";

/// A file in a folder of its own, which goes when the test ends.
struct Sample {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn sample(bytes: impl AsRef<[u8]>) -> Sample {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sample.csv");
    std::fs::write(&path, bytes).unwrap();
    Sample { _folder: folder, path }
}

fn lines(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn cp932(text: &str) -> Vec<u8> {
    let (bytes, _, unmappable) = encoding_rs::SHIFT_JIS.encode(text);
    assert!(!unmappable, "{text}");
    bytes.into_owned()
}

/// Everything that a register file gives, in batches of two rows.
fn read_register(bytes: impl AsRef<[u8]>) -> Result<(Vec<Row>, Vec<RejectedRow>), InputError> {
    let sample = sample(bytes);
    let mut file = RegisterFile::open(&sample.path)?;
    let (mut rows, mut rejected) = (Vec::new(), Vec::new());
    while file.next_batch(&mut rows, &mut rejected, 2)? {}
    assert_eq!(file.bytes_read(), file.bytes_total());
    Ok((rows, rejected))
}

fn read_shots(bytes: impl AsRef<[u8]>) -> Result<(Vec<ShotRow>, Vec<RejectedRow>), InputError> {
    let sample = sample(bytes);
    let mut file = ShotsFile::open(&sample.path)?;
    let (mut shots, mut rejected) = (Vec::new(), Vec::new());
    while file.next_batch(&mut shots, &mut rejected, 2)? {}
    Ok((shots, rejected))
}

/// What is in a row, to be compared.
fn content(rows: &[Row]) -> Vec<(u64, u64, Option<u64>, Resident)> {
    let content =
        |row: &Row| (row.line(), row.number(), row.my_number().map(|number| number.reveal()), row.resident().clone());
    rows.iter().map(content).collect()
}

fn numbers(rows: &[Row]) -> Vec<u64> {
    rows.iter().map(Row::number).collect()
}

/// The line, column and code of each fault.
fn faults(rejected: &[RejectedRow]) -> Vec<(u64, &'static str, &'static str)> {
    let told = |row: &RejectedRow| {
        let Fault { column, code, .. } = &row.fault;
        (row.line, column.header(), code.as_str())
    };
    rejected.iter().map(told).collect()
}
