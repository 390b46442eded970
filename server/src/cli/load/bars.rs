//! How far loading has come, for people: one bar over the bytes of all files, and one for each file under way.
//!
//! Owns the sums over all files. Bars are drawn on standard error, and only if that is a terminal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use indicatif::{MultiProgress, ProgressBar};

use crate::cli::{progress, table};

/// All bars of one command.
pub(super) struct Bars {
    bars: MultiProgress,
    /// If there is more than one file.
    all: Option<ProgressBar>,
    rows: AtomicU64,
    started: Instant,
}

/// The bar of one file under way; goes away when it is dropped.
pub(super) struct FileBar<'a> {
    bars: &'a Bars,
    bar: ProgressBar,
    bytes: u64,
    bytes_read: u64,
}

impl Bars {
    /// Bars for files of these sizes.
    pub(super) fn new(sizes: impl Iterator<Item = u64> + Clone) -> Bars {
        let bars = progress::several();
        let all = (sizes.clone().nth(1).is_some()).then(|| bars.add(progress::bytes(sizes.sum(), "")));
        Bars { bars, all, rows: AtomicU64::new(0), started: Instant::now() }
    }

    /// A bar for a file that is begun.
    pub(super) fn begin(&self, bytes: u64, what: impl Into<String>) -> FileBar<'_> {
        FileBar { bars: self, bar: self.bars.add(progress::bytes(bytes, what)), bytes, bytes_read: 0 }
    }

    /// Prints something while no bar is in its way.
    pub(super) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bars.suspend(print)
    }

    fn read(&self, bytes: u64, rows: u64) {
        let rows = self.rows.fetch_add(rows, Ordering::Relaxed) + rows;
        if let Some(all) = &self.all {
            all.inc(bytes);
            let rate = rows as f64 / self.started.elapsed().as_secs_f64();
            all.set_message(format!("{} rows, {} rows/s", table::count(rows), table::count(rate as u64)));
        }
    }
}

impl FileBar<'_> {
    /// The file has been read so far, and had so many rows since the last call.
    pub(super) fn read(&mut self, bytes_read: u64, rows: u64) {
        self.bar.set_position(bytes_read);
        self.bars.read(bytes_read.saturating_sub(self.bytes_read), rows);
        self.bytes_read = bytes_read;
    }
}

impl Drop for FileBar<'_> {
    fn drop(&mut self) {
        // Of a file that failed the rest is not to come.
        self.bars.read(self.bytes.saturating_sub(self.bytes_read), 0);
        self.bar.finish_and_clear();
        self.bars.bars.remove(&self.bar);
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        if let Some(all) = &self.all {
            all.finish_and_clear();
        }
    }
}
