//! Dates of the calendar, as registers and shots write them.
//!
//! Owns which days exist, the ways a date is typed, and the count of days that columns store. A birth date with unknown
//! parts is `birth_date`'s, which uses the reading and the calendar of this file. Time of day, time zones and the clock
//! are nobody's here: a shot has the date of its venue.
//!
//! Invariant: a [`Date`] is a real day of the Gregorian calendar in the years 1850 to 2199. The bounds hold every resident
//! and refuse most slips of the keyboard; as `YYYYMMDD` a date sorts and compares as a number.

use std::fmt;

use super::digits::{digit_value, is_hyphen};

/// A day of the calendar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(u32);

/// Why something is no date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DateError {
    /// A character is neither a digit nor a separator.
    #[error("character {position} of the date is {character:?}, not a digit; write YYYYMMDD or YYYY-MM-DD")]
    NotADigit {
        /// Position in the text as given, from 1.
        position: usize,
        /// The character at fault.
        character: char,
    },
    /// The digits or separators are too few, too many or misplaced.
    #[error("a date is four digits of year and two each of month and day: write YYYYMMDD, YYYY-MM-DD or YYYY/MM/DD")]
    Shape,
    /// The year is out of bounds.
    #[error("year {year:04} is not between {} and {}", YEAR_FIRST, YEAR_LAST)]
    Year {
        /// The year as given.
        year: u32,
    },
    /// No year has the month.
    #[error("{year:04} has no month {month:02}")]
    Month {
        /// The year as given.
        year: u32,
        /// The month as given.
        month: u32,
    },
    /// The month does not have the day.
    #[error("{year:04}-{month:02} has no day {day:02}; its last is {last}")]
    Day {
        /// The year as given.
        year: u32,
        /// The month as given.
        month: u32,
        /// The day as given.
        day: u32,
        /// The last day of the month.
        last: u32,
    },
    /// The count of days leads out of the years.
    #[error("day {days} from 1970-01-01 is not between the years {} and {}", YEAR_FIRST, YEAR_LAST)]
    DaysSinceEpoch {
        /// The count as given.
        days: i32,
    },
}

const YEAR_FIRST: u32 = 1850;
const YEAR_LAST: u32 = 2199;
const DAYS_FIRST: i32 = Date(YEAR_FIRST * 10_000 + 101).days_since_epoch();
const DAYS_LAST: i32 = Date(YEAR_LAST * 10_000 + 1231).days_since_epoch();

impl Date {
    /// Reads `YYYYMMDD`, `YYYY-MM-DD` or `YYYY/MM/DD`, full-width or not, ignoring spaces.
    ///
    /// # Errors
    ///
    /// [`DateError`], never its `DaysSinceEpoch`.
    pub fn parse(text: &str) -> Result<Self, DateError> {
        Self::from_yyyymmdd(read_yyyymmdd(text)?)
    }

    /// The day whose eight digits have this value.
    ///
    /// # Errors
    ///
    /// [`DateError::Year`], [`DateError::Month`] or [`DateError::Day`].
    pub fn from_yyyymmdd(value: u32) -> Result<Self, DateError> {
        let (year, month, day) = split(value);
        check_year(year)?;
        if month == 0 || month > 12 {
            return Err(DateError::Month { year, month });
        }
        let last = last_day(year, month);
        if day == 0 || day > last {
            return Err(DateError::Day { year, month, day, last });
        }
        Ok(Self(value))
    }

    /// The eight digits as a number.
    #[must_use]
    pub const fn yyyymmdd(self) -> u32 {
        self.0
    }

    /// Days from 1970-01-01, negative before it.
    ///
    /// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`: years begin in March, so
    /// that the leap day is the last of its year.
    #[must_use]
    pub const fn days_since_epoch(self) -> i32 {
        let (year, month, day) = split(self.0);
        let year = if month <= 2 { year - 1 } else { year };
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let days_from_year_zero = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
        days_from_year_zero.cast_signed() - DAYS_FROM_YEAR_ZERO
    }

    /// The day in Japan, which has had no summer time since 1951, at a time in milliseconds since 1970. A clock outside the calendar's years has the first day of
    /// the programme.
    #[must_use]
    pub fn in_japan(time_ms: u64) -> Self {
        let days = time_ms.saturating_add(9 * 3_600_000) / 86_400_000;
        let day = i32::try_from(days).ok().and_then(|days| Self::from_days_since_epoch(days).ok());
        day.unwrap_or(Self(20_210_412))
    }

    /// The day that is this many days from 1970-01-01. Source: as above, `civil_from_days`.
    ///
    /// # Errors
    ///
    /// [`DateError::DaysSinceEpoch`] outside the years 1850 to 2199.
    pub fn from_days_since_epoch(days: i32) -> Result<Self, DateError> {
        if !(DAYS_FIRST..=DAYS_LAST).contains(&days) {
            return Err(DateError::DaysSinceEpoch { days });
        }
        let days = (days + DAYS_FROM_YEAR_ZERO).cast_unsigned();
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = (month_from_march + 2) % 12 + 1;
        let year = era * 400 + year_of_era + u32::from(month <= 2);
        Ok(Self(year * 10_000 + month * 100 + day))
    }
}

/// Days from 0000-03-01, where the algorithm's first year begins, to 1970-01-01.
const DAYS_FROM_YEAR_ZERO: i32 = 719_468;

/// `YYYY-MM-DD`.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_date(f, self.0)
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Date({self})")
    }
}

/// Reads the eight digits of a date, with two separators in the right places or none.
pub(super) fn read_yyyymmdd(text: &str) -> Result<u32, DateError> {
    let (mut value, mut digits, mut separators) = (0, 0, 0);
    for (index, character) in text.chars().enumerate() {
        if let Some(digit) = digit_value(character) {
            if digits == 8 {
                return Err(DateError::Shape);
            }
            value = value * 10 + u32::from(digit);
            digits += 1;
        } else if is_hyphen(character) || matches!(character, '/' | '／') {
            if (digits, separators) != (4, 0) && (digits, separators) != (6, 1) {
                return Err(DateError::Shape);
            }
            separators += 1;
        } else if !character.is_whitespace() {
            return Err(DateError::NotADigit { position: index + 1, character });
        }
    }
    if digits == 8 && separators != 1 { Ok(value) } else { Err(DateError::Shape) }
}

pub(super) fn write_date(f: &mut fmt::Formatter<'_>, yyyymmdd: u32) -> fmt::Result {
    let (year, month, day) = split(yyyymmdd);
    write!(f, "{year:04}-{month:02}-{day:02}")
}

pub(super) const fn split(yyyymmdd: u32) -> (u32, u32, u32) {
    (yyyymmdd / 10_000, yyyymmdd / 100 % 100, yyyymmdd % 100)
}

pub(super) fn check_year(year: u32) -> Result<(), DateError> {
    if (YEAR_FIRST..=YEAR_LAST).contains(&year) { Ok(()) } else { Err(DateError::Year { year }) }
}

/// The last day of a month from 1 to 12.
pub(super) fn last_day(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_way_to_write_a_day_gives_the_same_date() {
        let date = Date::from_yyyymmdd(20_210_412);
        assert!(date.is_ok());
        for text in [
            "20210412",
            "2021-04-12",
            "2021/04/12",
            "２０２１０４１２",
            "２０２１／０４／１２",
            "２０２１－０４－１２ ",
        ] {
            assert_eq!(Date::parse(text), date, "{text}");
        }
        assert_eq!(date.map(|date| format!("{date} {date:?}")), Ok("2021-04-12 Date(2021-04-12)".to_owned()));
    }

    #[test]
    fn a_misshapen_date_is_refused() {
        for text in [
            "",
            "2021041",
            "202104121",
            "2021-0412",
            "202104-12",
            "20-21-0412",
            "2021-4-12",
            "-20210412",
            "2021-04-12-",
        ] {
            assert_eq!(Date::parse(text), Err(DateError::Shape), "{text}");
        }
        assert_eq!(Date::parse("2021年04月12日"), Err(DateError::NotADigit { position: 5, character: '年' }));
    }

    #[test]
    fn a_day_that_does_not_exist_is_told_with_what_does() {
        let message = |text| Date::parse(text).expect_err(text).to_string();
        assert_eq!(message("2021-02-30"), "2021-02 has no day 30; its last is 28");
        assert_eq!(message("2021-04-00"), "2021-04 has no day 00; its last is 30");
        assert_eq!(message("20211301"), "2021 has no month 13");
        assert_eq!(message("20210001"), "2021 has no month 00");
        assert_eq!(message("18491231"), "year 1849 is not between 1850 and 2199");
        assert_eq!(Date::parse("22000101"), Err(DateError::Year { year: 2200 }));
    }

    #[test]
    fn leap_days_are_those_of_the_gregorian_calendar() {
        for (year, leap) in [(1900, false), (2000, true), (2020, true), (2021, false), (2100, false)] {
            assert_eq!(Date::from_yyyymmdd(year * 10_000 + 229).is_ok(), leap, "{year}");
        }
    }

    #[test]
    fn known_days_have_their_count() {
        for (value, days) in [(19_700_101, 0), (19_691_231, -1), (20_000_301, 11_017), (20_210_412, 18_729)] {
            assert_eq!(Date::from_yyyymmdd(value).map(Date::days_since_epoch), Ok(days), "{value}");
        }
    }

    #[test]
    fn the_calendar_has_no_gap_and_no_day_twice() {
        let days: Vec<_> = (18_500_101..=21_991_231).filter_map(|value| Date::from_yyyymmdd(value).ok()).collect();
        let first = days[0].days_since_epoch();
        for (date, count) in days.iter().zip(first..) {
            assert_eq!(date.days_since_epoch(), count, "{date}");
            assert_eq!(Date::from_days_since_epoch(count), Ok(*date));
        }
        let last = days[days.len() - 1].days_since_epoch();
        for days in [first - 1, last + 1, i32::MIN, i32::MAX] {
            assert_eq!(Date::from_days_since_epoch(days), Err(DateError::DaysSinceEpoch { days }));
        }
    }

    proptest! {
        #[test]
        fn no_value_and_no_text_panics(value: u32, days: i32, text in ".*") {
            let _ = (Date::from_yyyymmdd(value), Date::from_days_since_epoch(days), Date::parse(&text));
        }

        #[test]
        fn a_printed_date_is_read_back(days in DAYS_FIRST..=DAYS_LAST) {
            let date = Date::from_days_since_epoch(days).expect("in bounds");
            prop_assert_eq!(Date::parse(&date.to_string()), Ok(date));
            prop_assert_eq!(Date::from_yyyymmdd(date.yyyymmdd()), Ok(date));
        }
    }
}
