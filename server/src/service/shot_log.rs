//! `ShotLog`: takes shots down, durably. What is done with recorded shots is in `amending`.
//!
//! A shot is handed to the engine's committer and answered from its call-back; no thread waits for a sync. A stream works ahead of its replies, so that one
//! stream fills a group commit.

use std::sync::Arc;

use sesshu_engine::error::RecordError;
use sesshu_engine::intake::ShotRecord;
use sesshu_engine::limits::COMMAND_SHOTS_MAX;
use sesshu_engine::{Recorded, Store};
use sesshu_proto::v1::shot_log_server::ShotLog;
use sesshu_proto::v1::{
    AmendManyReply, AmendManyRequest, AmendReply, AmendRequest, FindShotsReply, FindShotsRequest, HistoryReply,
    HistoryRequest, RecordManyReply, RecordManyRequest, RecordOutcome, RecordReply, RecordRequest,
};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{BATCH_MAX, Replies, STREAM_AHEAD, Work, amending};
use crate::{metrics, reply, status};

/// The service on a store.
pub struct ShotLogService {
    /// The store.
    pub store: Arc<Store>,
    /// What must be finished before the server stops.
    pub work: Work,
}

type Answers = Vec<Result<Recorded, RecordError>>;

#[tonic::async_trait]
impl ShotLog for ShotLogService {
    type RecordManyStream = Replies<RecordManyReply>;
    type FindShotsStream = Replies<FindShotsReply>;

    async fn amend(&self, request: Request<AmendRequest>) -> Result<Response<AmendReply>, Status> {
        amending::amend_one(&self.store, &self.work, request.into_inner()).await.map(Response::new)
    }

    async fn amend_many(&self, request: Request<AmendManyRequest>) -> Result<Response<AmendManyReply>, Status> {
        amending::amend_many(&self.store, &self.work, request.into_inner()).await.map(Response::new)
    }

    async fn history(&self, request: Request<HistoryRequest>) -> Result<Response<HistoryReply>, Status> {
        amending::history(&self.store, request.into_inner()).await.map(Response::new)
    }

    async fn find_shots(&self, request: Request<FindShotsRequest>) -> Result<Response<Self::FindShotsStream>, Status> {
        amending::find_shots(&self.store, request.into_inner())
    }

    async fn record(&self, request: Request<RecordRequest>) -> Result<Response<RecordReply>, Status> {
        let _pass = self.work.begin().await?;
        let request = request.into_inner();
        let batch = Batch::submit(&self.store, vec![request.clone()], true);
        let reply = batch.replies().await?.into_iter().next().ok_or_else(status::shutting_down)?;
        match reply.outcome() {
            RecordOutcome::Invalid => Err(status::invalid(reply.reason)),
            RecordOutcome::CaptureIdConflict => Err(status::already_recorded_otherwise(&reply, &request)),
            _ => Ok(Response::new(reply)),
        }
    }

    async fn record_many(
        &self,
        request: Request<Streaming<RecordManyRequest>>,
    ) -> Result<Response<Self::RecordManyStream>, Status> {
        let (store, work) = (Arc::clone(&self.store), self.work.clone());
        let mut requests = request.into_inner();
        let (ahead, batches) = mpsc::channel(STREAM_AHEAD);
        tokio::spawn(async move {
            while let Some(request) = requests.next().await {
                let pass = work.begin().await;
                let batch =
                    pass.and_then(|pass| Ok((pass, request?))).and_then(|(pass, request)| match request.shots.len() {
                        count if count > BATCH_MAX => {
                            Err(status::invalid(format!("{count} shots in a batch, where at most {BATCH_MAX} fit")))
                        }
                        _ => Ok((Batch::submit(&store, request.shots, !request.without_residents), pass)),
                    });
                let failed = batch.is_err();
                if ahead.send(batch).await.is_err() || failed {
                    // The client has gone; what was handed in becomes durable all the same.
                    break;
                }
            }
        });
        let replies = ReceiverStream::new(batches).then(|batch| async move {
            let (batch, _pass) = batch?;
            Ok(RecordManyReply { replies: batch.replies().await? })
        });
        Ok(Response::new(Box::pin(replies)))
    }
}

/// Shots of one request on their way to the disk.
struct Batch {
    store: Arc<Store>,
    with_residents: bool,
    /// In the request's order: the reply that is known already, or the ticket of a shot that was handed in.
    places: Vec<Result<sesshu_engine::ticket::Ticket, RecordReply>>,
    parts: Vec<oneshot::Receiver<Answers>>,
    started: std::time::Instant,
}

impl Batch {
    /// Checks the requests and hands in what can be recorded.
    fn submit(store: &Arc<Store>, requests: Vec<RecordRequest>, with_residents: bool) -> Batch {
        let started = std::time::Instant::now();
        let mut places = Vec::with_capacity(requests.len());
        let mut shots: Vec<ShotRecord> = Vec::with_capacity(requests.len());
        for request in requests {
            match reply::shot_of(request) {
                Ok(shot) => {
                    places.push(Ok(shot.ticket()));
                    shots.push(shot);
                }
                Err(reply) => places.push(Err(reply)),
            }
        }
        let mut parts = Vec::with_capacity(shots.len().div_ceil(COMMAND_SHOTS_MAX));
        let mut shots = shots.into_iter();
        loop {
            let part: Vec<ShotRecord> = shots.by_ref().take(COMMAND_SHOTS_MAX).collect();
            if part.is_empty() {
                break;
            }
            let (sender, receiver) = oneshot::channel();
            // The receiver may have gone with its client; the shots are durable all the same.
            store.submit(part, Box::new(move |answers| drop(sender.send(answers))));
            parts.push(receiver);
        }
        Batch { store: Arc::clone(store), with_residents, places, parts, started }
    }

    /// Waits until the shots are durable. One reply per request, in order.
    async fn replies(self) -> Result<Vec<RecordReply>, Status> {
        let mut answers = Vec::with_capacity(self.places.len());
        for part in self.parts {
            answers.extend(part.await.map_err(|_| status::shutting_down())?);
        }
        let mut answers = answers.into_iter();
        let view = self.store.view();
        let mut replies = Vec::with_capacity(self.places.len());
        for place in self.places {
            replies.push(match place {
                Err(reply) => reply,
                Ok(ticket) => {
                    let answer = answers.next().ok_or_else(status::shutting_down)?;
                    let reply = reply::of_record(&view, ticket, answer, self.with_residents);
                    reply.map_err(|error| status::of_record(&error))?
                }
            });
        }
        metrics::recorded(&replies, self.started.elapsed());
        Ok(replies)
    }
}
