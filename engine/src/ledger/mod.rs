//! A ledger: one municipality's generation and tail.
//!
//! Owns the join of the two into a person, and what happens to a tail when a generation replaces its base. Which ledgers there are, and which of them a
//! reader sees, is the store's business.

mod effect;
mod links;
#[cfg(all(test, loom))]
mod loom;
mod overlay;
mod past;
mod person;
mod shots;
mod tail;

pub(crate) use effect::{COUNTS, Counts, Effect};
pub(crate) use links::Links;
pub(crate) use overlay::Overlay;
pub use past::{Known, Moment};
pub(crate) use person::{Horizon, Step, join};
pub use person::{Match, Person};
pub(crate) use tail::Tail;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sesshu_proto::v1::SentRegister;

use crate::disk::prefetch_value;
use crate::error::Damage;
use crate::frame::{Header, kind};
use crate::generation::Generation;
use crate::intake::Sender;
use crate::log::Segments;
use crate::mutation::{Mutation, broken};
use crate::stored::RowView;
use crate::ticket::{Municipality, NUMBER_MAX, Ticket};

/// What a checkpoint keeps of a ticket in a tail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeptTicket {
    pub(crate) number: u64,
    /// The address of its newest event.
    pub(crate) newest: u64,
    /// Its row may have changed.
    pub(crate) changed: bool,
}

/// When a generation was installed, and who sent its register.
#[derive(Clone, Debug, Default)]
pub(crate) struct Installed {
    /// Sequence and time of the event. Rows whose entry says zero are known since then.
    pub(crate) since: (u64, u64),
    pub(crate) sender: Sender,
}

/// One municipality's ledger as a view sees it. In the order in which a match needs it: two lines in all.
#[repr(C)]
pub(crate) struct Ledger {
    pub(crate) generation: Option<Generation>,
    pub(crate) tail: Tail,
    pub(crate) municipality: Municipality,
    /// Whether the overlay holds anything: most hold nothing most of the time. Set before the view that shows what it holds is published.
    has_changes: AtomicBool,
    /// What rows that changed in the tail are looked up by: the look-ups of the generation do not know of them. Held for one insertion, or one look.
    overlay: Mutex<Overlay>,
    /// Whether the tail has people without a ticket. Set before the view that shows the first of them is published.
    has_people_without_ticket: AtomicBool,
    pub(crate) installed: Installed,
}

impl Ledger {
    /// A ledger of which nothing is known yet.
    pub(crate) fn new(municipality: Municipality) -> Ledger {
        Ledger {
            generation: None,
            tail: Tail::default(),
            municipality,
            has_changes: AtomicBool::new(false),
            overlay: Mutex::default(),
            has_people_without_ticket: AtomicBool::new(false),
            installed: Installed::default(),
        }
    }

    /// Starts to fetch what a match needs of the ledger itself.
    #[inline]
    pub(crate) fn prefetch(&self) {
        prefetch_value(self);
        prefetch_value(&self.tail);
    }

    /// Starts to fetch what tells whether the overlay holds anything.
    #[inline]
    pub(crate) fn prefetch_overlay(&self) {
        prefetch_value(&self.has_changes);
    }

    /// Who sent the registers of the ledger so far, if they said so, oldest first.
    pub(crate) fn senders(&self) -> Result<Vec<SentRegister>, Damage> {
        let mut senders = self.generation.as_ref().map_or(Ok(Vec::new()), Generation::senders)?;
        let Installed { since, sender } = &self.installed;
        if *sender != Sender::default() {
            let (who, reason) = (sender.who().to_owned(), sender.reason().to_owned());
            senders.push(SentRegister { installed_sequence: since.0, who, reason });
        }
        Ok(senders)
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

    /// Whether the generation has a row of `ticket`. What is damaged is taken for one: this only counts.
    fn has_folded_row(&self, ticket: Ticket) -> bool {
        let row = |generation: &Generation| -> Result<bool, Damage> {
            let Some(address) = generation.address(ticket.number())? else { return Ok(false) };
            Ok(!generation.entry(address, ticket.number())?.row.is_empty())
        };
        self.generation.as_ref().is_some_and(|generation| row(generation).unwrap_or(true))
    }

    /// What an event with `header` does to `ticket` now; `None` if events of that kind are no ticket's.
    pub(crate) fn effect(&self, ticket: Ticket, header: Header, segments: &Segments) -> Option<Effect> {
        match Effect::of(header) {
            Some(Effect::Shot { .. }) => Some(Effect::Shot { orphan: self.is_unknown(ticket) }),
            Some(Effect::Row { .. }) => {
                let first = !self.has_folded_row(ticket) && !self.has_changed_row(ticket, segments);
                Some(Effect::Row { first, adopts: first && !self.is_unknown(ticket) })
            }
            effect => effect,
        }
    }

    /// Whether an event of the tail gave `ticket` a row.
    fn has_changed_row(&self, ticket: Ticket, segments: &Segments) -> bool {
        if !self.overlay().is_some_and(|overlay| overlay.holds(ticket.number())) {
            return false;
        }
        let mut address = self.tail.newest(ticket.number()).unwrap_or(0);
        while address != 0 && address >= self.folded_position() {
            match segments.event(address) {
                Ok(event) if event.header.kind == kind::RESIDENT_CHANGED => return true,
                Ok(event) => address = event.previous,
                Err(_) => return true,
            }
        }
        false
    }

    /// Takes note of a durable event of `ticket`: the tail then starts its walk there. `message` is the event's. The writer's side alone.
    pub(crate) fn event_recorded(&self, ticket: Ticket, address: u64, effect: Effect, message: &[u8]) {
        if let Effect::Row { .. } = effect {
            // What is looked at of the header is of no matter to a look-up.
            let header = Header { kind: kind::RESIDENT_CHANGED, flags: 0, time_ms: 0, ticket_bits: 0, sequence: 0 };
            self.row_changed(ticket.number(), RowView::of_change(header, message).as_ref());
        }
        if ticket.is_provisional() {
            self.has_people_without_ticket.store(true, Ordering::Relaxed);
        }
        self.tail.insert(ticket.number(), address, effect);
    }

    /// Whether there are people without a ticket, as far as memory tells: nothing of the generation is read for it.
    pub(crate) fn has_people_without_ticket(&self) -> bool {
        self.has_people_without_ticket.load(Ordering::Relaxed)
            || self.generation.as_ref().is_some_and(Generation::has_people_without_ticket)
    }

    fn row_changed(&self, number: u64, row: Option<&RowView<'_>>) {
        self.overlay.lock().unwrap_or_else(PoisonError::into_inner).row_changed(number, row);
        self.has_changes.store(true, Ordering::Relaxed);
    }

    /// Whether the overlay holds anything.
    #[inline]
    pub(crate) fn has_changes(&self) -> bool {
        self.has_changes.load(Ordering::Relaxed)
    }

    /// What rows that changed in the tail are looked up by; `None` if none did.
    pub(crate) fn overlay(&self) -> Option<MutexGuard<'_, Overlay>> {
        self.has_changes().then(|| self.overlay.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// This ledger with `generation` as its base, and a tail of what that does not fold.
    pub(crate) fn with_generation(
        &self,
        generation: Generation,
        installed: Installed,
        segments: &Segments,
    ) -> Result<Ledger, Damage> {
        let municipality = self.municipality;
        let next = Ledger { generation: Some(generation), installed, ..Ledger::new(municipality) };
        if !broken(Mutation::ForgetTailAtInstall) {
            next.refill(self.tail.tickets().into_iter(), segments)?;
        }
        Ok(next)
    }

    /// Fills the empty tail with what a checkpoint kept of it.
    pub(crate) fn restore(
        &self,
        tickets: impl ExactSizeIterator<Item = KeptTicket> + Clone,
        counts: Counts,
        oldest: u64,
        segments: &Segments,
    ) {
        for ticket in tickets.clone().filter(|ticket| ticket.changed) {
            self.restore_changes(&ticket, segments);
        }
        let any = tickets.clone().any(|ticket| ticket.number > NUMBER_MAX);
        self.has_people_without_ticket.store(any, Ordering::Relaxed);
        self.tail.restore(tickets.map(|ticket| (ticket.number, ticket.newest)), counts, oldest);
    }

    /// Reads what changed a ticket's row.
    fn restore_changes(&self, ticket: &KeptTicket, segments: &Segments) {
        let mut address = ticket.newest;
        while address >= self.folded_position() && address != 0 {
            // Damage is told to whoever looks: one ticket's must not keep the store from opening.
            let Ok(event) = segments.event(address) else { return self.row_changed(ticket.number, None) };
            if event.header.kind == kind::RESIDENT_CHANGED {
                self.row_changed(ticket.number, RowView::of_change(event.header, event.message).as_ref());
            }
            address = event.previous;
        }
    }

    /// Fills the empty tail with the events, from each ticket's newest one back, that the generation does not fold.
    pub(crate) fn refill(&self, tickets: impl Iterator<Item = (u64, u64)>, segments: &Segments) -> Result<(), Damage> {
        let folded = self.folded_position();
        for (number, newest) in tickets {
            let mut events = Vec::new();
            let mut address = newest;
            while address >= folded && address != 0 {
                let event = segments.event(address)?;
                events.push((address, event.header, event.message));
                address = event.previous;
            }
            let Some(ticket) = Ticket::of_any_number(self.municipality, number) else { continue };
            for (address, header, message) in events.into_iter().rev() {
                let effect = self.effect(ticket, header, segments);
                let effect =
                    effect.ok_or_else(|| segments.damage(address, "a ticket's event of a kind that is none"))?;
                self.event_recorded(ticket, address, effect, message);
            }
        }
        Ok(())
    }
}
