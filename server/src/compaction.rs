//! Compacting ledgers one after another, for the command and for the server.
//!
//! Owns the order of it: a plan, each ledger with its progress, the log's old end, a summary. A ledger that cannot be compacted now is left alone and told with its
//! reason; the others go on. What keeps the store from writing ends it.

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::ops::ControlFlow;

use sesshu_engine::error::{CompactError, LoadError, OpenError};
use sesshu_engine::ticket::Municipality;
use sesshu_engine::{Compacted, CompactionForecast, Store};
use sesshu_proto::v1::compact_reply::What;
use sesshu_proto::v1::{
    CompactReply, CompactRequest, CompactionPlan, CompactionProgress, CompactionSummary, LedgerCompaction,
};

/// Why compacting ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum CompactionError {
    /// The request is at fault.
    #[error("{0}")]
    Invalid(String),
    /// Nothing can be compacted now.
    #[error(transparent)]
    Ledger(#[from] CompactError),
    /// The ledgers are compacted; what nothing needs any more stays on the disk for now.
    #[error("the ledgers are compacted, but the log could not be shortened")]
    Checkpoint(#[source] OpenError),
}

/// Does what a request asks for; `tell` hears of everything, and ends it.
///
/// # Errors
///
/// [`CompactionError`]; ledgers that were told of stay compacted.
pub fn compact(
    store: &Store,
    request: &CompactRequest,
    tell: &mut (dyn FnMut(CompactReply) -> ControlFlow<()> + Send),
) -> Result<(), CompactionError> {
    let wanted: Result<BTreeSet<u32>, _> =
        request.municipalities.iter().map(|&code| Municipality::from_code(code).map(Municipality::code)).collect();
    let wanted = wanted.map_err(|error| CompactionError::Invalid(error.to_string()))?;
    let mut forecasts = store.compaction_forecast();
    forecasts.retain(|it| wanted.is_empty() || wanted.contains(&it.municipality.code()));
    let mut tell = |what| tell(CompactReply { what: Some(what) });
    let before = store.status();
    let plan = CompactionPlan {
        ledgers: forecasts.iter().map(of_forecast).collect(),
        bytes_needed: forecasts.iter().map(|it| it.bytes_needed).max().unwrap_or(0),
        bytes_available: store.available_bytes().unwrap_or(0),
    };
    if tell(What::Plan(plan)).is_break() || request.dry_run {
        return Ok(());
    }

    let limit = NonZeroU64::new(request.bytes_per_second);
    let mut summary = CompactionSummary { log_bytes_before: before.log_bytes, ..CompactionSummary::default() };
    for forecast in &forecasts {
        let municipality = forecast.municipality;
        let done = store.compact(municipality, limit, &mut |progress| {
            tell(What::Progress(CompactionProgress {
                municipality: municipality.code(),
                bytes: progress.bytes,
                bytes_expected: progress.bytes_expected,
            }))
        });
        let ledger = match done {
            Ok(Some(done)) => {
                summary.compacted += 1;
                summary.events += done.events;
                summary.bytes_before += done.bytes_before;
                summary.bytes_after += done.bytes_after;
                of_compacted(&done)
            }
            // A register was loaded since.
            Ok(None) => continue,
            Err(CompactError::Build(LoadError::Stopped(_))) => return Ok(()),
            Err(error) if leaves_the_others(&error) => {
                summary.left_alone += 1;
                LedgerCompaction { reason: crate::status::chain(&error), ..of_forecast(forecast) }
            }
            Err(error) => return Err(error.into()),
        };
        if tell(What::Ledger(ledger)).is_break() {
            return Ok(());
        }
    }
    store.checkpoint().map_err(CompactionError::Checkpoint)?;
    summary.log_bytes_after = store.status().log_bytes;
    // Whoever has gone needs no summary.
    let _ = tell(What::Summary(summary));
    Ok(())
}

/// Whether the reason is the ledger's own.
fn leaves_the_others(error: &CompactError) -> bool {
    match error {
        CompactError::Held(_) | CompactError::NoRoom { .. } => true,
        CompactError::Build(error) => {
            matches!(error, LoadError::UnderWay(_) | LoadError::Damaged(_) | LoadError::TooLarge(_) | LoadError::Key(_))
        }
    }
}

fn of_forecast(forecast: &CompactionForecast) -> LedgerCompaction {
    LedgerCompaction {
        municipality: forecast.municipality.code(),
        events: forecast.events,
        tickets: forecast.tickets,
        bytes_before: forecast.bytes_before,
        bytes_after: forecast.bytes_after,
        reason: forecast.held.map_or(String::new(), |held| CompactError::Held(held).to_string()),
        ..LedgerCompaction::default()
    }
}

/// What compacting a ledger did, as it travels.
pub(crate) fn of_compacted(done: &Compacted) -> LedgerCompaction {
    LedgerCompaction {
        municipality: done.municipality.code(),
        events: done.events,
        tickets: done.tickets,
        bytes_before: done.bytes_before,
        bytes_after: done.bytes_after,
        generation: done.generation,
        sequence: done.sequence,
        reason: String::new(),
    }
}
