//! A register's rows come out as they went in, and a bad row costs itself only.

use proptest::prelude::*;
use sesshu_engine::ticket::Municipality;
use sesshu_proto::v1::{ResidentStatus, Sex};

use super::super::Encoding;
use super::*;

/// `ONE` with one field replaced.
fn broken(position: usize, value: &str) -> String {
    let mut fields: Vec<&str> = ONE.split(',').collect();
    fields[position] = value;
    fields.join(",")
}

/// Puts bytes that no text gives in place of `@@`.
fn replace_mark(bytes: &mut [u8], by: [u8; 2]) {
    let at = bytes.windows(2).position(|pair| pair == b"@@").unwrap();
    bytes[at..at + 2].copy_from_slice(&by);
}

#[test]
fn every_column_reaches_its_field() {
    let (rows, rejected) = read_register(lines(&[REGISTER, ONE, TWO, THREE])).unwrap();
    assert_eq!(rejected, []);
    let one = rows[0].resident();
    assert_eq!((rows[0].line(), rows[0].number()), (2, 1));
    assert_eq!(rows[0].my_number().map(|number| number.reveal()), Some(123_456_789_018));
    assert_eq!((&*one.resident_number, &*one.name, &*one.name_kana), ("000123", "山田 太郎", "ﾔﾏﾀﾞ ﾀﾛｳ"));
    assert_eq!((one.birth_date, one.sex(), one.protected), (19_700_131, Sex::Male, false));
    assert_eq!((one.status(), one.status_date), (ResidentStatus::Active, 20_210_401));
    let two = rows[1].resident();
    assert_eq!((&*two.resident_number, rows[1].my_number(), two.birth_date), ("", None, 19_400_000));
    assert_eq!((two.sex(), two.status(), two.protected), (Sex::Female, ResidentStatus::MovedOut, true));
    let three = rows[2].resident();
    assert_eq!((three.birth_date, three.sex(), three.status_date), (0, Sex::Unknown, 0));
}

#[test]
fn every_kind_of_change_gives_its_status() {
    use ResidentStatus::{Active, Deceased, MovedOut, Removed};
    let changes = [
        ("新規", Active),
        ("変更", Active),
        ("再発行", Active),
        ("", Active),
        ("転出", MovedOut),
        ("死亡", Deceased),
        ("削除", Removed),
    ];
    for (change, status) in changes {
        let (rows, _) = read_register(lines(&[REGISTER, &broken(8, change)])).unwrap();
        assert_eq!(rows[0].resident().status(), status, "{change}");
    }
}

#[test]
fn all_encodings_and_line_ends_agree_row_for_row() {
    let text = lines(&[REGISTER, ONE, TWO, THREE]);
    let crlf = text.replace('\n', "\r\n");
    let expected = content(&read_register(&text).unwrap().0);
    assert_eq!(expected.len(), 3);
    for text in [text.as_str(), &crlf, text.trim_end(), &format!("{text}\n\r\n\u{1a}")] {
        let marked = format!("\u{feff}{text}");
        for bytes in [text.as_bytes(), marked.as_bytes(), &cp932(text)] {
            let (rows, rejected) = read_register(bytes).unwrap();
            assert_eq!(content(&rows), expected);
            assert_eq!(rejected, []);
        }
    }
}

#[test]
fn the_encoding_is_told() {
    let text = lines(&[REGISTER, ONE]);
    let encoding = |bytes: &[u8]| RegisterFile::open(&sample(bytes).path).unwrap().encoding();
    assert_eq!(encoding(text.as_bytes()), Encoding::Utf8);
    assert_eq!(encoding(format!("\u{feff}{text}").as_bytes()), Encoding::Utf8);
    assert_eq!(encoding(&cp932(&text)), Encoding::Cp932);
}

#[test]
fn names_are_kept_character_for_character() {
    let name = "　𠮷田 邉\u{e0100}\u{e000} 太郎 ";
    let (rows, _) = read_register(lines(&[REGISTER, &broken(4, name)])).unwrap();
    assert_eq!(rows[0].resident().name, name);
}

#[test]
fn user_defined_characters_of_cp932_are_kept() {
    let mut bytes = cp932(&lines(&[REGISTER, &broken(4, "@@ 太郎")]));
    replace_mark(&mut bytes, [0xf0, 0x40]);
    let (rows, _) = read_register(bytes).unwrap();
    assert_eq!(rows[0].resident().name, "\u{e000} 太郎");
}

#[test]
fn quoted_fields_are_read() {
    let row = broken(4, "\"山田, \"\"太郎\"\"\"");
    let (rows, rejected) =
        read_register(lines(&[&format!("{REGISTER},備考"), &format!("{row},\"一行\r\n二行\""), &format!("{TWO},")]))
            .unwrap();
    assert_eq!(rejected, []);
    assert_eq!(rows[0].resident().name, "山田, \"太郎\"");
    assert_eq!(rows.iter().map(Row::line).collect::<Vec<_>>(), [2, 4]);
}

#[test]
fn full_width_digits_and_blanks_around_codes_are_read() {
    let row = "１３１０１６,　００００００００１０,　000123 ,1234-5678-9018,山田,,１９７０／０１／３１,１, 新規 ,2021-04-01,０";
    let (rows, rejected) = read_register(lines(&[REGISTER, row])).unwrap();
    assert_eq!(rejected, []);
    assert_eq!((rows[0].number(), &*rows[0].resident().resident_number), (10, "000123"));
    assert_eq!(rows[0].resident().birth_date, 19_700_131);
}

#[test]
fn each_fault_is_told_by_line_column_and_code_and_the_rest_goes_on() {
    let cases = [
        (0, "", "missing"),
        (0, "13101", "not_digits"),
        (0, "131017", "check_digit"),
        (0, "130001", "unknown_municipality"),
        (0, "141003", "other_municipality"),
        (1, "", "missing"),
        (1, "12345", "not_digits"),
        (2, "1234567890123456", "over_long"),
        (3, "1234", "not_digits"),
        (3, "12345678901X", "not_digits"),
        (3, "123456789012", "check_digit"),
        (3, "000000000000", "unknown_value"),
        (4, "", "missing"),
        (4, "　 ", "missing"),
        (4, "山田\t太郎", "control_character"),
        (4, "\"山田\n太郎\"", "control_character"),
        (6, "19700230", "not_a_date"),
        (6, "昭和45年", "not_a_date"),
        (7, "3", "unknown_value"),
        (7, "男", "unknown_value"),
        (8, "転居", "unknown_value"),
        (9, "20210400", "not_a_date"),
        (9, "2021", "not_a_date"),
        (10, "", "missing"),
        (10, "2", "unknown_value"),
        (10, "はい", "unknown_value"),
    ];
    let columns: Vec<&str> = REGISTER.split(',').collect();
    for (position, value, code) in cases {
        let (rows, rejected) = read_register(lines(&[REGISTER, TWO, &broken(position, value), THREE])).unwrap();
        assert_eq!(numbers(&rows), [2, 3], "{value}");
        assert_eq!(faults(&rejected), [(3, columns[position], code)], "{value}");
        let kept = !matches!((position, code), (1, _) | (_, "other_municipality"));
        assert_eq!(rejected[0].kept_number, kept.then_some(1), "{value}");
    }
}

#[test]
fn a_row_of_another_form_is_rejected_and_its_number_kept_if_it_is_in_its_place() {
    for (row, code, kept) in [
        ("131016,0000000001,000123", "field_count", Some(1)),
        ("131017,0000000001,000123", "field_count", None),
        (&format!("{ONE},"), "field_count", Some(1)),
        (&format!("x,{ONE}"), "field_count", None),
        ("131016,0000000001,,,\"山田\"太郎,,19700131,1,新規,20210401,0", "not_csv", Some(1)),
        ("141003,0000000001,,,山\"田,,19700131,1,新規,20210401,0", "not_csv", None),
        ("\"131016,0000000001,000123", "not_csv", None),
        ("131016,0000000001,\"000123", "not_csv", Some(1)),
    ] {
        let (rows, rejected) = read_register(lines(&[REGISTER, TWO, row, THREE])).unwrap();
        assert_eq!(numbers(&rows), [2, 3], "{row}");
        assert_eq!(faults(&rejected), [(3, "row", code)], "{row}");
        assert_eq!(rejected[0].kept_number, kept, "{row}");
    }
}

#[test]
fn bytes_that_are_no_text_cost_their_row_and_the_column_is_named() {
    for encode in [|text: &str| text.as_bytes().to_vec(), cp932 as fn(&str) -> Vec<u8>] {
        let mut bytes = encode(&lines(&[REGISTER, TWO, &broken(5, "@@"), THREE]));
        replace_mark(&mut bytes, [0xff, 0xff]);
        let (rows, rejected) = read_register(bytes).unwrap();
        assert_eq!(numbers(&rows), [2, 3]);
        assert_eq!(faults(&rejected), [(3, "氏名カナ", "encoding")]);
        assert_eq!(rejected[0].kept_number, Some(1));
    }
}

#[test]
fn bad_bytes_in_an_ignored_column_do_no_harm() {
    let mut bytes = lines(&[&format!("{REGISTER},備考"), &format!("{ONE},@@")]).into_bytes();
    replace_mark(&mut bytes, [0xff, 0xff]);
    assert_eq!(numbers(&read_register(bytes).unwrap().0), [1]);
}

#[test]
fn a_runaway_quote_loses_only_its_row() {
    let quoted = format!("\"{}\"", TWO.replace(',', "\",\""));
    let runaway = broken(4, "\"山田 太郎");
    let many = lines(&[THREE; 2000]);
    for after in [lines(&[TWO, THREE]), lines(&[&quoted, THREE]), format!("{TWO}\n{many}")] {
        let (rows, rejected) = read_register(format!("{REGISTER}\n{runaway}\n{after}")).unwrap();
        assert_eq!(numbers(&rows)[..2], [2, 3]);
        assert_eq!(rows.len(), after.lines().count());
        assert_eq!(faults(&rejected), [(2, "row", "not_csv")]);
        assert_eq!(rejected[0].kept_number, Some(1));
        assert!(!rejected[0].row.contains("花子"));
    }
}

#[test]
fn a_break_after_a_field_of_two_lines_costs_those_lines() {
    let (rows, rejected) = read_register(lines(&[REGISTER, TWO, "131016,\"0000\n000001\",\"x\"y", THREE])).unwrap();
    assert_eq!(numbers(&rows), [2, 3]);
    assert_eq!(faults(&rejected), [(3, "row", "not_csv"), (4, "row", "not_csv")]);
}

#[test]
fn two_stray_quotes_that_look_like_one_field_swallow_no_row() {
    let opens = broken(4, "\"山田 太郎");
    let closes = THREE.replace("髙﨑 翔", "髙﨑 翔\"");
    let (rows, rejected) = read_register(lines(&[REGISTER, &opens, TWO, &closes, TWO])).unwrap();
    assert_eq!(numbers(&rows), [2, 2]);
    assert_eq!(faults(&rejected), [(2, "row", "not_csv"), (4, "row", "not_csv")]);
    assert_eq!([rejected[0].kept_number, rejected[1].kept_number], [Some(1), Some(3)]);
}

#[test]
fn a_line_longer_than_any_window_is_one_rejected_row() {
    let endless = broken(4, &"山".repeat(1 << 20));
    let (rows, rejected) = read_register(lines(&[REGISTER, TWO, &endless, THREE])).unwrap();
    assert_eq!(numbers(&rows), [2, 3]);
    assert_eq!(faults(&rejected), [(3, "row", "not_csv")]);
    assert_eq!(rows[1].line(), 4);
    assert!(rejected[0].row.chars().count() < 5000);
}

#[test]
fn rows_beyond_the_window_keep_their_lines() {
    let rows: Vec<String> = (0..30_000).map(|number| ONE.replace("0000000001", &format!("{number:010}"))).collect();
    let (read, rejected) = read_register(format!("{REGISTER}\r\n{}", rows.join("\r\n"))).unwrap();
    assert_eq!(rejected, []);
    assert!(read.iter().zip(0..).all(|(row, number)| row.number() == number && row.line() == number + 2));
    assert_eq!(read.len(), 30_000);
}

#[test]
fn the_municipality_is_the_first_valid_one_and_a_ward_stands_for_its_city() {
    let bad = broken(0, "131017");
    let ward = broken(0, "011011");
    let city = TWO.replace("131016", "011002");
    let sample = sample(lines(&[REGISTER, &bad, &ward, &city, THREE]));
    let mut file = RegisterFile::open(&sample.path).unwrap();
    assert_eq!(file.municipality(), Municipality::from_code(11_002).unwrap());
    let (mut rows, mut rejected) = (Vec::new(), Vec::new());
    assert!(!file.next_batch(&mut rows, &mut rejected, 100).unwrap());
    assert_eq!(rows.iter().map(Row::line).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(faults(&rejected), [(2, "自治体コード", "check_digit"), (5, "自治体コード", "other_municipality")]);
    assert_eq!([rejected[0].kept_number, rejected[1].kept_number], [Some(1), None]);
    assert!(rejected[1].fault.reason.contains("line 3"), "{}", rejected[1].fault.reason);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn columns_are_found_in_any_order(order in Just((0..12).collect::<Vec<usize>>()).prop_shuffle()) {
        let shuffle = |line: &str, last: &str| {
            let fields: Vec<&str> = line.split(',').chain([last]).collect();
            order.iter().map(|&position| fields[position]).collect::<Vec<_>>().join(",")
        };
        let text = lines(&[&shuffle(REGISTER, "備考"), &shuffle(ONE, "x"), &shuffle(TWO, ""), &shuffle(THREE, "")]);
        let expected = content(&read_register(lines(&[REGISTER, ONE, TWO, THREE])).unwrap().0);
        for bytes in [text.clone().into_bytes(), cp932(&text)] {
            prop_assert_eq!(content(&read_register(&bytes).unwrap().0), expected.clone());
            let sample = sample(bytes);
            let file = RegisterFile::open(&sample.path).unwrap();
            prop_assert_eq!(file.ignored_columns(), ["備考"]);
        }
    }

    #[test]
    fn a_damaged_byte_costs_two_rows_at_most(at: prop::sample::Index, byte in 1_u8..) {
        // The first row stays whole: it fixes the municipality.
        let whole = lines(&[REGISTER, ONE]).into_bytes();
        let mut bytes = [&whole[..], lines(&[TWO, THREE, TWO, THREE]).as_bytes()].concat();
        let at = whole.len() + at.index(bytes.len() - whole.len());
        bytes[at] = byte;
        // Two, where a line feed came or went.
        let (rows, rejected) = read_register(&bytes).unwrap();
        prop_assert!(rows.len() >= 3, "{:?}", faults(&rejected));
        prop_assert!(rejected.len() <= 2, "{:?}", faults(&rejected));
    }

    #[test]
    fn any_bytes_are_read_or_rejected_without_a_panic(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b",\"\r\n0\x81"[..])], 0..200),
    ) {
        for header in [lines(&[REGISTER, ONE]).into_bytes(), cp932(&lines(&[REGISTER, ONE]))] {
            let lines = bytes.split(|&byte| byte == b'\n').count();
            if let Ok((rows, rejected)) = read_register([&header[..], &bytes].concat()) {
                prop_assert!((1..=lines + 1).contains(&(rows.len() + rejected.len())));
            }
        }
    }
}
