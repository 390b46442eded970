//! Changing single rows of a register, while shots are recorded.
//!
//! Owns the outcome of a change, and what a change makes of the row that a view shows. A change is an event of its ticket in the log, as a shot is: it is
//! durable when it is answered, seen by every reader at once, folded by the next generation. One that is applied again finds its row there, and adds nothing.
//! A reissue is two events, one at each end of the link, in one batch.
//!
//! My Numbers are sealed on the caller's thread, and what the committer will read is read there first, so that a cold page faults there.

use prost::Message as _;
use sesshu_proto::v1::{Resident, ResidentChange};

use super::act::{Answer, Judged, TicketEvent};
use super::key::data_keys;
use super::view::{Match, View};
use super::{Shared, Store};
use crate::error::{ChangeError, Damage, RecordError};
use crate::frame::{Header, flag, kind};
use crate::intake::{Change, ChangeContent, Row, Sender};
use crate::keys::DataKey;
use crate::ledger::{Effect, Links, Person};
use crate::limits::COMMAND_SHOTS_MAX;
use crate::mutation::{Mutation, broken};
use crate::stored::{RowView, SenderView, put_sender};
use crate::ticket::Ticket;

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeOutcome {
    /// The ticket had no row, and has this one now.
    Added,
    /// The ticket has this row now.
    Changed,
    /// The ticket had this row before. Nothing was added.
    Unchanged,
    /// A status alone, for a ticket that the register does not have. Nothing was added.
    UnknownTicket,
    /// A reissue whose new number is one that was replaced itself. Nothing was added.
    Superseded,
}

/// The answer to a change: durable when it is given (I1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// What became of it.
    pub outcome: ChangeOutcome,
    /// The event since which the row is known; 0 if there is no row.
    pub sequence: u64,
}

impl Store {
    /// Changes rows, one after another, and returns when all of them are durable: one answer a change, in their order. Changes of one ticket see each
    /// other; no reader sees one of them half. Behind one that could not be made for want of the disk, none is.
    ///
    /// # Errors
    ///
    /// [`ChangeError`] if a My Number cannot be sealed: nothing was changed then. An answer is an error where its row was not changed, or, after
    /// [`RecordError::InDoubt`], may or may not be: apply it again. Once a change is in doubt nothing is said of any other until the store was opened again.
    pub fn change(&self, changes: &[Change]) -> Result<Vec<Result<Changed, RecordError>>, ChangeError> {
        Ok(self.shared.act(prepare(&self.shared, changes)?, COMMAND_SHOTS_MAX, judge))
    }
}

/// A change whose My Number is sealed.
struct Prepared {
    ticket: Ticket,
    to: To,
    sender: Sender,
}

enum To {
    Row(SealedRow),
    Status { status: i32, date: u32 },
    Reissue { previous: Ticket, row: SealedRow },
}

struct SealedRow {
    resident: Resident,
    /// Its My Number under every data key, newest last; nothing, if it has none.
    seals: Vec<Seal>,
}

#[derive(Default)]
struct Seal {
    my_number: Vec<u8>,
    data_key_id: u32,
    my_number_hash: u64,
}

fn prepare(shared: &Shared, changes: &[Change]) -> Result<Vec<Prepared>, ChangeError> {
    let view = shared.view.load();
    let mut keys: Option<Vec<DataKey>> = None;
    let mut seal = |ticket, row: &Row| {
        let mut seals = Vec::new();
        if let Some(my_number) = row.my_number() {
            let keys = match &keys {
                Some(keys) => keys,
                None => keys.insert(data_keys(shared)?),
            };
            seals.extend(keys.iter().map(|key| Seal {
                my_number: key.seal(ticket, my_number).to_vec(),
                data_key_id: key.id(),
                my_number_hash: key.hash(my_number),
            }));
        }
        Ok::<_, ChangeError>(SealedRow { resident: row.resident().clone(), seals })
    };
    let prepared = changes.iter().map(|change| {
        let ticket = change.ticket();
        // Whether it is there is asked again by the committer, of the same bytes.
        drop(view.match_ticket(ticket));
        let to = match change.content() {
            ChangeContent::Status(status, date) => To::Status { status: (*status).into(), date: *date },
            ChangeContent::Row(row) => To::Row(seal(ticket, row)?),
            ChangeContent::Reissue(previous, row) => {
                let previous = Ticket::new(ticket.municipality(), *previous).expect("a checked ticket number");
                drop(view.match_ticket(previous));
                To::Reissue { previous, row: seal(ticket, row)? }
            }
        };
        Ok(Prepared { ticket, to, sender: change.sender().clone() })
    });
    prepared.collect()
}

impl Answer for Changed {
    fn logged(&mut self, sequence: u64, _: u64) {
        self.sequence = sequence;
    }
}

/// What a change makes of the rows that `view` shows, signed by whoever sent it.
fn judge(_: &Shared, view: &View, change: &Prepared) -> Result<Judged<Changed>, Damage> {
    let mut judged = judge_row(view, change)?;
    for event in &mut judged.events {
        put_sender(&mut event.message, 5, SenderView { who: change.sender.who(), reason: change.sender.reason() });
    }
    Ok(judged)
}

fn judge_row(view: &View, change: &Prepared) -> Result<Judged<Changed>, Damage> {
    let before = Before::of(view, change.ticket)?;
    match &change.to {
        To::Row(row) => before.becomes_row(row, before.links()?),
        To::Status { status, date } => {
            // Of a ticket that the register never had, but has as replaced, the person is meant.
            let before = match before.successors()?.last() {
                Some(&valid) if before.is_a_link_alone()? => Before::of(view, valid)?,
                _ => before,
            };
            let Some(row) = before.row else {
                return Ok(before.stays(ChangeOutcome::UnknownTicket).after_looking_at([change.ticket]));
            };
            let resident = Resident::decode(row.bytes).unwrap_or_default();
            let judged = before.becomes(ResidentChange {
                resident: Some(Resident { status: *status, status_date: *date, ..resident }),
                sealed_my_number: row.sealed_my_number.to_vec(),
                data_key_id: row.data_key_id,
                my_number_hash: row.my_number_hash,
                ..ResidentChange::default()
            })?;
            Ok(judged.after_looking_at([change.ticket]))
        }
        To::Reissue { previous, row } => reissue(view, &before, *previous, row),
    }
}

/// The ticket of `before` replaces the one that is valid of the person who has `previous`.
fn reissue(view: &View, before: &Before<'_>, previous: Ticket, row: &SealedRow) -> Result<Judged<Changed>, Damage> {
    let successors = Before::of(view, previous)?.successors()?;
    let mut links = before.links()?;
    if let Some(at) = successors.iter().position(|ticket| *ticket == before.ticket) {
        // It did so before. Where damage took the one end of that, this brings it back.
        let replaced = if at == 0 { previous } else { successors[at - 1] };
        links.name(replaced.number());
        let judged = before.becomes_row(row, links)?;
        return Ok(judged.after_looking_at(successors).after_looking_at([previous]));
    }
    if links.reissued_as.is_some() {
        let judged = before.stays(ChangeOutcome::Superseded);
        return Ok(judged.after_looking_at(successors).after_looking_at([previous]));
    }
    let valid = Before::of(view, successors.last().copied().unwrap_or(previous))?;
    let superseded = Links { reissued_as: Some(before.ticket.number()), ..valid.links()? };
    links.name(valid.ticket.number());
    let mut issued = before.becomes_row(row, links.clone())?;
    let mut events = valid.becomes(valid.relinked(superseded))?.events;
    if broken(Mutation::LinkOneEnd) {
        events.clear();
    }
    if issued.events.is_empty() && !events.is_empty() {
        // Damage took the other end alone. The row of the valid ticket is the one that became known last.
        issued = before.is_from_now_on(row.with(links, row.seals.last().unwrap_or(&Seal::default())));
    }
    events.extend(issued.events);
    let judged = Judged { events, ..issued };
    Ok(judged.after_looking_at(successors).after_looking_at([previous]))
}

/// What a view shows of a ticket before it changes.
struct Before<'v> {
    ticket: Ticket,
    person: Option<Person<'v>>,
    row: Option<RowView<'v>>,
}

impl<'v> Before<'v> {
    fn of(view: &'v View, ticket: Ticket) -> Result<Before<'v>, Damage> {
        let person = match view.match_ticket(ticket) {
            Match::Matched(person) | Match::Orphan(person) => Some(person),
            Match::NotFound => None,
            Match::Damaged(damage) => return Err(damage),
        };
        let row = person.as_ref().map(Person::own_row).transpose()?.flatten();
        Ok(Before { ticket, person, row })
    }

    fn links(&self) -> Result<Links, Damage> {
        self.person.as_ref().map_or(Ok(Links::default()), Person::links)
    }

    fn successors(&self) -> Result<Vec<Ticket>, Damage> {
        self.person.as_ref().map_or(Ok(Vec::new()), Person::successors)
    }

    /// Whether all that is known of the ticket is what replaced it.
    fn is_a_link_alone(&self) -> Result<bool, Damage> {
        let Some(person) = self.person.as_ref().filter(|_| self.row.is_some_and(|row| row.linked)) else {
            return Ok(false);
        };
        Ok(person.own_resident()?.is_some_and(|resident| resident.name.is_empty()))
    }

    /// The row as it is, with other links; a row of nothing but the links, if there is none.
    fn relinked(&self, links: Links) -> ResidentChange {
        let row = self.row.unwrap_or_default();
        let mut resident = Resident::decode(row.bytes).unwrap_or_default();
        links.put(&mut resident);
        ResidentChange {
            resident: Some(resident),
            sealed_my_number: row.sealed_my_number.to_vec(),
            data_key_id: row.data_key_id,
            my_number_hash: row.my_number_hash,
            ..ResidentChange::default()
        }
    }

    fn stays(&self, outcome: ChangeOutcome) -> Judged<Changed> {
        let known_since = self.row.map_or(0, |row| row.known_since.0);
        let answer = Changed { outcome, sequence: known_since };
        Judged { answer, events: Vec::new(), looked_at: vec![self.ticket] }
    }

    /// The row becomes `row`, with the links that the store keeps of its ticket.
    fn becomes_row(&self, row: &SealedRow, links: Links) -> Result<Judged<Changed>, Damage> {
        let sealed_with = self.row.map(|before| before.data_key_id);
        let newest = row.seals.len().saturating_sub(1);
        if let Some(seal) = row.seals[..newest].iter().find(|seal| Some(seal.data_key_id) == sealed_with) {
            let judged = self.becomes(row.with(links.clone(), seal))?;
            if judged.answer.outcome == ChangeOutcome::Unchanged && !broken(Mutation::ChangeForAnotherKey) {
                // A newer key alone is no change.
                return Ok(judged);
            }
        }
        self.becomes(row.with(links, row.seals.last().unwrap_or(&Seal::default())))
    }

    /// The row becomes what `change` says, if it is not so.
    fn becomes(&self, change: ResidentChange) -> Result<Judged<Changed>, Damage> {
        let judged = self.is_from_now_on(change);
        let [event] = &judged.events[..] else { return Ok(judged) };
        let header = Header { kind: event.kind, flags: event.flags, time_ms: 0, ticket_bits: 0, sequence: 0 };
        let after = RowView::of_change(header, &event.message).expect("what was just encoded can be read");
        let is_so =
            |before: RowView<'_>| RowView { known_since: (0, 0), sender: SenderView::default(), ..before } == after;
        Ok(if self.row.is_some_and(is_so) { self.stays(ChangeOutcome::Unchanged) } else { judged })
    }

    /// The row is what `change` says, whatever it was.
    fn is_from_now_on(&self, change: ResidentChange) -> Judged<Changed> {
        let linked = change.resident.as_ref().is_some_and(|resident| !Links::of(resident).are_none());
        let message = change.encode_to_vec();
        let flags = if linked { flag::LINKED } else { 0 };
        let (first, adopts) = (self.row.is_none(), self.row.is_none() && self.person.is_some());
        let effect = Effect::Row { first, adopts };
        let previous = self.person.as_ref().map_or(0, Person::newest_address);
        let (ticket, kind) = (self.ticket, kind::RESIDENT_CHANGED);
        let event = TicketEvent { ticket, kind, flags, message, effect, previous };
        let outcome = if first { ChangeOutcome::Added } else { ChangeOutcome::Changed };
        let answer = Changed { outcome, sequence: 0 };
        Judged { answer, events: vec![event], looked_at: vec![ticket] }
    }
}

impl SealedRow {
    /// The row under one of its seals, with the links that the store keeps of its ticket.
    fn with(&self, links: Links, seal: &Seal) -> ResidentChange {
        let mut resident = self.resident.clone();
        links.put(&mut resident);
        ResidentChange {
            resident: Some(resident),
            sealed_my_number: seal.my_number.clone(),
            data_key_id: seal.data_key_id,
            my_number_hash: seal.my_number_hash,
            ..ResidentChange::default()
        }
    }
}
