//! `Matching`: from a ticket to its resident.

use std::sync::Arc;

use sesshu_engine::ticket::{Ticket, TicketLine};
use sesshu_engine::{Moment, Store, View};
use sesshu_proto::v1::match_request::Ticket as MatchTicket;
use sesshu_proto::v1::matching_server::Matching;
use sesshu_proto::v1::{Across, MatchManyReply, MatchManyRequest, MatchReply, MatchRequest};
use tokio_stream::StreamExt as _;
use tonic::{Request, Response, Status, Streaming};

use super::{BATCH_MAX, Replies, may_join};
use crate::{across, metrics, reply, status};

/// The service on a store.
pub struct MatchingService(pub Arc<Store>);

#[tonic::async_trait]
impl Matching for MatchingService {
    type MatchManyStream = Replies<MatchManyReply>;

    async fn r#match(&self, request: Request<MatchRequest>) -> Result<Response<MatchReply>, Status> {
        let peer = request.remote_addr();
        let MatchRequest { ticket, known_at, across } = request.into_inner();
        let moment = reply::moment_of(known_at).map_err(status::invalid)?;
        let from = may_join(across.as_ref(), moment.is_some(), peer)?;
        let line = match ticket {
            Some(MatchTicket::Line(line)) => TicketLine::from_decimal(line),
            Some(MatchTicket::LineText(text)) => TicketLine::parse(&text),
            None => return Err(status::invalid("a ticket line is needed: 18 digits")),
        };
        let ticket = line.map_err(status::invalid)?.ticket();
        let view = Arc::clone(&self.0.view());
        let reply = reply::of_match_at(ticket, view.match_ticket(ticket), moment);
        let replies = join(&self.0, view, vec![reply], across, from).await?;
        metrics::matched(&replies);
        Ok(Response::new(replies.into_iter().next().unwrap_or_default()))
    }

    async fn match_many(
        &self,
        request: Request<Streaming<MatchManyRequest>>,
    ) -> Result<Response<Self::MatchManyStream>, Status> {
        let (store, peer) = (Arc::clone(&self.0), request.remote_addr());
        let replies = request.into_inner().then(move |request| {
            let store = Arc::clone(&store);
            async move {
                let MatchManyRequest { lines, known_at, across } = request?;
                let moment = reply::moment_of(known_at).map_err(status::invalid)?;
                let from = may_join(across.as_ref(), moment.is_some(), peer)?;
                if lines.len() > BATCH_MAX {
                    let reason = format!("{} lines in a batch, where at most {BATCH_MAX} fit", lines.len());
                    return Err(status::invalid(reason));
                }
                let view = Arc::clone(&store.view());
                let replies = match_lines(&view, &lines, moment);
                let replies = join(&store, view, replies, across, from).await?;
                metrics::matched(&replies);
                Ok(MatchManyReply { replies })
            }
        });
        Ok(Response::new(Box::pin(replies)))
    }
}

/// Adds what other municipalities know of the people, where that was asked for: of the same moment.
async fn join(
    store: &Arc<Store>,
    view: Arc<View>,
    mut replies: Vec<MatchReply>,
    across: Option<Across>,
    from: String,
) -> Result<Vec<MatchReply>, Status> {
    let Some(across) = across else { return Ok(replies) };
    let store = Arc::clone(store);
    let joined = tokio::task::spawn_blocking(move || {
        across::add_elsewhere(&store, &view, &mut replies, &across, &from).map(|()| replies)
    });
    joined.await.map_err(|_| status::shutting_down())?.map_err(|error| status::of_access(&error))
}

/// One reply per line, in order.
fn match_lines(view: &View, lines: &[u64], moment: Option<Moment>) -> Vec<MatchReply> {
    let mut replies = Vec::with_capacity(lines.len());
    let mut places = Vec::with_capacity(lines.len());
    let mut tickets: Vec<Ticket> = Vec::with_capacity(lines.len());
    for &line in lines {
        match TicketLine::from_decimal(line) {
            Ok(line) => {
                places.push(replies.len());
                tickets.push(line.ticket());
                replies.push(MatchReply::default());
            }
            Err(error) => replies.push(reply::of_invalid_line(error)),
        }
    }
    view.match_batch(&tickets, |at, found| replies[places[at]] = reply::of_match_at(tickets[at], found, moment));
    replies
}
