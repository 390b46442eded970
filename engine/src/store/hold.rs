//! Whether a register that was built becomes visible at once, waits for somebody, or is only shown.
//!
//! Owns the policy: which share of a ledger's residents a load may remove, and which share of its rows may be rejected, before somebody has to confirm it.
//! [`Load::commit`] knows no policy; [`Load::conclude`] is the way of files and of streams.

use std::fmt;
use std::time::Duration;

use super::held::Held;
use super::load::{BuiltLoad, Load, LoadReport};
use crate::error::LoadError;

/// When a load waits for somebody, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldPolicy {
    /// Percent of the residents who were not removed before: a load that removes more is held. 100: never.
    pub removed_percent: u8,
    /// Percent of the rows of the file: a load that rejects more is held, the first of a ledger too. 100: never.
    pub rejected_percent: u8,
    /// How long it is held.
    pub keep: Duration,
}

impl Default for HoldPolicy {
    fn default() -> HoldPolicy {
        HoldPolicy { removed_percent: 10, rejected_percent: 10, keep: Duration::from_secs(24 * 3600) }
    }
}

/// One part of a whole that is larger than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// How many it is about.
    pub part: u64,
    /// Of how many.
    pub whole: u64,
    /// The share that may be exceeded by nobody's leave.
    pub percent: u8,
}

impl Share {
    fn exceeded(part: u64, whole: u64, percent: u8) -> Option<Share> {
        let exceeds = u128::from(part) * 100 > u128::from(whole) * u128::from(percent);
        exceeds.then_some(Share { part, whole, percent })
    }
}

/// Why a load is held: one of them at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldReason {
    /// Too many residents would be removed.
    pub removed: Option<Share>,
    /// Too many rows were rejected.
    pub rejected: Option<Share>,
}

impl HoldReason {
    /// What `report` exceeds, by these percents; `None` if nothing.
    pub(super) fn of(report: &LoadReport, removed_percent: u8, rejected_percent: u8) -> Option<HoldReason> {
        let reason = HoldReason {
            removed: Share::exceeded(report.removed, report.known, removed_percent),
            rejected: Share::exceeded(report.rejected_rows, report.rows, rejected_percent),
        };
        (reason.removed.is_some() || reason.rejected.is_some()).then_some(reason)
    }
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Share { part, whole, percent }) = self.removed {
            write!(f, "it removes {part} of {whole} residents, more than {percent} %")?;
        }
        if let Some(Share { part, whole, percent }) = self.rejected {
            let and = if self.removed.is_some() { "; " } else { "" };
            write!(f, "{and}{part} of its {whole} rows were rejected, more than {percent} %")?;
        }
        Ok(())
    }
}

/// What became of a load that was concluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadOutcome {
    /// It is visible.
    Loaded(LoadReport),
    /// It waits, durably: nothing of it is visible. The report tells what is told once: of which lines of the file something is to be said.
    Held(Box<Held>, LoadReport),
    /// Nothing was asked for but this: what it does, and why it would be held, if it would.
    Shown(LoadReport, Option<HoldReason>),
}

impl Load {
    /// Makes the register visible, or holds it if `policy` says so. `dry_run`: shows what it does, and leaves nothing behind.
    ///
    /// # Errors
    ///
    /// As [`Load::commit`].
    pub fn conclude(
        self,
        expected_rows: Option<u64>,
        policy: &HoldPolicy,
        dry_run: bool,
    ) -> Result<LoadOutcome, LoadError> {
        let built = self.build(expected_rows)?;
        match built.exceeds(policy) {
            reason if dry_run => Ok(LoadOutcome::Shown(built.report().clone(), reason)),
            None => built.install().map(LoadOutcome::Loaded),
            Some(_) => {
                let report = built.report().clone();
                Ok(LoadOutcome::Held(Box::new(built.hold(policy)?), report))
            }
        }
    }
}

impl BuiltLoad {
    /// Why the load should not become visible unseen; `None` if it may.
    #[must_use]
    pub fn exceeds(&self, policy: &HoldPolicy) -> Option<HoldReason> {
        HoldReason::of(self.report(), policy.removed_percent, policy.rejected_percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_exceeded_by_more_than_it_and_100_percent_never() {
        assert_eq!(Share::exceeded(10, 100, 10), None);
        assert!(Share::exceeded(11, 100, 10).is_some());
        assert!(Share::exceeded(1, 9, 10).is_some());
        assert_eq!(Share::exceeded(1, 10, 10), None);
        assert!(Share::exceeded(1, 1_000_000, 0).is_some());
        assert_eq!((Share::exceeded(0, 0, 0), Share::exceeded(7, 7, 100)), (None, None));
    }

    #[test]
    fn a_reason_tells_both_shares() {
        let report = LoadReport { known: 100, removed: 20, rows: 50, rejected_rows: 30, ..LoadReport::default() };
        let reason = HoldReason::of(&report, 10, 10).map(|reason| reason.to_string());
        let both = "it removes 20 of 100 residents, more than 10 %; 30 of its 50 rows were rejected, more than 10 %";
        assert_eq!(reason.as_deref(), Some(both));
        assert_eq!(HoldReason::of(&report, 20, 60), None);
    }
}
