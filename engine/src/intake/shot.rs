//! A shot that may be recorded.
//!
//! Owns the checks of a shot's fields. They refuse only what cannot be parsed or kept: a shot that happened is never refused for what it says about
//! medicine.

use sesshu_proto::v1::{Shot, Source};

use super::fault::{Column, Fault, FaultCode, check_text};
use super::provisional;
use crate::limits;
use crate::ticket::{Date, Municipality, Ticket, TicketLine};

/// A checked shot and the ticket it was given on, or what stands for it.
#[derive(Clone, PartialEq)]
pub struct ShotRecord {
    ticket: Ticket,
    shot: Shot,
}

impl ShotRecord {
    /// Checks a shot that was given on the ticket of `line`. The stub's hints and a ward's code as presented are taken from the line; warnings are the store's,
    /// and what a client says of them is forgotten.
    ///
    /// # Errors
    ///
    /// The first [`Fault`] in the order of the columns.
    pub fn check(line: TicketLine, mut shot: Shot) -> Result<ShotRecord, Fault> {
        check_record(&mut shot)?;
        shot.stub = u32::from(line.kind()) * 10 + u32::from(line.dose());
        shot.provisional = None;
        let ticket = line.ticket();
        let presented = line.presented_municipality();
        shot.presented_municipality = if presented == ticket.municipality().code() { 0 } else { presented };
        Ok(ShotRecord { ticket, shot })
    }

    /// Checks a shot of a person without a ticket, who says that they live in `municipality`; `shot.provisional` says who it is.
    ///
    /// # Errors
    ///
    /// As [`ShotRecord::check`].
    pub fn check_without_ticket(municipality: Municipality, mut shot: Shot) -> Result<ShotRecord, Fault> {
        check_record(&mut shot)?;
        let person = shot.provisional.get_or_insert_default();
        provisional::check(person)?;
        let ticket = provisional::provisional_ticket(municipality, person);
        (shot.stub, shot.presented_municipality) = (0, 0);
        Ok(ShotRecord { ticket, shot })
    }

    /// The ticket, or what stands for it.
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// The ticket line as presented, as the decimal number of its 18 digits; `None`: there was no ticket.
    #[must_use]
    pub fn line(&self) -> Option<u64> {
        let municipality = match self.shot.presented_municipality {
            0 => self.ticket.municipality().code(),
            ward => ward,
        };
        let line = u64::from(self.shot.stub) * 10_u64.pow(16)
            + u64::from(municipality) * 10_u64.pow(10)
            + self.ticket.number();
        (!self.ticket.is_provisional()).then_some(line)
    }

    /// What happened.
    #[must_use]
    pub fn shot(&self) -> &Shot {
        &self.shot
    }
}

/// Checks what a record says, whoever it is for. Warnings are the store's.
fn check_record(shot: &mut Shot) -> Result<(), Fault> {
    check_content(shot)?;
    check_ascii(Column::CaptureId, &shot.capture_id)?;
    check_text(Column::RecordedBy, &shot.recorded_by, limits::RECORDED_BY_CHARACTERS_MAX)?;
    if Source::try_from(shot.source).is_err() {
        return Err(Fault::new(Column::Source, FaultCode::UnknownValue, "not a source of records"));
    }
    shot.warnings.clear();
    Ok(())
}

/// Checks what a shot says of the inoculation.
pub(super) fn check_content(shot: &Shot) -> Result<(), Fault> {
    Date::from_yyyymmdd(shot.date).map_err(|error| Fault::new(Column::Date, FaultCode::NotADate, error.to_string()))?;
    if !(1..=limits::DOSE_MAX).contains(&shot.dose) {
        let reason = format!("a dose number from 1 to {}", limits::DOSE_MAX);
        return Err(Fault::new(Column::Dose, FaultCode::UnknownValue, reason));
    }
    check_text(Column::Vaccine, &shot.vaccine, limits::VACCINE_CHARACTERS_MAX)?;
    check_text(Column::Lot, &shot.lot, limits::LOT_CHARACTERS_MAX)?;
    check_text(Column::Venue, &shot.venue, limits::VENUE_CHARACTERS_MAX)?;
    let institution = shot.institution.as_bytes();
    if !institution.is_empty()
        && (institution.len() != limits::INSTITUTION_DIGITS || !institution.iter().all(u8::is_ascii_digit))
    {
        return Err(Fault::new(Column::Institution, FaultCode::NotDigits, "ten digits, or nothing"));
    }
    check_text(Column::Doctor, &shot.doctor, limits::DOCTOR_CHARACTERS_MAX)
}

/// Checks a name that a program gives.
pub(super) fn check_ascii(column: Column, text: &str) -> Result<(), Fault> {
    check_text(column, text, limits::CAPTURE_ID_CHARACTERS_MAX)?;
    if !text.bytes().all(|byte| (0x21..0x7f).contains(&byte)) {
        return Err(Fault::new(column, FaultCode::UnknownValue, "printable ASCII characters without spaces"));
    }
    Ok(())
}
