//! A register means the same in UTF-8 and in CP932, on a store and behind a server: everything that a municipality does in its year, six times.

use serde_json::Value;

use crate::people::{CHIYODA, Person, ShotLine, cp932, line, register, reissues, shots, ticket};
use crate::process::{Ended, Folder, Server, command, run};

/// Names that registers have and no keyboard: IBM's extension characters, half-width kana, wide and narrow blanks, the municipality's own character.
const NAMES: [(&str, &str); 6] = [
    ("髙橋　黑子", "タカハシ　クロコ"),
    ("山﨑 德太郎", "やまさき　とくたろう"),
    ("渡邊 \u{e000}子", "ﾜﾀﾅﾍﾞ ﾊﾅｺ"),
    ("仮名・ジョー", "カメイ　ジョ‐"),
    ("邉見～塚祐", "ヘンミ　ツカヒロ"),
    ("ＬＥＥ－Ｏ'ＢＲＩＥＮ", "リー　オブライエン"),
];

/// How a file's text becomes its bytes.
type Encode = fn(&str) -> Vec<u8>;

/// One municipality that does everything, by files of one encoding, in one place.
struct Year<'a> {
    folder: &'a Folder,
    name: String,
    place: [&'a str; 2],
    encode: Encode,
    /// What was answered, as objects or lines.
    told: Vec<(String, Vec<Value>)>,
}

impl Year<'_> {
    fn file(&self, name: &str, text: &str) -> String {
        self.folder.write(&format!("{}-{name}", self.name), (self.encode)(text))
    }

    /// Runs a command that answers with objects, and keeps them.
    #[track_caller]
    fn ask(&mut self, arguments: &[&str], input: &str, code: i32) -> Vec<Value> {
        let all = [&arguments[..1], &self.place, &arguments[1..], &["--json"]].concat();
        let ended: Ended = run(command(all.into_iter().map(AsRef::as_ref)), input).code(code);
        let objects = ended.objects();
        self.told.push((arguments[0].to_owned(), objects.iter().cloned().map(without_the_run).collect()));
        objects
    }

    /// Runs a command that also writes what it rejected and what it remarked on, and keeps the lines. Returns line, column and code of each, in order.
    #[track_caller]
    fn ask_listing(&mut self, arguments: &[&str], lists: &[&str], code: i32) -> Vec<Vec<(String, String, String)>> {
        let paths: Vec<String> =
            lists.iter().map(|list| self.folder.path(&format!("{}-listed{list}", self.name))).collect();
        let flags = lists.iter().zip(&paths).flat_map(|(list, path)| [*list, path]);
        self.ask(&arguments.iter().copied().chain(flags).collect::<Vec<_>>(), "", code);
        let read = |path: &String| {
            let text = std::fs::read_to_string(path).unwrap();
            let mut reader = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
            // The last column names the file.
            let columns = |row: csv::StringRecord| row.iter().take(5).map(str::to_owned).collect();
            reader.records().map(|row| columns(row.unwrap())).collect::<Vec<Vec<String>>>()
        };
        let listed: Vec<_> = paths.iter().map(read).collect();
        self.told.push(("lists".to_owned(), listed.iter().map(|rows| rows.clone().into()).collect()));
        let place = |row: &Vec<String>| (row[0].clone(), row[1].clone(), row[2].clone());
        let mut places: Vec<Vec<_>> = listed.iter().map(|rows| rows.iter().map(place).collect()).collect();
        places.iter_mut().for_each(|rows: &mut Vec<_>| rows.sort_unstable());
        places
    }
}

/// An answer without what differs from run to run: names of files and held loads, seconds and times.
fn without_the_run(mut answer: Value) -> Value {
    match &mut answer {
        Value::Object(fields) => {
            let of_the_run = ["file", "seconds", "rows_per_second", "held", "expires_at", "recorded_at"];
            fields.retain(|name, _| !of_the_run.contains(&&**name));
            fields.values_mut().for_each(|value| *value = without_the_run(value.take()));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| *value = without_the_run(value.take())),
        _ => {}
    }
    answer
}

/// A resident without a My Number, since those of [`Person::new`] share one; the first have awkward names.
fn nobody_else_s(number: u64) -> Person {
    Person::new(number).with(|person| {
        person.my_number.clear();
        if let Some((name, name_kana)) = NAMES.get(number as usize - 1) {
            (person.name, person.name_kana) = ((*name).to_owned(), (*name_kana).to_owned());
        }
    })
}

fn places(expected: &[(u64, &str, &str)]) -> Vec<(String, String, String)> {
    expected.iter().map(|(line, column, code)| (line.to_string(), (*column).into(), (*code).into())).collect()
}

/// The first register: rows that are remarked on, rows that are rejected, and the awkward names.
fn first() -> Vec<Person> {
    let mut people: Vec<Person> = (1..=40).map(nobody_else_s).collect();
    people[9].birth_date = "19400000".into();
    people[10].resident_number = people[11].resident_number.clone();
    people[12].my_number = "123456789018".into();
    people[13].my_number = "123456789018".into();
    people[20].sex = "3".into();
    people[21].number = people[22].number.clone();
    people
}

fn live_through(year: &mut Year<'_>) {
    // A register with remarks and rejected rows, two of which have one number.
    let file = year.file("first.csv", &register(&first()));
    let listed = year.ask_listing(&["load", &file], &["--rejects", "--remarks"], 1);
    let rejected =
        [(22, "性別", "unknown_value"), (23, "券番号", "duplicate_ticket"), (24, "券番号", "duplicate_ticket")];
    assert_eq!(listed[0], places(&rejected));
    let remarks = [
        (11, "生年月日", "open_birth_date"),
        (12, "宛名番号", "shared_resident_number"),
        (13, "宛名番号", "shared_resident_number"),
        (14, "個人番号", "shared_my_number"),
        (15, "個人番号", "shared_my_number"),
        (4, "氏名", "private_use"),
    ];
    assert_eq!(listed[1], places(&remarks));

    // Shots, one of them on a ticket that nobody has yet; then a register whose bad row keeps what was there.
    let given: Vec<ShotLine> = [2, 3, 50].map(|number| ShotLine::new(number, &format!("shot-{number}"))).into();
    let file = year.file("shots.csv", &shots(&given));
    let told = year.ask(&["record", "--file", &file], "", 0);
    assert_eq!(told.last().unwrap()["orphans"], 1);
    let mut people = first();
    (people[2].sex, people[3].name) = ("5".into(), "改名　太郎".into());
    people.extend([50, 51].map(nobody_else_s));
    let file = year.file("second.csv", &register(&people));
    let told = year.ask(&["load", &file], "", 1);
    let counts = ["accepted", "added", "changed", "unchanged", "rejected", "kept", "removed"].map(|it| &told[0][it]);
    assert_eq!(counts.map(|it| it.as_u64().unwrap()), [38, 2, 1, 35, 4, 1, 0]);

    // One that removes ten residents: shown, held, confirmed.
    let file = year.file("third.csv", &register(&people[10..]));
    let shown = year.ask(&["load", &file, "--dry-run"], "", 2);
    assert_eq!((&shown[0]["removed"], &shown[0]["outcome"]), (&10.into(), &"dry_run".into()));
    let held = year.ask(&["load", &file], "", 2);
    assert_eq!((&held[0]["removed"], &held[0]["outcome"]), (&10.into(), &"held".into()));
    let matched = |year: &mut Year<'_>, number| year.ask(&["match", &line(number)], "", 0).remove(0);
    assert_eq!(matched(year, 1)["resident"]["status"], "active");
    let confirmed = year.ask(&["load", "--confirm", held[0]["held"].as_str().unwrap()], "", 0);
    assert_eq!((&confirmed[0]["removed"], &confirmed[0]["outcome"]), (&10.into(), &"loaded".into()));
    assert_eq!(matched(year, 2)["resident"]["status"], "removed");

    // The daily changes: a birth, a new name, a move, a death, a removal, a ticket that replaces another, one that cannot.
    let status = |number, change: &str| {
        nobody_else_s(number).with(|it| (it.change, it.change_date) = (change.into(), "20210501".into()))
    };
    let change = |number, change: &str| nobody_else_s(number).with(|it| it.change = change.into());
    let rows = [
        ("", change(60, "新規")),
        ("", change(30, "変更").with(|it| it.name = "黑澤　改子".into())),
        ("", status(31, "転出")),
        ("", status(32, "死亡")),
        ("", status(33, "削除")),
        ("0000000050", change(61, "再発行")),
        ("0000000077", change(62, "再発行")),
        ("", change(34, "転居前")),
    ];
    let file = year.file("changes.csv", &reissues(&rows));
    let listed = year.ask_listing(&["apply", &file], &["--rejects"], 1);
    assert_eq!(listed[0], places(&[(9, "異動区分", "unknown_value")]));
    let both = [50, 61].map(|number| matched(year, number));
    assert_eq!(both[0]["resident"]["name"], both[1]["resident"]["name"]);
    assert_eq!(both.map(|it| it["shots"].as_array().unwrap().len()), [1, 1]);
    year.ask(&["apply", &file], "", 1);

    // Everybody is found, and comes back as written.
    for (at, (name, name_kana)) in NAMES.iter().enumerate().filter(|(at, _)| *at != 3) {
        for arguments in [["--name", name, "--limit", "9"], ["--name-kana", name_kana, "--birth-date", "19560203"]] {
            let found = year.ask(&[&["find"], &arguments[..]].concat(), "", 0);
            let resident = &found[0]["resident"];
            assert_eq!((&found[0]["ticket"], found.len()), (&ticket(at as u64 + 1).into(), 2), "{arguments:?}");
            assert_eq!((&resident["name"], &resident["name_kana"]), (&(*name).into(), &(*name_kana).into()));
        }
    }
    year.ask(&["find", "--resident-number", "A000030", "--municipality", CHIYODA], "", 0);
    let found = year.ask(&["find", "--kana-prefix", "シ", "--municipality", CHIYODA, "--limit", "5"], "", 0);
    assert_eq!((found.len(), &found[5]["more"]), (6, &true.into()));
    let found = year.ask(&["find", "--my-number-stdin", "--purpose", "照会"], "123456789018\n", 0);
    assert_eq!(found[2]["found"], 2);

    let ledger = year.ask(&["ledger", CHIYODA], "", 0);
    assert_eq!(ledger.len(), 43);
}

#[test]
fn a_register_means_the_same_in_every_encoding_and_place() {
    let encodings: [(&str, Encode); 3] = [
        ("utf-8", |text| text.into()),
        ("utf-8 with a mark", |text| format!("\u{feff}{text}").into()),
        ("cp932", |text| cp932(text)),
    ];
    let folder = Folder::new();
    let mut years: Vec<Vec<(String, Vec<Value>)>> = Vec::new();
    for (name, encode) in encodings {
        let [store, served] = ["store", "served"].map(|place| folder.path(&format!("{name}-{place}")));
        let server = Server::start(&served);
        for place in [["--store", &store], ["--server", &server.url]] {
            let name = format!("{name}{}", place[0]);
            let mut year = Year { folder: &folder, name, place, encode, told: Vec::new() };
            live_through(&mut year);
            let Year { told, name, .. } = year;
            for (ours, first) in told.iter().zip(years.first().unwrap_or(&told)) {
                assert_eq!(ours, first, "{name}");
            }
            years.push(told);
        }
    }
    assert!(years.iter().all(|told| told.len() == years[0].len()));
}
