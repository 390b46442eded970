//! A view: one moment of the whole store.
//!
//! Owns what a reader can do with it: match a ticket, match a batch, read a ledger. A view is immutable; a reader that holds one takes no lock, never
//! waits, and skips events that are newer (I9). Files that it maps stay readable until it is dropped.

use std::sync::Arc;

use super::ledgers::Ledgers;
use crate::error::Damage;
use crate::generation::{Entry, Generation};
pub use crate::ledger::Match;
use crate::ledger::{Horizon, Known, Ledger, Moment, Step, join};
use crate::limits::MATCH_GROUP_TICKETS;
use crate::sync::Guard;
use crate::ticket::{Municipality, NUMBER_MAX, Ticket};

/// A pinned view.
pub type ViewGuard = Guard<Arc<View>>;

/// One moment of the store.
pub struct View {
    pub(crate) ledgers: Arc<Ledgers>,
    /// The log as far as it is visible.
    pub(crate) horizon: Horizon,
    /// The position behind the newest durable batch.
    pub(crate) end: u64,
    /// The commit time of the newest batch, milliseconds since 1970.
    pub(crate) time_ms: u64,
}

impl View {
    /// The sequence of the newest event that this view shows; 0 in an empty store.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.horizon.sequence
    }

    /// Matches a ticket to its resident and shots.
    #[inline]
    #[must_use]
    pub fn match_ticket(&self, ticket: Ticket) -> Match<'_> {
        let Some(ledger) = self.ledgers.get(ticket.ordinal()) else { return Match::NotFound };
        Step::begin(ledger, &self.horizon.segments, ticket).finish(ticket, ledger, &self.horizon)
    }

    /// What a match would have said of a ticket at a moment; `None`: nothing was known of it. A moment that is to come is now.
    ///
    /// # Errors
    ///
    /// [`Damage`] of anything that is read for it.
    pub fn known_at(&self, ticket: Ticket, moment: Moment) -> Result<Option<Known>, Damage> {
        match self.match_ticket(ticket) {
            Match::Matched(person) | Match::Orphan(person) => person.known_at(moment),
            Match::NotFound => Ok(None),
            Match::Damaged(damage) => Err(damage),
        }
    }

    /// Matches tickets side by side, so that their memory misses overlap. `visit` gets every ticket's index and match, in order.
    pub fn match_batch<'v>(&'v self, tickets: &[Ticket], mut visit: impl FnMut(usize, Match<'v>)) {
        // Groups follow one another in three stages, so that what a stage reads was asked for while another group was worked on: the ledgers' lines two
        // groups before, the index lines one group before, the entries at the stage's start.
        let mut groups = tickets.chunks(GROUP);
        let mut ahead = self.group(groups.next());
        let mut done = 0;
        while !ahead.tickets.is_empty() {
            let group = ahead;
            let mut steps = [Step::default(); GROUP];
            for ((&ticket, ledger), step) in group.tickets.iter().zip(group.ledgers).zip(&mut steps) {
                if let Some(ledger) = ledger {
                    *step = Step::begin(ledger, &self.horizon.segments, ticket);
                }
            }
            ahead = self.group(groups.next());
            for (at, (&ticket, step)) in group.tickets.iter().zip(steps).enumerate() {
                let found =
                    group.ledgers[at].map_or(Match::NotFound, |ledger| step.finish(ticket, ledger, &self.horizon));
                visit(done + at, found);
            }
            done += group.tickets.len();
        }
    }

    /// Finds the ledgers of a group and starts to fetch its index lines.
    #[inline]
    fn group<'v, 't>(&'v self, tickets: Option<&'t [Ticket]>) -> Group<'v, 't> {
        let mut group = Group { tickets: tickets.unwrap_or(&[]), ledgers: [None; GROUP] };
        for (&ticket, place) in group.tickets.iter().zip(&mut group.ledgers) {
            *place = self.ledgers.get(ticket.ordinal()).map(|ledger| &**ledger);
            place.iter().for_each(|ledger| ledger.prefetch());
        }
        for (&ticket, place) in group.tickets.iter().zip(&group.ledgers) {
            if let Some(Ledger { generation: Some(generation), .. }) = place {
                generation.prefetch_index(ticket.number());
            }
        }
        group
    }

    /// Reads a whole ledger in the order of its ticket numbers.
    #[must_use]
    pub fn ledger(&self, municipality: Municipality) -> LedgerReader<'_> {
        let ledger = self.ledgers.get(municipality.ordinal()).map(|ledger| &**ledger);
        let entries = ledger.and_then(|ledger| ledger.generation.as_ref()).map(|generation| generation.entries());
        self.reader(ledger, entries.map(|entries| Box::new(entries) as Entries<'_>), |_| true)
    }

    /// As [`View::ledger`], those that stand for the tickets of people without one. Where there are none nothing is read.
    pub(super) fn ledger_without_tickets(&self, municipality: Municipality) -> Result<LedgerReader<'_>, Damage> {
        let ledger = self.ledgers.get(municipality.ordinal()).map(|ledger| &**ledger);
        let ledger = ledger.filter(|ledger| ledger.has_people_without_ticket());
        let generation = ledger.and_then(|ledger| ledger.generation.as_ref());
        let entries = generation.map(Generation::entries_without_ticket).transpose()?;
        let entries = entries.map(|entries| Box::new(entries) as Entries<'_>);
        Ok(self.reader(ledger, entries, |number| number > NUMBER_MAX))
    }

    fn reader<'v>(
        &'v self,
        ledger: Option<&'v Ledger>,
        entries: Option<Entries<'v>>,
        is_read: impl Fn(u64) -> bool,
    ) -> LedgerReader<'v> {
        let mut tail = ledger.map(|ledger| ledger.tail.tickets()).unwrap_or_default();
        tail.retain(|(number, _)| is_read(*number));
        tail.sort_unstable_by(|a, b| b.cmp(a));
        LedgerReader { view: self, ledger, entries, next: None, tail }
    }
}

const GROUP: usize = MATCH_GROUP_TICKETS;

/// Tickets that are matched side by side.
struct Group<'v, 't> {
    tickets: &'t [Ticket],
    ledgers: [Option<&'v Ledger>; GROUP],
}

type Entries<'v> = Box<dyn Iterator<Item = Result<(u64, Entry<'v>), Damage>> + 'v>;

/// The tickets of one ledger, in number order, each as a match would answer. After damaged entries, whose tickets cannot be known, it ends.
pub struct LedgerReader<'v> {
    view: &'v View,
    ledger: Option<&'v Ledger>,
    entries: Option<Entries<'v>>,
    /// The entry that comes next.
    next: Option<(u64, Entry<'v>)>,
    /// Tickets with events and the newest address of each, highest number first.
    tail: Vec<(u64, u64)>,
}

impl<'v> Iterator for LedgerReader<'v> {
    type Item = Result<(Ticket, Match<'v>), Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        let ledger = self.ledger?;
        loop {
            if self.next.is_none() {
                match self.entries.as_mut().and_then(Iterator::next) {
                    Some(Ok(entry)) => self.next = Some(entry),
                    Some(Err(damage)) => {
                        self.ledger = None;
                        return Some(Err(damage));
                    }
                    None => {}
                }
            }
            let number = match (&self.next, self.tail.last()) {
                (None, None) => return None,
                (Some((entry, _)), None) => *entry,
                (None, Some((tail, _))) => *tail,
                (Some((entry, _)), Some((tail, _))) => *entry.min(tail),
            };
            let entry = self.next.take_if(|(entry, _)| *entry == number).map(|(_, entry)| entry);
            let newest = self.tail.pop_if(|(tail, _)| *tail == number).map_or(0, |(_, newest)| newest);
            let ticket = Ticket::of_any_number(ledger.municipality, number)?;
            match join(ticket, ledger, entry, newest, &self.view.horizon) {
                // The tail knows the ticket only from events after this view.
                Match::NotFound => {}
                found => return Some(Ok((ticket, found))),
            }
        }
    }
}
