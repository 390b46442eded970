//! Sesshu as a program: the commands, the gRPC server, the readers and writers of the field's files.
//!
//! The engine is `sesshu_engine`; nothing here knows how a shot lies on disk. The binary is `main.rs`; this library exists so that tests and benches run the
//! real thing in their own process.
//!
//! | module | owns |
//! |---|---|
//! | [`input`] | register and shots files: text to checked values |
//! | [`generate`] | invented people, as files and as values |
//! | [`reply`], [`find`], [`amend`], [`compaction`], [`snapshots`], [`verification`], [`status`] | from the engine's answers to messages and statuses |
//! | [`service`], [`app`] | the gRPC services, and the server around them |
//! | [`client`], [`client_load`], [`client_operations`], [`backend`] | the same work on a server or on a store |
//! | [`cli`] | one file a command |
//! | [`answer`], [`answer_load`], [`answer_record`], [`answer_repair`], [`answer_shot`], [`answer_snapshot`], [`answer_status`], [`answer_verify`] | what programs read: one JSON object a line |
//! | [`metrics`], [`telemetry`] | what operators watch |

pub mod across;
pub mod amend;
pub mod answer;
pub mod answer_compact;
pub mod answer_key;
pub mod answer_load;
pub mod answer_record;
pub mod answer_repair;
pub mod answer_shot;
pub mod answer_snapshot;
pub mod answer_status;
pub mod answer_verify;
pub mod app;
pub mod backend;
pub mod cli;
pub mod client;
pub mod client_load;
pub mod client_operations;
pub mod compaction;
pub mod failure;
pub mod find;
pub mod generate;
pub mod input;
pub mod metrics;
pub mod reply;
pub mod service;
pub mod snapshots;
pub mod status;
pub mod telemetry;
pub mod verification;
