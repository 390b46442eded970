//! What is no register or shots file is refused by name, with what to do next.

use sesshu_engine::intake::Column;

use super::super::{FileKind, RejectsFile};
use super::*;

fn refused(bytes: impl AsRef<[u8]>) -> InputError {
    read_register(bytes).map(|_| ()).unwrap_err()
}

#[test]
fn every_missing_column_is_named() {
    let error = refused("自治体コード,券番号,宛名番号,氏名,氏名カナ,生年月日,性別,異動区分,異動日\n");
    assert!(
        matches!(&error, InputError::MissingColumns { columns, .. } if *columns == [Column::MyNumber, Column::Protected])
    );
    assert!(error.to_string().contains("lacks 個人番号, 支援措置"), "{error}");
    let error = read_shots("接種券,接種日\n").map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("lacks 接種回数, メーカー, ロット番号, 会場名:"), "{error}");
}

#[test]
fn a_column_that_is_there_twice_is_named() {
    let error = refused(format!("{REGISTER},氏名\n{ONE},x\n"));
    assert!(matches!(error, InputError::DuplicateColumn { column: Column::Name, .. }), "{error}");
    assert!(read_register(lines(&[&format!("{REGISTER},備考,備考"), &format!("{ONE},,")])).is_ok());
}

#[test]
fn a_file_that_is_something_else_is_told() {
    let utf16: Vec<u8> = "\u{feff}自治体コード".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, told) in [
        (&b""[..], "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\r\n\n", "is empty"),
        (b"PK\x03\x04....", "Excel workbook"),
        (&utf16, "UTF-16"),
        (b"abc\0def", "binary"),
        (b"\x89\xff\xfe,\xff\n1,2\n", "is not a register file: the header line holds none of 自治体コード, 券番号"),
        (b"name,kana\n1,2\n", "is not a register file"),
        (SHOTS.as_bytes(), "it is a shots file"),
        (REGISTER.as_bytes(), "no rows"),
        ("自治体コード,\"券番号\n1,2\n".as_bytes(), "stray quote"),
    ] {
        let error = refused(bytes).to_string();
        assert!(error.contains(told) && error.contains("sample.csv"), "{error}");
    }
    let shots = read_shots(lines(&[REGISTER, ONE])).map(|_| ()).unwrap_err();
    assert!(matches!(shots, InputError::NotThisKind { looks_like: Some(FileKind::Register), .. }));
}

#[test]
fn a_header_line_without_an_end_is_told() {
    assert!(matches!(refused("自治体コード,".repeat(10_000)), InputError::NotText { .. }));
}

#[test]
fn a_file_of_nobody_is_refused_with_its_first_fault() {
    let bad = ONE.replace("131016", "131017");
    let error = refused(lines(&[REGISTER, &bad, &bad])).to_string();
    assert!(
        error.contains("none of its first 2 rows") && error.contains("line 2") && error.contains("131017"),
        "{error}"
    );
    let many = lines(&vec![bad.as_str(); 50_000]);
    assert!(matches!(refused(format!("{REGISTER}\n{many}{ONE}\n")), InputError::NoReadableRow { .. }));
}

#[test]
fn what_cannot_be_opened_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| RegisterFile::open(&folder.path().join(name)).map(|_| ()).unwrap_err();
    assert!(matches!(open(""), InputError::Directory { .. }));
    assert!(matches!(open("none.csv"), InputError::NotFound { .. }));
    std::fs::write(folder.path().join("file"), "").unwrap();
    assert!(matches!(open("file/none.csv"), InputError::Open { .. }));
    let error = RejectsFile::create(&folder.path().join("none/rejects.csv")).map(|_| ()).unwrap_err();
    assert!(matches!(error, InputError::WriteRejects { .. }));
}
