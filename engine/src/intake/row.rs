//! A register row that may be loaded.
//!
//! Owns the checks of a row's fields against each other and against the field lengths of `limits`. A row that fails keeps no part of itself: the caller
//! still has what it was made of.

use std::fmt;

use sesshu_proto::v1::{Resident, ResidentStatus, Sex};

use super::fault::{Column, Fault, FaultCode, check_text};
use super::remark::{self, Remark};
use crate::limits;
use crate::ticket::{BirthDate, Date, MyNumber, NUMBER_MAX};

/// A checked register row of the municipality that is being loaded.
pub struct Row {
    number: u64,
    my_number: Option<MyNumber>,
    line: u64,
    resident: Resident,
}

impl Row {
    /// Checks a row. `number` is the ten-digit ticket number, `line` the row's line in its file (0 if there is none).
    ///
    /// A status that is not given becomes active, a sex that is not given becomes unknown. Links to other tickets are the store's, and are left out.
    ///
    /// # Errors
    ///
    /// The first [`Fault`] in the order of the columns.
    pub fn check(number: u64, my_number: Option<MyNumber>, mut resident: Resident, line: u64) -> Result<Row, Fault> {
        if number > NUMBER_MAX {
            return Err(Fault::new(Column::Number, FaultCode::NotDigits, "a ticket number has ten digits"));
        }
        check_text(Column::ResidentNumber, &resident.resident_number, limits::RESIDENT_NUMBER_CHARACTERS_MAX)?;
        if resident.name.trim().is_empty() {
            return Err(Fault::new(Column::Name, FaultCode::Missing, "a resident has a name"));
        }
        check_text(Column::Name, &resident.name, limits::NAME_CHARACTERS_MAX)?;
        check_text(Column::NameKana, &resident.name_kana, limits::NAME_CHARACTERS_MAX)?;
        if resident.birth_date != 0 {
            BirthDate::from_yyyymmdd(resident.birth_date)
                .map_err(|error| Fault::new(Column::BirthDate, FaultCode::NotADate, error.to_string()))?;
        }
        match Sex::try_from(resident.sex) {
            Ok(Sex::Unspecified) => resident.set_sex(Sex::Unknown),
            Ok(_) => {}
            Err(_) => {
                return Err(Fault::new(Column::Sex, FaultCode::UnknownValue, "1 (male), 2 (female) or 9 (unknown)"));
            }
        }
        match ResidentStatus::try_from(resident.status) {
            Ok(ResidentStatus::Unspecified) => resident.set_status(ResidentStatus::Active),
            Ok(_) => {}
            Err(_) => return Err(Fault::new(Column::Change, FaultCode::UnknownValue, "not a status of a resident")),
        }
        if resident.status_date != 0 {
            Date::from_yyyymmdd(resident.status_date)
                .map_err(|error| Fault::new(Column::ChangeDate, FaultCode::NotADate, error.to_string()))?;
        }
        (resident.previous_numbers, resident.reissued_as) = (Vec::new(), None);
        Ok(Row { number, my_number, line, resident })
    }

    /// The ten-digit ticket number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The My Number, if the register has one.
    #[must_use]
    pub fn my_number(&self) -> Option<MyNumber> {
        self.my_number
    }

    /// The line in the file it came from, from 1; 0 if there is none.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The person.
    #[must_use]
    pub fn resident(&self) -> &Resident {
        &self.resident
    }

    /// What is worth a remark in it.
    pub fn remarks(&self) -> impl Iterator<Item = Remark> {
        remark::of_row(self)
    }

    /// The person, given away.
    #[must_use]
    pub fn into_resident(self) -> Resident {
        self.resident
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").field("line", &self.line).finish_non_exhaustive()
    }
}
