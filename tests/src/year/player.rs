//! The year as it is played: day by day, against a store that is opened, closed and killed.
//!
//! Owns the order of a day: registers in the morning, reissues before or after, shots in the evening, acts behind them, then a register that was built aside. And
//! the days on which a program dies in the middle of one of these: whoever got no answer does the same again with the next program. Everything is written down
//! as a [`Done`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use rand::{Rng as _, RngExt as _};
use rand_chacha::ChaCha8Rng;
use sesshu_engine::disk::Unsynced;
use sesshu_engine::error::LoadError;
use sesshu_engine::intake::{Amendment, Change};
use sesshu_engine::limits::COMMAND_SHOTS_MAX;
use sesshu_engine::{Amended, BuiltLoad, HoldPolicy, Load, LoadOutcome, Recorded};

use super::book::{Book, Reissue, reissues};
use super::calendar::{BEFORE, FIRST, at, day_of_month, days};
use super::clerk::{Clerk, Errands};
use super::deed::{Deed, Done};
use super::failed::{Failed, failed};
use super::plan::{Entry, Shots};
use super::program::Program;

/// The hours of a day.
const REGISTERS: i32 = 9;
const REISSUES: i32 = 9;
const SHOTS: i32 = 18;
const ACTS: i32 = 20;
const ACTS_WITH_THE_CLOCK_BACK: i32 = 16;
const INSTALL: i32 = 21;
/// The day of a month on which half a register comes.
const HALF_A_REGISTER: u32 = 19;
/// Every so many days the store is closed and opened, and a checkpoint is written.
const CLOSES_EVERY_DAYS: i32 = 60;
const CHECKPOINTS_EVERY_DAYS: i32 = 25;
/// The days of a month on which a program dies: in the next register, among shots, among acts.
const DEATHS: [(u32, Death); 3] = [(6, Death::Registers), (15, Death::Shots), (24, Death::Acts)];
/// So many days before, the store is opened on a disk that can stop: what was recorded and folded since is read again by the next program.
const DAYS_BEFORE_DEATH: i32 = 3;
/// Operations of the disk after which one dies, at most: there are fewer where little is to be done.
const OPERATIONS_MAX: u64 = 12;
const OPERATIONS_OF_FEW_MAX: u64 = 3;

/// Among what a program dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    Registers,
    Shots,
    Acts,
}

/// What playing cost and found.
#[derive(Clone, Debug, Default)]
pub(super) struct Played {
    pub(super) checkpoints: u64,
    /// Registers that were built before the shots of a day and installed behind them.
    pub(super) installed_later: u64,
    /// Halves of registers that were held.
    pub(super) held_registers: u64,
    /// Programs that died in the middle of their work, by what they were at.
    pub(super) in_the_middle: BTreeMap<&'static str, u64>,
    pub(super) loading: Duration,
    pub(super) recording: Duration,
    pub(super) amending: Duration,
    pub(super) rows: u64,
}

/// Somebody who plays a year.
pub(super) struct Player<'i> {
    books: &'i [Book],
    shots: &'i Shots,
    rng: ChaCha8Rng,
    clerk: Clerk,
    /// On some days no register is sent.
    dies_with_next_register: bool,
    pub(super) program: Program,
    pub(super) done: Vec<Done>,
    pub(super) played: Played,
}

impl<'i> Player<'i> {
    pub(super) fn new(books: &'i [Book], shots: &'i Shots, rng: ChaCha8Rng, program: Program) -> Player<'i> {
        let (clerk, done, played) = (Clerk::default(), Vec::new(), Played::default());
        Player { books, shots, rng, clerk, dies_with_next_register: false, program, done, played }
    }

    /// Plays all of it.
    pub(super) fn play(&mut self, bar: &ProgressBar) -> Result<(), Failed> {
        for book in 0..self.books.len() {
            self.send_register(BEFORE, book, 0)?;
        }
        let reissues = reissues(self.books);
        for day in days() {
            if (day - FIRST) % CLOSES_EVERY_DAYS == CLOSES_EVERY_DAYS - 1 {
                self.program.close_and_open()?;
            }
            if DEATHS.iter().any(|(on, _)| *on == day_of_month(day + DAYS_BEFORE_DEATH)) {
                let seed = self.rng.next_u64();
                self.program.open_on_a_disk_that_can_stop(seed)?;
            }
            let death = DEATHS.iter().find(|(on, _)| *on == day_of_month(day)).map(|(_, death)| *death);
            self.dies_with_next_register |= death == Some(Death::Registers);
            self.send_half_a_register(day)?;
            // On the other days the register has the new numbers before the change comes.
            let reissued_first = day % 2 == 0;
            if reissued_first {
                self.reissues(day, &reissues)?;
            }
            let aside = self.registers(day, reissued_first && death.is_none())?;
            if !reissued_first {
                self.reissues(day, &reissues)?;
            }
            if death == Some(Death::Shots) {
                self.doom("shots", self.shots.of_day(day).len())?;
            }
            self.hand_in(day, self.shots.of_day(day).to_vec())?;
            if death == Some(Death::Acts) {
                self.doom("acts", 1)?;
            }
            self.set_right(day)?;
            if let Some((built, book)) = aside {
                self.install(day, built, book)?;
            }
            if (day - FIRST) % CHECKPOINTS_EVERY_DAYS == 0 {
                let written = self.program.store().checkpoint();
                written.map_err(|error| failed("a checkpoint is written", format!("{error:?}")))?;
                self.played.checkpoints += 1;
            }
            bar.inc(1);
        }
        Ok(())
    }

    /// The program is to die among this, of which there is so much to be done. Until it once did so in the middle, at the first operation of the disk.
    fn doom(&mut self, among: &'static str, much: usize) -> Result<(), Failed> {
        let most = if much > COMMAND_SHOTS_MAX { OPERATIONS_MAX } else { OPERATIONS_OF_FEW_MAX };
        let operations = if self.has_died_among(among) { self.rng.random_range(1..=most) } else { 1 };
        let seed = self.rng.next_u64();
        self.program.doom(operations, seed)
    }

    fn has_died_among(&self, among: &str) -> bool {
        self.played.in_the_middle.get(among).is_some_and(|&died| died > 0)
    }

    /// If the program was to die among this, it does now. Returns how many of its events the next one found, or nothing if it lives on.
    fn die(&mut self, among: &'static str, before: u64) -> Result<Option<u64>, Failed> {
        if !self.program.is_doomed() {
            return Ok(None);
        }
        let cut = match self.rng.random_range(0..4) {
            // What was written and not synced is there after a kill, and nobody was told.
            _ if !self.has_died_among(among) => None,
            0 => Some(Unsynced::Lost),
            1 => Some(Unsynced::Torn(self.rng.next_u64())),
            _ => None,
        };
        let stopped = self.program.die(cut)?;
        *self.played.in_the_middle.entry(among).or_default() += u64::from(stopped);
        Ok(Some(self.program.store().view().sequence() - before))
    }

    fn write_down(&mut self, day: i32, hour: i32, deed: Deed, found: Option<u64>) {
        self.done.push(Done { day, time_ms: at(day, hour), deed, found });
    }

    /// The registers that are sent on a day. The first of them may be built aside, to be installed in the evening.
    fn registers(&mut self, day: i32, may_be_aside: bool) -> Result<Option<(BuiltLoad, usize)>, Failed> {
        let sent: Vec<usize> = (0..self.books.len()).filter(|&book| self.books[book].is_sent_on(day)).collect();
        let mut aside = None;
        for book in sent {
            let sending = self.books[book].sendings(day);
            if std::mem::take(&mut self.dies_with_next_register) {
                self.doom("registers", usize::MAX)?;
            } else if may_be_aside && aside.is_none() {
                self.program.clock.set(at(day, REGISTERS));
                let built = self.load(day, book, sending, 1).and_then(|load| load.build(None));
                aside = Some((built.map_err(|error| failed("a register is built", format!("{error:?}")))?, book));
                continue;
            }
            self.send_register(day, book, sending)?;
        }
        Ok(aside)
    }

    /// Makes a register visible that was built before the day's shots.
    fn install(&mut self, day: i32, built: BuiltLoad, book: usize) -> Result<(), Failed> {
        self.program.clock.set(at(day, INSTALL));
        let told = built.install().map_err(|error| failed("a register is installed", format!("{error:?}")))?;
        let sending = self.books[book].sendings(day);
        self.write_down(day, INSTALL, Deed::Register { book, sending, told: Some(told) }, None);
        self.played.installed_later += 1;
        Ok(())
    }

    /// A register of which every `share`-th row is there, ready to be built.
    fn load(&mut self, day: i32, book: usize, sending: u8, share: usize) -> Result<Load, LoadError> {
        let register = &self.books[book];
        let mut load = self.program.store().load(register.municipality)?;
        for (place, number, row) in register.rows(sending, day).step_by(share) {
            load.push(register.checked(place, number, row))?;
            self.played.rows += 1;
        }
        Ok(load)
    }

    /// Once a month the largest municipality sends half a register by mistake, which is held: nobody sees anything of it.
    fn send_half_a_register(&mut self, day: i32) -> Result<(), Failed> {
        if day_of_month(day) != HALF_A_REGISTER {
            return Ok(());
        }
        let largest = (0..self.books.len()).max_by_key(|&book| self.books[book].people.len()).expect("there is one");
        let rows = self.played.rows;
        let load = self.load(day, largest, self.books[largest].sendings(day), 2);
        self.played.rows = rows;
        let concluded = load.and_then(|load| load.conclude(None, &HoldPolicy::default(), false));
        match concluded {
            Ok(LoadOutcome::Held(held, _)) => {
                self.played.held_registers += 1;
                // Half of them are left to their time.
                let discarded = if day % 2 == 0 { self.program.store().discard(held.id) } else { Ok(()) };
                discarded.map_err(|error| failed("a held register is thrown away", format!("{error:?}")))
            }
            other => Err(failed("half a register is held", format!("{other:?}"))),
        }
    }

    /// Sends a register, once more if nobody answered.
    fn send_register(&mut self, day: i32, book: usize, sending: u8) -> Result<(), Failed> {
        self.program.clock.set(at(day, REGISTERS));
        loop {
            let before = self.program.store().view().sequence();
            let begun = Instant::now();
            let loaded = self.load(day, book, sending, 1).and_then(|load| load.commit(None));
            self.played.loading += begun.elapsed();
            let found = self.die("registers", before)?;
            let told = match loaded {
                Ok(told) => Some(told),
                Err(_) if found.is_some() => None,
                Err(error) => return Err(failed("a register is loaded", format!("{error:?}"))),
            };
            let again = told.is_none();
            self.write_down(day, REGISTERS, Deed::Register { book, sending, told }, found);
            if !again {
                return Ok(());
            }
        }
    }

    fn reissues(&mut self, day: i32, by_day: &BTreeMap<i32, Vec<Reissue>>) -> Result<(), Failed> {
        let Some(of) = by_day.get(&day).cloned() else { return Ok(()) };
        self.program.clock.set(at(day, REISSUES));
        let change = |reissue: &Reissue| {
            let (book, place) = (&self.books[reissue.book], reissue.place);
            let person = &book.people[place];
            let (_, number) = person.reissued.expect("it is reissued");
            let row = book.checked(place, number, person.row(book.sendings(day)));
            Change::reissue(book.municipality, person.born.ticket.number(), row).expect("a new number")
        };
        let changes: Vec<Change> = of.iter().map(change).collect();
        let told = self.program.store().change(&changes);
        let told = told.map_err(|error| failed("tickets are reissued", format!("{error:?}")))?;
        let told = told.into_iter().map(Result::ok).collect();
        self.write_down(day, REISSUES, Deed::Reissues { of, told }, None);
        Ok(())
    }

    /// Hands in shots; those that nobody answered, once more.
    fn hand_in(&mut self, day: i32, mut entries: Vec<Entry>) -> Result<(), Failed> {
        self.program.clock.set(at(day, SHOTS));
        while !entries.is_empty() || self.program.is_doomed() {
            let before = self.program.store().view().sequence();
            let records = entries.iter().map(|entry| self.shots.record(entry)).collect();
            let begun = Instant::now();
            let answers = self.program.store().record_many(records);
            self.played.recording += begun.elapsed();
            let found = self.die("shots", before)?;
            let told: Vec<Option<Recorded>> = answers.into_iter().map(Result::ok).collect();
            let answered = entries.iter().zip(&told).filter_map(|(entry, told)| Some((entry, told.as_ref()?)));
            answered.for_each(|(entry, told)| self.clerk.recorded(self.books, self.shots, entry, told));
            let again: Vec<Entry> =
                entries.iter().zip(&told).filter(|(_, told)| told.is_none()).map(|(entry, _)| *entry).collect();
            if found.is_none() && !again.is_empty() {
                return Err(failed("every shot is answered", again.len()));
            }
            self.write_down(day, SHOTS, Deed::Shots { entries, told }, found);
            entries = again;
        }
        Ok(())
    }

    /// Sets shots right; what nobody answered, once more.
    fn set_right(&mut self, day: i32) -> Result<(), Failed> {
        let Errands { mut places, mut asked } = self.clerk.errands(self.books, self.shots, day, &mut self.rng);
        // Now and then the clock is put back.
        let hour = if day % 5 == 0 { ACTS_WITH_THE_CLOCK_BACK } else { ACTS };
        self.program.clock.set(at(day, hour));
        while !asked.is_empty() || self.program.is_doomed() {
            let before = self.program.store().view().sequence();
            let amendments: Vec<Amendment> = asked.iter().map(|asked| asked.amendment()).collect();
            let begun = Instant::now();
            let answers = self.program.store().amend(&amendments);
            self.played.amending += begun.elapsed();
            let found = self.die("acts", before)?;
            let told: Vec<Option<Amended>> = answers.into_iter().map(Result::ok).collect();
            let mut again = (Vec::new(), Vec::new());
            for ((place, asked), told) in places.iter().zip(&asked).zip(&told) {
                match told {
                    Some(told) => self.clerk.amended(*place, asked, told),
                    None => {
                        again.0.push(*place);
                        again.1.push(asked.clone());
                    }
                }
            }
            if found.is_none() && !again.1.is_empty() {
                return Err(failed("every act is answered", again.1.len()));
            }
            self.write_down(day, hour, Deed::Acts { asked, told }, found);
            (places, asked) = again;
        }
        Ok(())
    }
}
