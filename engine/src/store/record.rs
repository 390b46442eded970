//! Recording shots: from the caller to the committer, and back.
//!
//! Owns the outcome of a record, and the three ways to ask for one: a single shot, many, or many with a call-back for callers that must not block. All of
//! them are commands of at most `COMMAND_SHOTS_MAX` shots.
//!
//! The caller's thread does all that can be done before a shot has its place in the log: it encodes the message, and judges the shot against what is visible.
//! The committer judges again only where something of the ticket has changed since.

use std::collections::VecDeque;
use std::sync::mpsc;
use std::time::Instant;

use prost::Message as _;
use sesshu_proto::v1::{Shot, Source, Warning};

use super::judge::{Judged, Offer, given_by, judge, offered};
use super::{Shared, Store, lock};
use crate::error::RecordError;
use crate::intake::ShotRecord;
use crate::limits::{COMMAND_SHOTS_MAX, SHOT_FRAME_BYTES_MAX};
use crate::log::Writer;
use crate::stored::warnings_bytes;
use crate::ticket::{Date, Ticket};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// What became of it.
    pub outcome: RecordOutcome,
    /// Names the shot for ever.
    pub shot_id: u64,
    /// The sequence of its newest event.
    pub sequence: u64,
    /// Commit time, milliseconds since 1970.
    pub recorded_at_ms: u64,
    /// What the rules said of it when it was recorded; they refuse nothing.
    pub warnings: Vec<Warning>,
}

/// An answer to each shot of a command, in the order of the shots.
pub(super) type Answers = Vec<Result<Recorded, RecordError>>;

/// Called once, with one answer per shot in the order of the shots. It runs on the committer: hand the answers on and return.
pub type Completion = Box<dyn FnOnce(Vec<Result<Recorded, RecordError>>) + Send>;

/// A shot that waits for its place in the log.
pub(super) struct Offered {
    pub(super) ticket: Ticket,
    /// What the caller's view said of it.
    pub(super) judged: Judged,
    /// The device's scan before was the same ticket.
    scanned_before: bool,
    /// Where its message ends among those of the command.
    end: usize,
}

/// Shots that wait for the committer.
pub(super) struct RecordCommand {
    pub(super) offered: Vec<Offered>,
    messages: Vec<u8>,
    /// The day on which it came.
    today: Date,
    /// Bytes of their events at most, with the warnings of the caller's view.
    pub(super) bytes: usize,
    pub(super) submitted: Instant,
    pub(super) done: Completion,
}

impl RecordCommand {
    /// Encodes and judges the shots. A cold page faults here and not in the committer, which will look at the same bytes.
    fn new(shared: &Shared, shots: &[ShotRecord], done: Completion) -> RecordCommand {
        let (view, rules, now_ms) = (shared.view.load(), &*shared.rules, shared.platform.environment.now_ms());
        let today = Date::in_japan(now_ms);
        let mut command = RecordCommand {
            offered: Vec::with_capacity(shots.len()),
            messages: Vec::with_capacity(shots.len() * 128),
            today,
            bytes: 0,
            submitted: Instant::now(),
            done,
        };
        for shot in shots {
            let start = command.messages.len();
            shot.shot().encode(&mut command.messages).expect("a vector grows");
            let (ticket, message) = (shot.ticket(), &command.messages[start..]);
            let scanned_before = shared.scanned_before(ticket, shot.shot(), now_ms);
            let shot = shot.shot();
            let birth_date = shot.provisional.as_ref().map(|person| person.birth_date);
            let stub = birth_date.is_none().then_some(shot.stub);
            let offer = Offer { ticket, message, given: given_by(shot), stub, birth_date, scanned_before, today };
            let judged = judge(&view, rules, &offer, &|_, _| {});
            let bytes = Writer::event_bytes(message.len() + warnings_bytes(&judged.warnings));
            assert!(bytes <= SHOT_FRAME_BYTES_MAX, "a shot that was checked fits its frame, and so a batch");
            command.bytes += bytes;
            command.offered.push(Offered { ticket, judged, scanned_before, end: command.messages.len() });
        }
        command
    }

    /// The shot at `index`, to be judged.
    pub(super) fn offer(&self, index: usize) -> Offer<'_> {
        let (&Offered { ticket, scanned_before, .. }, message) = (&self.offered[index], self.message(index));
        let shot = offered(message);
        let given = shot.given().expect("a shot that was checked has a day of the calendar");
        let birth_date = shot.provisional().map(|person| person.birth_date);
        let stub = birth_date.is_none().then_some(shot.stub);
        Offer { ticket, message, given, stub, birth_date, scanned_before, today: self.today }
    }

    /// How many shots there are.
    pub(super) fn shots(&self) -> usize {
        self.offered.len()
    }

    /// The message of the shot at `index`.
    pub(super) fn message(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.offered[before].end);
        &self.messages[start..self.offered[index].end]
    }

    /// Answers all shots with the same error.
    pub(super) fn fail(self, error: &RecordError) {
        let answers = self.offered.iter().map(|_| Err(error.clone())).collect();
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
        let command = self.command(&[shot], Box::new(move |answers| drop(sender.send(answers))));
        // Where nothing else is under way the caller is its own committer: no other thread has to wake up.
        if let Err(command) = self.shared.lead(command) {
            self.shared.hand_over(command);
        }
        let answers = receiver.recv().unwrap_or_default();
        answers.into_iter().next().unwrap_or_else(|| Err(RecordError::unanswered()))
    }

    /// Records shots and returns when all of them are durable: one answer per shot, in their order.
    #[must_use]
    pub fn record_many(&self, shots: Vec<ShotRecord>) -> Vec<Result<Recorded, RecordError>> {
        let mut waiting = VecDeque::new();
        let mut answers = Vec::with_capacity(shots.len());
        let mut parts = shots.chunks(COMMAND_SHOTS_MAX);
        loop {
            let part = parts.next();
            // A window far below the queue's length, so that one caller cannot fill the queue against itself.
            if part.is_none() || waiting.len() == 64 {
                let Some((receiver, count)) = waiting.pop_front() else { break };
                let receiver: mpsc::Receiver<Answers> = receiver;
                answers.extend(receiver.recv().unwrap_or_else(|_| vec![Err(RecordError::unanswered()); count]));
            }
            if let Some(part) = part {
                let (sender, receiver) = mpsc::sync_channel(1);
                waiting.push_back((receiver, part.len()));
                self.submit_slice(part, Box::new(move |answers| drop(sender.send(answers))));
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
        self.submit_slice(&shots, done);
    }

    fn submit_slice(&self, shots: &[ShotRecord], done: Completion) {
        assert!(shots.len() <= COMMAND_SHOTS_MAX, "at most {COMMAND_SHOTS_MAX} shots are handed in at once");
        if shots.is_empty() {
            return done(Vec::new());
        }
        self.shared.hand_over(self.command(shots, done));
    }

    fn command(&self, shots: &[ShotRecord], done: Completion) -> RecordCommand {
        RecordCommand::new(&self.shared, shots, done)
    }
}

impl Shared {
    /// Whether the device's scan before was the same ticket.
    fn scanned_before(&self, ticket: Ticket, shot: &Shot, now_ms: u64) -> bool {
        // What stands for a ticket was typed.
        let is_scan = shot.source() == Source::Terminal && !shot.recorded_by.is_empty() && !ticket.is_provisional();
        is_scan && lock(&self.scans).scan(ticket, shot, now_ms, self.rules.same_scan_ms())
    }
}
