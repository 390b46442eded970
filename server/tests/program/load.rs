//! `sesshu load`: files and directories become ledgers; what is told of them, and of the rows that were not taken.

use std::path::Path;

use crate::people::{CHIYODA, Person, cp932, csv, line, register, still_there, store_of};
use crate::process::{Folder, NEVER_HELD, sesshu};

#[test]
fn a_file_is_told_of_and_then_the_total() {
    let folder = Folder::new();
    let (store, file) =
        (folder.path("store"), folder.write("any-name.csv", register(&[Person::new(1), Person::new(2)])));
    let first = sesshu!["load", "--store", store, file, "--json"].code(0).objects();
    let expected = serde_json::json!({
        "file": file, "municipality": CHIYODA, "outcome": "loaded", "accepted": 2, "rejected": 0,
        "added": 2, "changed": 0, "unchanged": 0, "kept": 0, "removed": 0, "remarks": 2,
        "held": null, "expires_at": null, "reason": null, "samples": null
    });
    assert_eq!(first[0], expected);
    let total = first[1].as_object().unwrap();
    assert_eq!(
        total.keys().map(String::as_str).collect::<Vec<_>>(),
        ["accepted", "held", "rejected", "remarks", "seconds"]
    );
    assert!(total["seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(first.len(), 2);

    let changed = Person::new(2).with(|person| person.name = "試験 改名".into());
    let file = folder.write("second.csv", register(&[changed, Person::new(3)]));
    let second = &sesshu!["load", "--store", store, file, "--json", NEVER_HELD[0]].code(0).objects()[0];
    let counts = ["accepted", "added", "changed", "unchanged", "removed"].map(|name| second[name].as_u64().unwrap());
    assert_eq!(counts, [2, 1, 1, 0, 1]);
    let removed = sesshu!["match", "--store", store, line(1), "--json"].code(0).object();
    assert_eq!(removed["resident"]["status"], "removed");
}

#[test]
fn a_directory_gives_its_registers_in_name_order_and_nothing_else() {
    let folder = Folder::new();
    let sapporo = Person::new(1).with(|person| person.municipality = "011002".into());
    folder.write("register-131016.csv", register(&[Person::new(1)]));
    folder.write("register-011002.csv", register(&[sapporo]));
    folder.write("shots.csv", "not a register");
    folder.write("old-register-131016.csv", "not one either");
    let objects = sesshu!["load", "--store", folder.path("store"), folder.path(""), "--json"].code(0).objects();
    let told: Vec<&str> = objects[..2].iter().map(|object| object["municipality"].as_str().unwrap()).collect();
    assert_eq!((told, objects.len()), (vec!["011002", CHIYODA], 3));
    assert_eq!(objects[2]["accepted"], 2);
}

#[test]
fn rejected_rows_end_with_1_and_are_listed_with_line_column_code_and_masked_row() {
    let folder = Folder::new();
    let rows = [
        Person::new(1),
        Person::new(2).with(|person| person.birth_date = "20210230".into()),
        Person::new(3).with(|person| person.name = "字".repeat(61)),
        Person::new(1).with(|person| person.name = "同番".into()),
        Person::new(4),
    ];
    let (store, file) = (folder.path("store"), folder.write("register.csv", register(&rows)));
    let rejects = folder.path("rejects.csv");
    let loaded =
        sesshu!["load", "--store", store, file, "--rejects", rejects, "--json", NEVER_HELD[1]].code(1).objects();
    assert_eq!((&loaded[0]["accepted"], &loaded[1]["rejected"]), (&1.into(), &4.into()));

    let text = std::fs::read_to_string(&rejects).unwrap();
    let text = text.strip_prefix('\u{feff}').expect("a spreadsheet takes it for UTF-8");
    let mut reader = csv_reader(text);
    assert_eq!(
        reader.headers().unwrap().iter().take(5).collect::<Vec<_>>(),
        ["line", "column", "code", "reason", "row"]
    );
    let rejected: Vec<Vec<String>> =
        reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
    assert_eq!(rejected[0][..3], ["3", "生年月日", "not_a_date"]);
    assert!(rejected[0][3].contains("2021-02"), "{rejected:?}");
    assert_eq!(rejected[1][..3], ["4", "氏名", "over_long"]);
    assert!(rejected[0][4].contains("0000000002") && rejected[0][4].contains("************"), "{rejected:?}");
    assert!(!text.contains("123456789018"));
    // Which of the two is right, nobody can say.
    let twice: Vec<[&str; 3]> = rejected[2..].iter().map(|row| [&*row[0], &*row[1], &*row[2]]).collect();
    assert_eq!(twice, [["2", "券番号", "duplicate_ticket"], ["5", "券番号", "duplicate_ticket"]]);
}

fn csv_reader(text: &str) -> ::csv::Reader<&[u8]> {
    ::csv::Reader::from_reader(text.as_bytes())
}

#[test]
fn a_resident_whose_new_row_is_rejected_stays_as_they_were() {
    let folder = Folder::new();
    let store = store_of(&folder, 3);
    let rows = [Person::new(1), Person::new(2).with(|person| person.sex = "3".into())];
    let file = folder.write("second.csv", register(&rows));
    let loaded = &sesshu!["load", "--store", store, file, "--json", NEVER_HELD[0], NEVER_HELD[1]].code(1).objects()[0];
    assert_eq!((&loaded["kept"], &loaded["removed"]), (&1.into(), &1.into()));
    let kept = sesshu!["match", "--store", store, line(2), "--json"].code(0).object();
    assert_eq!((&kept["resident"]["status"], &kept["resident"]["sex"]), (&"active".into(), &"female".into()));
}

/// A register with what the encodings differ in: kanji of Windows, half-width kana, quotes, a line break.
fn tricky() -> String {
    let rows: Vec<String> = [
        Person::new(1).with(|person| person.name = "髙﨑 表子".into()),
        Person::new(2).with(|person| person.name_kana = "ｼｹﾝ ﾊﾅｺ".into()),
        Person::new(3).with(|person| person.name = "\"試験, \"\"花\"\" 子\"".into()),
        Person::new(4).with(|person| (person.change, person.change_date) = ("転出".into(), "20210401".into())),
    ]
    .iter()
    .map(Person::to_string)
    .collect();
    csv(crate::people::REGISTER_HEADER, &rows)
}

#[test]
fn encodings_marks_line_ends_and_column_order_make_no_difference() {
    let text = tricky();
    let turned: String = text.lines().map(|line| turned(line) + "\n").collect();
    let variants: [(&str, Vec<u8>); 5] = [
        ("utf-8", text.clone().into_bytes()),
        ("utf-8 with a mark", format!("\u{feff}{text}").into_bytes()),
        ("line feeds", text.replace("\r\n", "\n").into_bytes()),
        ("cp932", cp932(&text)),
        ("other column order", turned.into_bytes()),
    ];
    let mut ledgers = Vec::new();
    for (name, bytes) in variants {
        let folder = Folder::new();
        let (store, file) = (folder.path("store"), folder.write("register.csv", bytes));
        sesshu!["load", "--store", store, file].code(0);
        ledgers.push((name, sesshu!["ledger", "--store", store, CHIYODA, "--json"].code(0).stdout));
    }
    assert!(ledgers[0].1.contains("髙﨑 表子") && ledgers[0].1.contains("試験, \\\"花\\\" 子"), "{ledgers:?}");
    assert_eq!(ledgers[0].1.lines().count(), 4);
    for (name, ledger) in &ledgers {
        assert_eq!(ledger, &ledgers[0].1, "{name}");
    }
}

/// The fields of a line, last to first.
fn turned(line: &str) -> String {
    let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
    let record = reader.records().next().unwrap().unwrap();
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(record.iter().collect::<Vec<_>>().into_iter().rev()).unwrap();
    String::from_utf8(writer.into_inner().unwrap()).unwrap().trim_end().to_owned()
}

#[test]
fn a_wrong_file_among_many_stops_the_command_before_the_first_is_loaded() {
    let folder = Folder::new();
    let store = store_of(&folder, 1);
    let good = folder.write("good.csv", register(&[Person::new(2)]));
    let missing = folder.path("missing.csv");
    sesshu!["load", "--store", store, good, missing].code(2).saying(&[&missing]);
    still_there(&store, 1, 0);
    assert_eq!(sesshu!["ledger", "--store", store, CHIYODA, "--json"].code(0).objects().len(), 1);
    let nowhere = folder.path("nowhere");
    sesshu!["load", "--store", nowhere, missing].code(2);
    assert!(!Path::new(&nowhere).exists(), "a store was made for nothing");
}
