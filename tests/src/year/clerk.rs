//! The people who set shots right, and what they know.
//!
//! Owns which acts are asked for on a day: 4.7 % as many as shots were recorded, of all kinds, some by somebody whose word counts too little, some by somebody who
//! does not know the shot as it is. A clerk knows what answers said and nothing else: what an act should come to is the recount's business.

use rand::seq::IndexedRandom as _;
use rand::{Rng, RngExt as _};
use sesshu_engine::intake::{Act, By, Correction, ShotRef};
use sesshu_engine::ticket::Ticket;
use sesshu_engine::{Amended, AmendmentOutcome, RecordOutcome, Recorded};
use sesshu_proto::v1::Authority;

use super::book::Book;
use super::calendar::yyyymmdd;
use super::deed::Asked;
use super::plan::{Entry, Reading, Shots};

/// Acts for a thousand shots.
pub(super) const ACTS_PER_THOUSAND: u64 = 47;

/// What clerks are up to, and how often.
const ERRANDS: [(Errand, u32); 12] = [
    (Errand::Correct, 34),
    (Errand::Misread, 14),
    (Errand::Void, 12),
    (Errand::Reinstate, 6),
    (Errand::Confirm, 12),
    (Errand::Below, 7),
    (Errand::Settle, 4),
    (Errand::Unlock, 3),
    (Errand::Stale, 4),
    (Errand::Again, 2),
    (Errand::Back, 5),
    (Errand::Reissued, 2),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Errand {
    Correct,
    /// A shot is on another's ticket.
    Misread,
    Void,
    Reinstate,
    Confirm,
    /// Below the level at which the shot is confirmed.
    Below,
    Settle,
    Unlock,
    /// By somebody who does not know the shot as it is.
    Stale,
    /// What was asked for before.
    Again,
    /// To the ticket that it was taken from.
    Back,
    /// Named by the ticket that took the place of the one which has the shot.
    Reissued,
}

/// What is known of a recorded shot, from the answers.
struct KnownShot {
    shot_id: u64,
    entry: Entry,
    at: Ticket,
    version: u64,
    confirmed: i32,
}

/// Places of shots among those that are known.
type Pool = Vec<u32>;

/// The clerks of all municipalities.
#[derive(Default)]
pub(super) struct Clerk {
    shots: Vec<KnownShot>,
    misread: Pool,
    doubles: Pool,
    voided: Pool,
    confirmed: Pool,
    amended: Pool,
    moved: Pool,
    /// Of people whose ticket is reissued at some time after the shot.
    reissued: Pool,
    held: Vec<(u32, u64)>,
    /// The last acts that were done, with the shot's place.
    done: Vec<(u32, Asked)>,
    asked: u64,
}

/// An act, and the place of its shot among those that are known.
pub(super) struct Errands {
    pub(super) places: Vec<u32>,
    pub(super) asked: Vec<Asked>,
}

impl Clerk {
    /// A shot was answered.
    pub(super) fn recorded(&mut self, books: &[Book], shots: &Shots, entry: &Entry, told: &Recorded) {
        // Shot ids ascend: of what is there already, the answer that got lost is news.
        let is_known = self.shots.last().is_some_and(|newest| told.shot_id <= newest.shot_id);
        if is_known || told.outcome == RecordOutcome::CaptureIdConflict {
            return;
        }
        let place = self.shots.len() as u32;
        match entry.reading {
            Reading::Misread => self.misread.push(place),
            Reading::Double => self.doubles.push(place),
            Reading::Right | Reading::Conflict => {
                let paper = &shots.papers[entry.paper as usize];
                let person = &books[paper.book as usize].people[paper.place as usize];
                if person.reissued.is_some() && person.born.ticket == entry.ticket {
                    self.reissued.push(place);
                }
            }
        }
        let (shot_id, at) = (told.shot_id, entry.ticket);
        self.shots.push(KnownShot { shot_id, entry: *entry, at, version: shot_id, confirmed: 0 });
    }

    /// An act was answered.
    pub(super) fn amended(&mut self, place: u32, asked: &Asked, told: &Amended) {
        let known = &mut self.shots[place as usize];
        let Some(shot) = &told.shot else { return };
        (known.at, known.version, known.confirmed) = (told.ticket, shot.sequence, shot.confirmed);
        match told.outcome {
            AmendmentOutcome::Held => self.held.push((place, told.sequence)),
            AmendmentOutcome::Amended => {
                self.amended.push(place);
                match asked.act {
                    Act::Void => self.voided.push(place),
                    Act::Confirm => self.confirmed.push(place),
                    Act::Reassign(_) => self.moved.push(place),
                    _ => {}
                }
            }
            _ => {}
        }
        if matches!(told.outcome, AmendmentOutcome::Held | AmendmentOutcome::Amended) {
            self.done.push((place, asked.clone()));
        }
    }

    /// What is asked for after as many shots as were recorded so far, on a day.
    pub(super) fn errands(&mut self, books: &[Book], shots: &Shots, day: i32, rng: &mut impl Rng) -> Errands {
        let mut errands = Errands { places: Vec::new(), asked: Vec::new() };
        while self.asked < self.shots.len() as u64 * ACTS_PER_THOUSAND / 1000 {
            let (errand, _) = *ERRANDS.choose_weighted(rng, |(_, weight)| *weight).expect("weights");
            // Where there is nothing of the kind to be done, something is corrected.
            let drawn = self.draw(errand, books, shots, day, rng);
            let drawn = drawn.or_else(|| self.draw(Errand::Correct, books, shots, day, rng));
            let Some((place, asked)) = drawn else { break };
            errands.places.push(place);
            errands.asked.push(asked);
            self.asked += 1;
        }
        errands
    }

    fn draw(
        &mut self,
        errand: Errand,
        books: &[Book],
        shots: &Shots,
        day: i32,
        rng: &mut impl Rng,
    ) -> Option<(u32, Asked)> {
        let (mut settles, mut level) = (None, Authority::MunicipalityStaff);
        let count = u32::try_from(self.shots.len()).ok().filter(|&count| count > 0)?;
        let place = match errand {
            Errand::Correct | Errand::Confirm => rng.random_range(0..count),
            Errand::Misread if rng.random_ratio(1, 8) => rng.random_range(0..count),
            Errand::Misread => take(&mut self.misread, rng)?,
            Errand::Void if self.doubles.is_empty() || rng.random_ratio(1, 2) => rng.random_range(0..count),
            Errand::Void => take(&mut self.doubles, rng)?,
            Errand::Reinstate => take(&mut self.voided, rng)?,
            Errand::Below => *self.confirmed.choose(rng)?,
            Errand::Unlock => take(&mut self.confirmed, rng)?,
            Errand::Reissued => *self.reissued.choose(rng)?,
            Errand::Stale => *self.amended.choose(rng)?,
            Errand::Back => take(&mut self.moved, rng)?,
            Errand::Settle => {
                let at = rng.random_range(0..u32::try_from(self.held.len()).ok().filter(|&held| held > 0)?);
                let (place, held) = self.held.swap_remove(at as usize);
                settles = Some(held);
                place
            }
            Errand::Again => {
                let recent = self.done.len().saturating_sub(200);
                return self.done[recent..].choose(rng).cloned();
            }
        };
        let known = &self.shots[place as usize];
        let paper = &shots.papers[known.entry.paper as usize];
        let book = &books[paper.book as usize];
        let act = match errand {
            Errand::Misread if known.entry.reading == Reading::Misread => {
                Act::Reassign(book.ticket(book.people[paper.place as usize].number(day)))
            }
            Errand::Misread => Act::Reassign(somebody(books, paper.book as usize, day, rng)),
            Errand::Back => Act::Reassign(known.entry.ticket),
            Errand::Void => Act::Void,
            Errand::Reinstate => Act::Reinstate,
            Errand::Confirm => Act::Confirm,
            Errand::Unlock => Act::Unlock,
            Errand::Below | Errand::Settle if rng.random_ratio(1, 4) => Act::Void,
            _ => Act::Correct(Box::new(correction(paper.day, u32::from(paper.shot.dose), rng))),
        };
        if errand == Errand::Below {
            level = if rng.random_ratio(1, 2) { Authority::Terminal } else { Authority::MunicipalityUpload };
        } else if known.confirmed > level as i32 || errand == Errand::Confirm && rng.random_ratio(1, 10) {
            level = Authority::National;
        }
        let version = match errand {
            Errand::Stale => Some(known.shot_id),
            _ => rng.random_ratio(1, 2).then_some(known.version),
        };
        // By the ticket that has it, by the one on which it was recorded, or by the one that the person has now.
        let ticket = match rng.random_range(0..10) {
            _ if errand == Errand::Back => known.entry.ticket,
            _ if errand == Errand::Reissued => book.ticket(book.people[paper.place as usize].number(day)),
            0..=5 => known.at,
            6..=8 => known.entry.ticket,
            _ if known.entry.reading == Reading::Misread => known.at,
            _ => book.ticket(book.people[paper.place as usize].number(day)),
        };
        let of = ShotRef { ticket, shot_id: known.shot_id };
        Some((place, Asked { of, act, by: by(level, book, rng), version, settles }))
    }
}

/// Takes a shot out of a pool.
fn take(pool: &mut Pool, rng: &mut impl Rng) -> Option<u32> {
    let count = u32::try_from(pool.len()).ok().filter(|&count| count > 0)?;
    Some(pool.swap_remove(rng.random_range(0..count) as usize))
}

/// The ticket of somebody, mostly of the same municipality.
fn somebody(books: &[Book], book: usize, day: i32, rng: &mut impl Rng) -> Ticket {
    let book = if rng.random_ratio(1, 5) { books.choose(rng).expect("there is one") } else { &books[book] };
    book.ticket(book.people.choose(rng).expect("a register is not empty").number(day))
}

fn by(authority: Authority, book: &Book, rng: &mut impl Rng) -> By {
    const REASONS: [&str; 4] = ["読み違い", "取り違え", "予診票と違う", "本人の申し出"];
    let who = format!("{} 係員 {}", book.municipality.name(), rng.random_range(1..30));
    let reason = (*REASONS.choose(rng).expect("there are some")).to_owned();
    let batch = if rng.random_ratio(1, 20) { format!("batch-{}", rng.random_range(1..400)) } else { String::new() };
    By { who, reason, authority, batch }
}

/// One field or two that are otherwise.
fn correction(day: i32, dose: u32, rng: &mut impl Rng) -> Correction {
    let mut correction = Correction::default();
    for _ in 0..rng.random_range(1..=2) {
        match rng.random_range(0..10) {
            0..=4 => correction.lot = Some(format!("FK{:04}", rng.random_range(0..10_000))),
            5 => correction.date = Some(yyyymmdd(day - rng.random_range(0..4))),
            6 => correction.dose = Some(3 - dose),
            7 => correction.vaccine = Some("武田／モデルナ".to_owned()),
            8 => correction.doctor = Some("接種　太郎".to_owned()),
            _ => {
                correction.venue = Some(format!("第{}会場", rng.random_range(1..20)));
                correction.institution = Some(format!("131{:07}", rng.random_range(0..1000)));
            }
        }
    }
    correction
}
