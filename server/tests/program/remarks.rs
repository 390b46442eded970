//! Rows that are taken and may be looked at: told with line, column and reason, by a store and by a server alike, and nothing is refused for them.

use crate::people::{Person, cp932, register};
use crate::process::{Folder, Server, sesshu};

#[test]
fn remarks_are_counted_and_listed_and_refuse_nothing() {
    let folder = Folder::new();
    let nobody_else_s = |number| Person::new(number).with(|person| person.my_number.clear());
    let people = [
        nobody_else_s(1).with(|person| person.name = "\u{e000}田 一子".into()),
        nobody_else_s(2).with(|person| person.birth_date = "19400000".into()),
        Person::new(3),
        Person::new(4),
        nobody_else_s(5).with(|person| person.resident_number = "A000006".into()),
        nobody_else_s(6).with(|person| person.birth_date.clear()),
        nobody_else_s(7),
    ];
    let file = folder.write("register.csv", cp932(&register(&people)));
    let server = Server::start(&folder.path("served"));
    let mut listed = Vec::new();
    for place in [["--store", &folder.path("store")], ["--server", &server.url]] {
        let list = folder.path("remarks.csv");
        let told = sesshu!["load", place[0], place[1], file, "--remarks", list, "--json"].code(0).objects();
        assert_eq!((&told[0]["accepted"], &told[0]["remarks"], &told[1]["remarks"]), (&7.into(), &7.into(), &7.into()));
        let text = std::fs::read_to_string(&list).unwrap();
        assert!(!text.contains("123456789018"), "{text}");
        let rows: Vec<Vec<String>> = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes())
            .records()
            .map(|row| row.unwrap().iter().map(str::to_owned).collect())
            .collect();
        let mut codes: Vec<(&str, &str, &str)> = rows.iter().map(|row| (&*row[0], &*row[1], &*row[2])).collect();
        codes.sort_unstable();
        let expected = [
            ("2", "氏名", "private_use"),
            ("3", "生年月日", "open_birth_date"),
            ("4", "個人番号", "shared_my_number"),
            ("5", "個人番号", "shared_my_number"),
            ("6", "宛名番号", "shared_resident_number"),
            ("7", "宛名番号", "shared_resident_number"),
            ("7", "生年月日", "open_birth_date"),
        ];
        assert_eq!(codes, expected);
        assert!(rows.iter().any(|row| row[3] == "line 5 has the same My Number"), "{rows:?}");
        listed.push(text);
        let again = sesshu!["load", place[0], place[1], file].code(0).stdout;
        assert!(again.contains("7 remarks on rows that were taken: --remarks FILE"), "{again}");
    }
    assert_eq!(listed[0], listed[1]);
}

#[test]
fn a_commit_that_rejects_more_than_a_message_holds_tells_of_all() {
    let folder = Folder::new();
    // Every ticket twice, but for one.
    let people: Vec<Person> = (0..24_001).map(|place| Person::new(1 + place % 12_001)).collect();
    let file = folder.write("twice.csv", register(&people));
    let server = Server::start_with(&folder.path("served"), &["--hold-rejected", "100"], "info");
    let rejects = folder.path("rejects.csv");
    let told = sesshu!["load", "--server", server.url, file, "--rejects", rejects, "--json"].code(1).objects();
    assert_eq!((&told[0]["accepted"], &told[0]["rejected"]), (&1.into(), &24_000.into()));
    let lines = std::fs::read_to_string(rejects).unwrap();
    assert_eq!(lines.lines().count(), 24_001);
    assert!(lines.contains("the ticket number stands in line 12003 too"), "each names the other");
}
