//! What the demo times. Short runs on a warm machine: the benches are the place for figures to compare.

use std::fmt;
use std::hint::black_box;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use sesshu_engine::Store;
use sesshu_engine::intake::ShotRecord;
use sesshu_engine::ticket::Ticket;
use sesshu_proto::v1::MatchRequest;
use sesshu_proto::v1::match_request::Ticket as MatchTicket;
use sesshu_proto::v1::matching_client::MatchingClient;
use sesshu_proto::v1::shot_log_client::ShotLogClient;

use super::server::Server;
use crate::client::{ClientError, record_request};
use crate::failure::Failure;

/// Times of one kind, in nanoseconds.
pub(super) struct Latency(Histogram<u64>);

impl Latency {
    pub(super) fn new() -> Latency {
        Latency(Histogram::new(3).expect("three significant digits are allowed"))
    }

    pub(super) fn add(&mut self, elapsed: Duration) {
        let nanoseconds = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        self.0.record(nanoseconds).expect("the histogram grows with its values");
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::json!({"p50": self.0.value_at_quantile(0.5), "p99": self.0.value_at_quantile(0.99)})
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = |quantile| self.0.value_at_quantile(quantile) as f64 / 1e3;
        write!(f, "{:.2} / {:.2} µs", us(0.5), us(0.99))
    }
}

/// One match at a time, with the clock read around each: some 30 ns of each figure are the clock's.
pub(super) fn engine_match(store: &Store, tickets: &[Ticket]) -> Latency {
    let mut latency = Latency::new();
    for &ticket in tickets {
        let started = Instant::now();
        let view = store.view();
        black_box(view.match_ticket(black_box(ticket)));
        latency.add(started.elapsed());
    }
    latency
}

/// Writes 4 KiB and syncs, again and again, in a file that was written before: the least that an acknowledgement can cost.
pub(super) fn bare_sync(directory: &Path) -> io::Result<Latency> {
    const BLOCK: usize = 4096;
    const TIMES: u64 = 500;
    let path = directory.join("bare-sync");
    let file = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    file.write_all_at(&vec![0; BLOCK * TIMES as usize], 0)?;
    file.sync_all()?;
    let mut latency = Latency::new();
    for at in 0..TIMES {
        let started = Instant::now();
        file.write_all_at(&[1; BLOCK], at * BLOCK as u64)?;
        file.sync_data()?;
        latency.add(started.elapsed());
    }
    std::fs::remove_file(path)?;
    Ok(latency)
}

/// One unary match at a time.
pub(super) fn grpc_match(server: &Server, tickets: &[Ticket]) -> Result<Latency, Failure> {
    block_on(async {
        let mut client = MatchingClient::connect(server.url().to_owned()).await.map_err(connect(server))?;
        let mut latency = Latency::new();
        for ticket in tickets.iter().take(10_000) {
            // Kind 2, dose 1: hints that a match does not look at.
            let line = 21 * 10_u64.pow(16) + ticket.to_decimal();
            let started = Instant::now();
            black_box(
                client.r#match(MatchRequest { ticket: Some(MatchTicket::Line(line)), ..MatchRequest::default() }).await,
            )
            .map_err(status)?;
            latency.add(started.elapsed());
        }
        Ok(latency)
    })
}

/// One unary record at a time.
pub(super) fn grpc_record(server: &Server, shots: &[ShotRecord]) -> Result<Latency, Failure> {
    block_on(async {
        let mut client = ShotLogClient::connect(server.url().to_owned()).await.map_err(connect(server))?;
        let mut latency = Latency::new();
        for shot in shots {
            let started = Instant::now();
            client.record(record_request(shot)).await.map_err(status)?;
            latency.add(started.elapsed());
        }
        Ok(latency)
    })
}

/// Runs a client on a runtime of its own.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::Machine(format!("starting a client: {error}")))?.block_on(work)
}

pub(super) fn connect(server: &Server) -> impl FnOnce(tonic::transport::Error) -> Failure {
    let url = server.url().to_owned();
    move |source| ClientError::Connect { url, source }.into()
}

fn status(status: tonic::Status) -> Failure {
    ClientError::from(status).into()
}
