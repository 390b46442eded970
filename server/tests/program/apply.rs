//! `sesshu apply`: births, moves and deaths, row by row.

use crate::people::{CHIYODA, Person, cp932, line, record, record_at, register, reissues, store_of};
use crate::process::{Folder, Server, sesshu};

/// Changes of a register of the people 1 to 3: a birth, a new name, a move, a death with the row, and three rows that cannot be taken.
fn changes() -> Vec<Person> {
    let status = |number: u64, change: &str, date: &str| {
        Person::new(number).with(|person| {
            (person.change, person.change_date) = (change.into(), date.into());
            person.name.clear();
            person.protected.clear();
        })
    };
    vec![
        Person::new(9).with(|person| person.change = "新規".into()),
        Person::new(1).with(|person| (person.name, person.change) = ("試験 𠮷子".into(), "変更".into())),
        status(2, "転出", "20210501"),
        Person::new(3).with(|person| (person.change, person.change_date) = ("死亡".into(), "20210502".into())),
        status(8, "転出", "20210501"),
        Person::new(2).with(|person| person.change = "再発行".into()),
        status(2, "転出", "20210231"),
    ]
}

#[test]
fn changes_are_applied_told_row_by_row_and_seen_by_a_match() {
    let folder = Folder::new();
    let store = store_of(&folder, 3);
    record(&store, 2, "before").code(0);
    let file = folder.write("changes.csv", register(&changes()));
    let rejects = folder.path("rejects.csv");
    let told = sesshu!["apply", "--store", store, file, "--rejects", rejects, "--json"].code(1).objects();
    let outcomes: Vec<(u64, &str)> =
        told[..7].iter().map(|row| (row["line"].as_u64().unwrap(), row["outcome"].as_str().unwrap())).collect();
    let expected = ["added", "changed", "changed", "changed", "rejected", "rejected", "rejected"];
    assert_eq!(outcomes, (2..).zip(expected).collect::<Vec<_>>());
    let codes: Vec<&str> = told[4..7].iter().map(|row| row["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["unknown_ticket", "missing", "not_a_date"]);
    assert_eq!(told[0]["ticket"], format!("{CHIYODA}0000000009"));
    assert_eq!(told[7].to_string(), r#"{"added":1,"changed":3,"rejected":3,"unchanged":0}"#);
    let listed = std::fs::read_to_string(&rejects).unwrap();
    assert_eq!(listed.lines().count(), 4, "{listed}");
    assert!(!listed.contains("123456789018"), "a My Number is in no file of rejects");

    let lines = [9, 1, 2, 3].map(line);
    let found = sesshu!["match", "--store", store, lines[0], lines[1], lines[2], lines[3], "--json"].code(0).objects();
    let resident = |at: usize, key: &str| found[at]["resident"][key].as_str().unwrap().to_owned();
    assert_eq!(resident(0, "name"), "試験 五子");
    assert_eq!(resident(1, "name"), "試験 𠮷子");
    assert_eq!((resident(2, "status"), resident(2, "status_date")), ("moved_out".into(), "2021-05-01".into()));
    assert_eq!(resident(2, "name"), "試験 三子", "a status alone leaves the row as it is");
    assert_eq!(found[2]["shots"].as_array().unwrap().len(), 1);
    assert_eq!((resident(3, "status"), resident(3, "status_date")), ("deceased".into(), "2021-05-02".into()));

    let again = sesshu!["apply", "--store", store, file, "--json"].code(1).objects();
    assert_eq!(again[7].to_string(), r#"{"added":0,"changed":0,"rejected":3,"unchanged":4}"#);
    assert_eq!(again[0]["sequence"], told[0]["sequence"], "since when it is known stays");
    let told = sesshu!["apply", "--store", store, file].code(1).stdout;
    assert!(told.contains("0 added, 0 changed, 4 unchanged, 3 rejected") && told.contains("--rejects"), "{told}");
}

#[test]
fn a_store_and_a_server_apply_alike_and_a_killed_server_keeps_what_it_said() {
    let folder = Folder::new();
    let store = store_of(&folder, 3);
    let mut server = Server::start(&folder.copy_store("store", "served"));
    let file = folder.write("changes.csv", register(&changes()));
    let opened = sesshu!["apply", "--store", store, file, "--json"].code(1).stdout;
    let served = sesshu!["apply", "--server", server.url, file, "--json"].code(1).stdout;
    assert_eq!(opened, served);
    let many: Vec<Person> = (1..=9000).map(|number| Person::new(100 + number % 4500)).collect();
    let many = folder.write("many.csv", register(&many));
    let told = sesshu!["apply", "--server", server.url, many, "--json"].code(0).objects();
    assert_eq!(told.last().unwrap().to_string(), r#"{"added":4500,"changed":0,"rejected":0,"unchanged":4500}"#);
    server.kill();
    let ledger = sesshu!["ledger", "--store", folder.path("served"), CHIYODA, "--json"].code(0).objects();
    assert_eq!(ledger.len(), 4504);
    assert_eq!(ledger[1]["resident"]["status"], "moved_out");
}

#[test]
fn both_numbers_of_a_reissued_ticket_match_to_the_person_on_a_store_and_on_a_server() {
    let folder = Folder::new();
    let store = store_of(&folder, 3);
    record(&store, 2, "before").code(0);
    let server = Server::start(&folder.copy_store("store", "served"));
    let reissued = |number: u64| Person::new(number).with(|person| person.change = "再発行".into());
    let file = [
        ("0000000002", reissued(12)),
        ("", reissued(13)),
        ("0000000014", reissued(14)),
        ("12345678901", reissued(15)),
        ("0000000012", reissued(2)),
    ];
    let file = folder.write("changes.csv", cp932(&reissues(&file)));
    let mut said = Vec::new();
    for place in [["--store", &store], ["--server", &server.url]] {
        let told = sesshu!["apply", place[0], place[1], file, "--json"].code(1).objects();
        let codes: Vec<_> = told[1..5].iter().map(|row| (row["column"].as_str(), row["code"].as_str())).collect();
        let fault = |column, code| (Some(column), Some(code));
        let previous = |code| fault("旧券番号", code);
        let superseded = fault("券番号", "superseded");
        assert_eq!(codes, [previous("missing"), previous("unknown_value"), previous("not_digits"), superseded]);
        assert_eq!(told[0]["outcome"], "added");
        record_at(place, 12, "on-the-new-one").code(0);
        record_at(place, 2, "after").code(0);
        let found = sesshu!["match", place[0], place[1], line(2), line(12), "--json"].code(0).objects();
        for (at, found) in found.iter().enumerate() {
            assert_eq!(found["resident"]["name"], Person::new(12).name, "by number {at}");
            assert_eq!(
                found["tickets"],
                serde_json::json!([format!("{CHIYODA}0000000002"), format!("{CHIYODA}0000000012")])
            );
            let lines: Vec<&str> =
                found["shots"].as_array().unwrap().iter().map(|it| it["line"].as_str().unwrap()).collect();
            assert_eq!(lines, [line(2), line(12), line(2)], "each as it was presented");
        }
        let people = sesshu!["match", place[0], place[1], line(2)].code(0).stdout;
        assert!(people.contains(&format!("ticket {CHIYODA}0000000012 replaced {CHIYODA}0000000002")), "{people}");
        let ledger = sesshu!["ledger", place[0], place[1], CHIYODA, "--json"].code(0);
        let objects = ledger.objects();
        assert_eq!(
            (objects[1]["resident"]["reissued_as"].as_str(), &objects[1]["tickets"]),
            (Some("0000000012"), &serde_json::json!([]))
        );
        assert_eq!(objects[3]["resident"]["previous_numbers"], serde_json::json!(["0000000002"]));
        assert_eq!([1, 3].map(|at| objects[at]["shots"].as_array().unwrap().len()), [2, 1]);
        said.push(objects.iter().map(|object| object["resident"].to_string()).collect::<Vec<_>>());
    }
    assert_eq!(said[0], said[1]);
    let csv = folder.path("ledger.csv");
    sesshu!["ledger", "--store", store, CHIYODA, "--csv", csv].code(0);
    let csv = std::fs::read_to_string(csv).unwrap();
    assert!(
        csv.contains("旧券番号,新券番号") && csv.contains(",,0000000012,") && csv.contains(",0000000002,,"),
        "{csv}"
    );
}

#[test]
fn what_is_no_file_of_changes_changes_nothing() {
    let folder = Folder::new();
    let store = store_of(&folder, 3);
    let file = folder.write("changes.csv", register(&changes()));
    let before = sesshu!["ledger", "--store", store, CHIYODA, "--json"].code(0).stdout;
    let wrong = folder.write("wrong.csv", "a,b\n1,2\n");
    sesshu!["apply", "--store", store, file, wrong].code(2).saying(&["wrong.csv"]);
    std::fs::rename(folder.path("store.key"), folder.path("elsewhere.key")).unwrap();
    sesshu!["apply", "--store", store, file].code(2).saying(&["store.key"]);
    assert_eq!(sesshu!["ledger", "--store", store, CHIYODA, "--json"].code(0).stdout, before);
}
