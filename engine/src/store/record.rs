//! Recording shots: from the caller to the queue, and back.
//!
//! Owns the outcome of a record, and the three ways to ask for one: a single shot, many, or many with a call-back for callers that must not block. All of
//! them are commands of at most `COMMAND_SHOTS_MAX` shots in one queue.

use std::sync::mpsc;

use prost::Message as _;

use super::Store;
use crate::error::RecordError;
use crate::intake::ShotRecord;
use crate::limits::COMMAND_SHOTS_MAX;
use crate::log::Writer;

/// What became of a shot that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordOutcome {
    /// It is durable, on a ticket that the register has.
    Recorded,
    /// It is durable; the ticket is in no register yet, and matches by itself when its row arrives.
    Orphan,
    /// The ticket has this capture id already, or, without one, the identical shot. Nothing was added.
    AlreadyRecorded,
    /// The ticket has this capture id already, with other content. Nothing was added.
    CaptureIdConflict,
}

/// The answer to a record: durable when it is given (I1). For the last two outcomes it names the shot that the ticket has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// What became of it.
    pub outcome: RecordOutcome,
    /// Names the shot for ever.
    pub shot_id: u64,
    /// The sequence of its newest event.
    pub sequence: u64,
    /// Commit time, milliseconds since 1970.
    pub recorded_at_ms: u64,
}

/// Called once, with one answer per shot in the order of the shots. It runs on the committer: hand the answers on and return.
pub type Completion = Box<dyn FnOnce(Vec<Result<Recorded, RecordError>>) + Send>;

/// Shots that wait for the committer.
pub(super) struct RecordCommand {
    pub(super) shots: Vec<ShotRecord>,
    /// Bytes of their events.
    pub(super) bytes: usize,
    pub(super) done: Completion,
}

impl RecordCommand {
    pub(super) fn fail(self, error: &RecordError) {
        let answers = self.shots.iter().map(|_| Err(error.clone())).collect();
        (self.done)(answers);
    }
}

impl Store {
    /// Records a shot and returns when it is durable.
    ///
    /// # Errors
    ///
    /// [`RecordError`]. After [`RecordError::InDoubt`] the shot may or may not be durable: record it again with the same capture id.
    pub fn record(&self, shot: ShotRecord) -> Result<Recorded, RecordError> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.submit(vec![shot], Box::new(move |answers| drop(sender.send(answers))));
        let answers = receiver.recv().unwrap_or_default();
        answers.into_iter().next().unwrap_or_else(|| Err(RecordError::unanswered()))
    }

    /// Records shots and returns when all of them are durable: one answer per shot, in their order.
    #[must_use]
    pub fn record_many(&self, shots: Vec<ShotRecord>) -> Vec<Result<Recorded, RecordError>> {
        let count = shots.len();
        let mut waiting = std::collections::VecDeque::new();
        let mut answers = Vec::with_capacity(count);
        let mut shots = shots.into_iter();
        loop {
            let part: Vec<ShotRecord> = shots.by_ref().take(COMMAND_SHOTS_MAX).collect();
            // A window far below the queue's length, so that one caller cannot fill the queue against itself.
            if part.is_empty() || waiting.len() == 64 {
                let Some((receiver, count)) = waiting.pop_front() else { break };
                let receiver: mpsc::Receiver<Vec<Result<Recorded, RecordError>>> = receiver;
                answers.extend(receiver.recv().unwrap_or_else(|_| vec![Err(RecordError::unanswered()); count]));
            }
            if !part.is_empty() {
                let (sender, receiver) = mpsc::sync_channel(1);
                waiting.push_back((receiver, part.len()));
                self.submit(part, Box::new(move |answers| drop(sender.send(answers))));
            }
        }
        answers
    }

    /// Hands in at most `COMMAND_SHOTS_MAX` shots and returns at once; `done` is called when they are durable, or with the reason why not.
    ///
    /// # Panics
    ///
    /// If there are more shots than that.
    pub fn submit(&self, shots: Vec<ShotRecord>, done: Completion) {
        assert!(shots.len() <= COMMAND_SHOTS_MAX, "at most {COMMAND_SHOTS_MAX} shots are handed in at once");
        if shots.is_empty() {
            done(Vec::new());
            return;
        }
        let view = self.view();
        let mut bytes = 0;
        for shot in &shots {
            bytes += Writer::event_bytes(shot.shot().encoded_len());
            // A cold page faults here and not in the committer, which will look at the same bytes.
            let _ = view.find(shot.ticket());
        }
        drop(view);
        let command = RecordCommand { shots, bytes, done };
        if let Err((command, error)) = self.shared.queue.push_record(command) {
            command.fail(&error);
        }
    }
}
