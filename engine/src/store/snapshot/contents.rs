//! What a snapshot holds: its file `SNAPSHOT`, and the files that it names.
//!
//! Owns that file, and the check that the others are what they were. It has the form of the manifest: magic, version, checksum, length, one message.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use prost::Message as _;
use sesshu_proto::v1::Snapshot as SnapshotMessage;

use super::super::file_hash::file_hash;
use super::super::lock;
use super::super::manifest::{self, StoreMark, Unreadable};
use super::{SnapshotName, failed};
use crate::disk::{Disk, Instead, ReadDisk, ReadFile, RealDisk};
use crate::error::{Damage, SnapshotError};
use crate::ledger::Moment;
use crate::mutation::{Mutation, broken};
use crate::platform::{cores, side_by_side};
use crate::{FORMAT_VERSION, StoreId};

/// The file, in the snapshot's directory.
pub(super) const PATH: &str = "SNAPSHOT";
pub(super) const TEMPORARY: &str = "SNAPSHOT.tmp";
const MAGIC: &[u8; 8] = b"SesshuSn";
/// A nation's is a quarter of a MiB.
pub(super) const BYTES_MAX: u64 = 64 << 20;

/// Between which moments a store can be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The newest event that installed a generation, and its commit time, milliseconds since 1970: what was before is folded.
    pub begin: (u64, u64),
    /// The newest event, and the time until which no other came.
    pub end: (u64, u64),
}

impl Window {
    /// Whether a store can be restored as of a moment.
    #[must_use]
    pub fn has(&self, moment: Moment) -> bool {
        match moment {
            Moment::Sequence(sequence) => (self.begin.0..=self.end.0).contains(&sequence),
            Moment::Time(time_ms) => (self.begin.1..=self.end.1).contains(&time_ms),
        }
    }
}

/// A snapshot, and where it lies.
pub struct Snapshot {
    pub(in crate::store) disk: Arc<dyn ReadDisk>,
    pub(super) message: SnapshotMessage,
    pub(in crate::store) mark: StoreMark,
    name: SnapshotName,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("name", &self.name).field("window", &self.window()).finish_non_exhaustive()
    }
}

impl Snapshot {
    /// One that was exported to a directory.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`].
    pub fn exported(directory: &Path) -> Result<Snapshot, SnapshotError> {
        let snapshot = Snapshot::read(Arc::new(RealDisk::existing(directory)))?;
        snapshot.ok_or_else(|| SnapshotError::NotExported(directory.to_owned()))
    }

    /// The one on a disk; `None` if there is none, or it is not whole yet.
    pub(super) fn read(disk: Arc<dyn ReadDisk>) -> Result<Option<Snapshot>, SnapshotError> {
        let file = match disk.open(Path::new(PATH)) {
            Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => {
                return Ok(None);
            }
            file => file.map_err(failed("opening", PATH))?,
        };
        let length = file.length().map_err(failed("reading", PATH))?;
        if length > BYTES_MAX {
            return Err(damage("longer than any", 0).into());
        }
        let mut bytes = vec![0; length as usize];
        file.read_at(&mut bytes, 0).map_err(failed("reading", PATH))?;
        Snapshot::decode(disk, &bytes).map(Some)
    }

    /// The one that the bytes of a file `SNAPSHOT` say is on a disk.
    pub(super) fn decode(disk: Arc<dyn ReadDisk>, bytes: &[u8]) -> Result<Snapshot, SnapshotError> {
        let payload = manifest::message(bytes, MAGIC).map_err(|error| match error {
            Unreadable::Newer(found) => SnapshotError::Newer { file: PATH.into(), found, known: FORMAT_VERSION },
            Unreadable::Damaged(offset, what) => damage(what, offset).into(),
        })?;
        let message = SnapshotMessage::decode(payload).map_err(|_| damage("no message", 0))?;
        let mark = message.manifest.as_ref().and_then(manifest::mark_of);
        let mark = mark.ok_or_else(|| damage("it names no store", 0))?;
        let name = SnapshotName::parse(&message.name).map_err(|_| damage("it has no name", 0))?;
        let inside = |path: &str| {
            let mut parts = path.split('/');
            let (directory, file, more) = (parts.next(), parts.next(), parts.next());
            directory
                .is_some_and(|it| [crate::generation::DIRECTORY, crate::log::DIRECTORY, super::ACCESS].contains(&it))
                && file.is_some_and(|it| !it.is_empty() && !it.starts_with('.'))
                && more.is_none()
        };
        if !message.files.iter().all(|file| inside(&file.path) && file.blake3.len() == 32) {
            return Err(damage("it names a file that cannot be a snapshot's", 0).into());
        }
        let sum = message.files.iter().try_fold(0_u64, |sum, file| sum.checked_add(file.length));
        sum.ok_or_else(|| damage("it has more bytes than can be", 0))?;
        Ok(Snapshot { disk, message, mark, name })
    }

    /// The bytes of the file `SNAPSHOT`.
    #[must_use]
    pub fn encoded(&self) -> Vec<u8> {
        manifest::with_header(MAGIC, &self.message.encode_to_vec())
    }

    /// Writes the file, durably: from then on the snapshot is there.
    pub(super) fn write(disk: Arc<dyn Disk>, message: &SnapshotMessage) -> Result<Snapshot, SnapshotError> {
        let bytes = manifest::with_header(MAGIC, &message.encode_to_vec());
        let written = manifest::replace(&*disk, (Path::new(PATH), Path::new(TEMPORARY)), &bytes);
        written.map_err(failed("writing", PATH))?;
        Snapshot::decode(disk, &bytes)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &SnapshotName {
        &self.name
    }

    /// The store that it is of.
    #[must_use]
    pub fn store_id(&self) -> StoreId {
        self.mark.id
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn created_at_ms(&self) -> u64 {
        self.message.created_at
    }

    /// Between which moments a store can be restored from it.
    #[must_use]
    pub fn window(&self) -> Window {
        let SnapshotMessage { first_sequence, first_time, last_time, .. } = self.message;
        Window { begin: (first_sequence, first_time), end: (self.manifest().log_vouched_sequence, last_time) }
    }

    /// Names the outside key under which its data keys are wrapped: that key is needed for the My Numbers in it.
    #[must_use]
    pub fn outside_key_id(&self) -> String {
        let newest = self.manifest().data_keys.last();
        newest.map_or(String::new(), |key| key.outside_key_id.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Ledgers with a generation.
    #[must_use]
    pub fn generations(&self) -> usize {
        self.manifest().generations.len()
    }

    /// Its files: path, bytes, BLAKE3.
    pub fn files(&self) -> impl ExactSizeIterator<Item = (PathBuf, u64, blake3::Hash)> {
        self.message.files.iter().map(|file| {
            let hash = blake3::Hash::from_slice(&file.blake3).expect("32 bytes, as was seen when it was read");
            (PathBuf::from(&file.path), file.length, hash)
        })
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.message.files.iter().map(|file| file.length).sum()
    }

    /// Whether every file is what it was; `told` hears of the bytes that were read since it was told last. Files are read side by side, on as many threads as the
    /// machine has cores.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Damaged`], of the first file that is not; [`SnapshotError::Disk`].
    pub fn verify(&self, told: &mut (dyn FnMut(u64) + Send)) -> Result<(), SnapshotError> {
        self.verify_on(cores(), told)
    }

    /// As [`Snapshot::verify`], on so many threads.
    pub(super) fn verify_on(&self, threads: usize, told: &mut (dyn FnMut(u64) + Send)) -> Result<(), SnapshotError> {
        let files: Vec<_> = self.files().map(|(path, length, _)| (path, length)).collect();
        let found = hashes(&*self.disk, &files, threads, told).map_err(|error| self.unless_gone(error))?;
        let other = self.files().zip(found).find(|((.., blake3), found)| blake3 != found);
        match other.filter(|_| !broken(Mutation::RestoreUnverified)) {
            Some(((path, ..), _)) => Err(not_what_it_was(&path).into()),
            None => Ok(()),
        }
    }

    /// Reads bytes of a file from `offset` on, fewer than the buffer has room for only at the end of what is the snapshot's.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::NoFile`] if it has no such file, and as [`Snapshot::verify`].
    pub fn read_file(&self, path: &Path, offset: u64, buffer: &mut [u8]) -> Result<usize, SnapshotError> {
        let found = self.files().find(|(file, ..)| file == path);
        let Some((_, length, _)) = found else { return Err(SnapshotError::NoFile(path.to_owned())) };
        let part = length.saturating_sub(offset).min(buffer.len() as u64) as usize;
        let file = open(&*self.disk, path).map_err(|error| self.unless_gone(error))?;
        file.read_at(&mut buffer[..part], offset).map_err(reading(path))?;
        Ok(part)
    }

    /// The error, unless the snapshot was deleted meanwhile.
    fn unless_gone(&self, error: SnapshotError) -> SnapshotError {
        match Snapshot::read(Arc::clone(&self.disk)) {
            Ok(None) => SnapshotError::Unknown(self.name.clone()),
            _ => error,
        }
    }

    pub(in crate::store) fn manifest(&self) -> &sesshu_proto::v1::Manifest {
        self.message.manifest.as_ref().expect("there is one, as was seen when it was read")
    }

    /// As a disk on which its access log is the log.
    pub(super) fn access_disk(&self) -> Instead<dyn ReadDisk> {
        Instead::new(Arc::clone(&self.disk), crate::log::DIRECTORY, super::ACCESS)
    }
}

/// The BLAKE3s of files' first bytes, in order, found on so many threads.
pub(super) fn hashes(
    disk: &dyn ReadDisk,
    files: &[(PathBuf, u64)],
    threads: usize,
    told: &mut (dyn FnMut(u64) + Send),
) -> Result<Vec<blake3::Hash>, SnapshotError> {
    let told = Mutex::new(told);
    side_by_side(threads, files, |(path, length)| hash(disk, path, *length, &mut |bytes| lock(&told)(bytes)))
}

/// The BLAKE3 of a file's first bytes.
pub(super) fn hash(
    disk: &dyn ReadDisk,
    path: &Path,
    length: u64,
    told: &mut dyn FnMut(u64),
) -> Result<blake3::Hash, SnapshotError> {
    file_hash(&*open(disk, path)?, length, told).map_err(reading(path))
}

pub(super) fn open(disk: &dyn ReadDisk, path: &Path) -> Result<Arc<dyn ReadFile>, SnapshotError> {
    disk.open(path).map_err(reading(path))
}

/// What went wrong with a file of a snapshot: one that is not there, or too short, is damage.
pub(super) fn reading(path: &Path) -> impl FnOnce(io::Error) -> SnapshotError {
    move |source| {
        let file = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => {
                Damage { file, offset: 0, municipality: None, what: "the file is missing" }.into()
            }
            io::ErrorKind::UnexpectedEof => {
                Damage { file, offset: 0, municipality: None, what: "the file is shorter than it was" }.into()
            }
            _ => SnapshotError::Disk { doing: "reading", path: file, source },
        }
    }
}

pub(super) fn not_what_it_was(path: &Path) -> Damage {
    Damage {
        file: path.to_owned(),
        offset: 0,
        municipality: None,
        what: "the file is not what it was: its BLAKE3 differs",
    }
}

pub(super) fn damage(what: &'static str, offset: u64) -> Damage {
    Damage { file: PATH.into(), offset, municipality: None, what }
}
