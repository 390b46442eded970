//! The platter: what a disk still holds after the power was cut.
//!
//! Owns, in memory, the difference between what a program wrote and what it synced. A file is known by its identity and not by its name: its bytes are
//! durable as of its last sync, the names in a directory as of that directory's last sync. What came later may be there or not, and this file says in which
//! ways; when operations fail, and where the program reads, is for [`super::power_cut`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What becomes of bytes and names that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// All of them are lost: a file that was never synced comes back empty.
    Lost,
    /// Names and lengths survive, bytes do not: zeros stand where nothing was before.
    Zeros,
    /// Some survive, drawn from this seed: every sector of 512 bytes is as it was at some moment since the file's last sync, every directory too.
    Torn(u64),
}

/// A file, whatever its names.
pub(super) type FileId = usize;

const SECTOR_BYTES: usize = 512;

#[derive(Default)]
struct Contents {
    durable: Vec<u8>,
    /// What was written since the last sync: offset and bytes, oldest first.
    writes: Vec<(usize, Vec<u8>)>,
    /// Bytes that the program sees.
    length: usize,
}

/// One act on the names of one directory, which survives whole or not at all.
struct Change {
    directory: PathBuf,
    names: Vec<(PathBuf, Option<FileId>)>,
}

/// Everything below one directory.
#[derive(Default)]
pub(super) struct Platter {
    files: Vec<Contents>,
    directories: BTreeSet<PathBuf>,
    /// The names that the program sees.
    names: BTreeMap<PathBuf, FileId>,
    durable_names: BTreeMap<PathBuf, FileId>,
    /// What was done to names since their directory's last sync, oldest first.
    changes: Vec<Change>,
}

impl Platter {
    /// A file and its bytes that were there, durable, before anything happened.
    pub(super) fn found(&mut self, path: &Path, bytes: Vec<u8>) {
        let length = bytes.len();
        self.files.push(Contents { durable: bytes, writes: Vec::new(), length });
        self.names.insert(path.to_owned(), self.files.len() - 1);
        self.durable_names.insert(path.to_owned(), self.files.len() - 1);
    }

    /// The file that has a name now.
    pub(super) fn id(&self, path: &Path) -> Option<FileId> {
        self.names.get(path).copied()
    }

    pub(super) fn length(&self, id: FileId) -> usize {
        self.files[id].length
    }

    pub(super) fn create(&mut self, path: &Path) -> FileId {
        self.files.push(Contents::default());
        let id = self.files.len() - 1;
        self.change(path, vec![(path.to_owned(), Some(id))]);
        id
    }

    pub(super) fn write(&mut self, id: FileId, offset: usize, bytes: &[u8]) {
        let file = &mut self.files[id];
        file.writes.push((offset, bytes.to_owned()));
        file.length = file.length.max(offset + bytes.len());
    }

    pub(super) fn sync(&mut self, id: FileId) {
        let file = &mut self.files[id];
        file.durable.resize(file.length, 0);
        for (offset, bytes) in file.writes.drain(..) {
            file.durable[offset..offset + bytes.len()].copy_from_slice(&bytes);
        }
    }

    /// A sync failed: as on Linux, what waited for it never becomes durable, and the next sync knows nothing of it.
    pub(super) fn lose(&mut self, id: FileId) {
        self.files[id].writes.clear();
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        let id = self.id(from);
        if from.parent() == to.parent() {
            self.change(to, vec![(from.to_owned(), None), (to.to_owned(), id)]);
        } else {
            self.change(from, vec![(from.to_owned(), None)]);
            self.change(to, vec![(to.to_owned(), id)]);
        }
    }

    pub(super) fn remove(&mut self, path: &Path) {
        self.change(path, vec![(path.to_owned(), None)]);
    }

    /// A directory is durable when it is made; so says the contract.
    pub(super) fn create_directory(&mut self, path: &Path) {
        let inside = path.ancestors().filter(|path| !path.as_os_str().is_empty());
        self.directories.extend(inside.map(Path::to_owned));
    }

    pub(super) fn sync_directory(&mut self, path: &Path) {
        for change in self.changes.extract_if(.., |change| change.directory == path) {
            apply(&mut self.durable_names, &change);
        }
    }

    /// As [`Platter::lose`], of the names in a directory.
    pub(super) fn lose_names(&mut self, path: &Path) {
        self.changes.retain(|change| change.directory != path);
    }

    pub(super) fn directories(&self) -> impl Iterator<Item = &Path> {
        self.directories.iter().map(PathBuf::as_path)
    }

    /// The files that a machine finds when the power comes back.
    pub(super) fn after_power_cut(&self, unsynced: Unsynced) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut draw = Draw(if let Unsynced::Torn(seed) = unsynced { seed } else { 0 });
        let mut surviving: BTreeMap<&Path, usize> = BTreeMap::new();
        for change in &self.changes {
            *surviving.entry(&change.directory).or_default() += 1;
        }
        for count in surviving.values_mut() {
            *count = match unsynced {
                Unsynced::Lost => 0,
                Unsynced::Zeros => *count,
                Unsynced::Torn(_) => draw.below(*count + 1),
            };
        }
        let mut names = self.durable_names.clone();
        for change in &self.changes {
            let Some(left) = surviving.get_mut(&*change.directory).filter(|left| **left > 0) else { continue };
            *left -= 1;
            apply(&mut names, change);
        }
        names.into_iter().map(|(path, id)| (path, self.files[id].after_power_cut(unsynced, &mut draw))).collect()
    }

    fn change(&mut self, path: &Path, names: Vec<(PathBuf, Option<FileId>)>) {
        let change = Change { directory: path.parent().unwrap_or(Path::new("")).to_owned(), names };
        apply(&mut self.names, &change);
        self.changes.push(change);
    }
}

fn apply(names: &mut BTreeMap<PathBuf, FileId>, change: &Change) {
    for (path, id) in &change.names {
        match id {
            Some(id) => names.insert(path.clone(), *id),
            None => names.remove(path),
        };
    }
}

impl Contents {
    fn after_power_cut(&self, unsynced: Unsynced, draw: &mut Draw) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let grown = self.length - self.durable.len();
        let length = match unsynced {
            Unsynced::Lost => self.durable.len(),
            Unsynced::Zeros => self.length,
            Unsynced::Torn(_) => self.durable.len() + [0, draw.below(grown + 1), grown][draw.below(3)],
        };
        bytes.resize(length, 0);
        if let Unsynced::Torn(_) = unsynced {
            // How many of the writes since the last sync each sector has seen.
            let mut seen = BTreeMap::new();
            for (at, (offset, written)) in self.writes.iter().enumerate() {
                let end = (offset + written.len()).min(length);
                for sector in offset / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
                    if at < *seen.entry(sector).or_insert_with(|| draw.below(self.writes.len() + 1)) {
                        let from = (sector * SECTOR_BYTES).max(*offset);
                        let to = ((sector + 1) * SECTOR_BYTES).min(end);
                        bytes[from..to].copy_from_slice(&written[from - offset..to - offset]);
                    }
                }
            }
        }
        bytes
    }
}

/// SplitMix64: the same numbers from the same seed, everywhere.
struct Draw(u64);

impl Draw {
    /// A number below `limit`, which is not 0.
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}
