//! Why a row or a shot was not taken: the column at fault, a stable code, a reason for people.
//!
//! Owns the header names of both file formats, because a fault cites the column by them. A reason never repeats a My Number, and repeats other values only
//! where they are short.

use std::fmt;

/// A column of a register file or of a shots file, cited by its header name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Column {
    /// 自治体コード
    Municipality,
    /// 券番号
    Number,
    /// 宛名番号
    ResidentNumber,
    /// 個人番号
    MyNumber,
    /// 氏名
    Name,
    /// 氏名カナ
    NameKana,
    /// 生年月日
    BirthDate,
    /// 性別
    Sex,
    /// 異動区分
    Change,
    /// 異動日
    ChangeDate,
    /// 支援措置
    Protected,
    /// 旧券番号
    PreviousNumber,
    /// 接種券
    TicketLine,
    /// 接種日
    Date,
    /// 接種回数
    Dose,
    /// メーカー
    Vaccine,
    /// ロット番号
    Lot,
    /// 会場名
    Venue,
    /// 医療機関コード
    Institution,
    /// 医師名
    Doctor,
    /// 読取ID
    CaptureId,
    /// Who recorded a shot: not in files, only in requests.
    RecordedBy,
    /// Where a record came from: not in files, only in requests.
    Source,
    /// Which shot: not in files, only in requests.
    ShotId,
    /// Who acts: not in files, only in requests.
    Who,
    /// Why: not in files, only in requests.
    Reason,
    /// How much a writer's word counts: not in files, only in requests.
    Authority,
    /// The name of an act on many shots: not in files, only in requests.
    Batch,
    /// The row as a whole.
    Row,
}

impl Column {
    /// The columns of a register file, in the order that municipalities keep them.
    pub const REGISTER: [Column; 11] = [
        Column::Municipality,
        Column::Number,
        Column::ResidentNumber,
        Column::MyNumber,
        Column::Name,
        Column::NameKana,
        Column::BirthDate,
        Column::Sex,
        Column::Change,
        Column::ChangeDate,
        Column::Protected,
    ];

    /// The columns of a file of changes: a register's, and what a reissue needs.
    pub const CHANGES: [Column; 12] = {
        let mut columns = [Column::PreviousNumber; 12];
        let mut at = 0;
        while at < Column::REGISTER.len() {
            columns[at] = Column::REGISTER[at];
            at += 1;
        }
        columns
    };

    /// The columns of a shots file; the second to the fourth say whose shot it is where there was no ticket.
    pub const SHOTS: [Column; 12] = [
        Column::TicketLine,
        Column::Municipality,
        Column::NameKana,
        Column::BirthDate,
        Column::Date,
        Column::Dose,
        Column::Vaccine,
        Column::Lot,
        Column::Venue,
        Column::Institution,
        Column::Doctor,
        Column::CaptureId,
    ];

    /// The name in a file's header line.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Column::Municipality => "自治体コード",
            Column::Number => "券番号",
            Column::ResidentNumber => "宛名番号",
            Column::MyNumber => "個人番号",
            Column::Name => "氏名",
            Column::NameKana => "氏名カナ",
            Column::BirthDate => "生年月日",
            Column::Sex => "性別",
            Column::Change => "異動区分",
            Column::ChangeDate => "異動日",
            Column::Protected => "支援措置",
            Column::PreviousNumber => "旧券番号",
            Column::TicketLine => "接種券",
            Column::Date => "接種日",
            Column::Dose => "接種回数",
            Column::Vaccine => "メーカー",
            Column::Lot => "ロット番号",
            Column::Venue => "会場名",
            Column::Institution => "医療機関コード",
            Column::Doctor => "医師名",
            Column::CaptureId => "読取ID",
            Column::RecordedBy => "recorded_by",
            Column::Source => "source",
            Column::ShotId => "shot_id",
            Column::Who => "who",
            Column::Reason => "reason",
            Column::Authority => "authority",
            Column::Batch => "batch",
            Column::Row => "row",
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.header())
    }
}

/// What kind of fault, as a stable word for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultCode {
    /// A value that must be there is not.
    Missing,
    /// More characters than the field may have.
    OverLong,
    /// Not the digits or the number of digits that the field has.
    NotDigits,
    /// A check digit does not match.
    CheckDigit,
    /// Not a day of the calendar.
    NotADate,
    /// A value outside the field's list or range.
    UnknownValue,
    /// A municipality that the code table does not hold.
    UnknownMunicipality,
    /// A row of another municipality than the file's.
    OtherMunicipality,
    /// The ticket number stands in another row of the same file too.
    DuplicateTicket,
    /// A status for a ticket that the register does not have.
    UnknownTicket,
    /// The number of a reissued ticket is one that was replaced itself.
    Superseded,
    /// A control character where none may be.
    ControlCharacter,
    /// Bytes that are not text in the file's encoding.
    Encoding,
    /// Too few or too many fields in the row.
    FieldCount,
    /// Quotes that do not end, or another break of the CSV form.
    NotCsv,
}

impl FaultCode {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            FaultCode::Missing => "missing",
            FaultCode::OverLong => "over_long",
            FaultCode::NotDigits => "not_digits",
            FaultCode::CheckDigit => "check_digit",
            FaultCode::NotADate => "not_a_date",
            FaultCode::UnknownValue => "unknown_value",
            FaultCode::UnknownMunicipality => "unknown_municipality",
            FaultCode::OtherMunicipality => "other_municipality",
            FaultCode::DuplicateTicket => "duplicate_ticket",
            FaultCode::UnknownTicket => "unknown_ticket",
            FaultCode::Superseded => "superseded",
            FaultCode::ControlCharacter => "control_character",
            FaultCode::Encoding => "encoding",
            FaultCode::FieldCount => "field_count",
            FaultCode::NotCsv => "not_csv",
        }
    }
}

/// One fault of one row or shot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{column}: {reason}")]
pub struct Fault {
    /// The column at fault.
    pub column: Column,
    /// The stable word.
    pub code: FaultCode,
    /// For people; says what was expected.
    pub reason: String,
}

impl Fault {
    /// A fault of `column`.
    pub fn new(column: Column, code: FaultCode, reason: impl Into<String>) -> Fault {
        Fault { column, code, reason: reason.into() }
    }
}

/// Refuses text over `characters_max` characters, and control characters, which no register or shot field may hold.
pub(super) fn check_text(column: Column, text: &str, characters_max: usize) -> Result<(), Fault> {
    // A character has at least one byte, so most texts need no count.
    if text.len() > characters_max {
        let characters = text.chars().count();
        if characters > characters_max {
            let reason = format!("{characters} characters, where at most {characters_max} fit");
            return Err(Fault::new(column, FaultCode::OverLong, reason));
        }
    }
    // All bytes at once, without a branch for each. Two bytes that begin with 0xC2 hold the second range of control characters; the texts of the field
    // hardly ever have one.
    let suspect = |byte: u8| (byte < 0x20) | (byte == 0x7f) | (byte == 0xc2);
    if text.bytes().fold(false, |found, byte| found | suspect(byte)) && text.chars().any(char::is_control) {
        return Err(Fault::new(column, FaultCode::ControlCharacter, "holds a control character"));
    }
    Ok(())
}
