//! The campaign of 2021: when people came, what they were given, and where.
//!
//! Dates follow the shape of the real one. People of 65 and over came from 12 April on, with a peak in June and July; the
//! others from mid-June, with a peak in August and September; the second dose three weeks (Pfizer) or four weeks later, a
//! few days late for some, and nothing after 30 November. The weekly weights are set by hand after that shape.
//!
//! Makers are the real products'; lot numbers have the real ones' shape, newer series later, and are otherwise invented, as
//! are venues, their institution codes and doctors: a municipality's own halls, and clinics named after invented doctors.

use std::sync::Arc;

use sesshu_engine::ticket::{Date, Municipality};

use super::demography::{LAST_DAY, Sex, date, day_count};
use super::draw::{Draws, Purpose, Weighted, key};
use super::names;

/// 2021-04-12, a Monday, in days from 1970-01-01.
const FIRST_DAY: i32 = 18_729;

/// Shares of first doses by week from 12 April, for people of 65 and over.
const WEEKLY_65_AND_OVER: [u64; 30] =
    [2, 3, 5, 8, 15, 35, 75, 130, 180, 190, 160, 120, 90, 65, 45, 30, 20, 15, 10, 8, 6, 5, 4, 3, 3, 2, 2, 2, 1, 1];
/// The same for everybody younger.
const WEEKLY_UNDER_65: [u64; 30] =
    [0, 0, 0, 0, 0, 0, 1, 2, 5, 15, 30, 45, 60, 70, 75, 85, 95, 105, 110, 110, 100, 85, 70, 55, 40, 30, 20, 12, 8, 5];
/// Monday to Sunday: halls are full at weekends.
const WEEKDAYS: [u64; 7] = [13, 13, 14, 11, 14, 20, 15];

/// Moderna's was given in halls, Pfizer's everywhere.
const MODERNA_PER_MILLION_IN_HALLS: u64 = 450_000;
/// The third product was offered from 40 years of age on, and taken by few.
const ASTRAZENECA_PER_MILLION: u64 = 1_000;
const TAKEDA_PER_MILLION_OF_MODERNA: u64 = 300_000;

/// 2021-05-24, when the first large halls opened with Moderna's product.
const MODERNA_FIRST_DAY: i32 = 18_771;
/// 2021-08-23, when the third product was first given.
const ASTRAZENECA_FIRST_DAY: i32 = 18_862;
const DAYS_TO_SECOND_DOSE_MAX: i32 = 28;

/// Age from which each product was given, in years.
const MODERNA_AGE: u32 = 18;
const ASTRAZENECA_AGE: u32 = 40;

const PFIZER_SERIES: [&str; 12] = ["EP", "ER", "ET", "EW", "EX", "EY", "FA", "FC", "FD", "FE", "FF", "FJ"];
const LOTS_PER_SERIES: usize = 3;
/// Lots in use on one day.
const LOTS_IN_USE: usize = 3;
const LOTS: usize = PFIZER_SERIES.len() * LOTS_PER_SERIES;

/// Residents for whom there is one venue.
const RESIDENTS_PER_VENUE: u64 = 2_500;
const VENUES_MAX: u64 = 2_000;
const HALLS_PER_MILLION_VENUES: u64 = 120_000;
const NO_INSTITUTION_CODE_PER_MILLION_VENUES: u64 = 60_000;
const DOCTORS_PER_VENUE: usize = 3;

/// A vaccine, by who made it or brought it to Japan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Maker {
    /// ファイザー
    Pfizer,
    /// モデルナ
    Moderna,
    /// 武田: Moderna's product under the name of its distributor, as many venues entered it.
    Takeda,
    /// アストラゼネカ
    AstraZeneca,
}

impl Maker {
    /// As the column メーカー has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Maker::Pfizer => "ファイザー",
            Maker::Moderna => "モデルナ",
            Maker::Takeda => "武田",
            Maker::AstraZeneca => "アストラゼネカ",
        }
    }

    const fn days_to_second_dose(self) -> i32 {
        match self {
            Maker::Pfizer => 21,
            Maker::Moderna | Maker::Takeda | Maker::AstraZeneca => DAYS_TO_SECOND_DOSE_MAX,
        }
    }
}

/// Where shots are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Venue {
    /// At most 30 characters.
    pub name: String,
    /// Ten digits: prefecture, 1 for medical, number. Some halls and clinics entered none.
    pub institution_code: Option<String>,
    /// Family and given name with an ideographic space.
    pub doctors: [String; DOCTORS_PER_VENUE],
    hall: bool,
}

/// One municipality's part of the campaign.
pub(super) struct Campaign {
    venues: Vec<Arc<Venue>>,
    lots: [[Arc<str>; LOTS]; 3],
    weeks_65_and_over: Weighted,
    weeks_under_65: Weighted,
    weekdays: Weighted,
}

/// How one person is served: what, where, and on which day first.
pub(super) struct Appointment {
    pub(super) maker: Maker,
    pub(super) venue: Arc<Venue>,
    first_day: i32,
    days_late: i32,
}

impl Campaign {
    pub(super) fn of(seed: u64, municipality: Municipality, residents: u64) -> Campaign {
        let venues = (residents / RESIDENTS_PER_VENUE + 1).min(VENUES_MAX);
        let venues_key = key(seed, Purpose::Venues, municipality.code());
        Campaign {
            venues: (0..venues)
                .map(|place| Arc::new(Venue::drawn(&mut Draws::keyed(venues_key, place), municipality, place)))
                .collect(),
            lots: lots(seed),
            weeks_65_and_over: Weighted::new(&WEEKLY_65_AND_OVER),
            weeks_under_65: Weighted::new(&WEEKLY_UNDER_65),
            weekdays: Weighted::new(&WEEKDAYS),
        }
    }

    /// Draws an appointment for somebody of that age.
    pub(super) fn appointment(&self, draws: &mut Draws, age: u32, second_dose: bool) -> Appointment {
        let venue = &self.venues[usize::try_from(draws.below(self.venues.len() as u64)).expect("there are few venues")];
        let week = if age >= 65 { self.weeks_65_and_over.pick(draws) } else { self.weeks_under_65.pick(draws) };
        let drawn_day = FIRST_DAY + day_count((week * 7 + self.weekdays.pick(draws)) as u64);
        let latest = if second_dose { LAST_DAY - DAYS_TO_SECOND_DOSE_MAX } else { LAST_DAY };
        let first_day = drawn_day.min(latest);
        let maker = maker_given(draws, venue, age, first_day);
        let days_late = if draws.below(4) == 0 { day_count(1 + draws.below(7)) } else { 0 };
        Appointment { maker, venue: Arc::clone(venue), first_day, days_late }
    }

    /// A lot in use on that day.
    pub(super) fn lot(&self, draws: &mut Draws, maker: Maker, day: i32) -> Arc<str> {
        let lots = &self.lots[match maker {
            Maker::Pfizer => 0,
            Maker::Moderna | Maker::Takeda => 1,
            Maker::AstraZeneca => 2,
        }];
        // Lots follow each other through the campaign, each used for some weeks.
        let days = (LAST_DAY - FIRST_DAY + 1).unsigned_abs() as usize;
        let newest = (day - FIRST_DAY).unsigned_abs() as usize * LOTS / days;
        let older_by = draws.place_in(LOTS_IN_USE);
        Arc::clone(&lots[newest.saturating_sub(older_by)])
    }
}

/// What somebody of that age is given in a venue on a day.
fn maker_given(draws: &mut Draws, venue: &Venue, age: u32, day: i32) -> Maker {
    let moderna_possible = age >= MODERNA_AGE && venue.hall && day >= MODERNA_FIRST_DAY;
    let astrazeneca_possible = age >= ASTRAZENECA_AGE && day >= ASTRAZENECA_FIRST_DAY;
    if moderna_possible && draws.per_million(MODERNA_PER_MILLION_IN_HALLS) {
        if draws.per_million(TAKEDA_PER_MILLION_OF_MODERNA) { Maker::Takeda } else { Maker::Moderna }
    } else if astrazeneca_possible && draws.per_million(ASTRAZENECA_PER_MILLION) {
        Maker::AstraZeneca
    } else {
        Maker::Pfizer
    }
}

impl Appointment {
    /// The day of a dose, counted from 1970-01-01.
    pub(super) fn day(&self, dose: u8) -> i32 {
        match dose {
            1 => self.first_day,
            _ => (self.first_day + self.maker.days_to_second_dose() + self.days_late).min(LAST_DAY),
        }
    }

    pub(super) fn date(&self, dose: u8) -> Date {
        date(self.day(dose))
    }
}

impl Venue {
    fn drawn(draws: &mut Draws, municipality: Municipality, place: u64) -> Venue {
        let hall = draws.per_million(HALLS_PER_MILLION_VENUES) || place == 0;
        let owner = names::common_family(draws).written;
        let name = if hall {
            let kind = draws.choose(&["集団接種会場", "保健センター", "文化会館", "総合体育館", "公民館"]);
            format!("{}{kind}", municipality.name())
        } else {
            let kind =
                draws.choose(&["内科クリニック", "医院", "小児科医院", "病院", "整形外科", "ファミリークリニック"]);
            format!("{owner}{kind}")
        };
        let number = draws.below(10_000_000);
        let institution_code = (!draws.per_million(NO_INSTITUTION_CODE_PER_MILLION_VENUES))
            .then(|| format!("{:02}1{number:07}", municipality.prefecture_number()));
        let doctors = std::array::from_fn(|_| {
            let family = names::common_family(draws).written;
            let sex = if draws.below(4) == 0 { Sex::Female } else { Sex::Male };
            // Doctors are in the middle of their working lives.
            let given = names::common_given(draws, sex, 1970).written;
            format!("{family}\u{3000}{given}")
        });
        Venue { name, institution_code, doctors, hall }
    }
}

/// The lots of the three products, earlier ones first: EW4811, 3004667 and A1012 in shape (the last is a guess).
fn lots(seed: u64) -> [[Arc<str>; LOTS]; 3] {
    let mut draws = Draws::keyed(key(seed, Purpose::Lots, 0), 0);
    [
        std::array::from_fn(|at| format!("{}{:04}", PFIZER_SERIES[at / LOTS_PER_SERIES], draws.below(10_000)).into()),
        std::array::from_fn(|at| format!("300{:04}", 2500 + 100 * at as u64 + draws.below(100)).into()),
        std::array::from_fn(|at| format!("A{:04}", 1000 + 10 * at as u64 + draws.below(10)).into()),
    ]
}

#[cfg(test)]
mod tests {
    use sesshu_engine::ticket::Municipality;

    use super::{ASTRAZENECA_FIRST_DAY, Campaign, FIRST_DAY, MODERNA_FIRST_DAY, Maker};
    use crate::generate::demography::date;
    use crate::generate::draw::Draws;

    #[test]
    fn the_days_are_the_dates_they_are_said_to_be() {
        let dates = [FIRST_DAY, MODERNA_FIRST_DAY, ASTRAZENECA_FIRST_DAY].map(|day| date(day).yyyymmdd());
        assert_eq!(dates, [20_210_412, 20_210_524, 20_210_823]);
    }

    #[test]
    fn a_product_is_given_from_its_day_and_age_on_and_the_old_come_first() {
        let yokohama = Municipality::from_code(141_003).expect("Yokohama");
        let campaign = Campaign::of(1, yokohama, 3_000_000);
        let mut makers = std::collections::HashSet::new();
        let mut median = |age: u32| {
            let mut days: Vec<i32> = (0..20_000)
                .map(|index| {
                    let appointment = campaign.appointment(&mut Draws::keyed(age.into(), index), age, true);
                    makers.insert(appointment.maker);
                    let from = match appointment.maker {
                        Maker::Pfizer => (FIRST_DAY, 12),
                        Maker::Moderna | Maker::Takeda => (MODERNA_FIRST_DAY, 18),
                        Maker::AstraZeneca => (ASTRAZENECA_FIRST_DAY, 40),
                    };
                    assert!((appointment.day(1), age) >= from && age >= from.1, "{:?}", appointment.maker);
                    appointment.day(1)
                })
                .collect();
            days.sort_unstable();
            days[10_000]
        };
        assert!(median(70) + 30 < median(30) && median(12) > 0 && median(50) > 0);
        assert_eq!(makers.len(), 4, "{makers:?}");
    }
}
