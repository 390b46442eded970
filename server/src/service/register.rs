//! `Register`: register snapshots, as a conversation, single changes, loads that are held, and people whose ticket is not at hand.
//!
//! Open, rows in batches, commit; each step is answered. A stream that ends by itself before its commit, or is cancelled, leaves nothing behind; one that breaks
//! leaves its load to `resuming`.

use std::sync::Arc;
use std::time::Duration;

use sesshu_engine::{HeldId, HoldPolicy, Store};
use sesshu_proto::v1::find_request::By;
use sesshu_proto::v1::load_snapshot_reply::Step as ReplyStep;
use sesshu_proto::v1::load_snapshot_request::Step;
use sesshu_proto::v1::register_server::Register;
use sesshu_proto::v1::{
    ApplyReply, ApplyRequest, ConfirmLoadReply, ConfirmLoadRequest, DiscardLoadReply, DiscardLoadRequest, FindReply,
    FindRequest, ListHeldLoadsReply, ListHeldLoadsRequest, LoadCommitted, LoadRowsTaken, LoadSnapshotReply,
    LoadSnapshotRequest, RejectedRow,
};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status, Streaming};

use super::apply::apply;
use super::aside::aside;
use super::conversation::Conversation;
use super::resuming::{Carried, Carrier, Resuming};
use super::{Replies, STREAM_AHEAD, Work, is_here};
use crate::find::find;
use crate::{metrics, reply, status};

/// The service on a store.
#[derive(Clone)]
pub struct RegisterService {
    store: Arc<Store>,
    /// What must be finished before the server stops: commits. A load that is not committed then is ended.
    work: Work,
    policy: HoldPolicy,
    resuming: Arc<Resuming>,
}

impl RegisterService {
    /// A service that holds loads as `policy` says, and keeps interrupted ones for `resume`.
    #[must_use]
    pub fn new(store: Arc<Store>, work: Work, policy: HoldPolicy, resume: Duration) -> RegisterService {
        RegisterService { store, work, policy, resuming: Arc::new(Resuming::new(resume)) }
    }

    /// Ends the loads that wait for their client.
    pub fn end_interrupted(&self) {
        self.resuming.clear();
    }

    /// Does something with a held load, on a thread that may wait for the disk.
    async fn held<T: Send + 'static>(
        &self,
        id: &str,
        act: impl FnOnce(&Store, HeldId) -> Result<T, sesshu_engine::error::HeldError> + Send + 'static,
    ) -> Result<T, Status> {
        let id = HeldId::parse(id).map_err(|error| status::of_held(&error))?;
        let (store, _pass) = (Arc::clone(&self.store), self.work.begin().await?);
        let done = tokio::task::spawn_blocking(move || act(&store, id)).await;
        done.map_err(|_| status::shutting_down())?.map_err(|error| status::of_held(&error))
    }
}

#[tonic::async_trait]
impl Register for RegisterService {
    type LoadSnapshotStream = Replies<LoadSnapshotReply>;
    type ApplyStream = Replies<ApplyReply>;

    async fn load_snapshot(
        &self,
        request: Request<Streaming<LoadSnapshotRequest>>,
    ) -> Result<Response<Self::LoadSnapshotStream>, Status> {
        let service = self.clone();
        let requests = request.into_inner();
        let (replies, stream) = mpsc::channel(STREAM_AHEAD);
        tokio::spawn(async move {
            if let Err(status) = service.converse(requests, &replies).await {
                // A client that has gone does not hear why its load ended.
                drop(replies.send(Err(status)).await);
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn apply(&self, request: Request<Streaming<ApplyRequest>>) -> Result<Response<Self::ApplyStream>, Status> {
        let (store, work) = (Arc::clone(&self.store), self.work.clone());
        let replies = request.into_inner().then(move |request| {
            let (store, work) = (Arc::clone(&store), work.clone());
            async move {
                let (request, _pass) = (request?, work.begin().await?);
                let applied = tokio::task::spawn_blocking(move || apply(&store, request));
                applied.await.map_err(|_| status::shutting_down())?
            }
        });
        Ok(Response::new(Box::pin(replies)))
    }

    async fn list_held_loads(
        &self,
        _request: Request<ListHeldLoadsRequest>,
    ) -> Result<Response<ListHeldLoadsReply>, Status> {
        let store = Arc::clone(&self.store);
        let held = tokio::task::spawn_blocking(move || store.held()).await.map_err(|_| status::shutting_down())?;
        Ok(Response::new(ListHeldLoadsReply { loads: held.iter().map(reply::of_held).collect() }))
    }

    async fn confirm_load(&self, request: Request<ConfirmLoadRequest>) -> Result<Response<ConfirmLoadReply>, Status> {
        let report = self.held(&request.get_ref().id, Store::confirm).await?;
        metrics::loaded(&report);
        Ok(Response::new(ConfirmLoadReply { summary: Some(reply::of_load(&report)) }))
    }

    async fn discard_load(&self, request: Request<DiscardLoadRequest>) -> Result<Response<DiscardLoadReply>, Status> {
        self.held(&request.get_ref().id, Store::discard).await?;
        Ok(Response::new(DiscardLoadReply {}))
    }

    async fn find(&self, request: Request<FindRequest>) -> Result<Response<FindReply>, Status> {
        let peer = request.remote_addr();
        let request = request.into_inner();
        let by_my_number = matches!(request.by, Some(By::MyNumber(_)));
        if by_my_number && !is_here(peer) {
            return Err(status::not_from_there());
        }
        let _pass = self.work.begin().await?;
        let store = Arc::clone(&self.store);
        let from = peer.map(|peer| peer.to_string()).unwrap_or_default();
        let found = tokio::task::spawn_blocking(move || find(&store, request, &from));
        let reply = found.await.map_err(|_| status::shutting_down())?.map_err(|error| status::of_find(&error))?;
        metrics::found(&reply);
        Ok(Response::new(reply))
    }
}

/// Rejected rows in one message at a commit.
const REJECTED_MAX: usize = 8192;

type ReplySender = mpsc::Sender<Result<LoadSnapshotReply, Status>>;

/// How a stream ended that did not bring its load to an end.
enum Ended {
    /// It broke, or another carries the load: that waits.
    Interrupted(Box<Conversation>),
    /// The client is at fault, or ended it: nothing is left of the load.
    Refused(Status),
}

impl From<Status> for Ended {
    fn from(status: Status) -> Ended {
        Ended::Refused(status)
    }
}

impl RegisterService {
    async fn converse(
        &self,
        mut requests: Streaming<LoadSnapshotRequest>,
        replies: &ReplySender,
    ) -> Result<(), Status> {
        let answer = async |step| drop(replies.send(Ok(LoadSnapshotReply { step: Some(step) })).await);
        let Some(Step::Open(open)) = next_step(&mut requests).await? else {
            return Err(status::invalid("a load begins with `open`"));
        };
        let (carrier, carried, opened) = self.resuming.open(&self.store, &open).await?;
        answer(ReplyStep::Opened(opened)).await;
        let committed = match carried {
            Carried::Over(committed) => {
                // This stream may break too.
                carrier.over((*committed).clone());
                let Some(Step::Commit(_)) = next_step(&mut requests).await? else {
                    return Err(status::invalid("the load was committed: nothing but `commit` can be asked of it"));
                };
                *committed
            }
            Carried::Open(conversation) => match take(&carrier, conversation, &mut requests, replies).await {
                Ok((conversation, dry_run)) => {
                    let committed = self.conclude(*conversation, dry_run).await?;
                    carrier.over(committed.clone());
                    committed
                }
                Err(Ended::Refused(status)) => return Err(status),
                Err(Ended::Interrupted(conversation)) => {
                    carrier.interrupted(conversation);
                    return Err(status::interrupted());
                }
            },
        };
        let (before, committed) = in_messages(committed);
        for taken in before {
            answer(ReplyStep::RowsTaken(taken)).await;
        }
        answer(ReplyStep::Committed(committed)).await;
        Ok(())
    }

    async fn conclude(&self, conversation: Conversation, dry_run: bool) -> Result<LoadCommitted, Status> {
        let (policy, _pass) = (self.policy, self.work.begin().await?);
        aside(move || conversation.conclude(&policy, dry_run)).await?
    }
}

/// Takes rows until the commit. What was taken, and whether a dry run is asked for.
async fn take(
    carrier: &Carrier,
    mut conversation: Box<Conversation>,
    requests: &mut Streaming<LoadSnapshotRequest>,
    replies: &ReplySender,
) -> Result<(Box<Conversation>, bool), Ended> {
    loop {
        let step = tokio::select! {
            step = requests.next() => step,
            () = carrier.wanted() => return Err(Ended::Interrupted(conversation)),
        };
        match step {
            // The client says that it does not want it any more.
            Some(Err(status)) if status.code() == Code::Cancelled => return Err(status.into()),
            // The connection, or the client, is gone.
            Some(Err(_)) => return Err(Ended::Interrupted(conversation)),
            None => return Err(status::invalid("the load ended without `commit`: nothing was loaded").into()),
            Some(Ok(LoadSnapshotRequest { step: None })) => return Err(no_step().into()),
            Some(Ok(LoadSnapshotRequest { step: Some(step) })) => match step {
                Step::Open(_) => return Err(status::invalid("the load is open already: one load a stream").into()),
                Step::Rows(rows) => {
                    let (then, taken) = aside(move || {
                        let taken = conversation.take(rows);
                        (conversation, taken)
                    })
                    .await?;
                    conversation = then;
                    let taken = ReplyStep::RowsTaken(taken?);
                    tokio::select! {
                        _ = replies.send(Ok(LoadSnapshotReply { step: Some(taken) })) => {}
                        // Nobody reads the answers any more; the other stream tells what was rejected.
                        () = carrier.wanted() => return Err(Ended::Interrupted(conversation)),
                    }
                }
                Step::Commit(commit) => return Ok((conversation, commit.dry_run)),
            },
        }
    }
}

/// What a commit rejected, in messages of a size that every client takes.
fn in_messages(mut committed: LoadCommitted) -> (Vec<LoadRowsTaken>, LoadCommitted) {
    let last = committed.rejected.len().saturating_sub(1) / REJECTED_MAX * REJECTED_MAX;
    let rest = committed.rejected.split_off(last);
    let before = std::mem::replace(&mut committed.rejected, rest);
    let rows = committed.summary.as_ref().map_or(0, |summary| summary.accepted + summary.rejected);
    let message = |rejected: &[RejectedRow]| LoadRowsTaken { rows, rejected: rejected.to_vec(), remarks: Vec::new() };
    (before.chunks(REJECTED_MAX).map(message).collect(), committed)
}

async fn next_step(requests: &mut Streaming<LoadSnapshotRequest>) -> Result<Option<Step>, Status> {
    match requests.next().await.transpose()? {
        None => Ok(None),
        Some(LoadSnapshotRequest { step: None }) => Err(no_step()),
        Some(LoadSnapshotRequest { step }) => Ok(step),
    }
}

fn no_step() -> Status {
    status::invalid("a message without a step")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn my_numbers_are_looked_up_from_this_machine_alone() {
        for (peer, here) in [
            ("127.0.0.1:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("10.0.0.1:1", false),
            ("[::ffff:10.0.0.1]:1", false),
            ("[2001:db8::1]:1", false),
            ("0.0.0.0:1", false),
        ] {
            assert_eq!(is_here(Some(peer.parse().unwrap())), here, "{peer}");
        }
        assert!(!is_here(None));
    }
}
