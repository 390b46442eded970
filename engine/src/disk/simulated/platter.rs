//! The platter: what a disk still holds after the power was cut.
//!
//! Owns, in memory, the difference between the names that a program gave and those that it made durable. A file is known by its identity and not by its
//! name: its bytes are durable as of its last sync, the names in a directory as of that directory's last sync. What came later may be there or not; for
//! bytes [`super::contents`] says in which ways. When calls fail, and where the program reads, is for [`super::calls`] and [`super::cache`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::contents::Contents;
use super::draw::Draw;

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

/// One act on the names of one directory, which survives whole or not at all.
#[derive(Clone)]
struct Change {
    directory: PathBuf,
    names: Vec<(PathBuf, Option<FileId>)>,
}

/// A part of a write that went to another place, and is there for good when the write is synced.
#[derive(Clone)]
struct Astray {
    written_to: FileId,
    file: FileId,
    offset: usize,
    bytes: Box<[u8]>,
}

/// Everything below one directory.
#[derive(Clone, Default)]
pub(super) struct Platter {
    files: Vec<Contents>,
    directories: BTreeSet<PathBuf>,
    /// The names that the program sees.
    names: BTreeMap<PathBuf, FileId>,
    durable_names: BTreeMap<PathBuf, FileId>,
    /// What was done to names since their directory's last sync, oldest first.
    changes: Vec<Change>,
    astray: Vec<Astray>,
}

impl Platter {
    /// A file and its bytes that were there, durable, before anything happened.
    pub(super) fn found(&mut self, path: &Path, bytes: &[u8]) {
        self.files.push(Contents::found(bytes));
        self.names.insert(path.to_owned(), self.files.len() - 1);
        self.durable_names.insert(path.to_owned(), self.files.len() - 1);
    }

    /// The file that has a name now.
    pub(super) fn id(&self, path: &Path) -> Option<FileId> {
        self.names.get(path).copied()
    }

    /// The names that the program sees.
    pub(super) fn names(&self) -> &BTreeMap<PathBuf, FileId> {
        &self.names
    }

    pub(super) fn file(&self, id: FileId) -> &Contents {
        &self.files[id]
    }

    pub(super) fn file_mut(&mut self, id: FileId) -> &mut Contents {
        &mut self.files[id]
    }

    pub(super) fn directories(&self) -> impl Iterator<Item = &Path> {
        self.directories.iter().map(PathBuf::as_path)
    }

    pub(super) fn create(&mut self, path: &Path) -> FileId {
        self.files.push(Contents::default());
        let id = self.files.len() - 1;
        self.change(path, vec![(path.to_owned(), Some(id))]);
        id
    }

    pub(super) fn sync(&mut self, id: FileId) {
        self.files[id].sync();
        for astray in self.astray.extract_if(.., |astray| astray.written_to == id) {
            self.files[astray.file].overwrite(astray.offset, &astray.bytes);
        }
    }

    /// See [`Contents::lose`].
    pub(super) fn lose(&mut self, id: FileId) {
        self.files[id].lose();
        self.astray.retain(|astray| astray.written_to != id);
    }

    /// A part of a write to `written_to` goes to another file or place.
    pub(super) fn lead_astray(&mut self, written_to: FileId, file: FileId, offset: usize, bytes: &[u8]) {
        self.files[file].set_stale();
        self.astray.push(Astray { written_to, file, offset, bytes: bytes.into() });
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

    pub(super) fn link(&mut self, from: &Path, to: &Path) {
        let id = self.id(from);
        self.change(to, vec![(to.to_owned(), id)]);
    }

    pub(super) fn remove(&mut self, path: &Path) {
        self.change(path, vec![(path.to_owned(), None)]);
    }

    /// A directory is durable when it is made; so says the contract. One that is removed may be there again, empty, after a crash: so it is.
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

    /// The power is cut: what survives is all there is, and all of it is durable. Returns the new identities of the files that still have a name.
    pub(super) fn cut(&mut self, unsynced: Unsynced) -> BTreeMap<FileId, FileId> {
        let mut draw = Draw(if let Unsynced::Torn(seed) = unsynced { seed } else { 0 });
        self.cut_names(unsynced, &mut draw);
        // In the order of the names, so that the same seed means the same; what has no name any more is forgotten.
        let mut files = Vec::new();
        let mut renumbered = BTreeMap::new();
        for id in self.durable_names.values_mut() {
            *id = *renumbered.entry(*id).or_insert_with(|| {
                let mut contents = std::mem::take(&mut self.files[*id]);
                contents.cut(unsynced, &mut draw);
                files.push(contents);
                files.len() - 1
            });
        }
        for astray in std::mem::take(&mut self.astray) {
            if let (Some(&id), Unsynced::Torn(_), 0) = (renumbered.get(&astray.file), unsynced, draw.below(2)) {
                files[id].overwrite(astray.offset, &astray.bytes);
            }
        }
        self.files = files;
        self.names = self.durable_names.clone();
        renumbered
    }

    /// Of each directory's changes some of the first survive.
    fn cut_names(&mut self, unsynced: Unsynced, draw: &mut Draw) {
        let changes = std::mem::take(&mut self.changes);
        let mut surviving: BTreeMap<&Path, usize> = BTreeMap::new();
        for change in &changes {
            *surviving.entry(&change.directory).or_default() += 1;
        }
        for count in surviving.values_mut() {
            *count = match unsynced {
                Unsynced::Lost => 0,
                Unsynced::Zeros => *count,
                Unsynced::Torn(_) => draw.below(*count + 1),
            };
        }
        for change in &changes {
            let Some(left) = surviving.get_mut(&*change.directory).filter(|left| **left > 0) else { continue };
            *left -= 1;
            apply(&mut self.durable_names, change);
        }
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
