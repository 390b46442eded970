//! `Register`: register snapshots, as a conversation, and single changes.
//!
//! Open, rows in batches, commit; each step is answered. A stream that ends before its commit leaves nothing behind.

use std::sync::Arc;

use sesshu_engine::intake::{Column, Fault, FaultCode, Row};
use sesshu_engine::ticket::{Municipality, MyNumber, MyNumberError, NUMBER_MAX};
use sesshu_engine::{Load, Rejected, Store};
use sesshu_proto::v1::load_snapshot_reply::Step as ReplyStep;
use sesshu_proto::v1::load_snapshot_request::Step;
use sesshu_proto::v1::register_server::Register;
use sesshu_proto::v1::{
    ApplyReply, ApplyRequest, LoadCommitted, LoadOpen, LoadOpened, LoadRows, LoadRowsTaken, LoadSnapshotReply,
    LoadSnapshotRequest, RegisterRow,
};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::apply::apply;
use super::{ROWS_MAX, Replies, STREAM_AHEAD, Work};
use crate::{metrics, reply, status};

/// The service on a store.
pub struct RegisterService {
    /// The store.
    pub store: Arc<Store>,
    /// What must be finished before the server stops: commits. A load that is not committed then is ended.
    pub work: Work,
}

#[tonic::async_trait]
impl Register for RegisterService {
    type LoadSnapshotStream = Replies<LoadSnapshotReply>;
    type ApplyStream = Replies<ApplyReply>;

    async fn load_snapshot(
        &self,
        request: Request<Streaming<LoadSnapshotRequest>>,
    ) -> Result<Response<Self::LoadSnapshotStream>, Status> {
        let (store, work) = (Arc::clone(&self.store), self.work.clone());
        let requests = request.into_inner();
        let (replies, stream) = mpsc::channel(STREAM_AHEAD);
        tokio::spawn(async move {
            if let Err(status) = converse(&store, &work, requests, &replies).await {
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
}

type ReplySender = mpsc::Sender<Result<LoadSnapshotReply, Status>>;

async fn converse(
    store: &Store,
    work: &Work,
    mut requests: Streaming<LoadSnapshotRequest>,
    replies: &ReplySender,
) -> Result<(), Status> {
    let answer = async |step| drop(replies.send(Ok(LoadSnapshotReply { step: Some(step) })).await);
    let Some(Step::Open(open)) = next_step(&mut requests).await? else {
        return Err(status::invalid("a load begins with `open`"));
    };
    let mut conversation = Conversation::open(store, &open)?;
    answer(ReplyStep::Opened(LoadOpened {})).await;
    loop {
        match next_step(&mut requests).await? {
            None => return Err(status::invalid("the load ended without `commit`: nothing was loaded")),
            Some(Step::Open(_)) => return Err(status::invalid("the load is open already: one load a stream")),
            Some(Step::Rows(rows)) => answer(ReplyStep::RowsTaken(conversation.take(rows)?)).await,
            Some(Step::Commit(_)) => {
                let _pass = work.begin().await?;
                let committed = tokio::task::spawn_blocking(move || conversation.commit());
                let committed = committed.await.map_err(|_| status::shutting_down())??;
                answer(ReplyStep::Committed(committed)).await;
                return Ok(());
            }
        }
    }
}

async fn next_step(requests: &mut Streaming<LoadSnapshotRequest>) -> Result<Option<Step>, Status> {
    match requests.next().await.transpose()? {
        None => Ok(None),
        Some(LoadSnapshotRequest { step: None }) => Err(status::invalid("a message without a step")),
        Some(LoadSnapshotRequest { step }) => Ok(step),
    }
}

/// One load, from open to commit.
struct Conversation {
    load: Load,
    expected_rows: Option<u64>,
    taken: u64,
    rejected: u64,
}

impl Conversation {
    fn open(store: &Store, open: &LoadOpen) -> Result<Conversation, Status> {
        let municipality = Municipality::from_code(open.municipality).map_err(status::invalid)?;
        let load = store.load(municipality).map_err(|error| status::of_load(&error))?;
        let expected_rows = (open.expected_rows > 0).then_some(open.expected_rows);
        Ok(Conversation { load, expected_rows, taken: 0, rejected: 0 })
    }

    fn take(&mut self, rows: LoadRows) -> Result<LoadRowsTaken, Status> {
        if rows.rows.len() > ROWS_MAX {
            return Err(status::invalid(format!("{} rows in a batch, where at most {ROWS_MAX} fit", rows.rows.len())));
        }
        let mut rejected = Vec::new();
        for row in rows.rows {
            let (line, number) = (row.line, row.number);
            self.taken += 1;
            match checked(row) {
                Ok(row) => self.load.push(row).map_err(|error| status::of_load(&error))?,
                Err(fault) => {
                    if number <= NUMBER_MAX {
                        self.load.keep(number);
                    }
                    self.rejected += 1;
                    rejected.push(reply::of_rejected(&Rejected { line, fault }));
                }
            }
        }
        for number in rows.kept_numbers {
            if number > NUMBER_MAX {
                return Err(status::invalid(format!("kept_numbers: {number} is no ticket number: it has ten digits")));
            }
            self.taken += 1;
            self.load.keep(number);
        }
        Ok(LoadRowsTaken { rows: self.taken, rejected })
    }

    fn commit(self) -> Result<LoadCommitted, Status> {
        if let Some(expected) = self.expected_rows.filter(|&expected| expected != self.taken) {
            let taken = self.taken;
            return Err(status::of_load(&sesshu_engine::error::LoadError::RowCount { expected, taken }));
        }
        let report = self.load.commit(None).map_err(|error| status::of_load(&error))?;
        metrics::loaded(&report);
        let rejected = report.rejected.iter().map(reply::of_rejected).collect();
        Ok(LoadCommitted { rejected, summary: Some(reply::of_load(&report, self.rejected)) })
    }
}

/// Checks a row that came from outside.
pub(super) fn checked(row: RegisterRow) -> Result<Row, Fault> {
    let my_number = match row.my_number {
        0 => None,
        value => Some(
            MyNumber::from_value(value)
                .map_err(|error| Fault::new(Column::MyNumber, my_number_code(&error), error.to_string()))?,
        ),
    };
    Row::check(row.number, my_number, row.resident.unwrap_or_default(), row.line)
}

fn my_number_code(error: &MyNumberError) -> FaultCode {
    match error {
        MyNumberError::CheckDigit => FaultCode::CheckDigit,
        MyNumberError::AllZeros => FaultCode::UnknownValue,
        _ => FaultCode::NotDigits,
    }
}
