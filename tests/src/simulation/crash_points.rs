//! Every operation is a crash point: small workloads are ended after every single one, in every way, and so is every recovery.

use sesshu_engine::disk::Unsynced;

use super::workload::{End, Fate, Workload};
use super::{Failed, Ran, run};

/// In which ways a program ends at every operation.
fn fates(salt: u64) -> [Fate; 6] {
    let torn = |number| Fate::Cut(Unsynced::Torn(salt.wrapping_mul(31) + number));
    [Fate::Killed, Fate::KilledEvicted, Fate::Cut(Unsynced::Lost), Fate::Cut(Unsynced::Zeros), torn(1), torn(2)]
}

/// A workload that failed, with its ends.
pub type FailedAt = Box<(Workload, Failed)>;

fn run_with(workload: &Workload, ends: Vec<End>, sum: &mut Ran) -> Result<Ran, FailedAt> {
    let workload = Workload { ends, ..workload.clone() };
    let ran = run(&workload).map_err(|failed| Box::new((workload, failed)))?;
    sum.add(&ran);
    Ok(ran)
}

/// Runs the workload once for every operation and fate. Returns how many runs that were, and what came to happen.
///
/// # Errors
///
/// The first run that failed.
pub fn crash_everywhere(workload: &Workload) -> Result<(u64, Ran), FailedAt> {
    let mut sum = Ran::default();
    let mut runs = 0;
    for after in 0.. {
        let mut reached = false;
        for fate in fates(after) {
            reached = run_with(workload, vec![End { after, fate }], &mut sum)?.stopped > 0;
            runs += 1;
        }
        if !reached {
            return Ok((runs, sum));
        }
    }
    unreachable!("a workload has an end")
}

/// Ends the workload after every `stride`-th operation, and every recovery from that after each of its own.
///
/// # Errors
///
/// The first run that failed.
pub fn crash_in_every_recovery(workload: &Workload, stride: u64) -> Result<(u64, Ran), FailedAt> {
    let mut sum = Ran::default();
    let mut runs = 0;
    for after in (workload.seed % stride..).step_by(stride as usize) {
        for again in 0.. {
            let all = fates(after + again);
            let first = End { after, fate: all[(after % 6) as usize] };
            let second = End { after: again, fate: all[((after + again) % 6) as usize] };
            let ran = run_with(workload, vec![first, second], &mut sum)?;
            runs += 1;
            if ran.stopped == 0 {
                return Ok((runs, sum));
            }
            if ran.ended_recoveries == 0 {
                break;
            }
        }
    }
    unreachable!("a workload has an end")
}
