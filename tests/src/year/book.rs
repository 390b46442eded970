//! The municipalities' own registers: who is in them, and what each sending of one says.
//!
//! Owns the people of a nation, made by the generator, and what happens to their rows in the year: about a hundredth changes from one sending to the next, some
//! people arrive, some leave and are not sent any more, some lose their ticket and get another number. Sending 0 comes before the programme begins, the others
//! once a month, each municipality on its own day. A sending is a function of the book: whoever recounts reads it again.

use std::collections::BTreeMap;

use rand::seq::IndexedRandom as _;
use rand::{Rng, RngExt as _};
use sesshu::generate::{GeneratedResident, Movement, Plan, ResidentNumber, Sex, residents};
use sesshu_engine::intake::Row;
use sesshu_engine::ticket::{Municipality, Ticket};
use sesshu_proto::v1::{Resident, ResidentStatus, Sex as SexMessage};

use super::calendar::{FIRST, LAST, day_of_month, days, yyyymmdd};

/// Rows of a thousand that a sending changes: in their name, by a move, by a death, or put under protection.
const NAMES_PER_THOUSAND: u32 = 6;
const MOVES_PER_THOUSAND: u32 = 2;
const DEATHS_PER_THOUSAND: u32 = 1;
const PROTECTIONS_PER_THOUSAND: u32 = 1;
/// People who arrive in the year, of a thousand.
const ARRIVALS_PER_THOUSAND: u64 = 8;
/// People who lose their ticket in the year, of a thousand.
const REISSUES_PER_THOUSAND: u32 = 4;
/// Sendings after which somebody who left is not sent any more.
const SENDINGS_AFTER_LEAVING: u8 = 2;
const NEVER: u8 = u8::MAX;
/// Days of the month on which registers are sent: every month has them.
const SENDING_DAYS: u32 = 28;

/// Family names that people take: kanji and reading.
const FAMILIES: [(&str, &str); 6] = [
    ("沢村", "サワムラ"),
    ("𠮷岡", "ヨシオカ"),
    ("三浦", "ミウラ"),
    ("渡邉", "ワタナベ"),
    ("髙木", "タカギ"),
    ("早川", "ハヤカワ"),
];

/// One municipality's register.
pub(super) struct Book {
    pub(super) municipality: Municipality,
    pub(super) people: Vec<Person>,
    /// Residents of sending 0.
    pub(super) settled: u64,
}

/// Somebody, with all that happens to their row.
pub(super) struct Person {
    pub(super) born: GeneratedResident,
    /// The first sending that has them, and the first that has them no more.
    from: u8,
    until: u8,
    changes: Vec<(u8, RowChange)>,
    /// On which day their ticket was reissued, and under which number.
    pub(super) reissued: Option<(i32, u64)>,
}

/// What a sending says otherwise than the one before.
#[derive(Clone, Copy)]
enum RowChange {
    Family(usize),
    MovedOut(i32),
    Deceased(i32),
    Protected,
}

/// A ticket that is reissued on a day.
#[derive(Clone, Copy)]
pub(super) struct Reissue {
    pub(super) book: usize,
    pub(super) place: usize,
}

impl Book {
    /// The books of a nation.
    pub(super) fn all(plan: &Plan, rng: &mut impl Rng) -> Vec<Book> {
        plan.municipalities
            .iter()
            .map(|&(municipality, settled)| Book::of(municipality, settled, plan.seed, rng))
            .collect()
    }

    fn of(municipality: Municipality, settled: u64, seed: u64, rng: &mut impl Rng) -> Book {
        let arrivals = settled * ARRIVALS_PER_THOUSAND / 1000 + u64::from(rng.random_ratio(1, 2));
        let reissues = |rng: &mut _| Rng::next_u32(rng) % 1000 < REISSUES_PER_THOUSAND;
        let mut people: Vec<Person> = residents(seed, municipality, settled + arrivals)
            .zip(0..)
            .map(|(born, place)| {
                Person { born, from: 0, until: NEVER, changes: Vec::new(), reissued: None }.drawn(place, settled, rng)
            })
            .collect();
        // Numbers of tickets that nobody else has: those of people who are not there.
        let mut numbers = residents(seed, municipality, settled + arrivals + settled / 50 + 8).skip(people.len());
        for person in people.iter_mut().filter(|person| person.from == 0 && person.until == NEVER) {
            if reissues(rng)
                && let Some(other) = numbers.next()
            {
                person.reissued = Some((rng.random_range(FIRST + 10..LAST - 10), other.ticket.number()));
            }
        }
        Book { municipality, people, settled }
    }

    /// Whether the register is sent on a day.
    pub(super) fn is_sent_on(&self, day: i32) -> bool {
        day_of_month(day) == self.municipality.ordinal() as u32 % SENDING_DAYS + 1
    }

    /// How many times it was sent after sending 0, until a day and on it.
    pub(super) fn sendings(&self, day: i32) -> u8 {
        days().take_while(|&before| before <= day).filter(|&before| self.is_sent_on(before)).count() as u8
    }

    /// The rows of a sending that is sent on a day, with their places.
    pub(super) fn rows(&self, sending: u8, day: i32) -> impl Iterator<Item = (usize, u64, Resident)> {
        let there =
            self.people.iter().enumerate().filter(move |(_, person)| (person.from..person.until).contains(&sending));
        there.map(move |(place, person)| (place, person.number(day), person.row(sending)))
    }

    /// A row that is ready to be loaded.
    pub(super) fn checked(&self, place: usize, number: u64, resident: Resident) -> Row {
        Row::check(number, self.people[place].born.my_number, resident, place as u64 + 2)
            .expect("a row that can be loaded")
    }

    /// Where everybody stands, by the number of their first ticket.
    pub(super) fn places(&self) -> BTreeMap<u64, usize> {
        self.people.iter().enumerate().map(|(place, person)| (person.born.ticket.number(), place)).collect()
    }

    /// A ticket of this municipality.
    pub(super) fn ticket(&self, number: u64) -> Ticket {
        Ticket::new(self.municipality, number).expect("a ticket number")
    }
}

impl Person {
    /// Draws what happens to somebody at a place of a register of which `settled` are there at the beginning.
    fn drawn(mut self, place: u64, settled: u64, rng: &mut impl Rng) -> Person {
        if place >= settled {
            self.from = rng.random_range(1..=11);
        }
        for sending in self.from.max(1)..=12 {
            let share = rng.random_range(0..1000);
            let day = FIRST + i32::from(sending) * 30 - rng.random_range(5..25);
            let (moves, deaths) = (MOVES_PER_THOUSAND, MOVES_PER_THOUSAND + DEATHS_PER_THOUSAND);
            // One stays, so that no register is ever empty.
            let leaves = place > 0 && self.until == NEVER;
            match share {
                _ if share < deaths && leaves => {
                    let change = if share < moves { RowChange::MovedOut(day) } else { RowChange::Deceased(day) };
                    self.changes.push((sending, change));
                    self.until = sending + SENDINGS_AFTER_LEAVING;
                }
                _ if (100..100 + NAMES_PER_THOUSAND).contains(&share) => {
                    let families: Vec<usize> = (0..FAMILIES.len()).collect();
                    let family = *families.choose(rng).expect("there are some");
                    self.changes.push((sending, RowChange::Family(family)));
                }
                _ if (200..200 + PROTECTIONS_PER_THOUSAND).contains(&share) => {
                    self.changes.push((sending, RowChange::Protected));
                }
                _ => {}
            }
        }
        self
    }

    /// The number of the ticket on a day.
    pub(super) fn number(&self, day: i32) -> u64 {
        self.reissued.filter(|(on, _)| *on <= day).map_or(self.born.ticket.number(), |(_, number)| number)
    }

    /// The row as a sending has it.
    pub(super) fn row(&self, sending: u8) -> Resident {
        let (status, status_date) = match self.born.movement {
            Movement::None => (ResidentStatus::Active, 0),
            Movement::MovedOut(date) => (ResidentStatus::MovedOut, date.yyyymmdd()),
            Movement::Deceased(date) => (ResidentStatus::Deceased, date.yyyymmdd()),
        };
        let sex = match self.born.sex {
            Sex::Male => SexMessage::Male,
            Sex::Female => SexMessage::Female,
            Sex::NotStated => SexMessage::Unknown,
        };
        let number = |number: ResidentNumber| format!("{:0width$}", number.value, width = usize::from(number.digits));
        let mut row = Resident {
            resident_number: self.born.resident_number.map(number).unwrap_or_default(),
            name: self.born.name(),
            name_kana: self.born.name_kana(),
            birth_date: self.born.birth_date.yyyymmdd(),
            sex: sex.into(),
            status: status.into(),
            status_date,
            protected: self.born.protected,
            ..Resident::default()
        };
        for (_, change) in self.changes.iter().filter(|(from, _)| *from <= sending) {
            match *change {
                RowChange::Family(family) => {
                    let (family, reading) = FAMILIES[family];
                    row.name = format!("{family}\u{3000}{}", self.born.given.written);
                    row.name_kana = format!("{reading}\u{3000}{}", self.born.given.reading);
                }
                RowChange::MovedOut(day) => {
                    (row.status, row.status_date) = (ResidentStatus::MovedOut.into(), yyyymmdd(day))
                }
                RowChange::Deceased(day) => {
                    (row.status, row.status_date) = (ResidentStatus::Deceased.into(), yyyymmdd(day))
                }
                RowChange::Protected => row.protected = true,
            }
        }
        row
    }

    /// Whether they were 65 or older when the programme began.
    pub(super) fn is_65_or_over(&self) -> bool {
        yyyymmdd(FIRST) - self.born.birth_date.yyyymmdd() >= 650_000
    }
}

/// The tickets that are reissued, by day.
pub(super) fn reissues(books: &[Book]) -> BTreeMap<i32, Vec<Reissue>> {
    let mut by_day: BTreeMap<i32, Vec<Reissue>> = BTreeMap::new();
    for (book, register) in books.iter().enumerate() {
        for (place, person) in register.people.iter().enumerate() {
            if let Some((day, _)) = person.reissued {
                by_day.entry(day).or_default().push(Reissue { book, place });
            }
        }
    }
    by_day
}
