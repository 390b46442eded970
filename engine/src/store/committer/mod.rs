//! The committer: whoever holds it is the one who changes the store.
//!
//! Owns the writer of the log and the ledgers' state. Commands are placed into a batch; the batch is written and synced; only then are its events put into
//! the tails, the new view is published, and the commands are answered, in this order (I1, I5). There is no timer: a batch is what gathered during the last
//! sync. Which thread does it is the business of `pipeline`.

mod act;
mod place;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prost::Message as _;
use sesshu_proto::v1::{Generation as GenerationMessage, GenerationInstalled};

use super::batch::{Batch, Placed};
use super::record::RecordCommand;
use super::state::{State, sender_of};
use super::view::View;
use super::{Shared, lock};
use crate::error::RecordError;
use crate::frame::kind;
use crate::generation::Generation;
use crate::ledger::{Effect, Horizon, Installed};
use crate::limits::{BATCH_BYTES_MAX, LATE_WARNINGS_BYTES};
use crate::log::{LogError, Sealed, Writer, is_full};
use crate::mutation::{Mutation, broken};
use crate::ticket::Municipality;

/// The trouble of a store that found no room.
pub(in crate::store) const DISK_FULL: &str = "the disk is full";

/// Room in a batch for the events of record commands: all but the batch's own header, and what is kept for late warnings.
const EVENT_BYTES_MAX: usize = BATCH_BYTES_MAX - 64 - LATE_WARNINGS_BYTES;

pub(in crate::store) struct Committer {
    writer: Writer,
    state: State,
    /// What is being gathered.
    open: Batch,
    /// What is being written and synced, and since when.
    flying: Option<(Batch, Instant)>,
    /// The memory of a batch that was answered, for the next one.
    spare: Batch,
    /// Commands that wait for the next batch, or for the next segment, which waits for the batch on its way.
    held: Vec<RecordCommand>,
    /// Bytes of what is being gathered that are left for late warnings.
    late_room: usize,
    /// The manifest could not be written when the store was opened: it must be before the log is.
    manifest_due: bool,
    /// Why nothing may be written any more (I7).
    failed: Option<String>,
    /// The last attempt to write found no room.
    full: bool,
}

/// A batch that is durable and not visible yet.
pub(in crate::store) struct Landed {
    batch: Batch,
    took: Duration,
    end: u64,
    sequence: u64,
    time_ms: u64,
}

impl Landed {
    /// Shots that it adds.
    pub(in crate::store) fn shots(&self) -> usize {
        self.batch.placed().len()
    }
}

impl Committer {
    /// `manifest_due`: nothing may be written before the manifest is.
    pub(in crate::store) fn new(writer: Writer, state: State, manifest_due: bool) -> Committer {
        let has_segment = writer.has_segment();
        Committer {
            writer,
            state,
            open: Batch::default(),
            flying: None,
            spare: Batch::default(),
            held: Vec::new(),
            late_room: 0,
            manifest_due,
            failed: None,
            full: manifest_due || !has_segment,
        }
    }

    /// Whether nobody waits for an answer.
    pub(in crate::store) fn is_idle(&self) -> bool {
        self.flying.is_none() && self.open.is_empty() && self.held.is_empty()
    }

    /// Whether a batch is on its way.
    pub(in crate::store) fn is_flying(&self) -> bool {
        self.flying.is_some()
    }

    /// Where the durable log ends.
    pub(in crate::store) fn end(&self) -> u64 {
        self.writer.durable()
    }

    /// Whether a mark would vouch for something that nothing vouches for yet.
    pub(in crate::store) fn wants_mark(&self) -> bool {
        self.failed.is_none() && self.is_idle() && self.writer.wants_mark()
    }

    /// Whether a write failed: the end of the log is then not known.
    pub(in crate::store) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Bytes of events that can be placed now.
    pub(in crate::store) fn room(&self) -> usize {
        match (self.held.is_empty(), self.open.is_empty()) {
            (false, _) => 0,
            (true, true) => EVENT_BYTES_MAX,
            (true, false) => self.writer.room().saturating_sub(self.late_room).min(EVENT_BYTES_MAX),
        }
    }

    /// Shots that are placed and not sealed.
    pub(in crate::store) fn gathered(&self) -> usize {
        self.open.placed().len()
    }

    /// The ledgers as they will be seen when everything that is durable is published.
    pub(in crate::store) fn state(&self) -> &State {
        &self.state
    }

    /// Ends the batch that was gathered. It must be written, and what became of it told to [`Committer::landed`].
    pub(in crate::store) fn seal(&mut self) -> Sealed {
        assert!(self.flying.is_none(), "I2: one batch is on its way at a time");
        let batch = std::mem::replace(&mut self.open, std::mem::take(&mut self.spare));
        self.flying = Some((batch, Instant::now()));
        self.writer.seal()
    }

    /// Takes note of what became of the batch on its way. `None`: it failed, and everybody who waited was told.
    pub(in crate::store) fn landed(
        &mut self,
        shared: &Shared,
        sealed: Sealed,
        result: io::Result<()>,
    ) -> Option<Landed> {
        if let Err(error) = result {
            self.abandon(shared, &error);
            return None;
        }
        let (batch, begun) = self.flying.take().expect("I2: a batch that comes back was on its way");
        let (end, sequence, time_ms) = (sealed.end, sealed.last_sequence, sealed.time_ms);
        self.writer.written(sealed);
        Some(Landed { batch, took: begun.elapsed(), end, sequence, time_ms })
    }

    /// Makes a durable batch visible and answers its commands.
    pub(in crate::store) fn show(&mut self, shared: &Shared, landed: Landed) {
        let Landed { batch, took, end, sequence, time_ms } = landed;
        for &Placed { ticket, appended, orphan, .. } in batch.placed() {
            self.state.event_recorded(ticket, appended.address, Effect::Shot { orphan }, &[]);
        }
        self.publish(shared, end, sequence, time_ms);
        self.found_room(shared);
        lock(&shared.statistics).committed(batch.placed().len(), took, shared.queue.depth());
        self.answer(shared, batch);
    }

    /// Writes and syncs what was gathered.
    fn commit(&mut self, shared: &Shared) {
        if self.gathered() == 0 {
            // Nothing is new: what the answers name is durable and visible.
            let batch = std::mem::take(&mut self.open);
            return self.answer(shared, batch);
        }
        let sealed = self.seal();
        if broken(Mutation::ShowBeforeSync) {
            for placed in self.flying.iter().flat_map(|(batch, _)| batch.placed()) {
                let Placed { ticket, appended, orphan, .. } = *placed;
                self.state.event_recorded(ticket, appended.address, Effect::Shot { orphan }, &[]);
            }
            self.publish(shared, sealed.end, sealed.last_sequence, sealed.time_ms);
        }
        let result = sealed.write();
        if let Some(landed) = self.landed(shared, sealed, result) {
            self.show(shared, landed);
        }
    }

    /// Writes and syncs what was gathered on this thread, and what waited for it.
    pub(in crate::store) fn commit_all(&mut self, shared: &Shared) {
        loop {
            self.commit(shared);
            let held = self.take_held();
            if held.is_empty() {
                return;
            }
            self.add(shared, held);
        }
    }

    /// The commands that waited for the next batch or segment, once no batch is on its way.
    pub(in crate::store) fn take_held(&mut self) -> Vec<RecordCommand> {
        std::mem::take(&mut self.held)
    }

    fn answer(&mut self, shared: &Shared, mut batch: Batch) {
        lock(&shared.statistics).acknowledged(batch.waited());
        batch.acknowledge();
        self.spare = batch;
    }

    /// The write or the sync failed: whether its shots survive is not known, and what was gathered meanwhile was not written.
    fn abandon(&mut self, shared: &Shared, error: &io::Error) {
        let in_doubt = self.poison(shared, error.to_string(), true);
        if let Some((mut batch, _)) = self.flying.take() {
            batch.fail(&in_doubt);
        }
        let refused = self.ready(shared).expect_err("the log just failed");
        self.open.fail(&refused);
        self.take_held().into_iter().for_each(|command| command.fail(&refused));
    }

    /// The thread that would have answered has ended: whoever waits is in doubt.
    pub(in crate::store) fn give_up(&mut self) {
        let in_doubt = RecordError::unanswered();
        self.failed.get_or_insert_with(|| "the committer ended by a panic".into());
        let flying = self.flying.take().map(|(batch, _)| batch);
        for mut batch in flying.into_iter().chain([std::mem::take(&mut self.open)]) {
            batch.fail(&in_doubt);
        }
        self.take_held().into_iter().for_each(|command| command.fail(&in_doubt));
    }

    /// Makes a generation the base of its ledger. Returns the sequence of the event. Nothing is under way.
    pub(in crate::store) fn install(
        &mut self,
        shared: &Shared,
        municipality: Municipality,
        generation: Generation,
        message: GenerationMessage,
    ) -> Result<u64, RecordError> {
        assert!(self.is_idle(), "I2: an install has a batch of its own");
        self.ready(shared)?;
        let sender = sender_of(&message);
        let installed = GenerationInstalled { generation: Some(message) }.encode_to_vec();
        let now_ms = shared.platform.environment.now_ms();
        let begun = self.writer.begin(Writer::event_bytes(installed.len()), now_ms);
        let time_ms = begun.map_err(|error| self.note(shared, error, false))?;
        let since = Installed { since: (self.writer.next_sequence(), time_ms), sender };
        // What can fail comes before the event: once it is durable the ledger must follow.
        let ledger = self.state.with_generation(municipality, generation, since, self.writer.segments())?;
        let bits = u64::from(municipality.five_digits()) << 34;
        self.writer.push(kind::GENERATION_INSTALLED, 0, bits, 0, &installed);
        let sealed = self.writer.seal();
        if broken(Mutation::ShowInstallBeforeSync) {
            self.state.set(Arc::clone(&ledger));
            self.publish(shared, sealed.end, sealed.last_sequence, time_ms);
        }
        sealed.write().map_err(|error| self.poison(shared, error.to_string(), true))?;
        let (end, sequence) = (sealed.end, sealed.last_sequence);
        self.writer.written(sealed);
        self.state.set(ledger);
        self.publish(shared, end, sequence, time_ms);
        self.found_room(shared);
        Ok(sequence)
    }

    /// Vouches for the last batch.
    pub(in crate::store) fn mark(&mut self, shared: &Shared) {
        match self.writer.mark() {
            Ok(()) => {
                let (sequence, time_ms) = (self.writer.next_sequence() - 1, self.writer.time_ms());
                self.publish(shared, self.writer.durable(), sequence, time_ms);
                if broken(Mutation::TakeMarkForRoom) {
                    self.found_room(shared);
                }
            }
            Err(error) => drop(self.poison(shared, error.to_string(), false)),
        }
    }

    /// Forgets the segments of the log that lie before everything that a ledger's tail holds, and before `position`. Returns their files.
    pub(in crate::store) fn forget_log_before(&mut self, shared: &Shared, position: u64) -> Vec<PathBuf> {
        let oldest = self.state.ledgers.iter().filter_map(|ledger| ledger.tail.oldest()).min();
        let oldest = oldest.filter(|_| !broken(Mutation::ForgetNeededSegments));
        let forgotten = self.writer.forget_before(oldest.map_or(position, |oldest| oldest.min(position)));
        if !forgotten.is_empty() {
            let view = shared.view.load_full();
            self.publish(shared, view.end, view.horizon.sequence, view.time_ms);
        }
        forgotten
    }

    /// Shows where the log ends before that is written down: a segment may have been begun for what then turned out to be there already.
    pub(in crate::store) fn show_end(&mut self, shared: &Shared) {
        if shared.view.load().end != self.writer.durable() && !broken(Mutation::CloseBeforeTheEnd) {
            let (sequence, time_ms) = (self.writer.next_sequence() - 1, self.writer.time_ms());
            self.publish(shared, self.writer.durable(), sequence, time_ms);
        }
    }

    /// What is durable is visible from now on.
    fn publish(&mut self, shared: &Shared, end: u64, sequence: u64, time_ms: u64) {
        let (ledgers, segments) = (Arc::clone(&self.state.ledgers), self.writer.segments().clone());
        shared.view.store(Arc::new(View { ledgers, horizon: Horizon { segments, sequence }, end, time_ms }));
        shared.upkeep.look(end, self.writer.segment_number());
    }

    /// An event was written, so there is room. A mark says nothing of that: its room is kept.
    fn found_room(&mut self, shared: &Shared) {
        if std::mem::take(&mut self.full) {
            *lock(&shared.trouble) = None;
        }
    }

    /// Whether anything may be written.
    fn ready(&mut self, shared: &Shared) -> Result<(), RecordError> {
        if let Some(reason) = &self.failed {
            return Err(RecordError::Poisoned(reason.clone()));
        }
        if self.manifest_due {
            let written = lock(&shared.manifest).write(&*shared.platform.disk, &shared.view.load(), false);
            written.map_err(|error| self.unprepared(shared, &error))?;
            self.manifest_due = false;
        }
        Ok(())
    }

    /// Draws the consequence of a failure of the log, and says what the caller may know. `written`: bytes of the caller's may have reached the disk.
    fn note(&mut self, shared: &Shared, error: LogError, written: bool) -> RecordError {
        match error {
            LogError::NoSegment(error) => self.unprepared(shared, &error),
            LogError::Failed(error) => self.poison(shared, error.to_string(), written),
        }
    }

    /// Something that must be there before the log is written could not be made.
    fn unprepared(&mut self, shared: &Shared, error: &io::Error) -> RecordError {
        if broken(Mutation::PoisonWhenFull) {
            return self.poison(shared, error.to_string(), false);
        }
        self.full = true;
        let (trouble, answer) = if is_full(error) {
            (DISK_FULL.to_owned(), RecordError::DiskFull)
        } else {
            (format!("the log could not go on: {error}"), RecordError::Unprepared(error.to_string()))
        };
        *lock(&shared.trouble) = Some(trouble);
        answer
    }

    fn poison(&mut self, shared: &Shared, reason: String, written: bool) -> RecordError {
        tracing::error!(reason, "the log failed; the store is read-only until it is opened again");
        *lock(&shared.trouble) = Some(format!("the log failed: {reason}"));
        self.failed = Some(reason.clone());
        if written { RecordError::InDoubt(reason) } else { RecordError::Poisoned(reason) }
    }
}
