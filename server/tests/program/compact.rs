//! `sesshu compact`: the same on a store and on a server, what it tells, and what it leaves alone.

use serde_json::Value;

use crate::people::{CHIYODA, Person, ShotLine, record_at, register, shots, store_of};
use crate::process::{Folder, Server, sesshu};

const NAHA: &str = "472018";

/// A store of thirty residents and 8,000 shots of four hundred tickets, one behind a server that has the same.
fn places(folder: &Folder) -> (String, Server) {
    let store = store_of(folder, 30);
    let lines: Vec<ShotLine> = (0..8000).map(|at| ShotLine::new(1 + at % 400, &format!("c-{at}"))).collect();
    let file = folder.write("shots.csv", shots(&lines));
    sesshu!["record", "--store", store, "--file", file].code(0);
    let server = Server::start(&folder.copy_store("store", "served"));
    (store, server)
}

fn number(object: &Value, name: &str) -> u64 {
    object[name].as_u64().unwrap_or_else(|| panic!("{name} of {object}"))
}

#[test]
fn a_ledger_is_planned_compacted_and_shows_the_same_and_the_log_is_shorter() {
    let folder = Folder::new();
    let (store, server) = places(&folder);
    for place in [["--store", &*store], ["--server", &*server.url]] {
        let ledger = || sesshu!["ledger", place[0], place[1], CHIYODA, "--json"].code(0).stdout;
        let before = ledger();
        let plan = sesshu!["compact", place[0], place[1], "--dry-run", "--json"].code(0).objects();
        assert_eq!(plan.len(), 2, "{plan:?}");
        assert_eq!((&plan[0]["municipality"], &plan[0]["outcome"]), (&CHIYODA.into(), &"planned".into()));
        assert_eq!((number(&plan[0], "events"), number(&plan[0], "tickets")), (8000, 400));
        assert!(number(&plan[1], "bytes_needed") > number(&plan[0], "bytes_after"), "with the reserve: {plan:?}");
        assert!(number(&plan[1], "bytes_available") > number(&plan[1], "bytes_needed"), "{plan:?}");
        let planned = sesshu!["compact", place[0], place[1], "--dry-run"].code(0).stdout;
        assert!(planned.starts_with(&format!("{CHIYODA}  8,000 events of 400 tickets, ")), "{planned}");

        let limited = ["compact", place[0], place[1], "--municipality", CHIYODA, "--limit", "500", "--json"];
        let objects =
            sesshu![limited[0], limited[1], limited[2], limited[3], limited[4], limited[5], limited[6], limited[7]]
                .code(0)
                .objects();
        let (done, summary) = (&objects[0], &objects[1]);
        assert_eq!((&done["outcome"], &done["generation"]), (&"compacted".into(), &2.into()), "{objects:?}");
        assert_eq!((number(done, "sequence"), number(done, "events")), (8002, 8000));
        assert_eq!((number(summary, "compacted"), number(summary, "left_alone")), (1, 0));
        assert_eq!(number(summary, "bytes_after"), number(done, "bytes_after"));
        assert!(number(summary, "log_bytes_after") < number(summary, "log_bytes_before"), "{summary}");
        assert_eq!(ledger(), before);
        let status = sesshu!["status", place[0], place[1], "--json"].code(0).object();
        assert_eq!((number(&status, "log_segments"), number(&status, "tail_tickets")), (1, 0));

        let again = sesshu!["compact", place[0], place[1]].code(0).stdout;
        assert!(again.starts_with("0 ledgers compacted: 0 events folded"), "{again}");
        assert_eq!(sesshu!["compact", place[0], place[1], "--dry-run"].code(0).stdout, "nothing to fold\n");
    }
}

#[test]
fn a_ledger_of_which_a_load_is_held_is_left_alone_and_the_others_are_not() {
    let folder = Folder::new();
    let (store, server) = places(&folder);
    let few = folder.write("few.csv", register(&[Person::new(1)]));
    let naha = Person::new(7).with(|it| it.municipality = NAHA.into());
    let naha = folder.write("naha.csv", register(&[naha]));
    for place in [["--store", &*store], ["--server", &*server.url]] {
        sesshu!["load", place[0], place[1], naha].code(0);
        let shot = ShotLine::new(1, "n-1").with(|it| it.ticket = format!("21{NAHA}{:010}", 7));
        let file = folder.write("naha-shots.csv", shots(&[shot]));
        sesshu!["record", place[0], place[1], "--file", file].code(0);
        sesshu!["load", place[0], place[1], few].code(2);
        let planned = sesshu!["compact", place[0], place[1], "--dry-run"].code(1).stdout;
        assert!(planned.contains("is held: confirm or discard"), "{planned}");
        let objects = sesshu!["compact", place[0], place[1], "--json"].code(1).objects();
        let told: Vec<_> = objects[..2].iter().map(|it| (&it["municipality"], &it["outcome"])).collect();
        assert_eq!(told, [(&CHIYODA.into(), &"left_alone".into()), (&NAHA.into(), &"compacted".into())]);
        assert!(objects[0]["reason"].as_str().unwrap().contains("131016-"), "{objects:?}");
        assert_eq!((number(&objects[2], "compacted"), number(&objects[2], "left_alone")), (1, 1));
        record_at(place, 1, "later").code(0);
        assert_eq!(number(&sesshu!["load", place[0], place[1], "--held", "--json"].code(0).object(), "accepted"), 1);
    }
}

#[test]
fn what_cannot_be_asked_is_told() {
    let folder = Folder::new();
    let store = store_of(&folder, 3);
    sesshu!["compact", "--store", store, "--municipality", "999999"].code(2).saying(&["999999"]);
    sesshu!["compact", "--store", store, "--limit", "0"].code(2).saying(&["--limit"]);
    sesshu!["compact", "--store", folder.path("none")].code(2).saying(&["none"]);
    sesshu!["compact"].code(2).saying(&["--store"]);
}
