//! The ledgers of a view, by their municipality's ordinal.
//!
//! Owns which there are, and their look-ups side by side: a question to all of them would spend its time on the way from ledger to generation to table, each a
//! line of memory that is not there yet. The tables are gathered at the first question after a ledger was replaced, kind by kind.

use std::sync::{Arc, OnceLock};

use crate::generation::HeldSlots;
use crate::ledger::Ledger;
use crate::lookup::Kind;
use crate::ticket::Municipality;

/// The ledgers of one moment.
pub(crate) struct Ledgers {
    ledgers: Box<[Option<Arc<Ledger>>]>,
    /// By [`Kind`].
    tables: [OnceLock<Tables>; Kind::ALL.len()],
}

/// One table for each ledger. `None`: its generation itself must be asked, if it has one; the file lacks the look-up, or it is damaged.
pub(super) type Tables = Box<[Option<HeldSlots>]>;

impl Ledgers {
    pub(crate) fn none() -> Ledgers {
        Ledgers { ledgers: vec![None; Municipality::COUNT].into_boxed_slice(), tables: Default::default() }
    }

    #[inline]
    pub(crate) fn get(&self, ordinal: usize) -> Option<&Arc<Ledger>> {
        self.ledgers.get(ordinal)?.as_ref()
    }

    pub(crate) fn set(&mut self, ledger: Arc<Ledger>) {
        let ordinal = ledger.municipality.ordinal();
        self.ledgers[ordinal] = Some(ledger);
        self.tables = Default::default();
    }

    /// Those of which anything is known.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Ledger>> {
        self.ledgers.iter().flatten()
    }

    /// The tables of one look-up, by ordinal.
    pub(super) fn tables(&self, kind: Kind) -> &Tables {
        self.tables[kind as usize].get_or_init(|| {
            let table = |ledger: &Option<Arc<Ledger>>| {
                let ledger = ledger.as_ref()?;
                ledger.generation.as_ref()?.lookup_table(kind).ok()??;
                HeldSlots::new(TableOf(Arc::clone(ledger), kind))
            };
            self.ledgers.iter().map(table).collect()
        })
    }
}

impl Clone for Ledgers {
    /// The ledgers alone: a clone is made to replace one of them.
    fn clone(&self) -> Ledgers {
        Ledgers { ledgers: self.ledgers.clone(), tables: Default::default() }
    }
}

/// A ledger that holds a table.
struct TableOf(Arc<Ledger>, Kind);

impl AsRef<[u8]> for TableOf {
    fn as_ref(&self) -> &[u8] {
        let TableOf(ledger, kind) = self;
        let table = ledger.generation.as_ref().and_then(|generation| generation.lookup_table(*kind).ok().flatten());
        table.unwrap_or_default()
    }
}
