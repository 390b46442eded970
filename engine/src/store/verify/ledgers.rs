//! Verifying the ledgers: their generations, side by side, and the links between the tickets of a person.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::view::View;
use super::logs::VerifiedLog;
use super::meter::Meter;
use super::subject::Subject;
use super::{Findings, VerifyError};
use crate::error::Damage;
use crate::generation::{self, Examined, Generation, Remedy};
use crate::ledger::{Horizon, Links, Match, Person};
use crate::platform::side_by_side;
use crate::ticket::{Municipality, Ticket};

/// What examining the generations came to.
pub(super) struct VerifiedLedgers {
    pub(super) files: u64,
    pub(super) tickets: u64,
    /// Ledgers whose generation is damaged: nothing that is said with its help is held against anything.
    pub(super) damaged: BTreeSet<Municipality>,
}

/// Verifies the current generations.
pub(super) fn verify(
    subject: &Subject,
    log: &VerifiedLog,
    findings: &mut Findings,
    meter: &Meter<'_>,
) -> Result<VerifiedLedgers, VerifyError> {
    let mut generations: Vec<(Municipality, &Generation, &[u8])> = Vec::new();
    for ledger in subject.state.ledgers.iter() {
        let message = subject.current.get(&ledger.municipality);
        if let (Some(generation), Some(message)) = (&ledger.generation, message) {
            generations.push((ledger.municipality, generation, &message.blake3));
        }
    }
    // The longest first: no thread is left with it at the end.
    generations.sort_by_key(|(_, generation, _)| std::cmp::Reverse(generation.file_length()));
    let examined = side_by_side(subject.threads, &generations, |(_, generation, blake3)| {
        generation.examine(blake3, &mut |bytes| meter.add(bytes)).ok_or(VerifyError::Ended)
    })?;
    let (mut tickets, mut linked) = (0, log.linked.clone());
    let keys: BTreeSet<u32> = subject.manifest.data_keys.iter().map(|key| key.id).collect();
    let is_there = |it: &Municipality| generations.iter().any(|(municipality, ..)| municipality == it);
    let mut damaged: BTreeSet<Municipality> = subject.current.keys().copied().filter(|it| !is_there(it)).collect();
    for (&(municipality, generation, _), examined) in generations.iter().zip(examined) {
        let path = generation::path(municipality, generation.identity().generation);
        let Examined { flaws, linked: theirs, entries, data_keys, .. } = examined;
        tickets += entries;
        if !flaws.is_empty() {
            damaged.insert(municipality);
        }
        findings.of_flaws(&path, municipality, flaws);
        if !data_keys.is_subset(&keys) {
            let what = "a row is sealed with a data key that the manifest does not list";
            findings.add(
                Damage { file: path, offset: 0, municipality: Some(municipality), what },
                None,
                Remedy::Replace,
            );
        }
        linked.extend(theirs.into_iter().filter_map(|number| Ticket::of_any_number(municipality, number)));
    }
    // What cannot be read was told of already.
    linked.retain(|ticket| !damaged.contains(&ticket.municipality()));
    if log.is_whole {
        links(subject, log, linked, findings);
    }
    Ok(VerifiedLedgers { files: generations.len() as u64, tickets, damaged })
}

/// A ticket that was reissued and the one that replaced it name each other.
fn links(subject: &Subject, log: &VerifiedLog, mut linked: Vec<Ticket>, findings: &mut Findings) {
    linked.sort_unstable();
    linked.dedup();
    let view = View {
        ledgers: Arc::clone(&subject.state.ledgers),
        horizon: Horizon { segments: subject.segments.clone(), sequence: log.examined.next_sequence.saturating_sub(1) },
        end: log.examined.end,
        time_ms: log.time_ms,
    };
    for ticket in linked {
        let (damage, tickets) = match is_linked_back(&view, ticket) {
            Ok(true) => continue,
            Ok(false) => (place(&view, ticket, "a reissued ticket's row names one that does not name it back"), 1),
            Err(damage) => (damage, 1),
        };
        findings.add(damage, tickets, Remedy::Replace);
    }
}

fn is_linked_back(view: &View, ticket: Ticket) -> Result<bool, Damage> {
    let Some(person) = person(view, ticket)? else { return Ok(false) };
    let links = person.links()?;
    let of = |number: u64| -> Result<_, Damage> {
        let Some(other) = Ticket::of_any_number(ticket.municipality(), number) else { return Ok(None) };
        person_links(view, other)
    };
    for number in &links.previous {
        if of(*number)?.is_none_or(|links| links.reissued_as != Some(ticket.number())) {
            return Ok(false);
        }
    }
    match links.reissued_as {
        Some(number) => Ok(of(number)?.is_some_and(|links| links.previous.contains(&ticket.number()))),
        None => Ok(true),
    }
}

fn person_links(view: &View, ticket: Ticket) -> Result<Option<Links>, Damage> {
    person(view, ticket)?.map(|person| person.links()).transpose()
}

fn person(view: &View, ticket: Ticket) -> Result<Option<Person<'_>>, Damage> {
    match view.match_ticket(ticket) {
        Match::Matched(person) | Match::Orphan(person) => Ok(Some(person)),
        Match::NotFound => Ok(None),
        Match::Damaged(damage) => Err(damage),
    }
}

/// Where the row of a ticket lies.
fn place(view: &View, ticket: Ticket, what: &'static str) -> Damage {
    let ledger = view.ledgers.get(ticket.ordinal());
    let newest = ledger.and_then(|ledger| ledger.tail.newest(ticket.number()));
    let generation = ledger.and_then(|ledger| ledger.generation.as_ref());
    match (newest, generation) {
        (Some(newest), _) => view.horizon.segments.damage(newest, what),
        (None, Some(generation)) => {
            let address = generation.address(ticket.number()).ok().flatten();
            generation.damage(address.unwrap_or(0), what)
        }
        (None, None) => view.horizon.segments.damage(view.end, what),
    }
}
