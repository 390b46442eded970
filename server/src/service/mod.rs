//! The gRPC services: one file a noun.
//!
//! Each turns messages into calls of the engine and back, and owns nothing else. Errors become statuses in `status`, replies are made in `reply`.

mod amending;
mod apply;
mod aside;
mod conversation;
pub mod ledgers;
pub mod matching;
pub mod operations;
pub mod register;
mod resuming;
pub mod shot_log;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use sesshu_proto::v1::Across;
use tokio::sync::{OwnedRwLockReadGuard, RwLock};
use tokio_stream::Stream;
use tonic::Status;

/// A stream of replies.
pub type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Tickets or shots in one message of a stream.
pub const BATCH_MAX: usize = 4096;

/// Register rows in one message of a stream.
pub const ROWS_MAX: usize = 8192;

/// What is under way: whoever works on a request that must be finished holds a pass, and a server that stops waits until none is held.
#[derive(Clone, Default)]
pub struct Work {
    stopping: Arc<RwLock<bool>>,
}

/// Leave to work on a request, until it is dropped.
type Pass = OwnedRwLockReadGuard<bool>;

impl Work {
    /// A pass, to be held until the answer is on its way; none once the server stops.
    async fn begin(&self) -> Result<Pass, Status> {
        let stopping = Arc::clone(&self.stopping).read_owned().await;
        if *stopping { Err(crate::status::shutting_down()) } else { Ok(stopping) }
    }

    /// Done when nothing is under way; nothing new begins after that.
    pub async fn finished(&self) {
        // The lock is fair: whoever asks for a pass from now on comes later.
        *self.stopping.write().await = true;
    }
}

/// Whether a connection comes from this machine.
fn is_here(peer: Option<SocketAddr>) -> bool {
    peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback())
}

/// Checks whether people may be joined across municipalities for whoever asks; says where the question came from.
fn may_join(across: Option<&Across>, has_moment: bool, peer: Option<SocketAddr>) -> Result<String, Status> {
    crate::across::check(across, has_moment).map_err(crate::status::invalid)?;
    if across.is_some() && !is_here(peer) {
        return Err(crate::status::not_from_there());
    }
    Ok(peer.map(|peer| peer.to_string()).unwrap_or_default())
}

/// Messages that a stream works on ahead of the client's reading.
const STREAM_AHEAD: usize = 16;
