//! Who sends rows of a register, and why.
//!
//! Owns the check of both. They are the client's words: nothing follows from them, and the history keeps them.

use super::fault::{Column, Fault, check_text};
use super::mask::masked;
use crate::limits;

/// Who sent rows, and why, in the client's words; the history of each row keeps both, without what may be a My Number. Both may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    who: String,
    reason: String,
}

impl Sender {
    /// Checks who sends rows: at most 40 characters, and why: at most 100.
    ///
    /// # Errors
    ///
    /// The first [`Fault`].
    pub fn check(who: impl Into<String>, reason: impl Into<String>) -> Result<Sender, Fault> {
        let (who, reason) = (who.into(), reason.into());
        check_text(Column::Who, &who, limits::RECORDED_BY_CHARACTERS_MAX)?;
        check_text(Column::Reason, &reason, limits::REASON_CHARACTERS_MAX)?;
        Ok(Sender { who: masked(&who), reason: masked(&reason) })
    }

    /// Who.
    #[must_use]
    pub fn who(&self) -> &str {
        &self.who
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}
