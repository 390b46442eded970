//! What operators ask of a running store: counts and bytes, from what is in memory.

use std::sync::Arc;

use super::{Compacted, Store, Verification, Verifying, lock};

/// The store at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The newest visible event.
    pub sequence: u64,
    /// Ledgers of which anything is known.
    pub ledgers: u64,
    /// Register rows.
    pub residents: u64,
    /// Tickets with shots and without a row.
    pub orphans: u64,
    /// Shots.
    pub shots: u64,
    /// Tickets with events that no generation folds.
    pub tail_tickets: u64,
    /// Bytes of the generations.
    pub generation_bytes: u64,
    /// Bytes of the log's segments.
    pub log_bytes: u64,
    /// Bytes of them that are written.
    pub log_written_bytes: u64,
    /// Bytes of the log behind the newest checkpoint: what an open reads.
    pub log_to_read_bytes: u64,
    /// Segments of the log.
    pub log_segments: u64,
    /// Ledgers with a generation.
    pub generations: u64,
    /// Commit time of the newest event in the newest checkpoint, milliseconds since 1970; 0 if there is none.
    pub checkpoint_time_ms: u64,
    /// The newest compaction since the store was opened, and when it ended, milliseconds since 1970.
    pub compacted: Option<(u64, Compacted)>,
    /// The newest time that the store was verified since it was opened.
    pub verification: Option<Arc<Verification>>,
    /// How far verifying it has come, if that is under way.
    pub verifying: Option<Verifying>,
    /// Shots that wait for the committer.
    pub queued_shots: u64,
    /// Why no writes are taken, if none are.
    pub trouble: Option<String>,
}

impl Store {
    /// Bytes that the disk has left; `None` if it does not say.
    #[must_use]
    pub fn available_bytes(&self) -> Option<u64> {
        self.shared.platform.disk.available().ok()
    }

    /// The store at this moment.
    #[must_use]
    pub fn status(&self) -> Status {
        let checkpointed = lock(&self.shared.manifest).checkpoint().map_or(0, |checkpoint| checkpoint.position);
        let view = self.view();
        let mut status = Status {
            sequence: view.horizon.sequence,
            log_bytes: view.horizon.segments.bytes(),
            log_written_bytes: view.end - view.horizon.segments.begin(),
            log_to_read_bytes: view.end.saturating_sub(checkpointed.max(view.horizon.segments.begin())),
            log_segments: view.horizon.segments.count() as u64,
            queued_shots: self.shared.queue.depth() as u64,
            checkpoint_time_ms: self.shared.upkeep.checkpoint_time_ms(),
            compacted: self.shared.compactions.newest(),
            verification: self.shared.scrubs.newest(),
            verifying: self.shared.scrubs.under_way(),
            trouble: lock(&self.shared.trouble).clone(),
            ..Status::default()
        };
        let (mut adopted, mut departed) = (0, 0);
        for ledger in view.ledgers.iter() {
            status.ledgers += 1;
            status.tail_tickets += ledger.tail.ticket_count();
            let tail = ledger.tail.counts();
            status.shots += tail.shots;
            status.residents += tail.rows;
            status.orphans += tail.orphans;
            adopted += tail.adopted;
            departed += tail.departed;
            if let Some(generation) = &ledger.generation {
                let counters = generation.counters();
                status.residents += counters.rows;
                status.orphans += counters.orphans;
                status.shots += counters.shots;
                status.generations += 1;
                status.generation_bytes += generation.file_length();
            }
        }
        // Counted while the committer goes on: what was adopted a moment ago may not be counted as an orphan yet.
        status.orphans = status.orphans.saturating_sub(adopted);
        status.shots = status.shots.saturating_sub(departed);
        status
    }
}
