//! The store held against the recount.
//!
//! Owns the comparisons: a municipality's ledger as it was known at a moment, and, at the end, its ledger, what its tickets match to, and the history of every
//! shot that ever was one of them. All threads of the machine compare, a municipality at a time. The first difference ends it.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::ProgressBar;
use sesshu_engine::intake::ShotRef;
use sesshu_engine::{Match, Moment, View};
use sesshu_proto::v1::{EventKind, RecordedShot, ShotState};

use super::book::Book;
use super::failed::{Failed, ensure, failed};
use super::recount::Recount;
use super::shown::{known, without_reasons_in, without_reasons_in_answer, without_reasons_in_event};
use crate::{Answer, answer};

/// One ticket of so many is matched as it was known at a moment.
const OTHERS: u64 = 16;

/// What was compared, and what the store showed meanwhile.
#[derive(Clone, Debug, Default)]
pub(super) struct Compared {
    pub(super) ledgers: u64,
    pub(super) tickets: u64,
    pub(super) shots: u64,
    pub(super) matches: u64,
    pub(super) histories: u64,
    /// Events in them.
    pub(super) events: u64,
    /// Of the shots in the store: as they were recorded, and as they count now; by day and dose.
    pub(super) recorded: ByDayAndDose,
    pub(super) net: ByDayAndDose,
}

/// Shots by day (YYYYMMDD) and dose.
pub(super) type ByDayAndDose = BTreeMap<(u32, u32), u64>;

impl Compared {
    pub(super) fn add(&mut self, other: &Compared) {
        let Compared { ledgers, tickets, shots, matches, histories, events, recorded, net } = other;
        self.ledgers += ledgers;
        self.tickets += tickets;
        self.shots += shots;
        self.matches += matches;
        self.histories += histories;
        self.events += events;
        for (totals, other) in [(&mut self.recorded, recorded), (&mut self.net, net)] {
            other.iter().for_each(|(key, count)| *totals.entry(*key).or_default() += count);
        }
    }
}

/// Compares the ledgers as they were known at a moment with what was counted up to it.
pub(super) fn ledgers_at(view: &View, recount: &Recount<'_>, moment: Moment) -> Result<Compared, Failed> {
    each(recount.books, |book| {
        let mut compared = ledger(view, recount, book, Some(moment))?;
        compared.matches = matches(view, recount, book, Some(moment))?;
        Ok(compared)
    })
}

/// Compares everything as it is now.
pub(super) fn all(view: &View, recount: &Recount<'_>, bar: &ProgressBar) -> Result<Compared, Failed> {
    each(recount.books, |book| {
        bar.inc(1);
        let mut compared = ledger(view, recount, book, None)?;
        compared.matches = matches(view, recount, book, None)?;
        histories(view, recount, book, &mut compared)?;
        Ok(compared)
    })
}

/// Compares municipality by municipality, on all threads.
fn each(books: &[Book], compare: impl Fn(&Book) -> Result<Compared, Failed> + Sync) -> Result<Compared, Failed> {
    let (next, sum) = (AtomicUsize::new(0), Mutex::new(Ok(Compared::default())));
    let work = || {
        while let Some(book) = books.get(next.fetch_add(1, Ordering::Relaxed)) {
            let compared = compare(book);
            let mut sum = sum.lock().expect("nobody panics with it");
            match (&mut *sum, compared) {
                (Ok(sum), Ok(compared)) => sum.add(&compared),
                (Ok(_), Err(failed)) => *sum = Err(failed),
                (Err(_), _) => return,
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    sum.into_inner().expect("nobody panics with it")
}

/// Compares one ledger, ticket by ticket, in the order of both.
fn ledger(view: &View, recount: &Recount<'_>, book: &Book, moment: Option<Moment>) -> Result<Compared, Failed> {
    let mut compared = Compared { ledgers: 1, ..Compared::default() };
    let mut expected = recount.tickets_of_book(book);
    for item in view.ledger(book.municipality) {
        let (ticket, found) = item.map_err(|damage| failed("nothing is damaged", format!("{damage:?}")))?;
        let shown = match (moment, &found) {
            (Some(moment), Match::Matched(person) | Match::Orphan(person)) => {
                let known_then = person.own_known_at(moment);
                known(known_then.map_err(|damage| failed("nothing is damaged", format!("{damage:?}")))?)
            }
            _ => without_reasons_in_answer(Answer::own(&found)),
        };
        if shown == Answer::NotFound {
            continue;
        }
        let Some((counted_ticket, counted)) = expected.next() else {
            return Err(failed("a ledger has the tickets that were counted", format!("{ticket}: {shown:?}")));
        };
        let counted = recount.own(counted);
        compared.tickets += 1;
        compared.shots += counted.shots().len() as u64;
        ensure((ticket.to_decimal(), &shown) == (counted_ticket, &counted), "a ledger is as it was counted", || {
            format!("{moment:?}\nshown:   {ticket} {shown:?}\ncounted: {counted_ticket:016} {counted:?}")
        })?;
    }
    let left = expected.next().map(|(ticket, counted)| (ticket, recount.own(counted)));
    ensure(left.is_none(), "a ledger has every ticket that was counted", || {
        format!("{moment:?}: {left:?} is not there")
    })?;
    Ok(compared)
}

/// Compares what the tickets of a municipality match to; at a moment, those of people with several tickets, and some others.
fn matches(view: &View, recount: &Recount<'_>, book: &Book, moment: Option<Moment>) -> Result<u64, Failed> {
    let mut compared = 0;
    for (ticket, counted) in recount.tickets_of_book(book) {
        let shown = match moment {
            Some(moment) if counted.is_linked() || ticket.is_multiple_of(OTHERS) => {
                let known_then = view.known_at(Recount::named(ticket), moment);
                known(known_then.map_err(|damage| failed("nothing is damaged", format!("{damage:?}")))?)
            }
            Some(_) => continue,
            None => without_reasons_in_answer(answer(view, Recount::named(ticket))),
        };
        compared += 1;
        let counted = recount.matched(ticket);
        ensure(shown == counted, "a ticket matches to what was counted", || {
            format!("{moment:?}: {ticket:016}\nshown:   {shown:?}\ncounted: {counted:?}")
        })?;
    }
    Ok(compared)
}

/// Compares the history of every shot that is or was one of a municipality, by the ticket that has or had it.
fn histories(view: &View, recount: &Recount<'_>, book: &Book, compared: &mut Compared) -> Result<(), Failed> {
    for (ticket, counted) in recount.tickets_of_book(book) {
        for shot in &counted.shots {
            let of = ShotRef { ticket: Recount::named(ticket), shot_id: shot.shot_id };
            let shown = view.shot_history(of).map_err(|damage| failed("nothing is damaged", format!("{damage:?}")))?;
            let shown = shown.map(|shown| {
                let events = shown.events.into_iter().map(without_reasons_in_event).collect::<Vec<_>>();
                (shown.ticket.to_decimal(), without_reasons_in(shown.shot), events)
            });
            let counted = recount.history(ticket, shot);
            ensure(shown.as_ref() == Some(&counted), "a shot has the history that was counted", || {
                format!("{of:?}\nshown:   {shown:?}\ncounted: {counted:?}")
            })?;
            let (at, now, events) = shown.expect("it was compared");
            compared.histories += 1;
            compared.events += events.len() as u64;
            if at == ticket {
                let record = events.iter().find(|event| event.kind() == EventKind::ShotRecorded);
                let said = record.and_then(|event| event.shot.as_ref()).expect("a history begins with the record");
                *compared.recorded.entry((said.date, said.dose)).or_default() += 1;
                count_net(&mut compared.net, &now);
            }
        }
    }
    Ok(())
}

fn count_net(net: &mut ByDayAndDose, now: &RecordedShot) {
    let counts = now.state() == ShotState::InForce;
    if let Some(shot) = now.shot.as_ref().filter(|_| counts) {
        *net.entry((shot.date, shot.dose)).or_default() += 1;
    }
}
