//! The days of the year, and the store's clock.
//!
//! Owns when people came, how late their shots were recorded, and the clock that is moved from day to day: a shot's commit time is the day on which it was
//! played. Days are counted from 1970-01-01, hours are Japan's. The weekly weights are set by hand after the shape of the real curve: from 12 April 2021 on, the
//! most from July to September, few in early 2022. How late shots were recorded is what the national system published of July 2021.

use std::io;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rand::distr::weighted::WeightedIndex;
use rand::distr::{Distribution as _, Uniform};
use rand::{Rng, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sesshu_engine::Environment;
use sesshu_engine::ticket::Date;

/// 2021-04-05, when the first registers came.
pub(super) const BEFORE: i32 = 18_722;
/// 2021-04-12, a Monday.
pub(super) const FIRST: i32 = 18_729;
/// 2022-03-31.
pub(super) const LAST: i32 = 19_082;

/// Share of the residents who had a shot on the busiest day: 1,700,252 of 126 million.
pub(super) const BUSIEST_SHARE: f64 = 0.0135;

/// Of a hundred shots, how many were recorded within so many days.
pub(super) const RECORDED_WITHIN: [(i32, f64); 3] = [(1, 44.0), (7, 73.5), (30, 86.0)];

/// Weights of first doses by week, for people of 65 and over, and for everybody younger.
const WEEKS_65_AND_OVER: [u32; 45] = [
    2, 4, 7, 12, 20, 38, 62, 88, 104, 110, 108, 100, 90, 80, 70, 60, 51, 43, 36, 30, 25, 21, 17, 14, 12, 10, 9, 8, 7,
    6, 5, 4, 4, 3, 3, 3, 2, 2, 2, 1, 1, 1, 1, 1, 1,
];
const WEEKS_UNDER_65: [u32; 45] = [
    0, 0, 0, 0, 0, 1, 4, 9, 17, 29, 40, 50, 58, 64, 68, 71, 73, 74, 74, 73, 72, 70, 67, 63, 58, 53, 48, 43, 38, 34, 30,
    26, 22, 19, 16, 13, 11, 9, 7, 6, 5, 4, 3, 2, 1,
];
/// Monday to Sunday.
const WEEKDAYS: [u32; 7] = [14, 14, 15, 14, 14, 15, 14];
/// The most days that a shot waits, beyond a month, to be recorded.
const DAYS_LATE_BEYOND_A_MONTH: f64 = 120.0;

/// The days on which shots are given and recorded.
pub(super) fn days() -> RangeInclusive<i32> {
    FIRST..=LAST
}

fn date(day: i32) -> Date {
    Date::from_days_since_epoch(day).expect("a day of the calendar")
}

/// YYYYMMDD.
pub(super) fn yyyymmdd(day: i32) -> u32 {
    date(day).yyyymmdd()
}

/// The day of the month, from 1.
pub(super) fn day_of_month(day: i32) -> u32 {
    yyyymmdd(day) % 100
}

/// Whether the next day is another month's.
pub(super) fn ends_month(day: i32) -> bool {
    day_of_month(day + 1) == 1
}

/// An hour of a day, in milliseconds since 1970.
pub(super) fn at(day: i32, hour: i32) -> u64 {
    (i64::from(day) * 24 + i64::from(hour) - 9).unsigned_abs() * 3_600_000
}

/// The last millisecond of a day.
pub(super) fn end_of(day: i32) -> u64 {
    at(day + 1, 0) - 1
}

/// When people come.
pub(super) struct Curve {
    weeks_65_and_over: WeightedIndex<u32>,
    weeks_under_65: WeightedIndex<u32>,
    weekdays: WeightedIndex<u32>,
}

impl Curve {
    pub(super) fn new() -> Curve {
        let weighted = |weights: &[u32]| WeightedIndex::new(weights).expect("weights of which one is not zero");
        Curve {
            weeks_65_and_over: weighted(&WEEKS_65_AND_OVER),
            weeks_under_65: weighted(&WEEKS_UNDER_65),
            weekdays: weighted(&WEEKDAYS),
        }
    }

    /// The day of a first dose.
    pub(super) fn first_day(&self, rng: &mut impl Rng, is_65_or_over: bool) -> i32 {
        let weeks = if is_65_or_over { &self.weeks_65_and_over } else { &self.weeks_under_65 };
        let days = weeks.sample(rng) * 7 + self.weekdays.sample(rng);
        FIRST + i32::try_from(days).expect("a year is short")
    }
}

/// How many days after it was given a shot is recorded.
pub(super) fn days_late(rng: &mut impl Rng) -> i32 {
    let share = rng.random_range(0.0..100.0);
    let mut from = 0;
    for (within, percent) in RECORDED_WITHIN {
        if share < percent {
            return rng.random_range(from..=within);
        }
        from = within + 1;
    }
    let unit = Uniform::new(0.0, 1.0).expect("a range");
    // Most of them soon after.
    from + (unit.sample(rng) * unit.sample(rng) * DAYS_LATE_BEYOND_A_MONTH) as i32
}

/// A clock that stands still unless it is moved, and chance of a seed.
pub(super) struct Clock {
    now_ms: AtomicU64,
    chance: Mutex<ChaCha8Rng>,
}

impl Clock {
    pub(super) fn new(seed: u64) -> Clock {
        Clock { now_ms: AtomicU64::new(at(BEFORE, 9)), chance: Mutex::new(ChaCha8Rng::seed_from_u64(seed)) }
    }

    pub(super) fn set(&self, now_ms: u64) {
        self.now_ms.store(now_ms, Ordering::Relaxed);
    }
}

impl Environment for Clock {
    fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        self.chance.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
        Ok(())
    }
}
