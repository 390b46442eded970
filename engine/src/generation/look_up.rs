//! Asking a generation's look-ups: for a resident number, a name, a My Number's hash, the beginning of the kana.
//!
//! Owns the questions. A look-up is checked whole at its first; one that a file lacks may be answered by every entry.

use super::layout::Section;
use super::read::{Generation, Lookup};
use super::slots::Slots;
use crate::error::Damage;
use crate::lookup::{Kind, RowFields};
use crate::names::fold_kana;

/// Folded kana and ticket number of rows, in this order.
pub(crate) type KanaRows<'a> = Box<dyn Iterator<Item = Result<(String, u64), Damage>> + 'a>;

/// A question that one look-up of a generation was asked.
#[derive(Debug)]
pub(crate) enum Candidates {
    /// The ticket numbers of the entries whose row it may be: the look-up holds hashes, the caller compares.
    These(Vec<u64>),
    /// The file has no such look-up: it may be every entry's.
    Any,
}

impl Generation {
    /// The table of a look-up, which was checked; `None` if the file has none.
    pub(crate) fn lookup_table(&self, kind: Kind) -> Result<Option<&[u8]>, Damage> {
        let Some(lookup) = &self.details().lookups[kind as usize] else { return Ok(None) };
        self.check_lookup(lookup)?;
        Ok(Some(self.bytes(&lookup.section)))
    }

    /// Asks a look-up.
    pub(crate) fn look_up(&self, kind: Kind, hash: u64) -> Result<Candidates, Damage> {
        let Some(table) = self.lookup_table(kind)? else { return Ok(Candidates::Any) };
        let Some(slots) = Slots::new(table) else {
            let offset = self.details().lookups[kind as usize].as_ref().map_or(0, |lookup| lookup.section.offset);
            return Err(self.damage(offset, "the look-up is no slot table"));
        };
        slots.find_all(hash).map(|address| self.number_at(address)).collect::<Result<_, _>>().map(Candidates::These)
    }

    /// The ticket number of the entry at `address`, which a look-up names.
    pub(crate) fn number_at(&self, address: u64) -> Result<u64, Damage> {
        self.number(address, &self.entry_at(address)?.0)
    }

    /// Folded kana and ticket number of the rows whose folded kana begins with `prefix`, in this order. `None` if the file has no order of kana.
    pub(crate) fn beginning_with<'a>(&'a self, prefix: &'a str) -> Result<Option<KanaRows<'a>>, Damage> {
        let Some(lookup) = &self.details().kana_order else { return Ok(None) };
        self.check_lookup(lookup)?;
        let (places, rest) = self.bytes(&lookup.section).as_chunks::<4>();
        if !rest.is_empty() {
            return Err(self.damage(lookup.section.offset, "the order of kana is none"));
        }
        let row = |place: &[u8; 4]| {
            let address = u64::from(u32::from_le_bytes(*place)) * 8;
            let (entry, _) = self.entry_at(address)?;
            let kana = fold_kana(RowFields::of(entry.row).unwrap_or_default().name_kana);
            Ok((kana, self.number(address, &entry)?))
        };
        let (mut from, mut to) = (0, places.len());
        while from < to {
            let middle = from.midpoint(to);
            if *row(&places[middle])?.0 < *prefix { from = middle + 1 } else { to = middle }
        }
        let rows = places[from..].iter().map(row);
        let begins_so =
            move |row: &Result<(String, u64), Damage>| row.as_ref().map_or(true, |(kana, _)| kana.starts_with(prefix));
        Ok(Some(Box::new(rows.take_while(begins_so))))
    }

    pub(super) fn lookup_section(&self, kind: Kind) -> Option<Section> {
        self.details().lookups[kind as usize].as_ref().map(|lookup| lookup.section)
    }

    pub(super) fn kana_order_section(&self) -> Option<Section> {
        self.details().kana_order.as_ref().map(|lookup| lookup.section)
    }

    pub(super) fn senders_section(&self) -> Option<Section> {
        self.details().senders.as_ref().map(|lookup| lookup.section)
    }

    pub(super) fn without_ticket_section(&self) -> Option<Section> {
        self.details().without_ticket.as_ref().map(|lookup| lookup.section)
    }

    /// Checks a look-up, once.
    pub(super) fn check_lookup(&self, lookup: &Lookup) -> Result<(), Damage> {
        lookup.checked.get_or_init(|| self.check_section(&lookup.section)).clone()
    }
}
