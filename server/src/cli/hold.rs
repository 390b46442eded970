//! `--hold-removed`, `--hold-rejected`, `--hold-hours`: which loads wait for somebody's word, and how long.

use std::time::Duration;

use clap::Args;
use sesshu_engine::HoldPolicy;

/// The options of whoever has a store open.
#[derive(Debug, Args)]
pub(super) struct Hold {
    /// Hold a load that would remove more than this share of a ledger's residents [default: 10; 100: never]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    hold_removed: Option<u8>,
    /// Hold a load that rejects more than this share of its rows [default: 10; 100: never]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    hold_rejected: Option<u8>,
    /// How long a load is held [default: 24]
    #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u32).range(1..=24 * 365))]
    hold_hours: Option<u32>,
}

impl Hold {
    pub(super) fn policy(&self) -> HoldPolicy {
        let default = HoldPolicy::default();
        HoldPolicy {
            removed_percent: self.hold_removed.unwrap_or(default.removed_percent),
            rejected_percent: self.hold_rejected.unwrap_or(default.rejected_percent),
            keep: self.hold_hours.map_or(default.keep, |hours| Duration::from_secs(u64::from(hours) * 3600)),
        }
    }

    /// Whether any of them was said.
    pub(super) fn is_said(&self) -> bool {
        self.hold_removed.is_some() || self.hold_rejected.is_some() || self.hold_hours.is_some()
    }
}
