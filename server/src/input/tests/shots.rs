//! A shots file gives shots, and a row that is none is answered with its ticket.

use sesshu_proto::v1::{Shot, Source};

use super::*;

fn broken(position: usize, value: &str) -> String {
    let mut fields: Vec<&str> = SHOT.split(',').collect();
    fields[position] = value;
    fields.join(",")
}

#[test]
fn every_column_reaches_its_field() {
    let text = lines(&[SHOTS, SHOT]);
    for bytes in [text.clone().into_bytes(), cp932(&text)] {
        let (shots, rejected) = read_shots(bytes).unwrap();
        assert_eq!(rejected, []);
        assert_eq!(shots[0].line, 2);
        assert_eq!(shots[0].record.ticket().to_string(), "1310160000000001");
        let expected = Shot {
            date: 20_210_412,
            dose: 1,
            vaccine: "ファイザー".into(),
            lot: "EW0203".into(),
            venue: "中央会場".into(),
            institution: "1310123456".into(),
            doctor: "佐藤".into(),
            capture_id: "t1-1".into(),
            source: Source::File.into(),
            stub: 21,
            ..Shot::default()
        };
        assert_eq!(shots[0].record.shot(), &expected);
    }
}

#[test]
fn optional_columns_may_be_missing_or_blank() {
    let (shots, _) = read_shots(
        "会場名,ロット番号,メーカー,接種回数,接種日,接種券\n会場,A,B,２,2021/04/12,2113 1016 0000 0000 01\n",
    )
    .unwrap();
    let shot = shots[0].record.shot();
    assert_eq!((&*shot.institution, &*shot.doctor, &*shot.capture_id, shot.dose), ("", "", "", 2));
    let (shots, _) = read_shots(lines(&[SHOTS, "211310160000000001,20210412,1,A,B,会場,,,"])).unwrap();
    assert_eq!(shots.len(), 1);
}

#[test]
fn a_shot_is_not_refused_for_what_is_not_known_of_it() {
    let (shots, rejected) = read_shots(lines(&[SHOTS, "211310160000000001,20210412,1,,,,,,"])).unwrap();
    assert_eq!((shots.len(), rejected.len()), (1, 0));
}

#[test]
fn each_fault_is_told_by_line_column_and_code_with_the_ticket_as_presented() {
    let columns: Vec<&str> = SHOTS.split(',').collect();
    for (position, value, code) in [
        (0, "", "missing"),
        (0, "21131016000000001X", "not_digits"),
        (0, "2113101600000000011", "not_digits"),
        (0, "211310170000000001", "check_digit"),
        (0, "211300010000000001", "unknown_municipality"),
        (1, "", "missing"),
        (1, "20210431", "not_a_date"),
        (1, "00000000", "not_a_date"),
        (2, "", "missing"),
        (2, "0", "unknown_value"),
        (2, "100", "not_digits"),
        (3, "ファイザーファイザーファイザーファイザー1", "over_long"),
        (6, "123", "not_digits"),
        (8, "ｔ1", "unknown_value"),
    ] {
        let (shots, rejected) = read_shots(lines(&[SHOTS, &broken(position, value), SHOT])).unwrap();
        assert_eq!(shots.iter().map(|shot| shot.line).collect::<Vec<_>>(), [3], "{value}");
        assert_eq!(faults(&rejected), [(2, columns[position], code)], "{value}");
        let ticket = if position == 0 { value } else { "211310160000000001" };
        assert_eq!(rejected[0].ticket.as_deref().unwrap_or_default(), ticket);
        assert_eq!(rejected[0].kept_number, None);
    }
}

#[test]
fn a_row_that_is_no_csv_still_tells_its_ticket() {
    let (shots, rejected) =
        read_shots(lines(&[SHOTS, "211310160000000001,2021\"0412,1", "211310160000000001,20210412", SHOT])).unwrap();
    assert_eq!(shots.len(), 1);
    assert_eq!(faults(&rejected), [(2, "row", "not_csv"), (3, "row", "field_count")]);
    assert!(rejected.iter().all(|row| row.ticket.as_deref() == Some("211310160000000001")));
}

#[test]
fn a_shots_file_without_shots_is_no_error() {
    let (shots, rejected) = read_shots(SHOTS).unwrap();
    assert_eq!((shots.len(), rejected.len()), (0, 0));
}
