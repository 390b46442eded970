//! A tail: from a ticket number to the ticket's newest durable event in the log.
//!
//! Owns the table: ordinary memory, one writer (whoever applies durable events), readers that never wait. Earlier events hang on the newest one by their
//! previous addresses, so the table has one slot a ticket.
//!
//! A slot is two words, the number plus one and the address. The writer stores the address before the number, and readers load them the other way round: a
//! reader that sees a number sees an address of it. A table that fills up is copied into one of twice the size, which is then swapped in; a reader that still
//! holds the smaller one misses only events that are newer than its view.

use std::sync::Arc;

use super::effect::{COUNTS, Counts, Effect};
use crate::sync::{AtomicU64, Ordering, Swap};

#[derive(Default)]
struct Slot {
    /// The ticket number plus one; 0 while the slot is empty. Never changes once it is set.
    key: AtomicU64,
    address: AtomicU64,
}

struct Table {
    slots: Box<[Slot]>,
}

/// The model checker has to see tables double within a few steps.
const SLOTS_MIN: usize = if cfg!(loom) { 2 } else { 16 };

impl Table {
    fn with_slots(count: usize) -> Table {
        Table { slots: std::iter::repeat_with(Slot::default).take(count).collect() }
    }

    /// The slots in the order in which `number` may use them.
    #[inline]
    fn probe(&self, number: u64) -> impl Iterator<Item = &Slot> {
        let mask = self.slots.len() - 1;
        let first = (number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as usize;
        (0..self.slots.len()).map(move |step| &self.slots[(first + step) & mask])
    }

    #[inline]
    fn newest(&self, number: u64) -> Option<u64> {
        for slot in self.probe(number) {
            match slot.key.load(Ordering::Acquire) {
                0 => return None,
                key if key == number + 1 => return Some(slot.address.load(Ordering::Acquire)),
                _ => {}
            }
        }
        None
    }

    /// Sets the address of `number`; true if the number is new.
    fn set(&self, number: u64, address: u64) -> bool {
        for slot in self.probe(number) {
            match slot.key.load(Ordering::Relaxed) {
                0 => {
                    slot.address.store(address, Ordering::Relaxed);
                    slot.key.store(number + 1, Ordering::Release);
                    return true;
                }
                key if key == number + 1 => {
                    slot.address.store(address, Ordering::Release);
                    return false;
                }
                _ => {}
            }
        }
        unreachable!("the writer doubles a table before it is full")
    }
}

/// The tail of one ledger.
#[derive(Default)]
pub(crate) struct Tail {
    table: Swap<Option<Arc<Table>>>,
    tickets: AtomicU64,
    /// What a match has no use for.
    totals: Box<Totals>,
}

/// All events of a tail together.
#[derive(Default)]
struct Totals {
    /// In the order of [`Counts::to_array`].
    counts: [AtomicU64; COUNTS],
    /// The address of the oldest one; 0 if there is none.
    oldest: AtomicU64,
}

impl Tail {
    /// The address of the newest event of ticket `number`.
    #[inline]
    pub(crate) fn newest(&self, number: u64) -> Option<u64> {
        // Most tails are empty most of the time, and this load is cheaper than that of the table, which brings along what it holds.
        if self.tickets.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.newest_of_table(number)
    }

    fn newest_of_table(&self, number: u64) -> Option<u64> {
        self.table.load().as_ref()?.newest(number)
    }

    /// Sets the newest event of ticket `number`, and counts what it did. The one writer's.
    pub(super) fn insert(&self, number: u64, address: u64, effect: Effect) {
        let tickets = self.tickets.load(Ordering::Relaxed);
        let mut table = self.table.load_full();
        let slots = table.as_ref().map_or(0, |table| table.slots.len());
        if (tickets as usize + 1) * 4 > slots * 3 {
            let larger = Table::with_slots((slots * 2).max(SLOTS_MIN));
            if let Some(table) = &table {
                for (number, address) in table_tickets(table) {
                    larger.set(number, address);
                }
            }
            table = Some(Arc::new(larger));
        }
        let Some(table) = table else { unreachable!("a table was just made") };
        if table.set(number, address) {
            if slots != table.slots.len() {
                self.table.store(Some(table));
            }
            self.tickets.store(tickets + 1, Ordering::Release);
        } else if slots != table.slots.len() {
            self.table.store(Some(table));
        }
        for (count, more) in self.totals.counts.iter().zip(Counts::of(effect).to_array()) {
            if more != 0 {
                count.fetch_add(more, Ordering::Relaxed);
            }
        }
        // What a ledger that gets a new base leaves to its next tail comes ticket by ticket.
        let oldest = self.oldest().map_or(address, |oldest| oldest.min(address));
        self.totals.oldest.store(oldest, Ordering::Relaxed);
    }

    /// Fills the empty tail with what a checkpoint kept. The one writer's.
    pub(crate) fn restore(&self, tickets: impl ExactSizeIterator<Item = (u64, u64)>, counts: Counts, oldest: u64) {
        let table = Table::with_slots((tickets.len() * 4 / 3 + 1).next_power_of_two().max(SLOTS_MIN));
        let count = tickets.filter(|&(number, address)| table.set(number, address)).count();
        self.table.store(Some(Arc::new(table)));
        let Totals { counts: totals, oldest: first } = &*self.totals;
        totals.iter().zip(counts.to_array()).for_each(|(total, of)| total.store(of, Ordering::Relaxed));
        first.store(oldest, Ordering::Relaxed);
        self.tickets.store(count as u64, Ordering::Release);
    }

    /// Every ticket number with the address of its newest event, in no order.
    pub(crate) fn tickets(&self) -> Vec<(u64, u64)> {
        self.table.load().as_ref().map(|table| table_tickets(table).collect()).unwrap_or_default()
    }

    /// How many tickets have events here.
    pub(crate) fn ticket_count(&self) -> u64 {
        self.tickets.load(Ordering::Acquire)
    }

    /// What its events add to the ledger.
    pub(crate) fn counts(&self) -> Counts {
        Counts::from_array(std::array::from_fn(|at| self.totals.counts[at].load(Ordering::Relaxed)))
    }

    /// The address of its oldest event: what lies before it in the log is of no use to this ledger.
    pub(crate) fn oldest(&self) -> Option<u64> {
        Some(self.totals.oldest.load(Ordering::Relaxed)).filter(|&oldest| oldest != 0)
    }
}

fn table_tickets(table: &Table) -> impl Iterator<Item = (u64, u64)> + '_ {
    table.slots.iter().filter_map(|slot| {
        let key = slot.key.load(Ordering::Acquire);
        (key != 0).then(|| (key - 1, slot.address.load(Ordering::Acquire)))
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::AtomicBool;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_newest_address_of_every_ticket_is_found(events in proptest::collection::vec((0u64..200, 1u64..1 << 40), 0..400)) {
            let tail = Tail::default();
            let mut model = BTreeMap::new();
            let oldest = events.iter().map(|&(_, address)| address).min();
            let count = events.len() as u64;
            for (number, address) in events {
                tail.insert(number, address, Effect::Shot { orphan: false });
                model.insert(number, address);
                prop_assert_eq!(tail.ticket_count(), model.len() as u64);
            }
            for number in 0..200 {
                prop_assert_eq!(tail.newest(number), model.get(&number).copied());
            }
            let all: BTreeMap<u64, u64> = tail.tickets().into_iter().collect();
            prop_assert_eq!(all, model);
            prop_assert_eq!((tail.oldest(), tail.counts().events), (oldest, count));
        }
    }

    #[test]
    fn readers_see_every_ticket_that_was_there_before_they_looked() {
        // An interpreter (`.ci/miri`) takes its time.
        let tickets = if cfg!(miri) { 200 } else { 20_000 };
        let (tail, done) = (Tail::default(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    for number in 0..tail.ticket_count() {
                        assert_eq!(tail.newest(number), Some(number + 8));
                    }
                }
            });
            for number in 0..tickets {
                tail.insert(number, number + 8, Effect::Shot { orphan: true });
            }
            done.store(true, Ordering::Release);
        });
        assert_eq!(tail.counts().orphans, tickets);
    }
}
