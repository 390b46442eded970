//! Standard output of commands that change something: whoever stops reading stops no work.
//!
//! A command that only reads may end when its reader has gone (`sesshu ledger … | head`). One that loads or records must not end half way and say that it
//! is done, so here a closed pipe swallows the results and the work goes on. Other failures, a full disk among them, are failures.

use std::io::{self, StdoutLock, Write};

/// Standard output, or nothing once it is closed.
pub(super) struct Results(StdoutLock<'static>);

/// Standard output of a command that changes something.
#[must_use]
pub(super) fn results() -> Results {
    Results(io::stdout().lock())
}

impl Write for Results {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        unless_closed(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        unless_closed(self.0.flush(), ())
    }
}

fn unless_closed<T>(written: io::Result<T>, instead: T) -> io::Result<T> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(instead),
        written => written,
    }
}
