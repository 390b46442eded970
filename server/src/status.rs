//! From an error to a gRPC status: the only place that makes one.
//!
//! Owns the choice of code. Messages are those of the errors; a chain of sources is joined, since a status has no source.

use std::error::Error;

use prost::Message as _;
use prost_types::Any;
use sesshu_engine::error::{
    AccessError, ChangeError, Damage, HeldError, Kind, LoadError, OpenError, RecordError, SnapshotError,
};
use sesshu_proto::v1::{AmendReply, RecordReply, RecordRequest};
use tonic::{Code, Status};

use crate::compaction::CompactionError;
use crate::find::FindError;

/// The request is at fault.
pub fn invalid(reason: impl ToString) -> Status {
    Status::invalid_argument(reason.to_string())
}

/// There is one already.
pub fn already_exists(reason: impl ToString) -> Status {
    Status::already_exists(reason.to_string())
}

/// The shot is not any more as the client knows it: the details hold the reply, with the shot as it is now.
pub fn stale(reply: &AmendReply) -> Status {
    with_details(Code::Aborted, &reply.reason, vec![any("AmendReply", reply.encode_to_vec())])
}

/// The same capture id was recorded before, with other content: the details hold the reply, with the shot that the ticket holds, and the request.
pub fn already_recorded_otherwise(reply: &RecordReply, request: &RecordRequest) -> Status {
    let details = vec![any("RecordReply", reply.encode_to_vec()), any("RecordRequest", request.encode_to_vec())];
    with_details(Code::AlreadyExists, &reply.reason, details)
}

fn any(name: &str, value: Vec<u8>) -> Any {
    Any { type_url: format!("type.googleapis.com/sesshu.v1.{name}"), value }
}

fn with_details(code: Code, message: &str, details: Vec<Any>) -> Status {
    let details = tonic_types::Status { code: code.into(), message: message.into(), details };
    Status::with_details(code, message, details.encode_to_vec().into())
}

/// The server does not have it.
pub fn not_found(reason: impl ToString) -> Status {
    Status::not_found(reason.to_string())
}

/// The stream is not its load's any more.
pub fn interrupted() -> Status {
    Status::aborted("the load waits for another stream, or goes on there")
}

/// The server is shutting down.
pub fn shutting_down() -> Status {
    Status::unavailable("the server is shutting down: ask again when it is back")
}

/// Stored bytes failed a check.
pub fn damaged(damage: &Damage) -> Status {
    Status::data_loss(damage.to_string())
}

/// Recording failed.
pub fn of_record(error: &RecordError) -> Status {
    Status::new(code(error.kind()), chain(error))
}

/// Changing a row failed before anything was changed.
pub fn of_change(error: &ChangeError) -> Status {
    match error {
        ChangeError::Key(_) => Status::failed_precondition(chain(error)),
    }
}

/// There are no roles yet that could say who may look up My Numbers.
pub fn not_from_there() -> Status {
    let reason = "My Numbers are looked up over loopback connections alone until there are roles: ask on the server's own machine";
    Status::permission_denied(reason)
}

/// Finding people failed.
pub fn of_find(error: &FindError) -> Status {
    match error {
        FindError::Invalid(reason) => invalid(reason),
        FindError::Damaged(damage) => damaged(damage),
        FindError::Access(error) => of_access(error),
    }
}

/// Looking up a My Number failed.
pub fn of_access(error: &AccessError) -> Status {
    let code = if let AccessError::Key(_) = error { Code::FailedPrecondition } else { code(error.kind()) };
    Status::new(code, chain(error))
}

/// Loading failed.
pub fn of_load(error: &LoadError) -> Status {
    let code = match error {
        LoadError::UnderWay(_) => Code::AlreadyExists,
        LoadError::Key(_) => Code::FailedPrecondition,
        _ => code(error.kind()),
    };
    Status::new(code, chain(error))
}

/// Confirming or discarding failed.
pub fn of_held(error: &HeldError) -> Status {
    let code = match error {
        HeldError::Unknown(_) | HeldError::Expired(_) => Code::NotFound,
        HeldError::Void(_) => Code::FailedPrecondition,
        HeldError::Load(error) => return of_load(error),
        _ => code(error.kind()),
    };
    Status::new(code, chain(error))
}

/// Making, reading or deleting a snapshot failed.
pub fn of_snapshot(error: &SnapshotError) -> Status {
    let code = match error {
        SnapshotError::Unknown(_) | SnapshotError::NoFile(_) => Code::NotFound,
        SnapshotError::Exists(_) => Code::AlreadyExists,
        _ => code(error.kind()),
    };
    Status::new(code, chain(error))
}

/// As [`not_from_there`], of snapshots.
pub fn snapshots_are_not_read_from_there() -> Status {
    let reason =
        "snapshots are read over loopback connections alone until there are roles: export on the server's own machine";
    Status::permission_denied(reason)
}

/// Work on the whole store failed.
pub fn of_open(error: &OpenError) -> Status {
    let code = if let OpenError::Damaged(_) = error { Code::DataLoss } else { Code::Unavailable };
    Status::new(code, chain(error))
}

/// Compacting failed.
pub fn of_compaction(error: &CompactionError) -> Status {
    match error {
        CompactionError::Invalid(reason) => invalid(reason),
        CompactionError::Ledger(error) => Status::new(code(error.kind()), chain(error)),
        CompactionError::Checkpoint(_) => Status::unavailable(chain(error)),
    }
}

fn code(kind: Kind) -> Code {
    match kind {
        Kind::Retry => Code::ResourceExhausted,
        Kind::Request => Code::InvalidArgument,
        Kind::Repair => Code::DataLoss,
        Kind::Restart => Code::Unavailable,
        Kind::Unknown => Code::Unknown,
    }
}

/// An error and what caused it, in one line.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
