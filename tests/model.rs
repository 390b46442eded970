//! Whatever is done in whatever order, a store holds what a map would hold.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use sesshu_engine::intake::Change;
use sesshu_engine::{ChangeOutcome, RecordOutcome, Store};
use sesshu_proto::v1::{Resident, ResidentStatus, Sex, Shot};
use sesshu_tests::{CHIYODA, NAHA, Place, SAPPORO, answer, ledger, municipality, resident, row, seed, shot, ticket};

const CODES: [u32; 3] = [CHIYODA, SAPPORO, NAHA];
const TICKETS: u64 = 12;

#[derive(Clone, Debug)]
enum Act {
    /// Rows, tickets of rejected rows, the register's version.
    Load(usize, Vec<u64>, Vec<u64>, u32),
    /// One command.
    Record(Vec<Offered>),
    /// The row of a ticket becomes that of a version.
    Change(usize, u64, u32),
    /// The second ticket replaces the first, with the row of a version.
    Reissue(usize, u64, u64, u32),
    Close,
    /// The process ends without a word; what was written stays.
    Crash,
}

#[derive(Clone, Debug)]
struct Offered {
    ledger: usize,
    number: u64,
    content: u32,
    capture: u32,
}

impl Offered {
    fn capture_id(&self) -> String {
        if self.capture == 0 { String::new() } else { format!("c-{}", self.capture) }
    }
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let numbers = || btree_set(0..TICKETS, 0..TICKETS as usize).prop_map(|set| set.into_iter().collect::<Vec<_>>());
    let offered = (0..CODES.len(), 0..TICKETS, 0..3u32, 0..4u32)
        .prop_map(|(ledger, number, content, capture)| Offered { ledger, number, content, capture });
    let act = prop_oneof![
        3 => (0..CODES.len(), numbers(), numbers(), 0..3u32).prop_map(|(at, rows, kept, version)| Act::Load(at, rows, kept, version)),
        6 => vec(offered, 1..12).prop_map(Act::Record),
        2 => (0..CODES.len(), 0..TICKETS, 0..3u32).prop_map(|(at, number, version)| Act::Change(at, number, version)),
        2 => (0..CODES.len(), 0..TICKETS, 1..TICKETS, 0..3u32)
            .prop_map(|(at, from, step, version)| Act::Reissue(at, from, (from + step) % TICKETS, version)),
        1 => Just(Act::Close),
        1 => Just(Act::Crash),
    ];
    vec(act, 1..25)
}

#[derive(Default)]
struct Ticket {
    /// Without links. Of a ticket that the register never had, but has as replaced: the default.
    row: Option<Resident>,
    replaced_by: Option<u64>,
    /// Content, capture id, shot id.
    shots: Vec<(u32, String, u64)>,
}

#[derive(Default)]
struct Model {
    ledgers: [BTreeMap<u64, Ticket>; CODES.len()],
    sequence: u64,
}

fn stored_row(number: u64, version: u32) -> Resident {
    let mut row = resident(number, version);
    row.set_status(ResidentStatus::Active);
    row.set_sex(Sex::Unknown);
    row
}

impl Model {
    fn load(&mut self, at: usize, rows: &[u64], kept: &[u64], version: u32) {
        let has = |number: &u64| rows.contains(number) || kept.contains(number);
        let gone: Vec<u64> = self.ledgers[at]
            .keys()
            .copied()
            .filter(|&number| self.valid(at, number) == number && !self.tickets(at, number).iter().any(has))
            .collect();
        let ledger = &mut self.ledgers[at];
        for number in gone {
            if let Some(row) = ledger.get_mut(&number).and_then(|ticket| ticket.row.as_mut()) {
                row.set_status(ResidentStatus::Removed);
            }
        }
        for &number in rows {
            ledger.entry(number).or_default().row = Some(stored_row(number, version));
        }
        self.sequence += 1;
    }

    fn change(&mut self, at: usize, number: u64, version: u32) -> ChangeOutcome {
        let ticket = self.ledgers[at].entry(number).or_default();
        let before = ticket.row.replace(stored_row(number, version));
        let outcome = match before {
            None => ChangeOutcome::Added,
            Some(before) if Some(&before) == ticket.row.as_ref() => return ChangeOutcome::Unchanged,
            Some(_) => ChangeOutcome::Changed,
        };
        self.sequence += 1;
        outcome
    }

    fn reissue(&mut self, at: usize, from: u64, to: u64, version: u32) -> ChangeOutcome {
        if self.successors(at, from).contains(&to) {
            return self.change(at, to, version);
        }
        if self.ledgers[at].get(&to).is_some_and(|ticket| ticket.replaced_by.is_some()) {
            return ChangeOutcome::Superseded;
        }
        let valid = self.valid(at, from);
        let replaced = self.ledgers[at].entry(valid).or_default();
        replaced.replaced_by = Some(to);
        replaced.row.get_or_insert_default();
        // The new row names the old one, so it is another, whatever else it says.
        let is_new = self.ledgers[at].entry(to).or_default().row.replace(stored_row(to, version)).is_none();
        self.sequence += 2;
        if is_new { ChangeOutcome::Added } else { ChangeOutcome::Changed }
    }

    fn successors(&self, at: usize, number: u64) -> Vec<u64> {
        let next = |number: &u64| self.ledgers[at].get(number)?.replaced_by;
        std::iter::successors(next(&number), next).collect()
    }

    fn valid(&self, at: usize, number: u64) -> u64 {
        self.successors(at, number).last().copied().unwrap_or(number)
    }

    /// The tickets of a person, ascending.
    fn tickets(&self, at: usize, number: u64) -> Vec<u64> {
        (0..TICKETS).filter(|&other| self.valid(at, other) == self.valid(at, number)).collect()
    }

    fn record(&mut self, offered: &Offered) -> (RecordOutcome, u64) {
        let ticket = self.ledgers[offered.ledger].entry(offered.number).or_default();
        let capture_id = offered.capture_id();
        for (content, held, shot_id) in &ticket.shots {
            match (*held == capture_id, *content == offered.content) {
                (true, true) => return (RecordOutcome::AlreadyRecorded, *shot_id),
                (true, false) if !capture_id.is_empty() => return (RecordOutcome::CaptureIdConflict, *shot_id),
                _ => {}
            }
        }
        self.sequence += 1;
        ticket.shots.push((offered.content, capture_id, self.sequence));
        let outcome = if ticket.row.is_some() { RecordOutcome::Recorded } else { RecordOutcome::Orphan };
        (outcome, self.sequence)
    }

    fn check(&self, store: &Store) -> Result<(), TestCaseError> {
        let view = store.view();
        prop_assert_eq!(view.sequence(), self.sequence);
        for (at, (code, tickets)) in CODES.into_iter().zip(&self.ledgers).enumerate() {
            let whole = ledger(&view, code).map_err(|damage| TestCaseError::fail(damage.to_string()))?;
            prop_assert!(whole.keys().eq(tickets.keys()), "{:?} {:?}", whole.keys(), tickets.keys());
            for number in 0..=TICKETS {
                let answer = answer(&view, ticket(code, number));
                let (Some(held), Some(model)) = (whole.get(&number), tickets.get(&number)) else {
                    prop_assert_eq!(answer, sesshu_tests::Answer::NotFound);
                    continue;
                };
                let all: Vec<u64> = self.tickets(at, number);
                let mut shots: Vec<u64> = all
                    .iter()
                    .filter_map(|other| whole.get(other))
                    .flat_map(|it| it.shots())
                    .map(|it| it.shot_id)
                    .collect();
                shots.sort_unstable();
                prop_assert!(
                    answer.shots().iter().map(|it| it.shot_id).eq(shots),
                    "a match shows those of all tickets"
                );
                if all.len() == 1 {
                    prop_assert_eq!(&answer, held);
                }
                let mut row = held.resident().cloned();
                if let Some(row) = &mut row {
                    // The day on which the load ran.
                    row.status_date = 0;
                    let mut previous = std::mem::take(&mut row.previous_numbers);
                    previous.sort_unstable();
                    let named =
                        |(other, ticket): (&u64, &Ticket)| (ticket.replaced_by == Some(number)).then_some(*other);
                    prop_assert_eq!(previous, tickets.iter().filter_map(named).collect::<Vec<_>>());
                    prop_assert_eq!(row.reissued_as.take(), model.replaced_by);
                }
                prop_assert_eq!(&row, &model.row);
                let shots: Vec<_> =
                    held.shots().iter().map(|it| (it.shot_id, unwarned(it.shot.clone().unwrap_or_default()))).collect();
                let expected: Vec<_> = model
                    .shots
                    .iter()
                    .map(|(content, capture_id, id)| {
                        (*id, shot(ticket(code, number), *content, capture_id).shot().clone())
                    })
                    .collect();
                prop_assert_eq!(shots, expected);
            }
        }
        let tickets = || self.ledgers.iter().flat_map(BTreeMap::values);
        let status = store.status();
        prop_assert_eq!(status.shots, tickets().map(|ticket| ticket.shots.len() as u64).sum::<u64>());
        prop_assert_eq!(status.residents, tickets().filter(|ticket| ticket.row.is_some()).count() as u64);
        prop_assert_eq!(status.orphans, tickets().filter(|ticket| ticket.row.is_none()).count() as u64);
        Ok(())
    }
}

/// The shot as it was sent: what the rules say is another test's.
fn unwarned(shot: Shot) -> Shot {
    Shot { warnings: Vec::new(), ..shot }
}

fn run(acts: Vec<Act>) -> Result<(), TestCaseError> {
    let mut model = Model::default();
    let mut place = Place::in_memory();
    let mut store = place.open();
    for act in acts {
        match act {
            Act::Load(_, rows, ..) if rows.is_empty() => {}
            Act::Load(at, rows, kept, version) => {
                let mut load = store.load(municipality(CODES[at])).map_err(failed)?;
                for &number in &rows {
                    load.push(row(number, version)).map_err(failed)?;
                }
                kept.iter().for_each(|&number| load.keep(number));
                load.commit(Some((rows.len() + kept.len()) as u64)).map_err(failed)?;
                model.load(at, &rows, &kept, version);
            }
            Act::Record(offered) => {
                let shots = offered
                    .iter()
                    .map(|it| shot(ticket(CODES[it.ledger], it.number), it.content, &it.capture_id()))
                    .collect();
                for (recorded, offered) in store.record_many(shots).into_iter().zip(&offered) {
                    let recorded = recorded.map_err(failed)?;
                    prop_assert_eq!((recorded.outcome, recorded.shot_id), model.record(offered));
                }
            }
            Act::Change(at, number, version) => {
                let change = Change::row(municipality(CODES[at]), row(number, version));
                prop_assert_eq!(apply(&store, change)?, model.change(at, number, version));
            }
            Act::Reissue(at, from, to, version) => {
                let change = Change::reissue(municipality(CODES[at]), from, row(to, version)).map_err(failed)?;
                prop_assert_eq!(apply(&store, change)?, model.reissue(at, from, to, version));
            }
            Act::Close => {
                drop(store);
                store = place.open();
            }
            Act::Crash => {
                let copy = place.copy();
                drop(store);
                place = copy;
                store = place.open();
            }
        }
        model.check(&store)?;
    }
    Ok(())
}

fn apply(store: &Store, change: Change) -> Result<ChangeOutcome, TestCaseError> {
    let mut answers = store.change(&[change]).map_err(failed)?;
    Ok(answers.pop().expect("an answer for each").map_err(failed)?.outcome)
}

fn failed(error: impl std::error::Error) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

#[test]
fn a_store_holds_what_a_map_would_hold() {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed().to_le_bytes());
    let config = Config { cases: 100, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    match runner.run(&acts(), run) {
        Ok(()) => {}
        Err(TestError::Fail(reason, acts)) => panic!("{reason}\nthe shortest way there: {acts:#?}"),
        Err(error) => panic!("{error}"),
    }
}
