//! Compaction: a ledger's next generation made of what the store has, not of a register.
//!
//! Owns what it comes to: everything that hangs on the tail is folded, each person's entry lies in one place, and the log up to there is no longer needed for this
//! ledger. Readers see the same before and after. It is in nobody's way: a ledger that is being loaded, or of which a load is held, is left for later, and a load that
//! comes while it is compacted ends that.

use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use super::fold;
use super::held_file::HeldId;
use super::key::data_keys;
use super::pace;
use super::place::Place;
use super::successor::{Successor, failed};
use super::view::View;
use super::{Shared, Store, lock};
use crate::error::{CompactError, LoadError};
use crate::generation::{self, Builder};
use crate::intake::Sender;
use crate::ledger::Ledger;
use crate::mutation::{Mutation, broken};
use crate::ticket::Municipality;

/// Bytes that an event takes in a generation, at most but for long texts, rows and histories.
const FOLDED_EVENT_BYTES: u64 = 160;
/// How many bytes are written before it is looked whether that was too fast.
const PACE_BYTES: u64 = 1 << 20;

/// What compacting a ledger would do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactionForecast {
    /// Whose ledger.
    pub municipality: Municipality,
    /// Events that would be folded.
    pub events: u64,
    /// Tickets that they are about.
    pub tickets: u64,
    /// Bytes of the log from the oldest of them on, other ledgers' events among them: what this ledger keeps from being removed.
    pub log_bytes: u64,
    /// Bytes of the current generation; 0 if there is none.
    pub bytes_before: u64,
    /// Bytes of the next one, as far as can be said.
    pub bytes_after: u64,
    /// Bytes that the disk must have left: for the next generation, and so that shots can go on being recorded.
    pub bytes_needed: u64,
    /// The load that must be confirmed or discarded first.
    pub held: Option<HeldId>,
}

/// What compacting a ledger did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compacted {
    /// Whose ledger.
    pub municipality: Municipality,
    /// The generation that is now its base.
    pub generation: u64,
    /// The event that made it so.
    pub sequence: u64,
    /// Events that were folded.
    pub events: u64,
    /// Tickets that they are about.
    pub tickets: u64,
    /// Bytes of the generation before; 0 if there was none.
    pub bytes_before: u64,
    /// Bytes of the generation.
    pub bytes_after: u64,
}

/// How far a compaction has come. It is told every MiB or so, and while it waits for its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactionProgress {
    /// Bytes of the next generation that are written.
    pub bytes: u64,
    /// As many as there will be, as far as can be said.
    pub bytes_expected: u64,
}

/// Whom to tell how far it has come; [`ControlFlow::Break`] stops it, and the ledger stays as it was. A load of the same ledger from in here would wait for itself.
pub type Watch<'a> = dyn FnMut(CompactionProgress) -> ControlFlow<()> + Send + 'a;

impl Store {
    /// What compacting would do, for each ledger that has events to fold.
    #[must_use]
    pub fn compaction_forecast(&self) -> Vec<CompactionForecast> {
        self.shared.expire_held();
        let view = self.view();
        view.ledgers.iter().filter_map(|ledger| self.shared.forecast(ledger, &view)).collect()
    }

    /// Folds what hangs on a ledger's tail into its next generation; at most `limit` bytes a second are written, if there is a limit. `None`: there is nothing to fold.
    ///
    /// # Errors
    ///
    /// [`CompactError`].
    pub fn compact(
        &self,
        municipality: Municipality,
        limit: Option<NonZeroU64>,
        watch: &mut Watch<'_>,
    ) -> Result<Option<Compacted>, CompactError> {
        compact(&self.shared, municipality, limit, watch)
    }

    /// Ends a compaction of a ledger, if there is one, and waits for that, which may take a second: a load that is begun then need not. Loads do it by themselves;
    /// this is for whoever must not wait while holding something.
    pub fn make_way(&self, municipality: Municipality) {
        drop(self.shared.places.without_compaction(municipality));
    }
}

/// See [`Store::compact`].
pub(super) fn compact(
    shared: &Arc<Shared>,
    municipality: Municipality,
    limit: Option<NonZeroU64>,
    watch: &mut Watch<'_>,
) -> Result<Option<Compacted>, CompactError> {
    shared.expire_held();
    let place = Place::take_giving_way(shared, municipality)?;
    let view = shared.view.load_full();
    let forecast = view.ledgers.get(municipality.ordinal()).and_then(|it| shared.forecast(it, &view));
    let Some(forecast) = forecast else { return Ok(None) };
    shared.holds_none(municipality)?;
    let needed = forecast.bytes_needed;
    let available = place.disk().available().map_err(failed("asking for the room of", generation::STAGING))?;
    if available < needed {
        return Err(CompactError::NoRoom { municipality, needed, available });
    }
    let compacted = shared.platform.aside(|| fold_and_install(place, &forecast, limit, watch))?;
    shared.compactions.done(shared.platform.environment.now_ms(), &compacted);
    Ok(Some(compacted))
}

impl Shared {
    /// `None`: the ledger has nothing to fold.
    fn forecast(&self, ledger: &Ledger, view: &View) -> Option<CompactionForecast> {
        let events = ledger.tail.counts().events;
        let bytes_before = ledger.generation.as_ref().map_or(0, |generation| generation.file_length());
        let bytes_after = bytes_before.saturating_add(events * FOLDED_EVENT_BYTES);
        let municipality = ledger.municipality;
        Some(CompactionForecast {
            municipality,
            events,
            tickets: ledger.tail.ticket_count(),
            log_bytes: view.end.saturating_sub(ledger.tail.oldest()?),
            bytes_before,
            bytes_after,
            bytes_needed: bytes_after.saturating_add(view.horizon.segments.next_bytes()),
            held: self.held_of(municipality),
        })
    }

    fn held_of(&self, municipality: Municipality) -> Option<HeldId> {
        lock(&self.held).get(&municipality.ordinal()).map(|held| held.id)
    }

    /// A held load fits the generation that it was built on, and no other.
    fn holds_none(&self, municipality: Municipality) -> Result<(), CompactError> {
        let held = self.held_of(municipality).filter(|_| !broken(Mutation::CompactHeld));
        held.map_or(Ok(()), |held| Err(CompactError::Held(held)))
    }
}

fn fold_and_install(
    place: Place,
    forecast: &CompactionForecast,
    limit: Option<NonZeroU64>,
    watch: &mut Watch<'_>,
) -> Result<Compacted, CompactError> {
    let (municipality, holder) = (place.municipality, Arc::clone(&place.holder));
    // Nothing but new seals needs the key, and they can wait.
    let keys = data_keys(&place.shared).unwrap_or_default();
    let mut pace = Pace { limit, started: Instant::now(), told: 0, expected: forecast.bytes_after };
    let mut go_on = |progress| if holder.is_wanted() { ControlFlow::Break(()) } else { watch(progress) };
    let built = Successor::build(place, 0, Sender::default(), |view, builder| {
        let events = view.ledgers.get(municipality.ordinal()).map_or(0, |ledger| ledger.tail.counts().events);
        let go_on = &mut |builder: &Builder| pace.keep(builder.position(), &mut go_on);
        fold::fold_as_it_is(view, municipality, &keys, builder, go_on)?;
        Ok(events)
    });
    let (next, events) = built.map_err(|error| match error {
        LoadError::Stopped(_) if holder.is_wanted() => LoadError::UnderWay(municipality),
        error => error,
    })?;
    let (generation, bytes_after) = (next.identity.generation, next.built.file_length);
    // One whose confirmation failed is held again.
    next.place.shared.holds_none(municipality)?;
    let sequence = next.install()?;
    tracing::info!(%municipality, generation, events, "a ledger was compacted");
    let CompactionForecast { tickets, bytes_before, .. } = *forecast;
    Ok(Compacted { municipality, generation, sequence, events, tickets, bytes_before, bytes_after })
}

/// Keeps the work from being faster than it may be.
struct Pace {
    limit: Option<NonZeroU64>,
    started: Instant,
    /// Bytes that were told of.
    told: u64,
    expected: u64,
}

impl Pace {
    fn keep(&mut self, bytes: u64, watch: &mut Watch<'_>) -> ControlFlow<()> {
        if bytes - self.told < PACE_BYTES {
            return ControlFlow::Continue(());
        }
        self.told = bytes;
        let progress = CompactionProgress { bytes, bytes_expected: self.expected.max(bytes) };
        watch(progress)?;
        pace::keep(self.limit, self.started, bytes, &mut || watch(progress))
    }
}
