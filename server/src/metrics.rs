//! What the server counts and times, for Prometheus.
//!
//! Owns the names. No label and no value tells of a person: labels are outcomes and kinds of warning, and nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use sesshu_engine::{CommitStatistics, LoadOutcome, LoadReport, Store};
use sesshu_proto::v1::{AmendReply, FindReply, MatchReply, RecordReply};

use crate::reply::is_new;

const MATCHES: &str = "sesshu_matches_total";
const FINDS: &str = "sesshu_finds_total";
const FOUND: &str = "sesshu_found_people_total";
const RECORDS: &str = "sesshu_records_total";
const AMENDS: &str = "sesshu_amends_total";
const RECORD_WARNINGS: &str = "sesshu_record_warnings_total";
const RECORD_SECONDS: &str = "sesshu_record_seconds";
const LOADS: &str = "sesshu_loads_total";
const LOADS_HELD: &str = "sesshu_loads_held_total";
const LOADED_ROWS: &str = "sesshu_loaded_rows_total";
const SEQUENCE: &str = "sesshu_sequence";
const RESIDENTS: &str = "sesshu_residents";
const SHOTS: &str = "sesshu_shots";
const ORPHANS: &str = "sesshu_orphans";
const TAIL_TICKETS: &str = "sesshu_tail_tickets";
const QUEUED_SHOTS: &str = "sesshu_queued_shots";
const LOG_BYTES: &str = "sesshu_log_bytes";
const GENERATION_BYTES: &str = "sesshu_generation_bytes";
const WRITABLE: &str = "sesshu_writable";
const VERIFIED_SECONDS: &str = "sesshu_verified_timestamp_seconds";
const FINDINGS: &str = "sesshu_findings";
const COMMIT_SYNC_SECONDS: &str = "sesshu_commit_sync_seconds";
const COMMIT_SECONDS: &str = "sesshu_commit_seconds";
const COMMIT_BATCH_SHOTS: &str = "sesshu_commit_batch_shots";
const COMMIT_QUEUE_SHOTS: &str = "sesshu_commit_queue_shots";

/// Starts to answer `GET /metrics` on `address`, on the runtime that calls it.
///
/// # Errors
///
/// A text that says why the endpoint cannot be had.
pub fn serve(address: SocketAddr, store: &Arc<Store>) -> Result<(), String> {
    PrometheusBuilder::new()
        .with_http_listener(address)
        .set_buckets(&[100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 50e-3, 100e-3, 1.0])
        .and_then(|builder| {
            let shots = Matcher::Suffix("_shots".to_owned());
            builder.set_buckets_for_metric(shots, &[0.0, 1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0])
        })
        .and_then(PrometheusBuilder::install)
        .map_err(|error| format!("the metrics endpoint {address}: {error}"))?;
    describe_counter!(MATCHES, "Tickets looked up, by outcome");
    describe_counter!(RECORD_WARNINGS, "Warnings of shots that were recorded, by kind");
    describe_counter!(FINDS, "Questions for people whose ticket is not at hand that were answered");
    describe_counter!(FOUND, "People in the answers");
    describe_counter!(RECORDS, "Shots handed in, by outcome");
    describe_histogram!(RECORD_SECONDS, "From a request to record shots to its answer, in seconds");
    describe_counter!(LOADS, "Registers loaded");
    describe_counter!(AMENDS, "Acts on recorded shots, by outcome");
    describe_counter!(LOADS_HELD, "Registers that wait for a confirmation, when they began to");
    describe_counter!(LOADED_ROWS, "Register rows that became visible");
    describe_gauge!(SEQUENCE, "The newest visible event");
    describe_gauge!(RESIDENTS, "Register rows");
    describe_gauge!(SHOTS, "Shots");
    describe_gauge!(ORPHANS, "Tickets with shots and without a register row");
    describe_gauge!(TAIL_TICKETS, "Tickets with events that no generation folds");
    describe_gauge!(QUEUED_SHOTS, "Shots that wait for the committer");
    describe_gauge!(LOG_BYTES, "Bytes of the log that are written");
    describe_gauge!(GENERATION_BYTES, "Bytes of the generations");
    describe_gauge!(WRITABLE, "1 if the store takes writes");
    describe_gauge!(VERIFIED_SECONDS, "When the store was verified last, in seconds since 1970");
    describe_gauge!(FINDINGS, "What was found wrong then");
    describe_histogram!(COMMIT_SYNC_SECONDS, "From sealing a batch of the log to its sync's return, in seconds");
    describe_histogram!(COMMIT_SECONDS, "From handing shots to the engine to their answer, in seconds");
    describe_histogram!(COMMIT_BATCH_SHOTS, "Shots that one batch of the log added");
    describe_histogram!(COMMIT_QUEUE_SHOTS, "Shots that waited when a batch became visible");
    let store = Arc::downgrade(store);
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        let mut told = CommitStatistics::default();
        loop {
            tick.tick().await;
            let Some(store) = store.upgrade() else { return };
            gauges(&store);
            let now = store.commit_statistics();
            commits(&now, &told);
            told = now;
        }
    });
    Ok(())
}

fn gauges(store: &Store) {
    let status = store.status();
    gauge!(SEQUENCE).set(status.sequence as f64);
    gauge!(RESIDENTS).set(status.residents as f64);
    gauge!(SHOTS).set(status.shots as f64);
    gauge!(ORPHANS).set(status.orphans as f64);
    gauge!(TAIL_TICKETS).set(status.tail_tickets as f64);
    gauge!(QUEUED_SHOTS).set(status.queued_shots as f64);
    gauge!(LOG_BYTES).set(status.log_written_bytes as f64);
    gauge!(GENERATION_BYTES).set(status.generation_bytes as f64);
    gauge!(WRITABLE).set(if status.trouble.is_none() { 1.0 } else { 0.0 });
    if let Some(verification) = &status.verification {
        gauge!(VERIFIED_SECONDS).set(verification.at_ms as f64 * 1e-3);
        gauge!(FINDINGS).set(verification.verified.findings.len() as f64);
    }
}

/// Tells of the commits since the last time.
fn commits(now: &CommitStatistics, told: &CommitStatistics) {
    let tell = |name: &'static str, unit: f64, now: &Histogram<u64>, told: &Histogram<u64>| {
        for value in now.iter_recorded() {
            let value = value.value_iterated_to();
            let count = now.count_at(value) - told.count_at(value);
            histogram!(name).record_many(value as f64 * unit, count as usize);
        }
    };
    tell(COMMIT_SYNC_SECONDS, 1e-6, &now.sync_us, &told.sync_us);
    tell(COMMIT_SECONDS, 1e-6, &now.acknowledge_us, &told.acknowledge_us);
    tell(COMMIT_BATCH_SHOTS, 1.0, &now.batch_shots, &told.batch_shots);
    tell(COMMIT_QUEUE_SHOTS, 1.0, &now.queue_shots, &told.queue_shots);
}

/// Tickets were looked up.
pub fn matched(replies: &[MatchReply]) {
    for reply in replies {
        counter!(MATCHES, "outcome" => reply.outcome().as_str_name()).increment(1);
    }
}

/// People were looked for.
pub fn found(reply: &FindReply) {
    counter!(FINDS).increment(1);
    counter!(FOUND).increment(reply.people.len() as u64);
}

/// Shots were handed in and answered after `elapsed`.
pub fn recorded(replies: &[RecordReply], elapsed: Duration) {
    for reply in replies {
        counter!(RECORDS, "outcome" => reply.outcome().as_str_name()).increment(1);
        if is_new(reply.outcome()) {
            for warning in &reply.warnings {
                counter!(RECORD_WARNINGS, "kind" => warning.kind().as_str_name()).increment(1);
            }
        }
    }
    histogram!(RECORD_SECONDS).record(elapsed.as_secs_f64());
}

/// Acts on recorded shots were answered.
pub fn amended(replies: &[AmendReply]) {
    for reply in replies {
        counter!(AMENDS, "outcome" => reply.outcome().as_str_name()).increment(1);
    }
}

/// A load was concluded.
pub fn concluded(concluded: &LoadOutcome) {
    match concluded {
        LoadOutcome::Loaded(report) => loaded(report),
        LoadOutcome::Held(..) => counter!(LOADS_HELD).increment(1),
        LoadOutcome::Shown(..) => {}
    }
}

/// A register was loaded, or a held one confirmed.
pub fn loaded(report: &LoadReport) {
    counter!(LOADS).increment(1);
    counter!(LOADED_ROWS).increment(report.accepted);
}
