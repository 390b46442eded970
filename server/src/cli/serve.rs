//! `sesshu serve`: a store behind gRPC.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::hold::Hold;
use super::results::results;
use super::rules::RulesFile;
use super::target::KeyFile;
use super::upkeep::Upkeep;
use crate::failure::{Done, Failure};
use crate::{app, metrics};

/// Serve a store over gRPC until SIGTERM or SIGINT
///
/// Prints the bound address on standard output. There is neither TLS nor a notion of roles yet: whoever reaches the port may do everything.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The store's directory, made if it is not there
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// The address to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:50051")]
    listen: SocketAddr,
    /// Answer GET /metrics here, for Prometheus
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// Listen on an address that other machines can reach, without TLS and without roles
    #[arg(long)]
    insecure: bool,
    /// Threads that answer requests: more than cores, so that a page that is not in memory stalls one request and not all
    #[arg(long, value_name = "N", default_value_t = 8)]
    threads: usize,
    #[command(flatten)]
    hold: Hold,
    #[command(flatten)]
    upkeep: Upkeep,
    /// How long a load whose connection broke waits for its client
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    resume_seconds: u64,
    #[command(flatten)]
    rules: RulesFile,
    #[command(flatten)]
    key: KeyFile,
}

impl Serve {
    pub(super) fn run(self) -> Result<Done, Failure> {
        if let Some(address) = self.metrics.filter(|address| !address.ip().is_loopback() && !self.insecure) {
            return Err(app::ServeError::NotLoopback(address).into());
        }
        if self.metrics.is_some_and(|address| address.port() == 0) {
            return Err(Failure::Request("--metrics needs a port: Prometheus must know where to ask".into()));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(self.threads.max(1))
            .enable_all()
            .build()
            .map_err(|error| Failure::Machine(format!("starting threads: {error}")))?;
        runtime.block_on(async {
            // The port before the store: a port in use must not cost an open of a large store.
            let listener = app::listen(self.listen, self.insecure).await?;
            let store = Arc::new(self.key.open_to_serve(&self.store, &self.rules, self.upkeep.policies())?);
            if let Some(address) = self.metrics {
                metrics::serve(address, &store).map_err(app::ServeError::Metrics)?;
            }
            let address = listener.local_addr().map_err(|error| app::ServeError::Listen(self.listen, error))?;
            writeln!(results(), "listening on http://{address}")?;
            let found = store.opened().clone();
            tracing::info!(store = %self.store.display(), events = found.events, log = ?found.log, "open");
            let choices = app::Choices { hold: self.hold.policy(), resume: Duration::from_secs(self.resume_seconds) };
            app::run(store, listener, choices, app::asked_to_stop()).await?;
            tracing::info!("closed");
            Ok(Done::Whole)
        })
    }
}
