//! Acts on single tickets, beside the recording of shots: a row changes, a shot is set right.
//!
//! Owns what judging an act comes to, whatever it is. An act is judged against what is visible, so two acts of which one looks at what the other changes are
//! never judged together: the second waits until the first is visible, and is not done where the first found no room. Which tickets an act looks at is known when it was judged, since it follows links.

use std::sync::Arc;

use super::Shared;
use super::view::View;
use crate::error::{Damage, Kind, RecordError};
use crate::ledger::Effect;
use crate::log::Writer;
use crate::ticket::Ticket;

/// Says what an act would come to now.
pub(super) type Judge<P, T> = fn(&Shared, &View, &P) -> Result<Judged<T>, Damage>;

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

impl Shared {
    /// Has the committer do acts, one after another, at most `at_once` in one command: one answer an act, in their order. Behind one that failed for want of
    /// the disk, or of room in the queue, none is done: it may rest on the first.
    pub(super) fn act<P: Send + 'static, T: Answer + Clone + Send + 'static>(
        self: &Arc<Self>,
        mut acts: Vec<P>,
        at_once: usize,
        judge: Judge<P, T>,
    ) -> Vec<Result<T, RecordError>> {
        let mut answers: Vec<Result<T, RecordError>> = Vec::with_capacity(acts.len());
        while !acts.is_empty() {
            let later = acts.split_off(acts.len().min(at_once));
            let now = std::mem::replace(&mut acts, later);
            let count = now.len();
            let mut errors = answers.iter().filter_map(|answer| answer.as_ref().err());
            let failed = errors.find(|error| error.kind() == Kind::Retry).cloned();
            let done = self.control(move |shared, committer| Ok(committer.act(shared, &now, failed, judge)));
            answers.extend(done.unwrap_or_else(|error| vec![Err(error); count]));
        }
        answers
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
