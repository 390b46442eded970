//! Registers that are not what they should be: each is told by name and reason, and the register from before still answers.

use crate::people::{CHIYODA, Person, REGISTER_HEADER, cp932, csv, line, register, still_there, store_of};
use crate::process::{Folder, NEVER_HELD, sesshu};

/// Rows that must be rejected: what is wrong with each, and the column and code that it is told by.
fn bad_rows() -> Vec<(Person, &'static str, &'static str)> {
    let bad = |number, change: fn(&mut Person)| Person::new(number).with(change);
    vec![
        (bad(11, |row| row.municipality = "131017".into()), "自治体コード", "check_digit"),
        (bad(12, |row| row.municipality = "139998".into()), "自治体コード", "unknown_municipality"),
        (bad(13, |row| row.municipality = "130001".into()), "自治体コード", "unknown_municipality"),
        (bad(14, |row| row.municipality = "011002".into()), "自治体コード", "other_municipality"),
        (bad(15, |row| row.municipality = "13101".into()), "自治体コード", "not_digits"),
        (bad(16, |row| row.number = "123".into()), "券番号", "not_digits"),
        (bad(17, |row| row.number = String::new()), "券番号", "missing"),
        (bad(18, |row| row.number = "00000000018".into()), "券番号", "not_digits"),
        (bad(19, |row| row.resident_number = "A".repeat(16)), "宛名番号", "over_long"),
        (bad(20, |row| row.my_number = "123456789010".into()), "個人番号", "check_digit"),
        (bad(21, |row| row.my_number = "12345678901".into()), "個人番号", "not_digits"),
        (bad(22, |row| row.my_number = "000000000000".into()), "個人番号", "unknown_value"),
        (bad(23, |row| row.name = "字".repeat(61)), "氏名", "over_long"),
        (bad(24, |row| row.name = String::new()), "氏名", "missing"),
        (bad(25, |row| row.name_kana = "カ".repeat(61)), "氏名カナ", "over_long"),
        (bad(26, |row| row.name = "試験\u{7}".into()), "氏名", "control_character"),
        (bad(27, |row| row.birth_date = "20210230".into()), "生年月日", "not_a_date"),
        (bad(28, |row| row.birth_date = "19561303".into()), "生年月日", "not_a_date"),
        (bad(29, |row| row.birth_date = "昭和31年".into()), "生年月日", "not_a_date"),
        (bad(30, |row| row.change_date = "20210400".into()), "異動日", "not_a_date"),
        (bad(31, |row| row.sex = "男".into()), "性別", "unknown_value"),
        (bad(32, |row| row.change = "転居".into()), "異動区分", "unknown_value"),
        (bad(33, |row| row.protected = String::new()), "支援措置", "missing"),
        (bad(34, |row| row.protected = "2".into()), "支援措置", "unknown_value"),
        (bad(35, |row| row.protected = "0,9".into()), "row", "field_count"),
        (bad(36, |row| row.name = "試\"験".into()), "row", "not_csv"),
    ]
}

#[test]
fn each_bad_row_is_rejected_by_column_and_code_and_the_rest_goes_on() {
    let folder = Folder::new();
    let store = store_of(&folder, 40);
    let mut rows = vec![Person::new(1)];
    rows.extend(bad_rows().into_iter().map(|(row, ..)| row));
    rows.extend([Person::new(2), Person::new(99)]);
    let (file, rejects) = (folder.write("second.csv", register(&rows)), folder.path("rejects.csv"));
    let ended =
        sesshu!["load", "--store", store, file, "--rejects", rejects, "--json", NEVER_HELD[0], NEVER_HELD[1]].code(1);
    let bad = bad_rows();
    assert_eq!(ended.objects()[0]["accepted"], 3);
    assert_eq!(ended.objects()[1]["rejected"], bad.len());
    let text = std::fs::read_to_string(&rejects).unwrap();
    let told: Vec<csv::StringRecord> =
        csv::Reader::from_reader(text.as_bytes()).records().map(Result::unwrap).collect();
    assert_eq!(told.len(), bad.len());
    for (at, ((_, column, code), told)) in bad.iter().zip(&told).enumerate() {
        assert_eq!([&told[0], &told[1], &told[2]], [&(at + 3).to_string(), *column, *code], "{told:?}");
        assert!(!told[3].is_empty());
    }
    assert!(!text.contains("12345678901"), "a My Number in {text}");
    // The new row, and one whose row was rejected though its number can be read.
    still_there(&store, 99, 0);
    let kept = sesshu!["match", "--store", store, line(27), "--json"].code(0).object();
    assert_eq!(
        (&kept["resident"]["status"], &kept["resident"]["birth_date"]),
        (&"active".into(), &"1956-02-03".into())
    );
}

#[test]
fn birth_dates_with_an_unknown_month_or_day_are_valid() {
    let folder = Folder::new();
    let dates = ["19400000", "19400500", "1940-05-00"];
    let people: Vec<Person> =
        (1..).zip(dates).map(|(number, date)| Person::new(number).with(|row| row.birth_date = date.into())).collect();
    let (store, file) = (folder.path("store"), folder.write("register.csv", register(&people)));
    sesshu!["load", "--store", store, file].code(0);
    let ledger = sesshu!["ledger", "--store", store, CHIYODA, "--json"].code(0).objects();
    let told: Vec<&str> = ledger.iter().map(|object| object["resident"]["birth_date"].as_str().unwrap()).collect();
    assert_eq!(told, ["1940-00-00", "1940-05-00", "1940-05-00"]);
}

#[test]
fn bytes_in_a_wrong_encoding_reject_their_row_only() {
    let folder = Folder::new();
    let store = store_of(&folder, 2);
    let mut utf8 = register(&[Person::new(1)]).into_bytes();
    utf8.extend(cp932(&format!("{}\r\n", Person::new(2))));
    let mut windows = cp932(&register(&[Person::new(1)]));
    windows.extend(Person::new(2).with(|row| row.name = "\u{20bb7}野".into()).to_string().into_bytes());
    for (name, bytes) in [("utf8.csv", utf8), ("windows.csv", windows)] {
        let (file, rejects) = (folder.write(name, bytes), folder.path("rejects.csv"));
        let loaded =
            sesshu!["load", "--store", store, file, "--rejects", rejects, "--json", NEVER_HELD[0], NEVER_HELD[1]]
                .code(1)
                .objects();
        assert_eq!((&loaded[0]["accepted"], &loaded[0]["rejected"]), (&1.into(), &1.into()), "{name}");
        assert!(std::fs::read_to_string(rejects).unwrap().contains("\r\n3,"), "{name}");
        still_there(&store, 2, 0);
    }
}

/// Files that are no register: name, bytes, and what is told of them.
fn no_registers() -> Vec<(&'static str, Vec<u8>, &'static [&'static str])> {
    let one = Person::new(1).to_string();
    let without_sex = |line: &str| line.replace(",性別", "").replace(",2,", ",");
    vec![
        ("empty.csv", vec![], &["is empty"]),
        ("blank.csv", b"\r\n\r\n".to_vec(), &["is empty"]),
        ("header.csv", csv(REGISTER_HEADER, &[]).into_bytes(), &["no rows"]),
        ("book.xlsx", b"PK\x03\x04\x14\x00".to_vec(), &["Excel"]),
        ("wide.csv", register(&[]).encode_utf16().flat_map(u16::to_le_bytes).collect(), &["binary data"]),
        ("marked-wide.csv", b"\xff\xfe\x00\x4e".to_vec(), &["UTF-16"]),
        ("letter.csv", "拝啓\r\n春暖の候\r\n".into(), &["not a register file", "header line"]),
        ("shots.csv", crate::people::shots(&[crate::people::ShotLine::new(1, "a")]).into(), &["it is a shots file"]),
        ("lacking.csv", without_sex(&format!("{REGISTER_HEADER}\n{one}\n")).into(), &["lacks 性別"]),
        ("twice.csv", format!("氏名,{REGISTER_HEADER}\n氏,{one}\n").into(), &["氏名 twice"]),
        ("quote.csv", format!("\"{REGISTER_HEADER}\n{one}\n").into(), &["stray quote"]),
        (
            "unreadable.csv",
            register(&[Person::new(1).with(|row| row.municipality = "999999".into())]).into(),
            &["自治体コード", "line 2"],
        ),
    ]
}

#[test]
fn a_file_that_is_no_register_is_refused_with_2_and_changes_nothing() {
    let folder = Folder::new();
    let store = store_of(&folder, 2);
    let status = || {
        let mut status = sesshu!["status", "--store", store, "--json"].code(0).object();
        // The disk is everybody's.
        status.as_object_mut().unwrap().remove("available_bytes");
        status
    };
    let before = status();
    for (name, bytes, words) in no_registers() {
        let file = folder.write(name, bytes);
        let said = [&[&*file], words].concat();
        assert_eq!(sesshu!["load", "--store", store, file, "--json"].code(2).saying(&said).stdout, "", "{name}");
    }
    assert_eq!(status(), before);
    still_there(&store, 2, 0);
}

#[test]
fn a_register_without_one_good_row_is_refused_and_the_one_before_stays() {
    let folder = Folder::new();
    let store = store_of(&folder, 2);
    let file = folder.write("bad.csv", register(&[Person::new(1).with(|row| row.sex = "3".into())]));
    let rejects = folder.path("rejects.csv");
    let ended = sesshu!["load", "--store", store, file, "--rejects", rejects].code(2);
    ended.saying(&["not one row", "stays as it was"]);
    assert!(std::fs::read_to_string(rejects).unwrap().contains("性別"), "the rows are told all the same");
    still_there(&store, 1, 0);
    still_there(&store, 2, 0);
}

#[test]
fn names_that_lead_nowhere_are_told() {
    let folder = Folder::new();
    let store = store_of(&folder, 1);
    let missing = folder.path("missing");
    sesshu!["load", "--store", store, missing].code(2).saying(&["there is no file", &missing]);
    // A file where a directory would have to be: nobody can read through it, whatever their rights.
    let through = format!("{}/register.csv", folder.write("file", ""));
    sesshu!["load", "--store", store, through].code(2).saying(&["cannot open", &through]);
    std::fs::create_dir(folder.path("none")).unwrap();
    sesshu!["load", "--store", store, folder.path("none")].code(2).saying(&["no register-*.csv"]);
    let rejects = folder.path("none/deeper/rejects.csv");
    let first = folder.path("first.csv");
    sesshu!["load", "--store", store, first, "--rejects", rejects].code(3).saying(&["rejected rows", &rejects]);
    still_there(&store, 1, 0);
}
