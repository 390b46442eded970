//! Work that may wait: loads are taken and built, and ledgers compacted, on threads that give way to shots.
//!
//! Owns the way there and back. The runtime's own threads cannot be used: a thread that has given way once does so for good.

use tokio::sync::oneshot;
use tonic::Status;

use crate::status;

/// Does `work` on a thread of its own, which gives way to others.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Status> {
    let (sender, receiver) = oneshot::channel();
    let thread = std::thread::Builder::new().name("sesshu-load".into()).spawn(move || {
        sesshu_engine::give_way();
        // Whoever does not wait any more needs no answer.
        let _ = sender.send(work());
    });
    thread.map_err(|error| Status::resource_exhausted(format!("no thread for the work: {error}")))?;
    receiver.await.map_err(|_| status::shutting_down())
}
