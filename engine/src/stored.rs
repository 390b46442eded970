//! What the store holds of a shot and of a register row, borrowed from the bytes they lie in.
//!
//! Owns the one shape in which each is read, whether it lies folded in a generation or as an event in the log, and the reading of an event's message
//! without copying. Pure.

use prost::Message as _;
use sesshu_proto::v1::{Provisional, RecordedShot, ResidentStatus, Shot, ShotState, Warning};

use crate::frame::{Header, flag};
use crate::lookup::HASH_BITS;
use crate::rules::{Given, with_reasons};
use crate::ticket::Date;
use crate::wire::{Value, put_bytes_field, put_varint, take_field};

/// The first of the fields of a `Shot`, and of a `ColdShot`, that say more than what happened; they come last.
pub(crate) const MORE_FIELDS: u32 = WARNINGS_FIELD;

const WARNINGS_FIELD: u32 = 13;
const PROVISIONAL_FIELD: u32 = 14;

/// Appends warnings to a shot's message.
pub(crate) fn put_warnings(message: &mut Vec<u8>, warnings: &[Warning]) {
    for warning in warnings {
        put_varint(message, u64::from(WARNINGS_FIELD) << 3 | 2);
        warning.encode_length_delimited(message).expect("a vector grows");
    }
}

/// Bytes that [`put_warnings`] appends.
pub(crate) fn warnings_bytes(warnings: &[Warning]) -> usize {
    // Tag and length take a byte each: a warning is short.
    warnings.iter().map(|warning| 2 + warning.encoded_len()).sum()
}

/// A register row that the store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowView<'a> {
    /// The encoded `Resident`.
    pub(crate) bytes: &'a [u8],
    /// Empty if the row has no My Number.
    pub(crate) sealed_my_number: &'a [u8],
    pub(crate) data_key_id: u32,
    /// The keyed hash of the My Number; 0 if there is none.
    pub(crate) my_number_hash: u64,
    /// It names other tickets of the person.
    pub(crate) linked: bool,
    /// Sequence and time of the event since which it is known.
    pub(crate) known_since: (u64, u64),
    /// Empty if it came in a register.
    pub(crate) sender: SenderView<'a>,
}

/// Who sent a row, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SenderView<'a> {
    pub(crate) who: &'a str,
    pub(crate) reason: &'a str,
}

/// Whether an encoded `Resident` is neither removed (its field 6) nor replaced by another ticket's (10); looked for without reading the texts.
pub(crate) fn counts_as_resident(mut row: &[u8]) -> bool {
    let removed = (6, Value::Number(ResidentStatus::Removed as u64));
    !std::iter::from_fn(|| take_field(&mut row)).any(|field| field == removed || field.0 == 10)
}

/// Whether it is active, and not replaced.
pub(crate) fn counts_as_active(mut row: &[u8]) -> bool {
    let (mut active, mut replaced) = (false, false);
    while let Some((field, value)) = take_field(&mut row) {
        active |= (field, value) == (6, Value::Number(ResidentStatus::Active as u64));
        replaced |= field == 10;
    }
    active && !replaced
}

impl<'a> RowView<'a> {
    /// The row in a stored `ResidentChange` message; `None` if the bytes are none.
    pub(crate) fn of_change(header: Header, mut message: &'a [u8]) -> Option<RowView<'a>> {
        let linked = header.flags & flag::LINKED != 0;
        let mut row = RowView { known_since: (header.sequence, header.time_ms), linked, ..RowView::default() };
        while !message.is_empty() {
            match take_field(&mut message)? {
                (1, value) => row.bytes = value.bytes()?,
                (2, value) => row.sealed_my_number = value.bytes()?,
                (3, value) => row.data_key_id = value.number_u32()?,
                (4, value) => row.my_number_hash = value.number().filter(|hash| hash >> HASH_BITS == 0)?,
                (5, value) => row.sender.who = value.text()?,
                (6, value) => row.sender.reason = value.text()?,
                _ => {}
            }
        }
        // A row has a name, or names another ticket, so it has bytes.
        (!row.bytes.is_empty()).then_some(row)
    }
}

/// Appends a row that a ticket had, as a field of a `ColdEntry`.
pub(crate) fn put_older_row(out: &mut Vec<u8>, row: &RowView<'_>) {
    let mut message = Vec::with_capacity(row.bytes.len() + 24);
    put_bytes_field(&mut message, 1, row.bytes);
    for (field, value) in [(2, row.known_since.0), (3, row.known_since.1)] {
        if value != 0 {
            message.push(field << 3);
            put_varint(&mut message, value);
        }
    }
    put_sender(&mut message, 4, row.sender);
    put_bytes_field(out, OLDER_ROWS_FIELD as u8, &message);
}

/// Appends who sent a row, and why, as fields from `first` on.
pub(crate) fn put_sender(out: &mut Vec<u8>, first: u8, sender: SenderView<'_>) {
    for (field, text) in [(first, sender.who), (first + 1, sender.reason)] {
        if !text.is_empty() {
            put_bytes_field(out, field, text.as_bytes());
        }
    }
}

/// The field of a `ColdEntry` that holds the rows that the ticket had.
pub(crate) const OLDER_ROWS_FIELD: u32 = 6;

/// The rows in fields of a `ColdEntry`, one behind another; an item is `None` where the bytes are none.
pub(crate) fn older_rows(mut fields: &[u8]) -> impl Iterator<Item = Option<RowView<'_>>> {
    std::iter::from_fn(move || {
        let taken = (!fields.is_empty()).then(|| take_field(&mut fields))?;
        if taken.is_none() {
            fields = &[];
        }
        Some(taken.and_then(|(_, value)| older_row(value.bytes()?)))
    })
}

fn older_row(mut message: &[u8]) -> Option<RowView<'_>> {
    let mut row = RowView::default();
    while !message.is_empty() {
        match take_field(&mut message)? {
            (1, value) => row.bytes = value.bytes()?,
            (2, value) => row.known_since.0 = value.number()?,
            (3, value) => row.known_since.1 = value.number()?,
            (4, value) => row.sender.who = value.text()?,
            (5, value) => row.sender.reason = value.text()?,
            _ => {}
        }
    }
    (!row.bytes.is_empty()).then_some(row)
}

/// Whether a shot counts, and who may change it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// It was recorded by mistake.
    pub voided: bool,
    /// The ticket on which it is now, as the decimal number of its 16 digits; 0: this one.
    pub reassigned_to: u64,
    /// The level of `Authority` at which it is confirmed; 0 if it is not.
    pub confirmed: u32,
    /// Writes that are held.
    pub held_writes: u32,
}

impl Standing {
    /// Whether the shot counts as one of this ticket's.
    #[inline]
    #[must_use]
    pub fn in_force(&self) -> bool {
        !self.voided && self.reassigned_to == 0
    }

    /// As it travels.
    #[must_use]
    pub fn state(&self) -> ShotState {
        match (self.reassigned_to, self.voided) {
            (0, false) => ShotState::InForce,
            (0, true) => ShotState::Voided,
            _ => ShotState::Reassigned,
        }
    }
}

/// A shot that the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShotView<'a> {
    /// Names the shot for ever: the sequence of the event that recorded it.
    pub shot_id: u64,
    /// The sequence of its newest event.
    pub sequence: u64,
    /// Commit time, milliseconds since 1970.
    pub recorded_at_ms: u64,
    /// YYYYMMDD.
    pub date: u32,
    /// 接種回数.
    pub dose: u32,
    /// メーカー.
    pub vaccine: &'a str,
    /// ロット番号 as written.
    pub lot: &'a str,
    /// 会場名.
    pub venue: &'a str,
    /// 医療機関コード, or empty.
    pub institution: &'a str,
    /// 医師名, or empty.
    pub doctor: &'a str,
    /// 読取ID, or empty.
    pub capture_id: &'a str,
    /// A `Source` of the schema.
    pub source: u32,
    /// Who recorded it, or empty.
    pub recorded_by: &'a str,
    /// Kind times ten plus dose, as presented.
    pub stub: u32,
    /// The municipality code as presented where it differs from the ledger's, else 0.
    pub presented_municipality: u32,
    /// Whether it counts, and who may change it.
    pub standing: Standing,
    /// Its warnings, and for whom it was recorded where no ticket was known: fields of the schema's `Shot` from [`MORE_FIELDS`] on, one behind another.
    pub(crate) more: &'a [u8],
}

impl<'a> ShotView<'a> {
    /// The shot in a stored `Shot` message; `None` if the bytes are none.
    pub(crate) fn of_message(sequence: u64, recorded_at_ms: u64, mut message: &'a [u8]) -> Option<ShotView<'a>> {
        let mut shot = ShotView {
            shot_id: sequence,
            sequence,
            recorded_at_ms,
            date: 0,
            dose: 0,
            vaccine: "",
            lot: "",
            venue: "",
            institution: "",
            doctor: "",
            capture_id: "",
            source: 0,
            recorded_by: "",
            stub: 0,
            presented_municipality: 0,
            standing: Standing::default(),
            more: &[],
        };
        while !message.is_empty() {
            let rest = message;
            match take_field(&mut message)? {
                (1, value) => shot.date = value.number_u32()?,
                (2, value) => shot.dose = value.number_u32()?,
                (3, value) => shot.vaccine = value.text()?,
                (4, value) => shot.lot = value.text()?,
                (5, value) => shot.venue = value.text()?,
                (6, value) => shot.institution = value.text()?,
                (7, value) => shot.doctor = value.text()?,
                (8, value) => shot.capture_id = value.text()?,
                (9, value) => shot.source = value.number_u32()?,
                (10, value) => shot.recorded_by = value.text()?,
                (11, value) => shot.stub = value.number_u32()?,
                (12, value) => shot.presented_municipality = value.number_u32()?,
                // From the first of them to the end: no other field comes behind.
                (MORE_FIELDS.., _) if shot.more.is_empty() => shot.more = rest,
                _ => {}
            }
        }
        Some(shot)
    }

    /// Whether both tell of the same shot: every field but who recorded it, when, and from where.
    #[must_use]
    pub fn same_content(&self, other: &ShotView<'_>) -> bool {
        (self.date, self.dose, self.vaccine, self.lot, self.venue, self.institution, self.doctor)
            == (other.date, other.dose, other.vaccine, other.lot, other.venue, other.institution, other.doctor)
            && self.provisional() == other.provisional()
    }

    /// What the rules compare.
    pub(crate) fn given(&self) -> Option<Given<'a>> {
        // What was recorded has a day of the calendar.
        let date = Date::from_yyyymmdd(self.date).ok()?;
        Some(Given { shot_id: self.shot_id, date, dose: self.dose, vaccine: self.vaccine })
    }

    /// What the rules compare, if it counts.
    pub(crate) fn given_in_force(&self) -> Option<Given<'a>> {
        self.given().filter(|_| self.standing.in_force())
    }

    /// What the rules said of it when it was recorded, or set right.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        self.more(WARNINGS_FIELD).filter_map(|warning| Warning::decode(warning).ok()).collect()
    }

    /// For whom it was recorded, where no ticket was known.
    #[must_use]
    pub fn provisional(&self) -> Option<Provisional> {
        self.more(PROVISIONAL_FIELD).next().and_then(|person| Provisional::decode(person).ok())
    }

    fn more(&self, wanted: u32) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.more;
        let fields = std::iter::from_fn(move || take_field(&mut rest));
        fields.filter_map(move |(field, value)| value.bytes().filter(|_| field == wanted))
    }

    /// The shot as it is stored.
    pub(crate) fn to_shot(self) -> Shot {
        Shot {
            date: self.date,
            dose: self.dose,
            vaccine: self.vaccine.to_owned(),
            lot: self.lot.to_owned(),
            venue: self.venue.to_owned(),
            institution: self.institution.to_owned(),
            doctor: self.doctor.to_owned(),
            capture_id: self.capture_id.to_owned(),
            source: self.source as i32,
            recorded_by: self.recorded_by.to_owned(),
            stub: self.stub,
            presented_municipality: self.presented_municipality,
            warnings: self.warnings(),
            provisional: self.provisional(),
        }
    }

    /// The message that travels.
    #[must_use]
    pub fn to_recorded(&self) -> RecordedShot {
        let shot = self.to_shot();
        let Standing { reassigned_to, confirmed, held_writes, .. } = self.standing;
        RecordedShot {
            shot_id: self.shot_id,
            sequence: self.sequence,
            recorded_at: self.recorded_at_ms,
            ticket: 0,
            shot: Some(Shot { warnings: with_reasons(shot.warnings), ..shot }),
            state: self.standing.state().into(),
            confirmed: confirmed as i32,
            reassigned_to,
            held_writes,
            same_dose: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use sesshu_proto::v1::WarningKind;

    use super::*;

    #[test]
    fn a_shot_is_read_as_prost_reads_it() {
        let shot = Shot {
            date: 20_210_412,
            dose: 1,
            vaccine: "ファイザー".into(),
            lot: "EW4811".into(),
            venue: "千代田区役所".into(),
            institution: "1310100001".into(),
            doctor: "接種 太郎".into(),
            capture_id: "c-1".into(),
            source: 2,
            recorded_by: "terminal 7".into(),
            stub: 21,
            presented_municipality: 11_011,
            warnings: vec![
                Warning { kind: WarningKind::TicketNotInRegister.into(), ..Warning::default() },
                Warning { kind: WarningKind::DoseOrder.into(), shot_id: 5, ..Warning::default() },
            ],
            provisional: None,
        };
        read_as_prost_reads_it(&shot);
        let provisional = Some(Provisional { name_kana: "セッシュ タロウ".into(), birth_date: 19_560_203 });
        read_as_prost_reads_it(&Shot { provisional, ..shot });
    }

    fn read_as_prost_reads_it(shot: &Shot) {
        let bytes = shot.encode_to_vec();
        let mut appended = Shot { warnings: Vec::new(), ..shot.clone() }.encode_to_vec();
        put_warnings(&mut appended, &shot.warnings);
        assert_eq!(
            (Shot::decode(&appended[..]).as_ref(), appended.len() - warnings_bytes(&shot.warnings)),
            (Ok(shot), { Shot { warnings: Vec::new(), ..shot.clone() }.encoded_len() })
        );
        let view = ShotView::of_message(7, 99, &bytes).unwrap();
        assert_eq!(ShotView::of_message(7, 99, &appended).unwrap().to_recorded(), view.to_recorded());
        assert_eq!((view.warnings(), view.provisional()), (shot.warnings.clone(), shot.provisional.clone()));
        let shot = Shot { warnings: with_reasons(shot.warnings.clone()), ..shot.clone() };
        assert_eq!(
            view.to_recorded(),
            RecordedShot {
                shot_id: 7,
                sequence: 7,
                recorded_at: 99,
                shot: Some(shot),
                state: ShotState::InForce.into(),
                ..RecordedShot::default()
            }
        );
        for end in 0..bytes.len() {
            // A shorter message is another message or none, never a panic.
            let _ = ShotView::of_message(7, 99, &bytes[..end]);
        }
    }
}
