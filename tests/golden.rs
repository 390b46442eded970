//! The bytes of a store are what they were: a change of format shows as a difference of a text.
//!
//! The steps of `golden/script.txt` are done on a machine whose clock and chance come from a seed, and every file that they leave is dumped and compared with
//! `golden/files.txt`. After a change that is meant, `SESSHU_GOLDEN=renew cargo test -p sesshu-tests --test golden` writes it anew.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fmt::Write as _;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use sesshu_engine::intake::{Act, Amendment, By, Change, Correction, Row, Sender, ShotRecord, ShotRef};
use sesshu_engine::{AmendmentOutcome, Store};
use sesshu_proto::v1::{Authority, Provisional, Shot};
use sesshu_tests::seeded::Seeded;
use sesshu_tests::{Place, municipality, my_number, raw_batches, record, resident, shot, ticket};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

/// The row of a number, with a My Number if there is a star behind it.
fn row(number: &str, version: &str) -> Row {
    let with_my_number = number.ends_with('*');
    let number = number.trim_end_matches('*').parse().unwrap();
    let my_number = with_my_number.then(|| my_number(number));
    Row::check(number, my_number, resident(number, version.parse().unwrap()), 0).unwrap()
}

fn of(code: &str, number: &str, shot_id: &str) -> ShotRef {
    ShotRef { ticket: ticket(code.parse().unwrap(), number.parse().unwrap()), shot_id: shot_id.parse().unwrap() }
}

fn amend(store: &Store, of: ShotRef, act: Act, authority: Authority) {
    let by = By { who: "係員 7".into(), reason: "読み違い".into(), authority, batch: String::new() };
    let amendment = Amendment::check(of, act, by, None, None).unwrap();
    let answer = store.amend(&[amendment]).pop().unwrap().unwrap();
    assert!(matches!(answer.outcome, AmendmentOutcome::Amended | AmendmentOutcome::Held), "{answer:?}");
}

/// Does the steps of the script.
fn work() -> Place {
    let (machine, place) = (Seeded::of(2021), Place::in_memory());
    let mut store: Option<Store> = None;
    let script = fs::read_to_string(golden("script.txt")).unwrap();
    for line in script.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match (&words[..], &store) {
            (["open"], None) => store = Some(machine.open(&place)),
            (["record", code, number, content, capture_id], Some(store)) => {
                let ticket = ticket(code.parse().unwrap(), number.parse().unwrap());
                record(store, shot(ticket, content.parse().unwrap(), capture_id.trim_matches('-')));
            }
            (["provisional", code, name_kana, birth_date, content], Some(store)) => {
                let (municipality, birth_date) = (municipality(code.parse().unwrap()), birth_date.parse().unwrap());
                let provisional = Some(Provisional { name_kana: (*name_kana).into(), birth_date });
                let content = shot(ticket(code.parse().unwrap(), 1), content.parse().unwrap(), "");
                let shot = Shot { provisional, ..content.shot().clone() };
                record(store, ShotRecord::check_without_ticket(municipality, shot).unwrap());
            }
            (["load", code, version, numbers @ ..], Some(store)) => {
                let mut load = store.load(municipality(code.parse().unwrap())).unwrap();
                load.sent_by(Sender::check("情報係", format!("第{version}版")).unwrap());
                for number in numbers {
                    load.push(row(number, version)).unwrap();
                }
                load.commit(None).unwrap();
            }
            (["change", code, number, version], Some(store)) => {
                let change = Change::row(municipality(code.parse().unwrap()), row(number, version));
                let change = change.sent_by(Sender::check("窓口 3", "").unwrap());
                store.change(&[change]).unwrap().pop().unwrap().unwrap();
            }
            (["correct", code, number, shot_id, lot], Some(store)) => {
                let correction = Correction { lot: Some((*lot).into()), ..Correction::default() };
                amend(store, of(code, number, shot_id), Act::Correct(Box::new(correction)), Authority::Terminal);
            }
            (["confirm", code, number, shot_id], Some(store)) => {
                amend(store, of(code, number, shot_id), Act::Confirm, Authority::MunicipalityStaff);
                amend(store, of(code, number, shot_id), Act::Void, Authority::Terminal);
            }
            (["reassign", code, number, shot_id, to], Some(store)) => {
                let to = ticket(code.parse().unwrap(), to.parse().unwrap());
                amend(store, of(code, number, shot_id), Act::Reassign(to), Authority::MunicipalityStaff);
            }
            (["compact", code], Some(store)) => {
                let municipality = municipality(code.parse().unwrap());
                assert!(store.compact(municipality, None, &mut |_| ControlFlow::Continue(())).unwrap().is_some());
            }
            (["tick"], Some(store)) => store.tick(),
            (["checkpoint"], Some(store)) => store.checkpoint().unwrap(),
            (["close"], Some(open)) => {
                open.close().unwrap();
                store = None;
            }
            (["kill"], Some(_)) => {
                let files = place.bytes();
                store = None;
                place.restore(&files);
            }
            _ => panic!("no step: {line}"),
        }
    }
    assert!(store.is_none(), "the script ends with close or kill");
    place
}

/// Every file in hexadecimal.
fn dump(place: &Place) -> String {
    let mut text = String::new();
    for (name, bytes) in place.bytes() {
        writeln!(text, "\n==== {}: {} bytes", name.display(), bytes.len()).unwrap();
        // It holds the process id of whoever had the store open.
        if name != Path::new("LOCK") {
            dump_file(&mut text, &bytes, &parts(&name, &bytes));
        }
    }
    let key = fs::read(place.key()).unwrap();
    writeln!(text, "\n==== store.key, beside the store: {} bytes", key.len()).unwrap();
    dump_file(&mut text, &key, &[]);
    text
}

/// Where something begins in a file, and what.
fn parts(name: &Path, bytes: &[u8]) -> Vec<(usize, String)> {
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let frames = |mut at: usize, end: usize| {
        std::iter::from_fn(move || {
            let begin = (at < end).then_some(at)?;
            at += (32 + number(at)).next_multiple_of(8);
            Some((begin, "frame".to_owned()))
        })
    };
    let mut parts = Vec::new();
    if name.starts_with("log") {
        parts.push((4096, "header, second copy".to_owned()));
        for batch in raw_batches(bytes) {
            parts.push((batch.at, format!("batch of {}, first sequence {}", batch.count, batch.first_sequence)));
            parts.extend(frames(batch.at + 48, batch.at + batch.size));
            parts.push((batch.at + batch.size, String::new()));
        }
    } else if name.starts_with("ledgers") {
        parts.push((4096, "header, second copy".to_owned()));
        let footer = bytes.len() - 512;
        for section in 0..number(footer + 12) {
            let at = footer + 64 + section * 24;
            let (tag, begin, length) = (number(at), number(at + 8), number(at + 16));
            parts.push((begin, format!("section {tag}, {length} bytes")));
            if tag == 1 || tag == 5 {
                parts.extend(frames(begin, begin + length));
            }
        }
        parts.push((footer, "footer".to_owned()));
    } else if name == Path::new("MANIFEST") {
        parts.push((24, "message".to_owned()));
    } else if name.starts_with("checkpoint") {
        parts.push((64, "ledgers".to_owned()));
    }
    parts
}

/// Lines of sixteen bytes, begun anew at every part; lines like the one before them are left out.
fn dump_file(text: &mut String, bytes: &[u8], parts: &[(usize, String)]) {
    let mut begins: Vec<usize> = parts.iter().map(|(at, _)| *at).chain([0, bytes.len()]).collect();
    begins.sort_unstable();
    begins.dedup();
    for part in begins.windows(2) {
        for (_, label) in parts.iter().filter(|(at, label)| *at == part[0] && !label.is_empty()) {
            writeln!(text, "-- {label}").unwrap();
        }
        let (mut before, mut left_out) = (None, false);
        for (index, line) in bytes[part[0]..part[1]].chunks(16).enumerate() {
            if before.replace(line) == Some(line) {
                if !std::mem::replace(&mut left_out, true) {
                    text.push_str("*\n");
                }
                continue;
            }
            left_out = false;
            let hexadecimal: String = line.iter().map(|byte| format!("{byte:02x} ")).collect();
            let printable = |byte: &u8| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' };
            let ascii: String = line.iter().map(printable).collect();
            writeln!(text, "{:08x}  {hexadecimal:48} |{ascii}|", part[0] + index * 16).unwrap();
        }
    }
    writeln!(text, "{:08x}", bytes.len()).unwrap();
}

/// The lines that only one of two texts has, with the file that they are of: the longest common part is left out.
fn difference(was: &str, is: &str) -> String {
    let (was, is): (Vec<&str>, Vec<&str>) = (was.lines().collect(), is.lines().collect());
    let mut common = vec![vec![0_u32; is.len() + 1]; was.len() + 1];
    for (w, was) in was.iter().enumerate().rev() {
        for (i, is) in is.iter().enumerate().rev() {
            let skipped = common[w + 1][i].max(common[w][i + 1]);
            common[w][i] = if was == is { common[w + 1][i + 1] + 1 } else { skipped };
        }
    }
    let (mut w, mut i, mut file, mut text) = (0, 0, "", String::new());
    while w < was.len() || i < is.len() {
        if w < was.len() && i < is.len() && was[w] == is[i] {
            file = if was[w].starts_with("====") { was[w] } else { file };
            (w, i) = (w + 1, i + 1);
            continue;
        }
        if !std::mem::take(&mut file).is_empty() {
            let begun = was[..w].iter().rfind(|line| line.starts_with("====")).unwrap_or(&"");
            writeln!(text, "{begun}").unwrap();
        }
        if i == is.len() || (w < was.len() && common[w + 1][i] >= common[w][i + 1]) {
            writeln!(text, "- {}", was[w]).unwrap();
            w += 1;
        } else {
            writeln!(text, "+ {}", is[i]).unwrap();
            i += 1;
        }
    }
    text
}

#[test]
fn the_bytes_of_a_store_are_what_they_were() {
    let is = dump(&work());
    let expected = golden("files.txt");
    if std::env::var("SESSHU_GOLDEN").is_ok_and(|asked| asked == "renew") {
        fs::write(&expected, &is).unwrap();
    }
    let was = fs::read_to_string(&expected).unwrap_or_default();
    let difference = difference(&was, &is);
    let lines: Vec<&str> = difference.lines().take(200).collect();
    assert!(
        was == is,
        "the files differ (- as they were, + as they are):\n{}\n\nIf the format was meant to change, write down in docs/format.md how, and then\n    \
         SESSHU_GOLDEN=renew cargo test -p sesshu-tests --test golden",
        lines.join("\n")
    );
}

#[test]
fn the_same_steps_write_the_same_bytes() {
    let (one, other) = (work(), work());
    assert_eq!(difference(&dump(&one), &dump(&other)), "");
    for (name, bytes) in one.bytes() {
        assert!(bytes == fs::read(other.file(&name)).unwrap(), "{}", name.display());
    }
}
