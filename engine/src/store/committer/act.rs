//! Acts on single tickets: a row changes, a shot is set right.
//!
//! Owns which of them share a batch: as many as fit and do not look at what another of them changes. The others wait until those are visible.

use std::collections::HashSet;

use super::super::Shared;
use super::super::act::{Answer, Judge, Judged, TicketEvent};
use super::{Committer, EVENT_BYTES_MAX};
use crate::error::{Damage, Kind, RecordError};
use crate::mutation::{Mutation, broken};

impl Committer {
    /// Does acts, one after another, and answers each. Behind one that could not be logged, in this call or, if it `failed`, in one that it goes on from, none is
    /// logged or answered, not even if it would change nothing: what that is said of may rest on the first. Nothing is under way.
    pub(in crate::store) fn act<P, T: Answer>(
        &mut self,
        shared: &Shared,
        acts: &[P],
        mut failed: Option<RecordError>,
        judge: Judge<P, T>,
    ) -> Vec<Result<T, RecordError>> {
        assert!(self.is_idle(), "I2: acts have a batch of their own");
        let mut answers = Vec::with_capacity(acts.len());
        while answers.len() < acts.len() {
            if let Some(reason) = self.failed.as_ref().filter(|_| !broken(Mutation::AnswerBehindDoubt)) {
                answers.resize_with(acts.len(), || Err(RecordError::Poisoned(reason.clone())));
                break;
            }
            let view = shared.view.load_full();
            let (mut together, mut changed, mut bytes) = (Vec::new(), HashSet::new(), 0);
            for act in &acts[answers.len()..] {
                let judged = judge(shared, &view, act);
                if let Ok(judged) = &judged {
                    let waits = judged.looked_at.iter().any(|ticket| changed.contains(ticket));
                    bytes += judged.events.iter().map(TicketEvent::bytes).sum::<usize>();
                    if (waits && !broken(Mutation::JudgeTogether)) || bytes > EVENT_BYTES_MAX {
                        break;
                    }
                    changed.extend(judged.events.iter().map(|event| event.ticket));
                }
                together.push(judged);
            }
            answers.extend(self.log(shared, together, &mut failed));
        }
        answers
    }

    /// Makes what was judged together durable, then visible, and answers it; or as what failed before it.
    fn log<T: Answer>(
        &mut self,
        shared: &Shared,
        judged: Vec<Result<Judged<T>, Damage>>,
        failed: &mut Option<RecordError>,
    ) -> impl Iterator<Item = Result<T, RecordError>> {
        let mut before = self.writer.next_sequence() - 1;
        let events = judged.iter().flatten().flat_map(|judged| &judged.events);
        let mut behind = failed.clone();
        let logged = failed.clone().map_or_else(|| self.log_events(shared, events), Err);
        // A log that failed says so itself, to those that it never saw: they are not in doubt.
        let none_follows = |error: &&RecordError| error.kind() == Kind::Retry && !broken(Mutation::ActBehindFailure);
        *failed = logged.as_ref().err().filter(none_follows).cloned();
        judged.into_iter().map(move |judged| {
            let Judged { mut answer, events, .. } = judged?;
            if let (true, Some(error)) = (events.is_empty(), &behind) {
                return Err(error.clone());
            }
            if !events.is_empty() {
                before += events.len() as u64;
                let time_ms = logged.clone().inspect_err(|error| behind = Some(not_tried(error)))?;
                answer.logged(before, time_ms);
            }
            Ok(answer)
        })
    }

    /// Makes events durable, and then visible. Returns their commit time.
    fn log_events<'a>(
        &mut self,
        shared: &Shared,
        events: impl Iterator<Item = &'a TicketEvent> + Clone,
    ) -> Result<u64, RecordError> {
        let bytes: usize = events.clone().map(TicketEvent::bytes).sum();
        if bytes == 0 {
            return Ok(0);
        }
        self.ready(shared)?;
        let begun = self.writer.begin(bytes, shared.platform.environment.now_ms());
        let time_ms = begun.map_err(|error| self.note(shared, error, false))?;
        let mut placed = Vec::new();
        for event in events {
            let (flags, bits) = (event.flags(), event.ticket.to_bits());
            let appended = self.writer.push(event.kind, flags, bits, event.previous, &event.message);
            placed.push((event, appended.address));
        }
        let sealed = self.writer.seal();
        let show = |committer: &mut Committer, end, sequence| {
            for &(event, address) in &placed {
                committer.state.event_recorded(event.ticket, address, event.effect, &event.message);
            }
            committer.publish(shared, end, sequence, time_ms);
        };
        if broken(Mutation::ShowChangeBeforeSync) {
            show(self, sealed.end, sealed.last_sequence);
        }
        sealed.write().map_err(|error| self.poison(shared, error.to_string(), true))?;
        let (end, sequence) = (sealed.end, sealed.last_sequence);
        self.writer.written(sealed);
        show(self, end, sequence);
        self.found_room(shared);
        Ok(time_ms)
    }
}

/// What is said of an act behind one that failed so.
fn not_tried(error: &RecordError) -> RecordError {
    match error {
        RecordError::InDoubt(reason) if !broken(Mutation::AnswerBehindDoubt) => RecordError::Poisoned(reason.clone()),
        error => error.clone(),
    }
}
