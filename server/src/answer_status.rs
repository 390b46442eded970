//! What programs read of a store's status.
//!
//! Owns the field names and texts, as `answer` does of everything else.

use serde::Serialize;
use sesshu_proto::v1::StatusReply;

use crate::answer::time;
use crate::answer_compact::LedgerCompactionAnswer;
use crate::answer_snapshot::SnapshotAnswer;
use crate::answer_verify::{FindingAnswer, VerifySummaryAnswer};

/// What `status` says.
#[derive(Debug, Serialize)]
pub struct StatusAnswer {
    store_id: String,
    format_version: u32,
    version: String,
    sequence: u64,
    ledgers: u64,
    residents: u64,
    orphans: u64,
    shots: u64,
    tail_tickets: u64,
    generation_bytes: u64,
    log_bytes: u64,
    log_written_bytes: u64,
    available_bytes: u64,
    log_to_read_bytes: u64,
    log_segments: u64,
    writable: bool,
    not_writable_reason: Option<String>,
    opened: String,
    torn_bytes: u64,
    snapshots: Vec<SnapshotAnswer>,
    generations: u64,
    checkpoint_time: Option<String>,
    compacted_at: Option<String>,
    compaction: Option<LedgerCompactionAnswer>,
    verified_at: Option<String>,
    verify_milliseconds: Option<u64>,
    verified: Option<VerifySummaryAnswer>,
    findings: Vec<FindingAnswer>,
    verifying: Option<VerifyingAnswer>,
}

/// How far verifying a store has come.
#[derive(Debug, Serialize)]
pub struct VerifyingAnswer {
    bytes: u64,
    bytes_expected: u64,
}

impl From<StatusReply> for StatusAnswer {
    fn from(reply: StatusReply) -> StatusAnswer {
        let when = |at_ms: u64| (at_ms != 0).then(|| time(at_ms));
        StatusAnswer {
            store_id: reply.store_id,
            format_version: reply.format_version,
            version: reply.version,
            sequence: reply.sequence,
            ledgers: reply.ledgers,
            residents: reply.residents,
            orphans: reply.orphans,
            shots: reply.shots,
            tail_tickets: reply.tail_tickets,
            generation_bytes: reply.generation_bytes,
            log_bytes: reply.log_bytes,
            log_written_bytes: reply.log_written_bytes,
            available_bytes: reply.available_bytes,
            log_to_read_bytes: reply.log_to_read_bytes,
            log_segments: reply.log_segments,
            writable: reply.writable,
            not_writable_reason: (!reply.not_writable_reason.is_empty()).then_some(reply.not_writable_reason),
            opened: reply.opened,
            torn_bytes: reply.torn_bytes,
            snapshots: reply.snapshots.into_iter().map(SnapshotAnswer::from).collect(),
            generations: reply.generations,
            checkpoint_time: when(reply.checkpoint_time),
            compacted_at: when(reply.compacted_at),
            compaction: reply.compaction.map(|ledger| LedgerCompactionAnswer::new(ledger, false)),
            verified_at: when(reply.verified_at),
            verify_milliseconds: reply.verified.as_ref().map(|_| reply.verify_milliseconds),
            verified: reply.verified.map(VerifySummaryAnswer::from),
            findings: reply.findings.into_iter().map(FindingAnswer::from).collect(),
            verifying: reply.verifying.map(|it| VerifyingAnswer { bytes: it.bytes, bytes_expected: it.bytes_expected }),
        }
    }
}
