//! `--compact-age`, `--compact-log`, `--compact-limit`, `--no-compaction`: when a server compacts ledgers without being asked; `--scrub-every`, `--scrub-limit`,
//! `--no-scrub`: when it verifies its store.

use std::num::NonZeroU64;
use std::time::Duration;

use clap::Args;
use sesshu_engine::{CompactionPolicy, ScrubPolicy};

/// The options of a server.
#[derive(Debug, Args)]
pub(super) struct Upkeep {
    /// Compact ledgers only when `sesshu compact` asks for it
    #[arg(long, conflicts_with_all = ["compact_age", "compact_log", "compact_limit"])]
    no_compaction: bool,
    /// Compact a ledger when something of it has not been folded for so long [default: 24]
    #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u64).range(1..=24 * 365))]
    compact_age: Option<u64>,
    /// Compact a ledger when it keeps more of the log from being removed [default: 1024]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    compact_log: Option<u64>,
    /// Write so many MiB a second at most while compacting [default: 32]
    #[arg(long, value_name = "MIB/s", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    compact_limit: Option<u64>,
    /// Verify the store only when `sesshu verify` asks for it
    #[arg(long, conflicts_with_all = ["scrub_every", "scrub_limit"])]
    no_scrub: bool,
    /// Verify the store so long after the time before; the first time a minute after the start [default: 168]
    #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(u64).range(1..=24 * 365))]
    scrub_every: Option<u64>,
    /// Read so many MiB a second at most while verifying [default: 16]
    #[arg(long, value_name = "MIB/s", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    scrub_limit: Option<u64>,
}

impl Upkeep {
    pub(super) fn policies(&self) -> (CompactionPolicy, ScrubPolicy) {
        (self.compaction(), self.scrub())
    }

    fn scrub(&self) -> ScrubPolicy {
        let default = ScrubPolicy::default();
        ScrubPolicy {
            automatic: !self.no_scrub,
            every: self.scrub_every.map_or(default.every, |hours| Duration::from_secs(hours * 3600)),
            limit: self.scrub_limit.map_or(default.limit, |mib| NonZeroU64::new(mib << 20)),
        }
    }

    fn compaction(&self) -> CompactionPolicy {
        let default = CompactionPolicy::default();
        CompactionPolicy {
            automatic: !self.no_compaction,
            age: self.compact_age.map_or(default.age, |hours| Duration::from_secs(hours * 3600)),
            log_bytes: self.compact_log.map_or(default.log_bytes, |mib| mib << 20),
            limit: self.compact_limit.map_or(default.limit, |mib| NonZeroU64::new(mib << 20)),
            ..default
        }
    }
}
