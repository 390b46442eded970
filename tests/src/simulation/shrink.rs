//! Shrinking: the smallest workload that fails the same way.
//!
//! Steps and ends are left out, in halves, quarters and one by one, then numbers are made smaller, until nothing more can go.

use std::time::{Duration, Instant};

use super::workload::{Acting, Naming, Register, Step, Workload};
use super::{Failed, run_twice};

/// Shrinks a workload that failed, for so long at most. Returns the smallest one that fails the same property, and how it fails.
#[must_use]
pub fn shrink(workload: &Workload, failed: Failed, patience: Duration) -> (Workload, Failed) {
    let begun = Instant::now();
    let mut best = (workload.clone(), failed);
    let try_one = |candidate: Workload, best: &mut (Workload, Failed)| {
        if candidate == best.0 || begun.elapsed() > patience {
            return false;
        }
        match run_twice(&candidate) {
            Err(failed) if failed.failure.property == best.1.failure.property => {
                *best = (candidate, failed);
                true
            }
            _ => false,
        }
    };
    loop {
        let before = best.0.clone();
        let mut part = best.0.steps.len().div_ceil(2);
        while part > 0 {
            let mut at = 0;
            while at < best.0.steps.len() {
                let mut candidate = best.0.clone();
                candidate.steps.drain(at..(at + part).min(candidate.steps.len()));
                if !try_one(candidate, &mut best) {
                    at += part;
                }
            }
            part /= 2;
        }
        for at in (0..best.0.ends.len()).rev() {
            let mut candidate = best.0.clone();
            candidate.ends.remove(at);
            try_one(candidate, &mut best);
        }
        for at in 0..best.0.steps.len() {
            // Each step is made smaller as often as it can be.
            while smaller(&best.0.steps[at]).into_iter().any(|step| {
                let mut candidate = best.0.clone();
                candidate.steps[at] = step;
                try_one(candidate, &mut best)
            }) {}
        }
        if best.0 == before || begun.elapsed() > patience {
            return best;
        }
    }
}

/// What is tried in place of a step.
fn smaller(step: &Step) -> Vec<Step> {
    match step {
        Step::Record(offered) if offered.len() > 1 => (0..offered.len())
            .map(|at| {
                Step::Record(offered.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, it)| it.clone()).collect())
            })
            .collect(),
        Step::Change(ledger, changes) if changes.len() > 1 => {
            (0..changes.len()).map(|at| Step::Change(*ledger, [&changes[..at], &changes[at + 1..]].concat())).collect()
        }
        Step::Act(acts) => {
            let with = &|at: usize, instead: &[Acting]| Step::Act([&acts[..at], instead, &acts[at + 1..]].concat());
            let fewer = (0..acts.len()).filter(|_| acts.len() > 1).map(|at| with(at, &[]));
            let plainer = acts.iter().enumerate().flat_map(|(at, it)| plainer(it).map(move |it| with(at, &[it])));
            fewer.chain(plainer).collect()
        }
        Step::Fill(ledger, count) if *count > 1 => vec![Step::Fill(*ledger, count / 2), Step::Fill(*ledger, count - 1)],
        Step::Load(register) => fewer(register).into_iter().map(Step::Load).collect(),
        Step::Hold(register) => fewer(register).into_iter().map(Step::Hold).collect(),
        Step::Build(register) => fewer(register).into_iter().map(Step::Build).collect(),
        Step::Clock(ms) if *ms != 0 => vec![Step::Clock(ms / 2)],
        _ => Vec::new(),
    }
}

/// The same act, saying less.
fn plainer(acting: &Acting) -> impl Iterator<Item = Acting> {
    let tried = [
        Acting { version: 0, ..*acting },
        Acting { settles: 0, ..*acting },
        Acting { naming: Naming::Own, ..*acting },
        Acting { home: false, ..*acting },
        Acting { writer: 0, ..*acting },
        Acting { which: 0, ..*acting },
        Acting { number: 0, ..*acting },
    ];
    let acting = *acting;
    tried.into_iter().filter(move |it| *it != acting)
}

fn fewer(register: &Register) -> Vec<Register> {
    let without = |numbers: &[u64], at: usize| [&numbers[..at], &numbers[at + 1..]].concat();
    let rows = (0..register.rows.len()).filter(|_| register.rows.len() > 1);
    let rows = rows.map(|at| Register { rows: without(&register.rows, at), ..register.clone() });
    let kept = (0..register.kept.len()).map(|at| Register { kept: without(&register.kept, at), ..register.clone() });
    kept.chain(rows).collect()
}
