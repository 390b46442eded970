//! `ShotLog`: acts on recorded shots, their history, and the shots of a day.
//!
//! The engine waits for the disk, or reads through ledgers: it does so on the pool of blocking threads.

use std::sync::Arc;

use sesshu_engine::Store;
use sesshu_proto::v1::{
    AmendManyReply, AmendManyRequest, AmendOutcome, AmendReply, AmendRequest, FindShotsReply, FindShotsRequest,
    HistoryReply, HistoryRequest,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status};

use super::{BATCH_MAX, Replies, STREAM_AHEAD, Work};
use crate::{amend, metrics, status};

/// Shots in one message.
const SHOTS_IN_MESSAGE: usize = 256;

/// Does one act.
pub(super) async fn amend_one(store: &Arc<Store>, work: &Work, act: AmendRequest) -> Result<AmendReply, Status> {
    let replies = amend_many(store, work, AmendManyRequest { acts: vec![act], dry_run: false }).await?.replies;
    let reply = replies.into_iter().next().ok_or_else(status::shutting_down)?;
    match reply.outcome() {
        AmendOutcome::Invalid => Err(status::invalid(reply.reason)),
        AmendOutcome::Unknown => Err(status::not_found(reply.reason)),
        AmendOutcome::Stale => Err(status::stale(&reply)),
        _ => Ok(reply),
    }
}

/// Does many acts, or says what would become of them.
pub(super) async fn amend_many(
    store: &Arc<Store>,
    work: &Work,
    AmendManyRequest { acts, dry_run }: AmendManyRequest,
) -> Result<AmendManyReply, Status> {
    let _pass = work.begin().await?;
    if acts.len() > BATCH_MAX {
        return Err(status::invalid(format!("{} acts in a batch, where at most {BATCH_MAX} fit", acts.len())));
    }
    let store = Arc::clone(store);
    let replies = blocking(move || amend::amend(&store, acts, dry_run)).await?;
    let replies = replies.map_err(|error| status::of_record(&error))?;
    if !dry_run {
        metrics::amended(&replies);
    }
    Ok(AmendManyReply { replies })
}

/// Tells what became of a shot.
pub(super) async fn history(store: &Arc<Store>, request: HistoryRequest) -> Result<HistoryReply, Status> {
    let of = amend::shot_ref(request.of).map_err(status::invalid)?;
    let store = Arc::clone(store);
    let history = blocking(move || amend::history(&store, of)).await?.map_err(|damage| status::damaged(&damage))?;
    history.ok_or_else(|| status::not_found("the ticket never had this shot"))
}

/// Sends the shots that have something in common.
pub(super) fn find_shots(
    store: &Arc<Store>,
    request: FindShotsRequest,
) -> Result<Response<Replies<FindShotsReply>>, Status> {
    let asked = amend::shots_of(request).map_err(status::invalid)?;
    let store = Arc::clone(store);
    let (messages, stream) = mpsc::channel(STREAM_AHEAD);
    tokio::task::spawn_blocking(move || {
        // A whole view, not a guard: it lives as long as the client reads.
        let view = Arc::clone(&store.view());
        let mut shots = Vec::with_capacity(SHOTS_IN_MESSAGE);
        let read = view.each_shot_of(&asked, |shot| {
            shots.push(shot);
            if shots.len() < SHOTS_IN_MESSAGE {
                return true;
            }
            messages.blocking_send(Ok(FindShotsReply { shots: std::mem::take(&mut shots) })).is_ok()
        });
        // A client that has gone needs no more.
        if !shots.is_empty() {
            drop(messages.blocking_send(Ok(FindShotsReply { shots })));
        }
        if let Err(damage) = read {
            drop(messages.blocking_send(Err(status::damaged(&damage))));
        }
    });
    Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Status> {
    tokio::task::spawn_blocking(work).await.map_err(|_| status::shutting_down())
}
