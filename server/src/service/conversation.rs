//! One load over gRPC, from its opening to its end, whichever streams carry it.
//!
//! Owns what is remembered between messages: the load, and what the client may not have heard when its stream breaks.

use std::collections::VecDeque;

use sesshu_engine::intake::{Column, Fault, FaultCode, Row, Sender};
use sesshu_engine::ticket::{Municipality, MyNumber, MyNumberError, NUMBER_MAX};
use sesshu_engine::{HoldPolicy, Load, Rejected, Store};
use sesshu_proto::v1::{
    LoadCommitted, LoadOpen, LoadOpened, LoadRows, LoadRowsTaken, RegisterRow, RejectedRow, Remark,
};
use tonic::Status;

use super::ROWS_MAX;
use crate::{metrics, reply, status};

/// Messages of rows whose rejects are kept for a client that has not heard of them: more than any stream carries ahead of its answers.
const UNHEARD_BATCHES_MAX: usize = 64;

/// A load that is not concluded.
pub(super) struct Conversation {
    load: Load,
    expected_rows: Option<u64>,
    /// Messages of rows, and rows, that were taken.
    batches: u64,
    taken: u64,
    /// What the newest messages of rows were answered, the newest last.
    unheard: VecDeque<(Vec<RejectedRow>, Vec<Remark>)>,
}

impl Conversation {
    pub(super) fn open(store: &Store, municipality: Municipality, open: &LoadOpen) -> Result<Conversation, Status> {
        let sender = Sender::check(&*open.who, &*open.reason).map_err(status::invalid)?;
        let mut load = store.load(municipality).map_err(|error| status::of_load(&error))?;
        load.sent_by(sender);
        let expected_rows = (open.expected_rows > 0).then_some(open.expected_rows);
        Ok(Conversation { load, expected_rows, batches: 0, taken: 0, unheard: VecDeque::new() })
    }

    /// The answer to a stream that goes on with it, and has heard the answers to so many messages of rows.
    pub(super) fn resumed(&self, load_id: String, answered_batches: u64) -> Result<LoadOpened, Status> {
        let unheard = self.batches.checked_sub(answered_batches).map(|count| count as usize);
        let Some(unheard) = unheard.filter(|&count| count <= self.unheard.len()) else {
            let (batches, kept) = (self.batches, self.unheard.len());
            return Err(status::invalid(format!(
                "answered_batches is {answered_batches}, where {batches} messages of rows were taken and the answers to the \
                 last {kept} are kept: begin again"
            )));
        };
        let (mut rejected, mut remarks) = (Vec::new(), Vec::new());
        for (of_rows, on_rows) in self.unheard.iter().skip(self.unheard.len() - unheard) {
            rejected.extend_from_slice(of_rows);
            remarks.extend_from_slice(on_rows);
        }
        Ok(LoadOpened { load_id, batches: self.batches, rows: self.taken, rejected, remarks })
    }

    pub(super) fn take(&mut self, rows: LoadRows) -> Result<LoadRowsTaken, Status> {
        if rows.rows.len() > ROWS_MAX {
            return Err(status::invalid(format!("{} rows in a batch, where at most {ROWS_MAX} fit", rows.rows.len())));
        }
        let (mut rejected, mut remarks) = (Vec::new(), Vec::new());
        for row in rows.rows {
            let (line, number) = (row.line, row.number);
            self.taken += 1;
            match checked(row) {
                Ok(row) => {
                    remarks.extend(row.remarks().map(|remark| reply::of_remark(&remark)));
                    self.load.push(row).map_err(|error| status::of_load(&error))?;
                }
                Err(fault) => {
                    if number <= NUMBER_MAX {
                        self.load.keep(number);
                    } else {
                        self.load.reject(1);
                    }
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
        self.load.reject(rows.unreadable_rows);
        self.batches += 1;
        if self.unheard.len() == UNHEARD_BATCHES_MAX {
            self.unheard.pop_front();
        }
        self.unheard.push_back((rejected.clone(), remarks.clone()));
        Ok(LoadRowsTaken { rows: self.taken, rejected, remarks })
    }

    pub(super) fn conclude(self, policy: &HoldPolicy, dry_run: bool) -> Result<LoadCommitted, Status> {
        if let Some(expected) = self.expected_rows.filter(|&expected| expected != self.taken) {
            let taken = self.taken;
            return Err(status::of_load(&sesshu_engine::error::LoadError::RowCount { expected, taken }));
        }
        let municipality = self.load.municipality();
        let concluded = self.load.conclude(None, policy, dry_run).map_err(|error| status::of_load(&error))?;
        metrics::concluded(&concluded);
        Ok(reply::of_concluded(municipality, &concluded))
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
