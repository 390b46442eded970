//! The program as its users meet it: the real binary with files, pipes, signals and ports, and the real server over gRPC.
//!
//! One file a subject, one crate for all of them, so that they are linked once and run side by side. `process` starts and ends programs, `people` invents
//! registers and shots; the rest are properties. What a command must do with a store is the engine's to prove; here it is exit codes, streams, objects,
//! statuses, and that nothing is lost on the way.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod across;
mod amend;
mod apply;
mod bad_registers;
mod bad_shots;
mod bad_stores;
mod compact;
mod demo;
mod encodings;
mod find;
mod full_disk;
mod generate;
mod grpc_loads;
mod grpc_tickets;
mod held;
mod keys;
mod killed;
mod killed_loads;
mod known_at;
mod ledger;
mod load;
mod many_files;
mod matching;
mod people;
mod pipes;
mod privacy;
mod process;
mod provisional;
mod record;
mod remarks;
mod repair;
mod resume;
mod same_answers;
mod serve;
mod served;
mod shutdown;
mod snapshot;
mod status;
mod verify;
mod warnings;
