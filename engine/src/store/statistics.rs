//! How long the way to the disk takes: histograms of the commit path.
//!
//! Owns what is counted, in which unit. The committer counts once a batch and once a command; whoever asks gets a copy.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::{Store, lock};

/// Histograms since the store was opened, to two significant digits.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommitStatistics {
    /// From sealing a batch to its sync's return, microseconds.
    pub sync_us: Histogram<u64>,
    /// From handing in a command to its answer, microseconds.
    pub acknowledge_us: Histogram<u64>,
    /// Shots that one batch added.
    pub batch_shots: Histogram<u64>,
    /// Shots that waited in the queue when a batch became visible.
    pub queue_shots: Histogram<u64>,
}

/// What is longer or more counts as this: an hour, in microseconds.
const MOST: u64 = 3_600_000_000;

impl Default for CommitStatistics {
    fn default() -> CommitStatistics {
        let empty = || Histogram::new_with_bounds(1, MOST, 2).expect("two significant digits are within the range");
        CommitStatistics { sync_us: empty(), acknowledge_us: empty(), batch_shots: empty(), queue_shots: empty() }
    }
}

impl CommitStatistics {
    /// A batch became visible.
    pub(super) fn committed(&mut self, shots: usize, sync: Duration, queued: usize) {
        self.sync_us.saturating_record(sync.as_micros() as u64);
        self.batch_shots.saturating_record(shots as u64);
        self.queue_shots.saturating_record(queued as u64);
    }

    /// Commands are being answered.
    pub(super) fn acknowledged(&mut self, waited: impl Iterator<Item = Duration>) {
        waited.for_each(|waited| self.acknowledge_us.saturating_record(waited.as_micros() as u64));
    }
}

impl Store {
    /// How long the way to the disk has taken since the store was opened.
    #[must_use]
    pub fn commit_statistics(&self) -> CommitStatistics {
        lock(&self.shared.statistics).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_syncs_and_large_batches_are_counted_as_what_they_are() {
        let mut statistics = CommitStatistics::default();
        statistics.committed(20_000, Duration::from_millis(1_700), 65_536);
        statistics.acknowledged([Duration::from_secs(7_200), Duration::from_micros(3)].into_iter());
        let near = |histogram: &Histogram<u64>, value: u64| {
            let most = histogram.max();
            assert!(most.abs_diff(value) <= value / 100, "{most} was counted, not {value}");
        };
        near(&statistics.sync_us, 1_700_000);
        near(&statistics.batch_shots, 20_000);
        near(&statistics.queue_shots, 65_536);
        near(&statistics.acknowledge_us, MOST);
        assert_eq!((statistics.acknowledge_us.min(), statistics.acknowledge_us.len()), (3, 2));
    }
}
