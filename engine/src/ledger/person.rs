//! A person: what a generation and a tail know of one ticket, together.
//!
//! Owns the join, in steps that let a batch of tickets overlap their memory misses: [`Step::begin`] asks index and tail and starts to fetch what they name;
//! [`Step::finish`] reads and checks it. One ticket goes the same way.

use sesshu_proto::v1::{RecordedShot, Resident};
use smallvec::SmallVec;

use super::Ledger;
use super::shots::mark_same_doses;
use crate::error::Damage;
use crate::frame::{flag, kind};
use crate::generation::Entry;
use crate::log::Segments;
use crate::mutation::{Mutation, broken};
use crate::stored::{RowView, ShotView};
use crate::ticket::Ticket;

/// The log as one view sees it: a walk over a ticket's events skips what is newer.
#[derive(Clone)]
pub(crate) struct Horizon {
    pub(crate) segments: Segments,
    /// The newest visible event.
    pub(crate) sequence: u64,
}

/// What a ticket turned out to be.
pub enum Match<'v> {
    /// The register has it.
    Matched(Person<'v>),
    /// No register has it, but shots were recorded.
    Orphan(Person<'v>),
    /// Nothing is known of it.
    NotFound,
    /// Its bytes failed a check; nothing is returned of them.
    Damaged(Damage),
}

// A batch hands so much on for each ticket; two lines are copied without a call.
const _: () = assert!(size_of::<Match<'_>>() <= 128);

/// Where a ticket's entry and newest event lie, not read yet.
#[derive(Clone, Copy, Default)]
pub(crate) struct Step {
    /// The entry's address; 0 if the generation has none.
    entry: u64,
    /// The address of the tail's newest event; 0 if there is none.
    newest: u64,
}

/// The address of an entry whose index is damaged, which is found again, and told, by whoever goes on from there. A step is two words in two registers.
const DAMAGED: u64 = u64::MAX;

// Inlined into their two callers, the batch and the single match: what a step returns is then made where it is wanted. As a call it would go through memory
// in words and be read in pairs of words, for which the processor waits.
impl Step {
    /// Asks index and tail, and starts to fetch what they name.
    #[inline(always)]
    pub(crate) fn begin(ledger: &Ledger, segments: &Segments, ticket: Ticket) -> Step {
        let number = ticket.number();
        let mut step = Step::default();
        if let Some(generation) = &ledger.generation {
            match generation.address(number) {
                Ok(Some(address)) => {
                    generation.prefetch_entry(address);
                    step.entry = address;
                }
                Ok(None) => {}
                Err(_) => step.entry = DAMAGED,
            }
        }
        if let Some(newest) = ledger.tail.newest(number) {
            segments.prefetch(newest);
            step.newest = newest;
        }
        step
    }

    /// Reads and checks.
    #[inline(always)]
    pub(crate) fn finish<'v>(self, ticket: Ticket, ledger: &'v Ledger, horizon: &'v Horizon) -> Match<'v> {
        let mut entry = None;
        if let Some(generation) = &ledger.generation
            && self.entry != 0
        {
            if self.entry == DAMAGED
                && let Err(damage) = generation.address(ticket.number())
            {
                return Match::Damaged(damage);
            }
            match generation.entry(self.entry, ticket.number()) {
                Ok(found) => entry = Some(found),
                Err(damage) => return Match::Damaged(damage),
            }
        }
        join(ticket, ledger, entry, self.newest, horizon)
    }
}

/// Joins an entry, if there is one, with the events from `newest` back to what the generation folds.
#[inline(always)]
pub(crate) fn join<'v>(
    ticket: Ticket,
    ledger: &'v Ledger,
    entry: Option<Entry<'v>>,
    newest: u64,
    horizon: &'v Horizon,
) -> Match<'v> {
    let mut events = Events::default();
    if newest != 0
        && let Err(damage) = walk(&mut events, ticket, newest, ledger.folded_position(), horizon)
    {
        return Match::Damaged(damage);
    }
    if entry.is_none() && events.newest == 0 {
        return Match::NotFound;
    }
    let registered = events.row != 0 || entry.is_some_and(|entry| !entry.row.is_empty());
    let person = Person { ticket, ledger, horizon, entry, events };
    if registered { Match::Matched(person) } else { Match::Orphan(person) }
}

/// Collects the addresses of a ticket's events from `newest` back to `folded`, oldest first.
fn walk(
    events: &mut Events,
    ticket: Ticket,
    newest: u64,
    folded: u64,
    Horizon { segments, sequence }: &Horizon,
) -> Result<(), Damage> {
    let mut address = newest;
    while address != 0 && (address >= folded || broken(Mutation::WalkIntoFolded)) {
        let event = segments.event(address)?;
        if event.header.ticket_bits != ticket.to_bits() && !broken(Mutation::SkipTicketCheckOfEvents) {
            return Err(segments.damage(address, "a walk over a ticket's events met another ticket"));
        }
        if event.header.sequence <= *sequence || broken(Mutation::ShowNewerEvents) {
            if kind::is_of_shot(event.header.kind) {
                let amends = if event.header.kind == kind::SHOT_RECORDED { 0 } else { AMENDS };
                events.shots.push(address | amends);
            } else if events.row == 0 && event.header.kind == kind::RESIDENT_CHANGED {
                events.row = address;
            }
            events.newest = events.newest.max(address);
        }
        address = if broken(Mutation::StopWalkEarly) { 0 } else { event.previous };
    }
    events.shots.reverse();
    Ok(())
}

/// A ticket's events that its generation does not fold, by their addresses. Each was read and checked.
#[derive(Default)]
pub(super) struct Events {
    /// Of shots, oldest first; with [`AMENDS`] where it is no record.
    pub(super) shots: SmallVec<[u64; 2]>,
    /// The newest that changed the row; 0 if none did.
    pub(super) row: u64,
    /// The newest of all; 0 if there is none.
    newest: u64,
}

/// Events begin at multiples of 8.
pub(super) const AMENDS: u64 = 1;

impl Events {
    /// Whether any does more than record a shot.
    #[inline]
    pub(super) fn amend(&self) -> bool {
        self.shots.iter().any(|address| address & AMENDS != 0)
    }
}

/// Everything that one view knows of a person, by one of their tickets. Its texts are borrowed from mapped bytes; what is asked for is decoded then.
///
/// Nearly all people have one ticket. Where a ticket was reissued, the answers are the person's: of all their tickets. What is called a ticket's *own* hangs
/// on the one that was asked for.
pub struct Person<'v> {
    pub(super) ticket: Ticket,
    pub(super) ledger: &'v Ledger,
    pub(super) horizon: &'v Horizon,
    pub(super) entry: Option<Entry<'v>>,
    pub(super) events: Events,
}

impl<'v> Person<'v> {
    /// The ticket that was asked for.
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// The register row as the bytes of a `Resident` message, which can be spliced into a reply; empty for an orphan. Of the rows of several tickets it is
    /// the one that became known last.
    ///
    /// # Errors
    ///
    /// [`Damage`] of an event that changed the row, or of another ticket of the person.
    pub fn resident_bytes(&self) -> Result<&'v [u8], Damage> {
        if self.is_linked()? {
            return Ok(self.newest_row()?.map_or(&[], |row| row.bytes));
        }
        self.own_bytes()
    }

    /// The register row; `None` for an orphan.
    ///
    /// # Errors
    ///
    /// As [`Person::resident_bytes`], and if the row's bytes validate and still are no message.
    pub fn resident(&self) -> Result<Option<Resident>, Damage> {
        self.decode(self.resident_bytes()?)
    }

    /// The shots that are in force, in the order they were recorded.
    ///
    /// # Errors
    ///
    /// [`Damage`] if a shot, a text or a capture id cannot be read.
    pub fn shots(&self) -> Result<Vec<ShotView<'v>>, Damage> {
        let mut shots = Vec::with_capacity(self.own_shots_max());
        self.each_shot(|shot| shots.push(shot))?;
        Ok(shots)
    }

    /// The shots that are in force, as they travel.
    ///
    /// # Errors
    ///
    /// As [`Person::shots`].
    pub fn recorded_shots(&self) -> Result<Vec<RecordedShot>, Damage> {
        let mut shots = Vec::with_capacity(self.own_shots_max());
        if self.is_linked()? {
            self.each_shot_of_all_tickets(|ticket, shot| {
                let ticket = if ticket == self.ticket { 0 } else { ticket.to_decimal() };
                shots.push(RecordedShot { ticket, ..shot.to_recorded() });
            })?;
        } else {
            self.each_shot(|shot| shots.push(shot.to_recorded()))?;
        }
        mark_same_doses(&mut shots);
        Ok(shots)
    }

    /// Hands every shot that is in force to `visit`, in the order they were recorded; without allocating, where there is one ticket.
    ///
    /// # Errors
    ///
    /// As [`Person::shots`].
    pub fn each_shot(&self, mut visit: impl FnMut(ShotView<'v>)) -> Result<(), Damage> {
        if self.is_linked()? {
            return self.each_shot_of_all_tickets(|_, shot| visit(shot));
        }
        self.each_own_shot(|shot| {
            if shot.standing.in_force() {
                visit(shot);
            }
        })
    }

    /// The ticket's own row; `None` if it has none.
    ///
    /// # Errors
    ///
    /// As [`Person::resident`].
    pub fn own_resident(&self) -> Result<Option<Resident>, Damage> {
        self.decode(self.own_bytes()?)
    }

    /// The shots that ever were this ticket's, in force or not, as they travel.
    ///
    /// # Errors
    ///
    /// As [`Person::shots`].
    pub fn own_recorded_shots(&self) -> Result<Vec<RecordedShot>, Damage> {
        let mut shots = Vec::with_capacity(self.own_shots_max());
        self.each_own_shot(|shot| shots.push(shot.to_recorded()))?;
        mark_same_doses(&mut shots);
        Ok(shots)
    }

    /// Whether the ticket was reissued, or is one that was issued again.
    pub(crate) fn is_linked(&self) -> Result<bool, Damage> {
        let flags = match self.events.row {
            0 => self.entry.map_or(0, |entry| entry.header().flags),
            address => self.horizon.segments.event(address)?.header.flags,
        };
        Ok(flags & flag::LINKED != 0 && !broken(Mutation::ForgetLinks))
    }

    /// The ticket's own row with all that is kept of it; `None` if it has none.
    pub(crate) fn own_row(&self) -> Result<Option<RowView<'v>>, Damage> {
        if let Some(row) = self.changed_row()?.filter(|_| !broken(Mutation::ForgetChangesAtFold)) {
            return Ok(Some(row));
        }
        self.folded_row()
    }

    /// The row that the generation has of the ticket.
    pub(super) fn folded_row(&self) -> Result<Option<RowView<'v>>, Damage> {
        let (Some(generation), Some(entry)) = (&self.ledger.generation, self.entry) else { return Ok(None) };
        if entry.row.is_empty() {
            return Ok(None);
        }
        let (cold, header) = (generation.cold(&entry)?, entry.header());
        let known_since =
            if header.sequence == 0 { self.ledger.installed.since } else { (header.sequence, header.time_ms) };
        Ok(Some(RowView {
            bytes: entry.row,
            sealed_my_number: cold.sealed_my_number,
            data_key_id: cold.data_key_id,
            my_number_hash: cold.my_number_hash,
            linked: header.flags & flag::LINKED != 0,
            known_since,
            sender: cold.sender,
        }))
    }

    /// The address of the newest event that the generation does not fold; 0 if there is none.
    pub(crate) fn newest_address(&self) -> u64 {
        self.events.newest
    }

    /// The bytes of the ticket's own row; empty if it has none.
    pub(crate) fn own_bytes(&self) -> Result<&'v [u8], Damage> {
        match self.changed_row()? {
            Some(row) => Ok(row.bytes),
            None => Ok(self.entry.map_or(&[], |entry| entry.row)),
        }
    }

    /// The row that the newest change gave the ticket, if one did that the generation does not fold.
    fn changed_row(&self) -> Result<Option<RowView<'v>>, Damage> {
        if self.events.row == 0 {
            return Ok(None);
        }
        let event = self.horizon.segments.event(self.events.row)?;
        let row = RowView::of_change(event.header, event.message);
        let row = row.ok_or_else(|| self.horizon.segments.damage(event.address, "a change whose message is no row"))?;
        Ok(Some(row))
    }

    /// The message in a row's bytes; `None` if there are none.
    pub(super) fn decode(&self, bytes: &[u8]) -> Result<Option<Resident>, Damage> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let damage = |_| match (self.events.row, &self.ledger.generation) {
            (0, Some(generation)) => generation.damage(0, "a row that is no message"),
            (address, _) => self.horizon.segments.damage(address, "a row that is no message"),
        };
        Ok(Some(<Resident as prost::Message>::decode(bytes).map_err(damage)?))
    }
}
