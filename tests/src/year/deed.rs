//! What was done to the store, one after another, and what was told of it.
//!
//! Owns the list that is recounted: it holds the input and the answers, and nothing that the store holds.

use sesshu_engine::intake::{Act, Amendment, By, ShotRef};
use sesshu_engine::{Amended, Changed, LoadReport, Recorded};

use super::book::Reissue;
use super::plan::Entry;

/// Something that was done at one time of the played clock.
pub(super) struct Done {
    pub(super) day: i32,
    pub(super) time_ms: u64,
    pub(super) deed: Deed,
    /// If the program was killed meanwhile: how many events of it the next one found.
    pub(super) found: Option<u64>,
}

/// What was done, with the answers. An answer that nobody got is `None`.
pub(super) enum Deed {
    /// A municipality sent its register.
    Register { book: usize, sending: u8, told: Option<LoadReport> },
    /// Tickets were reissued; the rows are those of the last sending.
    Reissues { of: Vec<Reissue>, told: Vec<Option<Changed>> },
    /// Shots were handed in.
    Shots { entries: Vec<Entry>, told: Vec<Option<Recorded>> },
    /// Shots were set right.
    Acts { asked: Vec<Asked>, told: Vec<Option<Amended>> },
}

/// An act on a shot with all that it says.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) of: ShotRef,
    pub(super) act: Act,
    pub(super) by: By,
    pub(super) version: Option<u64>,
    pub(super) settles: Option<u64>,
}

impl Asked {
    pub(super) fn amendment(&self) -> Amendment {
        Amendment::check(self.of, self.act.clone(), self.by.clone(), self.version, self.settles)
            .expect("an act that can be done")
    }
}
