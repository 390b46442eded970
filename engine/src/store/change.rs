//! Changing single rows of a register, while shots are recorded.
//!
//! Owns the outcome of a change, and what a change makes of the row that a view shows. A change is an event of its ticket in the log, as a shot is: it is
//! durable when it is answered, seen by every reader at once, folded by the next generation. One that is applied again finds its row there, and adds nothing.
//!
//! My Numbers are sealed on the caller's thread, and what the committer will read is read there first, so that a cold page faults there.

use prost::Message as _;
use sesshu_proto::v1::{Resident, ResidentChange};

use super::load::newest_data_key;
use super::view::{Match, View};
use super::{Shared, Store};
use crate::error::{ChangeError, Damage, RecordError};
use crate::intake::{Change, ChangeContent};
use crate::keys::DataKey;
use crate::ledger::Effect;
use crate::limits::COMMAND_SHOTS_MAX;
use crate::log::Writer;
use crate::stored::RowView;
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
    /// other; no reader sees one of them half.
    ///
    /// # Errors
    ///
    /// [`ChangeError`] if a My Number cannot be sealed: nothing was changed then. An answer is an error where its row was not changed, or, after
    /// [`RecordError::InDoubt`], may or may not be: apply it again.
    pub fn change(&self, changes: &[Change]) -> Result<Vec<Result<Changed, RecordError>>, ChangeError> {
        let prepared = prepare(&self.shared, changes)?;
        let mut answers = Vec::with_capacity(changes.len());
        let mut rest = prepared.into_iter().peekable();
        while rest.peek().is_some() {
            // Judged against what is visible, so no two of one ticket at once.
            let mut run: Vec<Prepared> = Vec::new();
            while let Some(next) = rest
                .next_if(|next| run.len() < COMMAND_SHOTS_MAX && run.iter().all(|other| other.ticket != next.ticket))
            {
                run.push(next);
            }
            let count = run.len();
            let applied = self.shared.control(move |shared, committer| Ok(committer.change(shared, &run)));
            answers.extend(applied.unwrap_or_else(|error| vec![Err(error); count]));
        }
        Ok(answers)
    }
}

/// A change whose My Number is sealed.
pub(super) struct Prepared {
    pub(super) ticket: Ticket,
    to: To,
}

enum To {
    Row { resident: Resident, sealed_my_number: Vec<u8>, data_key_id: u32 },
    Status { status: i32, date: u32 },
}

fn prepare(shared: &Shared, changes: &[Change]) -> Result<Vec<Prepared>, ChangeError> {
    let view = shared.view.load();
    let mut key: Option<DataKey> = None;
    let prepared = changes.iter().map(|change| {
        let ticket = change.ticket();
        // Whether it is there is asked again by the committer, of the same bytes.
        drop(view.match_ticket(ticket));
        let to = match change.content() {
            ChangeContent::Status(status, date) => To::Status { status: (*status).into(), date: *date },
            ChangeContent::Row(row) => {
                let mut sealed = (Vec::new(), 0);
                if let Some(my_number) = row.my_number() {
                    let key = match &key {
                        Some(key) => key,
                        None => key.insert(newest_data_key(shared)?),
                    };
                    sealed = (key.seal(ticket, my_number).to_vec(), key.id());
                }
                let (resident, (sealed_my_number, data_key_id)) = (row.resident().clone(), sealed);
                To::Row { resident, sealed_my_number, data_key_id }
            }
        };
        Ok(Prepared { ticket, to })
    });
    prepared.collect()
}

/// What a change comes to.
pub(super) struct Judged {
    pub(super) outcome: ChangeOutcome,
    /// The event since which the row that is there is known.
    pub(super) known_since: u64,
    /// What is to be logged, if anything.
    pub(super) event: Option<ChangeEvent>,
}

pub(super) struct ChangeEvent {
    pub(super) message: Vec<u8>,
    pub(super) effect: Effect,
    /// The address of the ticket's newest event; 0 if there is none.
    pub(super) previous: u64,
}

impl ChangeEvent {
    /// Bytes of the event at most.
    pub(super) fn bytes(&self) -> usize {
        Writer::event_bytes(self.message.len())
    }
}

/// What a change makes of the row that `view` shows.
pub(super) fn judge(view: &View, change: &Prepared) -> Result<Judged, Damage> {
    let found = view.match_ticket(change.ticket);
    let person = match &found {
        Match::Matched(person) | Match::Orphan(person) => Some(person),
        Match::NotFound => None,
        Match::Damaged(damage) => return Err(damage.clone()),
    };
    let before = person.map(|person| person.row()).transpose()?.flatten();
    let known_since = before.map_or(0, |row| match row.known_since.0 {
        0 => view.ledgers.get(change.ticket.ordinal()).map_or(0, |ledger| ledger.installed.0),
        known_since => known_since,
    });
    let nothing = |outcome| Ok(Judged { outcome, known_since, event: None });
    let Some(message) = change.to.message(before.as_ref()) else { return nothing(ChangeOutcome::UnknownTicket) };
    let bytes = message.encode_to_vec();
    let after = RowView::of_change(0, 0, &bytes).expect("what was just encoded can be read");
    if before.is_some_and(|before| RowView { known_since: (0, 0), ..before } == after) {
        return nothing(ChangeOutcome::Unchanged);
    }
    let effect = Effect::Row { first: before.is_none(), adopts: before.is_none() && person.is_some() };
    let outcome = if before.is_some() { ChangeOutcome::Changed } else { ChangeOutcome::Added };
    let previous = person.map_or(0, |person| person.newest_address());
    Ok(Judged { outcome, known_since, event: Some(ChangeEvent { message: bytes, effect, previous }) })
}

impl To {
    /// The row from now on; `None` if there is none to change.
    fn message(&self, before: Option<&RowView<'_>>) -> Option<ResidentChange> {
        match self {
            To::Row { resident, sealed_my_number, data_key_id } => Some(ResidentChange {
                resident: Some(resident.clone()),
                sealed_my_number: sealed_my_number.clone(),
                data_key_id: *data_key_id,
            }),
            To::Status { status, date } => {
                let before = before?;
                let resident = Resident::decode(before.bytes).unwrap_or_default();
                Some(ResidentChange {
                    resident: Some(Resident { status: *status, status_date: *date, ..resident }),
                    sealed_my_number: before.sealed_my_number.to_vec(),
                    data_key_id: before.data_key_id,
                })
            }
        }
    }
}
