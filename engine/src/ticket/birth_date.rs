//! Birth dates, whose month or day old registers may not know.
//!
//! Owns what a birth date may leave open and how that is written: `00`, as in 19400000 (some day of 1940) or 19400500
//! (some day of May 1940). Reading, printing and the calendar are `date`'s. Which age group an open date falls into is for
//! the statistics to decide.
//!
//! Invariant: year, month and day exist as far as they are known. Sorted, an open date comes before every date it may be.

use std::fmt;

use super::date::{Date, DateError, check_year, last_day, read_yyyymmdd, split, write_date};

/// A birth date, of which at least the year is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BirthDate(u32);

impl BirthDate {
    /// Reads what [`Date::parse`] reads, with `00` for an unknown month or day.
    ///
    /// # Errors
    ///
    /// [`DateError`], never its `DaysSinceEpoch`.
    pub fn parse(text: &str) -> Result<Self, DateError> {
        Self::from_yyyymmdd(read_yyyymmdd(text)?)
    }

    /// The birth date whose eight digits have this value.
    ///
    /// # Errors
    ///
    /// [`DateError::Year`], [`DateError::Month`] or [`DateError::Day`].
    pub fn from_yyyymmdd(value: u32) -> Result<Self, DateError> {
        let (year, month, day) = split(value);
        check_year(year)?;
        if month > 12 {
            return Err(DateError::Month { year, month });
        }
        // A day of an unknown month may be any month's: 31 is the last of the longest.
        let last = if month == 0 { 31 } else { last_day(year, month) };
        if day > last {
            return Err(DateError::Day { year, month, day, last });
        }
        Ok(Self(value))
    }

    /// The eight digits as a number, `00` for what is unknown.
    #[must_use]
    pub const fn yyyymmdd(self) -> u32 {
        self.0
    }

    /// The day, when month and day are known.
    #[must_use]
    pub fn date(self) -> Option<Date> {
        Date::from_yyyymmdd(self.0).ok()
    }
}

impl From<Date> for BirthDate {
    fn from(date: Date) -> Self {
        Self(date.yyyymmdd())
    }
}

/// `YYYY-MM-DD`, with `00` for what is unknown.
impl fmt::Display for BirthDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_date(f, self.0)
    }
}

impl fmt::Debug for BirthDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BirthDate({self})")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn unknown_parts_are_kept() {
        for (text, printed) in [
            ("19400000", "1940-00-00"),
            ("1940-05-00", "1940-05-00"),
            ("１９４０／００／３１", "1940-00-31"),
            ("19400229", "1940-02-29"),
        ] {
            assert_eq!(BirthDate::parse(text).map(|date| date.to_string()), Ok(printed.to_owned()));
        }
    }

    #[test]
    fn only_a_complete_birth_date_is_a_day() {
        let day = |value| BirthDate::from_yyyymmdd(value).expect("a birth date").date();
        assert_eq!(day(19_400_000), None);
        assert_eq!(day(19_400_500), None);
        assert_eq!(day(19_400_012), None);
        assert_eq!(day(19_400_512), Date::from_yyyymmdd(19_400_512).ok());
    }

    #[test]
    fn known_parts_must_exist() {
        let message = |text| BirthDate::parse(text).expect_err(text).to_string();
        assert_eq!(message("19410230"), "1941-02 has no day 30; its last is 28");
        assert_eq!(message("19400032"), "1940-00 has no day 32; its last is 31");
        assert_eq!(message("19401300"), "1940 has no month 13");
        assert_eq!(message("00000000"), "year 0000 is not between 1850 and 2199");
    }

    #[test]
    fn an_open_date_sorts_before_what_it_may_be() {
        let date = |value| BirthDate::from_yyyymmdd(value).expect("a birth date");
        assert!(date(19_391_231) < date(19_400_000));
        assert!(date(19_400_000) < date(19_400_500));
        assert!(date(19_400_500) < date(19_400_501));
    }

    proptest! {
        #[test]
        fn every_day_is_a_birth_date_and_leads_back(days in -40_000..80_000) {
            let date = Date::from_days_since_epoch(days).expect("in bounds");
            let birth = BirthDate::from(date);
            prop_assert_eq!(birth.date(), Some(date));
            prop_assert_eq!(BirthDate::from_yyyymmdd(date.yyyymmdd()), Ok(birth));
            prop_assert_eq!(birth.to_string(), date.to_string());
        }

        #[test]
        fn a_printed_birth_date_is_read_back(year in 1850..=2199_u32, month in 0..=12_u32, day in 0..=31_u32) {
            if let Ok(birth) = BirthDate::from_yyyymmdd(year * 10_000 + month * 100 + day) {
                prop_assert_eq!(BirthDate::parse(&birth.to_string()), Ok(birth));
            } else {
                prop_assert!(month > 0 && day > 28);
            }
        }
    }
}
