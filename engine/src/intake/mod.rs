//! What may come in: register rows and shots that have passed every check which needs no store.
//!
//! Owns the rules of a field (length, calendar, digits, known values) and the names of the columns and codes that a rejection cites. Text formats (CSV,
//! JSON, gRPC) are their readers' business: they turn text into the values that `check` takes, and report its faults beside their own.
//!
//! A [`Row`], [`Change`] or [`ShotRecord`] can only be made by its `check`, so the store never validates again.

mod amendment;
mod change;
mod fault;
mod mask;
mod provisional;
mod remark;
mod row;
mod sender;
mod shot;

pub use amendment::{Act, Amendment, By, Correction, ShotRef};
pub use change::{Change, ChangeContent};
pub use fault::{Column, Fault, FaultCode};
pub(crate) use mask::masked;
pub use provisional::provisional_ticket;
pub(crate) use remark::of_shared;
pub use remark::{Remark, RemarkCode};
pub use row::Row;
pub use sender::Sender;
pub use shot::ShotRecord;
