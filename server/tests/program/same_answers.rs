//! `--store` and `--server` give the same bytes but for when they did it, since answers hold no places.

use crate::people::{CHIYODA, Person, ShotLine, line, record, register, shots, store_of};
use crate::process::{Ended, Folder, Server, command, run, sesshu};

/// The same store twice: one to open, one behind a server.
struct Twins {
    folder: Folder,
    store: String,
    server: Server,
}

impl Twins {
    fn new() -> Twins {
        let folder = Folder::new();
        let store = store_of(&folder, 700);
        let shot = |number: u64| ShotLine::new(number, &format!("shot-{number}"));
        let file = folder.write("held.csv", shots(&(1..=400).map(|at| shot(at * 2)).collect::<Vec<_>>()));
        sesshu!["record", "--store", store, "--file", file].code(0);
        let server = Server::start(&folder.copy_store("store", "served"));
        Twins { folder, store, server }
    }

    /// Runs a command on both and demands the same exit code, output and rejects. Returns the output.
    #[track_caller]
    fn agree(&self, name: &str, arguments: &[&str], input: &str, code: i32) -> String {
        let ask = |place: [&str; 2]| -> Ended {
            let all = [&[name][..], &place, arguments].concat();
            run(command(all.into_iter().map(AsRef::as_ref)), input).code(code)
        };
        let opened = ask(["--store", &self.store]);
        let served = ask(["--server", &self.server.url]);
        let of_the_state = |ended: &Ended| -> String {
            let lines = ended.stdout.lines();
            lines.map(|line| if name == "record" { without_commit_time(line) } else { without_seconds(line) }).collect()
        };
        assert_eq!(of_the_state(&opened), of_the_state(&served), "{name} {arguments:?}");
        opened.stdout
    }
}

/// A line of `load` without how long it took.
fn without_seconds(line: &str) -> String {
    line.find(",\"seconds\":").map_or(line, |at| &line[..at]).to_owned() + "\n"
}

/// A line of `record` without the moment of its commit, but with whether there is one.
fn without_commit_time(line: &str) -> String {
    const BEFORE: &str = "\"recorded_at\":\"";
    let Some((start, time)) = line.split_once(BEFORE) else { return line.to_owned() + "\n" };
    let (_, end) = time.split_once('"').expect("a text ends");
    format!("{start}{BEFORE}{end}\n")
}

#[test]
fn matches_and_ledgers_are_the_same_bytes() {
    let twins = Twins::new();
    let lines = [line(1), line(2), line(800), line(801), "nonsense".into(), "211310170000000001".into()];
    let lines: Vec<&str> = lines.iter().map(String::as_str).chain(["--json"]).collect();
    let told = twins.agree("match", &lines, "", 1);
    assert_eq!(told.lines().count(), 6);
    let input: String = (1..=5000).map(|number| line(number) + "\n").collect();
    assert_eq!(twins.agree("match", &["-", "--json"], &input, 1).lines().count(), 5000);
    twins.agree("match", &["X", "--json"], "", 2);
    twins.agree("match", &[&line(2)], "", 0);

    assert_eq!(twins.agree("ledger", &[CHIYODA, "--json"], "", 0).lines().count(), 750);
    twins.agree("ledger", &[CHIYODA], "", 0);
    twins.agree("ledger", &["472018", "--json"], "", 0);
    let file = |name| std::fs::read(twins.folder.path(name)).unwrap();
    sesshu!["ledger", "--store", twins.store, CHIYODA, "--csv", twins.folder.path("opened.csv")].code(0);
    sesshu!["ledger", "--server", twins.server.url, CHIYODA, "--csv", twins.folder.path("served.csv")].code(0);
    assert!(file("opened.csv") == file("served.csv"));
}

#[test]
fn records_are_the_same_bytes() {
    let twins = Twins::new();
    let one = |date: &str, capture_id: &str, code| {
        let line = line(1);
        let arguments = [
            "--ticket",
            &line,
            "--date",
            date,
            "--dose",
            "1",
            "--vaccine",
            "V",
            "--lot",
            "L",
            "--venue",
            "N",
            "--capture-id",
            capture_id,
            "--json",
        ];
        twins.agree("record", &arguments, "", code)
    };
    one("2021-04-12", "one", 0);
    one("2021-04-12", "one", 0);
    one("2021-04-13", "one", 2);
    one("2021-02-30", "two", 2);

    let mut rows: Vec<ShotLine> = (1..=1500).map(|number| ShotLine::new(number, "file")).collect();
    rows[3].date = "20210230".into();
    rows[700].ticket = "2113101X".into();
    rows[1200].capture_id = "shot 2".into();
    rows.push(ShotLine::new(2, "shot-2").with(|shot| shot.lot = "other".into()));
    let file = twins.folder.write("shots.csv", shots(&rows));
    let told = twins.agree("record", &["--file", &file, "--json"], "", 1);
    let summary = r#"{"recorded":1497,"orphans":798,"provisional":0,"already_recorded":0,"invalid":4,"#;
    let warnings = r#""with_warnings":1148,"warnings":{"dose_already_recorded":400,"ticket_not_in_register":798}}"#;
    assert_eq!(told.lines().last().unwrap(), format!("{summary}{warnings}"));
    twins.agree("record", &["--file", &file, "--json"], "", 1);
    twins.agree("record", &["--file", &file], "", 1);
}

#[test]
fn loads_are_the_same_bytes_and_the_same_rejects() {
    let twins = Twins::new();
    let mut people: Vec<Person> = (60..=12_000).map(Person::new).collect();
    people[5].sex = "3".into();
    people[9000].name = "字".repeat(61);
    people[9001].number = people[9002].number.clone();
    let file = twins.folder.write("second.csv", register(&people));
    let rejects = twins.folder.path("rejects.csv");
    let told = twins.agree("load", &[&file, "--json"], "", 1);
    assert_eq!(told.lines().count(), 2);
    let mut listed = Vec::new();
    for place in [["--store", &twins.store], ["--server", &twins.server.url]] {
        sesshu!["load", place[0], place[1], file, "--rejects", rejects].code(1);
        listed.push(std::fs::read_to_string(&rejects).unwrap());
    }
    assert_eq!(listed[0], listed[1]);
    assert!(listed[0].lines().count() > 3);
    let empty = twins.folder.write("bad.csv", register(&[people[5].clone()]));
    twins.agree("load", &[&empty, "--json"], "", 2);
    twins.agree("ledger", &[CHIYODA, "--json"], "", 0);
}

#[test]
fn status_differs_in_how_the_log_was_opened_at_most() {
    let twins = Twins::new();
    record(&twins.store, 1, "one-more").code(0);
    sesshu!["load", "--store", twins.store, twins.folder.path("first.csv")].code(0);
    let opened = sesshu!["status", "--store", twins.store, "--json"].code(0).object();
    let served = sesshu!["status", "--server", twins.server.url, "--json"].code(0).object();
    let keys = |object: &serde_json::Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&opened), keys(&served));
    assert_eq!(opened["store_id"], served["store_id"]);
}
