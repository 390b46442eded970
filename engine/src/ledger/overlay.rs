//! The overlay: what rows that changed in the tail can be looked up by.
//!
//! Owns the tables from a folded question to ticket numbers. A generation's look-ups know nothing of what came after it, so every changed row is entered here.
//! Nothing is taken out before the ledger has a new generation: a reader with an older view may still need it. So an entry says where to look, and whoever looks
//! compares the row. Derived (I8): it is filled from the same events live, at replay and behind a checkpoint.

use std::collections::{BTreeSet, HashMap};

use smallvec::SmallVec;

use crate::lookup::{Key, RowFields};
use crate::names::fold_kana;
use crate::stored::RowView;

/// What the rows that changed can be looked up by.
#[derive(Default)]
pub(crate) struct Overlay {
    /// Tickets whose row may have changed.
    changed: BTreeSet<u64>,
    by_key: HashMap<Key, SmallVec<[u64; 2]>>,
    /// Folded kana and number.
    by_kana: BTreeSet<(Box<str>, u64)>,
    /// Tickets with an event that could not be read: each may be whoever is looked for, and tells of the damage.
    unread: BTreeSet<u64>,
}

impl Overlay {
    /// Takes note of a change of a ticket's row; `None`: it cannot be read.
    pub(super) fn row_changed(&mut self, number: u64, row: Option<&RowView<'_>>) {
        self.changed.insert(number);
        let Some((row, fields)) = row.and_then(|row| Some((row, RowFields::of(row.bytes)?))) else {
            self.unread.insert(number);
            return;
        };
        let my_number = (!row.sealed_my_number.is_empty()).then_some(Key::MyNumber(row.my_number_hash));
        for key in fields.keys().chain(my_number) {
            let numbers = self.by_key.entry(key).or_default();
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        self.by_kana.insert((fold_kana(fields.name_kana).into(), number));
    }

    /// Whether the ticket's row may have changed.
    pub(crate) fn holds(&self, number: u64) -> bool {
        self.changed.contains(&number)
    }

    /// The tickets whose row may be one that is asked for.
    pub(crate) fn with(&self, key: &Key) -> impl Iterator<Item = u64> {
        let found = self.by_key.get(key).map(|numbers| numbers.as_slice()).unwrap_or_default();
        found.iter().chain(&self.unread).copied()
    }

    /// Folded kana and number of the tickets whose row may have kana that begin with `prefix`, in this order; those that could not be read, and may
    /// have any, come first.
    pub(crate) fn beginning_with(&self, prefix: &str) -> impl Iterator<Item = (Option<&str>, u64)> {
        let from = (Box::from(prefix), 0);
        let known = self.by_kana.range(from..).map(|(kana, number)| (&**kana, *number));
        let unread = self.unread.iter().map(|&number| (None, number));
        let prefix = prefix.to_owned();
        let known = known.take_while(move |(kana, _)| kana.starts_with(&*prefix));
        unread.chain(known.map(|(kana, number)| (Some(kana), number)))
    }
}
