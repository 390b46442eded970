//! Shots files and shots that are not what they should be: refused for what cannot be read and nothing else, and nothing else is lost.

use crate::people::{SHOTS_HEADER, ShotLine, cp932, csv, line, shots, still_there, store_of, ticket};
use crate::process::{Folder, sesshu};

fn bad_rows() -> Vec<(ShotLine, &'static str, &'static str)> {
    let bad = |change: fn(&mut ShotLine)| ShotLine::new(2, "x").with(change);
    vec![
        (bad(|row| row.ticket = "211310170000000002".into()), "接種券", "check_digit"),
        (bad(|row| row.ticket = "211399980000000002".into()), "接種券", "unknown_municipality"),
        (bad(|row| row.ticket = "21131016000000000".into()), "接種券", "not_digits"),
        (bad(|row| row.ticket = "21131016000000000X".into()), "接種券", "not_digits"),
        (bad(|row| row.ticket = String::new()), "接種券", "missing"),
        (bad(|row| row.date = "20210230".into()), "接種日", "not_a_date"),
        (bad(|row| row.date = "20210400".into()), "接種日", "not_a_date"),
        (bad(|row| row.date = String::new()), "接種日", "missing"),
        (bad(|row| row.dose = "0".into()), "接種回数", "unknown_value"),
        (bad(|row| row.dose = "100".into()), "接種回数", "not_digits"),
        (bad(|row| row.dose = String::new()), "接種回数", "missing"),
        (bad(|row| row.vaccine = "薬".repeat(21)), "メーカー", "over_long"),
        (bad(|row| row.lot = "L".repeat(21)), "ロット番号", "over_long"),
        (bad(|row| row.venue = "場".repeat(31)), "会場名", "over_long"),
        (bad(|row| row.institution = "123".into()), "医療機関コード", "not_digits"),
        (bad(|row| row.doctor = "医".repeat(21)), "医師名", "over_long"),
        (bad(|row| row.capture_id = "a b".into()), "読取ID", "unknown_value"),
        (bad(|row| row.capture_id = "i".repeat(41)), "読取ID", "over_long"),
        (bad(|row| row.doctor = "医,師".into()), "row", "field_count"),
    ]
}

#[test]
fn each_bad_row_is_answered_in_its_place_and_the_shots_around_it_are_recorded() {
    let folder = Folder::new();
    let store = store_of(&folder, 3);
    let bad = bad_rows();
    let mut rows = vec![ShotLine::new(1, "first")];
    rows.extend(bad.iter().map(|(row, ..)| row.clone()));
    rows.push(ShotLine::new(3, "last"));
    let (file, rejects) = (folder.write("shots.csv", shots(&rows)), folder.path("rejects.csv"));
    let objects = sesshu!["record", "--store", store, "--file", file, "--rejects", rejects, "--json"].code(1).objects();
    assert_eq!(objects.len(), rows.len() + 1);
    assert_eq!(objects[bad.len() + 2]["invalid"], bad.len());
    let text = std::fs::read_to_string(rejects).unwrap();
    let told: Vec<csv::StringRecord> =
        csv::Reader::from_reader(text.as_bytes()).records().map(Result::unwrap).collect();
    assert_eq!(told.len(), bad.len());
    for (at, ((row, column, code), told)) in bad.iter().zip(&told).enumerate() {
        let object = &objects[at + 1];
        assert_eq!(
            (&object["outcome"], &object["ticket"]),
            (&"invalid".into(), &row.ticket.as_str().into()),
            "{object}"
        );
        assert!(object["shot_id"].is_null() && object["sequence"].is_null());
        assert!(object["reason"].as_str().unwrap().starts_with(&format!("line {}: {column}", at + 3)), "{object}");
        assert_eq!([&told[0], &told[1], &told[2]], [&(at + 3).to_string(), *column, *code], "{told:?}");
    }
    still_there(&store, 1, 1);
    still_there(&store, 2, 0);
    still_there(&store, 3, 1);
}

#[test]
fn a_shot_that_happened_is_recorded_however_odd_it_is() {
    let folder = Folder::new();
    let store = store_of(&folder, 1);
    let odd = [
        ShotLine::new(1, "99th").with(|row| row.dose = "99".into()),
        ShotLine::new(1, "old").with(|row| row.date = "19990101".into()),
        ShotLine::new(1, "bare").with(|row| (row.vaccine, row.lot, row.venue) = Default::default()),
        ShotLine::new(1, "kind").with(|row| row.ticket = format!("9{}", &line(1)[1..])),
        ShotLine::new(4, "nobody"),
    ];
    let file = folder.write("shots.csv", shots(&odd));
    let objects = sesshu!["record", "--store", store, "--file", file, "--json"].code(0).objects();
    assert_eq!((&objects[5]["recorded"], &objects[4]["outcome"]), (&5.into(), &"orphan".into()));
    still_there(&store, 1, 4);
}

#[test]
fn bytes_in_a_wrong_encoding_refuse_their_row_only() {
    let folder = Folder::new();
    let store = store_of(&folder, 2);
    let mut bytes = shots(&[ShotLine::new(1, "a")]).into_bytes();
    bytes.extend(cp932(&format!("{}\r\n", ShotLine::new(2, "b"))));
    let file = folder.write("shots.csv", bytes);
    let objects = sesshu!["record", "--store", store, "--file", file, "--json"].code(1).objects();
    assert_eq!((&objects[0]["ticket"], &objects[1]["outcome"]), (&ticket(1).into(), &"invalid".into()));
    still_there(&store, 1, 1);
    still_there(&store, 2, 0);
}

#[test]
fn a_file_that_holds_no_shots_is_refused_with_2_and_changes_nothing() {
    let folder = Folder::new();
    let store = store_of(&folder, 1);
    for (name, bytes, word) in [
        ("empty.csv", vec![], "is empty"),
        ("register.csv", std::fs::read(folder.path("first.csv")).unwrap(), "it is a register file"),
        ("letter.csv", b"hello\r\n".to_vec(), "not a shots file"),
        ("lacking.csv", "接種券,接種日\n".into(), "lacks 接種回数, メーカー, ロット番号, 会場名"),
        ("book.xlsx", b"PK\x03\x04\x14\x00".to_vec(), "Excel"),
    ] {
        let file = folder.write(name, bytes);
        sesshu!["record", "--store", store, "--file", file].code(2).saying(&[&file, word]);
    }
    let missing = folder.path("missing.csv");
    sesshu!["record", "--store", store, "--file", missing].code(2).saying(&["there is no file", &missing]);
    still_there(&store, 1, 0);
    let header = folder.write("header.csv", csv(SHOTS_HEADER, &[]));
    let summary = sesshu!["record", "--store", store, "--file", header, "--json"].code(0).object();
    assert_eq!(summary["recorded"], 0);
}

#[test]
fn an_argument_at_fault_is_named_and_ends_with_2() {
    let folder = Folder::new();
    let store = store_of(&folder, 1);
    let good = [("--ticket", &*line(1)), ("--date", "2021-04-12"), ("--dose", "1"), ("--vaccine", "V")].map(owned);
    let good = [&good[..], &[("--lot", "L"), ("--venue", "N")].map(owned)].concat();
    for (option, value, words) in [
        ("--ticket", "211310170000012345".to_owned(), &["--ticket", "digit 8"][..]),
        ("--ticket", "2113101600000000".to_owned(), &["--ticket", "18 digits"]),
        ("--date", "2021-02-30".to_owned(), &["--date", "no day 30"]),
        ("--date", "yesterday".to_owned(), &["--date"]),
        ("--dose", "0".to_owned(), &["接種回数", "1 to 99"]),
        ("--vaccine", "薬".repeat(21), &["メーカー", "21 characters"]),
        ("--lot", "L".repeat(21), &["ロット番号", "21 characters"]),
        ("--venue", "場".repeat(31), &["会場名", "31 characters"]),
        ("--institution", "12345".to_owned(), &["医療機関コード", "ten digits"]),
        ("--doctor", "医".repeat(21), &["医師名", "21 characters"]),
        ("--capture-id", "a b".to_owned(), &["読取ID"]),
    ] {
        let mut arguments = vec!["record".to_owned(), "--store".to_owned(), store.clone()];
        for (name, good) in good.iter().filter(|(name, _)| name != option) {
            arguments.extend([name.clone(), good.clone()]);
        }
        arguments.extend([option.to_owned(), value]);
        let command = crate::process::command(arguments.iter().map(AsRef::as_ref));
        crate::process::run(command, "").code(2).saying(words);
    }
    still_there(&store, 1, 0);
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}
