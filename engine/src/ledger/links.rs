//! Links: all tickets of one person.
//!
//! A ticket that is lost is replaced by one with a new number (再発行). Its row then names the new number, and the new ticket's row names the old one. Owns
//! the walk along these links, and what a person with several tickets has: the row that became known last, and the shots of all tickets. Both ends of a link
//! are in one batch of the log, so every view has both or neither.
//!
//! Off the path of a match: the flag of a frame says whether there is anything to walk along.

use std::collections::BTreeSet;

use sesshu_proto::v1::Resident;

use super::past::Moment;
use super::person::{Match, Person, Step};
use crate::error::Damage;
use crate::stored::{RowView, ShotView};
use crate::ticket::Ticket;

/// The numbers that a row names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Links {
    /// Of the tickets that its own replaced.
    pub(crate) previous: Vec<u64>,
    /// Of the ticket that replaced its own.
    pub(crate) reissued_as: Option<u64>,
}

impl Links {
    /// The links of a row.
    pub(crate) fn of(resident: &Resident) -> Links {
        Links { previous: resident.previous_numbers.clone(), reissued_as: resident.reissued_as }
    }

    /// Adds a ticket that its own replaced, unless it is there.
    pub(crate) fn name(&mut self, previous: u64) {
        if !self.previous.contains(&previous) {
            self.previous.push(previous);
        }
    }

    /// Whether there are none.
    pub(crate) fn are_none(&self) -> bool {
        self.previous.is_empty() && self.reissued_as.is_none()
    }

    /// Writes them into a row.
    pub(crate) fn put(self, resident: &mut Resident) {
        resident.previous_numbers = self.previous;
        resident.reissued_as = self.reissued_as;
    }
}

impl<'v> Person<'v> {
    /// Every ticket of the person, each behind those that it replaced, the valid one last.
    ///
    /// # Errors
    ///
    /// [`Damage`] of a row on the way.
    pub fn tickets(&self) -> Result<Vec<Ticket>, Damage> {
        if !self.is_linked()? {
            return Ok(vec![self.ticket]);
        }
        Ok(self.all_tickets(None)?.iter().map(|(person, _)| person.ticket).collect())
    }

    /// The links of the ticket's own row.
    pub(crate) fn links(&self) -> Result<Links, Damage> {
        if !self.is_linked()? {
            return Ok(Links::default());
        }
        Ok(self.own_resident()?.map(|resident| Links::of(&resident)).unwrap_or_default())
    }

    /// The tickets that replaced this one, one after another: the valid one is last. None, if it is valid itself.
    pub(crate) fn successors(&self) -> Result<Vec<Ticket>, Damage> {
        self.successors_at(None)
    }

    /// The links that its own row has, or had at a moment.
    fn links_then(&self, moment: Option<Moment>) -> Result<Links, Damage> {
        moment.map_or_else(|| self.links(), |moment| self.links_at(moment))
    }

    fn successors_at(&self, moment: Option<Moment>) -> Result<Vec<Ticket>, Damage> {
        // Whatever stored links say, no number is visited twice.
        let mut seen = BTreeSet::from([self.ticket.number()]);
        let (mut links, mut successors) = (self.links_then(moment)?, Vec::new());
        while let Some(next) = links.reissued_as.filter(|&next| seen.insert(next)) {
            let Some(person) = self.on(next)? else { break };
            links = person.links_then(moment)?;
            successors.push(person.ticket);
        }
        Ok(successors)
    }

    /// Each ticket that the person has, or had at a moment, with its links: from the valid one back, turned round.
    pub(super) fn all_tickets(&self, moment: Option<Moment>) -> Result<Vec<(Person<'v>, Links)>, Damage> {
        let valid = self.successors_at(moment)?.last().map_or(self.ticket.number(), |valid| valid.number());
        let (mut waiting, mut tickets) = (vec![valid], Vec::new());
        let mut seen = BTreeSet::from([valid]);
        while let Some(number) = waiting.pop() {
            let Some(person) = self.on(number)? else { continue };
            let links = person.links_then(moment)?;
            waiting.extend(links.previous.iter().copied().filter(|&number| seen.insert(number)));
            tickets.push((person, links));
        }
        tickets.reverse();
        Ok(tickets)
    }

    /// Does something with each ticket of the person.
    pub(super) fn each_ticket(&self, mut act: impl FnMut(&Person<'v>) -> Result<(), Damage>) -> Result<(), Damage> {
        self.all_tickets(None)?.iter().try_for_each(|(person, _)| act(person))
    }

    /// What the same view knows of another number of the ledger.
    fn on(&self, number: u64) -> Result<Option<Person<'v>>, Damage> {
        let Some(ticket) = Ticket::of_any_number(self.ledger.municipality, number) else { return Ok(None) };
        let step = Step::begin(self.ledger, &self.horizon.segments, ticket);
        match step.finish(ticket, self.ledger, self.horizon) {
            Match::Matched(person) | Match::Orphan(person) => Ok(Some(person)),
            Match::NotFound => Ok(None),
            Match::Damaged(damage) => Err(damage),
        }
    }

    /// As [`Person::newest_row`], also where there is one ticket; with the ticket whose own it is.
    pub(crate) fn row_with_ticket(&self) -> Result<Option<(Ticket, RowView<'v>)>, Damage> {
        if !self.is_linked()? {
            return Ok(self.own_row()?.map(|row| (self.ticket, row)));
        }
        let Some(newest) = self.newest_row()? else { return Ok(None) };
        for (person, _) in self.all_tickets(None)? {
            if person.own_row()?.is_some_and(|row| row == newest) {
                return Ok(Some((person.ticket, newest)));
            }
        }
        Ok(None)
    }

    /// The row that became known last, of all tickets. A ticket that the register never had has a row that says nothing but what replaced it.
    pub(super) fn newest_row(&self) -> Result<Option<RowView<'v>>, Damage> {
        self.newest_row_then(None)
    }

    /// As [`Person::newest_row`], of those that were known at a moment.
    pub(super) fn newest_row_at(&self, moment: Moment) -> Result<Option<RowView<'v>>, Damage> {
        self.newest_row_then(Some(moment))
    }

    fn newest_row_then(&self, moment: Option<Moment>) -> Result<Option<RowView<'v>>, Damage> {
        let row_of = |person: &Person<'v>| moment.map_or_else(|| person.own_row(), |moment| person.own_row_at(moment));
        let mut newest: Option<RowView<'v>> = None;
        for (person, _) in self.all_tickets(moment)? {
            let Some(row) = row_of(&person)? else { continue };
            let says_something = self.decode(row.bytes)?.is_some_and(|resident| !resident.name.is_empty());
            let is_newer = newest.is_none_or(|newest| row.known_since.0 >= newest.known_since.0);
            if says_something && is_newer {
                newest = Some(row);
            }
        }
        newest.map_or_else(|| row_of(self), |row| Ok(Some(row)))
    }

    /// Hands the shots of all tickets that are in force to `visit`, in the order they were recorded.
    pub(super) fn each_shot_of_all_tickets(&self, mut visit: impl FnMut(Ticket, ShotView<'v>)) -> Result<(), Damage> {
        let mut shots = Vec::new();
        for (person, _) in self.all_tickets(None)? {
            person.each_own_shot(|shot| shots.push((person.ticket, shot)))?;
        }
        shots.retain(|(_, shot)| shot.standing.in_force());
        shots.sort_by_key(|(_, shot)| shot.shot_id);
        shots.into_iter().for_each(|(ticket, shot)| visit(ticket, shot));
        Ok(())
    }
}
