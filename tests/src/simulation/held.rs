//! Loads that are held, confirmed and discarded in a run.
//!
//! Owns what people know of them: of each ledger the loads that may be held, and whether one must be. A fault leaves that open until the next program tells.

use std::path::Path;

use sesshu_engine::error::{HeldError, LoadError, RecordError};
use sesshu_engine::{Held, HeldId, HoldPolicy};

use super::acts::chain;
use super::model::{Event, of};
use super::properties::{Failure, blame, ensure};
use super::runner::Runner;
use super::workload::{LEDGERS, Register};

/// A load that may be held.
pub(super) struct Waiting {
    /// None if nobody was told.
    id: Option<HeldId>,
    event: Event,
    /// Generations of its ledger that were installed before it was built.
    installs: usize,
    expires_at_ms: u64,
    /// It was said to be held, and nothing has left that open since.
    sure: bool,
}

impl Runner {
    pub(super) fn hold(&mut self, register: &Register) -> Result<(), Failure> {
        let ledger = register.ledger;
        if self.builds[ledger].is_some() {
            return Ok(());
        }
        self.build(register)?;
        let Some((built, event)) = self.builds[ledger].take() else { return Ok(()) };
        let before = self.before();
        let installs = self.model.installs(ledger);
        let shown = built.report().clone();
        // So much that clocks that jump seldom end it.
        let policy = HoldPolicy { keep: std::time::Duration::from_secs(20 * 86_400), ..HoldPolicy::default() };
        match built.hold(&policy) {
            Ok(held) => {
                ensure(held.report == shown, "a held load is the one that was built", || format!("{held:?}"))?;
                let (id, expires_at_ms) = (Some(held.id), held.expires_at_ms);
                self.waiting[ledger] = vec![Waiting { id, event, installs, expires_at_ms, sure: true }];
                self.ran.held += 1;
                self.shows_the_model()
            }
            Err(error) => {
                self.doubt_held(ledger);
                self.waiting[ledger].push(Waiting { id: None, event, installs, expires_at_ms: 0, sure: false });
                self.not_loaded(&before, &error)
            }
        }
    }

    /// Of this ledger, or of the next that has one.
    pub(super) fn confirm(&mut self, ledger: usize) -> Result<(), Failure> {
        let mut ledgers = (ledger..ledger + LEDGERS).map(|ledger| ledger % LEDGERS);
        let shown = ledgers.find_map(|ledger| Some((ledger, self.shown_held(ledger)?)));
        let Some((ledger, held)) = shown else { return Ok(()) };
        let pending = self.builds[ledger].is_some();
        let before = self.before();
        match self.store().confirm(held.id) {
            Ok(report) => {
                let waiting = self.waiting[ledger].drain(..).find(|it| it.id.is_none_or(|id| id == held.id));
                let waiting = waiting.expect("what is shown may be held");
                self.model.apply(waiting.event);
                let sequence = self.model.sequence();
                ensure(report.sequence == sequence, "sequences are contiguous", || {
                    format!("{report:?}, not {sequence}")
                })?;
                self.ran.confirmed += 1;
                self.shows_the_model()
            }
            Err(HeldError::Load(LoadError::UnderWay(_))) if pending => Ok(()),
            Err(HeldError::Load(LoadError::Install(error @ RecordError::InDoubt(_)))) => {
                self.doubt_held(ledger);
                self.excuse(&before, &error)?;
                let waiting = self.waiting[ledger].iter().find(|it| it.id.is_none_or(|id| id == held.id));
                self.doubt = vec![waiting.expect("what is shown may be held").event.clone()];
                self.ran.doubts += 1;
                Ok(())
            }
            Err(HeldError::Load(error)) => {
                self.doubt_held(ledger);
                self.not_loaded(&before, &error)
            }
            Err(HeldError::Damaged { damage, .. }) => {
                self.doubt_held(ledger);
                self.damaged.append(&mut self.disk.damaged());
                // A file that a failed confirmation could not put back is missing.
                if self.disk.faults() > self.calm { Ok(()) } else { blame(&damage, &self.damaged) }
            }
            Err(error) => ensure(false, "what is shown as held can be confirmed", || chain(&error)),
        }
    }

    pub(super) fn discard(&mut self, ledger: usize) -> Result<(), Failure> {
        let Some(held) = self.shown_held(ledger) else { return Ok(()) };
        let before = self.before();
        match self.store().discard(held.id) {
            Ok(()) => {
                self.waiting[ledger].retain(|it| it.id.is_none());
                Ok(())
            }
            Err(error) => {
                self.doubt_held(ledger);
                self.excuse(&before, &error)
            }
        }
    }

    pub(super) fn shown_held(&self, ledger: usize) -> Option<Held> {
        self.store().held().into_iter().find(|held| held.id.municipality() == of(ledger))
    }

    fn doubt_held(&mut self, ledger: usize) {
        self.waiting[ledger].iter_mut().for_each(|it| it.sure = false);
    }

    /// What is held is what may be, and what was said to be held is, until its time runs out or another register is installed. `opened`: from now on it is
    /// certain.
    pub(super) fn holds_the_held(&mut self, opened: bool) -> Result<(), Failure> {
        self.damaged.append(&mut self.disk.damaged());
        for ledger in 0..LEDGERS {
            let (shown, installs) = (self.shown_held(ledger), self.model.installs(ledger));
            let newest_ms = self.world.newest_ms();
            let harmed = |path: &Path| path.starts_with("held") || path.to_string_lossy().contains('-');
            let harmed = self.damaged.iter().any(|path| harmed(path));
            self.waiting[ledger].retain(|it| it.installs == installs);
            let waiting = &mut self.waiting[ledger];
            let Some(held) = shown else {
                let missing = waiting.iter().any(|it| it.sure && newest_ms < it.expires_at_ms);
                ensure(!missing || harmed, "what was said to be held is held", || format!("ledger {ledger}"))?;
                if opened {
                    waiting.clear();
                }
                continue;
            };
            let at = waiting.iter().position(|it| it.id == Some(held.id));
            let at = at.or_else(|| waiting.iter().rposition(|it| it.id.is_none()));
            let Some(at) = at else {
                return ensure(false, "nothing is held that was confirmed, discarded, replaced or void", || {
                    format!("{held:?}")
                });
            };
            if opened {
                let it = waiting.swap_remove(at);
                let (id, expires_at_ms) = (Some(held.id), held.expires_at_ms);
                *waiting = vec![Waiting { id, expires_at_ms, sure: true, ..it }];
            }
        }
        Ok(())
    }
}
