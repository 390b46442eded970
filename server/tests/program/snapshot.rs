//! `sesshu snapshot` and `sesshu restore`: the same on a store and on a server, what they say, and what they refuse.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::people::{CHIYODA, ShotLine, shots, store_of};
use crate::process::{Folder, Server, sesshu};

/// A store of thirty residents and forty shots, one behind a server that has the same.
fn places(folder: &Folder) -> (String, Server) {
    let store = store_of(folder, 30);
    record(folder, &store, "--store", 1..=40);
    let server = Server::start(&folder.copy_store("store", "served"));
    (store, server)
}

fn record(folder: &Folder, place: &str, option: &str, captures: impl IntoIterator<Item = u64>) {
    let lines: Vec<ShotLine> = captures.into_iter().map(|at| ShotLine::new(1 + at % 35, &format!("c-{at}"))).collect();
    let file = folder.write("shots.csv", shots(&lines));
    sesshu!["record", option, place, "--file", file].code(0);
}

fn number(object: &Value, name: &str) -> u64 {
    object[name].as_u64().unwrap_or_else(|| panic!("{name} of {object}"))
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_else(|| panic!("{name} of {object}"))
}

#[test]
fn a_snapshot_is_made_listed_exported_restored_and_deleted_by_command() {
    let folder = Folder::new();
    let (store, server) = places(&folder);
    for (option, place) in [("--store", &*store), ("--server", &*server.url)] {
        let ledger = |store: &str| sesshu!["ledger", "--store", store, CHIYODA, "--json"].code(0).stdout;
        let before = sesshu!["ledger", option, place, CHIYODA, "--json"].code(0).stdout;
        assert_eq!(sesshu!["snapshot", "list", option, place].code(0).stdout, "no snapshots\n");
        let made = sesshu!["snapshot", "create", "noon", option, place, "--json"].code(0).object();
        let window = &made["window"];
        assert_eq!((number(window, "first_sequence"), number(window, "last_sequence")), (1, 41), "{made}");
        record(&folder, place, option, 41..=50);
        let listed = sesshu!["snapshot", "list", option, place, "--json"].code(0).objects();
        assert_eq!(listed, std::slice::from_ref(&made), "all of it is the store's, too");
        let told = sesshu!["snapshot", "list", option, place].code(0).stdout;
        assert!(told.starts_with("noon  sequence 1 to 41, 20") && told.ends_with(" of it nowhere else\n"), "{told}");
        let exists = sesshu!["snapshot", "create", "noon", option, place].code(2).stderr;
        assert!(exists.contains("there is a snapshot noon already"), "{exists}");

        let to = folder.path(&format!("exported{option}"));
        let exported = sesshu!["snapshot", "export", "noon", option, place, "--to", to, "--json"].code(0).object();
        assert_eq!((number(&exported, "bytes"), number(&exported, "found_bytes")), (number(&made, "bytes"), 0));
        let again = sesshu!["snapshot", "export", "noon", option, place, "--to", to].code(0).stdout;
        assert!(again.contains(" of it was there already"), "{again}");

        let whole = folder.path(&format!("whole{option}"));
        let restored = sesshu!["restore", "--from", to, "--to", whole, "--json"].code(0);
        assert!(restored.stderr.contains("My Numbers need the key"), "{}", restored.stderr);
        let restored = restored.object();
        assert_eq!((number(&restored, "sequence"), number(&restored, "shots")), (41, 40));
        assert_eq!(text(&restored, "of_store_id"), text(&made, "store_id"));
        assert_ne!(text(&restored, "store_id"), text(&made, "store_id"));
        assert_eq!(ledger(&whole), before);
        let early = folder.path(&format!("early{option}"));
        sesshu!["restore", "--from", to, "--to", early, "--to-sequence", "11"].code(0);
        assert_eq!(number(&sesshu!["status", "--store", early, "--json"].code(0).object(), "shots"), 10);

        let unknown = sesshu!["snapshot", "delete", "evening", option, place].code(2).stderr;
        assert!(unknown.contains("there is no snapshot evening"), "{unknown}");
        sesshu!["snapshot", "delete", "noon", option, place].code(0);
        assert_eq!(sesshu!["snapshot", "list", option, place].code(0).stdout, "no snapshots\n");
        let gone = sesshu!["snapshot", "export", "noon", option, place, "--to", folder.path("gone")].code(2).stderr;
        assert!(gone.contains("there is no snapshot noon"), "{gone}");
    }
}

#[test]
fn a_store_is_restored_while_a_server_has_the_original_with_its_key() {
    let folder = Folder::new();
    let (_, server) = places(&folder);
    let served = folder.path("served");
    sesshu!["snapshot", "create", "noon", "--server", server.url].code(0);
    // Listed and exported without the server, too.
    assert_eq!(sesshu!["snapshot", "list", "--store", served, "--json"].code(0).objects().len(), 1);
    let new = folder.path("new");
    let told = sesshu!["restore", "--store", served, "--snapshot", "noon", "--to", new].code(0).stdout;
    assert!(told.contains("is the store as of sequence 41: 1 ledgers, 30 residents, 40 shots; its id is "), "{told}");
    assert!(told.ends_with(&format!("its key is {new}.key\n")), "{told}");
    assert_eq!(fs::read(format!("{new}.key")).ok(), fs::read(format!("{served}.key")).ok());
    let keys = sesshu!["key", "list", "--store", new, "--json"].code(0).object();
    assert_eq!(number(&keys, "id"), 1);
    // Both go on.
    record(&folder, &new, "--store", 100..=101);
    record(&folder, &server.url, "--server", 200..=204);
    let count =
        |option: &str, place: &str| number(&sesshu!["status", option, place, "--json"].code(0).object(), "shots");
    assert_eq!((count("--store", &new), count("--server", &server.url)), (42, 45));
}

#[test]
fn what_cannot_be_restored_is_refused_with_the_reason_and_nothing_is_made() {
    let folder = Folder::new();
    let (store, _server) = places(&folder);
    sesshu!["snapshot", "create", "noon", "--store", store].code(0);
    let new = folder.path("new");
    let restore = |option: &str, value: &str| {
        sesshu!["restore", "--store", store, "--snapshot", "noon", "--to", new, option, value].code(2).stderr
    };
    let outside = restore("--to-sequence", "42");
    let window = "sequence 42 is outside the snapshot's window: it can be restored as of sequence 1 to 41, or 20";
    assert!(outside.contains(window), "{outside}");
    assert!(restore("--to-time", "1999-12-31").contains("1999-12-31T14:59:59.999Z is outside"), "a day in Japan");
    assert!(restore("--to-time", "yesterday").contains("a time (2021-06-01T12:00:00+09:00)"));
    let both = sesshu!["restore", "--store", store, "--to", new].code(2).stderr;
    assert!(both.contains("--snapshot <NAME>"), "{both}");
    let nothing = sesshu!["restore", "--from", store, "--to", new].code(2).stderr;
    assert!(nothing.contains("holds no exported snapshot"), "{nothing}");
    assert!(!Path::new(&new).exists());
    let over = sesshu!["restore", "--store", store, "--snapshot", "noon", "--to", store].code(2).stderr;
    assert!(over.contains("is not empty"), "{over}");
    let name = sesshu!["snapshot", "create", "../noon", "--store", store].code(2).stderr;
    assert!(name.contains("a snapshot's name has letters"), "{name}");
    let none = sesshu!["snapshot", "list", "--store", folder.path("nowhere")].code(2).stderr;
    assert!(none.contains("no store at"), "{none}");

    // Damage is the machine's, and names the file.
    let snapshot = folder.path("store/snapshots/noon");
    let generation = fs::read_dir(format!("{snapshot}/ledgers")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&generation).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&generation).unwrap();
    fs::write(&generation, bytes).unwrap();
    let damaged = sesshu!["restore", "--store", store, "--snapshot", "noon", "--to", new].code(3).stderr;
    let file = format!("ledgers/{}", generation.file_name().unwrap().to_str().unwrap());
    assert!(damaged.contains(&file) && damaged.contains("its BLAKE3 differs"), "{damaged}");
    let export = ["snapshot", "export", "noon", "--store", &store, "--to"];
    let damaged = sesshu![export[0], export[1], export[2], export[3], export[4], export[5], folder.path("export")];
    assert!(damaged.code(3).stderr.contains(&file));
    fs::write(format!("{snapshot}/SNAPSHOT"), "nothing").unwrap();
    let listed = sesshu!["snapshot", "list", "--store", store].code(1).stdout;
    assert!(listed.starts_with("noon  of no use: the snapshot is damaged"), "{listed}");
}
