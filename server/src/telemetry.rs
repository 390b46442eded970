//! Log lines.
//!
//! Owns their form and place: standard error, so that standard output holds results alone. `SESSHU_LOG` chooses how much (`info`, `sesshu_engine=debug`, …).

use tracing_subscriber::EnvFilter;

/// Starts to print log lines at `level` and above, unless `SESSHU_LOG` says otherwise.
pub fn start(level: &str) {
    let filter = EnvFilter::try_from_env("SESSHU_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
}
