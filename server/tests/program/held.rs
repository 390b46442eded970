//! Loads that wait for somebody's word: what the command says of them, on a store and on a server, and what becomes of them.

use serde_json::Value;

use crate::people::{CHIYODA, Person, line, register, still_there, store_of, ticket};
use crate::process::{Folder, Server, sesshu};

/// A store of thirty residents, one behind a server that has the same, and a register that lacks six of them and changes one.
fn places(folder: &Folder) -> (String, Server, String) {
    let store = store_of(folder, 30);
    let server = Server::start(&folder.copy_store("store", "served"));
    let mut people: Vec<Person> = (7..=31).map(Person::new).collect();
    people[3].name = "試験 改名".into();
    (store, server, folder.write("second.csv", register(&people)))
}

fn status_of(place: [&str; 2], number: u64) -> Value {
    sesshu!["match", place[0], place[1], line(number), "--json"].code(0).object()["resident"]["status"].clone()
}

#[test]
fn a_load_that_removes_too_many_is_held_until_it_is_confirmed() {
    let folder = Folder::new();
    let (store, server, file) = places(&folder);
    let mut told = Vec::new();
    for place in [["--store", &*store], ["--server", &*server.url]] {
        let objects = sesshu!["load", place[0], place[1], file, "--json"].code(2).objects();
        let counts = |object: &Value| {
            ["accepted", "added", "changed", "unchanged", "removed", "rejected", "kept"]
                .map(|name| object[name].as_u64().unwrap())
        };
        assert_eq!((counts(&objects[0]), &objects[0]["outcome"]), ([25, 1, 1, 23, 6, 0, 0], &"held".into()));
        let samples = serde_json::json!({
            "added": [ticket(31)], "changed": [ticket(10)], "removed": (1..=5).map(ticket).collect::<Vec<_>>()
        });
        assert_eq!(objects[0]["samples"], samples);
        assert_eq!(objects[0]["reason"], "it removes 6 of 30 residents, more than 10 %");
        assert_eq!((&objects[1]["held"], &objects[1]["accepted"]), (&1.into(), &0.into()));
        assert_eq!(status_of(place, 1), "active");

        // The process has ended, or the server goes on: it waits all the same.
        let listed = sesshu!["load", place[0], place[1], "--held", "--json"].code(0).object();
        assert_eq!((&listed["held"], &listed["samples"]), (&objects[0]["held"], &samples));
        assert_eq!((counts(&listed), &listed["expires_at"]), (counts(&objects[0]), &objects[0]["expires_at"]));
        let id = listed["held"].as_str().unwrap();
        assert!(id.starts_with("131016-000002-") && id.len() == 18, "{id}");
        let confirmed = sesshu!["load", place[0], place[1], "--confirm", id, "--json"].code(0).object();
        assert_eq!((counts(&confirmed), &confirmed["outcome"]), (counts(&objects[0]), &"loaded".into()));
        assert_eq!(status_of(place, 1), "removed");
        assert_eq!(sesshu!["load", place[0], place[1], "--held", "--json"].code(0).stdout, "");
        sesshu!["load", place[0], place[1], "--confirm", id].code(2).saying(&[id, "void"]);
        told.push(sesshu!["ledger", place[0], place[1], CHIYODA, "--json"].code(0).stdout);
    }
    let (one, other) = (&told[0], &told[1]);
    assert_eq!(one, other);
}

#[test]
fn a_held_load_is_discarded_and_an_unknown_one_is_told() {
    let folder = Folder::new();
    let (store, server, file) = places(&folder);
    for place in [["--store", &*store], ["--server", &*server.url]] {
        let said = sesshu!["load", place[0], place[1], file].code(2).stdout;
        assert!(said.contains("HELD, nothing is visible: it removes 6 of 30 residents"), "{said}");
        let id = said.split("--discard ").nth(1).unwrap().split_whitespace().next().unwrap();
        let listed = sesshu!["load", place[0], place[1], "--held"].code(0).stdout;
        assert!(listed.starts_with(id) && listed.contains(&ticket(1)), "{listed}");
        sesshu!["load", place[0], place[1], "--discard", id].code(0);
        for act in ["--discard", "--confirm"] {
            sesshu!["load", place[0], place[1], act, id].code(2).saying(&["no load is held", id]);
            let nothing = sesshu!["load", place[0], place[1], act, "123456789018"].code(2);
            assert!(!nothing.stderr.contains("123456789018"), "{nothing:?}");
        }
        assert_eq!(status_of(place, 1), "active");
    }
}

#[test]
fn a_register_that_is_loaded_makes_the_held_one_void() {
    let folder = Folder::new();
    let (store, server, file) = places(&folder);
    let whole = folder.write("whole.csv", register(&(1..=30).map(Person::new).collect::<Vec<_>>()));
    for place in [["--store", &*store], ["--server", &*server.url]] {
        let held = sesshu!["load", place[0], place[1], file, "--json"].code(2).objects().remove(0);
        sesshu!["load", place[0], place[1], whole].code(0);
        let id = held["held"].as_str().unwrap();
        sesshu!["load", place[0], place[1], "--confirm", id].code(2).saying(&["void", "another register"]);
        assert_eq!(status_of(place, 1), "active");
    }
}

#[test]
fn a_load_that_rejects_too_much_is_held_also_if_it_is_the_first() {
    let folder = Folder::new();
    let mut people: Vec<Person> = (1..=20).map(Person::new).collect();
    people[0].sex = "3".into();
    people[1].number = "12".into();
    people[2].number = "no".into();
    let (store, file) = (folder.path("store"), folder.write("first.csv", register(&people)));
    let rejects = folder.path("rejects.csv");
    let object = sesshu!["load", "--store", store, file, "--json", "--rejects", rejects].code(2).objects().remove(0);
    assert_eq!((&object["outcome"], &object["rejected"]), (&"held".into(), &3.into()));
    assert_eq!(object["reason"], "3 of its 20 rows were rejected, more than 10 %");
    assert_eq!(std::fs::read_to_string(rejects).unwrap().lines().count(), 4, "what was rejected is told all the same");
    assert_eq!(sesshu!["ledger", "--store", store, CHIYODA, "--json"].code(0).stdout, "");
    sesshu!["load", "--store", store, file, "--hold-rejected", "15"].code(1);
    still_there(&store, 20, 0);
}

#[test]
fn a_dry_run_says_what_a_load_would_do_and_does_nothing() {
    let folder = Folder::new();
    let (store, server, file) = places(&folder);
    let kept = folder.write("kept.csv", register(&(2..=30).map(Person::new).collect::<Vec<_>>()));
    for place in [["--store", &*store], ["--server", &*server.url]] {
        let dry = sesshu!["load", place[0], place[1], file, "--dry-run", "--json"].code(2).objects();
        assert_eq!(
            (&dry[0]["outcome"], &dry[0]["held"], &dry[1]["held"]),
            (&"dry_run".into(), &Value::Null, &1.into())
        );
        assert_eq!((&dry[0]["removed"], &dry[0]["samples"]["changed"]), (&6.into(), &serde_json::json!([ticket(10)])));
        assert_eq!(sesshu!["load", place[0], place[1], "--held"].code(0).stdout, "");
        // What would be loaded at once ends with 0, and is not loaded.
        let dry = sesshu!["load", place[0], place[1], kept, "--dry-run"].code(0).stdout;
        assert!(dry.contains("it would be loaded") && dry.contains(&ticket(1)), "{dry}");
        assert_eq!(status_of(place, 1), "active");
    }
}

#[test]
fn the_shares_of_a_server_are_the_server_s_and_those_of_a_store_the_command_s() {
    let folder = Folder::new();
    let (store, server, file) = places(&folder);
    for option in ["--hold-removed", "--hold-rejected", "--hold-hours"] {
        sesshu!["load", "--server", server.url, file, option, "20"].code(2).saying(&["--hold-removed", "sesshu serve"]);
    }
    sesshu!["load", "--store", store, file, "--hold-removed", "20"].code(0);
    drop(server);
    let server = Server::start_with(&folder.path("served"), &["--hold-removed", "20"], "info");
    sesshu!["load", "--server", server.url, file].code(0);
    assert_eq!(status_of(["--server", &server.url], 1), "removed");
}

#[test]
fn a_load_that_was_held_over_grpc_outlives_the_server() {
    let folder = Folder::new();
    let (_, mut server, file) = places(&folder);
    let held = sesshu!["load", "--server", server.url, file, "--json"].code(2).objects().remove(0);
    server.kill();
    let log = server.log();
    assert!(log.contains("a load is held") && !log.contains("0000000001"), "an id and no ticket: {log}");
    let server = Server::start(&folder.path("served"));
    sesshu!["load", "--server", server.url, "--confirm", held["held"].as_str().unwrap()].code(0);
    assert_eq!(status_of(["--server", &server.url], 1), "removed");
}
