//! Opening a store.
//!
//! Owns the order of the steps: lock, manifest, generations, checkpoint, replay, the log's end made durable, manifest, leftovers, publish. Opening twice
//! does the same as opening once, and may itself be cut short anywhere. Where the disk is full the store is opened all the same, and read-only until the
//! manifest and the next segment find room.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use sesshu_proto::v1::Manifest;

use super::access;
use super::checkpoint::{self, CheckpointOutcome};
use super::committer::{Committer, DISK_FULL};
use super::compactor;
use super::held::{self, Restored};
use super::held_file;
use super::ledgers::Ledgers;
use super::manifest::{self, ManifestFile, StoreMark};
use super::pipeline;
use super::place;
use super::queue::Queue;
use super::scrubber;
use super::snapshot;
use super::state::{State, open_generation, sender_of};
use super::upkeep::Upkeep;
use super::view::View;
use super::{Shared, Store};
use crate::StoreId;
use crate::disk::{Disk, ReadDisk, RealDisk};
use crate::error::{Damage, KeyError, OpenError};
use crate::generation;
use crate::keys::{DataKey, OutsideKey};
use crate::ledger::{Horizon, Installed, Ledger};
use crate::log::{self, LogOutcome, Vouched, is_full};
use crate::lookup::LookupKey;
use crate::mutation::{Mutation, broken};
use crate::options::{KeyLocation, Options};
use crate::platform::Platform;
use crate::sync::Swap;
use crate::ticket::Municipality;

/// The file that is locked, in a store's directory.
const LOCK: &str = "LOCK";

/// What opening found and did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Opened {
    /// The store was made.
    pub created: bool,
    /// The outside key was made, here: keep a copy where the store's disk cannot take it along.
    pub key_created: Option<PathBuf>,
    /// What was at the end of the log.
    pub log: LogOutcome,
    /// What was made of the checkpoint.
    pub checkpoint: CheckpointOutcome,
    /// Ledgers with a generation.
    pub generations: u64,
    /// Events that were read from the log.
    pub events: u64,
    /// Files of unfinished loads, of superseded generations and of the log's oldest segments that were removed, and unfinished snapshots.
    pub removed_files: u64,
    /// Loads that wait for somebody's word.
    pub held: u64,
    /// Files of held loads that were removed: their time ran out, another register was loaded, or they are not whole.
    pub removed_held: u64,
}

impl Store {
    /// Opens the store in the directory `path`, or makes one there.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; damage names file and byte, and nothing was changed then.
    pub fn open(path: &Path, options: Options) -> Result<(Store, Opened), OpenError> {
        let disk = real_disk(path, options.create)?;
        Store::open_on(Platform::on(disk), path, options)
    }

    /// As [`Store::open`], on another platform, whose disk is trusted to hold a store or nothing. `path` names the store in messages, and its key lies
    /// beside it.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub fn open_on(platform: Platform, path: &Path, options: Options) -> Result<(Store, Opened), OpenError> {
        let disk = &*platform.disk;
        let lock = take_lock(disk, path)?;
        let (manifest, mark, key_created, created) = match manifest::read(disk)? {
            Some((manifest, mark)) => {
                // What was read at open may never have been synced, its name neither: nothing is built on it before it is.
                let synced = match broken(Mutation::TrustUnsyncedNames) {
                    true => Ok(()),
                    false => disk.sync_directory(Path::new("")),
                };
                synced.map_err(|source| OpenError::Disk { doing: "making durable", path: path.to_owned(), source })?;
                (manifest, mark, None, false)
            }
            None => {
                let (manifest, mark, key_created) = create(&platform, path, &options)?;
                (manifest, mark, key_created, true)
            }
        };
        let mut file = ManifestFile::new(&manifest, mark);
        let mut state = map_generations(disk, mark, &manifest)?;
        let recovery = log::Recovery::begin(disk, mark.id, vouched(&manifest))?;
        let restored =
            checkpoint::restore(disk, mark.id, manifest.checkpoint.as_ref(), recovery.segments(), &mut state);
        let (checkpoint, start) = match restored {
            Ok(None) => (CheckpointOutcome::None, None),
            Ok(Some(start)) => (CheckpointOutcome::Restored { position: start.position }, Some(start)),
            Err(damage) => {
                // Derived (I8): what was filled so far is thrown away, and the log read from its beginning.
                state = map_generations(disk, mark, &manifest)?;
                file.forget_checkpoint();
                (CheckpointOutcome::Rebuilt(damage), None)
            }
        };
        let mut events = 0;
        let (writer, outcome) = recovery.replay(&platform, start, &mut |segments, event| {
            events += 1;
            // One that the manifest names, or an older one, may be of the store that this one was restored from.
            if let Some(installed) = State::installed_by(event)
                .filter(|installed| state.is_new(installed) || broken(Mutation::RememberAnyHash))
            {
                file.remember(&installed);
            }
            state.replay(disk, mark, segments, event)
        })?;
        let view = View {
            ledgers: Arc::clone(&state.ledgers),
            horizon: Horizon { segments: writer.segments().clone(), sequence: writer.next_sequence() - 1 },
            end: writer.durable(),
            time_ms: writer.time_ms(),
        };

        let failed = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Disk { doing, path, source }
        };
        let restored = held::restore(&platform, mark, &view)?;
        // Builds in progress, and checkpoints that the manifest does not name, go first: they may be what the disk is full of.
        let staging = Path::new(generation::STAGING);
        let mut removed_files = remove_all(disk, staging, None).map_err(failed("removing leftovers in", staging))?;
        let (checkpoints, named) = (Path::new(checkpoint::DIRECTORY), manifest.checkpoint.as_ref());
        let named = named.map(|checkpoint| checkpoint::path(checkpoint.position));
        removed_files +=
            remove_all(disk, checkpoints, named.as_deref()).map_err(failed("removing leftovers in", checkpoints))?;
        removed_files += snapshot::settle(disk);
        let full = match file.write(disk, &view, false) {
            Err(error) if is_full(&error) => true,
            written => written.map(|()| false).map_err(failed("writing", Path::new(manifest::PATH)))?,
        };
        if !full || broken(Mutation::RemoveBeforeManifest) {
            // A store that was copied may have come without its empty directories.
            disk.create_directory(staging).map_err(failed("making", staging))?;
            removed_files +=
                remove_leftovers(disk, &view, &file, &restored).map_err(failed("removing leftovers in", path))?;
        }
        let checkpointed = file.checkpoint().map_or(0, |checkpoint| checkpoint.position);
        let trouble = (full || !writer.has_segment()).then(|| DISK_FULL.to_owned());
        let generations = manifest.generations.len() as u64;
        let Restored { loads: held_loads, removed: removed_held } = restored;
        let held = held_loads.len() as u64;
        let log = outcome;
        let opened =
            Opened { created, key_created, log, checkpoint, generations, events, removed_files, held, removed_held };
        let threads = platform.threads;
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            mark,
            key: Mutex::new(options.key.path(path)),
            upkeep: Upkeep::new(
                checkpointed,
                start.map_or(0, |start| start.time_ms),
                if full { 0 } else { view.horizon.segments.newest() },
            ),
            view: Swap::new(Arc::new(view)),
            queue: Queue::default(),
            committer: Mutex::new(Committer::new(writer, state, full && !broken(Mutation::WriteBeforeManifest))),
            waiting: AtomicUsize::new(0),
            manifest: Mutex::new(file),
            statistics: Mutex::default(),
            rules: options.rules,
            scans: Mutex::default(),
            access: Mutex::default(),
            places: place::Places::default(),
            snapshots: Mutex::default(),
            removals: Mutex::default(),
            compaction: options.compaction,
            compactions: compactor::Compactions::default(),
            scrub: options.scrub,
            scrubs: scrubber::Scrubs::default(),
            held: Mutex::new(held_loads),
            trouble: Mutex::new(trouble),
            opened: opened.clone(),
            platform,
            _lock: lock,
        });
        let thread = threads.then(|| pipeline::start(&shared)).transpose();
        let thread = thread.map_err(failed("starting the committer of", path))?;
        Ok((Store { shared, thread: Mutex::new(thread) }, opened))
    }
}

/// What the manifest says of the log.
pub(super) fn vouched(manifest: &Manifest) -> Vouched {
    let folded = manifest.generations.iter().map(|generation| generation.folded_position).max().unwrap_or(0);
    Vouched {
        position: manifest.log_vouched_position.max(folded),
        sequence: manifest.log_vouched_sequence,
        segment: manifest.log_segment,
        closed: manifest.closed,
        first: manifest.log_first_segment,
        time_ms: manifest.generations.iter().map(|generation| generation.installed_at).max().unwrap_or(0),
    }
}

/// Whether a store can be made on a disk: nothing is there. What an interrupted making of a store leaves behind is no obstacle to making it again: its
/// directories are empty until there is a manifest.
pub(super) fn is_free(disk: &dyn ReadDisk) -> io::Result<bool> {
    let strange = |name: &PathBuf| match name.to_str() {
        Some(LOCK | "MANIFEST.tmp") => false,
        Some(
            log::DIRECTORY
            | generation::DIRECTORY
            | generation::STAGING
            | checkpoint::DIRECTORY
            | held_file::DIRECTORY
            | access::DIRECTORY
            | snapshot::DIRECTORY,
        ) => disk.list(name).map_or(true, |inside| !inside.is_empty()),
        _ => true,
    };
    Ok(!disk.list(Path::new(""))?.iter().any(strange))
}

/// The directory as a disk; made if it may be.
fn real_disk(path: &Path, create: bool) -> Result<Arc<dyn Disk>, OpenError> {
    let failed = |source| OpenError::Disk { doing: "opening", path: path.to_owned(), source };
    let disk = RealDisk::existing(path);
    let names = disk.list(Path::new("")).map_err(failed)?;
    if names.iter().any(|name| name == Path::new(manifest::PATH)) {
        return Ok(Arc::new(disk));
    }
    if !is_free(&disk).map_err(failed)? {
        return Err(OpenError::NotAStore(path.to_owned()));
    }
    if !create {
        return Err(OpenError::NoStore(path.to_owned()));
    }
    Ok(Arc::new(RealDisk::create(path).map_err(failed)?))
}

pub(super) fn take_lock(disk: &dyn Disk, path: &Path) -> Result<Box<dyn Send + Sync>, OpenError> {
    disk.lock(Path::new(LOCK)).map_err(|source| in_use(disk, path, source))
}

/// As [`take_lock`], for whoever only reads.
pub(super) fn locked_to_read(disk: &dyn ReadDisk, path: &Path) -> Result<Box<dyn Send + Sync>, OpenError> {
    disk.lock_to_read(Path::new(LOCK)).map_err(|source| in_use(disk, path, source))
}

fn in_use(disk: &dyn ReadDisk, path: &Path, source: io::Error) -> OpenError {
    if source.kind() != io::ErrorKind::WouldBlock {
        return OpenError::Disk { doing: "locking", path: path.to_owned(), source };
    }
    let holder = read_small(disk, Path::new(LOCK)).unwrap_or_default();
    let holder = holder.trim().parse::<u32>().map_or(String::new(), |id| format!(" (process {id})"));
    OpenError::InUse(path.to_owned(), holder)
}

fn read_small(disk: &dyn ReadDisk, path: &Path) -> io::Result<String> {
    let file = disk.open(path)?;
    let mut bytes = vec![0; file.length()?.min(64) as usize];
    file.read_at(&mut bytes, 0)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// Makes the directories, the key and the first manifest.
fn create(
    platform: &Platform,
    path: &Path,
    options: &Options,
) -> Result<(Manifest, StoreMark, Option<PathBuf>), OpenError> {
    let (disk, environment) = (&*platform.disk, &*platform.environment);
    if !options.create {
        return Err(OpenError::NoStore(path.to_owned()));
    }
    let failed = |source| OpenError::Disk { doing: "making", path: path.to_owned(), source };
    for directory in [log::DIRECTORY, generation::DIRECTORY, generation::STAGING] {
        disk.create_directory(Path::new(directory)).map_err(failed)?;
    }
    let key_path = options.key.path(path);
    let (key, key_created) = match OutsideKey::read(&key_path) {
        Err(KeyError::Missing(_)) if options.key == KeyLocation::BesideStore => {
            (OutsideKey::create(&key_path, environment)?, Some(key_path))
        }
        key => (key?, None),
    };
    let (mut id, mut lookup_key) = ([0; 16], [0; 16]);
    environment.fill(&mut id).map_err(failed)?;
    environment.fill(&mut lookup_key).map_err(failed)?;
    let manifest = Manifest {
        store_id: id.to_vec(),
        lookup_key: lookup_key.to_vec(),
        created_at: environment.now_ms(),
        data_keys: vec![DataKey::create(&key, 1, environment).map_err(failed)?],
        ..Manifest::default()
    };
    manifest::create(disk, &manifest)?;
    Ok((manifest, StoreMark { id: StoreId(id), lookup_key: LookupKey(lookup_key) }, key_created))
}

fn map_generations(disk: &dyn ReadDisk, mark: StoreMark, manifest: &Manifest) -> Result<State, OpenError> {
    let mut state = State { ledgers: Arc::new(Ledgers::none()) };
    let none = log::Segments::default();
    for message in &manifest.generations {
        let municipality = Municipality::from_five_digits(message.municipality).ok_or_else(|| Damage {
            file: manifest::PATH.into(),
            offset: 0,
            municipality: None,
            what: "a generation of an unknown municipality",
        })?;
        let generation = open_generation(disk, mark, municipality, message)?;
        let since = (message.installed_sequence, message.installed_at);
        let installed = Installed { since, sender: sender_of(message) };
        let ledger = Ledger::new(municipality).with_generation(generation, installed, &none)?;
        state.set(Arc::new(ledger));
    }
    Ok(state)
}

/// Removes every file in a directory but one.
fn remove_all(disk: &dyn Disk, directory: &Path, but: Option<&Path>) -> io::Result<u64> {
    let mut files = disk.list(directory)?;
    files.retain(|file| Some(&**file) != but);
    files.iter().try_for_each(|file| disk.remove(file))?;
    Ok(files.len() as u64)
}

/// Removes what the manifest, which is durable, does not name: generations that were superseded or never installed, checkpoints, the log's oldest segments.
fn remove_leftovers(disk: &dyn Disk, view: &View, manifest: &ManifestFile, held: &Restored) -> io::Result<u64> {
    let generations = view.ledgers.iter().filter_map(|ledger| {
        let generation = ledger.generation.as_ref()?;
        Some(generation::path(ledger.municipality, generation.identity().generation))
    });
    let checkpoints = manifest.checkpoint().map(|checkpoint| checkpoint::path(checkpoint.position));
    let named: HashSet<PathBuf> = generations.chain(checkpoints).chain(held.generations()).collect();
    let mut files = disk.list(Path::new(checkpoint::DIRECTORY))?;
    files.extend(log::leftovers(disk, view.horizon.segments.oldest())?);
    for directory in disk.list(Path::new(generation::DIRECTORY))? {
        let ours = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "gen");
        files.extend(disk.list(&directory)?.into_iter().filter(ours));
    }
    let mut removed = 0;
    for file in files.iter().filter(|file| !named.contains(*file)) {
        disk.remove(file)?;
        removed += 1;
    }
    Ok(removed)
}
