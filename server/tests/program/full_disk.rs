//! A disk that takes no more, made with a limit on the size of files: the command says so and ends with 3, and when there is room everything that was
//! acknowledged is there.

use std::process::Command;

use crate::people::{Person, ShotLine, line, record, register, shots, still_there, store_of, ticket};
use crate::process::{Ended, Folder, run, sesshu};

/// Runs `sesshu` where no file may grow beyond this many blocks of 512 bytes. The signal that comes with the limit is ignored, so that writes fail.
fn limited(blocks: u32, arguments: &[&str]) -> Ended {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\""), "sh"]);
    command.arg(env!("CARGO_BIN_EXE_sesshu")).args(arguments).env_remove("SESSHU_LOG").env_remove("SESSHU_KEY_FILE");
    run(command, "")
}

#[test]
fn a_load_that_finds_no_room_is_told_and_the_register_before_stays() {
    let folder = Folder::new();
    let store = store_of(&folder, 2);
    let people: Vec<Person> = (1..=20_000).map(Person::new).collect();
    let file = folder.write("large.csv", register(&people));
    limited(600, &["load", "--store", &store, &file]).code(3).saying(&["File too large"]);
    still_there(&store, 2, 0);
    sesshu!["match", "--store", store, line(20_000)].code(1);
    sesshu!["load", "--store", store, file].code(0);
    still_there(&store, 20_000, 0);
}

#[test]
fn shots_that_find_no_room_are_told_and_those_acknowledged_are_there() {
    let folder = Folder::new();
    let store = store_of(&folder, 10);
    record(&store, 1, "before").code(0);
    let rows: Vec<ShotLine> = (0..20_000).map(|at| ShotLine::new(at % 10 + 1, &format!("id-{at}"))).collect();
    let file = folder.write("shots.csv", shots(&rows));
    let ended = limited(600, &["record", "--store", &store, "--file", &file, "--json"]).code(3);
    assert!(
        ended.stderr.contains("the log could not go on") && ended.stderr.contains("File too large"),
        "{}",
        ended.stderr
    );
    still_there(&store, 1, shots_of(&store, 1));
    let acknowledged = ended.objects().len();
    let held: usize = (1..=10).map(|number| shots_of(&store, number)).sum();
    assert!(held > acknowledged && held < rows.len(), "{held} held, {acknowledged} acknowledged");

    // The same file again: what is there is told, what is not is recorded.
    let summary = sesshu!["record", "--store", store, "--file", file, "--json"].code(0).objects().pop().unwrap();
    let told = ["recorded", "already_recorded"].map(|name| summary[name].as_u64().unwrap() as usize);
    assert_eq!(told, [rows.len() + 1 - held, held - 1]);
    assert_eq!((1..=10).map(|number| shots_of(&store, number)).sum::<usize>(), rows.len() + 1);
}

fn shots_of(store: &str, number: u64) -> usize {
    let object = sesshu!["match", "--store", store, line(number), "--json"].code(0).object();
    assert_eq!(object["ticket"], ticket(number));
    object["shots"].as_array().unwrap().len()
}

#[test]
fn a_store_that_cannot_be_made_for_want_of_room_can_be_made_later() {
    let folder = Folder::new();
    let (store, file) = (folder.path("store"), folder.write("first.csv", register(&[Person::new(1)])));
    limited(100, &["load", "--store", &store, &file]).code(3).saying(&["File too large"]);
    sesshu!["load", "--store", store, file].code(0);
    still_there(&store, 1, 0);
}

#[test]
fn a_generated_file_that_finds_no_room_is_told() {
    let folder = Folder::new();
    let out = folder.path("out");
    limited(100, &["generate", "--out", &out, "--residents", "10000"]).code(3).saying(&["register-", "File too large"]);
}
