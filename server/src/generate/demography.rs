//! Ages, sexes and dates: who lives in Japan in April 2021.
//!
//! The age pyramid has the shape of the Statistics Bureau's population estimate of 1 October 2021: five-year groups in ten
//! thousands of people, and the share of men per group. The figures are approximations, set by hand: good for queues by age
//! and for statistics that look like the country, and not to be cited.
//!
//! Days are counted from 1970-01-01 here, and become dates where they leave.

use std::sync::LazyLock;

use sesshu_engine::ticket::Date;

use super::draw::{Draws, Weighted};

/// Sex as registers write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sex {
    /// 1
    Male,
    /// 2
    Female,
    /// 9: not stated.
    NotStated,
}

impl Sex {
    /// The digit of the register's column 性別.
    #[must_use]
    pub const fn digit(self) -> u8 {
        match self {
            Sex::Male => 1,
            Sex::Female => 2,
            Sex::NotStated => 9,
        }
    }
}

/// Registers are drawn up as of this day, 2021-04-01; nobody in them is born on it or later.
pub(super) const REGISTER_DAY: i32 = 18_718;
/// The last day on which anything generated happens, 2021-11-30.
pub(super) const LAST_DAY: i32 = 18_961;

/// Years per group of the pyramid.
const GROUP_YEARS: u64 = 5;

/// From the youngest: ten thousands of people aged 0–4, 5–9 … 100 and over, and how many of a thousand are men.
const PYRAMID: [(u64, u64); 21] = [
    (439, 512),
    (502, 512),
    (537, 512),
    (556, 512),
    (629, 513),
    (638, 513),
    (652, 511),
    (736, 508),
    (813, 507),
    (966, 507),
    (917, 505),
    (788, 501),
    (741, 496),
    (787, 488),
    (967, 475),
    (671, 450),
    (563, 418),
    (402, 362),
    (201, 289),
    (62, 202),
    (9, 120),
];

static AGE_GROUPS: LazyLock<Weighted> = LazyLock::new(|| Weighted::new(&PYRAMID.map(|(people, _)| people)));

/// A birth date and the sex of the person.
pub(super) fn birth(draws: &mut Draws) -> (Date, Sex) {
    let group = AGE_GROUPS.pick(draws);
    // 1461 days are four years: exact to a day over a whole group.
    let group_start = group as u64 * GROUP_YEARS * 1461 / 4;
    let group_end = (group as u64 + 1) * GROUP_YEARS * 1461 / 4;
    let age_days = group_start + draws.below(group_end - group_start);
    let sex = match draws.below(1000) < PYRAMID[group].1 {
        _ if draws.per_million(300) => Sex::NotStated,
        true => Sex::Male,
        false => Sex::Female,
    };
    (date(REGISTER_DAY - 1 - day_count(age_days)), sex)
}

/// A day on which a register's snapshot says somebody left or died: after every birth, before the last day.
pub(super) fn movement_date(draws: &mut Draws) -> Date {
    date(REGISTER_DAY + day_count(draws.below((LAST_DAY - REGISTER_DAY).unsigned_abs().into())))
}

/// The date of a day counted from 1970-01-01.
pub(super) fn date(day: i32) -> Date {
    Date::from_days_since_epoch(day).expect("generated days are in the calendar's range")
}

/// A drawn number of days. A century has 36,525.
pub(super) fn day_count(days: u64) -> i32 {
    i32::try_from(days).expect("drawn spans are shorter than two centuries")
}

#[cfg(test)]
mod tests {
    use super::{LAST_DAY, REGISTER_DAY, Sex, birth, date};
    use crate::generate::draw::Draws;

    #[test]
    fn the_days_are_the_dates_they_are_said_to_be() {
        assert_eq!([REGISTER_DAY, LAST_DAY].map(|day| date(day).yyyymmdd()), [20_210_401, 20_211_130]);
    }

    #[test]
    fn the_population_is_old_and_slightly_female() {
        let people: Vec<(u32, Sex)> = (0..200_000)
            .map(|index| {
                let (born, sex) = birth(&mut Draws::keyed(5, index));
                (born.yyyymmdd(), sex)
            })
            .collect();
        assert!(people.iter().all(|&(born, _)| (19_150_101..20_210_401).contains(&born)));
        let old = people.iter().filter(|&&(born, _)| born <= 19_560_401).count();
        assert!((56_000..61_000).contains(&old), "{old} of 200,000 are 65 or older; the country had 28.9 %");
        let women = people.iter().filter(|&&(_, sex)| sex == Sex::Female).count();
        assert!((101_000..104_500).contains(&women), "{women} of 200,000 are women; the country had 51.4 %");
    }
}
