//! One register file into its ledger.
//!
//! One thread reads and checks rows while this one seals and stages them. The file becomes visible whole, when it has been read, or not at all.

use std::path::Path;
use std::sync::mpsc;

use sesshu_engine::HoldPolicy;
use sesshu_engine::intake::{Row, Sender};
use sesshu_proto::v1;

use crate::answer_load::LoadAnswer;
use crate::backend::Backend;
use crate::client_load::Findings;
use crate::failure::Failure;
use crate::input::{InputError, RegisterFile, RejectedRow};

/// Rows that are read and checked at a time.
const BATCH_ROWS: usize = 4096;

/// How far a file has come, and what was found on the way since it was last told.
pub(crate) struct Step {
    pub(crate) bytes_read: u64,
    /// Rows read, taken or not.
    pub(crate) rows: u64,
    pub(crate) found: Vec<Finding>,
}

/// Something about a row.
pub(crate) enum Finding {
    /// It cannot be read as a resident.
    RejectedByReader(RejectedRow),
    /// The store, or the server, said no.
    RejectedByStore(v1::RejectedRow),
    /// It was taken, and may be looked at.
    Remark(v1::Remark),
}

/// What the reading thread hands over.
struct Batch {
    rows: Vec<Row>,
    rejected: Vec<RejectedRow>,
    bytes_read: u64,
}

/// What the loads of a command have in common.
#[derive(Default)]
pub(crate) struct Manner {
    pub(crate) sender: Sender,
    /// A store's.
    pub(crate) policy: HoldPolicy,
    pub(crate) dry_run: bool,
}

/// Loads one file. `told` hears of every batch before it is staged, and may end the load.
pub(crate) fn load_file(
    backend: &Backend,
    path: &Path,
    manner: &Manner,
    told: &mut dyn FnMut(Step) -> Result<(), Failure>,
) -> Result<LoadAnswer, Failure> {
    let mut file = RegisterFile::open(path)?;
    let municipality = file.municipality();
    let mut loading = backend.load(municipality, &manner.sender)?;
    let mut read_so_far = 0;
    std::thread::scope(|scope| {
        let (batches, received) = mpsc::sync_channel(4);
        let reader = scope.spawn(move || read(&mut file, &batches));
        for Batch { rows, rejected, bytes_read } in received {
            read_so_far = bytes_read;
            let kept: Vec<u64> = rejected.iter().filter_map(|row| row.kept_number).collect();
            let unreadable = (rejected.len() - kept.len()) as u64;
            let rows_read = (rows.len() + rejected.len()) as u64;
            let found = rejected.into_iter().map(Finding::RejectedByReader).collect();
            told(Step { bytes_read, rows: rows_read, found })?;
            let Findings { rejected, remarks } = loading.push(rows, kept, unreadable)?;
            told(Step { bytes_read, rows: 0, found: found_by_store(rejected, remarks) })?;
        }
        reader.join().map_err(|_| Failure::Machine("reading the file panicked".into()))?.map_err(Failure::from)
    })?;
    let mut committed = loading.commit(&manner.policy, manner.dry_run)?;
    let found = found_by_store(std::mem::take(&mut committed.rejected), std::mem::take(&mut committed.remarks));
    told(Step { bytes_read: read_so_far, rows: 0, found })?;
    Ok(LoadAnswer::new(path.display().to_string(), municipality, committed))
}

fn found_by_store(rejected: Vec<v1::RejectedRow>, remarks: Vec<v1::Remark>) -> Vec<Finding> {
    let rejected = rejected.into_iter().map(Finding::RejectedByStore);
    rejected.chain(remarks.into_iter().map(Finding::Remark)).collect()
}

/// Reads and checks a whole file. Ends early if nobody takes the rows any more: whoever does not says why.
fn read(file: &mut RegisterFile, batches: &mpsc::SyncSender<Batch>) -> Result<(), InputError> {
    loop {
        let (mut rows, mut rejected) = (Vec::with_capacity(BATCH_ROWS), Vec::new());
        let more = file.next_batch(&mut rows, &mut rejected, BATCH_ROWS)?;
        let batch = Batch { rows, rejected, bytes_read: file.bytes_read() };
        if batches.send(batch).is_err() || !more {
            return Ok(());
        }
    }
}
