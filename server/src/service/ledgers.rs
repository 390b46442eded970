//! `Ledgers`: whole ledgers, as of one moment; and the history of one person.

use std::sync::Arc;

use sesshu_engine::Store;
use sesshu_engine::ticket::Municipality;
use sesshu_proto::v1::ledgers_server::Ledgers;
use sesshu_proto::v1::{GetLedgerRequest, LedgerPage, MatchReply, TicketHistoryReply, TicketHistoryRequest};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{Replies, STREAM_AHEAD, may_join};
use crate::{across, amend, reply, status};

/// Tickets in one page.
const PAGE_TICKETS: usize = 256;

/// The service on a store.
pub struct LedgersService(pub Arc<Store>);

#[tonic::async_trait]
impl Ledgers for LedgersService {
    type GetStream = Replies<LedgerPage>;

    async fn history(&self, request: Request<TicketHistoryRequest>) -> Result<Response<TicketHistoryReply>, Status> {
        let ticket = amend::ticket_of(request.into_inner().ticket).map_err(status::invalid)?;
        let store = Arc::clone(&self.0);
        let read = tokio::task::spawn_blocking(move || amend::person_history(&store, ticket)).await;
        let history = read.map_err(|_| status::shutting_down())?.map_err(|damage| status::damaged(&damage))?;
        history.map(Response::new).ok_or_else(|| status::not_found("nothing was ever known of the ticket"))
    }

    async fn get(&self, request: Request<GetLedgerRequest>) -> Result<Response<Self::GetStream>, Status> {
        let peer = request.remote_addr();
        let GetLedgerRequest { municipality, known_at, across } = request.into_inner();
        let municipality = Municipality::from_code(municipality).map_err(status::invalid)?;
        let moment = reply::moment_of(known_at).map_err(status::invalid)?;
        let from = may_join(across.as_ref(), moment.is_some(), peer)?;
        let store = Arc::clone(&self.0);
        let (pages, stream) = mpsc::channel(STREAM_AHEAD);
        tokio::task::spawn_blocking(move || {
            // A whole view, not a guard: it lives as long as the client reads.
            let view = store.view();
            let view = Arc::clone(&view);
            let mut tickets = Vec::with_capacity(PAGE_TICKETS);
            // Whether there is somebody to send more to.
            let send = |tickets: &mut Vec<MatchReply>| {
                let mut tickets = std::mem::take(tickets);
                let joined = match &across {
                    Some(across) => across::add_elsewhere(&store, &view, &mut tickets, across, &from),
                    None => Ok(()),
                };
                let page = joined.map(|()| LedgerPage { tickets }).map_err(|error| status::of_access(&error));
                let goes_on = page.is_ok();
                pages.blocking_send(page).is_ok() && goes_on
            };
            for item in view.ledger(municipality) {
                match item {
                    Ok((ticket, found)) => tickets.extend(reply::of_ledger_at(ticket, found, moment)),
                    Err(damage) => {
                        if send(&mut tickets) {
                            drop(pages.blocking_send(Err(status::damaged(&damage))));
                        }
                        return;
                    }
                }
                if tickets.len() == PAGE_TICKETS && !send(&mut tickets) {
                    return;
                }
            }
            if !tickets.is_empty() {
                send(&mut tickets);
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}
