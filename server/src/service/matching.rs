//! `Matching`: from a ticket to its resident.

use std::sync::Arc;

use sesshu_engine::ticket::{Ticket, TicketLine};
use sesshu_engine::{Moment, Store, View};
use sesshu_proto::v1::match_request::Ticket as MatchTicket;
use sesshu_proto::v1::matching_server::Matching;
use sesshu_proto::v1::{MatchManyReply, MatchManyRequest, MatchReply, MatchRequest};
use tokio_stream::StreamExt as _;
use tonic::{Request, Response, Status, Streaming};

use super::{BATCH_MAX, Replies};
use crate::{metrics, reply, status};

/// The service on a store.
pub struct MatchingService(pub Arc<Store>);

#[tonic::async_trait]
impl Matching for MatchingService {
    type MatchManyStream = Replies<MatchManyReply>;

    async fn r#match(&self, request: Request<MatchRequest>) -> Result<Response<MatchReply>, Status> {
        let MatchRequest { ticket, known_at } = request.into_inner();
        let moment = reply::moment_of(known_at).map_err(status::invalid)?;
        let line = match ticket {
            Some(MatchTicket::Line(line)) => TicketLine::from_decimal(line),
            Some(MatchTicket::LineText(text)) => TicketLine::parse(&text),
            None => return Err(status::invalid("a ticket line is needed: 18 digits")),
        };
        let ticket = line.map_err(status::invalid)?.ticket();
        let view = self.0.view();
        let reply = reply::of_match_at(ticket, view.match_ticket(ticket), moment);
        metrics::matched(std::slice::from_ref(&reply));
        Ok(Response::new(reply))
    }

    async fn match_many(
        &self,
        request: Request<Streaming<MatchManyRequest>>,
    ) -> Result<Response<Self::MatchManyStream>, Status> {
        let store = Arc::clone(&self.0);
        let replies = request.into_inner().map(move |request| {
            let MatchManyRequest { lines, known_at } = request?;
            let moment = reply::moment_of(known_at).map_err(status::invalid)?;
            if lines.len() > BATCH_MAX {
                return Err(status::invalid(format!(
                    "{} lines in a batch, where at most {BATCH_MAX} fit",
                    lines.len()
                )));
            }
            let replies = match_lines(&store.view(), &lines, moment);
            metrics::matched(&replies);
            Ok(MatchManyReply { replies })
        });
        Ok(Response::new(Box::pin(replies)))
    }
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
