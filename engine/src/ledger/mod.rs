//! A ledger: one municipality's generation and tail.
//!
//! Owns the join of the two into a person, and what happens to a tail when a generation replaces its base. Which ledgers there are, and which of them a
//! reader sees, is the store's business.

#[cfg(all(test, loom))]
mod loom;
mod person;
mod tail;

pub(crate) use person::{Horizon, Step, join};
pub use person::{Match, Person};
pub(crate) use tail::Tail;

use crate::disk::prefetch_value;
use crate::error::Damage;
use crate::generation::Generation;
use crate::log::Segments;
use crate::mutation::{Mutation, broken};
use crate::ticket::{Municipality, Ticket};

/// One municipality's ledger as a view sees it. In the order in which a match needs it: two lines in all.
#[repr(C)]
pub(crate) struct Ledger {
    pub(crate) generation: Option<Generation>,
    pub(crate) tail: Tail,
    pub(crate) municipality: Municipality,
    /// When the generation was installed: sequence and time of the event. Rows whose entry says zero are known since then.
    pub(crate) installed: (u64, u64),
}

impl Ledger {
    /// A ledger of which nothing is known yet.
    pub(crate) fn new(municipality: Municipality) -> Ledger {
        Ledger { generation: None, tail: Tail::default(), municipality, installed: (0, 0) }
    }

    /// Starts to fetch what a match needs of the ledger itself.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch_value(self);
        prefetch_value(&self.tail);
    }

    /// Events before this position of the log are folded in the generation.
    #[inline]
    pub(crate) fn folded_position(&self) -> u64 {
        self.generation.as_ref().map_or(0, |generation| generation.identity().folded_position)
    }

    /// The number of the current generation; 0 if there is none.
    pub(crate) fn generation_number(&self) -> u64 {
        self.generation.as_ref().map_or(0, |generation| generation.identity().generation)
    }

    /// Whether the generation has an entry of `ticket`.
    pub(crate) fn has_entry(&self, ticket: Ticket) -> Result<bool, Damage> {
        self.generation.as_ref().map_or(Ok(false), |generation| Ok(generation.address(ticket.number())?.is_some()))
    }

    /// Whether nothing is known of `ticket`.
    pub(crate) fn is_unknown(&self, ticket: Ticket) -> bool {
        // This only counts orphans. A damaged index is told to whoever asks for a ticket; one ledger's must not keep the store from opening.
        self.tail.newest(ticket.number()).is_none() && self.has_entry(ticket).is_ok_and(|has| !has)
    }

    /// Takes note of a durable event of `ticket`: the tail then starts its walk there. `orphan`: nothing was known of the ticket. The writer's side alone.
    pub(crate) fn event_recorded(&self, ticket: Ticket, address: u64, orphan: bool) {
        self.tail.insert(ticket.number(), address, orphan);
    }

    /// This ledger with `generation` as its base, and a tail of what that does not fold.
    pub(crate) fn with_generation(
        &self,
        generation: Generation,
        installed: (u64, u64),
        segments: &Segments,
    ) -> Result<Ledger, Damage> {
        let municipality = self.municipality;
        let next = Ledger { generation: Some(generation), tail: Tail::default(), municipality, installed };
        if !broken(Mutation::ForgetTailAtInstall) {
            next.refill(self.tail.tickets().into_iter(), segments)?;
        }
        Ok(next)
    }

    /// Fills the empty tail with the events, from each ticket's newest one back, that the generation does not fold.
    pub(crate) fn refill(&self, tickets: impl Iterator<Item = (u64, u64)>, segments: &Segments) -> Result<(), Damage> {
        let folded = self.folded_position();
        for (number, newest) in tickets {
            let mut addresses = Vec::new();
            let mut address = newest;
            while address >= folded && address != 0 {
                addresses.push(address);
                address = segments.event(address)?.previous;
            }
            let Ok(ticket) = Ticket::new(self.municipality, number) else { continue };
            for address in addresses.into_iter().rev() {
                self.event_recorded(ticket, address, self.is_unknown(ticket));
            }
        }
        Ok(())
    }
}
