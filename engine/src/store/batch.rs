//! A batch: the commands that one group commit answers, and what it adds to each ticket.
//!
//! Owns what is known of shots that have a place in the log and are not durable yet: nobody sees them, but a later shot of the same ticket names them as its
//! predecessors and may repeat them. Their bytes are the writer's.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sesshu_proto::v1::Warning;
use smallvec::SmallVec;

use super::judge::{offered, repeats};
use super::record::{Answers, RecordCommand, Recorded};
use crate::error::RecordError;
use crate::log::Appended;
use crate::rules::Given;
use crate::stored::ShotView;
use crate::ticket::Ticket;

/// A shot with its place.
#[derive(Clone, Copy)]
pub(super) struct Placed {
    pub(super) ticket: Ticket,
    pub(super) appended: Appended,
    /// Nothing was known of the ticket before.
    pub(super) orphan: bool,
    /// Which command's, and which of its shots.
    shot: (u32, u32),
}

/// What one group commit does.
#[derive(Default)]
pub(super) struct Batch {
    commands: Vec<(RecordCommand, Answers)>,
    placed: Vec<Placed>,
    by_ticket: HashMap<Ticket, SmallVec<[u32; 2]>>,
    /// Of shots that have any, by their place.
    warnings: HashMap<u32, Vec<Warning>>,
    /// All shots of the batch have the same commit time, milliseconds since 1970.
    time_ms: u64,
}

impl Batch {
    /// Begins with nothing in it.
    pub(super) fn begin(&mut self, time_ms: u64) {
        self.time_ms = time_ms;
    }

    /// Whether it answers nobody.
    pub(super) fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// The shots that it adds, in the order of the log.
    pub(super) fn placed(&self) -> &[Placed] {
        &self.placed
    }

    /// Adds a shot of the command that comes next.
    pub(super) fn place(
        &mut self,
        ticket: Ticket,
        appended: Appended,
        orphan: bool,
        index: usize,
        warnings: &[Warning],
    ) {
        let shot = (self.commands.len() as u32, index as u32);
        if !warnings.is_empty() {
            self.warnings.insert(self.placed.len() as u32, warnings.to_vec());
        }
        self.by_ticket.entry(ticket).or_default().push(self.placed.len() as u32);
        self.placed.push(Placed { ticket, appended, orphan, shot });
    }

    /// Adds a command whose shots are all placed or answered.
    pub(super) fn answer_later(&mut self, command: RecordCommand, answers: Answers) {
        self.commands.push((command, answers));
    }

    /// The address of the newest shot on `ticket`.
    pub(super) fn newest(&self, ticket: Ticket) -> Option<u64> {
        self.at(ticket).next_back().map(|at| self.placed[at as usize].appended.address)
    }

    /// The answer, if the shot at `index` of `command`, which comes next, repeats one that is in here.
    pub(super) fn already(&self, ticket: Ticket, command: &RecordCommand, index: usize) -> Option<Recorded> {
        self.at(ticket).find_map(|at| {
            let repeated = repeats(&self.shot(at, command)?, &offered(command.message(index)))?;
            // Its message was encoded before the rules were asked.
            Some(Recorded { warnings: self.warnings.get(&at).cloned().unwrap_or_default(), ..repeated })
        })
    }

    /// What the rules compare of the shots on `ticket`; `command` comes next.
    pub(super) fn given<'a>(&'a self, ticket: Ticket, command: &'a RecordCommand) -> impl Iterator<Item = Given<'a>> {
        self.at(ticket).filter_map(|at| self.shot(at, command)?.given())
    }

    /// The shot at a place; of `command`, if that of none before.
    fn shot<'a>(&'a self, at: u32, command: &'a RecordCommand) -> Option<ShotView<'a>> {
        let Placed { appended, shot: (held_by, held), .. } = self.placed[at as usize];
        let holder = self.commands.get(held_by as usize).map_or(command, |(command, _)| command);
        ShotView::of_message(appended.sequence, self.time_ms, holder.message(held as usize))
    }

    /// How long each command has waited so far.
    pub(super) fn waited(&self) -> impl Iterator<Item = Duration> {
        let now = Instant::now();
        self.commands.iter().map(move |(command, _)| now - command.submitted)
    }

    /// Answers every command. The batch is then empty.
    pub(super) fn acknowledge(&mut self) {
        self.commands.drain(..).for_each(|(command, answers)| (command.done)(answers));
        self.clear();
    }

    /// Answers every command with an error. The batch is then empty.
    pub(super) fn fail(&mut self, error: &RecordError) {
        self.commands.drain(..).for_each(|(command, _)| command.fail(error));
        self.clear();
    }

    fn clear(&mut self) {
        self.placed.clear();
        self.by_ticket.clear();
        self.warnings.clear();
    }

    /// Places of the shots on `ticket`.
    fn at(&self, ticket: Ticket) -> impl DoubleEndedIterator<Item = u32> {
        self.by_ticket.get(&ticket).into_iter().flatten().copied()
    }
}
