//! What programs read of compactions.
//!
//! Owns the field names and texts, as `answer` does of everything else.

use serde::Serialize;
use sesshu_proto::v1::{CompactionPlan, CompactionSummary, LedgerCompaction};

/// What `compact` says of a ledger.
#[derive(Debug, Serialize)]
pub struct LedgerCompactionAnswer {
    /// Six digits.
    pub municipality: String,
    /// `planned`, `compacted` or `left_alone`.
    pub outcome: &'static str,
    /// Events that are folded.
    pub events: u64,
    /// Tickets that they are about.
    pub tickets: u64,
    /// Bytes of the generation before.
    pub bytes_before: u64,
    /// Bytes of the next one; but for `compacted`, as far as can be said.
    pub bytes_after: u64,
    /// The ledger's generation now, if it was compacted.
    pub generation: Option<u64>,
    /// The event that made it so.
    pub sequence: Option<u64>,
    /// Why the ledger is left alone.
    pub reason: Option<String>,
}

impl LedgerCompactionAnswer {
    /// A ledger of a plan, or of its carrying out.
    #[must_use]
    pub fn new(ledger: LedgerCompaction, planned: bool) -> LedgerCompactionAnswer {
        let outcome = match (ledger.generation, planned) {
            (0, true) => "planned",
            (0, false) => "left_alone",
            _ => "compacted",
        };
        let some = |number: u64| Some(number).filter(|&number| number != 0);
        LedgerCompactionAnswer {
            municipality: format!("{:06}", ledger.municipality),
            outcome,
            events: ledger.events,
            tickets: ledger.tickets,
            bytes_before: ledger.bytes_before,
            bytes_after: ledger.bytes_after,
            generation: some(ledger.generation),
            sequence: some(ledger.sequence),
            reason: Some(ledger.reason).filter(|reason| !reason.is_empty()),
        }
    }
}

/// What `compact --dry-run` says at its end.
#[derive(Debug, Serialize)]
pub struct CompactionPlanAnswer {
    /// Ledgers that would be compacted or left alone.
    pub ledgers: usize,
    /// Bytes that the disk must have for a while.
    pub bytes_needed: u64,
    /// Bytes that it has.
    pub bytes_available: u64,
}

impl CompactionPlanAnswer {
    /// Of a plan.
    #[must_use]
    pub fn new(plan: &CompactionPlan) -> CompactionPlanAnswer {
        CompactionPlanAnswer {
            ledgers: plan.ledgers.len(),
            bytes_needed: plan.bytes_needed,
            bytes_available: plan.bytes_available,
        }
    }
}

/// What `compact` says at its end.
#[derive(Debug, Serialize)]
pub struct CompactionSummaryAnswer {
    /// Ledgers.
    pub compacted: u64,
    /// Ledgers.
    pub left_alone: u64,
    /// Events that were folded.
    pub events: u64,
    /// Bytes of the compacted ledgers' generations before.
    pub bytes_before: u64,
    /// And after.
    pub bytes_after: u64,
    /// Bytes of the log's segments before.
    pub log_bytes_before: u64,
    /// And after.
    pub log_bytes_after: u64,
}

impl From<CompactionSummary> for CompactionSummaryAnswer {
    fn from(summary: CompactionSummary) -> CompactionSummaryAnswer {
        CompactionSummaryAnswer {
            compacted: summary.compacted,
            left_alone: summary.left_alone,
            events: summary.events,
            bytes_before: summary.bytes_before,
            bytes_after: summary.bytes_after,
            log_bytes_before: summary.log_bytes_before,
            log_bytes_after: summary.log_bytes_after,
        }
    }
}
