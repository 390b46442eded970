//! Files as municipalities keep them: registers and shots as CSV, read row by row, and the file of the rows that were rejected.
//!
//! Owns everything between a path and checked values: encodings, the CSV form, header names, the text of a field, and what may be shown of a row that was
//! rejected. What a field may hold is the engine's `intake`; who is sent the rows is the caller's.
//!
//! A file is refused whole ([`InputError`]) only if it is not what it is said to be. Everything else costs one row ([`RejectedRow`]), and the rest goes on.
//!
//! ```text
//! file ─ source ─ split ─ fields ─ register ─ Row, Change          header: which field is which column
//!        window   spans   values └ shots ──── ShotRecord    encoding: bytes to text     mask: what a reject may show
//! ```

mod changes;
mod encoding;
mod error;
mod fields;
mod folder;
mod header;
mod mask;
mod register;
mod rejects;
mod shots;
mod source;
mod split;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;

pub use changes::{ChangeRow, ChangesFile};
pub use encoding::Encoding;
pub use error::InputError;
pub use folder::find_registers;
pub use header::FileKind;
pub use register::RegisterFile;
pub use rejects::{RejectedRow, RejectsFile};
pub use shots::{ShotRow, ShotsFile};
