//! Opening a store.
//!
//! Owns the order of the steps: lock, manifest, generations, replay, the log's end made durable, manifest, leftovers, publish. Opening twice does the same
//! as opening once, and may itself be cut short anywhere.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use sesshu_proto::v1::Manifest;

use super::committer::Committer;
use super::manifest::{self, ManifestFile};
use super::queue::Queue;
use super::state::{State, open_generation};
use super::view::{Ledgers, View};
use super::{Shared, Store, now_ms};
use crate::StoreId;
use crate::disk::{Disk, RealDisk};
use crate::error::{Damage, KeyError, OpenError};
use crate::generation;
use crate::keys::{DataKey, OutsideKey};
use crate::ledger::Ledger;
use crate::log::{self, LogOutcome, Vouched};
use crate::options::{KeyLocation, Options};
use crate::ticket::Municipality;

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
    /// Ledgers with a generation.
    pub generations: u64,
    /// Events that were read from the log.
    pub events: u64,
    /// Files of unfinished loads and superseded generations that were removed.
    pub removed_files: u64,
}

impl Store {
    /// Opens the store in the directory `path`, or makes one there.
    ///
    /// # Errors
    ///
    /// [`OpenError`]; damage names file and byte, and nothing was changed then.
    pub fn open(path: &Path, options: Options) -> Result<(Store, Opened), OpenError> {
        let disk = real_disk(path, options.create)?;
        Store::open_on(disk, path, options)
    }

    /// As [`Store::open`], on another disk, which is trusted to hold a store or nothing. `path` names the store in messages, and its key lies beside it.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub fn open_on(disk: Arc<dyn Disk>, path: &Path, options: Options) -> Result<(Store, Opened), OpenError> {
        let lock = take_lock(&*disk, path)?;
        let (manifest, store_id, key_created, created) = match manifest::read(&*disk)? {
            Some((manifest, store_id)) => (manifest, store_id, None, false),
            None => {
                let (manifest, store_id, key_created) = create(&*disk, path, &options)?;
                (manifest, store_id, key_created, true)
            }
        };
        let mut state = State { ledgers: Arc::new(Ledgers::none()) };
        let mut file = ManifestFile::new(&manifest, store_id);
        let generations = map_generations(&*disk, store_id, &manifest, &mut state)?;

        let folded = manifest.generations.iter().map(|generation| generation.folded_position).max().unwrap_or(0);
        let vouched = Vouched {
            position: manifest.log_vouched_position.max(folded),
            sequence: manifest.log_vouched_sequence,
            closed: manifest.closed,
        };
        let mut events = 0;
        let (writer, outcome) = log::recover(&disk, store_id, vouched, &mut |segments, event| {
            events += 1;
            if let Some(installed) = State::installed_by(event) {
                file.remember(&installed);
            }
            state.replay(&*disk, store_id, segments, event)
        })?;

        let view = View {
            ledgers: Arc::clone(&state.ledgers),
            segments: writer.segments().clone(),
            sequence: writer.next_sequence() - 1,
            end: writer.end(),
        };
        let now = Vouched { position: view.end, sequence: view.sequence, closed: false };
        file.write(&*disk, &view, now, writer.segment_number())?;
        // A store that was copied may have come without its empty directories.
        let made = disk.create_directory(Path::new(generation::STAGING));
        made.map_err(|source| OpenError::Disk { doing: "making", path: generation::STAGING.into(), source })?;
        let removed_files = remove_leftovers(&*disk, &view)?;

        let opened = Opened { created, key_created, log: outcome, generations, events, removed_files };
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            disk,
            store_id,
            key: options.key,
            view: ArcSwap::from_pointee(view),
            queue: Queue::default(),
            manifest: Mutex::new(file),
            loading: Mutex::new(HashSet::new()),
            trouble: Mutex::new(None),
            opened: opened.clone(),
            _lock: lock,
        });
        let committer = Committer::start(Arc::clone(&shared), writer, state).map_err(|source| OpenError::Disk {
            doing: "starting the committer of",
            path: path.to_owned(),
            source,
        })?;
        Ok((Store { shared, committer: Mutex::new(Some(committer)) }, opened))
    }
}

/// The directory as a disk; made if it may be.
fn real_disk(path: &Path, create: bool) -> Result<Arc<dyn Disk>, OpenError> {
    let failed = |source| OpenError::Disk { doing: "opening", path: path.to_owned(), source };
    let disk = RealDisk::existing(path);
    let names = disk.list(Path::new("")).map_err(failed)?;
    if names.iter().any(|name| name == Path::new(manifest::PATH)) {
        return Ok(Arc::new(disk));
    }
    // What an interrupted making of a store leaves behind is no obstacle to making it again: its directories are empty until there is a manifest.
    let strange = names.iter().any(|name| match name.to_str() {
        Some("LOCK" | "MANIFEST.tmp") => false,
        Some(log::DIRECTORY | generation::DIRECTORY | generation::STAGING) => {
            disk.list(name).map_or(true, |inside| !inside.is_empty())
        }
        _ => true,
    });
    if strange {
        return Err(OpenError::NotAStore(path.to_owned()));
    }
    if !create {
        return Err(OpenError::NoStore(path.to_owned()));
    }
    Ok(Arc::new(RealDisk::create(path).map_err(failed)?))
}

fn take_lock(disk: &dyn Disk, path: &Path) -> Result<Box<dyn Send + Sync>, OpenError> {
    disk.lock(Path::new("LOCK")).map_err(|source| {
        if source.kind() != io::ErrorKind::WouldBlock {
            return OpenError::Disk { doing: "locking", path: path.to_owned(), source };
        }
        let holder = read_small(disk, Path::new("LOCK")).unwrap_or_default();
        let holder = holder.trim().parse::<u32>().map_or(String::new(), |id| format!(" (process {id})"));
        OpenError::InUse(path.to_owned(), holder)
    })
}

fn read_small(disk: &dyn Disk, path: &Path) -> io::Result<String> {
    let file = disk.open(path, false)?;
    let mut bytes = vec![0; file.length()?.min(64) as usize];
    file.read_at(&mut bytes, 0)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// Makes the directories, the key and the first manifest.
fn create(disk: &dyn Disk, path: &Path, options: &Options) -> Result<(Manifest, StoreId, Option<PathBuf>), OpenError> {
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
            (OutsideKey::create(&key_path)?, Some(key_path))
        }
        key => (key?, None),
    };
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| failed(io::Error::other(error)))?;
    let manifest = Manifest {
        store_id: id.to_vec(),
        created_at: now_ms(),
        data_keys: vec![DataKey::create(&key, 1).map_err(failed)?],
        ..Manifest::default()
    };
    manifest::create(disk, &manifest)?;
    Ok((manifest, StoreId(id), key_created))
}

fn map_generations(
    disk: &dyn Disk,
    store_id: StoreId,
    manifest: &Manifest,
    state: &mut State,
) -> Result<u64, OpenError> {
    let none = log::Segments::default();
    for message in &manifest.generations {
        let municipality = Municipality::from_five_digits(message.municipality).ok_or_else(|| Damage {
            file: manifest::PATH.into(),
            offset: 0,
            municipality: None,
            what: "a generation of an unknown municipality",
        })?;
        let generation = open_generation(disk, store_id, municipality, message)?;
        let installed = (message.installed_sequence, message.installed_at);
        let ledger = Ledger::new(municipality).with_generation(generation, installed, &none)?;
        state.set(Arc::new(ledger));
    }
    Ok(manifest.generations.len() as u64)
}

/// Removes what no manifest and no event names: builds in progress, and generations that were superseded or never installed.
fn remove_leftovers(disk: &dyn Disk, view: &View) -> Result<u64, OpenError> {
    let failed =
        |source| OpenError::Disk { doing: "removing leftovers in", path: generation::DIRECTORY.into(), source };
    let named: HashSet<PathBuf> = view
        .ledgers
        .iter()
        .filter_map(|ledger| {
            let generation = ledger.generation.as_ref()?;
            Some(generation::path(ledger.municipality, generation.identity().generation))
        })
        .collect();
    let mut files = disk.list(Path::new(generation::STAGING)).map_err(failed)?;
    for directory in disk.list(Path::new(generation::DIRECTORY)).map_err(failed)? {
        files.extend(disk.list(&directory).map_err(failed)?);
    }
    let mut removed = 0;
    let ours = |file: &&PathBuf| file.extension().is_some_and(|extension| extension == "gen");
    for file in files.iter().filter(ours).filter(|file| !named.contains(*file)) {
        disk.remove(file).map_err(failed)?;
        removed += 1;
    }
    Ok(removed)
}
