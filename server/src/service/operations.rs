//! `Operations`: what operators ask, and what they have done.

use std::ops::ControlFlow;
use std::sync::Arc;

use sesshu_engine::Store;
use sesshu_proto::v1::compact_reply::What;
use sesshu_proto::v1::operations_server::Operations;
use sesshu_proto::v1::{CompactReply, CompactRequest, StatusReply, StatusRequest};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::aside::aside;
use super::{Replies, STREAM_AHEAD};
use crate::{compaction, reply, status};

/// The service on a store.
pub struct OperationsService(pub Arc<Store>);

#[tonic::async_trait]
impl Operations for OperationsService {
    type CompactStream = Replies<CompactReply>;

    async fn status(&self, _request: Request<StatusRequest>) -> Result<Response<StatusReply>, Status> {
        Ok(Response::new(reply::of_status(&self.0)))
    }

    async fn compact(&self, request: Request<CompactRequest>) -> Result<Response<Self::CompactStream>, Status> {
        let (store, request) = (Arc::clone(&self.0), request.into_inner());
        let (replies, stream) = mpsc::channel(STREAM_AHEAD);
        let spare = replies.clone();
        tokio::spawn(async move {
            let work = aside(move || {
                let done = compaction::compact(&store, &request, &mut |reply| {
                    let is_progress = matches!(reply.what, Some(What::Progress(_)));
                    let sent = match is_progress {
                        // A client that does not read must not keep the ledger from being loaded.
                        true => !matches!(replies.try_send(Ok(reply)), Err(TrySendError::Closed(_))),
                        false => replies.blocking_send(Ok(reply)).is_ok(),
                    };
                    // Otherwise whoever wanted it has gone.
                    if sent { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                });
                if let Err(error) = done {
                    drop(replies.blocking_send(Err(status::of_compaction(&error))));
                }
            });
            if let Err(status) = work.await {
                drop(spare.send(Err(status)).await);
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}
