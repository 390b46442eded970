//! How far a command has come, for people: a bar on standard error, and only if that is a terminal.

use std::io::IsTerminal as _;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over `total` bytes of input; 0 if the total is not known.
#[must_use]
pub(super) fn bytes(total: u64, what: impl Into<String>) -> ProgressBar {
    bar(total, what, "{msg} {wide_bar} {bytes}/{total_bytes} {eta}")
}

/// A bar over `total` rows.
#[must_use]
pub(super) fn rows(total: u64, what: impl Into<String>) -> ProgressBar {
    bar(total, what, "{msg} {wide_bar} {human_pos}/{human_len} rows {eta}")
}

/// Room for several bars, one below the other.
#[must_use]
pub(super) fn several() -> MultiProgress {
    MultiProgress::with_draw_target(target())
}

fn bar(total: u64, what: impl Into<String>, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(total), target()).with_style(style).with_message(what.into())
}

fn target() -> ProgressDrawTarget {
    if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}
