//! People without a ticket, for whom shots of a run are recorded.
//!
//! Owns who they are, how their kana are typed, and what finding them should say. One has the kana and the birth date of rows; one is born while the shots are
//! given.

use sesshu_engine::intake::provisional_ticket;
use sesshu_engine::ticket::NUMBER_MAX;
use sesshu_engine::{View, Within};
use sesshu_proto::v1::Provisional;

use super::model::{CODES, Model};
use super::properties::{Damaged, Failure, found_are};
use super::workload::LEDGERS;
use crate::{municipality, ticket};

/// How many there are.
pub(super) const PEOPLE: usize = 3;

/// Kana, the same typed otherwise, and birth dates.
const WHO: [([&str; 2], u32); PEOPLE] = [
    (["ヤマダ　ハナコ", "ﾔﾏﾀﾞﾊﾅｺ"], 19_400_000),
    (["サトウ　イチロウ", "さとう いちろう"], 19_561_231),
    (["スズキ　アオイ", "スズキ・アオイ"], 20_210_415),
];

/// A person, as a record with this content types them.
fn person(who: usize, content: u32) -> Provisional {
    let (typed, birth_date) = WHO[who];
    Provisional { name_kana: typed[content as usize % 2].into(), birth_date }
}

/// The number that stands for a person's ticket, in every ledger.
pub(super) fn number(who: usize) -> u64 {
    provisional_ticket(municipality(CODES[0]), &person(who, 0)).number()
}

/// Whether a number stands for a person's ticket.
pub(super) fn is_person(number: u64) -> bool {
    number > NUMBER_MAX
}

/// For whom a shot with this content is recorded, if the number is no ticket's.
pub(super) fn of_number(number: u64, content: u32) -> Option<Provisional> {
    (0..PEOPLE).find(|&who| self::number(who) == number).map(|who| person(who, content))
}

/// The person of a number.
fn who(person: &Provisional) -> Option<usize> {
    WHO.iter().position(|(typed, birth_date)| typed.contains(&&*person.name_kana) && *birth_date == person.birth_date)
}

/// Whether a shot may be moved to what stands for a person's ticket: it was recorded for them.
pub(super) fn takes(number: u64, person: Option<&Provisional>) -> bool {
    !is_person(number) || person.and_then(who).is_some_and(|who| self::number(who) == number)
}

/// People without a ticket are found, in whatever way their kana are typed, while a shot of theirs waits to be linked.
///
/// # Errors
///
/// The first [`Failure`].
pub(super) fn are_found(view: &View, model: &Model, damaged: &Damaged) -> Result<(), Failure> {
    let waits = |ledger: usize, number: u64| {
        model.ledgers[ledger].get(&number).is_some_and(|it| it.shots.iter().any(super::model::HeldShot::in_force))
    };
    for who in 0..PEOPLE {
        let Provisional { name_kana, birth_date } = person(who, view.sequence() as u32);
        let within = Within { municipality: None, limit: usize::MAX };
        let expected = (0..LEDGERS).filter(|&ledger| waits(ledger, number(who)));
        let expected = expected.map(|ledger| ticket(CODES[ledger], number(who))).collect();
        found_are("who has no ticket", view.without_ticket(within, &name_kana, birth_date), expected, damaged)?;
    }
    for (ledger, code) in CODES.into_iter().enumerate() {
        let expected = (0..PEOPLE).map(number).filter(|&number| waits(ledger, number));
        let expected = expected.map(|number| ticket(code, number)).collect();
        let found = view.all_without_ticket(municipality(code));
        let found = found.map(|people| sesshu_engine::Found { people, more: false });
        found_are("having no ticket", found, expected, damaged)?;
    }
    Ok(())
}
