//! Work that must not be faster than somebody allows.

use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// Whoever wants the work stopped waits so long at most.
const PATIENCE: Duration = Duration::from_millis(50);

/// Waits until `bytes` are due since the start, if at most `limit` a second may be done. `go_on` is asked meanwhile.
pub(super) fn keep(
    limit: Option<NonZeroU64>,
    started: Instant,
    bytes: u64,
    go_on: &mut dyn FnMut() -> ControlFlow<()>,
) -> ControlFlow<()> {
    let Some(limit) = limit else { return ControlFlow::Continue(()) };
    let due = Duration::from_secs_f64(bytes as f64 / limit.get() as f64);
    loop {
        let ahead = due.saturating_sub(started.elapsed());
        if ahead.is_zero() {
            return ControlFlow::Continue(());
        }
        std::thread::sleep(ahead.min(PATIENCE));
        go_on()?;
    }
}
