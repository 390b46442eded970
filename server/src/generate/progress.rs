//! Telling the caller how far writing has come, without slowing it down.
//!
//! Owns the count of rows over all files of a plan. The caller's function hears the count every 65,536 rows and once at
//! the end; what it does with it, a bar or a log line, is its own business.

const ROWS_BETWEEN_CALLS: u64 = 1 << 16;

pub(super) struct Progress<'a> {
    rows_written: u64,
    listener: &'a mut dyn FnMut(u64),
}

impl<'a> Progress<'a> {
    pub(super) fn new(listener: &'a mut dyn FnMut(u64)) -> Progress<'a> {
        Progress { rows_written: 0, listener }
    }

    pub(super) fn row_written(&mut self) {
        self.rows_written += 1;
        if self.rows_written.is_multiple_of(ROWS_BETWEEN_CALLS) {
            (self.listener)(self.rows_written);
        }
    }

    /// The last call, with all rows.
    pub(super) fn finished(self) {
        (self.listener)(self.rows_written);
    }
}
