//! Where a recorded shot is now.
//!
//! Owns the way to it: a shot is named by a ticket that it is on, or was on, and by its id. It is looked for on all tickets of the person, and followed where it
//! was reassigned.

use std::collections::HashSet;

use super::view::{Match, View};
use crate::error::Damage;
use crate::intake::ShotRef;
use crate::ledger::Person;
use crate::life::Life;
use crate::ticket::Ticket;

/// A shot where it is now.
pub(super) struct Located<'v> {
    /// By the ticket that has it.
    pub(super) person: Person<'v>,
    pub(super) life: Life<'v>,
}

/// The shot, if its ticket ever had it; and every ticket that was looked at.
pub(super) fn locate(view: &View, of: ShotRef) -> Result<(Option<Located<'_>>, Vec<Ticket>), Damage> {
    // A shot that came back is on its way's first ticket again. Only one ticket has it now.
    let (mut looked_at, mut seen) = (Vec::new(), HashSet::new());
    let mut waiting = vec![of.ticket];
    while let Some(ticket) = waiting.pop() {
        let Some(person) = person_of(view, ticket)? else {
            looked_at.push(ticket);
            continue;
        };
        for ticket in person.tickets()? {
            if !seen.insert(ticket) {
                continue;
            }
            looked_at.push(ticket);
            let Some(person) = person_of(view, ticket)? else { continue };
            let Some(life) = person.own_life(of.shot_id)? else { continue };
            match life.shot.standing.reassigned_to {
                0 => return Ok((Some(Located { person, life }), looked_at)),
                to => waiting.extend(Ticket::from_decimal(to).ok()),
            }
        }
    }
    Ok((None, looked_at))
}

/// What a view knows of a ticket.
pub(super) fn person_of(view: &View, ticket: Ticket) -> Result<Option<Person<'_>>, Damage> {
    match view.match_ticket(ticket) {
        Match::Matched(person) | Match::Orphan(person) => Ok(Some(person)),
        Match::NotFound => Ok(None),
        Match::Damaged(damage) => Err(damage),
    }
}
