//! What holds of generated files, whatever the plan: tests that read the files back with a reader of their own.
//!
//! The reader here knows CSV and the ticket vocabulary and shares nothing with the code that writes, so that both would
//! have to be wrong in the same way.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::num::NonZero;
use std::path::Path;

use encoding_rs::SHIFT_JIS;
use sesshu_engine::ticket::{BirthDate, Date, Municipality, MyNumber, TicketLine};
use tempfile::TempDir;

use super::{
    BadRowKind, Encoding, GenerateError, GeneratedResident, Movement, Plan, Report, Sex, residents, shots_of, write,
};

const SEED: u64 = 20_210_412;
const ONE: NonZero<usize> = NonZero::<usize>::MIN;
const TWO: NonZero<usize> = ONE.saturating_add(1);

fn generate(plan: &Plan) -> (TempDir, Report) {
    let directory = TempDir::new().expect("a temporary directory");
    let report = write(plan, directory.path(), ONE, &mut |_| ()).expect("generated");
    (directory, report)
}

fn plan(residents: u64, municipalities: usize, encoding: Encoding) -> Plan {
    Plan { encoding, ..Plan::spread(residents, municipalities, SEED).expect("possible") }
}

/// The rows of a file as text, header left out; bytes that are no character become U+FFFD.
fn rows(path: &Path, encoding: Encoding) -> Vec<Vec<String>> {
    let bytes = fs::read(path).expect("readable");
    let text = match encoding {
        Encoding::Utf8 => String::from_utf8(bytes).expect("UTF-8").trim_start_matches('\u{FEFF}').to_owned(),
        Encoding::Cp932 => SHIFT_JIS.decode_without_bom_handling(&bytes).0.into_owned(),
    };
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    reader.records().map(|record| record.expect("CSV").iter().map(str::to_owned).collect()).collect()
}

/// Whether a reader would take a row as a resident of `municipality`.
fn is_good(row: &[String], municipality: Municipality) -> bool {
    let [code, number, resident_number, my_number, name, kana, born, sex, movement, moved, protected] = row else {
        return false;
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    *code == municipality.to_string()
        && number.len() == 10
        && digits(number)
        && number.parse() != Ok(0)
        && (resident_number.is_empty() || (8..=15).contains(&resident_number.len()) && digits(resident_number))
        && (my_number.is_empty() || MyNumber::parse(my_number).is_ok())
        && (1..=60).contains(&name.chars().count())
        && !name.contains('\u{FFFD}')
        && kana.contains('\u{3000}')
        && born.len() == 8
        && BirthDate::parse(born).is_ok()
        && matches!(sex.as_str(), "1" | "2" | "9")
        && match movement.as_str() {
            "" => moved.is_empty(),
            "転出" | "死亡" => Date::parse(moved).is_ok(),
            _ => false,
        }
        && matches!(protected.as_str(), "0" | "1")
}

#[test]
fn the_same_plan_gives_the_same_bytes_and_another_seed_does_not() {
    let plan = Plan { bad_rows: 20, shots: 500, ..plan(1000, 3, Encoding::Utf8) };
    let contents = |plan: &Plan| {
        let (_directory, report) = generate(plan);
        let shots = report.shots.expect("shots were asked for");
        let paths = report.registers.iter().map(|register| &register.path).chain([&shots.path]);
        paths.map(|path| fs::read(path).expect("readable")).collect::<Vec<_>>()
    };
    assert_eq!(contents(&plan), contents(&plan));
    assert_ne!(contents(&plan), contents(&Plan { seed: SEED + 1, ..plan.clone() }));
}

#[test]
fn rows_are_as_many_as_asked_for_and_each_is_good_or_bad_as_reported() {
    for encoding in [Encoding::Utf8, Encoding::Cp932] {
        let plan = Plan { bad_rows: 157, ..plan(5000, 7, encoding) };
        let (_directory, report) = generate(&plan);
        let (mut good, mut bad) = (0, 0);
        for register in &report.registers {
            let rows = rows(&register.path, encoding);
            let good_here = rows.iter().filter(|row| is_good(row, register.municipality)).count() as u64;
            assert_eq!(good_here, register.good_rows, "{}", register.path.display());
            assert_eq!(rows.len() as u64 - good_here, register.bad_rows, "{}", register.path.display());
            good += register.good_rows;
            bad += register.bad_rows;
        }
        assert_eq!((good, bad), (5000, 157));
    }
}

#[test]
fn ticket_numbers_and_my_numbers_never_repeat_and_bad_rows_share_none() {
    let plan = Plan { bad_rows: 200, ..plan(30_000, 40, Encoding::Utf8) };
    let (_directory, report) = generate(&plan);
    let (mut my_numbers, mut good_numbers, mut bad_numbers) = (HashSet::new(), HashSet::new(), HashSet::new());
    let mut blank = 0;
    for register in &report.registers {
        let (mut tickets, mut resident_numbers) = (HashSet::new(), HashSet::new());
        for row in rows(&register.path, Encoding::Utf8) {
            if is_good(&row, register.municipality) {
                assert!(tickets.insert(row[1].clone()), "ticket number {} twice", row[1]);
                assert!(
                    row[2].is_empty() || resident_numbers.insert(row[2].clone()),
                    "resident number {} twice",
                    row[2]
                );
                good_numbers.insert(row[1].parse::<u64>().expect("digits"));
            } else if let Ok(number) = row[1].parse::<u64>() {
                bad_numbers.insert(number);
            }
            blank += u32::from(row[3].is_empty());
            assert!(row[3].is_empty() || my_numbers.insert(row[3].clone()), "a My Number twice");
        }
    }
    assert!(blank > 0, "some My Numbers are blank");
    assert_eq!(good_numbers.intersection(&bad_numbers).count(), 0);
}

#[test]
fn bad_rows_of_every_kind_appear_in_turn() {
    let kinds = BadRowKind::all(Encoding::Cp932).len() as u64;
    let (_directory, report) = generate(&Plan { bad_rows: kinds, ..plan(100, 1, Encoding::Cp932) });
    let register = &report.registers[0];
    let bad: Vec<_> =
        rows(&register.path, Encoding::Cp932).into_iter().filter(|row| !is_good(row, register.municipality)).collect();
    assert_eq!(bad.len() as u64, kinds);
    let has =
        |test: &dyn Fn(&Vec<String>) -> bool| assert_eq!(bad.iter().filter(|row| test(row)).count(), 1, "{bad:?}");
    has(&|row| row[1].len() == 9);
    has(&|row| row[1].len() == 11);
    has(&|row| row[1].ends_with('O'));
    has(&|row| row[1].is_empty());
    has(&|row| row[6] == "20210230");
    has(&|row| row[4].is_empty());
    has(&|row| row[7] == "3");
    has(&|row| row[4].chars().count() > 60);
    has(&|row| !row[3].is_empty() && MyNumber::parse(&row[3]).is_err());
    has(&|row| Municipality::parse(&row[0]).is_ok_and(|municipality| municipality != register.municipality));
    has(&|row| Municipality::parse(&row[0]).is_err());
    has(&|row| row.get(8).is_some_and(|movement| movement == "X"));
    has(&|row| row.len() == 10);
    has(&|row| row.len() == 12);
    has(&|row| row[4].contains('\u{FFFD}'));
}

#[test]
fn bad_rows_lie_anywhere_in_a_file_and_not_in_a_heap() {
    let (_directory, report) = generate(&Plan { bad_rows: 100, ..plan(10_000, 1, Encoding::Utf8) });
    let register = &report.registers[0];
    let rows = rows(&register.path, Encoding::Utf8);
    let places: Vec<usize> = (0..rows.len()).filter(|&at| !is_good(&rows[at], register.municipality)).collect();
    for tenth in 0..10 {
        let here = places.iter().filter(|&&place| place / 1010 == tenth).count();
        assert!((1..=25).contains(&here), "{here} of 100 bad rows in tenth {tenth}");
    }
}

#[test]
fn cp932_files_decode_to_the_same_people_but_for_private_use_characters() {
    let utf8 = plan(20_000, 3, Encoding::Utf8);
    let (_utf8_directory, utf8_report) = generate(&utf8);
    let (_cp932_directory, cp932_report) = generate(&Plan { encoding: Encoding::Cp932, ..utf8 });
    let mut private_use = HashMap::new();
    for (left, right) in utf8_report.registers.iter().zip(&cp932_report.registers) {
        let bytes = fs::read(&right.path).expect("readable");
        assert!(
            SHIFT_JIS.decode_without_bom_handling_and_without_replacement(&bytes).is_some(),
            "decodes without errors"
        );
        for (left, right) in rows(&left.path, Encoding::Utf8).iter().zip(rows(&right.path, Encoding::Cp932)) {
            assert_eq!(left[5..], right[5..]);
            if left[4] == right[4] {
                continue;
            }
            let gaiji = right[4]
                .chars()
                .find(|character| ('\u{E000}'..='\u{E757}').contains(character))
                .expect("a private-use character");
            private_use.insert(gaiji, left[4].clone());
        }
    }
    assert!(private_use.len() > 5, "{private_use:?}");
}

#[test]
fn one_name_in_a_hundred_is_rare() {
    let rare = |character: char| matches!(character, '\u{20000}'..='\u{2FFFF}' | '\u{E0100}'..='\u{E01EF}' | '\u{F900}'..='\u{FAFF}' | '髙' | '濵' | '桒' | '栁' | '德' | '淸' | '靜' | '黑');
    let sapporo = Municipality::all().next().expect("there are municipalities");
    let count = residents(SEED, sapporo, 100_000).filter(|resident| resident.name().chars().any(rare)).count();
    assert!((500..1200).contains(&count), "{count} of 100,000");
}

#[test]
fn rare_circumstances_are_as_frequent_as_they_are_said_to_be() {
    let sapporo = Municipality::all().next().expect("there are municipalities");
    let people: Vec<_> = residents(SEED, sapporo, 100_000).collect();
    let share = |what: &str, range: std::ops::Range<usize>, test: &dyn Fn(&GeneratedResident) -> bool| {
        let count = people.iter().filter(|resident| test(resident)).count();
        assert!(range.contains(&count), "{what}: {count} of 100,000");
    };
    share("only the year of birth known", 60..170, &|resident| resident.birth_date.date().is_none());
    share("protected", 60..140, &|resident| resident.protected);
    share("no resident number", 140..260, &|resident| resident.resident_number.is_none());
    share("no My Number", 140..260, &|resident| resident.my_number.is_none());
    share("sex not stated", 10..60, &|resident| resident.sex == Sex::NotStated);
    share("moved out or deceased", 1100..1500, &|resident| resident.movement != Movement::None);
}

#[test]
fn utf8_files_come_with_and_without_byte_order_mark_crlf_and_quotes() {
    let (_directory, report) = generate(&plan(1741, 1741, Encoding::Utf8));
    let mut mixtures = HashSet::new();
    for register in &report.registers {
        let text = fs::read_to_string(&register.path).expect("UTF-8");
        mixtures.insert((text.starts_with('\u{FEFF}'), text.contains("\r\n"), text.matches('"').count() / 2));
    }
    assert_eq!(mixtures.len(), 12, "two marks, two line ends, three quotings: {mixtures:?}");
}

#[test]
fn shots_are_of_generated_residents_at_most_two_each_in_order_with_their_own_capture_ids() {
    for shots in [1, 2, 999, 3000, 3999, 4000] {
        let plan = Plan { shots, ..plan(2000, 5, Encoding::Utf8) };
        let (_directory, report) = generate(&plan);
        let tickets: HashSet<String> = report
            .registers
            .iter()
            .flat_map(|register| rows(&register.path, Encoding::Utf8))
            .map(|row| format!("{}{}", row[0], row[1]))
            .collect();
        let file = report.shots.expect("shots were asked for");
        let rows = rows(&file.path, Encoding::Utf8);
        assert_eq!((rows.len() as u64, file.shots), (shots, shots));
        let mut capture_ids = HashSet::new();
        let mut doses: HashMap<String, Vec<(String, u32)>> = HashMap::new();
        for row in rows {
            let line = TicketLine::parse(&row[0]).expect("a ticket line");
            assert_eq!((line.kind(), line.dose().to_string()), (2, row[2].clone()));
            assert!(tickets.contains(&row[0][2..]), "{} has no resident", row[0]);
            let date = Date::parse(&row[1]).expect("a date").yyyymmdd();
            assert!((20_210_412..=20_211_130).contains(&date));
            doses.entry(row[0][2..].to_owned()).or_default().push((row[2].clone(), date));
            assert!(row[5].chars().count() <= 30 && row[7].chars().count() <= 20 && row[4].len() <= 20);
            assert!(row[6].is_empty() || row[6].len() == 10);
            assert!(
                row[8].is_ascii() && row[8].len() <= 20 && capture_ids.insert(row[8].clone()),
                "capture id {}",
                row[8]
            );
        }
        for (ticket, doses) in doses {
            let numbers: Vec<&str> = doses.iter().map(|(dose, _)| dose.as_str()).collect();
            assert!(numbers == ["1"] || numbers == ["1", "2"], "{ticket}: {doses:?}");
            assert!(
                doses.len() == 1
                    || Date::from_yyyymmdd(doses[1].1).expect("a date").days_since_epoch()
                        - Date::from_yyyymmdd(doses[0].1).expect("a date").days_since_epoch()
                        >= 21
            );
        }
    }
}

#[test]
fn children_and_the_departed_come_only_when_nobody_else_is_left() {
    let sapporo = Municipality::all().next().expect("there are municipalities");
    let born: HashMap<_, _> =
        residents(SEED, sapporo, 5000).map(|resident| (resident.ticket, resident.birth_date.yyyymmdd())).collect();
    assert!(shots_of(SEED, sapporo, 5000, 7000).all(|shot| born[&shot.ticket] <= 20_090_412));
    assert!(shots_of(SEED, sapporo, 5000, 10_000).any(|shot| born[&shot.ticket] > 20_090_412));
    assert_eq!(shots_of(SEED, sapporo, 5000, 10_000).count(), 10_000);
}

#[test]
fn a_municipality_has_the_same_residents_whatever_else_is_in_the_plan() {
    let sapporo = Municipality::all().next().expect("there are municipalities");
    let few: Vec<String> = residents(SEED, sapporo, 10).map(|resident| format!("{resident:?}")).collect();
    let many: Vec<String> = residents(SEED, sapporo, 1000).take(10).map(|resident| format!("{resident:?}")).collect();
    assert_eq!(few, many);
}

#[test]
fn every_venue_name_in_the_country_fits_thirty_characters() {
    for municipality in Municipality::all() {
        for shot in shots_of(SEED, municipality, 40, 40) {
            assert!(shot.venue.name.chars().count() <= 30, "{}", shot.venue.name);
        }
    }
}

#[test]
fn progress_ends_with_all_rows() {
    let plan = Plan { bad_rows: 10, shots: 300, ..plan(70_000, 2, Encoding::Utf8) };
    let directory = TempDir::new().expect("a temporary directory");
    let mut heard = Vec::new();
    write(&plan, directory.path(), TWO, &mut |rows| heard.push(rows)).expect("generated");
    assert!(heard.len() > 4 && heard.is_sorted(), "{heard:?}");
    assert_eq!(heard.last(), Some(&70_310));
}

#[test]
fn an_error_names_the_path_and_an_impossible_plan_touches_nothing() {
    let directory = TempDir::new().expect("a temporary directory");
    let file = directory.path().join("taken");
    fs::write(&file, "").expect("written");
    let plan = plan(10, 1, Encoding::Utf8);
    let error = write(&plan, &file, TWO, &mut |_| ()).expect_err("a file is no directory");
    assert!(error.to_string().contains("taken"), "{error}");

    let target = directory.path().join("out");
    let error = write(&Plan { shots: 21, ..plan }, &target, TWO, &mut |_| ()).expect_err("too many shots");
    assert!(matches!(error, GenerateError::Plan(_)) && !target.exists());
}
