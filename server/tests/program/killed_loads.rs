//! SIGKILL in the middle of eight loads side by side, again and again on one store: each municipality is wholly old or wholly new, and the same command again
//! makes all of them new. The command is killed with its own store, and the server while the command loads there.

use std::ops::RangeInclusive;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::people::{Person, register};
use crate::process::{Folder, NEVER_HELD, Server, command, run, sesshu, wait};

const ROUNDS: usize = 50;
const CODES: [&str; 8] = ["131016", "131024", "131032", "131041", "131059", "131067", "131075", "131083"];
const RESIDENTS: u64 = 600;

/// The tickets of a version: half of those before are gone, and half are others.
fn numbers(version: usize) -> RangeInclusive<u64> {
    let before = (version % 2) as u64 * RESIDENTS / 2;
    before + 1..=before + RESIDENTS
}

fn write_registers(folder: &Folder, version: usize) -> Vec<String> {
    let person = |code: &str, number| {
        Person::new(number).with(|person| {
            person.municipality = code.into();
            person.name = name(version);
        })
    };
    let write = |code: &str| {
        let people: Vec<Person> = numbers(version).map(|number| person(code, number)).collect();
        folder.write(&format!("register-{code}.csv"), register(&people))
    };
    CODES.map(write).to_vec()
}

fn name(version: usize) -> String {
    format!("試験 第{version}版")
}

fn load(place: [&str; 2], files: &[String]) -> Command {
    let fixed = ["load", place[0], place[1], "--jobs", "8"];
    // A version has other people than the one before. Over gRPC the share is the server's.
    let hold = if place[0] == "--store" { &NEVER_HELD[..] } else { &[] };
    command(fixed.into_iter().chain(hold.iter().copied()).chain(files.iter().map(String::as_str)).map(AsRef::as_ref))
}

/// How many ledgers are of version `new`. The others must be of the version before.
fn count_new(store: &str, new: usize) -> usize {
    let is_new = |code: &str| {
        let objects = sesshu!["ledger", "--store", store, code, "--json"].code(0).objects();
        let of = |version: usize| {
            let resident = objects.iter().map(|object| &object["resident"]);
            let mut found: Vec<u64> = resident
                .filter(|resident| resident["status"] == "active")
                .inspect(|resident| assert_eq!(resident["name"], name(version), "{code} is of two versions"))
                .map(|resident| resident["number"].as_str().unwrap().parse().unwrap())
                .collect();
            found.sort_unstable();
            assert!(found.into_iter().eq(numbers(version)), "{code} has not all of version {version}");
        };
        let is_new = objects.iter().any(|object| object["resident"]["name"] == name(new));
        of(if is_new { new } else { new - 1 });
        is_new
    };
    CODES.iter().filter(|code| is_new(code)).count()
}

#[test]
fn each_municipality_is_wholly_old_or_wholly_new_after_fifty_kills() {
    let folder = Folder::new();
    let store = folder.path("store");
    let began = Instant::now();
    let files = write_registers(&folder, 0);
    run(load(["--store", &store], &files), "").code(0);
    let whole = began.elapsed();
    let (mut killed, mut mixed) = (0, 0);
    for round in 0..ROUNDS {
        let version = round + 1;
        let files = write_registers(&folder, version);
        // Spread over the time that the command takes, a little beyond its end.
        let moment = whole.mul_f64((round as f64 * 0.618_034).fract() * 1.1);
        killed += usize::from(load_and_kill(&store, &files, round % 2 == 1, moment));
        let new = count_new(&store, version);
        mixed += usize::from(0 < new && new < CODES.len());
        run(load(["--store", &store], &files), "").code(0);
        assert_eq!(count_new(&store, version), CODES.len(), "a rerun completes");
    }
    println!("{killed} of {ROUNDS} were killed before their end, {mixed} with some municipalities new and some old");
    assert!(killed > ROUNDS / 4 && mixed > 0, "{killed} killed, {mixed} mixed: the moments were no moments of a load");
}

/// Loads, and kills whoever has the store open at that moment. True if the load had not ended.
fn load_and_kill(store: &str, files: &[String], on_server: bool, moment: Duration) -> bool {
    let start = |place: [&str; 2]| load(place, files).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Nothing is waited for: whatever the moment meets is to be survived.
    if !on_server {
        let mut load = start(["--store", store]);
        std::thread::sleep(moment);
        load.kill().unwrap();
        return !wait(&mut load).success();
    }
    let mut server = Server::start_with(store, &NEVER_HELD, "info");
    let mut load = start(["--server", &server.url]);
    std::thread::sleep(moment);
    server.kill();
    !wait(&mut load).success()
}
