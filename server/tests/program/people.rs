//! Invented residents and shots, and the files and stores that hold them.
//!
//! A resident of these tests is told by a ticket number. Nothing here is random: what a test says of a person can be read in it.

use std::fmt;

use crate::process::{Ended, Folder, sesshu};

/// Chiyoda, whose register most tests load.
pub(crate) const CHIYODA: &str = "131016";

pub(crate) const REGISTER_HEADER: &str =
    "自治体コード,券番号,宛名番号,個人番号,氏名,氏名カナ,生年月日,性別,異動区分,異動日,支援措置";
pub(crate) const SHOTS_HEADER: &str = "接種券,接種日,接種回数,メーカー,ロット番号,会場名,医療機関コード,医師名,読取ID";

/// A row of a register, field by field as it will stand in the file.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) municipality: String,
    pub(crate) number: String,
    pub(crate) resident_number: String,
    pub(crate) my_number: String,
    pub(crate) name: String,
    pub(crate) name_kana: String,
    pub(crate) birth_date: String,
    pub(crate) sex: String,
    pub(crate) change: String,
    pub(crate) change_date: String,
    pub(crate) protected: String,
}

impl Person {
    /// A resident of Chiyoda with a ticket number.
    pub(crate) fn new(number: u64) -> Person {
        Person {
            municipality: CHIYODA.into(),
            number: format!("{number:010}"),
            resident_number: format!("A{number:06}"),
            my_number: "123456789018".into(),
            name: format!("試験 {}子", ["一", "二", "三", "四", "五"][number as usize % 5]),
            name_kana: "シケン タロウ".into(),
            birth_date: "19560203".into(),
            sex: "2".into(),
            change: String::new(),
            change_date: String::new(),
            protected: "0".into(),
        }
    }

    /// With one thing changed.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Person)) -> Person {
        change(&mut self);
        self
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Person { municipality, number, resident_number, my_number, name, name_kana, birth_date, .. } = self;
        let Person { sex, change, change_date, protected, .. } = self;
        write!(f, "{municipality},{number},{resident_number},{my_number},{name},{name_kana},{birth_date},")?;
        write!(f, "{sex},{change},{change_date},{protected}")
    }
}

/// A row of a shots file.
#[derive(Clone)]
pub(crate) struct ShotLine {
    pub(crate) ticket: String,
    pub(crate) date: String,
    pub(crate) dose: String,
    pub(crate) vaccine: String,
    pub(crate) lot: String,
    pub(crate) venue: String,
    pub(crate) institution: String,
    pub(crate) doctor: String,
    pub(crate) capture_id: String,
}

impl ShotLine {
    /// A first dose on a ticket of Chiyoda.
    pub(crate) fn new(number: u64, capture_id: &str) -> ShotLine {
        ShotLine {
            ticket: line(number),
            date: "20210412".into(),
            dose: "1".into(),
            vaccine: "ファイザー".into(),
            lot: "ET3674".into(),
            venue: "区民ホール".into(),
            institution: "1310112345".into(),
            doctor: "試験 医師".into(),
            capture_id: capture_id.into(),
        }
    }

    /// With one thing changed.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut ShotLine)) -> ShotLine {
        change(&mut self);
        self
    }
}

impl fmt::Display for ShotLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ShotLine { ticket, date, dose, vaccine, lot, venue, institution, doctor, capture_id } = self;
        write!(f, "{ticket},{date},{dose},{vaccine},{lot},{venue},{institution},{doctor},{capture_id}")
    }
}

/// The ticket line of a first-dose stub of Chiyoda.
pub(crate) fn line(number: u64) -> String {
    format!("21{CHIYODA}{number:010}")
}

/// The ticket of Chiyoda with a number, as answers name it.
pub(crate) fn ticket(number: u64) -> String {
    format!("{CHIYODA}{number:010}")
}

/// A file of `rows` under a header line.
pub(crate) fn csv(header: &str, rows: &[String]) -> String {
    let mut text = format!("{header}\r\n");
    rows.iter().for_each(|row| text.extend([row, "\r\n"]));
    text
}

/// A register file of these residents.
pub(crate) fn register(people: &[Person]) -> String {
    csv(REGISTER_HEADER, &people.iter().map(Person::to_string).collect::<Vec<_>>())
}

/// A file of changes with the column 旧券番号: each person with the number that theirs replaces, or nothing.
pub(crate) fn reissues(rows: &[(&str, Person)]) -> String {
    let lines: Vec<String> = rows.iter().map(|(previous, person)| format!("{person},{previous}")).collect();
    csv(&format!("{REGISTER_HEADER},旧券番号"), &lines)
}

/// A shots file.
pub(crate) fn shots(shots: &[ShotLine]) -> String {
    csv(SHOTS_HEADER, &shots.iter().map(ShotLine::to_string).collect::<Vec<_>>())
}

/// A text in CP932, where a municipality's own character U+E000 (外字) is 0xF040.
pub(crate) fn cp932(text: &str) -> Vec<u8> {
    let parts = text.split('\u{e000}').map(|part| {
        let (bytes, _, unmappable) = encoding_rs::SHIFT_JIS.encode(part);
        assert!(!unmappable, "{text} has characters that CP932 does not have");
        bytes.into_owned()
    });
    parts.collect::<Vec<_>>().join(&[0xf0, 0x40][..])
}

/// Loads the residents 1 to `residents` of Chiyoda into the store `store` of the folder, which is made. Returns its path.
pub(crate) fn store_of(folder: &Folder, residents: u64) -> String {
    let people: Vec<Person> = (1..=residents).map(Person::new).collect();
    let (store, file) = (folder.path("store"), folder.write("first.csv", register(&people)));
    sesshu!["load", "--store", store, file].code(0);
    store
}

/// Records the first dose of the resident `number` in Chiyoda.
pub(crate) fn record(store: &str, number: u64, capture_id: &str) -> Ended {
    record_at(["--store", store], number, capture_id)
}

/// As [`record`], into a store or by a server.
pub(crate) fn record_at(place: [&str; 2], number: u64, capture_id: &str) -> Ended {
    sesshu![
        "record",
        place[0],
        place[1],
        "--ticket",
        line(number),
        "--date",
        "2021-04-12",
        "--dose",
        "1",
        "--vaccine",
        "ファイザー",
        "--lot",
        "ET3674",
        "--venue",
        "区民ホール",
        "--capture-id",
        capture_id,
        "--json"
    ]
}

/// Demands that the resident `number` of Chiyoda is still matched, with this many shots.
#[track_caller]
pub(crate) fn still_there(store: &str, number: u64, shots: usize) {
    let answer = sesshu!["match", "--store", store, line(number), "--json"].code(0).object();
    assert_eq!(answer["outcome"], "matched", "{answer}");
    assert_eq!(answer["resident"]["number"], format!("{number:010}"));
    assert_eq!(answer["shots"].as_array().unwrap().len(), shots, "{answer}");
}
