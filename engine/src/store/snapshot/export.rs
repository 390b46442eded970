//! Exporting a snapshot: every file of it, checked, to a directory of another disk.
//!
//! Owns what makes an export whole, and how one that broke off goes on. A file has its name when all of its bytes are there, were what the snapshot says, and
//! are synced; until then it ends in `.part`. The file `SNAPSHOT` comes last. Where the bytes come from is the caller's business: this disk, or a server.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::contents::{BYTES_MAX, PATH, Snapshot, hash, not_what_it_was};
use super::{ACCESS, failed};
use crate::disk::{Disk, RealDisk};
use crate::error::SnapshotError;
use crate::mutation::{Mutation, broken};
use crate::{generation, log};

/// Bytes that are copied at a time.
const CHUNK_BYTES: usize = 1 << 20;
/// Until the export is whole, what it will be is said here.
const UNFINISHED: &str = "SNAPSHOT.part";
/// Held while something is exported to the directory.
const LOCK: &str = "LOCK";

/// How far an export has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exporting {
    /// Bytes of files that are there: copied, or found and checked.
    pub bytes: u64,
    /// Of them, bytes that an earlier attempt had copied.
    pub found_bytes: u64,
    /// Files that are there.
    pub files: u64,
}

/// Reads a file's bytes in order and hands them on, from the first to the last that is the snapshot's.
pub type ReadFile<'a> =
    dyn FnMut(&Path, &mut dyn FnMut(&[u8]) -> Result<(), SnapshotError>) -> Result<(), SnapshotError> + 'a;

/// An export under way.
pub struct SnapshotExport {
    snapshot: Snapshot,
    to: Arc<dyn Disk>,
    /// Keeps other exports out of the directory.
    _lock: Box<dyn Send + Sync>,
}

impl Snapshot {
    /// Exports it to a directory, which is empty, does not exist, or holds a part of it. `told` hears how far it has come.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`]; what was copied stays, and the next attempt goes on there.
    pub fn export(&self, to: &Path, told: &mut dyn FnMut(Exporting)) -> Result<Exporting, SnapshotError> {
        let export = SnapshotExport::begin(&self.encoded(), to)?;
        export.run(
            &mut |path, hand_on| {
                let mut chunk = vec![0; CHUNK_BYTES];
                let mut at = 0;
                loop {
                    let read = self.read_file(path, at, &mut chunk)?;
                    if read == 0 {
                        return Ok(());
                    }
                    hand_on(&chunk[..read])?;
                    at += read as u64;
                }
            },
            told,
        )
    }
}

impl SnapshotExport {
    /// Begins, or goes on with, the export of what the bytes of a file `SNAPSHOT` say.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`]; [`SnapshotError::NotEmpty`] if something else lies there.
    pub fn begin(encoded: &[u8], to: &Path) -> Result<SnapshotExport, SnapshotError> {
        let disk = RealDisk::create(to).map_err(failed("making", to))?;
        SnapshotExport::begin_on(encoded, Arc::new(disk), to)
    }

    /// As [`SnapshotExport::begin`], on a disk; `to` names it in messages.
    ///
    /// # Errors
    ///
    /// As [`SnapshotExport::begin`].
    pub fn begin_on(encoded: &[u8], disk: Arc<dyn Disk>, to: &Path) -> Result<SnapshotExport, SnapshotError> {
        let root = Path::new("");
        let mut names = disk.list(root).map_err(failed("listing", to))?;
        names.retain(|name| name != Path::new(LOCK));
        let mut same = names.is_empty();
        for name in [PATH, UNFINISHED].map(Path::new).into_iter().filter(|name| names.iter().any(|it| it == name)) {
            let file = disk.open(name).map_err(failed("opening", name))?;
            let length = file.length().map_err(failed("reading", name))?.min(BYTES_MAX);
            let mut bytes = vec![0; length as usize];
            file.read_at(&mut bytes, 0).map_err(failed("reading", name))?;
            // One whose writing was cut short says nothing, and nothing was copied before it was whole.
            same |= bytes == encoded || (name == Path::new(UNFINISHED) && names.len() == 1);
        }
        let ours = |name: &PathBuf| {
            let known = [PATH, UNFINISHED, generation::DIRECTORY, log::DIRECTORY, ACCESS];
            known.iter().any(|known| name == Path::new(known))
        };
        if !same || !names.iter().all(ours) {
            return Err(SnapshotError::NotEmpty(to.to_owned()));
        }
        let snapshot = Snapshot::decode(disk.clone(), encoded)?;
        let lock = disk.lock(Path::new(LOCK)).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => SnapshotError::Busy(to.to_owned()),
            _ => failed("locking", to)(error),
        })?;
        if !names.iter().any(|name| name == Path::new(PATH)) {
            write_unfinished(&*disk, encoded).map_err(failed("writing", UNFINISHED))?;
        }
        for directory in [generation::DIRECTORY, log::DIRECTORY, ACCESS] {
            disk.create_directory(Path::new(directory)).map_err(failed("making", directory))?;
        }
        Ok(SnapshotExport { snapshot, to: disk, _lock: lock })
    }

    /// Bytes that there will be.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.snapshot.bytes()
    }

    /// Has every file copied that is not there, and ends the export.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`]; [`SnapshotError::Damaged`] of a file whose bytes come as others than the snapshot says.
    pub fn run(self, read: &mut ReadFile<'_>, told: &mut dyn FnMut(Exporting)) -> Result<Exporting, SnapshotError> {
        let disk = &*self.to;
        let mut done = Exporting::default();
        for (path, length, blake3) in self.snapshot.files() {
            if self
                .is_there(&path, length, blake3, &mut |bytes| told(Exporting { bytes: done.bytes + bytes, ..done }))?
            {
                done.found_bytes += length;
            } else {
                self.copy(&path, (length, blake3), read, &mut |bytes| {
                    told(Exporting { bytes: done.bytes + bytes, ..done });
                })?;
            }
            done.bytes += length;
            done.files += 1;
            told(done);
        }
        for directory in [generation::DIRECTORY, log::DIRECTORY, ACCESS] {
            disk.sync_directory(Path::new(directory)).map_err(failed("making durable", directory))?;
        }
        let root = disk.list(Path::new("")).map_err(failed("listing", ""))?;
        if root.iter().any(|name| name == Path::new(UNFINISHED)) {
            disk.rename(Path::new(UNFINISHED), Path::new(PATH)).map_err(failed("naming", PATH))?;
            disk.sync_directory(Path::new("")).map_err(failed("making durable", PATH))?;
        }
        Ok(done)
    }

    /// Whether an earlier attempt copied the file. One that is not what it was goes.
    fn is_there(
        &self,
        path: &Path,
        length: u64,
        blake3: blake3::Hash,
        told: &mut dyn FnMut(u64),
    ) -> Result<bool, SnapshotError> {
        let file = match self.to.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            file => file.map_err(failed("opening", path))?,
        };
        let mut read = 0;
        let found_length = file.length().map_err(failed("reading", path))?;
        let same = found_length == length
            && hash(&*self.to, path, length, &mut |bytes| {
                read += bytes;
                told(read);
            })? == blake3;
        if !same {
            // From here on it is not whole, until it is.
            self.unfinish().map_err(failed("naming", UNFINISHED))?;
            self.to.remove(path).map_err(failed("replacing", path))?;
        }
        Ok(same)
    }

    /// Takes the name back that says that it is whole, if it has it.
    fn unfinish(&self) -> io::Result<()> {
        match self.to.rename(Path::new(PATH), Path::new(UNFINISHED)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            renamed => renamed.and_then(|()| self.to.sync_directory(Path::new(""))),
        }
    }

    fn copy(
        &self,
        path: &Path,
        (length, blake3): (u64, blake3::Hash),
        read: &mut ReadFile<'_>,
        told: &mut dyn FnMut(u64),
    ) -> Result<(), SnapshotError> {
        let part = PathBuf::from(format!("{}.part", path.display()));
        let file = match self.to.create(&part) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.to.remove(&part).map_err(failed("replacing", &part))?;
                self.to.create(&part)
            }
            file => file,
        };
        let file = file.map_err(failed("creating", &part))?;
        let (mut hasher, mut at) = (blake3::Hasher::new(), 0);
        read(path, &mut |bytes| {
            if bytes.len() as u64 > length - at {
                return Err(not_what_it_was(path).into());
            }
            hasher.update(bytes);
            file.write_at(bytes, at).map_err(failed("writing", &part))?;
            at += bytes.len() as u64;
            told(at);
            Ok(())
        })?;
        if (at, hasher.finalize()) != (length, blake3) && !broken(Mutation::ExportUnverified) {
            return Err(not_what_it_was(path).into());
        }
        if !broken(Mutation::SkipExportSync) {
            file.sync().map_err(failed("making durable", &part))?;
        }
        self.to.rename(&part, path).map_err(failed("naming", path))
    }
}

fn write_unfinished(disk: &dyn Disk, encoded: &[u8]) -> io::Result<()> {
    let path = Path::new(UNFINISHED);
    if disk.list(Path::new(""))?.iter().any(|name| name == path) {
        disk.remove(path)?;
    }
    let file = disk.create(path)?;
    file.write_at(encoded, 0)?;
    file.sync()?;
    disk.sync_directory(Path::new(""))
}
