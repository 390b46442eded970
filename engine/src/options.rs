//! How a store is opened.
//!
//! Owns the choices of whoever opens it. Defaults work.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::keys::OutsideKey;
use crate::rules::Rules;

/// Where the outside key comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum KeyLocation {
    /// `<store>.key` beside the store; made when the store is made.
    #[default]
    BesideStore,
    /// A file of the operator's; must exist.
    File(PathBuf),
}

impl KeyLocation {
    /// The file that holds the key of the store at `store`.
    #[must_use]
    pub fn path(&self, store: &Path) -> PathBuf {
        match self {
            KeyLocation::BesideStore => OutsideKey::default_path(store),
            KeyLocation::File(path) => path.clone(),
        }
    }
}

/// The choices of whoever opens a store.
#[derive(Debug, Clone)]
pub struct Options {
    /// Make a store where there is none.
    pub create: bool,
    /// Where the outside key comes from.
    pub key: KeyLocation,
    /// The rules by which shots get warnings.
    pub rules: Arc<Rules>,
    /// When ledgers are compacted without being asked for it.
    pub compaction: CompactionPolicy,
    /// When the store is verified without being asked for it.
    pub scrub: ScrubPolicy,
}

/// When a store is verified without being asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScrubPolicy {
    /// Whether it ever is.
    pub automatic: bool,
    /// A minute after it was opened, and then so long after the end of the time before.
    pub every: Duration,
    /// Bytes that are read in a second at most.
    pub limit: Option<NonZeroU64>,
}

impl ScrubPolicy {
    /// Only when somebody asks for it.
    pub const NEVER: ScrubPolicy =
        ScrubPolicy { automatic: false, every: Duration::from_secs(7 * 24 * 3600), limit: NonZeroU64::new(16 << 20) };
}

impl Default for ScrubPolicy {
    /// Once a week, at most 16 MiB a second.
    fn default() -> ScrubPolicy {
        ScrubPolicy { automatic: true, ..ScrubPolicy::NEVER }
    }
}

/// When a ledger is compacted without being asked for it: as soon as one of these is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactionPolicy {
    /// Whether any ever is.
    pub automatic: bool,
    /// Its oldest event that is not folded lies further back in the log than so many bytes: what a recovery without a checkpoint reads stays bounded.
    pub log_bytes: u64,
    /// It has events that are not folded for so many of a hundred entries of its generation, and `tail_events` of them at least.
    pub tail_percent: u8,
    /// See `tail_percent`.
    pub tail_events: u64,
    /// Its oldest event that is not folded is older than this.
    pub age: Duration,
    /// Bytes of a generation that are written in a second at most.
    pub limit: Option<NonZeroU64>,
}

impl CompactionPolicy {
    /// Only when somebody asks for it.
    pub const NEVER: CompactionPolicy = CompactionPolicy {
        automatic: false,
        log_bytes: 1 << 30,
        tail_percent: 25,
        tail_events: 10_000,
        age: Duration::from_secs(24 * 3600),
        limit: NonZeroU64::new(32 << 20),
    };
}

impl Default for CompactionPolicy {
    /// With automatic compaction, at most 32 MiB a second.
    fn default() -> CompactionPolicy {
        CompactionPolicy { automatic: true, ..CompactionPolicy::NEVER }
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            create: true,
            key: KeyLocation::default(),
            rules: Arc::default(),
            compaction: CompactionPolicy::default(),
            scrub: ScrubPolicy::default(),
        }
    }
}
