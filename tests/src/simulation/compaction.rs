//! Ledgers that are compacted, and checkpoints: nothing that anybody can see changes by it, and the log becomes shorter.

use std::ops::ControlFlow;

use sesshu_engine::error::{CompactError, LoadError, RecordError};

use super::model::{Event, of};
use super::properties::{Failure, ensure};
use super::runner::Runner;
use super::workload::LEDGERS;

impl Runner {
    pub(super) fn compact(&mut self, ledger: usize) -> Result<(), Failure> {
        let before = self.before();
        let is_full = self.disk.is_full();
        let pending = self.builds[ledger].is_some();
        let held = self.shown_held(ledger);
        let (event, unfolded) = (Event::Compact(ledger, self.model.sequence()), self.model.unfolded(ledger));
        let expected = self.store().compaction_forecast().into_iter().find(|it| it.municipality == of(ledger));
        ensure(expected.as_ref().map_or(0, |it| it.tickets) == unfolded, "what is to be folded is told", || {
            format!("{expected:?}, of {unfolded} tickets")
        })?;
        match self.store().compact(of(ledger), None, &mut |_| ControlFlow::Continue(())) {
            Ok(None) => ensure(unfolded == 0, "what hangs on a tail is folded", || format!("{unfolded} tickets")),
            Ok(Some(done)) => {
                ensure(!pending && held.is_none(), "a load that waits is not made void", || format!("{done:?}"))?;
                self.model.apply(event);
                let expected = (self.model.sequence(), expected.map(|it| (it.events, it.bytes_before)));
                let said = (done.sequence, Some((done.events, done.bytes_before)));
                ensure(said == expected, "a compaction does what it said", || format!("{said:?}, not {expected:?}"))?;
                self.ran.compacted += 1;
                self.shows_the_model()
            }
            Err(CompactError::Held(id)) => {
                ensure(held.is_some_and(|held| held.id == id), "it waits for a load that is held", || id.to_string())
            }
            Err(CompactError::NoRoom { .. }) => {
                ensure(is_full, "there is room on a disk that is not full", String::new)
            }
            Err(CompactError::Build(LoadError::UnderWay(_))) if pending => Ok(()),
            Err(CompactError::Build(LoadError::Install(error @ RecordError::InDoubt(_)))) => {
                self.install_in_doubt(&before, event, &error)
            }
            Err(CompactError::Build(error)) => self.not_loaded(&before, &error),
        }
    }

    pub(super) fn checkpoint(&mut self) -> Result<(), Failure> {
        let before = self.before();
        let segments = self.store().status().log_segments;
        let written = self.store().checkpoint();
        self.wrote_nothing(&before)?;
        let left = self.store().status().log_segments;
        self.ran.trimmed += segments - left;
        let is_needed = (0..LEDGERS).any(|ledger| self.model.unfolded(ledger) > 0) || before.poisoned;
        ensure(written.is_err() || is_needed || left == 1, "segments that nothing needs are removed", || {
            format!("{left} of {segments} are left")
        })?;
        self.written(&before, written)
    }
}
