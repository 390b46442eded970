//! Placing shots: each gets its sequence and its place in the batch that is being gathered.
//!
//! Owns the last judgement of a shot. What the caller's view said of it holds, unless something has become of the person since, or is on its way: then it is
//! judged again, and may get warnings that nobody has made room for. So a batch keeps some.

use std::borrow::Cow;
use std::collections::HashSet;

use super::super::Shared;
use super::super::batch::Batch;
use super::super::judge::{judge, visible};
use super::super::record::{Offered, RecordCommand, RecordOutcome, Recorded};
use super::super::view::View;
use super::Committer;
use crate::error::RecordError;
use crate::frame::kind;
use crate::ledger::Effect;
use crate::limits::{LATE_WARNINGS_BYTES, WARNINGS_BYTES_MAX};
use crate::log::Writer;
use crate::mutation::{Mutation, broken};
use crate::stored::{put_warnings, warnings_bytes};
use crate::ticket::Ticket;

impl Committer {
    /// Places the commands' shots; together they are within [`Committer::room`]. What cannot be placed is answered.
    pub(in crate::store) fn add(&mut self, shared: &Shared, commands: Vec<RecordCommand>) {
        if let Err(error) = self.ready(shared) {
            return commands.into_iter().for_each(|command| command.fail(&error));
        }
        let bytes: usize = commands.iter().map(|command| command.bytes).sum();
        let late = commands.iter().map(|command| command.shots() * WARNINGS_BYTES_MAX).sum();
        if self.open.is_empty() {
            let late = LATE_WARNINGS_BYTES.min(late);
            if self.is_flying() && !self.writer.has_room(bytes + late) {
                self.held = commands;
                return;
            }
            match self.writer.begin(bytes + late, shared.platform.environment.now_ms()) {
                Ok(time_ms) => {
                    self.open.begin(time_ms);
                    self.late_room = late;
                }
                Err(error) => {
                    // Nothing of this batch was written: nobody is in doubt.
                    let error = self.note(shared, error, false);
                    return commands.into_iter().for_each(|command| command.fail(&error));
                }
            }
        } else {
            self.late_room = (self.late_room + late).min(LATE_WARNINGS_BYTES).min(self.writer.room() - bytes);
        }
        let view = shared.view.load_full();
        let mut commands = commands.into_iter();
        while let Some(command) = commands.next() {
            if !self.has_late_room(&command) {
                // An empty batch has room for any command.
                self.held.push(command);
                return self.held.extend(commands);
            }
            let answers = (0..command.shots()).map(|index| self.place(shared, &view, &command, index)).collect();
            self.open.answer_later(command, answers);
        }
    }

    /// Whether the warnings that may turn up when the command's shots get their places have room.
    fn has_late_room(&self, command: &RecordCommand) -> bool {
        let fit = self.late_room / WARNINGS_BYTES_MAX;
        if command.shots() <= fit || broken(Mutation::CrowdLateWarnings) {
            return true;
        }
        let mut tickets = HashSet::new();
        let may_be_late =
            |offered: &&Offered| !tickets.insert(offered.ticket) || self.is_late(offered, self.newest(offered.ticket));
        command.offered.iter().filter(may_be_late).count() <= fit
    }

    /// Whether something has become of the person since the caller looked, so that the shot must be judged again.
    fn is_late(&self, offered: &Offered, newest: Option<u64>) -> bool {
        let ledger = self.state.ledgers.get(offered.ticket.ordinal()).map(|ledger| &**ledger);
        newest.is_some() || offered.judged.linked || visible(ledger, offered.ticket) != offered.judged.seen
    }

    /// The address of the newest shot on `ticket` that is placed and not visible yet.
    fn newest(&self, ticket: Ticket) -> Option<u64> {
        self.open.newest(ticket).or_else(|| self.on_its_way().and_then(|batch| batch.newest(ticket)))
    }

    /// The batch on its way.
    fn on_its_way(&self) -> Option<&Batch> {
        self.flying.as_ref().map(|(batch, _)| batch).filter(|_| !broken(Mutation::ForgetBatchOnItsWay))
    }

    /// Judges a shot and places it if it is new.
    fn place(
        &mut self,
        shared: &Shared,
        view: &View,
        command: &RecordCommand,
        index: usize,
    ) -> Result<Recorded, RecordError> {
        let offered = &command.offered[index];
        let ticket = offered.ticket;
        let newest = self.newest(ticket);
        let again;
        let judged = if self.is_late(offered, newest) {
            let on_their_way = |ticket, visit: &mut dyn FnMut(_)| {
                let batches = self.on_its_way().into_iter().chain([&self.open]);
                let batches = batches.filter(|_| !broken(Mutation::ForgetShotsOnTheirWay));
                batches.flat_map(|batch| batch.given(ticket, command)).for_each(visit);
            };
            again = judge(view, &shared.rules, &command.offer(index), &on_their_way);
            &again
        } else {
            &offered.judged
        };
        let repeated = |batch: &Batch| batch.already(ticket, command, index);
        let in_this = || repeated(&self.open).filter(|_| !broken(Mutation::ForgetOpenBatch));
        let placed = || newest.and_then(|_| self.on_its_way().and_then(repeated).or_else(in_this));
        if let Some(answer) = judged.answer.clone()?.or_else(placed) {
            return Ok(answer);
        }
        let orphan = judged.unknown && newest.is_none();
        let flags = Effect::Shot { orphan }.flags();
        let previous = newest.unwrap_or(judged.seen.1);
        let (warnings, expected) = (&judged.warnings, &offered.judged.warnings);
        let mut message = Cow::Borrowed(command.message(index));
        if !warnings.is_empty() {
            let size = |warnings| Writer::event_bytes(message.len() + warnings_bytes(warnings));
            let late = size(warnings).saturating_sub(size(expected));
            self.late_room = self.late_room.checked_sub(late).expect("I4: late warnings have room in their batch");
            put_warnings(message.to_mut(), warnings);
        }
        let appended = self.writer.push(kind::SHOT_RECORDED, flags, ticket.to_bits(), previous, &message);
        self.open.place(ticket, appended, orphan, index, warnings);
        let outcome = if judged.matched { RecordOutcome::Recorded } else { RecordOutcome::Orphan };
        let (sequence, recorded_at_ms) = (appended.sequence, self.writer.time_ms());
        Ok(Recorded { outcome, shot_id: sequence, sequence, recorded_at_ms, warnings: warnings.clone() })
    }
}
