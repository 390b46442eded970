//! `sesshu key`: a new outside key, a new data key that comes in as registers are loaded, and what the old ones are still needed for.

use serde_json::Value;

use crate::people::{CHIYODA, Person, cp932, line, register, still_there};
use crate::process::{Ended, Folder, Server, command, run, sesshu};

const NAHA: &str = "472018";

/// Two people of Chiyoda and one of Naha, each municipality's file in another encoding.
fn loaded(folder: &Folder) -> (String, [String; 2]) {
    let naha = Person::new(7).with(|it| (it.municipality, it.my_number) = (NAHA.into(), "621498320257".into()));
    let other = Person::new(2).with(|it| it.my_number = "000000000060".into());
    let files = [
        folder.write("chiyoda.csv", register(&[Person::new(1), other])),
        folder.write("naha.csv", cp932(&register(&[naha]))),
    ];
    let store = folder.path("store");
    sesshu!["load", "--store", store, files[0], files[1]].code(0);
    (store, files)
}

fn find(place: [&str; 2], key: Option<&str>, my_number: &str) -> Ended {
    let mut all = vec!["find", place[0], place[1], "--my-number-stdin", "--purpose", "照会", "--json"];
    all.extend(key.iter().flat_map(|key| ["--key-file", key]));
    run(command(all.into_iter().map(AsRef::as_ref)), my_number)
}

/// Id, My Numbers and whether it is the newest, of every data key.
fn listed(store: &str) -> Vec<(u64, u64, bool)> {
    let row = |key: &Value| {
        (key["id"].as_u64().unwrap(), key["my_numbers"].as_u64().unwrap(), key["newest"].as_bool().unwrap())
    };
    sesshu!["key", "list", "--store", store, "--json"].code(0).objects().iter().map(row).collect()
}

#[test]
fn a_new_outside_key_takes_the_old_one_s_place_and_the_old_one_is_told_as_such() {
    let folder = Folder::new();
    let (store, files) = loaded(&folder);
    let before = sesshu!["key", "list", "--store", store, "--json"].code(0).object()["outside_key"].clone();
    let rotated = sesshu!["key", "rotate", "--store", store, "--json"].code(0).object();
    let (key, old) = (format!("{store}.key"), rotated["old_key_file"].as_str().unwrap());
    assert_eq!((&rotated["key_file"], &rotated["data_key"]), (&key.clone().into(), &1.into()));
    assert_ne!(sesshu!["key", "list", "--store", store, "--json"].code(0).object()["outside_key"], before);
    for file in [&key, &old.to_owned()] {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600, "{file} is its owner's alone");
    }
    find(["--store", &store], None, "123456789018").code(0);
    find(["--store", &store], Some(old), "123456789018").code(2).saying(&[old, "not the key of this store"]);
    sesshu!["load", "--store", store, files[0], "--key-file", old].code(2).saying(&[old, "not the key of this store"]);
    sesshu!["load", "--store", store, files[0], files[1]].code(0);

    // A server opens it with the new key, and says so when it has the old one.
    let served = folder.copy_store("store", "served");
    let server = Server::start(&served);
    find(["--server", &server.url], None, "621498320257").code(0);
    drop(server);
    let server = Server::start_with(&served, &["--key-file", old], "info");
    let refused = find(["--server", &server.url], None, "621498320257").code(2);
    assert!(refused.stderr.contains("not the key of this store"), "{refused:#?}");
    assert_eq!(sesshu!["match", "--server", server.url, line(1)].code(0).stdout.lines().count(), 1);
    // What needs no My Number goes on.
    still_there(&store, 1, 0);
}

#[test]
fn a_new_outside_key_in_a_file_of_its_own_is_the_one_from_then_on() {
    let folder = Folder::new();
    let (store, files) = loaded(&folder);
    let other = folder.path("other.key");
    let told = sesshu!["key", "rotate", "--store", store, "--new-key-file", other].code(0).stdout;
    assert!(told.starts_with(&format!("the key is {other}: keep a copy elsewhere.")), "{told}");
    assert!(told.contains(&format!("Older copies of the store need {store}.key")), "{told}");
    find(["--store", &store], Some(&other), "123456789018").code(0);
    find(["--store", &store], None, "123456789018").code(2).saying(&["not the key of this store"]);
    let again = sesshu!["key", "rotate", "--store", store, "--key-file", other, "--new-key-file", other].code(2);
    assert!(again.stderr.contains(&other), "{again:#?}");
    sesshu!["load", "--store", store, files[0], "--key-file", other].code(0);
}

#[test]
fn a_new_data_key_comes_in_as_registers_are_loaded_and_old_ones_are_listed_while_they_are_needed() {
    let folder = Folder::new();
    let (store, files) = loaded(&folder);
    assert_eq!(listed(&store), [(1, 3, true)]);
    let rotated = sesshu!["key", "rotate", "--store", store, "--new-data-key", "--json"].code(0).object();
    assert_eq!(rotated["data_key"], 2);
    assert_eq!(listed(&store), [(1, 3, false), (2, 0, true)]);
    // Naha's register is folded, Chiyoda's is not yet.
    sesshu!["load", "--store", store, files[1]].code(0);
    assert_eq!(listed(&store), [(1, 2, false), (2, 1, true)]);
    // A change is sealed with the newest.
    let birth = Person::new(3).with(|it| (it.change, it.my_number) = ("新規".into(), "000000000108".into()));
    let birth = folder.write("birth.csv", register(std::slice::from_ref(&birth)));
    let told = sesshu!["apply", "--store", store, birth, "--json"].code(0).objects();
    assert_eq!(told[1]["added"], 1);
    assert_eq!(listed(&store), [(1, 2, false), (2, 2, true)]);
    sesshu!["key", "rotate", "--store", store, "--new-data-key"].code(0);
    let told = sesshu!["apply", "--store", store, birth, "--json"].code(0).objects();
    assert_eq!((&told[1]["unchanged"], listed(&store)), (&1.into(), vec![(1, 2, false), (2, 2, false), (3, 0, true)]));
    for (my_number, found) in [("123456789018", 1), ("000000000060", 2), ("621498320257", 7), ("000000000108", 3)] {
        let objects = find(["--store", &store], None, my_number).code(0).objects();
        assert_eq!(objects[0]["resident"]["number"], format!("{found:010}"), "whatever key seals it");
    }
    let people: Vec<Person> = vec![
        Person::new(1),
        Person::new(2).with(|it| it.my_number = "000000000060".into()),
        Person::new(3).with(|it| it.my_number = "000000000108".into()),
    ];
    let file = folder.write("whole.csv", cp932(&register(&people)));
    let told = sesshu!["load", "--store", store, file, "--json"].code(0).objects();
    assert_eq!((&told[0]["unchanged"], &told[0]["changed"]), (&3.into(), &0.into()), "another key is no change");
    assert_eq!(listed(&store), [(1, 0, false), (2, 1, false), (3, 3, true)]);
    let text = sesshu!["key", "list", "--store", store].code(0).stdout;
    assert!(text.starts_with("data key 1: 0 My Numbers, under the outside key "), "{text}");
    assert!(text.lines().last().unwrap().ends_with(", newest"), "{text}");
    assert_eq!(sesshu!["ledger", "--store", store, CHIYODA, "--json"].code(0).objects().len(), 3);
}

#[test]
fn keys_are_changed_with_the_key_alone() {
    let folder = Folder::new();
    let (store, _) = loaded(&folder);
    let (key, away) = (format!("{store}.key"), folder.path("away.key"));
    std::fs::rename(&key, &away).unwrap();
    sesshu!["key", "rotate", "--store", store].code(2).saying(&[&key, "missing", "--key-file"]);
    assert!(!std::fs::exists(&key).unwrap(), "no new key is made for sealed My Numbers");
    sesshu!["key", "rotate", "--store", store, "--key-file", away].code(0);
    let server = Server::start_with(&store, &["--key-file", &away], "info");
    sesshu!["key", "rotate", "--store", store, "--key-file", away].code(2).saying(&["in use"]);
    drop(server);
    assert_eq!(listed(&store), [(1, 3, true)]);
    find(["--store", &store], Some(&away), "123456789018").code(0);
}
