//! Standard input and output as pipes: a reader that leaves early, a disk that takes no more output, a person who waits for each answer.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use crate::people::{CHIYODA, Person, ShotLine, line, register, shots, still_there, store_of, ticket};
use crate::process::{Ended, Folder, PATIENCE, command, sesshu, wait};

/// Runs a command whose standard output nobody reads any more.
fn unread(arguments: &[&str]) -> Ended {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = command(arguments.iter().map(AsRef::as_ref));
    let output = command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    Ended { status: output.status, stdout: String::new(), stderr: String::from_utf8(output.stderr).unwrap() }
}

#[test]
fn a_reader_that_closes_early_gets_its_lines_and_no_error() {
    let folder = Folder::new();
    let store = store_of(&folder, 3000);
    for more in [&["--json"][..], &[]] {
        let mut ledger = command(["ledger".as_ref(), "--store".as_ref(), store.as_ref(), CHIYODA.as_ref()]);
        let mut child = ledger.args(more).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut reader = BufReader::with_capacity(64, child.stdout.take().unwrap());
        let mut first = String::new();
        reader.read_line(&mut first).unwrap();
        drop(reader);
        let output = child.wait_with_output().unwrap();
        assert!(first.contains(&ticket(1)), "{first}");
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    }
}

#[test]
fn no_command_panics_or_complains_when_nobody_reads_its_output() {
    let folder = Folder::new();
    let store = store_of(&folder, 1);
    let (file, out) = (folder.path("first.csv"), folder.path("out"));
    let line = line(1);
    for arguments in [
        &["status", "--store", &store][..],
        &["status", "--store", &store, "--json"],
        &["match", "--store", &store, &line],
        &["match", "--store", &store, &line, "--json"],
        &["ledger", "--store", &store, CHIYODA, "--json"],
        &["load", "--store", &store, &file],
        &["load", "--store", &store, &file, "--json"],
        &["generate", "--out", &out, "--residents", "10"],
        &["generate", "--out", &out, "--residents", "10", "--json"],
    ] {
        assert_eq!(unread(arguments).code(0).stderr, "", "{arguments:?}");
    }
}

#[test]
fn what_is_to_be_written_is_written_though_nobody_reads_of_it() {
    let folder = Folder::new();
    let store = folder.path("store");
    let sapporo = Person::new(1).with(|person| person.municipality = "011002".into());
    let files = [
        folder.write("register-011002.csv", register(&[sapporo])),
        folder.write("register-131016.csv", register(&[Person::new(1)])),
    ];
    unread(&["load", "--store", &store, &files[0], &files[1], "--json"]).code(0);
    still_there(&store, 1, 0);
    // More shots than one batch, so that the output fails before the last is recorded.
    let mut rows: Vec<ShotLine> = (0..20_000).map(|at| ShotLine::new(at % 700 + 1, &format!("id-{at}"))).collect();
    rows.push(ShotLine::new(1, "bad id"));
    let file = folder.write("shots.csv", shots(&rows));
    unread(&["record", "--store", &store, "--file", &file, "--json"]).code(1);
    let status = sesshu!["status", "--store", store, "--json"].code(0).object();
    assert_eq!(status["shots"], 20_000);
}

#[test]
fn output_that_a_full_disk_does_not_take_ends_with_3() {
    let folder = Folder::new();
    let store = store_of(&folder, 3000);
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let failed = |mut command: Command| {
        let output = command.stdout(full()).output().unwrap();
        Ended { status: output.status, stdout: String::new(), stderr: String::from_utf8(output.stderr).unwrap() }
    };
    let place = ["--store".as_ref(), store.as_ref()];
    let (line, file) = (line(1), folder.path("first.csv"));
    for arguments in [&["ledger", CHIYODA, "--json"][..], &["match", &line], &["status"], &["load", &file]] {
        let mut command = command([arguments[0].as_ref(), place[0], place[1]]);
        command.args(&arguments[1..]);
        failed(command).code(3).saying(&["writing results", "No space left"]);
    }
    sesshu!["ledger", "--store", store, CHIYODA, "--csv", "/dev/full"].code(3).saying(&["No space left"]);
    let rejects = sesshu!["load", "--store", store, file, "--rejects", "/dev/full"];
    rejects.code(3).saying(&["rejected rows", "/dev/full", "No space left"]);
    still_there(&store, 3000, 0);
}

#[test]
fn whoever_writes_one_line_and_waits_gets_its_answer() {
    let folder = Folder::new();
    let store = store_of(&folder, 3);
    let mut asking = command(["match".as_ref(), "--store".as_ref(), store.as_ref(), "-".as_ref(), "--json".as_ref()]);
    let mut child = asking.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (answers, answered) = mpsc::channel();
    std::thread::spawn(move || stdout.lines().try_for_each(|answer| answers.send(answer.unwrap())));
    for number in [2, 1, 9, 3] {
        writeln!(stdin, "{}", line(number)).unwrap();
        let answer = answered.recv_timeout(PATIENCE).expect("an answer before the next line");
        assert!(answer.contains(&ticket(number)), "{answer}");
    }
    drop(stdin);
    assert_eq!(wait(&mut child).code(), Some(1), "9 is nobody's");
}
