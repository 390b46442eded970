//! `sesshu ledger`: every ticket in number order, as objects, as text for people, as a CSV file.

use crate::people::{CHIYODA, Person, line, record, register, ticket};
use crate::process::{Folder, sesshu};

/// Residents 300, 2 and 10 in this order, one with a shot, and an orphan between them.
fn store(folder: &Folder) -> String {
    let people = [300, 2, 10].map(Person::new);
    let (store, file) = (folder.path("store"), folder.write("register.csv", register(&people)));
    sesshu!["load", "--store", store, file].code(0);
    record(&store, 10, "one").code(0);
    record(&store, 10, "two").code(0);
    record(&store, 7, "orphan").code(0);
    store
}

#[test]
fn tickets_come_in_number_order_as_match_shows_them() {
    let folder = Folder::new();
    let store = store(&folder);
    let ledger = sesshu!["ledger", "--store", store, CHIYODA, "--json"].code(0);
    let tickets: Vec<String> =
        ledger.objects().iter().map(|object| object["ticket"].as_str().unwrap().to_owned()).collect();
    assert_eq!(tickets, [2, 7, 10, 300].map(ticket));
    let matched = sesshu!["match", "--store", store, line(2), line(7), line(10), line(300), "--json"].code(1);
    assert_eq!(ledger.stdout, matched.stdout);
}

#[test]
fn people_read_the_same_residents_and_shots() {
    let folder = Folder::new();
    let store = store(&folder);
    let text = sesshu!["ledger", "--store", store, CHIYODA].code(0).stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4 + 3, "{text}");
    assert!(
        lines[0].starts_with(&format!("{}  matched  試験 三子 (シケン タロウ)  born 1956-02-03", ticket(2))),
        "{text}"
    );
    assert!(lines[1].starts_with(&format!("{}  orphan", ticket(7))), "{text}");
}

#[test]
fn the_csv_file_has_a_row_a_shot_and_one_for_a_ticket_without() {
    let folder = Folder::new();
    let store = store(&folder);
    let path = folder.path("ledger.csv");
    assert_eq!(sesshu!["ledger", "--store", store, CHIYODA, "--csv", path].code(0).stdout, "");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text.strip_prefix('\u{feff}').expect("a spreadsheet takes it for UTF-8");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(reader.headers().unwrap().len(), 27);
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let told: Vec<[&str; 5]> = rows.iter().map(|row| [&row[0], &row[1], &row[2], &row[4], &row[22]]).collect();
    let expected = [
        [CHIYODA, "0000000002", "matched", "試験 三子", ""],
        [CHIYODA, "0000000007", "orphan", "", "orphan"],
        [CHIYODA, "0000000010", "matched", "試験 一子", "one"],
        [CHIYODA, "0000000010", "matched", "試験 一子", "two"],
        [CHIYODA, "0000000300", "matched", "試験 一子", ""],
    ];
    assert_eq!(told, expected);
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(path).unwrap());
    assert_eq!(mode & 0o077, 0, "it holds names");
}

#[test]
fn a_municipality_without_residents_has_an_empty_ledger_and_a_wrong_code_is_refused() {
    let folder = Folder::new();
    let store = store(&folder);
    assert_eq!(sesshu!["ledger", "--store", store, "472018", "--json"].code(0).stdout, "");
    sesshu!["ledger", "--store", store, "131017", "--json"].code(2).saying(&["check digit", "131017"]);
    sesshu!["ledger", "--store", store, "130001", "--json"].code(2).saying(&["130001", "prefecture"]);
    sesshu!["ledger", "--store", store, "1310", "--json"].code(2).saying(&["6 digits"]);
    let csv = folder.path("none/ledger.csv");
    sesshu!["ledger", "--store", store, CHIYODA, "--csv", csv].code(2).saying(&[&csv]);
}
