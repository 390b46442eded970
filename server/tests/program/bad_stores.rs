//! Stores and keys that are not what they should be: the fault is told with its file, and when it is gone everything is there.

use std::path::Path;

use crate::people::{CHIYODA, Person, line, record, register, still_there, store_of};
use crate::process::{Folder, Server, files_below, sesshu};

#[test]
fn a_store_in_use_is_told_with_its_process() {
    let folder = Folder::new();
    let store = store_of(&folder, 1);
    let server = Server::start(&store);
    let holder = format!("process {}", server.child.id());
    sesshu!["match", "--store", store, line(1)].code(2).saying(&["in use", &store, &holder, "--server"]);
    record(&store, 1, "a").code(2).saying(&["in use"]);
    let file = folder.path("first.csv");
    sesshu!["load", "--store", store, file].code(2).saying(&["in use"]);
    sesshu!["serve", "--store", store, "--listen", "127.0.0.1:0"].code(2).saying(&["in use"]);
    sesshu!["match", "--server", server.url, line(1)].code(0);
    assert_eq!(server.stop().0, Some(0));
    still_there(&store, 1, 0);
}

#[test]
fn a_store_of_a_newer_format_is_left_alone() {
    let folder = Folder::new();
    let store = store_of(&folder, 1);
    let manifest = format!("{store}/MANIFEST");
    let good = std::fs::read(&manifest).unwrap();
    let mut newer = good.clone();
    newer[8..12].copy_from_slice(&7_u32.to_le_bytes());
    let crc = crc32fast::hash(&[&newer[..12], &newer[16..]].concat());
    newer[12..16].copy_from_slice(&crc.to_le_bytes());
    std::fs::write(&manifest, &newer).unwrap();
    sesshu!["match", "--store", store, line(1)].code(2).saying(&["format version 7", "newer"]);
    record(&store, 1, "a").code(2).saying(&["format version 7"]);
    assert_eq!(std::fs::read(&manifest).unwrap(), newer);
    std::fs::write(&manifest, good).unwrap();
    still_there(&store, 1, 0);
}

#[test]
fn a_missing_or_wrong_key_stops_what_needs_it_and_loses_nothing() {
    let folder = Folder::new();
    let store = store_of(&folder, 1);
    let (key, away) = (format!("{store}.key"), folder.path("away"));
    let file = folder.write("second.csv", register(&[Person::new(1), Person::new(2)]));
    std::fs::rename(&key, &away).unwrap();
    sesshu!["load", "--store", store, file].code(2).saying(&["key file", &key, "missing", "--key-file"]);
    // Matching and recording need no My Number.
    still_there(&store, 1, 0);
    record(&store, 1, "a").code(0);

    std::fs::write(&key, "00".repeat(32)).unwrap();
    sesshu!["load", "--store", store, file].code(2).saying(&[&key, "not the key of this store"]);
    std::fs::write(&key, "no key").unwrap();
    sesshu!["load", "--store", store, file].code(2).saying(&[&key, "64 hexadecimal digits"]);
    let none = folder.path("none.key");
    sesshu!["load", "--store", store, file, "--key-file", none].code(2).saying(&[&none, "missing"]);
    still_there(&store, 1, 1);
    sesshu!["load", "--store", store, file, "--key-file", away].code(0);
    still_there(&store, 2, 0);
    let new = folder.path("new");
    sesshu!["load", "--store", new, file, "--key-file", none].code(2).saying(&[&none, "missing"]);
}

#[test]
fn a_directory_of_other_things_is_no_store() {
    let folder = Folder::new();
    folder.write("letter.txt", "");
    let other = folder.path("");
    sesshu!["status", "--store", other].code(2).saying(&["not a store"]);
    record(&other, 1, "a").code(2).saying(&["not a store"]);
    let file = folder.write("file", "");
    record(&file, 1, "a").code(3).saying(&[&file]);
}

#[test]
fn a_damaged_manifest_opens_nothing_and_is_told_with_its_byte() {
    let folder = Folder::new();
    let store = store_of(&folder, 1);
    let manifest = format!("{store}/MANIFEST");
    let good = std::fs::read(&manifest).unwrap();
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    std::fs::write(&manifest, bad).unwrap();
    sesshu!["match", "--store", store, line(1)].code(3).saying(&["damaged", "MANIFEST: byte 24"]);
    std::fs::write(&manifest, good).unwrap();
    still_there(&store, 1, 0);
}

#[test]
fn a_damaged_entry_is_told_shown_to_nobody_and_ends_with_3() {
    let folder = Folder::new();
    let people =
        [1, 2].map(|number| Person::new(number).with(|person| person.resident_number = format!("RESNO{number}")));
    let (store, file) = (folder.path("store"), folder.write("register.csv", register(&people)));
    sesshu!["load", "--store", store, file].code(0);
    damage(&store, b"RESNO2");
    let ended = sesshu!["match", "--store", store, line(1), line(2), "--json"].code(3).saying(&["damaged"]);
    let objects = ended.objects();
    assert_eq!((&objects[0]["outcome"], &objects[1]["outcome"]), (&"matched".into(), &"damaged".into()));
    assert!(objects[1]["resident"].is_null() && objects[1]["reason"].as_str().unwrap().contains(".gen: byte"));
    let server = Server::start(&store);
    let served = sesshu!["match", "--server", server.url, line(1), line(2), "--json"].code(3);
    assert_eq!(served.stdout, ended.stdout);
    let place = "131016/000001.gen: byte";
    let ledger = sesshu!["ledger", "--server", server.url, CHIYODA, "--json"].code(3);
    ledger.saying(&["DATA_LOSS", place, "checksum"]);
    server.stop();
    let ledger = sesshu!["ledger", "--store", store, CHIYODA, "--json"].code(3);
    assert_eq!(ledger.stdout, objects_until_damage(&ended.stdout));
    ledger.saying(&[place, "checksum"]);
}

/// The lines of what was matched.
fn objects_until_damage(text: &str) -> String {
    text.lines().take_while(|line| !line.contains("\"damaged\"")).map(|line| format!("{line}\n")).collect()
}

/// Turns over a bit of `bytes` wherever they stand in a generation of the store.
fn damage(store: &str, bytes: &[u8]) {
    let mut found = 0;
    for path in files_below(Path::new(store)).iter().filter(|path| path.extension().is_some_and(|end| end == "gen")) {
        let mut contents = std::fs::read(path).unwrap();
        while let Some(at) = contents.windows(bytes.len()).position(|window| window == bytes) {
            contents[at] ^= 1;
            found += 1;
        }
        std::fs::write(path, contents).unwrap();
    }
    assert!(found > 0);
}
