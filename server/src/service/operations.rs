//! `Operations`: what operators ask, and what they have done.

use std::ops::ControlFlow;
use std::sync::Arc;

use sesshu_engine::{SnapshotName, Store};
use sesshu_proto::v1::operations_server::Operations;
use sesshu_proto::v1::{
    CompactReply, CompactRequest, CreateSnapshotRequest, DeleteSnapshotReply, DeleteSnapshotRequest,
    ListSnapshotsReply, ListSnapshotsRequest, ReadSnapshotReply, ReadSnapshotRequest, SnapshotInfo, StatusReply,
    StatusRequest, VerifyReply, VerifyRequest, compact_reply, verify_reply,
};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::aside::aside;
use super::{Replies, STREAM_AHEAD, is_here};
use crate::{compaction, reply, snapshots, status, verification};

/// The service on a store.
pub struct OperationsService(pub Arc<Store>);

#[tonic::async_trait]
impl Operations for OperationsService {
    type CompactStream = Replies<CompactReply>;
    type ReadSnapshotStream = Replies<ReadSnapshotReply>;
    type VerifyStream = Replies<VerifyReply>;

    async fn status(&self, _request: Request<StatusRequest>) -> Result<Response<StatusReply>, Status> {
        Ok(Response::new(reply::of_status(&self.0)))
    }

    async fn compact(&self, request: Request<CompactRequest>) -> Result<Response<Self::CompactStream>, Status> {
        let (store, request) = (Arc::clone(&self.0), request.into_inner());
        Ok(told(move |tell| {
            let is_progress = |reply: &CompactReply| matches!(reply.what, Some(compact_reply::What::Progress(_)));
            compaction::compact(&store, &request, &mut |reply| tell(is_progress(&reply), reply))
                .map_err(|error| status::of_compaction(&error))
        }))
    }

    async fn verify(&self, request: Request<VerifyRequest>) -> Result<Response<Self::VerifyStream>, Status> {
        let (store, request) = (Arc::clone(&self.0), request.into_inner());
        Ok(told(move |tell| {
            let is_progress = |reply: &VerifyReply| matches!(reply.what, Some(verify_reply::What::Progress(_)));
            verification::verify(&store, &request, &mut |reply| tell(is_progress(&reply), reply))
                .map_err(|error| status::of_open(&error))
        }))
    }

    async fn create_snapshot(&self, request: Request<CreateSnapshotRequest>) -> Result<Response<SnapshotInfo>, Status> {
        let (store, name) = (Arc::clone(&self.0), name(&request.get_ref().name)?);
        let made = aside(move || store.create_snapshot(&name)).await?;
        Ok(Response::new(reply::of_snapshot(&made.map_err(|error| status::of_snapshot(&error))?, 0)))
    }

    async fn list_snapshots(
        &self,
        _request: Request<ListSnapshotsRequest>,
    ) -> Result<Response<ListSnapshotsReply>, Status> {
        let snapshots = self.0.snapshots();
        let listed = aside(move || snapshots.list()).await?.map_err(|error| status::of_snapshot(&error))?;
        Ok(Response::new(ListSnapshotsReply { snapshots: listed.iter().map(reply::of_listed_snapshot).collect() }))
    }

    async fn delete_snapshot(
        &self,
        request: Request<DeleteSnapshotRequest>,
    ) -> Result<Response<DeleteSnapshotReply>, Status> {
        let (store, name) = (Arc::clone(&self.0), name(&request.get_ref().name)?);
        let deleted = aside(move || store.delete_snapshot(&name)).await?;
        deleted.map_err(|error| status::of_snapshot(&error))?;
        Ok(Response::new(DeleteSnapshotReply {}))
    }

    async fn read_snapshot(
        &self,
        request: Request<ReadSnapshotRequest>,
    ) -> Result<Response<Self::ReadSnapshotStream>, Status> {
        if !is_here(request.remote_addr()) {
            return Err(status::snapshots_are_not_read_from_there());
        }
        let ReadSnapshotRequest { name: asked, path } = request.into_inner();
        let (snapshots, name) = (self.0.snapshots(), name(&asked)?);
        let (replies, stream) = mpsc::channel(STREAM_AHEAD);
        tokio::spawn(async move {
            let spare = replies.clone();
            let work = aside(move || {
                let sent = snapshots::read(&snapshots, &name, &path, &mut |content| {
                    let reply = ReadSnapshotReply { content: content.to_vec() };
                    if replies.blocking_send(Ok(reply)).is_ok() {
                        ControlFlow::Continue(())
                    } else {
                        ControlFlow::Break(())
                    }
                });
                if let Err(error) = sent {
                    drop(replies.blocking_send(Err(status::of_snapshot(&error))));
                }
            });
            if let Err(status) = work.await {
                drop(spare.send(Err(status)).await);
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

/// Hands on a reply; the first argument says whether it may be left out.
type Tell<'a, T> = dyn FnMut(bool, T) -> ControlFlow<()> + Send + 'a;

/// Does long work on a thread of its own, which tells of itself; it ends when nobody listens any more.
fn told<T: Send + 'static>(
    work: impl FnOnce(&mut Tell<'_, T>) -> Result<(), Status> + Send + 'static,
) -> Response<Replies<T>> {
    let (replies, stream) = mpsc::channel(STREAM_AHEAD);
    let spare = replies.clone();
    tokio::spawn(async move {
        let work = aside(move || {
            let done = work(&mut |is_progress, reply| {
                let sent = match is_progress {
                    // A client that does not read must not keep a ledger from being loaded.
                    true => !matches!(replies.try_send(Ok(reply)), Err(TrySendError::Closed(_))),
                    false => replies.blocking_send(Ok(reply)).is_ok(),
                };
                // Otherwise whoever wanted it has gone.
                if sent { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            if let Err(status) = done {
                drop(replies.blocking_send(Err(status)));
            }
        });
        if let Err(status) = work.await {
            drop(spare.send(Err(status)).await);
        }
    });
    Response::new(Box::pin(ReceiverStream::new(stream)))
}

fn name(text: &str) -> Result<SnapshotName, Status> {
    SnapshotName::parse(text).map_err(status::invalid)
}
