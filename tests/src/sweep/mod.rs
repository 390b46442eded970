//! The damage sweep: whatever happens to a byte or a file of a small store, no answer is wrong in silence (I4, I6, I8).
//!
//! | file | owns |
//! |---|---|
//! | `everything` | all that can be asked of a store, and when two answers to it are as good as each other |
//! | `subject` | the store that is damaged, closed or killed, and what it was before |
//! | `harm` | what is done to its files |
//! | `workbench` | a copy of it that is damaged and restored thousands of times |
//! | `verdict` | what must come of a harm |
//! | `table` | how often it came to what |
//!
//! What a trial does is a function of the seed and of the harm, not of the threads that share the work.

mod everything;
mod harm;
mod subject;
mod table;
mod verdict;
mod workbench;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

pub use harm::Choice;
pub use subject::{Ending, Subject};
pub use table::{Outcome, Table};
use workbench::Workbench;

/// Trials that a thread takes at once.
const PORTION: usize = 256;

/// What a sweep came to.
pub struct Swept {
    /// How often which harm came to what.
    pub table: Table,
    /// Trials that broke a rule, in words.
    pub violations: Vec<String>,
}

/// Damages `subject` in every way of `choice`, with all processors, and calls `progress` now and then with how many trials are done, and of how many.
pub fn sweep(subject: &Subject, choice: &Choice, progress: &(dyn Fn(usize, usize) + Sync)) -> Swept {
    let plan = harm::plan(subject, choice);
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let swept = Mutex::new(Swept { table: Table::default(), violations: Vec::new() });
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut bench = Workbench::of(subject);
                let (mut table, mut violations) = (Table::default(), Vec::new());
                loop {
                    let from = next.fetch_add(PORTION, Ordering::Relaxed);
                    if from >= plan.count() {
                        break;
                    }
                    let to = plan.count().min(from + PORTION);
                    for trial in from..to {
                        let harm = plan.harm(trial);
                        match verdict::of(&mut bench, subject, &harm, choice, trial) {
                            Ok(outcome) => table.add(&harm, outcome),
                            Err(violation) => violations.push(format!("{}: {harm}: {violation}", subject.name())),
                        }
                    }
                    progress(done.fetch_add(to - from, Ordering::Relaxed) + to - from, plan.count());
                }
                let mut swept = swept.lock().unwrap_or_else(PoisonError::into_inner);
                swept.table.merge(&table);
                swept.violations.extend(violations);
            });
        }
    });
    swept.into_inner().unwrap_or_else(PoisonError::into_inner)
}
