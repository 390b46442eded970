//! `sesshu status`: what a store holds, for people and for programs, without changing it.

use crate::people::{record, store_of};
use crate::process::{Folder, sesshu};

#[test]
fn status_counts_what_the_store_holds() {
    let folder = Folder::new();
    let store = store_of(&folder, 3);
    record(&store, 1, "a").code(0);
    record(&store, 9, "b").code(0);
    let ended = sesshu!["status", "--store", store, "--json"].code(0);
    let status = ended.object();
    let counts = ["format_version", "sequence", "ledgers", "residents", "orphans", "shots", "torn_bytes"];
    assert_eq!(counts.map(|name| status[name].as_u64().unwrap()), [0, 3, 1, 3, 1, 2, 0]);
    assert_eq!((&status["writable"], &status["not_writable_reason"]), (&true.into(), &serde_json::Value::Null));
    assert_eq!((&status["opened"], status["store_id"].as_str().unwrap().len()), (&"clean".into(), 32));
    // What the disk has left is everybody's.
    let own = |mut status: serde_json::Value| {
        status.as_object_mut().unwrap().remove("available_bytes").unwrap();
        status
    };
    let again = sesshu!["status", "--store", store, "--json"].code(0).object();
    assert_eq!(own(again), own(status));
    let text = sesshu!["status", "--store", store].code(0).stdout;
    assert!(text.lines().any(|line| line.contains("residents") && line.trim_end().ends_with('3')), "{text}");
}

#[test]
fn commands_that_only_read_make_no_store() {
    let folder = Folder::new();
    let nowhere = folder.path("nowhere");
    sesshu!["status", "--store", nowhere].code(2).saying(&["no store at", &nowhere]);
    sesshu!["match", "--store", nowhere, crate::people::line(1)].code(2).saying(&[&nowhere]);
    sesshu!["ledger", "--store", nowhere, crate::people::CHIYODA].code(2).saying(&[&nowhere]);
    assert!(!std::path::Path::new(&nowhere).exists());
}
