//! Telling the caller how far writing has come, without slowing it down.
//!
//! Owns one thread's count of rows, over all files that it writes. What it has counted it sends every 16,384 rows and at its end to the caller's thread,
//! which adds up: the caller's function need not be fit for other threads.

use std::sync::mpsc::Sender;

const ROWS_BETWEEN_MESSAGES: u64 = 1 << 14;

pub(super) struct Progress {
    rows: u64,
    listener: Sender<u64>,
}

impl Progress {
    pub(super) fn new(listener: Sender<u64>) -> Progress {
        Progress { rows: 0, listener }
    }

    pub(super) fn row_written(&mut self) {
        self.rows += 1;
        if self.rows == ROWS_BETWEEN_MESSAGES {
            self.send();
        }
    }

    fn send(&mut self) {
        // Whoever does not listen any more has no use for a count.
        let _ = self.listener.send(std::mem::take(&mut self.rows));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.send();
    }
}
