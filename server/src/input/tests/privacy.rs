//! No My Number in anything that is told of a rejected row: not in the row, the reason, the debug print or the file.

use std::path::Path;

use proptest::prelude::*;
use sesshu_engine::intake::{Column, FaultCode};
use sesshu_proto::v1;

use super::super::RejectsFile;
use super::*;

/// The digits of everything that rows may show, as half-width digits without what stands between them.
fn told(rejected: &[RejectedRow], reported: &[v1::RejectedRow]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rejects.csv");
    let mut file = RejectsFile::create(&path).unwrap();
    rejected.iter().for_each(|row| file.write(Path::new("register.csv"), row).unwrap());
    reported.iter().for_each(|row| file.write_reported(Path::new("register.csv"), row).unwrap());
    file.finish().unwrap();
    let mut told = std::fs::read_to_string(path).unwrap();
    for row in rejected {
        told.push_str(&format!("\n{row:?}\n{row:#?}\n{}\n{:?}", row.fault, row.ticket));
    }
    told
}

fn digits(text: &str) -> String {
    let value = |character: char| match character {
        '０'..='９' => char::from_u32(u32::from(character) - u32::from('０') + u32::from('0')),
        _ => character.is_ascii_digit().then_some(character),
    };
    text.chars().filter_map(value).collect()
}

fn assert_hidden(told: &str, number: &str) {
    // Eleven digits give the twelfth away.
    let digits = digits(told);
    assert!(!digits.contains(&number[..11]) && !digits.contains(&number[1..]), "{told}");
}

fn spellings(number: &str) -> Vec<String> {
    let wide: String = number.chars().map(|digit| char::from_u32(u32::from(digit) - 0x30 + 0xff10).unwrap()).collect();
    let parted = |mark: &str| format!("{}{mark}{}{mark}{}", &number[..4], &number[4..8], &number[8..]);
    vec![number.to_owned(), wide, parted(" "), parted("-"), parted("　"), parted("ー"), parted("\t"), parted("・")]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_my_number_is_hidden_wherever_it_stands(
        first in 10_000_000_000_u64..100_000_000_000, spelling in 0_usize..8, place in 0_usize..12, damage in 0_usize..7,
    ) {
        let number = format!("{first}{}", sesshu_engine::ticket::my_number_check_digit(first));
        let spelled = &spellings(&number)[spelling];
        let header = format!("{REGISTER},備考");
        let mut fields: Vec<String> = format!("{ONE},").replace("123456789018", "").split(',').map(str::to_owned).collect();
        fields[place] = spelled.clone();
        let row = fields.join(",");
        let row = match damage {
            0 => row,
            1 => format!("{row},"),
            2 => format!("\"{row}"),
            3 => format!("{row}\"\""),
            4 => row.replacen(',', "", 1),
            5 => row.replace(spelled.as_str(), &format!("\"{spelled}\"x")),
            _ => format!("{row}{}", "山".repeat(100_000)),
        };
        // A fault besides, so that the row is rejected wherever the number stands.
        let row = row.replace("19700131", "19700231");
        let text = lines(&[&header, &format!("{TWO},"), &row]);
        for bytes in [text.clone().into_bytes(), cp932(&text)] {
            let (_, rejected) = read_register(bytes).unwrap();
            prop_assert!(!rejected.is_empty());
            assert_hidden(&told(&rejected, &[]), &number);
        }
        let mut shot: Vec<&str> = SHOT.split(',').collect();
        shot[place % 9] = spelled;
        shot[1] = "20210231";
        let (_, rejected) = read_shots(lines(&[SHOTS, &shot.join(",")])).unwrap();
        prop_assert_eq!(rejected.len(), 1);
        assert_hidden(&told(&rejected, &[]), &number);
    }
}

#[test]
fn digits_of_another_encoding_are_hidden() {
    let wide = "１２３４５６７８９０１８";
    let row = lines(&[&ONE.replace("123456789018", wide).replace("山田 太郎", wide)]);
    for (header, row) in
        [(lines(&[REGISTER, TWO]).into_bytes(), cp932(&row)), (cp932(&lines(&[REGISTER, TWO])), row.into_bytes())]
    {
        let (_, rejected) = read_register([header, row].concat()).unwrap();
        assert_eq!(faults(&rejected), [(3, "個人番号", "encoding")]);
        assert!(rejected[0].row.starts_with("131016,0000000001,000123,************,\u{fffd},"), "{}", rejected[0].row);
    }
}

#[test]
fn a_rejected_row_shows_everything_else() {
    let (_, rejected) = read_register(lines(&[REGISTER, &ONE.replace("19700131", "19700231")])).unwrap();
    let row = "131016,0000000001,000123,************,山田 太郎,ﾔﾏﾀﾞ ﾀﾛｳ,19700231,1,新規,20210401,0";
    assert_eq!(rejected[0].row, row);
    let debug = format!("{:?}", rejected[0]);
    assert!(!debug.contains("山田") && debug.contains("line: 2"), "{debug}");
}

#[test]
fn the_rejects_file_holds_the_readers_rows_and_the_stores() {
    let (_, rejected) = read_register(lines(&[REGISTER, TWO, &ONE.replace("山田 太郎", "\"山\n田\"")])).unwrap();
    let reported = v1::RejectedRow {
        line: 7,
        column: Column::Number.header().to_owned(),
        code: FaultCode::DuplicateTicket.as_str().to_owned(),
        reason: "stands in line 3 too".to_owned(),
    };
    let told = told(&rejected, &[reported]);
    let file = "\u{feff}line,column,code,reason,row,file\r\n\
        3,氏名,control_character,holds a control character,\"131016,0000000001,000123,************,\"\"山\n田\"\",ﾔﾏﾀﾞ ﾀﾛｳ,19700131,1,新規,20210401,0\",register.csv\r\n\
        7,券番号,duplicate_ticket,stands in line 3 too,,register.csv\r\n";
    assert!(told.starts_with(file), "{told}");
}

#[test]
fn a_my_number_in_a_reason_of_the_store_is_hidden() {
    let reported = v1::RejectedRow { reason: "found 1234-5678-9018".to_owned(), ..v1::RejectedRow::default() };
    assert_hidden(&told(&[], &[reported]), "123456789018");
}

#[cfg(unix)]
#[test]
fn a_new_rejects_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rejects.csv");
    RejectsFile::create(&path).unwrap().finish().unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}
