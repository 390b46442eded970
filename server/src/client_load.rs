//! A load on a server, from the client's side.
//!
//! Owns what was sent and not answered: where the connection breaks, the load goes on with that on another stream. Batches are sent ahead of their answers.

use std::collections::VecDeque;
use std::time::Duration;

use sesshu_engine::intake::{Row, Sender};
use sesshu_engine::ticket::Municipality;
use sesshu_proto::v1::load_snapshot_reply::Step as ReplyStep;
use sesshu_proto::v1::load_snapshot_request::Step;
use sesshu_proto::v1::{
    LoadCommit, LoadCommitted, LoadOpen, LoadOpened, LoadRows, LoadSnapshotReply, LoadSnapshotRequest, RegisterRow,
    RejectedRow, Remark,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::client::{Client, ClientError, register_row};
use crate::service::ROWS_MAX;

/// Batches on their way before the first reply is read.
const AHEAD: usize = 8;

/// How long to wait before each attempt to go on after the connection broke: some three seconds in all.
const BACKOFF_MS: [u64; 6] = [0, 100, 200, 400, 800, 1600];

/// A load under way on a server.
pub struct ClientLoad {
    client: Client,
    municipality: Municipality,
    load_id: String,
    stream: Stream,
    /// Batches that were sent and not answered, in order.
    unanswered: VecDeque<LoadRows>,
    answered: u64,
    findings: Findings,
}

/// What the store, or the server, says of rows.
#[derive(Debug, Default)]
pub struct Findings {
    /// Of those that were not taken.
    pub rejected: Vec<RejectedRow>,
    /// Of those that were.
    pub remarks: Vec<Remark>,
}

impl Findings {
    fn add(&mut self, rejected: Vec<RejectedRow>, remarks: Vec<Remark>) {
        self.rejected.extend(rejected);
        self.remarks.extend(remarks);
    }
}

/// One stream of the load.
struct Stream {
    requests: mpsc::Sender<LoadSnapshotRequest>,
    replies: Streaming<LoadSnapshotReply>,
}

impl ClientLoad {
    pub(crate) fn begin(
        client: Client,
        municipality: Municipality,
        sender: &Sender,
    ) -> Result<ClientLoad, ClientError> {
        // Whoever loads a register again after a command that died does not wait for that one.
        let open = LoadOpen {
            municipality: municipality.code(),
            replace: true,
            who: sender.who().to_owned(),
            reason: sender.reason().to_owned(),
            ..LoadOpen::default()
        };
        let (stream, opened) = Stream::open(&client, open)?;
        let (unanswered, findings) = (VecDeque::new(), Findings::default());
        Ok(ClientLoad { client, municipality, load_id: opened.load_id, stream, unanswered, answered: 0, findings })
    }

    /// Sends rows, the numbers of rows that were rejected before they got here, and how many were whose number nobody could read. Returns what the server has
    /// said meanwhile.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`].
    pub fn push(
        &mut self,
        rows: Vec<Row>,
        kept_numbers: Vec<u64>,
        unreadable_rows: u64,
    ) -> Result<Findings, ClientError> {
        let mut rows: Vec<RegisterRow> = rows.into_iter().map(register_row).collect();
        let mut next = LoadRows { rows: Vec::new(), kept_numbers, unreadable_rows };
        while !rows.is_empty() || !next.kept_numbers.is_empty() || next.unreadable_rows > 0 {
            let rest = rows.split_off(rows.len().min(ROWS_MAX));
            next.rows = std::mem::replace(&mut rows, rest);
            let batch = std::mem::take(&mut next);
            self.unanswered.push_back(batch.clone());
            let sent = self.stream.send(&self.client, Step::Rows(batch)).and_then(|()| self.settle(AHEAD));
            self.or_resume(sent)?;
        }
        Ok(std::mem::take(&mut self.findings))
    }

    /// Makes the register visible, or has it held, as the server's policy is. `dry_run`: only says what it does.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`].
    pub fn commit(mut self, dry_run: bool) -> Result<LoadCommitted, ClientError> {
        loop {
            let committed = self.settle(0).and_then(|()| {
                self.stream.send(&self.client, Step::Commit(LoadCommit { dry_run }))?;
                self.stream.committed(&self.client)
            });
            match committed {
                Ok(mut committed) => {
                    self.findings.add(std::mem::take(&mut committed.rejected), std::mem::take(&mut committed.remarks));
                    (committed.rejected, committed.remarks) = (self.findings.rejected, self.findings.remarks);
                    return Ok(committed);
                }
                Err(error) => self.or_resume(Err(error))?,
            }
        }
    }

    /// Reads replies until at most `ahead` are missing.
    fn settle(&mut self, ahead: usize) -> Result<(), ClientError> {
        while self.unanswered.len() > ahead {
            let reply = self.stream.next(&self.client)?;
            let Some(ReplyStep::RowsTaken(taken)) = reply.step else { return Err(ClientError::Ended) };
            self.findings.add(taken.rejected, taken.remarks);
            self.unanswered.pop_front();
            self.answered += 1;
        }
        Ok(())
    }

    /// Goes on with the load on another stream, if it was the connection that failed.
    fn or_resume(&mut self, done: Result<(), ClientError>) -> Result<(), ClientError> {
        let Err(mut error) = done else { return Ok(()) };
        for wait_ms in BACKOFF_MS {
            if !error.is_broken_connection() || error.is_refused_connection() {
                break;
            }
            std::thread::sleep(Duration::from_millis(wait_ms));
            match self.resume() {
                Ok(()) => return Ok(()),
                Err(other) => error = other,
            }
        }
        Err(error)
    }

    /// Opens another stream, and sends again what the server has not taken.
    fn resume(&mut self) -> Result<(), ClientError> {
        let open = LoadOpen {
            municipality: self.municipality.code(),
            resume: self.load_id.clone(),
            answered_batches: self.answered,
            ..LoadOpen::default()
        };
        let (stream, LoadOpened { batches, rejected, remarks, .. }) = Stream::open(&self.client, open)?;
        tracing::info!(municipality = %self.municipality, batches, "a load goes on after its connection broke");
        self.stream = stream;
        self.findings.add(rejected, remarks);
        while self.answered < batches && self.unanswered.pop_front().is_some() {
            self.answered += 1;
        }
        // What was sent is answered in order; some of it may be answered before the last is sent.
        let again: Vec<LoadRows> = self.unanswered.iter().cloned().collect();
        again.into_iter().try_for_each(|batch| self.stream.send(&self.client, Step::Rows(batch)))
    }
}

impl Stream {
    /// Opens a stream of a load; its first answer.
    fn open(client: &Client, open: LoadOpen) -> Result<(Stream, LoadOpened), ClientError> {
        // Room for all that may be sent before an answer is read.
        let (requests, stream) = mpsc::channel(AHEAD + 2);
        let first = LoadSnapshotRequest { step: Some(Step::Open(open)) };
        let mut register = client.register();
        let opened = client.runtime.block_on(async {
            requests.send(first).await.map_err(|_| ClientError::Ended)?;
            Ok::<_, ClientError>(register.load_snapshot(ReceiverStream::new(stream)).await?.into_inner())
        })?;
        let mut stream = Stream { requests, replies: opened };
        match stream.next(client)?.step {
            Some(ReplyStep::Opened(opened)) => Ok((stream, opened)),
            _ => Err(ClientError::Ended),
        }
    }

    fn send(&mut self, client: &Client, step: Step) -> Result<(), ClientError> {
        let request = LoadSnapshotRequest { step: Some(step) };
        if self.requests.blocking_send(request).is_err() {
            // The stream has ended: its last replies say why.
            while self.replies(client)?.is_some() {}
            return Err(ClientError::Ended);
        }
        Ok(())
    }

    fn next(&mut self, client: &Client) -> Result<LoadSnapshotReply, ClientError> {
        self.replies(client)?.ok_or(ClientError::Ended)
    }

    /// The answer to a commit, with what came before it for want of room.
    fn committed(&mut self, client: &Client) -> Result<LoadCommitted, ClientError> {
        let mut rejected = Vec::new();
        loop {
            match self.next(client)?.step {
                Some(ReplyStep::RowsTaken(taken)) => rejected.extend(taken.rejected),
                Some(ReplyStep::Committed(mut committed)) => {
                    rejected.append(&mut committed.rejected);
                    return Ok(LoadCommitted { rejected, ..committed });
                }
                _ => return Err(ClientError::Ended),
            }
        }
    }

    fn replies(&mut self, client: &Client) -> Result<Option<LoadSnapshotReply>, ClientError> {
        Ok(client.runtime.block_on(self.replies.message())?)
    }
}
