//! What must hold at every moment: a store shows what the model holds, or says which damaged file keeps it from doing so.
//!
//! Owns the comparison of answers, and what a failure is. Damage may cost an answer, never make it wrong; a file is blamed only if it was damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::path::PathBuf;

use sesshu_engine::error::{AccessError, Damage};
use sesshu_engine::ticket::Ticket;
use sesshu_engine::{Found, Known, Moment, Status, Store, View, Within};
use sesshu_proto::v1::{RecordedShot, Resident};

use super::history::remembers;
use super::model::{CODES, Counters, HeldShot, Model};
use super::people::are_found;
use super::rows::are_remembered;
use crate::{Answer, answer, ledger, municipality, my_number, ticket};

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
    remembers(view, model, damaged)?;
    // Every walk through all rows takes its time; which moments it is done at is the seed's matter.
    if model.sequence().is_multiple_of(3) { are_remembered(view, model, damaged) } else { Ok(()) }
}

/// A view tells what was known behind an earlier event: what the model held then.
///
/// # Errors
///
/// The first [`Failure`].
pub(super) fn knew(view: &View, model: &Model, moment: u64, damaged: &Damaged) -> Result<(), Failure> {
    let moment = model.whole(moment);
    let then = model.at(moment);
    for (at, code) in CODES.into_iter().enumerate() {
        for number in model.tickets(at) {
            let asked = ticket(code, number);
            let known = match view.known_at(asked, Moment::Sequence(moment)) {
                Err(damage) => {
                    blame(&damage, damaged)?;
                    continue;
                }
                Ok(known) => known,
            };
            let (row, shots) = then.person(at, number);
            let is_known = then.ledgers[at].contains_key(&number);
            ensure(known.is_some() == is_known, "what was known is known to have been", || {
                format!("{code} {number} at {moment}: {known:?}")
            })?;
            let Some(Known { resident, shots: shown, .. }) = known else { continue };
            let answer = match resident {
                Some(resident) => Answer::Matched(Box::new(resident), shown),
                None => Answer::Orphan(shown),
            };
            compare(&answer, asked, row, &shots, damaged, || format!("{code} {number} at {moment}"))?;
        }
    }
    Ok(())
}

/// People are found by resident number, name, kana and birth date, and My Number: whoever has them now, by the valid ticket, and nobody else.
///
/// # Errors
///
/// The first [`Failure`].
pub(super) fn finds(store: &Store, model: &Model, damaged: &Damaged) -> Result<(), Failure> {
    let view = store.view();
    let keys = store.open_data_keys();
    let keys = keys.map_err(|error| Failure { property: "the key is there".into(), detail: error.to_string() })?;
    let people: Vec<(usize, u64, &Resident)> = model.people().collect();
    begin_so(&view, &people, damaged)?;
    are_found(&view, model, damaged)?;
    let my_numbers = |error: AccessError| Failure { property: "My Numbers".into(), detail: error.to_string() };
    for &(at, number, row) in &people {
        let code = CODES[at];
        let within = Within { municipality: Some(municipality(code)), limit: usize::MAX };
        let of_number = view
            .with_resident_number(municipality(code), &row.resident_number)
            .map(|people| Found { people, more: false });
        for (what, found, is_meant) in [
            ("resident number", of_number, &(|other: &Resident| other.resident_number == row.resident_number) as Meant),
            ("name", view.with_name(within, &row.name, None), &|other| other.name == row.name),
            ("kana", view.with_kana_and_birth_date(within, &row.name_kana, row.birth_date), &|other| {
                other.name_kana == row.name_kana
            }),
        ] {
            let expected = people.iter().filter(|(ledger, _, other)| *ledger == at && is_meant(other));
            let expected = expected.map(|&(ledger, number, _)| ticket(CODES[ledger], number));
            found_are(what, found, expected.collect(), damaged)?;
        }
        // The model's rows have a My Number of their resident number's, if they have one.
        let index: u64 = row.resident_number.parse().expect("digits");
        if index.is_multiple_of(3) {
            let found = match store.with_my_number_unlogged(&view, &keys, my_number(index)) {
                Err(AccessError::Damaged(damage)) => Err(damage),
                found => Ok(found.map_err(my_numbers)?),
            };
            let same = people.iter().filter(|(_, _, other)| other.resident_number == row.resident_number);
            let expected: Vec<Ticket> = same.map(|&(ledger, number, _)| ticket(CODES[ledger], number)).collect();
            found_are("My Number", found, expected.clone(), damaged)?;
            let own = ticket(code, number);
            let elsewhere = match store.elsewhere_unlogged(&view, &keys, own) {
                Err(AccessError::Damaged(damage)) => Err(damage),
                people => Ok(people.map_err(my_numbers)?),
            };
            let elsewhere = elsewhere.map(|people| Found { people, more: false });
            let others = expected.into_iter().filter(|ticket| *ticket != own).collect();
            found_are("ticket, elsewhere", elsewhere, others, damaged)?;
        }
    }
    Ok(())
}

/// People are found by the beginning of their kana, in the order of kana; with a limit the first of them.
fn begin_so(view: &View, people: &[(usize, u64, &Resident)], damaged: &Damaged) -> Result<(), Failure> {
    for (at, code) in CODES.into_iter().enumerate() {
        for beginning in ["", "ヨ", "ヨシノ"] {
            let meant = people.iter().filter(|(ledger, _, row)| *ledger == at && row.name_kana.starts_with(beginning));
            let kana: BTreeMap<Ticket, &str> =
                meant.map(|&(_, number, row)| (ticket(code, number), &*row.name_kana)).collect();
            let found = view.with_kana_beginning(municipality(code), beginning, usize::MAX);
            let Ok(all) = &found else { return found_are("beginning", found, Vec::new(), damaged) };
            let tickets = |found: &Found<'_>| found.people.iter().map(|person| person.ticket()).collect::<Vec<_>>();
            let all = tickets(all);
            found_are("beginning", found, kana.keys().copied().collect(), damaged)?;
            ensure(all.is_sorted_by_key(|ticket| kana[ticket]), "people come in the order of their kana", || {
                format!("{all:?} of {kana:?}")
            })?;
            let first = view.with_kana_beginning(municipality(code), beginning, 2);
            let Ok(first) = &first else { return found_are("beginning", first, Vec::new(), damaged) };
            let right = tickets(first) == all[..all.len().min(2)] && first.more == (all.len() > 2);
            ensure(right, "a limit leaves the first", || format!("{:?} of {all:?}", tickets(first)))?;
        }
    }
    Ok(())
}

type Meant<'a> = &'a dyn Fn(&Resident) -> bool;

pub(super) fn found_are(
    what: &str,
    found: Result<Found<'_>, Damage>,
    mut expected: Vec<Ticket>,
    damaged: &Damaged,
) -> Result<(), Failure> {
    let found = match found {
        Err(damage) => return blame(&damage, damaged),
        Ok(found) => found,
    };
    let mut tickets: Vec<Ticket> = found.people.iter().map(|person| person.ticket()).collect();
    tickets.sort_unstable();
    expected.sort_unstable();
    ensure(tickets == expected, "whoever has what is asked for is found, and nobody else", || {
        format!("by {what}: {tickets:?} instead of {expected:?}")
    })
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
            let same_dose = held.in_force()
                && shots
                    .iter()
                    .any(|(_, it)| it.in_force() && it.shot_id != held.shot_id && it.shot.dose == held.shot.dose);
            let ticket = elsewhere.map_or(0, Ticket::to_decimal);
            *shown == RecordedShot { ticket, same_dose, ..held.shown(shown) }
        });
    ensure(right, "a ticket has every shot once, with its content and time", || {
        let brief = |shown: &RecordedShot| {
            (shown.shot_id, shown.ticket, shown.sequence, shown.state(), shown.shot.clone().map(|shot| shot.lot))
        };
        let shown: Vec<_> = answer.shots().iter().map(brief).collect();
        let held: Vec<_> =
            shots.iter().map(|(on, it)| (it.shot_id, *on, it.version, it.voided, it.shot.lot.clone())).collect();
        format!("{}: {shown:?} instead of {held:?}", place())
    })
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
