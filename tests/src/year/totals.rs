//! Shots by day and dose, and how late they were recorded, from the recount.

use std::collections::BTreeMap;

use super::calendar::{RECORDED_WITHIN, at};
use super::compare::ByDayAndDose;
use super::recount::Recount;

/// What is counted of all shots.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// As they were recorded.
    pub(super) recorded: ByDayAndDose,
    /// As they are now, those that count.
    pub(super) net: ByDayAndDose,
    /// By the month in which they were given, YYYYMM.
    pub(super) months: BTreeMap<u32, Late>,
}

/// The shots of a month.
#[derive(Debug, Default)]
pub(super) struct Late {
    pub(super) shots: u64,
    /// Of them, how many were recorded within the days of the calendar.
    pub(super) within: [u64; 3],
}

impl Totals {
    pub(super) fn of(recount: &Recount<'_>) -> Totals {
        let mut totals = Totals::default();
        for shot in recount.tickets.values().flat_map(|ticket| &ticket.shots).filter(|shot| shot.moved_to == 0) {
            let paper = &recount.shots.papers[shot.entry.paper as usize];
            let (date, dose) = (paper.shot.date.yyyymmdd(), u32::from(paper.shot.dose));
            *totals.recorded.entry((date, dose)).or_default() += 1;
            if !shot.voided {
                let now = shot.corrected.as_ref().map_or((date, dose), |shot| (shot.date, shot.dose));
                *totals.net.entry(now).or_default() += 1;
            }
            let late = totals.months.entry(date / 100).or_default();
            late.shots += 1;
            for (within, (days, _)) in late.within.iter_mut().zip(RECORDED_WITHIN) {
                *within += u64::from(shot.recorded_at < at(paper.day + days + 1, 0));
            }
        }
        totals
    }

    /// The day with the most shots, and how many.
    pub(super) fn busiest(&self) -> (u32, u64) {
        let mut days = BTreeMap::<u32, u64>::new();
        self.recorded.iter().for_each(|((date, _), shots)| *days.entry(*date).or_default() += shots);
        days.into_iter().max_by_key(|(_, shots)| *shots).unwrap_or_default()
    }
}
