//! The simulation: a store on a disk, a clock and chance of a seed's making, against a plain model.
//!
//! | file | owns |
//! |---|---|
//! | `workload` | what a run does, as data, drawn from a seed |
//! | `world` | clock and chance |
//! | `model` | what a store should hold |
//! | `properties` | what must hold at every moment |
//! | `runner`, `acts`, `held`, `compaction`, `snapshots`, `verified`, `repaired` | the run: programs start, work, end; every answer is judged |
//! | `warned`, `amended`, `history` | what the rules say of a shot, what becomes of recorded ones, and what is told of that |
//! | `crash_points` | small workloads, ended after every single operation, in the recovery too |
//! | `shrink` | the smallest workload that fails the same way |
//!
//! One seed is one run: a failure is repeated by its seed, or by the workload that is printed with it.

mod acts;
mod amended;
mod compaction;
pub mod crash_points;
mod held;
mod history;
mod model;
mod people;
mod properties;
mod repaired;
mod rows;
mod runner;
mod shrink;
mod snapshots;
mod verified;
mod warned;
pub mod workload;
mod world;

use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

pub use properties::Failure;
pub use shrink::shrink;
use workload::Workload;

/// What came to happen in a run, and a digest of all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// Of every call of the disk and every answer.
    pub digest: u64,
    /// Operations of the disk.
    pub operations: u64,
    /// Calls of the disk.
    pub calls: u64,
    /// Shots that were acknowledged.
    pub recorded: u64,
    /// What the rules said of shots that were acknowledged.
    pub warnings: u64,
    /// Rows that changed alone, and were acknowledged.
    pub changed: u64,
    /// Acts on shots that were done, and acknowledged.
    pub amended: u64,
    /// Of them, shots that are another ticket's from then on.
    pub reassigned: u64,
    /// Of them, shots that had been that ticket's before.
    pub returned: u64,
    /// Acts that are held.
    pub held_writes: u64,
    /// Acts that were held before.
    pub held_again: u64,
    /// Held acts that others settled.
    pub settled: u64,
    /// Acts of writers who did not know the shot as it was.
    pub stale: u64,
    /// Acts that made no difference.
    pub unchanged: u64,
    /// Acts on shots that the ticket never had, or that settle what is not held.
    pub unknown: u64,
    /// Acts that would have moved a shot to somebody without a ticket for whom it was not recorded.
    pub other_person: u64,
    /// Shots of people without a ticket that became a ticket's.
    pub linked: u64,
    /// Acts on a shot by a ticket that it left.
    pub by_left_ticket: u64,
    /// Acts on a shot by a ticket that never had it, of the person.
    pub by_other_ticket: u64,
    /// Batches in doubt in which a shot becomes another ticket's.
    pub moves_in_doubt: u64,
    /// Registers that were acknowledged.
    pub installed: u64,
    /// Ledgers that were compacted.
    pub compacted: u64,
    /// Segments of the log that were removed.
    pub trimmed: u64,
    /// Snapshots that were made.
    pub snapshots: u64,
    /// Stores that were restored from them.
    pub snapshots_restored: u64,
    /// Times that the store was verified, open or not.
    pub verified: u64,
    /// What was found then.
    pub findings: u64,
    /// Stores that were repaired.
    pub repaired: u64,
    /// What was given up then.
    pub given_up: u64,
    /// Registers that were said to be held.
    pub held: u64,
    /// Of them, confirmed.
    pub confirmed: u64,
    /// Keys that were changed.
    pub rotated: u64,
    /// Registers that failed.
    pub not_loaded: u64,
    /// Programs that ended, kills and power cuts.
    pub ends: u64,
    /// Of them, in the middle of an operation's work.
    pub stopped: u64,
    /// Of them, while they opened the store.
    pub ended_recoveries: u64,
    /// Torn tails that were cut.
    pub torn: u64,
    /// Checkpoints that an open went on from.
    pub restored: u64,
    /// Checkpoints that were of no use.
    pub rebuilt: u64,
    /// Batches that were in doubt.
    pub doubts: u64,
    /// Of them, found present.
    pub doubts_present: u64,
    /// Of them, found absent.
    pub doubts_absent: u64,
    /// Commands for which there was no room.
    pub no_room: u64,
    /// Bytes in which bits were flipped.
    pub flipped: u64,
    /// Opens that were refused because of damage.
    pub refused: u64,
    /// Opens that lost the unvouched end of the log to damage, and said so.
    pub cut_short: u64,
    /// The run ended before its workload: damage made an open impossible, or cost the end of the log.
    pub over: bool,
}

impl Ran {
    fn mix(&mut self, number: u64) {
        self.digest = (self.digest ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31);
    }

    /// Adds another run's counts.
    pub fn add(&mut self, other: &Ran) {
        self.mix(other.digest);
        let Ran { digest: _, over: _, .. } = other;
        self.operations += other.operations;
        self.calls += other.calls;
        self.recorded += other.recorded;
        self.warnings += other.warnings;
        self.changed += other.changed;
        self.amended += other.amended;
        self.reassigned += other.reassigned;
        self.returned += other.returned;
        self.held_writes += other.held_writes;
        self.held_again += other.held_again;
        self.settled += other.settled;
        self.stale += other.stale;
        self.unchanged += other.unchanged;
        self.unknown += other.unknown;
        self.other_person += other.other_person;
        self.linked += other.linked;
        self.by_left_ticket += other.by_left_ticket;
        self.by_other_ticket += other.by_other_ticket;
        self.moves_in_doubt += other.moves_in_doubt;
        self.installed += other.installed;
        self.compacted += other.compacted;
        self.trimmed += other.trimmed;
        self.snapshots += other.snapshots;
        self.snapshots_restored += other.snapshots_restored;
        self.verified += other.verified;
        self.findings += other.findings;
        self.repaired += other.repaired;
        self.given_up += other.given_up;
        self.held += other.held;
        self.confirmed += other.confirmed;
        self.rotated += other.rotated;
        self.not_loaded += other.not_loaded;
        self.ends += other.ends;
        self.stopped += other.stopped;
        self.ended_recoveries += other.ended_recoveries;
        self.torn += other.torn;
        self.restored += other.restored;
        self.rebuilt += other.rebuilt;
        self.doubts += other.doubts;
        self.doubts_present += other.doubts_present;
        self.doubts_absent += other.doubts_absent;
        self.no_room += other.no_room;
        self.flipped += other.flipped;
        self.refused += other.refused;
        self.cut_short += other.cut_short;
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ran {
            operations,
            calls,
            recorded,
            warnings,
            changed,
            installed,
            compacted,
            trimmed,
            not_loaded,
            ends,
            stopped,
            ended_recoveries,
            ..
        } = self;
        let Ran { snapshots, snapshots_restored, verified, findings, repaired, given_up, .. } = self;
        writeln!(f, "{snapshots} snapshots made, {snapshots_restored} stores restored from them")?;
        writeln!(
            f,
            "{verified} times verified, {findings} findings; {repaired} stores repaired, {given_up} times something given up"
        )?;
        let Ran { torn, restored, rebuilt, doubts, doubts_present, doubts_absent, no_room, .. } = self;
        writeln!(f, "{calls} calls of the disk, {operations} of them operations")?;
        writeln!(
            f,
            "{recorded} shots with {warnings} warnings, {changed} changes and {installed} registers acknowledged, {compacted} ledgers compacted and {trimmed} segments removed, {not_loaded} registers failed"
        )?;
        writeln!(f, "{ends} programs ended, {stopped} in the middle of their work, {ended_recoveries} in a recovery")?;
        writeln!(f, "{doubts} batches in doubt: {doubts_present} found present, {doubts_absent} found absent")?;
        writeln!(
            f,
            "{torn} torn tails cut, {restored} checkpoints restored, {rebuilt} not usable, {no_room} times no room"
        )?;
        let Ran { amended, reassigned, returned, held_writes, held_again, settled, moves_in_doubt, .. } = self;
        writeln!(
            f,
            "{amended} shots set right, {reassigned} of them another ticket's, {returned} of them back; {moves_in_doubt} times that was in doubt"
        )?;
        let Ran { stale, unchanged, unknown, by_left_ticket, by_other_ticket, other_person, linked, .. } = self;
        writeln!(
            f,
            "{held_writes} acts held, {held_again} held before, {settled} settled; {stale} stale, {unchanged} changed nothing, {unknown} of nothing known"
        )?;
        writeln!(f, "{by_left_ticket} by a ticket that the shot left, {by_other_ticket} by another of the person")?;
        writeln!(
            f,
            "{linked} shots of people without a ticket linked to one, {other_person} not to another such person"
        )?;
        let Ran { flipped, refused, cut_short, digest, held, confirmed, rotated, .. } = self;
        writeln!(f, "{held} registers held, {confirmed} of them confirmed; {rotated} times other keys")?;
        writeln!(f, "{flipped} bytes flipped, {refused} opens refused, {cut_short} ends of the log lost to damage")?;
        write!(f, "digest {digest:016x}")
    }
}

/// A run that failed.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The step.
    pub step: usize,
    /// What did not hold.
    pub failure: Failure,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {}", self.step, self.failure)
    }
}

thread_local! {
    /// Where this thread's last panic was, and what it said; only while a run is on.
    static PANIC: RefCell<Option<(String, String)>> = const { RefCell::new(None) };
    static RUNNING: RefCell<bool> = const { RefCell::new(false) };
}

/// Runs a workload. A panic of the engine is a failure like any other.
///
/// # Errors
///
/// [`Failed`].
pub fn run(workload: &Workload) -> Result<Ran, Failed> {
    catch_panics();
    RUNNING.set(true);
    let ran = catch_unwind(AssertUnwindSafe(|| runner::Runner::new(workload).run(workload)));
    RUNNING.set(false);
    match ran {
        Ok(ran) => ran.map_err(|(step, failure)| Failed { step, failure }),
        Err(_) => {
            let (place, detail) = PANIC.take().unwrap_or_default();
            Err(Failed { step: 0, failure: Failure { property: format!("no panic ({place})"), detail } })
        }
    }
}

/// Runs a workload twice: one seed is one run.
///
/// # Errors
///
/// [`Failed`].
pub fn run_twice(workload: &Workload) -> Result<Ran, Failed> {
    let (first, second) = (run(workload)?, run(workload)?);
    if first == second {
        return Ok(first);
    }
    let failure = Failure { property: "one seed is one run".into(), detail: format!("{first:?}\n  {second:?}") };
    Err(Failed { step: 0, failure })
}

fn catch_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !RUNNING.with_borrow(|running| *running) {
                return before(panic);
            }
            let place = panic.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
            let said = panic.payload_as_str().unwrap_or_default().to_owned();
            // The first one: others may follow from it.
            PANIC.with_borrow_mut(|first| *first = first.take().or(Some((place, said))));
        }));
    });
}
