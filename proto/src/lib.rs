//! The schema of Sesshu as Rust types: what is stored and what travels, package `sesshu.v1`.
//!
//! Owns nothing but the generated code, the descriptor set, and the debug prints of the messages that hold a My Number. The meaning of every field is in
//! the `.proto` files beside this one. Checks are the engine's: a message that came from outside is only a shape.
//!
//! The feature `grpc` adds the clients and servers of `services.proto`; without it the crate needs prost alone.

use std::fmt;

/// Package `sesshu.v1`.
pub mod v1 {
    #![allow(
        missing_docs,
        clippy::all,
        clippy::pedantic,
        rustdoc::all,
        reason = "generated from the schema, which documents every field"
    )]
    include!(concat!(env!("OUT_DIR"), "/sesshu.v1.rs"));
}

/// The file descriptor set of the package, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

impl fmt::Debug for v1::RegisterRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegisterRow").field("line", &self.line).finish_non_exhaustive()
    }
}

impl fmt::Debug for v1::FindByMyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FindByMyNumber").finish_non_exhaustive()
    }
}

impl fmt::Debug for v1::ResidentChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResidentChange").finish_non_exhaustive()
    }
}

impl fmt::Debug for v1::ColdEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ColdEntry").field("shots", &self.capture_ids.len()).finish_non_exhaustive()
    }
}
