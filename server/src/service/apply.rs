//! `Register.Apply`: single changes of a register, as a stream of batches.
//!
//! Owns the check of a change that came from outside, and its way to the store: a batch is applied whole before its reply leaves.

use sesshu_engine::Rejected;
use sesshu_engine::Store;
use sesshu_engine::intake::{Change, Column, Fault, FaultCode, Sender};
use sesshu_engine::ticket::{Municipality, Ticket};
use sesshu_proto::v1::register_change::Change as Offered;
use sesshu_proto::v1::{ApplyReply, ApplyRequest, ChangeReply, RegisterChange, ResidentStatus, StatusChange};
use tonic::Status;

use super::BATCH_MAX;
use super::conversation::checked;
use crate::{reply, status};

/// Applies one batch.
pub(super) fn apply(store: &Store, request: ApplyRequest) -> Result<ApplyReply, Status> {
    let municipality = Municipality::from_code(request.municipality).map_err(status::invalid)?;
    let sender = Sender::check(request.who, request.reason).map_err(status::invalid)?;
    let count = request.changes.len();
    if count > BATCH_MAX {
        return Err(status::invalid(format!("{count} changes in a batch, where at most {BATCH_MAX} fit")));
    }
    // In the request's order: the reply that is known already, or the line of a change that is applied.
    let (mut places, mut changes) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for change in request.changes {
        match change_of(municipality, change) {
            Ok((line, change)) => {
                places.push(Ok((line, change.ticket())));
                changes.push(change.sent_by(sender.clone()));
            }
            Err(reply) => places.push(Err(reply)),
        }
    }
    let mut answers = store.change(&changes).map_err(|error| status::of_change(&error))?.into_iter();
    let replies = places.into_iter().map(|place| match place {
        Err(reply) => Ok(*reply),
        Ok((line, ticket)) => {
            let answer = answers.next().ok_or_else(status::shutting_down)?;
            reply::of_change(ticket, line, answer).map_err(|error| status::of_record(&error))
        }
    });
    Ok(ApplyReply { replies: replies.collect::<Result<_, Status>>()? })
}

/// Checks a change; the error is its reply.
fn change_of(municipality: Municipality, change: RegisterChange) -> Result<(u64, Change), Box<ChangeReply>> {
    let (number, line, checked) = match change.change {
        Some(Offered::Row(row)) => {
            let (number, line) = (row.number, row.line);
            (number, line, checked(row).map(|row| Change::row(municipality, row)))
        }
        Some(Offered::Reissue(reissue)) => {
            let row = reissue.row.unwrap_or_default();
            let (number, line) = (row.number, row.line);
            let change = checked(row).and_then(|row| Change::reissue(municipality, reissue.previous_number, row));
            (number, line, change)
        }
        Some(Offered::Status(change)) => (change.number, change.line, status_of(municipality, &change)),
        None => (0, 0, Err(Fault::new(Column::Row, FaultCode::Missing, "neither a row nor a status nor a reissue"))),
    };
    let ticket = Ticket::new(municipality, number).map_or(0, Ticket::to_decimal);
    let rejected = |fault| Box::new(reply::of_rejected_change(ticket, &Rejected { line, fault }));
    checked.map(|change| (line, change)).map_err(rejected)
}

fn status_of(municipality: Municipality, change: &StatusChange) -> Result<Change, Fault> {
    let ticket = Ticket::new(municipality, change.number)
        .map_err(|_| Fault::new(Column::Number, FaultCode::NotDigits, "a ticket number has ten digits"))?;
    let status = ResidentStatus::try_from(change.status)
        .map_err(|_| Fault::new(Column::Change, FaultCode::UnknownValue, "not a status of a resident"))?;
    Change::status(ticket, status, change.status_date)
}
