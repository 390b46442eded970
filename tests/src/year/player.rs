//! The year as it is played: day by day, against a store that is opened, closed and killed.
//!
//! Owns the order of a day: registers in the morning, reissues, shots in the evening, acts behind them. And the nights on which a program dies in the middle of
//! one of these: whoever got no answer does the same again with the next program. Everything is written down as a [`Done`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use rand::{Rng as _, RngExt as _};
use rand_chacha::ChaCha8Rng;
use sesshu_engine::disk::Unsynced;
use sesshu_engine::intake::{Amendment, Change};
use sesshu_engine::{Amended, Recorded};

use super::book::{Book, Reissue, reissues};
use super::calendar::{BEFORE, FIRST, at, day_of_month, days};
use super::clerk::{Clerk, Errands};
use super::deed::{Deed, Done};
use super::failed::{Failed, failed};
use super::plan::{Entry, Shots};
use super::program::Program;

/// Every so many days the store is closed and opened, and a checkpoint is written.
const CLOSES_EVERY_DAYS: i32 = 60;
const CHECKPOINTS_EVERY_DAYS: i32 = 25;
/// The days of a month on which a program dies: in the next register, among shots, among acts.
const DEATHS: [(u32, Death); 3] = [(6, Death::Registers), (15, Death::Shots), (24, Death::Acts)];
/// Operations of the disk after which one dies, at most: there are fewer of acts.
const OPERATIONS_MAX: u64 = 12;
const OPERATIONS_OF_ACTS_MAX: u64 = 3;

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
            let death = DEATHS.iter().find(|(on, _)| *on == day_of_month(day)).map(|(_, death)| *death);
            self.dies_with_next_register |= death == Some(Death::Registers);
            self.registers(day)?;
            self.reissues(day, reissues.get(&day).cloned().unwrap_or_default())?;
            if death == Some(Death::Shots) {
                self.doom("shots")?;
            }
            self.hand_in(day, self.shots.of_day(day).to_vec())?;
            if death == Some(Death::Acts) {
                self.doom("acts")?;
            }
            self.set_right(day)?;
            if (day - FIRST) % CHECKPOINTS_EVERY_DAYS == 0 {
                let written = self.program.store().checkpoint();
                written.map_err(|error| failed("a checkpoint is written", format!("{error:?}")))?;
                self.played.checkpoints += 1;
            }
            bar.inc(1);
        }
        Ok(())
    }

    /// The program is to die among this. The first time it does so at the first operation of the disk, so that it is in the middle whatever there is to be done.
    fn doom(&mut self, among: &'static str) -> Result<(), Failed> {
        let died_before = self.played.in_the_middle.get(among).is_some_and(|&died| died > 0);
        let most = if among == "acts" { OPERATIONS_OF_ACTS_MAX } else { OPERATIONS_MAX };
        let operations = if died_before { self.rng.random_range(1..=most) } else { 1 };
        let seed = self.rng.next_u64();
        self.program.doom(operations, seed)
    }

    /// If the program was to die among this, it does now. Returns how many of its events the next one found, or nothing if it lives on.
    fn die(&mut self, among: &'static str, before: u64) -> Result<Option<u64>, Failed> {
        if !self.program.is_doomed() {
            return Ok(None);
        }
        let cut = match self.rng.random_range(0..4) {
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

    /// The registers that are sent on a day.
    fn registers(&mut self, day: i32) -> Result<(), Failed> {
        let sent: Vec<usize> = (0..self.books.len()).filter(|&book| self.books[book].is_sent_on(day)).collect();
        for book in sent {
            if std::mem::take(&mut self.dies_with_next_register) {
                self.doom("registers")?;
            }
            self.send_register(day, book, self.books[book].sendings(day))?;
        }
        Ok(())
    }

    /// Sends a register, once more if nobody answered.
    fn send_register(&mut self, day: i32, book: usize, sending: u8) -> Result<(), Failed> {
        self.program.clock.set(at(day, 9));
        loop {
            let before = self.program.store().view().sequence();
            let begun = Instant::now();
            let register = &self.books[book];
            let load = self.program.store().load(register.municipality);
            let loaded = load.and_then(|mut load| {
                for (place, number, row) in register.rows(sending, day) {
                    load.push(register.checked(place, number, row))?;
                    self.played.rows += 1;
                }
                load.commit(None)
            });
            self.played.loading += begun.elapsed();
            let found = self.die("registers", before)?;
            let told = match loaded {
                Ok(told) => Some(told),
                Err(_) if found.is_some() => None,
                Err(error) => return Err(failed("a register is loaded", format!("{error:?}"))),
            };
            let again = told.is_none();
            self.write_down(day, 9, Deed::Register { book, sending, told }, found);
            if !again {
                return Ok(());
            }
        }
    }

    fn reissues(&mut self, day: i32, of: Vec<Reissue>) -> Result<(), Failed> {
        if of.is_empty() {
            return Ok(());
        }
        self.program.clock.set(at(day, 12));
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
        self.write_down(day, 12, Deed::Reissues { of, told }, None);
        Ok(())
    }

    /// Hands in shots; those that nobody answered, once more.
    fn hand_in(&mut self, day: i32, mut entries: Vec<Entry>) -> Result<(), Failed> {
        self.program.clock.set(at(day, 18));
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
            self.write_down(day, 18, Deed::Shots { entries, told }, found);
            entries = again;
        }
        Ok(())
    }

    /// Sets shots right; what nobody answered, once more.
    fn set_right(&mut self, day: i32) -> Result<(), Failed> {
        let Errands { mut places, mut asked } = self.clerk.errands(self.books, self.shots, day, &mut self.rng);
        self.program.clock.set(at(day, 20));
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
            self.write_down(day, 20, Deed::Acts { asked, told }, found);
            (places, asked) = again;
        }
        Ok(())
    }
}
