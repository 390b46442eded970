//! No My Number of a register is in anything that the program prints, writes for people, or serves, however much it logs.

use std::collections::BTreeSet;

use encoding_rs::{Encoding, SHIFT_JIS, UTF_8};

use crate::people::CHIYODA;
use crate::process::{Folder, Server, command, free_address, page, run, until};

/// Everything in the column of My Numbers of the register files in a directory, bad rows and wrong numbers included.
fn my_numbers(directory: &str, encoding: &'static Encoding) -> BTreeSet<String> {
    let mut numbers = BTreeSet::new();
    for code in municipalities(directory) {
        let bytes = std::fs::read(format!("{directory}/register-{code}.csv")).unwrap();
        let text = encoding.decode(&bytes).0;
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
        let column = reader.headers().unwrap().iter().position(|name| name == "個人番号").unwrap();
        let rows = reader.records().map(Result::unwrap);
        numbers.extend(rows.map(|row| row[column].to_owned()).filter(|number| !number.is_empty()));
    }
    assert!(numbers.iter().all(|number| number.len() == 12 && number.bytes().all(|byte| byte.is_ascii_digit())));
    numbers
}

/// The first of `numbers` whose digits stand in `text` in a row, whatever stands around them.
fn first_shown<'n>(text: &str, numbers: &'n BTreeSet<String>) -> Option<&'n String> {
    let plain: String = text.chars().map(half_width).collect();
    let runs = plain.split(|mark: char| !mark.is_ascii_digit()).filter(|run| run.len() >= 12);
    runs.flat_map(|run| (0..=run.len() - 12).map(|at| &run[at..at + 12])).find_map(|digits| numbers.get(digits))
}

/// Runs a command with everything logged. What it printed, on both streams.
fn printed(arguments: &[&str], input: &str) -> String {
    let mut command = command(arguments.iter().map(AsRef::as_ref));
    command.env("SESSHU_LOG", "trace");
    let ended = run(command, input);
    assert!(matches!(ended.status.code(), Some(0..=2)), "{ended:#?}");
    ended.stdout + &ended.stderr
}

#[test]
fn my_numbers_of_a_register_are_shown_nowhere() {
    for (encoding, decoder) in [("utf-8", UTF_8), ("cp932", SHIFT_JIS)] {
        let folder = Folder::new();
        let [store, served, out, rejects, csv] =
            ["store", "served", "out", "rejects.csv", "ledger.csv"].map(|name| folder.path(name));
        let mut texts = vec![printed(
            &[
                "generate",
                "--out",
                &out,
                "--residents",
                "400",
                "--municipalities",
                "2",
                "--bad-rows",
                "60",
                "--shots",
                "100",
                "--encoding",
                encoding,
            ],
            "",
        )];
        let numbers = my_numbers(&out, decoder);
        assert!(numbers.len() > 300, "{}", numbers.len());
        let shots = format!("{out}/shots.csv");
        let lines: String = std::fs::read(&shots)
            .unwrap()
            .split(|byte| *byte == b'\n')
            .skip(1)
            .fold(String::new(), |lines, row| lines + &String::from_utf8_lossy(&row[..row.len().min(18)]) + "\n");
        // A My Number where a ticket line is expected, too.
        let number = numbers.first().unwrap().clone();

        let metrics = free_address();
        let server = Server::start_with(&served, &["--metrics", &metrics], "trace");
        let municipality = municipalities(&out).into_iter().next().unwrap();
        let without =
            ["record", "--without-ticket", &municipality, "--name-kana", "ミホン ハナコ", "--birth-date", "1956-02-03"];
        let without = [&without[..], &["--date", "2021-06-01", "--dose", "1", "--vaccine", "ファイザー"]].concat();
        let without = [&without[..], &["--lot", "EW1", "--venue", "会場"]].concat();
        for place in [["--store", &*store], ["--server", &*server.url]] {
            for (arguments, input) in [
                // More than a tenth of the rows are bad: held where the share is a tenth, shown where nothing is to be loaded.
                (&["load", &out, "--dry-run", "--json"][..], ""),
                (&["load", &out], ""),
                (&["load", "--held"], ""),
                (&["load", "--held", "--json"], ""),
                (&["load", &out, "--rejects", &rejects, "--json"], ""),
                (&["load", &out, "--who", &number, "--reason", &format!("{number} の照会")], ""),
                (&["record", "--file", &shots, "--json"], ""),
                (&[&without[..], &["--json"]].concat(), ""),
                (&without, ""),
                (&["find", "--without-ticket", "--municipality", &municipality, "--json"], ""),
                (&["find", "--without-ticket", "--municipality", &municipality], ""),
                (&["match", "-", "--across", "--purpose", &number, "--json"], &*lines),
                (&["match", "-", "--across", "--purpose", "照会"], &*lines),
                (&["ledger", &municipality, "--across", "--purpose", "照会", "--json"], ""),
                (&["history", &lines[..18], "--json"], ""),
                (&["history", &lines[..18]], ""),
                (&["match", "-", "--json"], &*lines),
                (&["match", "-"], &*lines),
                (&["ledger", &municipality, "--json"], ""),
                (&["ledger", &municipality], ""),
                (&["ledger", &municipality, "--csv", &csv], ""),
                (&["status", "--json"], ""),
                (&["status"], ""),
                (&["find", "--my-number-stdin", "--purpose", "照会", "--json"], &*number),
                (&["find", "--my-number-stdin", "--purpose", &number], &*number),
                (&["find", "--my-number-stdin", "--purpose", "照会"], &format!("{}0", &number[..11])),
                (&["find", "--resident-number", &number, "--municipality", &municipality], ""),
                (&["find", "--kana-prefix", "", "--municipality", &municipality, "--limit", "1000", "--json"], ""),
                (&["find", "--name", "山田太郎", "--birth-date", &number], ""),
                // As a shots file a register is refused, as a municipality a My Number is.
                (&["record", "--file", &format!("{out}/register-{municipality}.csv")], ""),
                (&["ledger", &number[..6]], ""),
            ] {
                texts.push(printed(&[&arguments[..1], &place, &arguments[1..]].concat(), input));
                let held = |line: &str| Some(line.strip_prefix("{\"held\":\"")?.split('"').next()?.to_owned());
                for held in texts.last().unwrap().lines().filter_map(held).collect::<Vec<_>>() {
                    texts.push(printed(&["load", place[0], place[1], "--confirm", &held], ""));
                }
            }
            for path in [&rejects, &csv] {
                let text = std::fs::read_to_string(path).unwrap();
                assert!(text.lines().count() > 50, "{path}: {text}");
                texts.push(text);
            }
        }
        texts.push(until("the metrics", || {
            Some(page(&metrics, "/metrics")).filter(|page| page.contains("sesshu_shots"))
        }));
        let (code, rest, log) = server.stop();
        for store in [&store, &served] {
            let entries = printed(&["access", "--store", store], "");
            assert!(entries.lines().count() >= 2, "{entries}");
            texts.extend([entries, printed(&["access", "--store", store, "--json"], "")]);
            texts.push(printed(&["key", "rotate", "--store", store, "--new-data-key"], ""));
            texts.push(printed(&["load", "--store", store, &out], ""));
            texts.push(printed(&["key", "list", "--store", store, "--json"], ""));
            texts.push(printed(&["find", "--store", store, "--my-number-stdin", "--purpose", "照会"], &number));
        }
        assert_eq!(code, Some(0), "{log}");
        for whose in ["ミホン", &format!("P{municipality}"), &lines[..18], &lines[2..18]] {
            assert!(!log.contains(whose), "names and tickets do not reach the log: {log}");
        }
        texts.extend([rest, log]);
        for text in &texts {
            let shown = first_shown(text, &numbers);
            assert!(shown.is_none(), "the My Number {shown:?} in {text}");
        }
        let confirmed = texts.iter().filter(|text| text.contains(": confirmed, visible now")).count();
        assert!(confirmed >= 2, "a load was held and confirmed in each place: {confirmed}");
        assert!(texts.iter().any(|text| text.contains("TRACE")), "nothing was logged");
    }
}

/// The codes in the names of the register files.
fn municipalities(directory: &str) -> Vec<String> {
    let entries = std::path::Path::new(directory).read_dir().unwrap().map(Result::unwrap);
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    names.filter_map(|name| Some(name.strip_prefix("register-")?.strip_suffix(".csv")?.to_owned())).collect()
}

#[test]
fn a_my_number_in_a_wrong_place_is_not_repeated() {
    use crate::people::{Person, ShotLine, register, shots};
    let folder = Folder::new();
    let store = crate::people::store_of(&folder, 1);
    let number = "123456789018";
    let person = |change: fn(&mut Person)| Person::new(2).with(|row| row.my_number = String::new()).with(change);
    let people = [
        Person::new(1),
        person(|row| row.number = "123456789018".into()),
        person(|row| (row.name, row.sex) = ("１２３４５６７８９０１８".into(), "3".into())),
        person(|row| row.resident_number = "1234-5678-9018-0000".into()),
        person(|row| row.birth_date = "123456789018".into()),
        person(|row| row.municipality = "123456789018".into()),
        person(|row| row.protected = "0,123456789018".into()),
    ];
    let (file, rejects) = (folder.write("second.csv", register(&people)), folder.path("rejects.csv"));
    let mut texts = vec![printed(&["load", "--store", &store, &file, "--rejects", &rejects, "--json"], "")];
    texts.push(std::fs::read_to_string(&rejects).unwrap());
    assert_eq!(texts[1].lines().count(), people.len(), "{}", texts[1]);

    let shot = |change: fn(&mut ShotLine)| ShotLine::new(1, "a").with(change);
    let given = [
        shot(|row| row.ticket = "123456789018".into()),
        shot(|row| row.institution = "123456789018".into()),
        shot(|row| row.date = "123456789018".into()),
        shot(|row| row.dose = "123456789018".into()),
    ];
    let file = folder.write("shots.csv", shots(&given));
    texts.push(printed(&["record", "--store", &store, "--file", &file, "--rejects", &rejects, "--json"], ""));
    texts.push(std::fs::read_to_string(&rejects).unwrap());
    assert_eq!(texts[3].lines().count(), given.len() + 1, "{}", texts[3]);
    texts.push(printed(&["ledger", "--store", &store, CHIYODA, "--json"], ""));
    for text in texts {
        let plain: String = text.chars().filter(|mark| *mark != '-').map(half_width).collect();
        assert!(!plain.contains(number), "{text}");
    }
}

fn half_width(mark: char) -> char {
    match mark {
        '０'..='９' => char::from_u32(mark as u32 - '０' as u32 + '0' as u32).unwrap(),
        _ => mark,
    }
}
