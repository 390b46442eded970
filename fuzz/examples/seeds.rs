//! Writes the first inputs of every corpus: files of a small store of invented people, taken apart as the targets take them, and texts.
//!
//! `cargo run --example seeds` in this folder; what fuzzing finds beyond them is added by `cargo fuzz cmin`. Real stores draw their salts, so a second run
//! writes other bytes of the same shape.

use std::fs;
use std::path::Path;

use prost::Message as _;
use sesshu_engine::fuzzing;
use sesshu_engine::intake::{Act, Amendment, By, Change, Correction, Row, Sender, ShotRecord, ShotRef};
use sesshu_engine::ticket::TicketLine;
use sesshu_proto::v1::{Authority, HeldLoad, Manifest, Provisional, Shot};
use sesshu_tests::{
    CHIYODA, NAHA, Place, answer, load, municipality, my_number, raw_batches, record, resident, shot, shot_of_line, ticket,
};

const SEGMENT: &str = "log/0000000000000001.log";
const GENERATION: &str = "ledgers/131016/000001.gen";

fn main() {
    let place = small();
    let generation = fs::read(place.file(GENERATION)).expect("the generation is there");
    let segment = fs::read(place.file(SEGMENT)).expect("the segment is there");
    let second = log_of_two();
    frames(&segment, &generation);
    logs(&segment, &second);
    generations(&generation);
    impossible_entries(&generation);
    impossible_logs(&segment);
    manifests();
    held();
    checkpoints();
    ticket_lines();
    readers();
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).expect("a folder");
    assert!(bytes.len() < 4096, "{target}/{name} has {} bytes", bytes.len());
    fs::write(folder.join(name), bytes).expect("an input is written");
}

/// A closed store with a small generation of everything: rows with and without My Numbers and shots, an orphan, a person without a ticket, shots that were set
/// right; and shots, acts on them and a changed row in the tail.
fn small() -> Place {
    let place = Place::in_memory();
    let store = place.open();
    for number in [2, 5] {
        record(&store, shot(ticket(CHIYODA, number), number as u32, &format!("c-{number}")));
        record(&store, shot(ticket(CHIYODA, number), 9, ""));
    }
    without_ticket(&store, 1);
    act(&store, 2, Act::Correct(Box::new(Correction { lot: Some("FA0001".into()), ..Correction::default() })));
    act(&store, 2, Act::Confirm);
    act(&store, 5, Act::Reassign(ticket(CHIYODA, 1)));
    let mut load = store.load(municipality(CHIYODA)).expect("no other load is under way");
    load.sent_by(Sender::check("情報係", "月次").expect("short texts"));
    for number in 1..=4 {
        let my_number = (number % 2 == 0).then(|| my_number(number));
        load.push(Row::check(number, my_number, resident(number, 1), 0).expect("a row")).expect("it is taken");
    }
    load.commit(None).expect("the register is loaded");
    record(&store, shot(ticket(CHIYODA, 1), 20, "t-1"));
    let ward = TicketLine::parse("230110110000000001").expect("a line with the code of a ward");
    record(&store, shot_of_line(ward, 21, "t-6"));
    record(&store, shot(ticket(NAHA, 1), 22, ""));
    change(&store, 4);
    act(&store, 2, Act::Unlock);
    act(&store, 1, Act::Void);
    without_ticket(&store, 2);
    drop(store);
    place
}

/// An act on the newest shot of a ticket of Chiyoda that is in force.
fn act(store: &sesshu_engine::Store, number: u64, act: Act) {
    let ticket = ticket(CHIYODA, number);
    let shot_id = answer(&store.view(), ticket).shots().last().expect("it has a shot").shot_id;
    let authority = Authority::MunicipalityStaff;
    let by = By { who: "係員 7".into(), reason: "読み違い".into(), authority, batch: "b-1".into() };
    let amendment = Amendment::check(ShotRef { ticket, shot_id }, act, by, None, None).expect("an act that can be done");
    let answers = store.amend(&[amendment]);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

/// A shot of a person without a ticket.
fn without_ticket(store: &sesshu_engine::Store, content: u32) {
    let provisional = Some(Provisional { name_kana: "ミホン　ハナコ".into(), birth_date: 19_560_203 });
    let shot = Shot { provisional, ..shot(ticket(CHIYODA, 1), content, "").shot().clone() };
    record(store, ShotRecord::check_without_ticket(municipality(CHIYODA), shot).expect("a shot"));
}

/// A row of Chiyoda becomes another.
fn change(store: &sesshu_engine::Store, number: u64) {
    let row = Row::check(number, Some(my_number(number)), resident(number, 2), 0).expect("a row");
    let answers = store.change(&[Change::row(municipality(CHIYODA), row)]).expect("the key is there");
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

/// The segments of a store that was killed and opened again.
fn log_of_two() -> Vec<Vec<u8>> {
    let place = Place::in_memory();
    let store = place.open();
    load(&store, CHIYODA, 1..3, 1);
    record(&store, shot(ticket(CHIYODA, 1), 1, "a"));
    record(&store, shot(ticket(CHIYODA, 1), 2, "b"));
    let copy = place.copy();
    let store = copy.open();
    record(&store, shot(ticket(CHIYODA, 1), 3, "c"));
    change(&store, 1);
    drop(store);
    let segments = copy.segments();
    segments.iter().map(|name| fs::read(copy.file(name)).expect("a segment")).collect()
}

fn number(bytes: &[u8], at: usize, width: usize) -> u64 {
    bytes[at..at + width].iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

fn frames(segment: &[u8], generation: &[u8]) {
    let frame = |file: &[u8], at: usize| {
        let salt_at = if file.starts_with(b"SesshuLg") { 56 } else { 48 };
        let size = (32 + number(file, at, 4) as usize).next_multiple_of(8);
        let bytes = [&file[salt_at..salt_at + 8], &(at as u64).to_le_bytes(), &file[at..at + size]].concat();
        (bytes, at + size)
    };
    for (index, batch) in raw_batches(segment).iter().filter(|batch| batch.count > 0).enumerate() {
        write("frame", &format!("event-{index}"), &frame(segment, batch.at + 48).0);
    }
    let mut at = 8192;
    for index in 0..4 {
        let (bytes, next) = frame(generation, at);
        write("frame", &format!("entry-{index}"), &bytes);
        at = next;
    }
    let cold = sections(generation)[4].0;
    write("frame", "cold", &frame(generation, cold).0);
    write("frame", "zeros", &[0; 56]);
}

/// A segment as the target takes one.
fn part(segment: &[u8]) -> Vec<u8> {
    let batches = raw_batches(segment);
    let end = batches.last().map_or(8192, |last| last.at + last.size);
    let length = (end - 8192) as u16;
    [&segment[..96], &length.to_le_bytes(), &segment[8192..end]].concat()
}

fn logs(segment: &[u8], second: &[Vec<u8>]) {
    let end = raw_batches(segment).last().map(|last| last.at + last.size).expect("a batch");
    let place = ((end / 8) as u16).to_le_bytes();
    let first = part(segment);
    for flags in [0, 1, 64, 67, 76, 79, 83, 99, 192, 195] {
        write("log", &format!("one-{flags}"), &[&[flags, place[0], place[1], 2, 1][..], &first].concat());
    }
    let both: Vec<u8> = second.iter().flat_map(|segment| part(segment)).collect();
    for flags in [0, 1, 67, 71, 195] {
        write("log", &format!("two-{flags}"), &[&[flags, place[0], place[1], 2, 2][..], &both].concat());
    }
    let mut foreign = [&[65, 0, 0, 0, 0][..], &both].concat();
    foreign[5 + part(&second[0]).len() + 16] ^= 1;
    write("log", "of-another-store", &foreign);
    let torn = &first[..first.len() - 20];
    write("log", "torn", &[&[67, 0, 0, 0, 0][..], torn].concat());
    write("log", "none", &[64, 0, 0, 0, 0]);
}

/// Offset and length of the sections that the target lays out: entries, index, resident numbers, dictionary, cold.
fn sections(generation: &[u8]) -> Vec<(usize, usize)> {
    let footer = &generation[generation.len() - 512..];
    let count = number(footer, 12, 4) as usize;
    let place = |tag: u64| {
        let at = (64..).step_by(24).take(count).find(|&at| number(footer, at, 4) == tag).expect("a section");
        (number(footer, at + 8, 8) as usize, number(footer, at + 16, 8) as usize)
    };
    (1..=5).map(place).collect()
}

fn generations(generation: &[u8]) {
    let sections: Vec<&[u8]> = sections(generation).iter().map(|&(at, length)| &generation[at..at + length]).collect();
    let lengths: Vec<u8> = sections[..4].iter().flat_map(|section| (section.len() as u16).to_le_bytes()).collect();
    let salt = &generation[48..56];
    let file = |flags: u8, patches: &[u8]| [&[flags][..], salt, patches, &lengths, &sections.concat()].concat();
    for flags in [2, 3, 11, 15] {
        write("generation", &format!("whole-{flags}"), &file(flags, &[0]));
    }
    // The offset of the index; the length of the dictionary; a count of shots.
    for (name, from_end) in [("index", 511 - 96_u16), ("dictionary", 511 - 152), ("shots", 511 - 56)] {
        let at = from_end.to_le_bytes();
        write("generation", &format!("patched-{name}"), &file(15, &[1, at[0], at[1], 8]));
    }
    let empty = [&[15][..], salt, &[0; 9]].concat();
    write("generation", "empty", &empty);
}

/// Entries that validate and cannot be: each made a reader panic, or worse.
fn impossible_entries(generation: &[u8]) {
    let salt = &generation[48..56];
    let entry = |ticket_bits: u64, payload: &[u8]| {
        let header = [&(payload.len() as u32).to_le_bytes()[..], &[0; 4], &[64, 0, 0, 0, 0, 0, 0, 0]].concat();
        let mut frame = [&header[..], &ticket_bits.to_le_bytes(), &[0; 8], payload].concat();
        frame.resize(frame.len().next_multiple_of(8), 0);
        frame
    };
    let chiyoda = ticket(CHIYODA, 1).to_bits();
    let row = [&[4][..], b"\x12\x02AB"].concat();
    let with = |rest: &[u8]| [&row[..], rest].concat();
    let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f];
    for (name, entry) in [
        ("of-another-municipality", entry(ticket(NAHA, 1).to_bits(), &with(&[0, 0]))),
        ("of-no-number", entry(chiyoda | ((1 << 34) - 1), &with(&[0, 0]))),
        ("of-more-shots-than-bytes", entry(chiyoda, &with(&[&[0][..], &most].concat()))),
        ("of-nothing", entry(chiyoda, &[0, 0, 0])),
        ("of-a-cold-entry-out-of-reach", entry(chiyoda, &with(&[&most[..], &[0]].concat()))),
    ] {
        let lengths = [&(entry.len() as u16).to_le_bytes()[..], &[0; 6]].concat();
        write("generation", &format!("entry-{name}"), &[&[15][..], salt, &[0], &lengths, &entry].concat());
    }
}

/// Batches and headers that validate and cannot be.
fn impossible_logs(segment: &[u8]) {
    let header = &segment[..96];
    let mark = |count: u32, sequence: u64, time_ms: u64, frames: &[u8]| {
        let mut batch = [&b"Sbat\0\0\0\0"[..], &(frames.len() as u32).to_le_bytes(), &count.to_le_bytes()].concat();
        batch.extend_from_slice(&[sequence.to_le_bytes(), time_ms.to_le_bytes()].concat());
        batch.resize(48, 0);
        batch.extend_from_slice(frames);
        batch
    };
    let frame = |sequence: u64| {
        let mut frame = vec![0; 40];
        (frame[0], frame[8]) = (1, 1);
        frame[24..32].copy_from_slice(&sequence.to_le_bytes());
        frame
    };
    let log = |name: &str, flags: u8, base_sequence: u64, batch: &[u8]| {
        let mut header = header.to_vec();
        header[48..56].copy_from_slice(&base_sequence.to_le_bytes());
        let length = (batch.len() as u16).to_le_bytes();
        write("log", name, &[&[flags, 0, 0, 0, 0][..], &header, &length, batch].concat());
    };
    log("begins-with-sequence-0", 65, 0, &[]);
    log("time-of-a-later-age", 65, 1, &mark(0, 1, 1 << 48, &[]));
    let last = [frame(u64::MAX), frame(0)].concat();
    log("behind-the-last-sequence", 65, u64::MAX, &mark(2, u64::MAX, 0, &last));
    write("log", "vouched-and-not-there", &[68, 0, 0, 5, 0]);
}

fn manifests() {
    let bytes = fuzzing::fixture_files().manifest;
    let (header, message) = bytes.split_at(24);
    for flags in [0, 1, 3, 4, 7] {
        write("manifest", &format!("closed-{flags}"), &[&[flags], &bytes[..]].concat());
    }
    let mut manifest = Manifest::decode(message).expect("a manifest");
    manifest.closed = false;
    write("manifest", "open", &[&[7], header, &manifest.encode_to_vec()].concat());
    manifest.checkpoint = None;
    write("manifest", "without-checkpoint", &[&[7], header, &manifest.encode_to_vec()].concat());
    manifest.generations.clear();
    write("manifest", "without-generations", &[&[7], header, &manifest.encode_to_vec()].concat());
    let first = Manifest { store_id: vec![7; 16], lookup_key: vec![7; 16], ..Manifest::default() };
    for flags in [3, 7] {
        write("manifest", &format!("first-{flags}"), &[&[flags], header, &first.encode_to_vec()].concat());
    }
}

fn held() {
    let bytes = fuzzing::fixture_files().held;
    for flags in [0, 1, 3] {
        write("held", &format!("whole-{flags}"), &[&[flags], &bytes[..]].concat());
    }
    let (header, message) = bytes.split_at(24);
    let mut held = HeldLoad::decode(message).expect("a held load");
    held.expires_at = 1;
    write("held", "expired", &[&[3], header, &held.encode_to_vec()].concat());
    (held.expires_at, held.removed_percent) = (u64::MAX, 1000);
    write("held", "of-more-than-a-hundred-percent", &[&[3], header, &held.encode_to_vec()].concat());
    held = HeldLoad { rows: u64::MAX, removed: u64::MAX, known: u64::MAX, ..HeldLoad::decode(message).expect("one") };
    write("held", "of-more-rows-than-there-are", &[&[3], header, &held.encode_to_vec()].concat());
}

fn checkpoints() {
    let bytes = fuzzing::fixture_files().checkpoint;
    for flags in [0, 1, 3, 7] {
        write("checkpoint", &format!("whole-{flags}"), &[&[flags], &bytes[..]].concat());
    }
    write("checkpoint", "short", &[&[7], &bytes[..bytes.len() - 16]].concat());
    write("checkpoint", "empty", &[7]);
    let mut behind = bytes.clone();
    for (name, at) in
        [("behind-the-last-sequence", 40), ("of-a-later-age", 48), ("of-more-events-than-there-were", 64 + 24)]
    {
        let mut bytes = bytes.clone();
        bytes[at..at + 8].fill(0xff);
        write("checkpoint", name, &[&[7], &bytes[..]].concat());
    }
    // An older generation in the first ledger.
    behind[64 + 8..64 + 16].fill(0);
    write("checkpoint", "behind", &[&[7], &behind[..]].concat());
}

fn ticket_lines() {
    let texts = [
        "211310160000012345",
        "２１１３１０１６００００１２３４５",
        "2113 1016 0000 0123 45\r\n",
        "22-112241-9876543210",
        "230110110000000001",
        "211310170000012345",
        "211300010000012345",
        "21131016000001234",
        "2113101600000123456",
        "21131016O000012345",
        "ー２１　１３１０１６　００００００００１２",
        "",
    ];
    for (index, text) in texts.iter().enumerate() {
        write("ticket_line", &format!("text-{index:02}"), text.as_bytes());
    }
    write("ticket_line", "decimal", &211_310_160_000_012_345_u64.to_le_bytes());
    write("ticket_line", "bits", &ticket(CHIYODA, 12_345).to_bits().to_le_bytes());
}

fn readers() {
    let register = [
        "131016,0000000002,,,表ソ 花子,ヒョウソ　ハナコ,19400000,2,転出,20210501,1\r\n",
        "131016,0000000003,000125,621498320257,髙﨑 翔,タカサキ　ショウ,,9,,,0\n",
        "\"131016\",\"0000000004\",\"\",\"\",\"山田, \"\"太郎\"\"\",\"\",\"\",\"\",\"削除\",\"\",\"0\"\r\n",
        "１３１０１６,　００００００００１０,　000123 ,1234-5678-9018,山田,,１９７０／０１／３１,１, 新規 ,2021-04-01,０\n",
        "131017,1,,,,,,,,,\n",
        "131016,0000000005,,,\"山田,ﾔ,,,,,0\n",
        "141003,0000000001,,,山田,ﾔ,,,,,0\n\n\r\n\u{1a}",
    ];
    let shots = [
        "211310160000000001,20210412,1,ファイザー,EW0203,中央会場,1310123456,佐藤,t1-1\r\n",
        "230110110000000001,2021/05/03,２,武田／モデルナ,\"3002,182\",\"\",,,\n",
        "211310170000000001,20210431,0,,,,12,,ｔ\n",
        "\"211310160000000001\",\"20210412\",\"1\",\"A\"\"\",\"B\",\"C\",\"\",\"\",\"\"\n",
    ];
    let texts = [(0, &register[..]), (1, &shots[..])];
    for (kind, rows) in texts {
        for (index, row) in rows.iter().enumerate() {
            write("reader", &format!("row-{kind}-{index}"), &[&[kind | 6][..], row.as_bytes()].concat());
            let (cp932, _, _) = encoding_rs::SHIFT_JIS.encode(row);
            write("reader", &format!("row-{kind}-{index}-cp932"), &[&[kind | 30][..], &cp932].concat());
        }
        let all = rows.concat();
        write("reader", &format!("rows-{kind}"), &[&[kind | 2][..], all.as_bytes()].concat());
    }
    let whole = "\u{feff}支援措置,自治体コード,券番号,宛名番号,個人番号,氏名,氏名カナ,生年月日,性別,異動区分,異動日,備考\r\n\
                 0,131016,0000000001,000123,123456789018,山田 太郎,ﾔﾏﾀﾞ,19700131,1,変更,20210401,\"一行\r\n二行\"\r\n";
    write("reader", "whole", &[&[0][..], whole.as_bytes()].concat());
    let gaiji = [&[14][..], b"131016,0000000006,,,\xf0\x40\xfb\xfc,,,,,,0\r\n"].concat();
    write("reader", "gaiji", &gaiji);
    write("reader", "excel", b"\0PK\x03\x04");
}
