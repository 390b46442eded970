//! What a run does: a list of steps, and where the program ends in between. Plain data: it can be printed, shrunk and run again.
//!
//! Owns the drawing of a workload from its seed. What a step does to a store is for `runner`, what must come of it for `model` and `properties`.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sesshu_engine::disk::{Call, Fault, PlannedFault, Unsynced};

use super::people::{self, PEOPLE};

/// Ledgers of a run.
pub const LEDGERS: usize = 3;

/// Tickets that registers and single shots are about.
pub const TICKETS: u64 = 10;

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// What disk, clock and chance draw from.
    pub seed: u64,
    /// What is done.
    pub steps: Vec<Step>,
    /// Where the program ends in the middle of that.
    pub ends: Vec<End>,
}

/// After so many operations of the disk, counted from the end before, the program ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct End {
    /// Operations; those of a recovery count.
    pub after: u64,
    /// What comes then.
    pub fate: Fate,
}

/// How a program ends. The next one opens the store again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    /// It is killed; the next one sees what it wrote.
    Killed,
    /// It is killed, and the machine drops what failed syncs have left in its cache.
    KilledEvicted,
    /// The power is cut.
    Cut(Unsynced),
}

/// One thing that is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A register is built and installed.
    Load(Register),
    /// A register is built; shots may come before it is installed.
    Build(Register),
    /// The register that was built for a ledger is installed.
    Install(usize),
    /// The register that was built for a ledger is thrown away.
    Abandon(usize),
    /// A register is built and held.
    Hold(Register),
    /// The held register of a ledger is confirmed, or that of the next ledger that has one.
    Confirm(usize),
    /// The held register of a ledger is thrown away.
    Discard(usize),
    /// What hangs on the tail of a ledger is folded.
    Compact(usize),
    /// A snapshot is made.
    Snapshot,
    /// A store is restored from one of the snapshots; the number tells as of which moment.
    Restore(usize, u64),
    /// One of the snapshots is deleted.
    DeleteSnapshot(usize),
    /// Shots are recorded in one call.
    Record(Vec<Offered>),
    /// Rows of one ledger change in one call, of different tickets.
    Change(usize, Vec<Changing>),
    /// Acts on recorded shots, in one call.
    Act(Vec<Acting>),
    /// A ticket of a ledger replaces another: the ledger, the old number, the new one, and which content the row has.
    Reissue(usize, u64, u64, u32),
    /// So many large shots are recorded in one call, so that segments fill up.
    Fill(usize, u64),
    /// Every shot that was in doubt so far is recorded again.
    Retry,
    /// The store does what it does when it is idle.
    Tick,
    /// The store writes a checkpoint.
    Checkpoint,
    /// The store is closed and opened again.
    Reopen,
    /// The outside key changes; and a data key is added.
    Rotate(bool),
    /// The program ends here.
    Crash(Fate),
    /// A reader begins to look at this moment.
    Pin,
    /// The clock goes on by so many milliseconds, or back.
    Clock(i64),
    /// A call of the disk will meet a fault.
    Fault(PlannedFault),
    /// The disk is full, or is not any more.
    Full(bool),
    /// No fault that was planned comes any more.
    Heal,
    /// Bits flip in some byte of some file: which file, where in it, which bits.
    Flip(u64, u64, u8),
    /// The so-many-th write from now loses a sector to another place.
    Misdirect(u64),
}

/// A register.
#[derive(Clone, Debug, PartialEq)]
pub struct Register {
    /// Whose.
    pub ledger: usize,
    /// Ticket numbers with a row, ascending.
    pub rows: Vec<u64>,
    /// Ticket numbers of rows that were rejected.
    pub kept: Vec<u64>,
    /// Which content the rows have.
    pub version: u32,
}

/// A change of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Changing {
    /// Its ticket number.
    pub number: u64,
    /// What it becomes.
    pub to: Becomes,
}

/// What a change makes of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Becomes {
    /// The row of a register's version.
    Row(u32),
    /// The same, with another status: 2 moved out, 3 deceased, 4 removed.
    Status(i32),
    /// The row of a register's version, on a ticket that replaces the one with this number.
    Reissued(u64, u32),
}

/// An act on a shot. Which shot, version and held write that is, is known when its turn comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Acting {
    /// Where, if there are no shots yet.
    pub ledger: usize,
    /// Tells tickets with shots apart.
    pub number: u64,
    /// Tells the ticket's shots apart.
    pub which: u64,
    /// By which ticket the shot is named.
    pub naming: Naming,
    /// What is done.
    pub doing: Doing,
    /// If that is a reassignment, it is to the ticket by which the shot is named.
    pub home: bool,
    /// The writer's level, 1 to 4.
    pub level: u32,
    /// Tells writers apart.
    pub writer: usize,
    /// Which version the writer knows: 0 does not say, 1 the newest, 2 the first.
    pub version: u32,
    /// What it settles: 0 nothing, 1 a held write, 2 one that is none.
    pub settles: u32,
}

/// By which ticket a shot is named.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Naming {
    /// One that has it or had it.
    Own,
    /// Another of the person, if there is one.
    Person,
    /// Any ticket of the ledger.
    Anybody,
    /// By the ticket of another shot, if by any.
    NoShot,
}

/// What is done with a shot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Doing {
    /// It has the content of another.
    Correct(u32),
    /// It does not count.
    Void,
    /// It counts again.
    Reinstate,
    /// It is this ticket's: ledger and number.
    Reassign(usize, u64),
    /// Only this level or above changes it.
    Confirm,
    /// Everybody may.
    Unlock,
}

/// A shot that is offered.
#[derive(Clone, Debug, PartialEq)]
pub struct Offered {
    /// Where.
    pub ledger: usize,
    /// Its ticket number.
    pub number: u64,
    /// Tells contents apart.
    pub content: u32,
    /// Tells captures apart; 0: none.
    pub capture: u64,
}

/// What a run is mostly about.
#[derive(Clone, Copy, PartialEq)]
enum Theme {
    Crashes,
    Faults,
    Room,
    Segments,
    Damage,
    Lives,
}

impl Workload {
    /// The workload of a seed.
    #[must_use]
    pub fn draw(seed: u64) -> Workload {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let disk = [Theme::Crashes, Theme::Crashes, Theme::Faults, Theme::Room, Theme::Segments, Theme::Damage];
        let themes = [&disk[..], &[Theme::Lives, Theme::Lives]].concat();
        let theme = themes[rng.random_range(0..themes.len())];
        let count = rng.random_range(3..36);
        let mut steps: Vec<Step> = (0..count).map(|_| step(&mut rng, theme)).collect();
        if theme == Theme::Lives {
            steps.splice(0..0, [Step::Record(record(&mut rng)), Step::Record(record(&mut rng))]);
        }
        let mut ends: Vec<End> = (0..rng.random_range(0..5)).map(|_| end(&mut rng)).collect();
        if rng.random_range(0..8) == 0 {
            // While the store is made, and again while that is made good.
            ends.splice(0..0, [0, 0].map(|_| End { after: rng.random_range(0..20), fate: fate(&mut rng) }));
        }
        Workload { seed, steps, ends }
    }

    /// A small workload that does some of everything and meets no fault: for a crash at every operation.
    #[must_use]
    pub fn draw_small(seed: u64) -> Workload {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (ledger, other) = (rng.random_range(0..LEDGERS), rng.random_range(0..LEDGERS));
        if rng.random_range(0..5) == 0 {
            // To the next segment, and the one before goes.
            let mut steps = vec![Step::Record(record(&mut rng)), Step::Fill(other, 480), few_acts(&mut rng)];
            steps.extend((0..LEDGERS).map(Step::Compact));
            steps.extend([Step::Checkpoint, Step::Record(record(&mut rng)), Step::Reopen]);
            return Workload { seed, steps, ends: Vec::new() };
        }
        let mut steps = vec![
            Step::Record(record(&mut rng)),
            Step::Load(Register { ledger, ..register(&mut rng) }),
            Step::Record(record(&mut rng)),
            Step::Checkpoint,
            Step::Build(Register { ledger: other, ..register(&mut rng) }),
            Step::Record(record(&mut rng)),
            change(&mut rng),
            reissue(&mut rng),
            few_acts(&mut rng),
            Step::Install(other),
            Step::Compact(ledger),
            few_acts(&mut rng),
            change(&mut rng),
            Step::Hold(Register { ledger, ..register(&mut rng) }),
            Step::Record(record(&mut rng)),
            few_acts(&mut rng),
            Step::Confirm(ledger),
            Step::Hold(Register { ledger: other, ..register(&mut rng) }),
            Step::Compact(ledger),
            Step::Discard(other),
            Step::Compact(other),
            Step::Snapshot,
            Step::Load(Register { ledger, ..register(&mut rng) }),
            Step::Restore(0, rng.random_range(0..30)),
            Step::DeleteSnapshot(0),
            Step::Rotate(rng.random()),
            Step::Tick,
            Step::Reopen,
            Step::Record(record(&mut rng)),
        ];
        for _ in 0..rng.random_range(8..16) {
            steps.remove(rng.random_range(0..steps.len()));
        }
        steps.insert(rng.random_range(1..=steps.len()), confirmed(&mut rng));
        Workload { seed, steps, ends: Vec::new() }
    }
}

fn snapshot(rng: &mut impl Rng) -> Step {
    match rng.random_range(0..8) {
        0..4 => Step::Snapshot,
        4..7 => Step::Restore(rng.random_range(0..4), rng.random_range(0..300)),
        _ => Step::DeleteSnapshot(rng.random_range(0..4)),
    }
}

/// How a program ends.
pub fn fate(rng: &mut impl Rng) -> Fate {
    match rng.random_range(0..8) {
        0 | 1 => Fate::Killed,
        2 => Fate::KilledEvicted,
        3 => Fate::Cut(Unsynced::Lost),
        4 => Fate::Cut(Unsynced::Zeros),
        _ => Fate::Cut(Unsynced::Torn(rng.random_range(0..1 << 20))),
    }
}

fn end(rng: &mut impl Rng) -> End {
    // The first operations after an end are those of a recovery.
    let after = if rng.random_range(0..3) == 0 { rng.random_range(0..20) } else { rng.random_range(15..160) };
    End { after, fate: fate(rng) }
}

fn numbers(rng: &mut impl Rng, part: f64) -> Vec<u64> {
    (0..TICKETS).filter(|_| rng.random_bool(part)).collect()
}

fn register(rng: &mut impl Rng) -> Register {
    let mut rows = numbers(rng, 0.5);
    if rows.is_empty() {
        rows.push(rng.random_range(0..TICKETS));
    }
    Register { ledger: rng.random_range(0..LEDGERS), rows, kept: numbers(rng, 0.1), version: rng.random_range(0..3) }
}

fn change(rng: &mut impl Rng) -> Step {
    let mut numbers = numbers(rng, 0.3);
    numbers.push(TICKETS);
    let to = |rng: &mut dyn FnMut(u32) -> u32| match rng(4) {
        0 => Becomes::Status(2 + rng(3) as i32),
        _ => Becomes::Row(rng(3)),
    };
    let mut draw = |below| rng.random_range(0..below);
    let changes = numbers.into_iter().map(|number| Changing { number, to: to(&mut draw) }).collect();
    Step::Change(rng.random_range(0..LEDGERS), changes)
}

fn reissue(rng: &mut impl Rng) -> Step {
    let (from, to) = (rng.random_range(0..TICKETS), rng.random_range(1..TICKETS + 2));
    Step::Reissue(rng.random_range(0..LEDGERS), from, (from + to) % (TICKETS + 2), rng.random_range(0..3))
}

fn act(rng: &mut impl Rng) -> Step {
    let count = rng.random_range(1..9);
    let mut acts: Vec<Acting> = (0..count).map(|_| acting(rng)).collect();
    let Acting { number, which, .. } = acts[0];
    for act in &mut acts {
        // Mostly one shot, of which more becomes than one thing; and now and then the same again.
        if rng.random_range(0..3) > 0 {
            *act = Acting { number, which, ..*act };
        }
    }
    if rng.random_range(0..4) == 0 {
        acts.extend_from_within(acts.len() / 2..);
    }
    Step::Act(acts)
}

fn acting(rng: &mut impl Rng) -> Acting {
    Acting {
        ledger: rng.random_range(0..LEDGERS),
        // Few, so that one shot has a longer life.
        number: rng.random_range(0..4),
        which: rng.random_range(0..2),
        naming: match rng.random_range(0..20) {
            0..14 => Naming::Own,
            14..18 => Naming::Person,
            18 => Naming::Anybody,
            _ => Naming::NoShot,
        },
        doing: match rng.random_range(0..12) {
            0..4 => Doing::Correct(rng.random_range(0..3)),
            4 => Doing::Void,
            5 => Doing::Reinstate,
            6 | 7 => Doing::Reassign(rng.random_range(0..LEDGERS), anybody(rng, TICKETS + 1)),
            8..11 => Doing::Confirm,
            _ => Doing::Unlock,
        },
        home: rng.random(),
        level: rng.random_range(1..5),
        writer: [0, 0, 0, 1][rng.random_range(0..4)],
        version: [0, 0, 0, 1, 1, 1, 2][rng.random_range(0..7)],
        settles: [0, 0, 0, 0, 0, 1, 1, 1, 1, 2][rng.random_range(0..10)],
    }
}

/// A shot is confirmed, and somebody below writes to it, which is held.
fn confirmed(rng: &mut impl Rng) -> Step {
    let confirm =
        Acting { naming: Naming::Own, doing: Doing::Confirm, level: 4, version: 0, settles: 0, ..acting(rng) };
    Step::Act(vec![confirm, Acting { doing: Doing::Correct(rng.random_range(0..3)), level: 1, ..confirm }])
}

/// Each is operations of the disk, and so crash points.
fn few_acts(rng: &mut impl Rng) -> Step {
    match act(rng) {
        Step::Act(acts) => Step::Act(acts.into_iter().take(2).collect()),
        step => step,
    }
}

/// The number of a ticket below `below`, or now and then of a person without one.
fn anybody(rng: &mut impl Rng, below: u64) -> u64 {
    if rng.random_range(0..8) == 0 { people::number(rng.random_range(0..PEOPLE)) } else { rng.random_range(0..below) }
}

fn record(rng: &mut impl Rng) -> Vec<Offered> {
    let offered = |rng: &mut _| {
        let rng: &mut ChaCha8Rng = rng;
        Offered {
            ledger: rng.random_range(0..LEDGERS),
            number: anybody(rng, TICKETS),
            content: rng.random_range(0..3),
            capture: rng.random_range(0..6),
        }
    };
    let mut inner = ChaCha8Rng::seed_from_u64(rng.random());
    (0..rng.random_range(1..8)).map(|_| offered(&mut inner)).collect()
}

fn step(rng: &mut impl Rng, theme: Theme) -> Step {
    match (theme, rng.random_range(0..10)) {
        (Theme::Faults, 0 | 1) => return Step::Fault(PlannedFault::draw(rng.random(), 30)),
        (Theme::Faults | Theme::Room, 2) => return Step::Heal,
        (Theme::Room, 0) => return Step::Full(true),
        (Theme::Room, 1) => return Step::Full(false),
        (Theme::Room, 3) => {
            let calls = rng.random_range(1..40);
            let fault = if rng.random() { Fault::Full { calls } } else { Fault::NoRoom };
            return Step::Fault(PlannedFault { on: Call::ALL, count: rng.random_range(1..40), fault });
        }
        (Theme::Room | Theme::Segments, 4 | 5) => {
            return Step::Fill(rng.random_range(0..LEDGERS), rng.random_range(1..400));
        }
        (Theme::Segments, 6 | 7) => return Step::Compact(rng.random_range(0..LEDGERS)),
        (Theme::Segments, 8) => return Step::Checkpoint,
        (Theme::Segments | Theme::Lives, 9) => return snapshot(rng),
        (Theme::Lives, 0..4) => return act(rng),
        (Theme::Lives, 4) => return Step::Record(record(rng)),
        (Theme::Lives, 5) => return reissue(rng),
        (Theme::Lives, 6) if rng.random() => return Step::Fault(PlannedFault::draw(rng.random(), 60)),
        (Theme::Damage, 0) => return Step::Flip(rng.random(), rng.random(), 1 << rng.random_range(0..8)),
        (Theme::Damage, 1) if rng.random() => return Step::Misdirect(rng.random_range(1..12)),
        _ => {}
    }
    if rng.random_range(0..14) == 0 {
        // Soon, and mostly while something is recorded or installed.
        let on = [Call::WRITES, Call::SYNCS][rng.random_range(0..2)];
        return Step::Fault(PlannedFault { on, count: rng.random_range(1..6), fault: Fault::End });
    }
    match rng.random_range(0..100) {
        0..7 => Step::Load(register(rng)),
        7..11 => Step::Compact(rng.random_range(0..LEDGERS)),
        11..15 => Step::Hold(register(rng)),
        15..18 => Step::Confirm(rng.random_range(0..LEDGERS)),
        18..19 => Step::Discard(rng.random_range(0..LEDGERS)),
        19..22 => Step::Build(register(rng)),
        22..30 => Step::Install(rng.random_range(0..LEDGERS)),
        30..32 => Step::Abandon(rng.random_range(0..LEDGERS)),
        32..39 => change(rng),
        39..42 => reissue(rng),
        42..52 => Step::Record(record(rng)),
        52..60 => act(rng),
        60..64 => Step::Retry,
        64..69 => Step::Tick,
        69..72 => Step::Rotate(rng.random()),
        72..79 => Step::Checkpoint,
        79..84 => Step::Reopen,
        84..91 => Step::Crash(fate(rng)),
        91..94 => Step::Pin,
        94..96 => snapshot(rng),
        _ => Step::Clock(rng.random_range(-3 * 86_400_000..5 * 86_400_000)),
    }
}
