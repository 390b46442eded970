//! Any bytes as a register or shots file: the body of the fuzz target `reader` and of its smoke test.
//!
//! An input is flags (u8) and a file, or what follows the header line of one. Owns the property, and its own writing of rows that were accepted.

use std::cell::RefCell;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use encoding_rs::SHIFT_JIS;
use sesshu::input::{InputError, RegisterFile, RejectedRow, ShotsFile};
use sesshu_engine::intake::{Row, ShotRecord};
use sesshu_engine::ticket::{Municipality, NUMBER_MAX};
use sesshu_proto::v1::{Resident, ResidentStatus};
use tempfile::NamedTempFile;

/// A shots file; else a register.
const SHOTS: u8 = 1;
/// The header line comes before the input.
const HEADER: u8 = 2;
/// And a row that is right.
const ROW: u8 = 4;
/// What comes before the input is in CP932; else in UTF-8.
const CP932: u8 = 8;
/// What was accepted is written with quotes around every field.
const QUOTES: u8 = 16;

const REGISTER_COLUMNS: &str =
    "自治体コード,券番号,宛名番号,個人番号,氏名,氏名カナ,生年月日,性別,異動区分,異動日,支援措置";
const REGISTER_ROW: &str = "131016,0000000001,000123,123456789018,山田 太郎,ﾔﾏﾀﾞ ﾀﾛｳ,19700131,1,新規,20210401,0";
const SHOTS_COLUMNS: &str = "接種券,接種日,接種回数,メーカー,ロット番号,会場名,医療機関コード,医師名,読取ID";
const SHOTS_ROW: &str = "211310160000000001,20210412,1,ファイザー,EW0203,中央会場,1310123456,佐藤,t1-1";

/// Digits in a row that could be a My Number: the first eleven determine the twelfth.
const HIDDEN_DIGITS: usize = 11;

/// A file is read to its end or refused as a whole. Every row is accepted or rejected, once, with its line and its column; what was accepted and is written
/// as a file comes back as it was, in either encoding.
pub(crate) fn reader(input: &[u8]) {
    let Some((&flags, rest)) = input.split_first() else { return };
    let shots = flags & SHOTS != 0;
    let (columns, row) = if shots { (SHOTS_COLUMNS, SHOTS_ROW) } else { (REGISTER_COLUMNS, REGISTER_ROW) };
    let mut text = String::new();
    for (flag, line) in [(HEADER, columns), (ROW, row)] {
        if flags & flag != 0 {
            text.push_str(line);
            text.push_str("\r\n");
        }
    }
    let mut bytes = if flags & CP932 != 0 { SHIFT_JIS.encode(&text).0.into_owned() } else { text.into_bytes() };
    bytes.extend_from_slice(rest);
    if shots { read_shots(&bytes, flags) } else { read_register(&bytes, flags) }
}

fn read_register(bytes: &[u8], flags: u8) {
    let path = put(bytes);
    let Some((municipality, rows)) = register_rows(&path, bytes) else { return };
    let records: Vec<Vec<String>> = rows.iter().map(|row| fields_of_row(municipality, row)).collect();
    for bytes in written(REGISTER_COLUMNS, &records, flags) {
        let path = put(&bytes);
        let (again, read) = register_rows(&path, &bytes).expect("a register that was written is one");
        assert_eq!(again, municipality);
        assert!(rows.iter().map(content).eq(read.iter().map(content)), "rows that were written come back");
    }
}

/// The municipality and the rows of a file; `None` if it was refused.
fn register_rows(path: &Path, bytes: &[u8]) -> Option<(Municipality, Vec<Row>)> {
    let mut file = RegisterFile::open(path).map_err(|error| refused(&error)).ok()?;
    let (mut rows, mut rejected) = (Vec::new(), Vec::new());
    let mut order = Order::of(bytes);
    while file.next_batch(&mut rows, &mut rejected, 1).expect("a file that is there is read") {
        let (row, fault) = (rows.get(order.accepted), rejected.get(order.rejected));
        order.next(row.map(Row::line), fault.map(|fault| fault.line));
    }
    assert_eq!((rows.len(), rejected.len()), (order.accepted, order.rejected), "the end of a file is no row");
    assert_eq!(file.bytes_read(), file.bytes_total());
    for row in &rows {
        assert!(row.number() <= NUMBER_MAX && !row.resident().name.trim().is_empty());
    }
    for row in &rejected {
        told(row);
        assert!(row.ticket.is_none() && row.kept_number.is_none_or(|number| number <= NUMBER_MAX));
        for text in [&row.row, &row.fault.reason] {
            let longest = text.split(|c: char| !c.is_numeric()).map(|run| run.chars().count()).max();
            assert!(longest < Some(HIDDEN_DIGITS), "what may be a My Number is hidden: {text}");
        }
    }
    let _ = (file.encoding(), file.ignored_columns());
    Some((file.municipality(), rows))
}

fn content(row: &Row) -> (u64, Option<u64>, &Resident) {
    (row.number(), row.my_number().map(|number| number.reveal()), row.resident())
}

/// A row's fields as a register writes them.
fn fields_of_row(municipality: Municipality, row: &Row) -> Vec<String> {
    let resident = row.resident();
    let change = match resident.status() {
        ResidentStatus::Unspecified | ResidentStatus::Active => "変更",
        ResidentStatus::MovedOut => "転出",
        ResidentStatus::Deceased => "死亡",
        ResidentStatus::Removed => "削除",
    };
    let date = |value: u32| if value == 0 { String::new() } else { format!("{value:08}") };
    vec![
        format!("{:06}", municipality.code()),
        format!("{:010}", row.number()),
        resident.resident_number.clone(),
        row.my_number().map(|number| format!("{:012}", number.reveal())).unwrap_or_default(),
        resident.name.clone(),
        resident.name_kana.clone(),
        date(resident.birth_date),
        resident.sex.to_string(),
        change.to_owned(),
        date(resident.status_date),
        u8::from(resident.protected).to_string(),
    ]
}

fn read_shots(bytes: &[u8], flags: u8) {
    let path = put(bytes);
    let Some(shots) = shot_records(&path, bytes) else { return };
    let records: Vec<Vec<String>> = shots.iter().map(fields_of_shot).collect();
    for bytes in written(SHOTS_COLUMNS, &records, flags) {
        let path = put(&bytes);
        let read = shot_records(&path, &bytes).expect("a shots file that was written is one");
        assert!(shots == read, "shots that were written come back");
    }
}

fn shot_records(path: &Path, bytes: &[u8]) -> Option<Vec<ShotRecord>> {
    let mut file = ShotsFile::open(path).map_err(|error| refused(&error)).ok()?;
    let (mut shots, mut rejected) = (Vec::new(), Vec::new());
    let mut order = Order::of(bytes);
    while file.next_batch(&mut shots, &mut rejected, 1).expect("a file that is there is read") {
        let (shot, fault) = (shots.get(order.accepted), rejected.get(order.rejected));
        order.next(shot.map(|shot| shot.line), fault.map(|fault| fault.line));
    }
    assert_eq!((shots.len(), rejected.len()), (order.accepted, order.rejected), "the end of a file is no row");
    assert_eq!(file.bytes_read(), file.bytes_total());
    for row in &rejected {
        told(row);
        assert!(row.kept_number.is_none());
    }
    let _ = (file.encoding(), file.ignored_columns());
    Some(shots.into_iter().map(|shot| shot.record).collect())
}

/// A shot's fields as a file of shots writes them.
fn fields_of_shot(record: &ShotRecord) -> Vec<String> {
    let shot = record.shot();
    vec![
        record.line().map_or_else(|| record.ticket().to_string(), |line| format!("{line:018}")),
        format!("{:08}", shot.date),
        shot.dose.to_string(),
        shot.vaccine.clone(),
        shot.lot.clone(),
        shot.venue.clone(),
        shot.institution.clone(),
        shot.doctor.clone(),
        shot.capture_id.clone(),
    ]
}

/// The lines that rows were told on.
struct Order {
    lines: u64,
    last: u64,
    accepted: usize,
    rejected: usize,
}

impl Order {
    fn of(bytes: &[u8]) -> Order {
        let lines = bytes.iter().filter(|&&byte| byte == b'\n').count() as u64 + 1;
        Order { lines, last: 1, accepted: 0, rejected: 0 }
    }

    /// A row was read: it went to one of the two lists, and its line is behind that of the row before.
    fn next(&mut self, accepted: Option<u64>, rejected: Option<u64>) {
        let line = match (accepted, rejected) {
            (Some(line), None) => {
                self.accepted += 1;
                line
            }
            (None, Some(line)) => {
                self.rejected += 1;
                line
            }
            both => panic!("a row is accepted or rejected: {both:?}"),
        };
        assert!(line > self.last && line <= self.lines, "line {line} after {} of {}", self.last, self.lines);
        self.last = line;
    }
}

/// A rejected row names its column and reason, and is not shown without end.
fn told(row: &RejectedRow) {
    assert!(!row.fault.column.header().is_empty() && !row.fault.reason.is_empty());
    assert!(row.row.chars().count() <= 4097);
    assert!(!format!("{row:?}").is_empty());
}

/// A file as a whole is refused in words.
fn refused(error: &InputError) {
    assert!(
        !matches!(error, InputError::NotFound { .. } | InputError::Open { .. } | InputError::Read { .. }),
        "{error}"
    );
    assert!(!error.to_string().is_empty());
}

/// A file of these records in UTF-8, and in CP932 if that has all of their characters.
fn written(columns: &str, records: &[Vec<String>], flags: u8) -> Vec<Vec<u8>> {
    if records.is_empty() {
        return Vec::new();
    }
    let quotes = if flags & QUOTES != 0 { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .quote_style(quotes)
        .from_writer(format!("{columns}\r\n").into_bytes());
    for record in records {
        writer.write_record(record).expect("a vector grows");
    }
    let text = writer.into_inner().expect("a vector grows");
    let mut files = vec![text];
    let utf8 = str::from_utf8(&files[0]).expect("fields are text");
    let (encoded, _, unmappable) = SHIFT_JIS.encode(utf8);
    // A few characters are encoded as one that they resemble.
    if !unmappable && SHIFT_JIS.decode_without_bom_handling(&encoded).0 == utf8 {
        let encoded = encoded.into_owned();
        files.push(encoded);
    }
    files
}

/// Puts the bytes into the one file that this thread uses, in memory where the machine has a file system there.
fn put(bytes: &[u8]) -> PathBuf {
    thread_local! {
        static FILE: RefCell<NamedTempFile> = RefCell::new({
            let memory = Path::new("/dev/shm");
            if memory.is_dir() { NamedTempFile::new_in(memory) } else { NamedTempFile::new() }.expect("a temporary file")
        });
    }
    FILE.with_borrow_mut(|file| {
        let path = file.path().to_owned();
        let file = file.as_file_mut();
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(bytes)).expect("the file is written");
        path
    })
}
