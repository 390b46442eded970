//! `Ledgers`: whole ledgers, as of one moment; and the history of one person.

use std::sync::Arc;

use sesshu_engine::Store;
use sesshu_engine::ticket::Municipality;
use sesshu_proto::v1::ledgers_server::Ledgers;
use sesshu_proto::v1::{GetLedgerRequest, LedgerPage, TicketHistoryReply, TicketHistoryRequest};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{Replies, STREAM_AHEAD};
use crate::{amend, reply, status};

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
        let GetLedgerRequest { municipality, known_at } = request.into_inner();
        let municipality = Municipality::from_code(municipality).map_err(status::invalid)?;
        let moment = reply::moment_of(known_at).map_err(status::invalid)?;
        let store = Arc::clone(&self.0);
        let (pages, stream) = mpsc::channel(STREAM_AHEAD);
        tokio::task::spawn_blocking(move || {
            // A whole view, not a guard: it lives as long as the client reads.
            let view = store.view();
            let view = Arc::clone(&view);
            let mut tickets = Vec::with_capacity(PAGE_TICKETS);
            for item in view.ledger(municipality) {
                match item {
                    Ok((ticket, found)) => tickets.extend(reply::of_ledger_at(ticket, found, moment)),
                    Err(damage) => {
                        drop(pages.blocking_send(Ok(LedgerPage { tickets: std::mem::take(&mut tickets) })));
                        drop(pages.blocking_send(Err(status::damaged(&damage))));
                        return;
                    }
                }
                if tickets.len() == PAGE_TICKETS {
                    let page = LedgerPage { tickets: std::mem::take(&mut tickets) };
                    if pages.blocking_send(Ok(page)).is_err() {
                        return;
                    }
                }
            }
            if !tickets.is_empty() {
                drop(pages.blocking_send(Ok(LedgerPage { tickets })));
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}
