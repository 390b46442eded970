//! Every order in which a writer and a reader of tails and views may take their steps, tried by a model checker.
//!
//! Owns the properties of publication, and the models around the real [`Tail`] and the seam's swap: of the log, of a generation, of a view. The log's stores
//! are all `Relaxed`: whoever reads an event has nothing to rely on but the order in which its address, or the view, was published. A load may see any value
//! that the memory model allows, so a `Relaxed` in the place of a `Release` or an `Acquire` is found, whatever the processor makes of it.
//!
//! Tables have two slots at first here: the first event makes one, the second doubles it, the third goes into it, the fourth changes a slot, the fifth
//! doubles it again. Each property is tried from each of these moments on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use loom::thread;

use super::{Effect, Tail};
use crate::sync::{AtomicU64, Ordering, Swap};

/// The ticket numbers of the events: sequences and addresses count from 1.
const NUMBERS: [u64; 6] = [0, 1, 2, 0, 3, 1];

/// The events up to `visible` of a ticket, newest first.
fn expected(number: u64, visible: u64) -> Vec<u64> {
    (1..=visible).rev().filter(|sequence| NUMBERS[*sequence as usize - 1] == number).collect()
}

/// Tries the model in all orders.
fn check(what: &str, model: impl Fn() + Send + Sync + 'static) {
    let orders = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&orders);
    loom::model(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    println!("{what}: {} orders", orders.load(Ordering::Relaxed));
}

/// Events by their address, each a word: sequence, ticket number plus one, previous address. A word of zeros was not written yet.
struct Log {
    events: Vec<AtomicU64>,
    /// The event at this address and those after it lie in a segment that is reached only once there is a link to it.
    second_segment: u64,
    link: AtomicU64,
}

struct Event {
    sequence: u64,
    number: u64,
    previous: u64,
}

impl Log {
    fn new(second_segment: u64) -> Log {
        let events = std::iter::repeat_with(AtomicU64::default).take(NUMBERS.len() + 1).collect();
        Log { events, second_segment, link: AtomicU64::default() }
    }

    /// Writes an event. Its address is its sequence.
    fn write(&self, sequence: u64, previous: u64) -> u64 {
        if sequence == self.second_segment {
            self.link.store(1, Ordering::Relaxed);
        }
        let number = NUMBERS[sequence as usize - 1];
        self.events[sequence as usize].store(sequence << 32 | (number + 1) << 16 | previous, Ordering::Relaxed);
        sequence
    }

    fn event(&self, address: u64) -> Event {
        assert_ne!(address, 0, "a number was seen without its address");
        let reached = address < self.second_segment || self.link.load(Ordering::Relaxed) == 1;
        assert!(reached, "address {address} was seen before the way to its segment");
        let word = self.events[address as usize].load(Ordering::Relaxed);
        assert_ne!(word, 0, "address {address} was seen before its event");
        Event { sequence: word >> 32, number: (word >> 16 & 0xffff) - 1, previous: word & 0xffff }
    }

    /// A ticket's events from `newest` back to address `folded`, without those after `visible`; newest first.
    fn walk(&self, number: u64, newest: Option<u64>, folded: u64, visible: u64) -> Vec<u64> {
        let (mut next, mut shown) = (newest, Vec::new());
        while let Some(address) = next.filter(|address| *address >= folded) {
            let event = self.event(address);
            assert_eq!(event.number, number, "a walk met another ticket's event");
            shown.extend(Some(event.sequence).filter(|sequence| *sequence <= visible));
            next = Some(event.previous).filter(|previous| *previous != 0);
        }
        shown
    }
}

/// A generation: the fold of what lies before a position, of ticket 0.
struct Generation {
    folded: u64,
    /// What its file holds: the sequence of the newest event that it folds.
    file: AtomicU64,
    released: Arc<AtomicBool>,
}

impl Drop for Generation {
    fn drop(&mut self) {
        assert!(!self.released.swap(true, Ordering::Relaxed), "released twice");
    }
}

struct Ledger {
    generation: Option<Generation>,
    tail: Tail,
}

struct View {
    ledger: Arc<Ledger>,
    sequence: u64,
}

impl View {
    /// What the view shows of a ticket whose newest address is `newest`; newest first.
    fn shown(&self, log: &Log, number: u64, newest: Option<u64>) -> Vec<u64> {
        let generation = self.ledger.generation.as_ref();
        let mut shown = log.walk(number, newest, generation.map_or(0, |generation| generation.folded), self.sequence);
        let entry = generation.map_or(0, |generation| generation.file.load(Ordering::Relaxed));
        shown.extend((1..=entry).rev());
        shown
    }
}

/// A store as its committer and its readers share it.
struct Store {
    log: Log,
    view: Swap<Arc<View>>,
}

impl Store {
    fn new(second_segment: u64) -> Store {
        let ledger = Arc::new(Ledger { generation: None, tail: Tail::default() });
        Store { log: Log::new(second_segment), view: Swap::new(Arc::new(View { ledger, sequence: 0 })) }
    }

    fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.view.load().ledger)
    }

    /// The committer's way: the event, the tail, and then, elsewhere, the view.
    fn record(&self, ledger: &Ledger, sequence: u64) {
        let number = NUMBERS[sequence as usize - 1];
        let previous = ledger.tail.newest(number).unwrap_or(0);
        ledger.tail.insert(number, self.log.write(sequence, previous), Effect::Shot { orphan: true });
    }

    fn publish(&self, ledger: &Arc<Ledger>, sequence: u64) {
        self.view.store(Arc::new(View { ledger: Arc::clone(ledger), sequence }));
    }

    /// The ledger with the events before `position` in a generation, and a tail of the others.
    fn fold(&self, ledger: &Ledger, position: u64, released: &Arc<AtomicBool>) -> Arc<Ledger> {
        let generation = Generation { folded: position, file: AtomicU64::default(), released: Arc::clone(released) };
        generation.file.store(position - 1, Ordering::Relaxed);
        let next = Ledger { generation: Some(generation), tail: Tail::default() };
        for (number, newest) in ledger.tail.tickets() {
            for address in self.log.walk(number, Some(newest), position, u64::MAX).into_iter().rev() {
                next.tail.insert(number, address, Effect::Shot { orphan: false });
            }
        }
        Arc::new(next)
    }
}

/// How many events a reader runs against.
const EVENTS: u64 = 3;

/// From each moment on: `reader` runs while events are recorded and published, the last of them in a new segment.
fn race(reader: impl Fn(&Store) + Send + Sync + Copy + 'static) {
    for before in 0..=NUMBERS.len() as u64 - EVENTS {
        check(&format!("{EVENTS} events after {before}"), move || {
            let store = Arc::new(Store::new(before + EVENTS));
            let ledger = store.ledger();
            (1..=before).for_each(|sequence| store.record(&ledger, sequence));
            store.publish(&ledger, before);
            let readers = Arc::clone(&store);
            let thread = thread::spawn(move || reader(&readers));
            for sequence in before + 1..=before + EVENTS {
                store.record(&ledger, sequence);
                store.publish(&ledger, sequence);
            }
            thread.join().unwrap();
            assert_eq!(ledger.tail.counts().shots, before + EVENTS);
        });
    }
}

/// As [`race`], for readers of a tail who know of no view: nothing but the tail's own order helps them.
fn race_without_views(reader: impl Fn(&Tail, &Log) + Send + Sync + Copy + 'static) {
    for before in 0..=NUMBERS.len() as u64 - EVENTS {
        check(&format!("{EVENTS} events after {before}"), move || {
            let store = Arc::new(Store::new(before + EVENTS));
            let ledger = store.ledger();
            (1..=before).for_each(|sequence| store.record(&ledger, sequence));
            let (readers, readers_ledger) = (Arc::clone(&store), Arc::clone(&ledger));
            let thread = thread::spawn(move || reader(&readers_ledger.tail, &readers.log));
            (before + 1..=before + EVENTS).for_each(|sequence| store.record(&ledger, sequence));
            thread.join().unwrap();
        });
    }
}

#[test]
fn whoever_counts_tickets_finds_as_many() {
    race_without_views(|tail, _| {
        let counted = tail.ticket_count();
        assert!((0..counted).all(|number| tail.newest(number).is_some()), "one of {counted} was not found");
    });
    race_without_views(|tail, _| {
        let counted = tail.ticket_count();
        assert!(tail.tickets().len() as u64 >= counted, "fewer than {counted} were listed");
    });
}

#[test]
fn whoever_finds_an_address_finds_its_event_and_those_before_it() {
    race_without_views(|tail, log| {
        for number in 0..2 {
            let newest = tail.newest(number);
            assert_eq!(log.walk(number, newest, 0, u64::MAX), expected(number, newest.unwrap_or(0)));
        }
    });
    race_without_views(|tail, log| {
        for (number, newest) in tail.tickets() {
            assert_eq!(log.walk(number, Some(newest), 0, u64::MAX), expected(number, newest));
        }
    });
}

#[test]
fn a_view_shows_every_event_up_to_its_sequence_and_none_after() {
    race(|store| {
        let view = store.view.load();
        for number in 0..3 {
            let shown = view.shown(&store.log, number, view.ledger.tail.newest(number));
            assert_eq!(shown, expected(number, view.sequence), "ticket {number} at {}", view.sequence);
        }
    });
}

#[test]
fn a_views_list_of_tickets_has_every_event_up_to_its_sequence_and_none_after() {
    race(|store| {
        let view = store.view.load();
        let tickets = view.ledger.tail.tickets();
        let shown = tickets.into_iter().flat_map(|(number, newest)| view.shown(&store.log, number, Some(newest)));
        let mut shown: Vec<u64> = shown.collect();
        shown.sort_unstable();
        assert_eq!(shown, (1..=view.sequence).collect::<Vec<u64>>());
    });
}

#[test]
fn a_generation_is_released_after_the_last_view_that_pins_it_and_not_before() {
    check("two generations installed", || {
        let released: [Arc<AtomicBool>; 2] = Default::default();
        let is_released = |at: &Arc<AtomicBool>| at.load(Ordering::Relaxed);
        let store = Arc::new(Store::new(4));
        let mut ledger = store.ledger();
        store.record(&ledger, 1);
        store.publish(&ledger, 1);
        let (readers, readers_released) = (Arc::clone(&store), released.clone());
        let thread = thread::spawn(move || {
            let view = readers.view.load();
            for _ in 0..2 {
                let shown = view.shown(&readers.log, 0, view.ledger.tail.newest(0));
                assert_eq!(shown, expected(0, view.sequence), "at {}", view.sequence);
                match view.ledger.generation.as_ref().map(|generation| generation.folded) {
                    Some(2) => assert!(!is_released(&readers_released[0]), "the view still pins it"),
                    Some(_) => assert!(!is_released(&readers_released[1]), "the view still pins it"),
                    None => {}
                }
            }
        });
        // A register is loaded: event 1 is folded; then, with event 4 in the tail, another one.
        ledger = store.fold(&ledger, 2, &released[0]);
        store.publish(&ledger, 3);
        store.record(&ledger, 4);
        store.publish(&ledger, 4);
        ledger = store.fold(&ledger, 2, &released[1]);
        store.publish(&ledger, 4);
        thread.join().unwrap();
        let view = store.view.load();
        // The seam's model keeps the version before the current one until the next store.
        store.publish(&ledger, 4);
        store.publish(&ledger, 4);
        assert!(is_released(&released[0]), "no view pins the first generation any more");
        assert!(!is_released(&released[1]), "the newest view pins the second one");
        assert_eq!(view.shown(&store.log, 0, view.ledger.tail.newest(0)), expected(0, 4));
        drop((view, ledger, store));
        assert!(is_released(&released[1]), "nobody pins the second one any more");
    });
}
