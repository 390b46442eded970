//! The gRPC services: one file a noun.
//!
//! Each turns messages into calls of the engine and back, and owns nothing else. Errors become statuses in `status`, replies are made in `reply`.

pub mod ledgers;
pub mod matching;
pub mod operations;
pub mod register;
pub mod shot_log;

use std::pin::Pin;

use tokio_stream::Stream;
use tonic::Status;

/// A stream of replies.
pub type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Tickets or shots in one message of a stream.
pub const BATCH_MAX: usize = 4096;

/// Register rows in one message of a stream.
pub const ROWS_MAX: usize = 8192;

/// Messages that a stream works on ahead of the client's reading.
const STREAM_AHEAD: usize = 16;
