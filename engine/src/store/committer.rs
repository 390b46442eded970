//! The committer: the one thread that changes the store.
//!
//! Owns the writer of the log and the ledgers' state. Round by round it takes what waits, judges each shot against the view and against what it is about to
//! write, writes one batch, syncs it once, and only then publishes the new view and answers (I1, I5). There is no timer: a batch is what gathered during
//! the last sync.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use prost::Message as _;
use sesshu_proto::v1::{Generation as GenerationMessage, GenerationInstalled};
use smallvec::SmallVec;

use super::queue::Taken;
use super::record::{RecordCommand, RecordOutcome, Recorded};
use super::state::State;
use super::view::View;
use super::{Shared, lock, now_ms};
use crate::error::{Damage, RecordError};
use crate::frame::kind;
use crate::generation::Generation;
use crate::intake::ShotRecord;
use crate::ledger::Found;
use crate::limits::BATCH_BYTES_MAX;
use crate::log::{Appended, LogError, Vouched, Writer};
use crate::stored::ShotView;
use crate::ticket::{Municipality, Ticket};

/// After this long without work the last batch is vouched for by a mark.
const IDLE: Duration = Duration::from_millis(10);

/// Room in a batch for the events of record commands: all but the batch's own header.
const EVENT_BYTES_MAX: usize = BATCH_BYTES_MAX - 64;

pub(super) struct Committer {
    shared: Arc<Shared>,
    writer: Writer,
    state: State,
    /// Why nothing may be written any more (I7).
    failed: Option<String>,
    /// The last batch found no room for the next segment.
    full: bool,
    /// Scratch: the message of one event.
    message: Vec<u8>,
}

/// How the committer ended.
pub(super) struct Ended {
    pub(super) vouched: Vouched,
    pub(super) segment: u64,
    /// No write failed: the end of the log is known.
    pub(super) intact: bool,
}

/// Closes the queue when the committer ends, also by a panic: nobody may wait for it then.
struct Closing(Arc<Shared>);

impl Drop for Closing {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *lock(&self.0.trouble) = Some("the committer ended by a panic".into());
        }
        self.0.queue.abandon();
    }
}

/// A shot that is in the batch that is being written.
struct Pending<'c> {
    ticket: Ticket,
    appended: Appended,
    shot: &'c ShotRecord,
}

impl Committer {
    pub(super) fn start(shared: Arc<Shared>, writer: Writer, state: State) -> std::io::Result<JoinHandle<Ended>> {
        let closing = Closing(Arc::clone(&shared));
        let committer = Committer { shared, writer, state, failed: None, full: false, message: Vec::new() };
        std::thread::Builder::new().name("sesshu-committer".into()).spawn(move || {
            let _closing = closing;
            committer.run()
        })
    }

    fn run(mut self) -> Ended {
        loop {
            let patience = (self.failed.is_none() && self.writer.wants_mark()).then_some(IDLE);
            match self.shared.queue.take(EVENT_BYTES_MAX, patience) {
                Taken::Control(control) => control(Ok(&mut self)),
                Taken::Records(commands) => self.record(commands),
                Taken::Idle => self.mark(),
                Taken::Closed => break,
            }
        }
        if self.failed.is_none() && self.writer.wants_mark() {
            self.mark();
        }
        let vouched = Vouched { position: self.writer.end(), sequence: self.writer.next_sequence() - 1, closed: true };
        Ended { vouched, segment: self.writer.segment_number(), intact: self.failed.is_none() }
    }

    /// Writes what is new of the commands' shots, syncs it, publishes it, answers.
    fn record(&mut self, commands: Vec<RecordCommand>) {
        if let Err(error) = self.ready() {
            return commands.into_iter().for_each(|command| command.fail(&error));
        }
        let view = self.shared.view.load_full();
        let bytes = commands.iter().map(|command| command.bytes).sum();
        let time_ms = match self.writer.begin(bytes, now_ms()) {
            Ok(time_ms) => time_ms,
            Err(error) => {
                // Nothing of this batch was written: nobody is in doubt.
                let error = self.note(error, false);
                return commands.into_iter().for_each(|command| command.fail(&error));
            }
        };
        let mut batch = Batch { pending: Vec::new(), by_ticket: HashMap::new() };
        let answers: Vec<Vec<_>> = commands
            .iter()
            .map(|command| command.shots.iter().map(|shot| self.add(&view, &mut batch, shot, time_ms)).collect())
            .collect();
        if let Err(error) = self.commit(batch.pending) {
            return commands.into_iter().for_each(|command| command.fail(&error));
        }
        for (command, answers) in commands.into_iter().zip(answers) {
            (command.done)(answers);
        }
    }

    /// Judges a shot and adds it to the batch if it is new.
    fn add<'c>(
        &mut self,
        view: &View,
        batch: &mut Batch<'c>,
        shot: &'c ShotRecord,
        time_ms: u64,
    ) -> Result<Recorded, RecordError> {
        let ticket = shot.ticket();
        self.message.clear();
        shot.shot().encode(&mut self.message).expect("a vector grows");
        let offered = ShotView::of_message(0, 0, &self.message).expect("what prost wrote can be read");
        let found = view.find(ticket)?;
        if let Some(answer) = already(&found, &offered)?.or_else(|| batch.already(ticket, &offered, time_ms)) {
            return Ok(answer);
        }
        let tail = view.ledgers.get(ticket.ordinal()).and_then(|ledger| ledger.tail.newest(ticket.number()));
        let previous = batch.newest(ticket).or(tail).unwrap_or(0);
        let appended = self.writer.push(kind::SHOT_RECORDED, ticket.to_bits(), previous, &self.message);
        batch.push(Pending { ticket, appended, shot });
        let outcome = if matches!(found, Found::Matched(_)) { RecordOutcome::Recorded } else { RecordOutcome::Orphan };
        let sequence = appended.sequence;
        Ok(Recorded { outcome, shot_id: sequence, sequence, recorded_at_ms: time_ms })
    }

    /// Makes the batch durable, then visible.
    fn commit(&mut self, pending: Vec<Pending<'_>>) -> Result<(), RecordError> {
        if pending.is_empty() {
            return Ok(());
        }
        self.writer.commit().map_err(|error| self.note(error, true))?;
        for Pending { ticket, appended, .. } in pending {
            self.state.shot_recorded(ticket, appended.address);
        }
        self.publish();
        Ok(())
    }

    /// Makes a generation the base of its ledger. Returns the sequence of the event.
    pub(super) fn install(
        &mut self,
        municipality: Municipality,
        generation: Generation,
        message: GenerationMessage,
    ) -> Result<u64, RecordError> {
        self.ready()?;
        let installed = GenerationInstalled { generation: Some(message) }.encode_to_vec();
        let time_ms = self
            .writer
            .begin(Writer::event_bytes(installed.len()), now_ms())
            .map_err(|error| self.note(error, false))?;
        let since = (self.writer.next_sequence(), time_ms);
        // What can fail comes before the event: once it is durable the ledger must follow.
        let ledger = self.state.with_generation(municipality, generation, since, self.writer.segments())?;
        let bits = u64::from(municipality.five_digits()) << 34;
        let appended = self.writer.push(kind::GENERATION_INSTALLED, bits, 0, &installed);
        self.writer.commit().map_err(|error| self.note(error, true))?;
        self.state.set(ledger);
        self.publish();
        Ok(appended.sequence)
    }

    /// What a manifest that is written now may vouch for.
    pub(super) fn vouched(&self) -> (Vouched, u64) {
        let position =
            Vouched { position: self.writer.end(), sequence: self.writer.next_sequence() - 1, closed: false };
        (position, self.writer.segment_number())
    }

    fn mark(&mut self) {
        if let Err(error) = self.writer.mark() {
            self.note(error, false);
        }
    }

    fn publish(&mut self) {
        if std::mem::take(&mut self.full) {
            *lock(&self.shared.trouble) = None;
        }
        self.shared.view.store(Arc::new(View {
            ledgers: Arc::clone(&self.state.ledgers),
            segments: self.writer.segments().clone(),
            sequence: self.writer.next_sequence() - 1,
            end: self.writer.end(),
        }));
    }

    fn ready(&self) -> Result<(), RecordError> {
        self.failed.as_ref().map_or(Ok(()), |reason| Err(RecordError::Poisoned(reason.clone())))
    }

    /// Draws the consequence of a failure of the log, and says what the caller may know. `written`: bytes of the caller's may have reached the disk.
    fn note(&mut self, error: LogError, written: bool) -> RecordError {
        match error {
            LogError::Full => {
                self.full = true;
                *lock(&self.shared.trouble) = Some("the disk is full".into());
                RecordError::DiskFull
            }
            LogError::Failed(error) => self.poison(error.to_string(), written),
        }
    }

    fn poison(&mut self, reason: String, written: bool) -> RecordError {
        tracing::error!(reason, "the log failed; the store is read-only until it is opened again");
        *lock(&self.shared.trouble) = Some(format!("the log failed: {reason}"));
        self.failed = Some(reason.clone());
        if written { RecordError::InDoubt(reason) } else { RecordError::Poisoned(reason) }
    }
}

/// What is in the batch that is being written.
struct Batch<'c> {
    pending: Vec<Pending<'c>>,
    by_ticket: HashMap<Ticket, SmallVec<[usize; 1]>>,
}

impl<'c> Batch<'c> {
    fn push(&mut self, pending: Pending<'c>) {
        self.by_ticket.entry(pending.ticket).or_default().push(self.pending.len());
        self.pending.push(pending);
    }

    fn of(&self, ticket: Ticket) -> impl DoubleEndedIterator<Item = &Pending<'c>> {
        self.by_ticket.get(&ticket).into_iter().flatten().map(|&at| &self.pending[at])
    }

    fn newest(&self, ticket: Ticket) -> Option<u64> {
        self.of(ticket).next_back().map(|pending| pending.appended.address)
    }

    fn already(&self, ticket: Ticket, offered: &ShotView<'_>, time_ms: u64) -> Option<Recorded> {
        self.of(ticket).find_map(|pending| {
            let message = pending.shot.shot().encode_to_vec();
            let held = ShotView::of_message(pending.appended.sequence, time_ms, &message)?;
            repeats(&held, offered)
        })
    }
}

/// The answer, if the ticket holds the offered shot already.
fn already(found: &Found<'_>, offered: &ShotView<'_>) -> Result<Option<Recorded>, Damage> {
    let (Found::Matched(person) | Found::Orphan(person)) = found else { return Ok(None) };
    let mut answer = None;
    if person.shot_count() > 0 {
        person.each_shot(|held| answer = answer.or_else(|| repeats(&held, offered)))?;
    }
    Ok(answer)
}

/// The answer, if the offered shot repeats one that is held: by its capture id, or, where neither has one, by its content.
fn repeats(held: &ShotView<'_>, offered: &ShotView<'_>) -> Option<Recorded> {
    let same = held.same_content(offered);
    let outcome = match (held.capture_id == offered.capture_id, same) {
        (false, _) => return None,
        (true, true) => RecordOutcome::AlreadyRecorded,
        (true, false) if offered.capture_id.is_empty() => return None,
        (true, false) => RecordOutcome::CaptureIdConflict,
    };
    Some(Recorded { outcome, shot_id: held.shot_id, sequence: held.sequence, recorded_at_ms: held.recorded_at_ms })
}
