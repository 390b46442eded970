//! `sesshu repair`: what it says, what it leaves, and the exit codes that scripts rely on.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::people::{CHIYODA, store_of};
use crate::process::{Folder, Server, sesshu};

const GENERATION: &str = "ledgers/131016/000001.gen";

fn damage(store: &str, file: &str, at: u64) {
    let file = fs::OpenOptions::new().write(true).open(format!("{store}/{file}")).expect("the file is there");
    file.write_all_at(&[0xff; 3], at).expect("bytes are written");
}

#[test]
fn what_can_be_made_again_is_and_what_a_snapshot_has_is_taken_from_it() {
    let folder = Folder::new();
    let store = store_of(&folder, 30);
    let (exported, ledger) = (folder.path("exported"), sesshu!["ledger", "--store", store, CHIYODA, "--json"].stdout);
    sesshu!["snapshot", "create", "noon", "--store", store].code(0);
    sesshu!["snapshot", "export", "noon", "--store", store, "--to", exported].code(0);
    let told = sesshu!["repair", "--store", store].code(0).stdout;
    assert_eq!(told, "the store is whole\n");
    // Another disk would have files of its own; here the snapshot's are the store's.
    sesshu!["snapshot", "delete", "noon", "--store", store].code(0);

    damage(&store, "MANIFEST", 40);
    damage(&store, GENERATION, 20);
    sesshu!["verify", "--store", store].code(3);
    let told = sesshu!["repair", "--store", store].code(0).stdout;
    assert_eq!(told, format!("made again: MANIFEST\nmade again: {GENERATION}\nthe store is whole\n"));

    damage(&store, GENERATION, 8192 + 40);
    let told = sesshu!["repair", "--store", store].code(3).stdout;
    assert!(
        told.starts_with("left: ledgers/131016/000001.gen: byte 8192: ") && told.ends_with("1 finding is left\n"),
        "{told}"
    );
    let summary = sesshu!["repair", "--store", store, "--from", exported, "--json"].code(0).object();
    assert_eq!(
        (&summary["replaced"][0], &summary["lost"], &summary["left"]),
        (&GENERATION.into(), &0.into(), &0.into())
    );
    sesshu!["verify", "--store", store].code(0);
    assert_eq!(sesshu!["ledger", "--store", store, CHIYODA, "--json"].code(0).stdout, ledger);
}

#[test]
fn what_is_given_up_is_listed_and_the_list_is_kept() {
    let folder = Folder::new();
    let store = store_of(&folder, 30);
    damage(&store, GENERATION, 8192 + 40);
    let report = folder.path("lost.jsonl");
    let told = sesshu!["repair", "--store", store, "--accept-loss", "--report", report].code(1).stdout;
    assert!(
        told.starts_with("gone: the row and the folded shots of ticket 1310160000000001\nthe store is whole; "),
        "{told}"
    );
    let listed = fs::read_to_string(&report).expect("a report");
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("one object");
    assert_eq!((&listed["lost"], &listed["ticket"]), (&"person".into(), &"1310160000000001".into()), "{listed}");
    sesshu!["verify", "--store", store].code(0);
    let ledger = sesshu!["ledger", "--store", store, CHIYODA, "--json"].code(0).objects();
    assert_eq!(ledger.len(), 29, "all others are there");

    damage(&store, "MANIFEST", 40);
    damage(&store, "MANIFEST.before", 40);
    sesshu!["repair", "--store", store, "--accept-loss"].code(3).saying(&[
        "neither MANIFEST nor MANIFEST.before",
        "--snapshot",
        "--from",
    ]);
    let beside: Vec<_> =
        fs::read_dir(Path::new(&store).parent().expect("a folder")).expect("a folder").flatten().collect();
    assert!(!beside.iter().any(|file| file.file_name().to_string_lossy().contains(".lost-")), "{beside:?}");
}

#[test]
fn a_store_in_use_is_not_repaired_and_neither_is_none() {
    let folder = Folder::new();
    let store = store_of(&folder, 3);
    let _server = Server::start(&store);
    sesshu!["repair", "--store", store].code(2).saying(&["in use by another process"]);
    sesshu!["repair", "--store", folder.path("nowhere")].code(2).saying(&["no store at"]);
    sesshu!["repair", "--store", store, "--report", "x"].code(2).saying(&["--accept-loss"]);
}
