//! Acts on recorded shots, between what travels and what the engine takes.
//!
//! Owns the checks of a request and the replies. The gRPC service sends them; the commands on a store print them: one path, so both say the same.

use sesshu_engine::error::{Damage, RecordError};
use sesshu_engine::intake::{Act, Amendment, By, Column, Correction, Fault, FaultCode, ShotRef};
use sesshu_engine::ticket::{Date, Municipality, Ticket, TicketLine};
use sesshu_engine::{Amended, AmendmentOutcome, PersonHistory, ShotHistory, ShotsOf, Store};
use sesshu_proto::v1;
use sesshu_proto::v1::amend_request::Act as Asked;
use sesshu_proto::v1::{
    AmendOutcome, AmendReply, AmendRequest, FindShotsRequest, HistoryReply, RecordedShot, ShotReference,
    TicketHistoryReply,
};

/// A ticket, as a line of 18 digits or as its own 16.
///
/// # Errors
///
/// What is wrong with it, for people.
pub fn ticket_of(decimal: u64) -> Result<Ticket, String> {
    match decimal {
        // A line begins with its kind and dose. A provisional ticket is above all lines.
        10_000_000_000_000_000..1_000_000_000_000_000_000 => {
            TicketLine::from_decimal(decimal).map(|line| line.ticket()).map_err(|error| error.to_string())
        }
        _ => Ticket::from_decimal(decimal).map_err(|error| error.to_string()),
    }
}

/// Checks which shot is meant.
///
/// # Errors
///
/// What is wrong, for people.
pub fn shot_ref(of: Option<ShotReference>) -> Result<ShotRef, String> {
    let ShotReference { ticket, shot_id } = of.unwrap_or_default();
    let ticket = ticket_of(ticket).map_err(|error| format!("ticket: {error}"))?;
    Ok(ShotRef { ticket, shot_id })
}

/// Checks a request.
///
/// # Errors
///
/// What is wrong, for people.
pub fn amendment_of(request: AmendRequest) -> Result<Amendment, String> {
    let of = shot_ref(request.of)?;
    let authority = request.authority();
    let act = match request.act {
        Some(Asked::Correct(correction)) => Act::Correct(Box::new(correction_of(correction))),
        Some(Asked::Void(_)) => Act::Void,
        Some(Asked::Reinstate(_)) => Act::Reinstate,
        Some(Asked::Reassign(to)) => Act::Reassign(ticket_of(to).map_err(|error| format!("reassign: {error}"))?),
        Some(Asked::Confirm(_)) => Act::Confirm,
        Some(Asked::Unlock(_)) => Act::Unlock,
        None => {
            let fault = Fault::new(Column::Row, FaultCode::Missing, "what is to be done with the shot");
            return Err(fault.to_string());
        }
    };
    let by = By { who: request.who, reason: request.reason, authority, batch: request.batch };
    let known = |sequence: u64| (sequence != 0).then_some(sequence);
    Amendment::check(of, act, by, known(request.version), known(request.settles)).map_err(|fault| fault.to_string())
}

fn correction_of(correction: v1::Correction) -> Correction {
    let v1::Correction { date, dose, vaccine, lot, venue, institution, doctor } = correction;
    Correction { date, dose, vaccine, lot, venue, institution, doctor }
}

/// Does what is asked, or says what would become of it: one reply each, in order.
///
/// # Errors
///
/// The engine's, of the first act that the store could not take: they are about the store.
pub fn amend(store: &Store, requests: Vec<AmendRequest>, dry_run: bool) -> Result<Vec<AmendReply>, RecordError> {
    let checked: Vec<Result<Amendment, String>> = requests.into_iter().map(amendment_of).collect();
    let amendments: Vec<Amendment> = checked.iter().flatten().cloned().collect();
    let answers = if dry_run { store.foresee(&amendments) } else { store.amend(&amendments) };
    let mut answers = answers.into_iter();
    checked
        .into_iter()
        .map(|checked| match checked {
            Err(reason) => Ok(invalid(reason)),
            Ok(_) => Ok(of_amended(answers.next().unwrap_or(Err(RecordError::Closed))?)),
        })
        .collect()
}

fn invalid(reason: String) -> AmendReply {
    AmendReply { outcome: AmendOutcome::Invalid.into(), reason, ..AmendReply::default() }
}

fn of_amended(amended: Amended) -> AmendReply {
    let Amended { outcome, sequence, ticket, shot } = amended;
    let level = shot.as_ref().map(RecordedShot::confirmed);
    let (outcome, reason) = match outcome {
        AmendmentOutcome::Amended => (AmendOutcome::Amended, String::new()),
        AmendmentOutcome::Unchanged => (AmendOutcome::Unchanged, String::new()),
        AmendmentOutcome::Held => {
            let level = level.map(authority_word).unwrap_or_default();
            (AmendOutcome::Held, format!("the shot is confirmed at the level {level}: the act waits for a decision"))
        }
        AmendmentOutcome::Stale => {
            let newest = shot.as_ref().map_or(0, |shot| shot.sequence);
            (AmendOutcome::Stale, format!("the shot is not any more as you know it: its newest event is {newest}"))
        }
        AmendmentOutcome::UnknownShot => (AmendOutcome::Unknown, "the ticket never had this shot".into()),
        AmendmentOutcome::UnknownWrite => (AmendOutcome::Unknown, "the shot has no such held write".into()),
        AmendmentOutcome::OtherPerson => {
            let reason = "reassign: that stands for the ticket of a person for whom this shot was not recorded";
            (AmendOutcome::Invalid, reason.into())
        }
    };
    AmendReply { outcome: outcome.into(), reason, ticket: ticket.to_decimal(), sequence, shot }
}

/// The word for a level: its name in the schema.
#[must_use]
pub fn authority_word(authority: v1::Authority) -> String {
    authority.as_str_name().trim_start_matches("AUTHORITY_").to_lowercase()
}

/// The history of a shot; `None` if the ticket never had it.
///
/// # Errors
///
/// [`Damage`].
pub fn history(store: &Store, of: ShotRef) -> Result<Option<HistoryReply>, Damage> {
    Ok(store.view().shot_history(of)?.map(of_shot_history))
}

fn of_shot_history(ShotHistory { ticket, shot, events }: ShotHistory) -> HistoryReply {
    HistoryReply { ticket: ticket.to_decimal(), shot: Some(shot), events }
}

/// Everything that was ever known of the person who has a ticket; `None` if nothing was.
///
/// # Errors
///
/// [`Damage`].
pub fn person_history(store: &Store, ticket: Ticket) -> Result<Option<TicketHistoryReply>, Damage> {
    let history = store.view().person_history(ticket)?;
    Ok(history.map(|PersonHistory { rows, shots }| TicketHistoryReply {
        rows,
        shots: shots.into_iter().map(of_shot_history).collect(),
    }))
}

/// Checks which shots are asked for.
///
/// # Errors
///
/// What is wrong, for people.
pub fn shots_of(request: FindShotsRequest) -> Result<ShotsOf, String> {
    let FindShotsRequest { date, venue, recorded_by, lot, municipality, ticket, batch } = request;
    let ticket = match ticket {
        0 => None,
        decimal => Some(ticket_of(decimal).map_err(|error| format!("ticket: {error}"))?),
    };
    if date != 0 || (ticket.is_none() && batch.is_empty()) {
        Date::from_yyyymmdd(date).map_err(|error| format!("date: {error}"))?;
    }
    let municipality = match municipality {
        0 => None,
        code => Some(Municipality::from_code(code).map_err(|error| error.to_string())?),
    };
    Ok(ShotsOf { date: (date != 0).then_some(date), venue, recorded_by, lot, municipality, ticket, batch })
}
