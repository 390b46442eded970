//! Acts on single tickets, beside the recording of shots: a row changes, a shot is set right.
//!
//! Owns what judging an act comes to, whatever it is. An act is judged against what is visible, so two acts of which one looks at what the other changes are
//! never judged together: the second waits until the first is visible. Which tickets an act looks at is known when it was judged, since it follows links.

use crate::ledger::Effect;
use crate::log::Writer;
use crate::ticket::Ticket;

/// What an act comes to.
pub(super) struct Judged<T> {
    /// The answer, if there is nothing to be logged; else what it is without place and time.
    pub(super) answer: T,
    /// What is to be logged, in one batch: the event that the answer names comes last.
    pub(super) events: Vec<TicketEvent>,
    /// The tickets that the answer depends on; those of the events are among them.
    pub(super) looked_at: Vec<Ticket>,
}

impl<T> Judged<T> {
    /// The answer depends on these tickets too.
    pub(super) fn after_looking_at(mut self, tickets: impl IntoIterator<Item = Ticket>) -> Judged<T> {
        self.looked_at.extend(tickets);
        self
    }
}

/// An answer that names the event which made it true.
pub(super) trait Answer {
    /// The event has its place in the log, and is durable.
    fn logged(&mut self, sequence: u64, time_ms: u64);
}

/// An event of a ticket that has no place in the log yet.
pub(super) struct TicketEvent {
    pub(super) ticket: Ticket,
    pub(super) kind: u8,
    /// Beside those of its effect.
    pub(super) flags: u8,
    pub(super) message: Vec<u8>,
    pub(super) effect: Effect,
    /// The address of the ticket's newest event; 0 if there is none.
    pub(super) previous: u64,
}

impl TicketEvent {
    /// Bytes of the event at most.
    pub(super) fn bytes(&self) -> usize {
        Writer::event_bytes(self.message.len())
    }

    /// Of its frame.
    pub(super) fn flags(&self) -> u8 {
        self.effect.flags() | self.flags
    }
}
