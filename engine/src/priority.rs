//! Which thread goes first when there are more than processors.
//!
//! Owns what the kernel is told of a thread: that its work may wait, or that it has little to do and others wait for it. Both are hints; where the machine
//! refuses, nothing changes. `docs/decisions/0012` has what they are worth.

use std::time::Duration;

/// The nice value of a thread that gives way: beside a thread that does not, it has a twenty-eighth of the time.
const GIVING_WAY: i32 = 15;

/// The turn that a thread on the way of a commit asks for; the shortest that the kernel grants. A thread that wakes interrupts one with longer turns, and whoever
/// does not ask has one of 1 to 3 ms.
const SHORT_TURN: Duration = Duration::from_micros(100);

/// Lets other threads go first for as long as this one lives: its work may wait, and a shot may not.
pub fn give_way() {
    // The interpreter has one priority for all.
    if cfg!(miri) {
        return;
    }
    // Of no process but the caller, which for the kernel is this thread.
    let _ = rustix::process::setpriority_process(None, GIVING_WAY);
    // Whoever wakes meanwhile waits for the end of a turn at most.
    take_short_turns();
}

/// Lets this thread interrupt others as soon as it has something to do: it never does much at once.
pub(crate) fn take_short_turns() {
    if cfg!(miri) {
        return;
    }
    let Ok(nice) = rustix::process::getpriority_process(None) else { return };
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: 0,
        sched_flags: libc::SCHED_FLAG_KEEP_POLICY as u64,
        sched_nice: nice,
        sched_priority: 0,
        sched_runtime: SHORT_TURN.as_nanos() as u64,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel reads `size` bytes behind the pointer, which are a whole `sched_attr`, and nothing of it after the call. Zero is this thread.
    let _ = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel says of this thread; `None` where it does not say.
    fn told(name: &str) -> Option<i64> {
        let text = std::fs::read_to_string("/proc/thread-self/sched").ok()?;
        let (_, value) = text.lines().find_map(|line| line.split_once(':').filter(|(it, _)| it.trim() == name))?;
        Some(value.trim().parse().expect("a number"))
    }

    #[test]
    #[cfg_attr(miri, ignore = "it has no such kernel")]
    fn the_kernel_takes_both_hints_of_one_thread_alone() {
        let before = told("prio");
        let (giving, hurrying) = std::thread::scope(|scope| {
            let giving = scope.spawn(|| {
                give_way();
                told("prio")
            });
            let hurrying = scope.spawn(|| {
                take_short_turns();
                (told("se.slice"), told("prio"))
            });
            (giving.join().expect("no panic"), hurrying.join().expect("no panic"))
        });
        // The kernel's own scale: 120 is a nice value of 0.
        assert_eq!(giving, before.map(|_| 120 + i64::from(GIVING_WAY)));
        assert!(hurrying.0.is_none_or(|slice| slice == SHORT_TURN.as_nanos() as i64), "{hurrying:?}");
        assert_eq!((hurrying.1, told("prio")), (before, before));
    }
}
