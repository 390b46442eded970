//! A gRPC client for the commands' `--server URL`.
//!
//! Owns the connection and a small runtime of its own, so that commands stay plain functions. Streams are sent ahead of their replies.

use std::error::Error;
use std::sync::Arc;

use sesshu_engine::intake::{ChangeContent, Row, Sender, ShotRecord};
use sesshu_engine::ticket::{Municipality, Ticket, TicketLine};
use sesshu_engine::{HeldId, Moment};
use sesshu_proto::v1::ledgers_client::LedgersClient;
use sesshu_proto::v1::matching_client::MatchingClient;
use sesshu_proto::v1::record_request::Ticket as RecordTicket;
use sesshu_proto::v1::register_change::Change as Offered;
use sesshu_proto::v1::register_client::RegisterClient;
use sesshu_proto::v1::shot_log_client::ShotLogClient;
use sesshu_proto::v1::{
    Across, AmendManyRequest, AmendReply, AmendRequest, ApplyRequest, ChangeReply, ConfirmLoadRequest,
    DiscardLoadRequest, FindReply, FindRequest, FindShotsRequest, GetLedgerRequest, HeldRegister, HistoryReply,
    HistoryRequest, ListHeldLoadsRequest, LoadSummary, MatchManyRequest, MatchReply, RecordManyRequest, RecordReply,
    RecordRequest, RecordedShot, RegisterChange, RegisterRow, Reissue, ShotReference, StatusChange, TicketHistoryReply,
    TicketHistoryRequest,
};
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::client_load::ClientLoad;
use crate::input::ChangeRow;
use crate::reply;
use crate::service::BATCH_MAX;

/// The server said no, or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL is none.
    #[error("{0} is not the address of a server: http://HOST:PORT is expected")]
    Url(String),
    /// No connection.
    #[error("no server answers at {url}: is `sesshu serve` running there?")]
    Connect {
        /// Where.
        url: String,
        /// What the transport said.
        source: tonic::transport::Error,
    },
    /// The runtime could not be started.
    #[error("starting the client")]
    Runtime(#[from] std::io::Error),
    /// The server's answer.
    #[error("the server answered {}: {}", code_name(.0.code()), .0.message())]
    Status(Box<Status>),
    /// The server broke the protocol.
    #[error("the server ended the stream before its last reply")]
    Ended,
}

impl ClientError {
    /// Whether the connection is at fault: the server said nothing.
    #[must_use]
    pub fn is_broken_connection(&self) -> bool {
        match self {
            // What the transport made of an error of its own has that as its source; what a server said has none.
            ClientError::Status(status) => status.source().is_some(),
            ClientError::Connect { .. } | ClientError::Ended => true,
            ClientError::Url(_) | ClientError::Runtime(_) => false,
        }
    }

    /// Whether nobody listens there: what the server knew of a load has ended with it.
    #[must_use]
    pub fn is_refused_connection(&self) -> bool {
        let mut cause: Option<&(dyn Error + 'static)> = Some(match self {
            ClientError::Status(status) => &**status,
            other => other,
        });
        while let Some(error) = cause {
            let error_kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
            if error_kind == Some(std::io::ErrorKind::ConnectionRefused) {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// Whether the request is at fault.
    #[must_use]
    pub fn is_request(&self) -> bool {
        match self {
            ClientError::Url(_) => true,
            ClientError::Status(status) => matches!(
                status.code(),
                Code::InvalidArgument
                    | Code::AlreadyExists
                    | Code::NotFound
                    | Code::FailedPrecondition
                    | Code::OutOfRange
                    | Code::PermissionDenied
            ),
            ClientError::Connect { .. } | ClientError::Runtime(_) | ClientError::Ended => false,
        }
    }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> ClientError {
        ClientError::Status(Box::new(status))
    }
}

/// The standard name of a gRPC code.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// A connection to a server.
#[derive(Clone)]
pub struct Client {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) channel: Channel,
}

impl Client {
    /// Connects to `url`.
    ///
    /// # Errors
    ///
    /// [`ClientError::Url`], [`ClientError::Connect`].
    pub fn connect(url: &str) -> Result<Client, ClientError> {
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| ClientError::Url(url.to_owned()))?;
        if endpoint.uri().authority().is_none() {
            return Err(ClientError::Url(url.to_owned()));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let channel = runtime
            .block_on(endpoint.tcp_nodelay(true).connect())
            .map_err(|source| ClientError::Connect { url: url.to_owned(), source })?;
        Ok(Client { runtime: Arc::new(runtime), channel })
    }

    /// Looks lines up, one reply each, in order.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`].
    pub fn match_lines(
        &self,
        lines: &[TicketLine],
        moment: Option<Moment>,
        across: Option<&Across>,
    ) -> Result<Vec<MatchReply>, ClientError> {
        let requests: Vec<MatchManyRequest> = lines
            .chunks(BATCH_MAX)
            .map(|lines| MatchManyRequest {
                lines: lines.iter().map(|line| line.to_decimal()).collect(),
                known_at: moment.map(reply::moment_to),
                across: across.cloned(),
            })
            .collect();
        self.runtime.block_on(async {
            let mut matching = MatchingClient::new(self.channel.clone()).max_decoding_message_size(REPLY_BYTES_MAX);
            let mut stream = matching.match_many(tokio_stream::iter(requests)).await?.into_inner();
            let mut replies = Vec::with_capacity(lines.len());
            while let Some(batch) = stream.message().await? {
                replies.extend(batch.replies);
            }
            if replies.len() == lines.len() { Ok(replies) } else { Err(ClientError::Ended) }
        })
    }

    /// Records shots, one reply each, in order; with the residents whom they match, if those are wanted.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`].
    pub fn record(&self, shots: &[ShotRecord], with_residents: bool) -> Result<Vec<RecordReply>, ClientError> {
        let request = |shots: &[ShotRecord]| RecordManyRequest {
            shots: shots.iter().map(record_request).collect(),
            without_residents: !with_residents,
        };
        let requests: Vec<RecordManyRequest> = shots.chunks(512).map(request).collect();
        self.runtime.block_on(async {
            let mut shot_log = ShotLogClient::new(self.channel.clone());
            let mut stream = shot_log.record_many(tokio_stream::iter(requests)).await?.into_inner();
            let mut replies = Vec::with_capacity(shots.len());
            while let Some(batch) = stream.message().await? {
                replies.extend(batch.replies);
            }
            if replies.len() == shots.len() { Ok(replies) } else { Err(ClientError::Ended) }
        })
    }

    /// Records one shot, unary.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`].
    pub fn record_one(&self, shot: &ShotRecord) -> Result<RecordReply, ClientError> {
        let mut shot_log = ShotLogClient::new(self.channel.clone());
        Ok(self.runtime.block_on(shot_log.record(record_request(shot)))?.into_inner())
    }

    /// Does acts on recorded shots, or asks what would become of them: one reply each, in order.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`].
    pub fn amend(&self, acts: Vec<AmendRequest>, dry_run: bool) -> Result<Vec<AmendReply>, ClientError> {
        let mut shot_log = self.shot_log();
        let mut replies = Vec::with_capacity(acts.len());
        for acts in acts.chunks(BATCH_MAX) {
            let request = AmendManyRequest { acts: acts.to_vec(), dry_run };
            replies.extend(self.runtime.block_on(shot_log.amend_many(request))?.into_inner().replies);
        }
        if replies.len() == acts.len() { Ok(replies) } else { Err(ClientError::Ended) }
    }

    /// A shot and everything that became of it.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`].
    pub fn history(&self, of: ShotReference) -> Result<HistoryReply, ClientError> {
        let mut shot_log = self.shot_log();
        Ok(self.runtime.block_on(shot_log.history(HistoryRequest { of: Some(of) }))?.into_inner())
    }

    /// Everything that was ever known of the person who has a ticket.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`].
    pub fn person_history(&self, ticket: Ticket) -> Result<TicketHistoryReply, ClientError> {
        let mut ledgers = LedgersClient::new(self.channel.clone()).max_decoding_message_size(REPLY_BYTES_MAX);
        let request = TicketHistoryRequest { ticket: ticket.to_decimal() };
        Ok(self.runtime.block_on(ledgers.history(request))?.into_inner())
    }

    /// All shots that have something in common, each with its ticket.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`].
    pub fn find_shots(&self, request: FindShotsRequest) -> Result<Vec<RecordedShot>, ClientError> {
        let mut shot_log = self.shot_log();
        self.runtime.block_on(async {
            let mut stream = shot_log.find_shots(request).await?.into_inner();
            let mut shots = Vec::new();
            while let Some(message) = stream.message().await? {
                shots.extend(message.shots);
            }
            Ok(shots)
        })
    }

    fn shot_log(&self) -> ShotLogClient<Channel> {
        ShotLogClient::new(self.channel.clone()).max_decoding_message_size(REPLY_BYTES_MAX)
    }

    /// Begins to load a register.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`].
    pub fn load(&self, municipality: Municipality, sender: &Sender) -> Result<ClientLoad, ClientError> {
        ClientLoad::begin(self.clone(), municipality, sender)
    }

    /// The loads that the server holds.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`].
    pub fn held(&self) -> Result<Vec<HeldRegister>, ClientError> {
        let mut register = self.register();
        Ok(self.runtime.block_on(register.list_held_loads(ListHeldLoadsRequest {}))?.into_inner().loads)
    }

    /// Makes a held load visible.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`].
    pub fn confirm(&self, id: HeldId) -> Result<LoadSummary, ClientError> {
        let mut register = self.register();
        let reply = self.runtime.block_on(register.confirm_load(ConfirmLoadRequest { id: id.to_string() }))?;
        reply.into_inner().summary.ok_or(ClientError::Ended)
    }

    /// Throws a held load away.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`].
    pub fn discard(&self, id: HeldId) -> Result<(), ClientError> {
        let mut register = self.register();
        self.runtime.block_on(register.discard_load(DiscardLoadRequest { id: id.to_string() }))?;
        Ok(())
    }

    pub(crate) fn register(&self) -> RegisterClient<Channel> {
        RegisterClient::new(self.channel.clone()).max_decoding_message_size(REPLY_BYTES_MAX)
    }

    /// Applies changes of one register, one reply each, in order.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`].
    pub fn apply(
        &self,
        municipality: Municipality,
        changes: Vec<ChangeRow>,
        sender: &Sender,
    ) -> Result<Vec<ChangeReply>, ClientError> {
        let count = changes.len();
        let mut changes = changes.into_iter().map(register_change).peekable();
        let (who, reason) = (sender.who().to_owned(), sender.reason().to_owned());
        let requests = std::iter::from_fn(move || {
            changes.peek()?;
            let changes = changes.by_ref().take(BATCH_MAX).collect();
            let (municipality, who, reason) = (municipality.code(), who.clone(), reason.clone());
            Some(ApplyRequest { municipality, changes, who, reason })
        });
        self.runtime.block_on(async {
            let mut register = self.register();
            let mut stream = register.apply(tokio_stream::iter(requests)).await?.into_inner();
            let mut replies = Vec::with_capacity(count);
            while let Some(batch) = stream.message().await? {
                replies.extend(batch.replies);
            }
            if replies.len() == count { Ok(replies) } else { Err(ClientError::Ended) }
        })
    }

    /// Finds people whose ticket is not at hand.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`].
    pub fn find(&self, request: FindRequest) -> Result<FindReply, ClientError> {
        let mut register = RegisterClient::new(self.channel.clone()).max_decoding_message_size(REPLY_BYTES_MAX);
        Ok(self.runtime.block_on(register.find(request))?.into_inner())
    }

    /// Reads a whole ledger.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`], or what `visit` says.
    pub fn ledger<E: From<ClientError>>(
        &self,
        municipality: Municipality,
        moment: Option<Moment>,
        across: Option<&Across>,
        visit: &mut dyn FnMut(MatchReply) -> Result<(), E>,
    ) -> Result<(), E> {
        let (known_at, across) = (moment.map(reply::moment_to), across.cloned());
        let request = GetLedgerRequest { municipality: municipality.code(), known_at, across };
        let mut ledgers = LedgersClient::new(self.channel.clone()).max_decoding_message_size(REPLY_BYTES_MAX);
        let stream = self.runtime.block_on(ledgers.get(request)).map_err(ClientError::from)?;
        let mut stream = stream.into_inner();
        while let Some(page) = self.runtime.block_on(stream.message()).map_err(ClientError::from)? {
            page.tickets.into_iter().try_for_each(&mut *visit)?;
        }
        Ok(())
    }
}

/// Bytes of one reply: a batch of 4,096 people with many shots.
pub(crate) const REPLY_BYTES_MAX: usize = 64 << 20;

/// The request to record `shot`.
#[must_use]
pub fn record_request(shot: &ShotRecord) -> RecordRequest {
    let without = RecordTicket::WithoutTicket(shot.ticket().municipality().code());
    RecordRequest { ticket: Some(shot.line().map_or(without, RecordTicket::Line)), shot: Some(shot.shot().clone()) }
}

fn register_change(ChangeRow { line, change }: ChangeRow) -> RegisterChange {
    let number = change.ticket().number();
    let change = match change.into_content() {
        ChangeContent::Row(row) => Offered::Row(RegisterRow { line, ..register_row(*row) }),
        ChangeContent::Reissue(previous_number, row) => {
            let row = Some(RegisterRow { line, ..register_row(*row) });
            Offered::Reissue(Reissue { previous_number, row })
        }
        ChangeContent::Status(status, status_date) => {
            Offered::Status(StatusChange { number, status: status.into(), status_date, line })
        }
    };
    RegisterChange { change: Some(change) }
}

pub(crate) fn register_row(row: Row) -> RegisterRow {
    RegisterRow {
        number: row.number(),
        my_number: row.my_number().map_or(0, |number| number.reveal()),
        line: row.line(),
        resident: Some(row.into_resident()),
    }
}
