//! Finding people without a ticket, for whom shots were recorded all the same.
//!
//! Owns who is one of them: what stands for a ticket, and has shots in force. Who was linked to a ticket has none any more. The number that stands for a ticket
//! is the same in every ledger, so it needs no table: the ledgers that have such people are matched side by side, and no other is looked at.

use sesshu_proto::v1::Provisional;

use super::find::{Found, Within};
use super::view::{Match, View};
use crate::error::Damage;
use crate::intake::provisional_ticket;
use crate::ledger::Person;
use crate::names::fold_kana;
use crate::stored::ShotView;
use crate::ticket::{Municipality, Ticket};

impl View {
    /// The people without a ticket for whom shots were recorded under these kana, however they are typed, and this birth date.
    ///
    /// # Errors
    ///
    /// As [`View::with_resident_number`].
    pub fn without_ticket(&self, within: Within, kana: &str, birth_date: u32) -> Result<Found<'_>, Damage> {
        let asked = Provisional { name_kana: kana.to_owned(), birth_date };
        let ledgers = self.ledgers.iter().filter(|ledger| ledger.has_people_without_ticket());
        let ledgers = ledgers.map(|ledger| ledger.municipality);
        let municipalities = ledgers.filter(|it| within.municipality.is_none_or(|municipality| municipality == *it));
        let tickets: Vec<Ticket> = municipalities.map(|it| provisional_ticket(it, &asked)).collect();
        let mut found = Ok(Found { people: Vec::new(), more: false });
        self.match_batch(&tickets, |_, person| {
            let Ok(so_far) = &mut found else { return };
            let added = match person {
                Match::Matched(person) | Match::Orphan(person) => {
                    waits_for(&person, &asked).map(|it| it.then_some(person))
                }
                Match::NotFound => Ok(None),
                Match::Damaged(damage) => Err(damage),
            };
            match added {
                Ok(Some(_)) if so_far.people.len() == within.limit => so_far.more = true,
                Ok(person) => so_far.people.extend(person),
                Err(damage) => found = Err(damage),
            }
        });
        found
    }

    /// The people of a municipality without a ticket for whom shots were recorded that nobody has linked to one yet, in the order of the numbers that stand for
    /// their tickets.
    ///
    /// # Errors
    ///
    /// [`Damage`] of anything that could be one of them.
    pub fn all_without_ticket(&self, municipality: Municipality) -> Result<Vec<Person<'_>>, Damage> {
        let mut people = Vec::new();
        for item in self.ledger_without_tickets(municipality)? {
            match item? {
                (_, Match::Orphan(person)) if !person.shots()?.is_empty() => people.push(person),
                (_, Match::Damaged(damage)) => return Err(damage),
                _ => {}
            }
        }
        Ok(people)
    }
}

/// Whether what stands for a ticket has shots that were recorded for this person, and that nobody has linked to a ticket yet.
fn waits_for(person: &Person<'_>, asked: &Provisional) -> Result<bool, Damage> {
    let is_asked =
        |of: Provisional| of.birth_date == asked.birth_date && fold_kana(&of.name_kana) == fold_kana(&asked.name_kana);
    Ok(person.shots()?.iter().filter_map(ShotView::provisional).any(is_asked))
}
