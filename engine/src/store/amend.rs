//! Setting shots right: acts on a shot that was recorded.
//!
//! Owns what an act comes to: done, there already, held because the shot was confirmed by somebody whose word counts more, or refused because the writer
//! did not know the shot as it is. Nothing is overwritten: an act is an event of the shot's ticket in the log, a reassignment one on each of two tickets, in
//! one batch, so that no reader sees the shot twice or not at all. An act that is repeated finds its effect there and adds nothing.

use prost::Message as _;
use sesshu_proto::v1::{Amendment as AmendmentMessage, RecordedShot, Shot};

use super::act::{Answer, Judged, TicketEvent};
use super::judge::warnings_of;
use super::locate::{Located, locate, person_of};
use super::view::View;
use super::{Shared, Store};
use crate::error::{Damage, RecordError};
use crate::frame::{flag, kind};
use crate::intake::{Act, Amendment, By, provisional_ticket};
use crate::ledger::{Effect, Person};
use crate::life::{AmendmentView, ShotEvent, folded_events};
use crate::limits::COMMAND_AMENDMENTS_MAX;
use crate::mutation::{Mutation, broken};
use crate::stored::ShotView;
use crate::ticket::{Date, Ticket};

/// What became of an act on a shot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmendmentOutcome {
    /// It is done.
    Amended,
    /// It was so before. Nothing was added.
    Unchanged,
    /// The shot is confirmed at a higher level than the writer's: the act is kept for somebody's decision, and changes nothing.
    Held,
    /// The shot is not any more as the writer knew it. Nothing was added.
    Stale,
    /// The ticket never had the shot.
    UnknownShot,
    /// The held write that was to be settled is none of this shot.
    UnknownWrite,
    /// What stands for somebody's ticket takes no shot but those that were recorded for them. Nothing was added.
    OtherPerson,
}

/// The answer to an act on a shot: durable when it is given (I1).
#[derive(Clone, Debug, PartialEq)]
pub struct Amended {
    /// What became of it.
    pub outcome: AmendmentOutcome,
    /// The event that did it, or in which it is held; that of the shot, if nothing was added.
    pub sequence: u64,
    /// The ticket on which the shot is now.
    pub ticket: Ticket,
    /// The shot as it is now; `None` if it is unknown.
    pub shot: Option<RecordedShot>,
}

impl Answer for Amended {
    fn logged(&mut self, sequence: u64, _: u64) {
        self.sequence = sequence;
        if let Some(shot) = self.shot.as_mut().filter(|_| self.outcome == AmendmentOutcome::Amended) {
            shot.sequence = sequence;
        }
    }
}

impl Store {
    /// Does acts on shots, one after another, and returns when all of them are durable: one answer an act, in their order. Each sees what those before it did;
    /// behind one that could not be done for want of the disk, none is.
    ///
    /// An answer is an error where the act was not done, or, after [`RecordError::InDoubt`], may or may not be: repeat it. Once an act is in doubt nothing is said
    /// of any other until the store was opened again, since it may have changed what they are about.
    #[must_use]
    pub fn amend(&self, amendments: &[Amendment]) -> Vec<Result<Amended, RecordError>> {
        let view = self.shared.view.load();
        // A cold page faults here and not in the committer, which looks at the same bytes.
        amendments.iter().for_each(|amendment| drop(locate(&view, amendment.of)));
        drop(view);
        self.shared.act(amendments.to_vec(), COMMAND_AMENDMENTS_MAX, judge)
    }

    /// What acts on shots would come to now, one by one. Nothing is done.
    #[must_use]
    pub fn foresee(&self, amendments: &[Amendment]) -> Vec<Result<Amended, RecordError>> {
        let view = self.shared.view.load();
        let judged = amendments.iter().map(|amendment| Ok(judge(&self.shared, &view, amendment)?.answer));
        judged.collect()
    }
}

/// What an act makes of the shot that `view` shows.
fn judge(shared: &Shared, view: &View, amendment: &Amendment) -> Result<Judged<Amended>, Damage> {
    let Amendment { of, act, by, version, settles } = amendment;
    let (located, looked_at) = locate(view, *of)?;
    let Some(Located { person, life }) = located else {
        let answer = Amended { outcome: AmendmentOutcome::UnknownShot, sequence: 0, ticket: of.ticket, shot: None };
        return Ok(Judged { answer, events: Vec::new(), looked_at });
    };
    let (shot, events, ticket) = (life.shot, life.events(), person.ticket());
    let stays = |outcome, sequence| {
        let answer = Amended { outcome, sequence, ticket, shot: Some(shot.to_recorded()) };
        Ok(Judged { answer, events: Vec::new(), looked_at: looked_at.clone() })
    };
    let settles = match settles.map(|sequence| (sequence, HeldWrite::of(&events, sequence))) {
        Some((_, HeldWrite::Unknown)) => return stays(AmendmentOutcome::UnknownWrite, shot.sequence),
        Some((sequence, HeldWrite::Waits)) => sequence,
        Some((_, HeldWrite::Settled)) | None => 0,
    };
    let before = Shot { warnings: Vec::new(), ..shot.to_shot() };
    let mut content = before.clone();
    let (level, confirmed) = (by.authority as u32, shot.standing.confirmed);
    let (kind, is_so) = match act {
        Act::Correct(correction) => {
            correction.put(&mut content);
            (kind::SHOT_CORRECTED, content == before && settles == 0)
        }
        Act::Void => (kind::SHOT_VOIDED, shot.standing.voided && settles == 0),
        Act::Reinstate => (kind::SHOT_REINSTATED, !shot.standing.voided && settles == 0),
        Act::Reassign(to) => (kind::SHOT_REASSIGNED, *to == ticket),
        Act::Confirm => (kind::SHOT_CONFIRMED, level <= confirmed && settles == 0),
        Act::Unlock => (kind::SHOT_UNLOCKED, confirmed == 0 && settles == 0),
    };
    if is_so {
        return stays(AmendmentOutcome::Unchanged, shot.sequence);
    }
    if let Act::Reassign(to) = act
        && to.is_provisional()
        && !broken(Mutation::TakeAnybodysShot)
        && before.provisional.as_ref().is_none_or(|person| provisional_ticket(to.municipality(), person) != *to)
    {
        return stays(AmendmentOutcome::OtherPerson, shot.sequence);
    }
    if version.is_some_and(|version| version != shot.sequence) && !broken(Mutation::OverwriteNewer) {
        return stays(AmendmentOutcome::Stale, shot.sequence);
    }
    let message = message(shot.shot_id, by);
    let message = AmendmentMessage {
        ticket: if let Act::Reassign(to) = act { to.to_decimal() } else { 0 },
        shot: matches!(act, Act::Correct(_)).then_some(content),
        ..message
    };
    if level < confirmed && !broken(Mutation::OverwriteConfirmed) {
        let message = message.encode_to_vec();
        let mut held =
            folded_events(&events).flatten().filter(|event| event.is_held() && event.sequence > shot.sequence);
        return match held.find(|held| held.kind == kind && held.message == message) {
            Some(held) => stays(AmendmentOutcome::Held, held.sequence),
            None => {
                let event = event(&person, kind, flag::HELD, message);
                let answer = answer(AmendmentOutcome::Held, ticket, Some(&shot), &event);
                Ok(Judged { answer, events: vec![event], looked_at })
            }
        };
    }
    let message = AmendmentMessage { settles, ..message };
    let today = Date::in_japan(shared.platform.environment.now_ms());
    let warned = |ticket, content: Shot| {
        let warnings = warnings_of(view, &shared.rules, ticket, &content, shot.shot_id, today)?;
        Ok::<_, Damage>(Shot { warnings, ..content })
    };
    if let Act::Reassign(to) = *act {
        let there = person_of(view, to)?;
        let arrival = AmendmentMessage {
            ticket: ticket.to_decimal(),
            shot: Some(warned(to, before)?),
            recorded_at: shot.recorded_at_ms,
            voided: shot.standing.voided,
            confirmed: confirmed as i32,
            ..message.clone()
        };
        let departs = TicketEvent { effect: Effect::Departed, ..event(&person, kind, 0, message.encode_to_vec()) };
        let arrives = TicketEvent {
            ticket: to,
            kind,
            flags: flag::ARRIVES,
            message: arrival.encode_to_vec(),
            effect: Effect::Shot { orphan: there.is_none() },
            previous: there.as_ref().map_or(0, Person::newest_address),
        };
        let was_there = there.as_ref().map_or(Ok(None), |there| there.own_life(shot.shot_id))?;
        let answer = answer(AmendmentOutcome::Amended, to, was_there.as_ref().map(|life| &life.shot), &arrives);
        let mut events = vec![departs, arrives];
        if broken(Mutation::ReassignOneEnd) {
            events.remove(0);
        }
        let beside = there.as_ref().map_or(Ok(Vec::new()), Person::tickets)?;
        return Ok(Judged { answer, events, looked_at }.after_looking_at([to]).after_looking_at(beside));
    }
    // A correction is warned of beside the shots of all the person's tickets, also of those behind the one that has the shot.
    let beside = if message.shot.is_some() { person.tickets()? } else { Vec::new() };
    let shot_after = message.shot.clone().map(|content| warned(ticket, content)).transpose()?;
    let message = AmendmentMessage { shot: shot_after, ..message };
    let event = event(&person, kind, 0, message.encode_to_vec());
    let answer = answer(AmendmentOutcome::Amended, ticket, Some(&shot), &event);
    Ok(Judged { answer, events: vec![event], looked_at }.after_looking_at(beside))
}

/// What every act's message says.
fn message(shot_id: u64, by: &By) -> AmendmentMessage {
    let By { who, reason, authority, batch } = by.clone();
    AmendmentMessage { shot_id, who, reason, authority: authority.into(), batch, ..AmendmentMessage::default() }
}

/// An event on the ticket that has the shot.
fn event(person: &Person<'_>, kind: u8, flags: u8, message: Vec<u8>) -> TicketEvent {
    let (ticket, previous) = (person.ticket(), person.newest_address());
    TicketEvent { ticket, kind, flags, message, effect: Effect::Amended, previous }
}

/// The answer: the shot as `event` leaves it, if `shot` is what the ticket had of it.
fn answer(outcome: AmendmentOutcome, ticket: Ticket, shot: Option<&ShotView<'_>>, event: &TicketEvent) -> Amended {
    let &TicketEvent { kind, flags, ref message, .. } = event;
    let sequence = shot.map_or(0, |shot| shot.sequence);
    let event = ShotEvent { kind, flags, sequence, time_ms: 0, message };
    let after = shot.map_or_else(|| event.first(), |shot| event.change(shot));
    let after = after.expect("an amendment that was just encoded can be read");
    Amended { outcome, sequence: 0, ticket, shot: Some(after.to_recorded()) }
}

/// What became of a write that was held.
enum HeldWrite {
    Waits,
    Settled,
    /// The shot has none of this sequence.
    Unknown,
}

impl HeldWrite {
    fn of(events: &[u8], sequence: u64) -> HeldWrite {
        let is_held = |event: &ShotEvent<'_>| event.sequence == sequence && event.is_held();
        let settles = |event: &ShotEvent<'_>| {
            AmendmentView::decode(event.message).is_some_and(|amendment| amendment.settles == sequence)
        };
        if !folded_events(events).flatten().any(|event| is_held(&event)) {
            HeldWrite::Unknown
        } else if folded_events(events).flatten().skip(1).any(|event| !event.is_held() && settles(&event)) {
            HeldWrite::Settled
        } else {
            HeldWrite::Waits
        }
    }
}
