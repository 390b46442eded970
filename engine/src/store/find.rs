//! Finding people whose ticket is not at hand: by resident number, by kana and birth date, by name, by the beginning of the kana.
//!
//! Owns the question to many ledgers: what stands for it is made once, and while one ledger is asked the next ones' lines are on their way. What a look-up or an
//! overlay names is matched in the view and its row compared, so whoever has another name by now is not found by the old one, and whoever sees an older view
//! sees the older name. A person whose ticket was reissued is found once, by the valid ticket.

use std::collections::BTreeSet;

use smallvec::SmallVec;

use super::ledgers::Tables;
use super::view::{Match, View};
use crate::error::Damage;
use crate::generation::{Candidates, HeldSlots, KanaRows};
use crate::ledger::{Ledger, Person};
use crate::lookup::{Key, RowFields};
use crate::mutation::{Mutation, broken};
use crate::names::fold_kana;
use crate::ticket::{Municipality, Ticket};

/// People who were found, in the order of municipalities and ticket numbers, or of kana.
pub struct Found<'v> {
    /// Not more than were asked for.
    pub people: Vec<Person<'v>>,
    /// There are more.
    pub more: bool,
}

/// Where and how many people are looked for.
#[derive(Clone, Copy, Debug)]
pub struct Within {
    /// One municipality's, or everybody.
    pub municipality: Option<Municipality>,
    /// People at most.
    pub limit: usize,
}

/// How many ledgers before its turn a ledger's line, and that of its look-up, are asked for.
const AHEAD: usize = 32;

impl View {
    /// The people of a municipality who have this resident number (宛名番号); two rows may share one.
    ///
    /// # Errors
    ///
    /// [`Damage`] of the look-up or of a row that it names.
    pub fn with_resident_number(
        &self,
        municipality: Municipality,
        resident_number: &str,
    ) -> Result<Vec<Person<'_>>, Damage> {
        let within = Within { municipality: Some(municipality), limit: usize::MAX };
        Ok(self.with_key(within, Key::resident_number(resident_number), |_| true)?.people)
    }

    /// The people who have these kana, however they are typed, and this birth date (YYYYMMDD, as the register has it).
    ///
    /// # Errors
    ///
    /// As [`View::with_resident_number`].
    pub fn with_kana_and_birth_date(&self, within: Within, kana: &str, birth_date: u32) -> Result<Found<'_>, Damage> {
        self.with_key(within, Key::kana_and_birth_date(kana, birth_date), |_| true)
    }

    /// The people who have this name, in whatever variants of its kanji; and this birth date, if one is given.
    ///
    /// # Errors
    ///
    /// As [`View::with_resident_number`].
    pub fn with_name(&self, within: Within, name: &str, birth_date: Option<u32>) -> Result<Found<'_>, Damage> {
        self.with_key(within, Key::name(name), |row| birth_date.is_none_or(|date| row.birth_date == date))
    }

    /// The people of a municipality whose kana begin so, in the order of kana.
    ///
    /// # Errors
    ///
    /// As [`View::with_resident_number`].
    pub fn with_kana_beginning(
        &self,
        municipality: Municipality,
        beginning: &str,
        limit: usize,
    ) -> Result<Found<'_>, Damage> {
        let mut found = Found { people: Vec::new(), more: false };
        let Some(ledger) = self.ledgers.get(municipality.ordinal()) else { return Ok(found) };
        let prefix = fold_kana(beginning);
        let mut changed: Vec<(Option<String>, u64)> = match ledger.overlay() {
            Some(overlay) => overlay.beginning_with(&prefix).map(|(kana, at)| (kana.map(str::to_owned), at)).collect(),
            None => Vec::new(),
        };
        changed.reverse();
        let mut folded = self.folded_beginning_with(ledger, &prefix)?.peekable();
        let mut seen = BTreeSet::new();
        loop {
            // Whichever comes first. A row that has other kana by now stands at another place, in the overlay, and is passed over at this one.
            let is_changed = match (folded.peek(), changed.last()) {
                (None, None) => return Ok(found),
                (Some(Ok((folded, number))), Some((changed, at))) => (changed.as_ref(), at) < (Some(folded), number),
                (Some(_), _) => false,
                (None, Some(_)) => true,
            };
            let mut folded = || folded.next().map(|row| row.map(|(kana, number)| (Some(kana), number)));
            let next = if is_changed { changed.pop().map(Ok) } else { folded() };
            let Some((kana, number)) = next.transpose()? else { return Ok(found) };
            let has_kana = |row: &RowFields<'_>| {
                let now = fold_kana(row.name_kana);
                now.starts_with(&prefix) && kana.as_ref().is_none_or(|kana| now == *kana)
            };
            let Some(person) = self.accepted(ledger, number, &has_kana)? else { continue };
            if !seen.insert(person.ticket().number()) {
                continue;
            }
            if found.people.len() == limit {
                found.more = true;
                return Ok(found);
            }
            found.people.push(person);
        }
    }

    /// Folded kana and number of a generation's rows whose folded kana begin so, in this order.
    fn folded_beginning_with<'a>(&'a self, ledger: &'a Ledger, prefix: &'a str) -> Result<KanaRows<'a>, Damage> {
        let Some(generation) = &ledger.generation else { return Ok(Box::new(std::iter::empty())) };
        if let Some(rows) = generation.beginning_with(prefix)? {
            return Ok(rows);
        }
        let mut rows = Vec::new();
        for entry in generation.entries() {
            let (number, entry) = entry?;
            let kana = fold_kana(RowFields::of(entry.row).unwrap_or_default().name_kana);
            if kana.starts_with(prefix) && !entry.row.is_empty() {
                rows.push((kana, number));
            }
        }
        rows.sort_unstable();
        Ok(Box::new(rows.into_iter().map(Ok)))
    }

    fn with_key(&self, within: Within, key: Key, also: impl Fn(&RowFields<'_>) -> bool) -> Result<Found<'_>, Damage> {
        self.search(within, std::slice::from_ref(&key), |ledger, number| {
            self.accepted(ledger, number, &|row| key.may_be_of(row) && also(row))
        })
    }

    /// Asks ledger after ledger for `keys`, which are of one kind, and lets `accept` decide on each ticket that may be meant.
    pub(super) fn search<'v, E: From<Damage>>(
        &'v self,
        within: Within,
        keys: &[Key],
        accept: impl Fn(&'v Ledger, u64) -> Result<Option<Person<'v>>, E>,
    ) -> Result<Found<'v>, E> {
        let secret = self.ledgers.iter().find_map(|ledger| Some(ledger.generation.as_ref()?.identity().lookup_key));
        let hashes: SmallVec<[u64; 1]> =
            secret.into_iter().flat_map(|secret| keys.iter().map(move |key| key.hash(secret))).collect();
        let mut found = Found { people: Vec::new(), more: false };
        let mut ask = |ledger: &'v Ledger, table: Option<&HeldSlots>| -> Result<bool, E> {
            let mut seen = SmallVec::<[Ticket; 2]>::new();
            for number in candidates(ledger, table, keys, &hashes)? {
                let Some(person) = accept(ledger, number)? else { continue };
                let ticket = person.ticket();
                if seen.contains(&ticket) {
                    continue;
                }
                if found.people.len() == within.limit {
                    found.more = true;
                    return Ok(false);
                }
                seen.push(ticket);
                found.people.push(person);
            }
            Ok(true)
        };
        match (within.municipality, keys.first()) {
            (Some(municipality), _) => {
                self.ledgers.get(municipality.ordinal()).map_or(Ok(true), |ledger| ask(ledger, None))?;
            }
            (None, None) => {}
            (None, Some(key)) => {
                let tables = self.ledgers.tables(key.kind());
                for at in self.may_know(tables, &hashes) {
                    let Some(ledger) = self.ledgers.get(at) else { continue };
                    if !ask(ledger, tables[at].as_ref())? {
                        break;
                    }
                }
            }
        }
        Ok(found)
    }

    /// The ordinals of the ledgers that may know of whoever is looked for. Nearly all tables say in one line that they do not: these lines are fetched side by
    /// side, and what needs more than one waits until they were all looked at.
    fn may_know(&self, tables: &Tables, hashes: &[u64]) -> Vec<usize> {
        let mut may = Vec::new();
        for (at, table) in tables.iter().enumerate() {
            self.ledgers.get(at + AHEAD).into_iter().for_each(|ledger| ledger.prefetch_overlay());
            if let Some(Some(table)) = tables.get(at + AHEAD) {
                hashes.iter().for_each(|&hash| table.prefetch(hash));
            }
            let changed = self.ledgers.get(at).is_some_and(|ledger| ledger.has_changes());
            let held = table.as_ref().is_none_or(|table| hashes.iter().any(|&hash| table.may_hold(hash)));
            if changed || held {
                may.push(at);
            }
        }
        may
    }

    /// The person who has the ticket with this number, by the valid one of their tickets, if `is_meant` says so of their row.
    fn accepted<'v>(
        &'v self,
        ledger: &'v Ledger,
        number: u64,
        is_meant: &dyn Fn(&RowFields<'_>) -> bool,
    ) -> Result<Option<Person<'v>>, Damage> {
        let Some(person) = self.by_valid_ticket(ledger, number)? else { return Ok(None) };
        let meant = RowFields::of(person.resident_bytes()?).is_some_and(|row| is_meant(&row));
        Ok(Some(person).filter(|_| meant || broken(Mutation::TrustLookUps)))
    }

    /// The person who has the ticket with this number, by the valid one of their tickets; `None` if no register has them.
    pub(super) fn by_valid_ticket<'v>(&'v self, ledger: &'v Ledger, number: u64) -> Result<Option<Person<'v>>, Damage> {
        let Ok(ticket) = Ticket::new(ledger.municipality, number) else { return Ok(None) };
        let Some(person) = self.registered(ticket)? else { return Ok(None) };
        match person.tickets()?.last() {
            Some(&valid) if valid != ticket => self.registered(valid),
            _ => Ok(Some(person)),
        }
    }

    fn registered(&self, ticket: Ticket) -> Result<Option<Person<'_>>, Damage> {
        match self.match_ticket(ticket) {
            Match::Matched(person) => Ok(Some(person)),
            Match::Damaged(damage) => Err(damage),
            Match::Orphan(_) | Match::NotFound => Ok(None),
        }
    }
}

/// The tickets of a ledger that may be meant, each once, in the order of their numbers. `table`: that of its generation, if it is at hand.
#[inline]
fn candidates(
    ledger: &Ledger,
    table: Option<&HeldSlots>,
    keys: &[Key],
    hashes: &[u64],
) -> Result<SmallVec<[u64; 4]>, Damage> {
    let mut numbers = SmallVec::new();
    if let Some(overlay) = ledger.overlay().filter(|_| !broken(Mutation::ForgetOverlay)) {
        keys.iter().for_each(|key| numbers.extend(overlay.with(key)));
    }
    for (&hash, key) in hashes.iter().zip(keys) {
        match (table, &ledger.generation) {
            (_, None) => {}
            (Some(table), Some(generation)) => {
                for address in table.find_all(hash) {
                    numbers.push(generation.number_at(address)?);
                }
            }
            (None, Some(generation)) => match generation.look_up(key.kind(), hash)? {
                Candidates::These(these) => numbers.extend(these),
                Candidates::Any => {
                    for entry in generation.entries() {
                        numbers.push(entry?.0);
                    }
                }
            },
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}
