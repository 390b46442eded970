//! A person: what a generation and a tail know of one ticket, together.
//!
//! Owns the join, in the two steps that let a batch of tickets overlap their memory misses: [`Step::begin`] probes index and tail and starts to fetch what
//! they name; [`Step::finish`] reads and checks it. One ticket goes the same way.

use sesshu_proto::v1::{RecordedShot, Resident};
use smallvec::SmallVec;

use super::Ledger;
use crate::error::Damage;
use crate::generation::{Entry, Generation};
use crate::log::{Event, Segments};
use crate::mutation::{Mutation, broken};
use crate::stored::ShotView;
use crate::ticket::Ticket;

/// The end of a walk over a ticket's events: it stops at what is folded, and skips what is newer than the view.
#[derive(Clone, Copy)]
pub(crate) struct Horizon {
    /// Events after this sequence are not visible.
    pub(crate) visible: u64,
}

/// A ticket whose places are known, and not read yet.
pub(crate) struct Step<'v> {
    ticket: Ticket,
    ledger: &'v Ledger,
    /// The entry's address; `None` if the generation has none.
    entry: Option<u64>,
    /// The address of the tail's newest event; 0 if there is none.
    newest: u64,
}

/// What is known of a ticket.
pub(crate) enum Found<'v> {
    /// There is a register row.
    Matched(Person<'v>),
    /// There is no row, but there are shots.
    Orphan(Person<'v>),
    /// There is nothing.
    Nothing,
}

impl<'v> Step<'v> {
    /// Probes index and tail.
    #[inline]
    pub(crate) fn begin(ledger: &'v Ledger, segments: &Segments, ticket: Ticket) -> Result<Step<'v>, Damage> {
        let number = ticket.number();
        let mut step = Step { ticket, ledger, entry: None, newest: 0 };
        if let Some(generation) = &ledger.generation {
            step.entry = generation.address(number)?;
            if let Some(address) = step.entry {
                generation.prefetch_entry(address);
            }
        }
        if let Some(newest) = ledger.tail.newest(number) {
            step.newest = newest;
            segments.prefetch(newest);
        }
        Ok(step)
    }

    /// Reads and checks.
    #[inline]
    pub(crate) fn finish(self, segments: &'v Segments, horizon: Horizon) -> Result<Found<'v>, Damage> {
        let entry = match (&self.ledger.generation, self.entry) {
            (Some(generation), Some(address)) => Some(generation.entry(address, self.ticket.number())?),
            _ => None,
        };
        join(self.ticket, self.ledger, entry, self.newest, segments, horizon)
    }
}

/// Joins an entry, if there is one, with the events from `newest` back to what the generation folds.
#[inline]
pub(crate) fn join<'v>(
    ticket: Ticket,
    ledger: &'v Ledger,
    entry: Option<Entry<'v>>,
    newest: u64,
    segments: &'v Segments,
    horizon: Horizon,
) -> Result<Found<'v>, Damage> {
    let mut events = SmallVec::new();
    let (mut address, folded) = (newest, if newest == 0 { 0 } else { ledger.folded_position() });
    while address != 0 && (address >= folded || broken(Mutation::WalkIntoFolded)) {
        let event = segments.event(address)?;
        if event.header.ticket_bits != ticket.to_bits() && !broken(Mutation::SkipTicketCheck) {
            return Err(segments.damage(address, "a walk over a ticket's events met another ticket"));
        }
        if event.header.sequence <= horizon.visible || broken(Mutation::ShowNewerEvents) {
            events.push(event);
        }
        address = if broken(Mutation::StopWalkEarly) { 0 } else { event.previous };
    }
    events.reverse();
    if entry.is_none() && events.is_empty() {
        return Ok(Found::Nothing);
    }
    let matched = entry.as_ref().is_some_and(|entry| !entry.row.is_empty());
    let person = Person { ticket, generation: ledger.generation.as_ref(), segments, entry, events };
    Ok(if matched { Found::Matched(person) } else { Found::Orphan(person) })
}

/// Everything that one view knows of a ticket. Its texts are borrowed from mapped bytes; what is asked for is decoded then.
pub struct Person<'v> {
    ticket: Ticket,
    generation: Option<&'v Generation>,
    segments: &'v Segments,
    entry: Option<Entry<'v>>,
    /// What the generation does not fold, oldest first.
    events: SmallVec<[Event<'v>; 2]>,
}

impl<'v> Person<'v> {
    /// The ticket.
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// The register row as the bytes of a `Resident` message, which can be spliced into a reply; empty for an orphan.
    #[must_use]
    pub fn resident_bytes(&self) -> &'v [u8] {
        self.entry.map_or(&[], |entry| entry.row)
    }

    /// The register row; `None` for an orphan.
    ///
    /// # Errors
    ///
    /// [`Damage`] if the row's bytes validate and still are no message.
    pub fn resident(&self) -> Result<Option<Resident>, Damage> {
        let (Some(generation), Some(entry)) = (self.generation, &self.entry) else { return Ok(None) };
        if entry.row.is_empty() {
            return Ok(None);
        }
        let resident = <Resident as prost::Message>::decode(entry.row)
            .map_err(|_| generation.damage(0, "a row that is no message"))?;
        Ok(Some(resident))
    }

    /// How many shots the person has.
    #[must_use]
    pub fn shot_count(&self) -> usize {
        self.entry.map_or(0, |entry| entry.shot_count as usize) + self.events.len()
    }

    /// The shots in the order they were recorded.
    ///
    /// # Errors
    ///
    /// [`Damage`] if a shot, a text or a capture id cannot be read.
    pub fn shots(&self) -> Result<Vec<ShotView<'v>>, Damage> {
        let mut shots = Vec::with_capacity(self.shot_count());
        self.each_shot(|shot| shots.push(shot))?;
        Ok(shots)
    }

    /// The shots as they travel.
    ///
    /// # Errors
    ///
    /// As [`Person::shots`].
    pub fn recorded_shots(&self) -> Result<Vec<RecordedShot>, Damage> {
        let mut shots = Vec::with_capacity(self.shot_count());
        self.each_shot(|shot| shots.push(shot.to_recorded()))?;
        Ok(shots)
    }

    /// Hands every shot to `visit`, in the order they were recorded, without allocating.
    ///
    /// # Errors
    ///
    /// As [`Person::shots`].
    pub fn each_shot(&self, mut visit: impl FnMut(ShotView<'v>)) -> Result<(), Damage> {
        if let (Some(generation), Some(entry)) = (self.generation, &self.entry)
            && entry.shot_count > 0
        {
            let cold = generation.cold(entry)?;
            for (index, folded) in entry.shots().enumerate() {
                let folded = folded.ok_or_else(|| generation.damage(0, "a folded shot that cannot be read"))?;
                let mut shot = generation.shot(&folded)?;
                shot.capture_id = cold.capture_ids.get(index).copied().unwrap_or("");
                visit(shot);
            }
        }
        for event in &self.events {
            let shot = ShotView::of_message(event.header.sequence, event.header.time_ms, event.message);
            let damage = || self.segments.damage(event.address, "an event whose message is no shot");
            visit(shot.ok_or_else(damage)?);
        }
        Ok(())
    }

    /// The address of the newest event that the generation does not fold; 0 if there is none.
    pub(crate) fn newest_address(&self) -> u64 {
        self.events.last().map_or(0, |event| event.address)
    }

    pub(crate) fn entry(&self) -> Option<&Entry<'v>> {
        self.entry.as_ref()
    }
}
