//! What the programme asks of a shot, and what is said of one that does otherwise.
//!
//! Owns the rules: a table that can be replaced, and the check, a pure function of a shot and of what is known of the person. A rule warns. It never refuses: a
//! shot that happened is recorded, and blocking rules made people enter what was not true.

mod check;
mod table;

pub use check::with_reasons;
pub(crate) use check::{Given, Known, ResidentFacts};
pub use table::{Rules, RulesError};
