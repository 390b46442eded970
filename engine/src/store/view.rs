//! A view: one moment of the whole store.
//!
//! Owns what a reader can do with it: match a ticket, match a batch, read a ledger. A view is immutable; a reader that holds one takes no lock, never
//! waits, and skips events that are newer (I9). Files that it maps stay readable until it is dropped.

use std::sync::Arc;

use crate::error::Damage;
use crate::generation::Entry;
use crate::ledger::{Found, Horizon, Ledger, Person, Step, join};
use crate::limits::MATCH_GROUP_TICKETS;
use crate::log::Segments;
use crate::ticket::{Municipality, Ticket};

/// A pinned view.
pub type ViewGuard = arc_swap::Guard<Arc<View>>;

/// The ledgers by their municipality's ordinal.
#[derive(Clone)]
pub(crate) struct Ledgers(Box<[Option<Arc<Ledger>>]>);

impl Ledgers {
    pub(crate) fn none() -> Ledgers {
        Ledgers(vec![None; Municipality::COUNT].into_boxed_slice())
    }

    #[inline]
    pub(crate) fn get(&self, ordinal: usize) -> Option<&Arc<Ledger>> {
        self.0.get(ordinal)?.as_ref()
    }

    pub(crate) fn set(&mut self, ledger: Arc<Ledger>) {
        let ordinal = ledger.municipality.ordinal();
        self.0[ordinal] = Some(ledger);
    }

    /// Those of which anything is known.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Ledger>> {
        self.0.iter().flatten()
    }
}

/// One moment of the store.
pub struct View {
    pub(crate) ledgers: Arc<Ledgers>,
    pub(crate) segments: Segments,
    /// The newest visible event.
    pub(crate) sequence: u64,
    /// The position behind the newest durable batch.
    pub(crate) end: u64,
    /// The commit time of the newest batch, milliseconds since 1970.
    pub(crate) time_ms: u64,
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

impl<'v> From<Result<Found<'v>, Damage>> for Match<'v> {
    #[inline]
    fn from(found: Result<Found<'v>, Damage>) -> Match<'v> {
        match found {
            Ok(Found::Matched(person)) => Match::Matched(person),
            Ok(Found::Orphan(person)) => Match::Orphan(person),
            Ok(Found::Nothing) => Match::NotFound,
            Err(damage) => Match::Damaged(damage),
        }
    }
}

impl View {
    /// The sequence of the newest event that this view shows; 0 in an empty store.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Matches a ticket to its resident and shots.
    #[inline]
    #[must_use]
    pub fn match_ticket(&self, ticket: Ticket) -> Match<'_> {
        self.find(ticket).into()
    }

    /// Matches tickets side by side, so that their memory misses overlap. `visit` gets every ticket's index and match, in order.
    pub fn match_batch<'v>(&'v self, tickets: &[Ticket], mut visit: impl FnMut(usize, Match<'v>)) {
        for (group, tickets) in tickets.chunks(MATCH_GROUP_TICKETS).enumerate() {
            let mut ledgers: [Option<&Ledger>; MATCH_GROUP_TICKETS] = [None; MATCH_GROUP_TICKETS];
            for (ledger, ticket) in ledgers.iter_mut().zip(tickets) {
                *ledger = self.ledgers.get(ticket.ordinal()).map(|ledger| &**ledger);
                ledger.iter().for_each(|ledger| ledger.prefetch());
            }
            for (ledger, ticket) in ledgers.iter().zip(tickets) {
                if let Some(generation) = ledger.and_then(|ledger| ledger.generation.as_ref()) {
                    generation.prefetch_index(ticket.number());
                }
            }
            let mut steps = [const { None }; MATCH_GROUP_TICKETS];
            for ((step, ledger), ticket) in steps.iter_mut().zip(ledgers).zip(tickets) {
                *step = ledger.map(|ledger| Step::begin(ledger, &self.segments, *ticket));
            }
            for (at, step) in steps.into_iter().take(tickets.len()).enumerate() {
                let found = match step {
                    None => Ok(Found::Nothing),
                    Some(Err(damage)) => Err(damage),
                    Some(Ok(step)) => step.finish(&self.segments, self.horizon()),
                };
                visit(group * MATCH_GROUP_TICKETS + at, found.into());
            }
        }
    }

    /// Reads a whole ledger in the order of its ticket numbers.
    #[must_use]
    pub fn ledger(&self, municipality: Municipality) -> LedgerReader<'_> {
        let ledger = self.ledgers.get(municipality.ordinal()).map(|ledger| &**ledger);
        let entries = ledger.and_then(|ledger| ledger.generation.as_ref()).map(|generation| generation.entries());
        let mut tail = ledger.map(|ledger| ledger.tail.tickets()).unwrap_or_default();
        tail.sort_unstable_by(|a, b| b.cmp(a));
        LedgerReader {
            view: self,
            ledger,
            entries: entries.map(|entries| Box::new(entries) as Entries<'_>),
            next: None,
            tail,
        }
    }

    /// The people of a municipality whose register row has this resident number (宛名番号); two rows may share one.
    ///
    /// # Errors
    ///
    /// [`Damage`] of the look-up or of a row that it names.
    pub fn with_resident_number(
        &self,
        municipality: Municipality,
        resident_number: &str,
    ) -> Result<Vec<Person<'_>>, Damage> {
        let ledger = self.ledgers.get(municipality.ordinal());
        let Some(generation) = ledger.and_then(|ledger| ledger.generation.as_ref()) else { return Ok(Vec::new()) };
        let mut people = Vec::new();
        for number in generation.with_resident_number(resident_number)? {
            let Ok(ticket) = Ticket::new(municipality, number) else { continue };
            if let Found::Matched(person) = self.find(ticket)?
                && person.resident()?.is_some_and(|resident| resident.resident_number == resident_number)
            {
                people.push(person);
            }
        }
        people.sort_by_key(Person::ticket);
        Ok(people)
    }

    #[inline]
    pub(crate) fn find(&self, ticket: Ticket) -> Result<Found<'_>, Damage> {
        let Some(ledger) = self.ledgers.get(ticket.ordinal()) else { return Ok(Found::Nothing) };
        Step::begin(ledger, &self.segments, ticket)?.finish(&self.segments, self.horizon())
    }

    #[inline]
    fn horizon(&self) -> Horizon {
        Horizon { visible: self.sequence }
    }
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
            let ticket = Ticket::new(ledger.municipality, number).ok()?;
            match join(ticket, ledger, entry, newest, &self.view.segments, self.view.horizon()).into() {
                // The tail knows the ticket only from events after this view.
                Match::NotFound => {}
                found => return Some(Ok((ticket, found))),
            }
        }
    }
}
