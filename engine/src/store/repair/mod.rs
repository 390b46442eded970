//! Repair: a store that is damaged made one that is whole, with as little lost as can be, and all of that told.
//!
//! Owns the order of it. What follows from what is whole is made again. What nothing else in the store has is taken from a snapshot that was made before the damage and
//! still has it. What is left then is given up only if somebody accepts that, and listed, each ticket and event. Nothing else is changed, and doing it twice
//! changes nothing.
//!
//! | file | owns |
//! |---|---|
//! | `journal` | what is given up, before it is |
//! | `manifest` | the manifest, from the one before it and the log |
//! | `logs` | segments and batches: headers made again, bytes taken from a snapshot, places of events that are gone |
//! | `ledgers` | generations: made again, taken from a snapshot, or made of what is whole |
//!
//! | step | what a crash behind it leaves |
//! |---|---|
//! | the manifest forgets the checkpoint, if the log is damaged | the store, as damaged as before |
//! | damaged bytes of the logs are written over, segment by segment | the same, or a log that is less damaged |
//! | damaged generations get a file beside them, which takes their name, or the next number | the same; a file that no manifest names |
//! | the manifest is written | the store |
//! | generations that it does not name any more get another name | the same; the next open removes them |
//! | the list of what is gone is kept | the store; the list is told the next time |

mod journal;
mod ledgers;
mod logs;
mod manifest;

use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::journal::Journal;
use super::held_file::{self, HeldId};
use super::open::take_lock;
use super::snapshot::Snapshot;
use super::verify::{Finding, verify_closed};
use super::{access, checkpoint};
use crate::disk::{Disk, Instead, ReadDisk, RealDisk};
use crate::error::{OpenError, RepairError};
use crate::platform::Platform;
use crate::ticket::{Municipality, Ticket};

/// What may be done.
#[derive(Clone, Copy, Default)]
pub struct Repairs<'s> {
    /// A snapshot of the store, or an export of one: where damaged files are taken from.
    pub source: Option<&'s Snapshot>,
    /// Give up what nothing brings back.
    pub accept_loss: bool,
}

/// Keeps the list of what is gone, durably; until it returns, the store does.
pub type Keep<'a> = dyn FnMut(&[Loss]) -> io::Result<()> + 'a;

/// Something that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Loss {
    /// An event of the log: a shot, a change of a row, an act on a shot, an installed register.
    Event {
        /// Its sequence.
        sequence: u64,
        /// Whose it was, if a later event of the ticket tells.
        ticket: Option<Ticket>,
        /// Commit time, milliseconds since 1970, of what was committed with it or before it.
        time_ms: u64,
    },
    /// An entry of the access log.
    Access {
        /// Its sequence.
        sequence: u64,
        /// As of an event.
        time_ms: u64,
    },
    /// A ticket's row, and its shots, as far as they were folded.
    Person {
        /// The ticket.
        ticket: Ticket,
    },
    /// A ticket's folded shots, and of its row, which stays, the My Number, what it was before and who sent it.
    Shots {
        /// The ticket.
        ticket: Ticket,
    },
    /// Rows and folded shots of tickets that nobody can name.
    People {
        /// Whose ledger.
        municipality: Municipality,
        /// How many; `None`: nobody can say.
        count: Option<u64>,
    },
    /// Who sent the registers of a ledger before its current one, and why.
    Senders {
        /// Whose ledger.
        municipality: Municipality,
    },
    /// A held load: the register is to be loaded again.
    Held {
        /// As it was shown.
        id: HeldId,
    },
}

/// What a repair came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// Files that were made again from what is whole: nothing of them is lost.
    pub made_again: Vec<PathBuf>,
    /// Files that were taken from the snapshot, wholly or in part: nothing of them is lost.
    pub replaced: Vec<PathBuf>,
    /// What is gone.
    pub lost: Vec<Loss>,
    /// What is still wrong.
    pub left: Vec<Finding>,
}

/// What is told while a repair goes on: what it does, and bytes that were read of how many.
pub type RepairWatcher<'a> = dyn FnMut(super::Verifying) + Send + 'a;

/// What was done so far.
struct Done<'d> {
    made_again: BTreeSet<PathBuf>,
    replaced: BTreeSet<PathBuf>,
    /// Generations of which another was made: they stay beside it under another name.
    aside: Vec<PathBuf>,
    /// Ledgers that have another generation than the one that a held load was built on.
    succeeded: BTreeSet<Municipality>,
    journal: Journal<'d>,
}

/// Repairs the closed store in a directory.
///
/// # Errors
///
/// [`RepairError`]. What was repaired until then stays so; again does the rest.
pub fn repair(
    path: &Path,
    repairs: Repairs<'_>,
    told: &mut RepairWatcher<'_>,
    keep: &mut Keep<'_>,
) -> Result<Repaired, RepairError> {
    let disk = RealDisk::existing(path);
    let failed = |source| OpenError::Disk { doing: "opening", path: path.to_owned(), source };
    let names = disk.list(Path::new("")).map_err(failed)?;
    let is_there = |name: &str| names.iter().any(|it| it == Path::new(name));
    if ![super::manifest::PATH, super::manifest::SPARE, crate::log::DIRECTORY].into_iter().any(is_there) {
        return Err(OpenError::NoStore(path.to_owned()).into());
    }
    repair_on(Platform::on(Arc::new(disk)), path, repairs, told, keep)
}

/// As [`repair`], on another platform. `path` names the store in messages.
///
/// # Errors
///
/// As [`repair`].
pub fn repair_on(
    platform: Platform,
    path: &Path,
    repairs: Repairs<'_>,
    told: &mut RepairWatcher<'_>,
    keep: &mut Keep<'_>,
) -> Result<Repaired, RepairError> {
    let disk = &platform.disk;
    let _lock = take_lock(&**disk, path)?;
    let journal = Journal::open(&**disk)?;
    let mut done = Done {
        made_again: BTreeSet::new(),
        replaced: BTreeSet::new(),
        aside: Vec::new(),
        succeeded: BTreeSet::new(),
        journal,
    };
    let manifest::Found { mut manifest, mark, is_whole } = manifest::find(&**disk, repairs.source)?;
    if let Some(source) = repairs.source.filter(|source| source.store_id() != mark.id) {
        return Err(RepairError::OfAnotherStore { snapshot: source.store_id(), store: mark.id });
    }

    let failed = |source| OpenError::Disk { doing: "writing", path: super::manifest::PATH.into(), source };
    let source = repairs.source.map(|source| Arc::clone(&source.disk));
    let log = logs::Log {
        disk: Arc::clone(disk),
        source: source.clone(),
        store_id: mark.id,
        vouched: super::open::vouched(&manifest),
        place: crate::log::DIRECTORY,
    };
    if !is_whole && !log.joins()? {
        return Err(RepairError::TooOld);
    }
    if manifest.checkpoint.is_some() && log.is_damaged()? {
        // It leads to what is written over next; the next open reads the log instead.
        manifest.checkpoint = None;
        super::manifest::write(&**disk, &manifest).map_err(failed)?;
    }
    let of_event = |sequence, ticket, time_ms| Loss::Event { sequence, ticket, time_ms };
    let is_other_log = log.mend(&platform, repairs.accept_loss, &mut done, &of_event)?;
    if let Some(named) = manifest.access {
        let log = logs::Log {
            disk: Arc::new(Instead::new(Arc::clone(disk), crate::log::DIRECTORY, access::DIRECTORY)),
            source: source.map(|source| -> Arc<dyn ReadDisk> {
                Arc::new(Instead::new(source, crate::log::DIRECTORY, access::DIRECTORY))
            }),
            store_id: mark.id,
            vouched: access::vouched(Some(&named)),
            place: access::DIRECTORY,
        };
        let of_entry = |sequence, _, time_ms| Loss::Access { sequence, time_ms };
        log.mend(&platform, repairs.accept_loss, &mut done, &of_entry)?;
    }

    let is_other = ledgers::mend(&platform, (&mut manifest, mark), !is_whole, repairs, &mut done)?;
    let is_dropped = manifest.checkpoint.as_ref().is_some_and(|checkpoint| {
        let is_whole = checkpoint::map(&**disk, checkpoint).is_ok();
        if !is_whole {
            // The next open reads the log instead, and writes another one.
            done.made_again.insert(checkpoint::path(checkpoint.position));
        }
        !is_whole || is_other || is_other_log
    });
    if is_dropped {
        manifest.checkpoint = None;
    }
    if !is_whole {
        done.made_again.insert(super::manifest::PATH.into());
        super::manifest::write_over(&**disk, &manifest).map_err(failed)?;
    }
    let is_spare_damaged = super::manifest::read_spare(&**disk).is_err();
    if is_spare_damaged {
        done.made_again.insert(super::manifest::SPARE.into());
    }
    if is_whole && (is_other || is_dropped) || is_spare_damaged {
        super::manifest::write(&**disk, &manifest).map_err(failed)?;
    }
    for path in std::mem::take(&mut done.aside) {
        // No manifest names it any more, and the next open would remove it.
        let directory = path.parent().unwrap_or(Path::new(""));
        let moved = disk.rename(&path, &path.with_extension("damaged")).and_then(|()| disk.sync_directory(directory));
        moved.map_err(|source| OpenError::Disk { doing: "moving aside", path: path.clone(), source })?;
    }
    if repairs.accept_loss {
        give_up_held(&**disk, mark.id, &mut done)?;
    }

    let mut watcher = |verifying| {
        told(verifying);
        ControlFlow::Continue(())
    };
    let verified = verify_closed(platform.disk.clone(), platform.cores(), &mut watcher)?;
    let left = verified.expect("nobody ends it").findings;
    let Done { made_again, replaced, journal, .. } = done;
    if !journal.lost().is_empty() {
        keep(journal.lost()).map_err(RepairError::NotKept)?;
    }
    let lost = journal.close()?;
    Ok(Repaired { made_again: made_again.into_iter().collect(), replaced: replaced.into_iter().collect(), lost, left })
}

/// Held loads that are not whole go: they wait for somebody's word, and nobody can say what it would mean. So do those that no longer fit their ledger.
fn give_up_held(disk: &dyn Disk, store_id: crate::StoreId, done: &mut Done<'_>) -> Result<(), RepairError> {
    let directory = Path::new(held_file::DIRECTORY);
    let failed = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Disk { doing, path, source }
    };
    for id in held_file::ids(disk).map_err(failed("listing", directory))? {
        let path = id.path();
        let held = held_file::read(disk, store_id, id).map_err(failed("reading", &path))?;
        let is_whole = held.is_some_and(|held| held.is_whole(disk, &mut |_| {}).is_ok_and(|is_whole| is_whole));
        if !is_whole || done.succeeded.contains(&id.municipality()) {
            done.journal.give_up([Loss::Held { id }])?;
            held_file::remove(disk, id).map_err(failed("removing", &path))?;
        }
    }
    Ok(())
}
