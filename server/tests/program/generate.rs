//! `sesshu generate`: the same options give the same bytes, the counts are as asked, and what cannot be is refused.

use std::collections::BTreeMap;

use crate::people::REGISTER_HEADER;
use crate::process::{Folder, sesshu};

/// The files of a directory and what is in them.
fn contents(directory: &str) -> BTreeMap<String, Vec<u8>> {
    let entries = std::path::Path::new(directory).read_dir().unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())).collect()
}

fn generate(directory: &str, seed: &str, encoding: &str) -> BTreeMap<String, Vec<u8>> {
    let ended = sesshu![
        "generate",
        "--out",
        directory,
        "--residents",
        "3000",
        "--municipalities",
        "4",
        "--seed",
        seed,
        "--encoding",
        encoding,
        "--bad-rows",
        "30",
        "--shots",
        "500",
        "--json"
    ];
    let object = ended.code(0).object();
    assert_eq!(object.to_string(), r#"{"bad_rows":30,"files":5,"rows":3000,"shots":500}"#);
    contents(directory)
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_gives_others() {
    let folder = Folder::new();
    for encoding in ["utf-8", "cp932"] {
        let path = |name: &str| folder.path(&format!("{name}-{encoding}"));
        let first = generate(&path("first"), "7", encoding);
        assert!(first == generate(&path("again"), "7", encoding));
        assert!(first != generate(&path("other"), "8", encoding));
    }
}

#[test]
fn a_nation_is_all_municipalities_and_the_same_however_many_threads_write_it() {
    let folder = Folder::new();
    let nation = |jobs: &[&str]| {
        let out = folder.path(&format!("nation-{}", jobs.concat()));
        let options = ["--nation", "--residents", "5000", "--bad-rows", "40", "--shots", "200", "--json"];
        let all = [&["generate", "--out", &out][..], &options, jobs].concat();
        let ended = crate::process::run(crate::process::command(all.into_iter().map(AsRef::as_ref)), "").code(0);
        assert_eq!(ended.object().to_string(), r#"{"bad_rows":40,"files":1742,"rows":5000,"shots":200}"#);
        contents(&out)
    };
    let one = nation(&["--jobs", "1"]);
    let mut registers: Vec<_> = one.iter().filter(|(name, _)| name.starts_with("register-")).collect();
    let rows = |file: &[u8]| file.iter().filter(|&&byte| byte == b'\n').count() - 1;
    assert_eq!(registers.len(), 1741);
    assert_eq!(registers.iter().map(|(_, file)| rows(file)).sum::<usize>(), 5040);
    registers.sort_by_key(|(_, file)| rows(file));
    assert!(rows(registers[1740].1) > 20 * rows(registers[870].1), "one city is as large as the middling ones");
    for jobs in [&["--jobs", "2"][..], &["--jobs", "7"], &[]] {
        assert!(one == nation(jobs), "{jobs:?}");
    }
}

#[test]
fn rows_and_shots_are_as_many_as_asked_one_a_line() {
    let folder = Folder::new();
    let files = generate(&folder.path("out"), "1", "utf-8");
    let rows = |name: &str| {
        let text = String::from_utf8(files[name].clone()).unwrap();
        assert!(name == "shots.csv" || text.lines().next().unwrap().replace(['"', '\u{feff}'], "") == REGISTER_HEADER);
        text.lines().count() - 1
    };
    let registers: Vec<&String> = files.keys().filter(|name| name.starts_with("register-")).collect();
    assert_eq!(registers.len(), 4);
    assert_eq!(registers.iter().map(|name| rows(name)).sum::<usize>(), 3030);
    assert_eq!(rows("shots.csv"), 500);
}

#[test]
fn good_rows_are_accepted_bad_ones_rejected_and_shots_recorded() {
    for encoding in ["utf-8", "cp932"] {
        let folder = Folder::new();
        let (out, store) = (folder.path("out"), folder.path("store"));
        generate(&out, "3", encoding);
        let loaded = sesshu!["load", "--store", store, out, "--json"].code(1).objects();
        let total = loaded.last().unwrap();
        assert_eq!((&total["accepted"], &total["rejected"]), (&3000.into(), &30.into()), "{encoding}");
        let shots = format!("{out}/shots.csv");
        let recorded = sesshu!["record", "--store", store, "--file", shots, "--json"].code(0).objects();
        let summary = recorded.last().unwrap().to_string();
        assert_eq!(
            summary,
            r#"{"already_recorded":0,"invalid":0,"orphans":0,"provisional":0,"recorded":500,"warnings":{},"with_warnings":0}"#
        );
    }
}

#[test]
fn a_plan_that_cannot_be_is_refused_before_anything_is_written() {
    let folder = Folder::new();
    let out = folder.path("out");
    for (arguments, said) in [
        (&["--residents", "5", "--municipalities", "6"][..], "6"),
        (&["--residents", "5000", "--municipalities", "1742"], "1742"),
        (&["--residents", "5", "--municipalities", "0"], "municipalit"),
        (&["--residents", "10", "--shots", "21"], "21"),
        (&["--residents", "5000", "--nation", "--municipalities", "3"], "--municipalities"),
        (&["--residents", "1740", "--nation"], "1740"),
        (&["--residents", "10", "--jobs", "0"], "jobs"),
        (&["--residents", "10", "--encoding", "utf-16"], "utf-16"),
        (&["--residents", "many"], "many"),
    ] {
        let mut all = vec!["generate", "--out", &out];
        all.extend(arguments);
        let ended = crate::process::run(crate::process::command(all.into_iter().map(AsRef::as_ref)), "");
        ended.code(2).saying(&[said]);
        assert!(!std::path::Path::new(&out).exists(), "{arguments:?}");
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_the_machines_fault() {
    let folder = Folder::new();
    let file = folder.write("file", "");
    sesshu!["generate", "--out", format!("{file}/out"), "--residents", "10"].code(3).saying(&["cannot create", &file]);
}
