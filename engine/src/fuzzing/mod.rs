//! The entrances of the fuzz targets (feature `fuzzing`): what must hold of the bytes that the engine reads, whatever they are.
//!
//! Each function takes any bytes and panics where its property is broken; it is the whole body of a libFuzzer target in `fuzz/` and of a smoke test in
//! `tests/fuzz.rs`. Bytes that fail their checksum end a reader at its first step, so an input says itself how far it is *repaired* before it is read: as it
//! is, or with checksums that match, or with more made right (`repair`). What the harness knows of the bytes it knows from `docs/format.md` and not from
//! the code that it watches.
//!
//! | module | an input is | what holds |
//! |---|---|---|
//! | [`frame`](frame()) | a frame | decoded or refused for a reason; what is decoded is encoded as the same bytes |
//! | [`log`](log()) | segments and what the manifest vouches for | every event is whole and in order; recovery is idempotent; a refusal changes nothing |
//! | [`generation`](generation()) | the sections of a file | every question ends, with an answer about its own ticket or with damage |
//! | [`checkpoint`](checkpoint()) | a checkpoint, in a store that was closed | one of no use changes no answer; none keeps a store from opening twice |
//! | [`manifest`](manifest()) | a manifest, in a store that was closed | the store opens, now and again, or is refused unchanged |
//! | [`held`](held()) | the file of a held load, in a store that was closed | the store opens and shows the same; what is held can be confirmed or is void |
//! | [`ticket_line`](ticket_line()) | a text | what parses prints back |
//!
//! `memory` is the machine that all of it lies on, `fixture` the store.

mod checkpoint;
mod fixture;
mod frame;
mod generation;
mod held;
mod log;
mod manifest;
mod memory;
mod repair;
mod ticket_line;

pub use checkpoint::checkpoint;
pub use fixture::{FixtureFiles, fixture_files};
pub use frame::frame;
pub use generation::generation;
pub use held::held;
pub use log::log;
pub use manifest::manifest;
pub use ticket_line::ticket_line;
