//! What happened in the venues, and what was read of it: the shots of the year and the day on which each is handed in.
//!
//! Owns the papers (a shot as it was given, made by the generator, on a day of the year's curve) and the readings of them: late ones, numbers that were misread,
//! papers that were read twice, answers that got lost so that a terminal sends again, and capture ids that a terminal used for something else.

use rand::seq::SliceRandom as _;
use rand::{Rng, RngExt as _};
use sesshu::generate::{GeneratedShot, shots_of};
use sesshu_engine::intake::ShotRecord;
use sesshu_engine::ticket::{Date, Ticket, TicketLine};
use sesshu_proto::v1::{Shot, Source};

use super::book::Book;
use super::calendar::{Curve, FIRST, LAST, days_late};

/// Shots for ten residents: two for most.
const SHOTS_PER_TEN: u64 = 18;
/// Readings of a thousand that show another number, that are of a paper which was read before, and that are sent twice; of ten thousand, whose capture id comes
/// again with other content.
const MISREAD_PER_THOUSAND: u32 = 5;
const DOUBLE_PER_THOUSAND: u32 = 3;
const REPEATED_PER_THOUSAND: u32 = 4;
const CONFLICTING_PER_TEN_THOUSAND: u32 = 10;
/// From how many days on a shot comes in a file.
const LATE_DAYS: i32 = 7;

/// A shot that was given, and to whom.
pub(super) struct Paper {
    pub(super) shot: GeneratedShot,
    pub(super) book: u32,
    pub(super) place: u32,
    pub(super) day: i32,
}

/// What a reading makes of a paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// What it says.
    Right,
    /// Another number.
    Misread,
    /// What it says, once more, under another capture id.
    Double,
    /// Another lot, under the same capture id.
    Conflict,
}

/// A shot that is handed in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) paper: u32,
    pub(super) reading: Reading,
    /// In a file, days after.
    pub(super) in_file: bool,
    /// As it was read.
    pub(super) ticket: Ticket,
}

/// The papers of the year and what is handed in on each of its days.
pub(super) struct Shots {
    pub(super) papers: Vec<Paper>,
    pub(super) by_day: Vec<Vec<Entry>>,
}

impl Shots {
    pub(super) fn draw(books: &[Book], seed: u64, rng: &mut impl Rng) -> Shots {
        let mut papers = Vec::new();
        for (at, book) in books.iter().enumerate() {
            put_papers(&mut papers, at as u32, book, seed, rng);
        }
        let mut by_day = vec![Vec::new(); (LAST - FIRST + 1) as usize];
        for (at, paper) in papers.iter().enumerate() {
            put_entries(&mut by_day, at as u32, paper, &books[paper.book as usize], rng);
        }
        by_day.iter_mut().for_each(|entries| entries.shuffle(rng));
        Shots { papers, by_day }
    }

    pub(super) fn of_day(&self, day: i32) -> &[Entry] {
        &self.by_day[(day - FIRST) as usize]
    }

    /// What is handed in, before it is checked.
    pub(super) fn message(&self, entry: &Entry) -> Shot {
        let Paper { shot, .. } = &self.papers[entry.paper as usize];
        let capture_id = match entry.reading {
            Reading::Double => format!("{}-2", shot.capture_id),
            _ => shot.capture_id.clone(),
        };
        Shot {
            date: shot.date.yyyymmdd(),
            dose: u32::from(shot.dose),
            vaccine: shot.maker.name().to_owned(),
            lot: if entry.reading == Reading::Conflict { "ZZ9999".to_owned() } else { shot.lot.to_string() },
            venue: shot.venue.name.clone(),
            institution: shot.venue.institution_code.clone().unwrap_or_default(),
            doctor: shot.venue.doctors[shot.doctor].clone(),
            capture_id,
            source: if entry.in_file { Source::File } else { Source::Terminal }.into(),
            recorded_by: if entry.in_file { String::new() } else { format!("端末 {}", entry.paper % 40_000) },
            stub: 20 + u32::from(shot.dose),
            ..Shot::default()
        }
    }

    /// What is handed in.
    pub(super) fn record(&self, entry: &Entry) -> ShotRecord {
        let message = self.message(entry);
        let text = format!("{}{:016}", message.stub, entry.ticket.to_decimal());
        let line = TicketLine::parse(&text).expect("a ticket line");
        ShotRecord::check(line, message).expect("a shot that can be recorded")
    }
}

fn put_papers(papers: &mut Vec<Paper>, at: u32, book: &Book, seed: u64, rng: &mut impl Rng) {
    let (curve, places) = (Curve::new(), book.places());
    let residents = book.people.len() as u64;
    let (mut first, mut generated) = (FIRST, FIRST);
    for mut shot in shots_of(seed, book.municipality, residents, residents * SHOTS_PER_TEN / 10) {
        let place = places[&shot.ticket.number()];
        if shot.dose == 1 {
            generated = shot.date.days_since_epoch();
            first = curve.first_day(rng, book.people[place].is_65_or_over());
        }
        // As long after the first dose as the generator has it.
        let day = (first + shot.date.days_since_epoch() - generated).min(LAST);
        shot.date = Date::from_days_since_epoch(day).expect("a day of the year");
        papers.push(Paper { shot, book: at, place: place as u32, day });
    }
}

fn put_entries(by_day: &mut [Vec<Entry>], at: u32, paper: &Paper, book: &Book, rng: &mut impl Rng) {
    let late = days_late(rng);
    let mut put = |days: i32, entry: Entry| by_day[((paper.day + days).min(LAST) - FIRST) as usize].push(entry);
    let right = book.ticket(book.people[paper.place as usize].number(paper.day));
    let entry = Entry { paper: at, reading: Reading::Right, in_file: late > LATE_DAYS, ticket: right };
    let share = rng.random_range(0..1000);
    let misread = (share < MISREAD_PER_THOUSAND).then(|| misread(right.number()));
    let entry = match misread.flatten() {
        Some(number) => Entry { reading: Reading::Misread, ticket: book.ticket(number), ..entry },
        None => entry,
    };
    put(late, entry);
    if (100..100 + DOUBLE_PER_THOUSAND).contains(&share) {
        put(late + rng.random_range(0..20), Entry { reading: Reading::Double, ..entry });
    }
    if (200..200 + REPEATED_PER_THOUSAND).contains(&share) {
        let days = if rng.random_ratio(1, 2) { 0 } else { rng.random_range(1..90) };
        put(late + days, entry);
    }
    if rng.random_range(0..10_000) < CONFLICTING_PER_TEN_THOUSAND && paper.day + late < LAST {
        put(late + 1, Entry { reading: Reading::Conflict, ..entry });
    }
}

/// The number with a 1 read as 4, or a 4 as 1; `None` if it has neither.
fn misread(number: u64) -> Option<u64> {
    (0..10).map(|place| 10_u64.pow(place)).find_map(|place| match number / place % 10 {
        1 => Some(number + 3 * place),
        4 => Some(number - 3 * place),
        _ => None,
    })
}
