//! What did not hold.
//!
//! Owns the one way in which a year fails: by what should have been so, and what was instead.

use std::fmt;

/// Characters of a detail that are told.
const DETAIL_MAX: usize = 20_000;

/// What should have been so and was not.
#[derive(Clone, Debug)]
pub struct Failed {
    property: String,
    detail: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail: String = self.detail.chars().take(DETAIL_MAX).collect();
        write!(f, "not so: {}\n{detail}", self.property)
    }
}

/// Says what should have been so.
pub(super) fn failed(property: impl Into<String>, detail: impl ToString) -> Failed {
    Failed { property: property.into(), detail: detail.to_string() }
}

/// Fails unless something holds.
pub(super) fn ensure<D: ToString>(holds: bool, property: &str, detail: impl FnOnce() -> D) -> Result<(), Failed> {
    if holds { Ok(()) } else { Err(failed(property, detail())) }
}
