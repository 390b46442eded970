//! The engine of Sesshu: an append-only store that matches an inoculation ticket to its resident and records shots durably.
//!
//! A store is one **log** and 1,741 **ledgers**. A ledger is one immutable file, its *generation*, and a small *tail* in memory: what the log holds after
//! the generation was folded. A person is the generation's entry and the tail's events, together. Loading a register builds the next generation, which
//! becomes visible whole or not at all; a shot is an event of the log, and is visible when it is durable.
//!
//! ```
//! use sesshu_engine::intake::{Row, ShotRecord};
//! use sesshu_engine::ticket::{Municipality, TicketLine};
//! use sesshu_engine::{Match, Options, Store};
//! use sesshu_proto::v1::{Resident, Shot};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("store");
//! let (store, _report) = Store::open(&path, Options::default())?;
//!
//! // A register: every resident of Chiyoda, whole or not at all.
//! let mut load = store.load(Municipality::parse("131016")?)?;
//! let resident = Resident { name: "見本　花子".into(), birth_date: 19_400_000, ..Resident::default() };
//! load.push(Row::check(12_345, None, resident, 2)?);
//! load.commit(None)?;
//!
//! // A shot: when this returns, it survives the machine's plug being pulled.
//! let line = TicketLine::parse("211310160000012345")?;
//! let shot = Shot { date: 20_210_412, dose: 1, vaccine: "ファイザー".into(), lot: "EW4811".into(), ..Shot::default() };
//! store.record(ShotRecord::check(line, shot)?)?;
//!
//! // The ledger knows at once.
//! let view = store.view();
//! let Match::Matched(person) = view.match_ticket(line.ticket()) else { panic!("the register has this ticket") };
//! assert_eq!(person.resident()?.expect("a matched ticket has a row").name, "見本　花子");
//! assert_eq!(person.shots()?[0].lot, "EW4811");
//! store.close()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Invariants
//!
//! * **I1** What is acknowledged is on disk and synced.
//! * **I2** Sequences are contiguous.
//! * **I3** Bytes of a sealed file never change.
//! * **I4** Only the unvouched end of the log may be torn.
//! * **I5** Tails hold only durable addresses.
//! * **I6** A value is returned only after its checksum and its number matched.
//! * **I7** After a failed write or sync of the log nothing more is written to it.
//! * **I8** Tails and counters can be rebuilt from generations and log.
//! * **I9** A reader sees one view.
//! * **I10** No shot ever disappears: every acknowledged event can be read back with its history until an erasure that is itself an event.

pub mod error;
pub mod intake;
pub mod limits;
pub mod names;
pub mod ticket;

mod frame;
mod life;
mod lookup;
mod mutation;
mod options;
mod stored;
mod sync;
mod wire;

pub mod rules;

pub mod disk;
mod platform;
mod priority;

mod keys;

mod generation;
mod ledger;
mod log;
mod store;

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;

use std::fmt;

pub use generation::Remedy;
pub use keys::OutsideKey;
pub use ledger::{Known, Moment, Person};
pub use log::{LogOutcome, Torn};
#[cfg(feature = "mutations")]
#[doc(hidden)]
pub use mutation::NAMES as MUTATIONS;
pub use options::{CompactionPolicy, KeyLocation, Options, ScrubPolicy};
pub use platform::{Environment, Platform};
pub use priority::give_way;
pub use store::{
    Access, Amended, AmendmentOutcome, BuiltLoad, ChangeOutcome, Changed, CheckpointOutcome, ClosedStore,
    CommitStatistics, Compacted, CompactionForecast, CompactionProgress, Completion, Exporting, Finding, Found, Held,
    HeldId, HoldPolicy, HoldReason, Keep, Kept, LedgerReader, ListedKey, ListedSnapshot, Load, LoadOutcome, LoadReport,
    Loss, Match, MyNumberQuestion, OpenDataKeys, Opened, PersonHistory, ReadFile, RecordOutcome, Recorded, Rejected,
    RepairWatcher, Repaired, Repairs, RestoreStep, RestoredStore, Restoring, Rotated, Rotation, SHARED_LISTED_MAX,
    Samples, Share, SharedCounts, ShotHistory, ShotsOf, Snapshot, SnapshotExport, SnapshotName, Snapshots, Status,
    Store, Verification, Verified, Verifying, View, ViewGuard, Watch, Watcher, Window, Within, repair, repair_on,
};
pub use stored::{ShotView, Standing};

/// The version of the format of a store's files. 0 until the format is frozen.
pub const FORMAT_VERSION: u32 = 0;

/// Sixteen random bytes that name a store; all its files carry them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StoreId(pub(crate) [u8; 16]);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
