//! What must hold at every moment: a store shows what the model holds, or says which damaged file keeps it from doing so.
//!
//! Owns the comparison of answers, and what a failure is. Damage may cost an answer, never make it wrong; a file is blamed only if it was damaged.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::path::PathBuf;

use sesshu_engine::error::Damage;
use sesshu_engine::ticket::Ticket;
use sesshu_engine::{Status, Store, View};
use sesshu_proto::v1::{RecordedShot, Resident};

use super::model::{CODES, Counters, HeldShot, Model};
use crate::{Answer, answer, ledger, municipality, ticket};

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Which.
    pub property: String,
    /// What was seen instead.
    pub detail: String,
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  {}", self.property, self.detail)
    }
}

/// Fails with the property unless `holds`.
///
/// # Errors
///
/// The [`Failure`].
pub(super) fn ensure(holds: bool, property: &str, detail: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure { property: property.into(), detail: detail() }) }
}

/// Files that were damaged so far.
pub(super) type Damaged = BTreeSet<PathBuf>;

/// Whether damage is told of a file that has some.
///
/// # Errors
///
/// A [`Failure`] if it is not.
pub(super) fn blame(damage: &Damage, damaged: &Damaged) -> Result<(), Failure> {
    ensure(damaged.contains(&damage.file), "only damaged files are called damaged", || {
        format!("{damage}, not of {damaged:?}")
    })
}

/// A view shows what the model holds, whole ledgers and single tickets.
///
/// # Errors
///
/// The first [`Failure`].
pub(super) fn shows(view: &View, model: &Model, damaged: &Damaged) -> Result<(), Failure> {
    let (shown, held) = (view.sequence(), model.sequence());
    ensure(shown == held, "a view shows the newest event", || format!("{shown} instead of {held}"))?;
    for (at, code) in CODES.into_iter().enumerate() {
        for number in model.tickets(at) {
            let answer = answer(view, ticket(code, number));
            let (row, shots) = model.person(at, number);
            compare(&answer, ticket(code, number), row, &shots, damaged, || format!("{code} {number}"))?;
        }
        for (&number, held) in &model.ledgers[at] {
            let Some(row) = held.row.as_ref().filter(|row| !row.name.is_empty()) else { continue };
            match view.with_resident_number(municipality(code), &row.resident_number) {
                Err(damage) => blame(&damage, damaged)?,
                Ok(people) => {
                    let found: Vec<u64> = people.iter().map(|person| person.ticket().number()).collect();
                    ensure(found == [number], "a resident number leads to its resident", || {
                        format!("{code} {number}: {found:?}")
                    })?;
                }
            }
        }
        match ledger(view, code) {
            Err(damage) => blame(&damage, damaged)?,
            Ok(answers) => {
                let known = || model.ledgers[at].keys();
                // A ticket whose newest event is damaged may be one that this view knows nothing of.
                let sound = answers.iter().filter(|(number, answer)| {
                    !matches!(answer, Answer::Damaged(_)) || model.ledgers[at].contains_key(number)
                });
                ensure(sound.map(|(number, _)| number).eq(known()), "a ledger lists every ticket once", || {
                    format!("{code}: {:?} instead of {:?}", answers.keys(), known())
                })?;
                for (number, answer) in &answers {
                    let held = model.ledgers[at].get(number);
                    let shots: Vec<_> = held.iter().flat_map(|held| &held.shots).map(|shot| (*number, shot)).collect();
                    let row = held.and_then(|held| held.row.as_ref());
                    compare(answer, ticket(code, *number), row, &shots, damaged, || {
                        format!("{code} {number}, in its ledger")
                    })?;
                }
            }
        }
    }
    Ok(())
}

fn compare(
    answer: &Answer,
    asked: Ticket,
    row: Option<&Resident>,
    shots: &[(u64, &HeldShot)],
    damaged: &Damaged,
    place: impl Fn() -> String,
) -> Result<(), Failure> {
    if let Answer::Damaged(damage) = answer {
        return blame(damage, damaged);
    }
    ensure(answer.resident() == row, "a ticket has the row that its register gave it", || {
        format!("{}: {:?} instead of {row:?}", place(), answer.resident())
    })?;
    let right = answer.shots().len() == shots.len()
        && answer.shots().iter().zip(shots).all(|(shown, (number, held))| {
            let elsewhere = Ticket::new(asked.municipality(), *number).ok().filter(|ticket| *ticket != asked);
            same(shown, held) && shown.ticket == elsewhere.map_or(0, Ticket::to_decimal)
        });
    ensure(right, "a ticket has every shot once, with its content and time", || {
        let brief = |shown: &RecordedShot| {
            (shown.shot_id, shown.ticket, shown.recorded_at, shown.shot.clone().map(|shot| shot.lot))
        };
        let shown: Vec<_> = answer.shots().iter().map(brief).collect();
        let held: Vec<_> =
            shots.iter().map(|(on, it)| (it.shot_id, *on, it.recorded_at.get(), it.shot.lot.clone())).collect();
        format!("{}: {shown:?} instead of {held:?}", place())
    })
}

/// Whether they are the same; learns the time of a shot whose record was in doubt.
fn same(shown: &RecordedShot, held: &HeldShot) -> bool {
    let learn = |time: &Cell<u64>| {
        if time.get() == 0 {
            time.set(shown.recorded_at);
        }
        time.get()
    };
    shown.shot_id == held.shot_id
        && shown.sequence == held.shot_id
        && shown.shot.as_ref() == Some(&*held.shot)
        && shown.recorded_at == learn(&held.recorded_at)
}

/// What is counted is what is there. Where the index is damaged, an orphan may go uncounted.
///
/// # Errors
///
/// A [`Failure`].
pub(super) fn counts(store: &Store, model: &Model, damaged: &Damaged) -> Result<(), Failure> {
    let Status { sequence, residents, orphans, shots, tail_tickets, .. } = store.status();
    let shown = Counters { residents, orphans, shots, tail_tickets };
    let right = (sequence, &shown) == (model.sequence(), &model.counters());
    ensure(right || !damaged.is_empty(), "the counters say what is there", || {
        format!("{sequence}, {shown:?} instead of {}, {:?}", model.sequence(), model.counters())
    })
}
