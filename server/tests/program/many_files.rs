//! `sesshu load` of many files: as many at a time as asked, and still one result a file, in order, and the same ledgers.

use crate::people::{CHIYODA, Person, ShotLine, line, register, shots, store_of};
use crate::process::{Ended, Folder, NEVER_HELD, Server, command, run, sesshu};

const SAPPORO: &str = "011002";
const MUNICIPALITIES: usize = 12;

/// What a load of the folder `registers` left behind.
#[derive(Debug, PartialEq)]
struct Loaded {
    told: Vec<String>,
    rejects: String,
    ledgers: Vec<String>,
}

/// Loads the folder `registers` into a place, and reads back what is there then.
fn load(folder: &Folder, name: &str, place: [&str; 2], more: &[&str]) -> Loaded {
    let (registers, rejects) = (folder.path("registers"), folder.path(&format!("{name}.csv")));
    let hold = if place[0] == "--store" { &NEVER_HELD[..] } else { &[] };
    let all = [&["load", &registers, "--rejects", &rejects, "--json"][..], &place, more, hold].concat();
    let ended = run(command(all.into_iter().map(AsRef::as_ref)), "").code(1);
    let told = told(&ended);
    let municipalities =
        ended.objects().into_iter().filter_map(|object| Some(object["municipality"].as_str()?.to_owned()));
    let ledger = |code: String| sesshu!["ledger", place[0], place[1], code, "--json"].code(0).stdout;
    Loaded { told, rejects: std::fs::read_to_string(rejects).unwrap(), ledgers: municipalities.map(ledger).collect() }
}

/// The lines of the output, without how long it took.
fn told(ended: &Ended) -> Vec<String> {
    ended.stdout.lines().map(|line| line.split(",\"seconds\":").next().unwrap().to_owned()).collect()
}

/// Twelve municipalities with bad rows in each, and the store's own rejects in one.
fn registers(folder: &Folder) {
    let registers = folder.path("registers");
    let count = MUNICIPALITIES.to_string();
    sesshu!["generate", "--out", registers, "--residents", "9000", "--municipalities", count, "--bad-rows", "300"]
        .code(0);
    let twice = folder.path("registers/register-0.csv");
    std::fs::write(twice, register(&[Person::new(1), Person::new(2), Person::new(2)])).unwrap();
}

#[test]
fn however_many_files_at_a_time_the_ledgers_the_output_and_the_rejects_are_the_same() {
    let folder = Folder::new();
    registers(&folder);
    let store = |name: &str| folder.path(name);
    let one = load(&folder, "one", ["--store", &store("one")], &["--jobs", "1"]);
    assert_eq!((one.told.len(), one.ledgers.len()), (MUNICIPALITIES + 2, MUNICIPALITIES + 1));
    assert!(one.rejects.lines().count() > 300 && one.rejects.contains("duplicate_ticket"));
    assert!(one.ledgers.iter().all(|ledger| !ledger.is_empty()));
    let four = load(&folder, "four", ["--store", &store("four")], &["--jobs", "4"]);
    assert_eq!(four, one);
    assert_eq!(load(&folder, "default", ["--store", &store("default")], &[]), one);
    sesshu!["load", "--store", store("served"), store("registers/register-0.csv"), NEVER_HELD[1]].code(1);
    let server = Server::start_with(&store("served"), &NEVER_HELD, "info");
    let served = load(&folder, "server", ["--server", &server.url], &["--jobs", "4"]);
    // Of the file that was loaded before, nothing is added.
    assert_eq!((&served.told[1..], served.rejects, served.ledgers), (&one.told[1..], one.rejects, one.ledgers));
}

#[test]
fn without_json_the_files_are_told_in_their_order_too() {
    let folder = Folder::new();
    registers(&folder);
    let lines = |jobs: &str| {
        let ended =
            sesshu!["load", "--store", folder.path(jobs), folder.path("registers"), "--jobs", jobs, NEVER_HELD[1]]
                .code(1);
        ended.stdout.lines().take(MUNICIPALITIES + 1).map(str::to_owned).collect::<Vec<_>>()
    };
    let one = lines("1");
    assert!(one.is_sorted() && one.len() == MUNICIPALITIES + 1, "{one:?}");
    assert_eq!(lines("4"), one);
}

#[test]
fn a_bad_file_among_good_ones_is_told_at_the_end_and_the_good_ones_are_loaded() {
    let folder = Folder::new();
    let store = store_of(&folder, 1);
    let sapporo = Person::new(3).with(|person| person.municipality = SAPPORO.into());
    let nobody = Person::new(4).with(|person| (person.municipality, person.sex) = ("141003".into(), "3".into()));
    let good = folder.write("good.csv", register(&[Person::new(1), Person::new(2)]));
    let refused = folder.write("refused.csv", register(&[nobody]));
    let wrong = folder.write("wrong.csv", shots(&[ShotLine::new(1, "a")]));
    let last = folder.write("last.csv", register(&[sapporo]));
    for jobs in ["2", "4"] {
        let ended = sesshu!["load", "--store", store, wrong, good, refused, last, "--json", "--jobs", jobs].code(2);
        let ended = ended.saying(&["2 of 4 files were not loaded"]).saying(&[&refused, "not one row"]);
        let objects = ended.saying(&[&wrong, "it is a shots file"]).objects();
        let files: Vec<_> = objects.iter().map(|object| object["file"].as_str().unwrap_or_default()).collect();
        assert_eq!(files, [&wrong, &good, &refused, &last, ""]);
        let codes: Vec<_> = objects.iter().map(|object| object["exit_code"].as_u64()).collect();
        assert_eq!(codes, [Some(2), None, Some(2), None, None]);
        assert!(objects[2]["reason"].as_str().unwrap().contains("not one row"), "{objects:?}");
        assert_eq!(objects[4]["accepted"], 3);
    }
    for (code, tickets) in [(CHIYODA, 2), (SAPPORO, 1), ("141003", 0)] {
        assert_eq!(sesshu!["ledger", "--store", store, code, "--json"].code(0).objects().len(), tickets, "{code}");
    }
}

#[test]
fn of_many_failures_the_worst_gives_the_exit_code() {
    let folder = Folder::new();
    let store = store_of(&folder, 1);
    let good = folder.write("good.csv", register(&[Person::new(1), Person::new(2)]));
    let empty = folder.write("empty.csv", "");
    // It can be opened, and nobody can read its first bytes.
    let torn = "/proc/self/mem";
    let ended = sesshu!["load", "--store", store, torn, empty, good].code(3);
    let ended = ended.saying(&["cannot read", torn]).saying(&[&empty, "is empty"]);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines[..2], [format!("{torn}: not loaded"), format!("{empty}: not loaded")]);
    assert!(lines[2].starts_with(&good) && lines[3].starts_with("2 rows accepted"), "{lines:?}");
    let nowhere = folder.path("nowhere");
    sesshu!["load", "--store", nowhere, torn, empty].code(3).saying(&["cannot read", torn]).saying(&["is empty"]);
    assert!(!std::path::Path::new(&nowhere).exists(), "a store was made for nothing");
}

#[test]
fn one_at_a_time_the_first_failure_ends_the_command() {
    let folder = Folder::new();
    let store = folder.path("store");
    let sapporo = Person::new(3).with(|person| person.municipality = SAPPORO.into());
    let good = folder.write("good.csv", register(&[Person::new(1)]));
    let refused = folder.write("refused.csv", register(&[Person::new(1).with(|person| person.sex = "3".into())]));
    let last = folder.write("last.csv", register(&[sapporo]));
    let ended = sesshu!["load", "--store", store, good, refused, last, "--jobs", "1", "--json"].code(2);
    assert_eq!(ended.saying(&["not one row"]).objects().len(), 1);
    assert_eq!(sesshu!["ledger", "--store", store, CHIYODA, "--json"].code(0).objects().len(), 1);
    assert_eq!(sesshu!["ledger", "--store", store, SAPPORO, "--json"].code(0).objects().len(), 0);
}

#[test]
fn of_files_of_one_municipality_the_later_wins_and_none_is_refused() {
    let folder = Folder::new();
    let sapporo: Vec<Person> =
        (1..2000).map(|number| Person::new(number).with(|person| person.municipality = SAPPORO.into())).collect();
    let many: Vec<Person> = (1..=5000).map(Person::new).collect();
    let renamed = Person::new(2).with(|person| person.name = "試験 改名".into());
    let files = [
        folder.write("many.csv", register(&many)),
        folder.write("fewer.csv", register(&many[..4000])),
        folder.write("other.csv", register(&sapporo)),
        folder.write("third.csv", register(&[Person::new(1), renamed])),
    ];
    let server = Server::start_with(&store_of(&folder, 1), &NEVER_HELD, "info");
    for (place, hold) in [(["--store", &folder.path("four")], &NEVER_HELD[..]), (["--server", &server.url], &[])] {
        let all =
            [&["load", "--jobs", "4", "--json"], &place[..], &files.each_ref().map(String::as_str), hold].concat();
        let ended = run(command(all.into_iter().map(AsRef::as_ref)), "");
        let objects = ended.code(0).objects();
        let told: Vec<_> = objects[..4].iter().map(|object| object["file"].as_str().unwrap()).collect();
        assert_eq!(told, files);
        let removed: Vec<_> = objects[..4].iter().map(|object| object["removed"].as_u64().unwrap()).collect();
        assert_eq!((&removed[1..], &objects[3]["changed"]), (&[1000, 0, 3998][..], &1.into()), "{objects:?}");
        let person = sesshu!["match", place[0], place[1], line(2), "--json"].code(0).object();
        assert_eq!(
            (&person["resident"]["name"], &person["resident"]["status"]),
            (&"試験 改名".into(), &"active".into())
        );
        let person = sesshu!["match", place[0], place[1], line(5000), "--json"].code(0).object();
        assert_eq!(person["resident"]["status"], "removed");
    }
}

#[test]
fn a_rejects_file_that_a_full_disk_does_not_take_ends_the_command_however_many_files_wait() {
    let folder = Folder::new();
    registers(&folder);
    let ended = sesshu!["load", "--store", folder.path("store"), folder.path("registers"), "--rejects", "/dev/full"];
    ended.code(3).saying(&["rejected rows", "/dev/full", "No space left"]);
}
