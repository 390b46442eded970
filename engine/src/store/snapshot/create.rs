//! Making a snapshot of an open store, and deleting one.
//!
//! Owns the order of it. Nothing that the store has is removed while it is linked; the rest takes nobody's time: shots go on being recorded.
//!
//! | step | what a crash behind it leaves |
//! |---|---|
//! | the files get second names, which are made durable | a directory without a `SNAPSHOT`, which the next open removes |
//! | the bytes whose BLAKE3 is not known are read: those of the log | the same |
//! | `SNAPSHOT` is written, synced, named, and its name synced | the snapshot |
//!
//! Deleting goes the other way: first `SNAPSHOT`, durably.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sesshu_proto::v1::{Manifest, Snapshot as SnapshotMessage, SnapshotFile};

use super::super::{Shared, Store, lock};
use super::contents::{self, Snapshot};
use super::{ACCESS, DIRECTORY, SnapshotName, Snapshots, failed, generation_path};
use crate::disk::{Disk, Instead};
use crate::error::SnapshotError;
use crate::mutation::{Mutation, broken};
use crate::ticket::Municipality;
use crate::{generation, log};

impl Store {
    /// Makes a snapshot of this moment.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`]: there is no such snapshot then, unless naming it is what failed. The next open tells.
    pub fn create_snapshot(&self, name: &SnapshotName) -> Result<Snapshot, SnapshotError> {
        let shared = &*self.shared;
        let _one_at_a_time = lock(&shared.snapshots);
        if lock(&shared.manifest).is_closed() {
            return Err(SnapshotError::Closed);
        }
        let snapshots = self.snapshots();
        match snapshots.open(name) {
            Err(SnapshotError::Unknown(_)) if shared.may_begin(name)? => {}
            _ => return Err(SnapshotError::Exists(name.clone())),
        }
        // What a failure left.
        remove(&*shared.platform.disk, &name.directory()).map_err(failed("removing", name.directory()))?;
        let made = shared.link_and_name(name);
        if made.is_err() && !broken(Mutation::LeaveFailedSnapshot) {
            // The error that is reported is the first one; what stays the next open removes.
            let _ = delete(&*shared.platform.disk, &name.directory());
        }
        made
    }

    /// The snapshots of this store.
    #[must_use]
    pub fn snapshots(&self) -> Snapshots {
        Snapshots::on(self.shared.platform.disk.clone())
    }

    /// Deletes a snapshot, durably. What only it had is free then.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Unknown`]; [`SnapshotError::Disk`], behind which the snapshot may be there or not.
    pub fn delete_snapshot(&self, name: &SnapshotName) -> Result<(), SnapshotError> {
        let shared = &*self.shared;
        let _one_at_a_time = lock(&shared.snapshots);
        let names = shared.platform.disk.list(&name.directory()).map_err(failed("listing", name.directory()))?;
        if names.is_empty() || !is_ours(&name.directory(), &names) {
            return Err(SnapshotError::Unknown(name.clone()));
        }
        delete(&*shared.platform.disk, &name.directory()).map_err(failed("deleting", name.directory()))
    }
}

/// A file that is to have a second name: where it lies, where it will, its bytes, and their BLAKE3 if it is known.
struct ToLink {
    from: PathBuf,
    to: PathBuf,
    length: u64,
    blake3: Option<Vec<u8>>,
}

impl Shared {
    /// Whether nothing of somebody else's lies there.
    fn may_begin(&self, name: &SnapshotName) -> Result<bool, SnapshotError> {
        let directory = name.directory();
        let names = self.platform.disk.list(&directory).map_err(failed("listing", &directory))?;
        Ok(is_ours(&directory, &names))
    }

    fn link_and_name(&self, name: &SnapshotName) -> Result<Snapshot, SnapshotError> {
        let disk = &self.platform.disk;
        let directory = name.directory();
        let below = Instead::below(Arc::clone(disk), &directory);
        let inside = [generation::DIRECTORY, log::DIRECTORY, ACCESS].map(|inside| directory.join(inside));
        for path in &inside {
            disk.create_directory(path).map_err(failed("making", path))?;
        }
        let (manifest, last_time, files) = {
            let _nothing_goes = lock(&self.removals);
            let (manifest, last_time, files) = self.what_there_is()?;
            for ToLink { from, to, .. } in &files {
                disk.link(from, &directory.join(to)).map_err(failed("linking", from))?;
            }
            (manifest, last_time, files)
        };
        for path in inside.iter().filter(|_| !broken(Mutation::SkipSnapshotDirectorySync)) {
            disk.sync_directory(path).map_err(failed("making durable", path))?;
        }
        let not_known = files.iter().filter(|file| file.blake3.is_none());
        let not_known: Vec<_> = not_known.map(|file| (file.to.clone(), file.length)).collect();
        let mut found = contents::hashes(&below, &not_known, self.platform.cores(), &mut |_| {})?.into_iter();
        let named = files.into_iter().map(|ToLink { to, length, blake3, .. }| {
            let blake3 = blake3.or_else(|| Some(found.next()?.as_bytes().to_vec()));
            let blake3 = blake3.expect("what was not known was read");
            SnapshotFile { path: to.to_string_lossy().into_owned(), length, blake3 }
        });
        let first =
            manifest.generations.iter().map(|generation| (generation.installed_sequence, generation.installed_at));
        let (first_sequence, first_time) = first.max().unwrap_or_default();
        let message = SnapshotMessage {
            name: name.to_string(),
            created_at: self.platform.environment.now_ms(),
            manifest: Some(manifest),
            files: named.collect(),
            first_sequence,
            first_time,
            last_time,
        };
        Snapshot::write(Arc::new(below), &message)
    }

    /// What one view shows: as a manifest, with the time until which nothing else came, and as files.
    fn what_there_is(&self) -> Result<(Manifest, u64, Vec<ToLink>), SnapshotError> {
        let (access, accesses) = self.access_log_files()?.unzip();
        let committer = self.committer();
        let named = lock(&self.manifest);
        // Behind the lock: the hashes of everything that this view shows are still known.
        let view = self.view.load_full();
        // What comes from now on has this time at least, but what is on its way may have an earlier one.
        let now_ms = self.platform.environment.now_ms();
        let until_ms = if committer.is_idle() { view.time_ms.max(now_ms) } else { view.time_ms };
        drop(committer);
        let manifest = Manifest { checkpoint: None, access, ..named.of(&view) };
        drop(named);
        let mut files = Vec::new();
        for generation in &manifest.generations {
            let municipality = Municipality::from_five_digits(generation.municipality);
            let municipality = municipality.expect("a view's ledgers are those of municipalities");
            files.push(ToLink {
                from: generation::path(municipality, generation.generation),
                to: generation_path(municipality, generation.generation),
                length: generation.file_length,
                blake3: Some(generation.blake3.to_vec()),
            });
        }
        let logs = view.horizon.segments.files_up_to(view.end).chain(accesses.unwrap_or_default());
        files.extend(logs.map(|(path, length)| ToLink { from: path.clone(), to: path, length, blake3: None }));
        Ok((manifest, until_ms, files))
    }
}

/// Removes a snapshot's directory, durably: first what makes it one.
fn delete(disk: &dyn Disk, directory: &Path) -> io::Result<()> {
    let named = directory.join(contents::PATH);
    if disk.list(directory)?.contains(&named) {
        disk.remove(&named)?;
    }
    remove(disk, directory)
}

/// Removes a directory without `SNAPSHOT` and everything of a snapshot's in it; none is as good as one that is gone.
fn remove(disk: &dyn Disk, directory: &Path) -> io::Result<()> {
    let names = disk.list(directory)?;
    if !disk.list(Path::new(DIRECTORY))?.contains(&directory.to_owned()) || !is_ours(directory, &names) {
        return Ok(());
    }
    // Whoever removed `SNAPSHOT` may not have synced that.
    disk.sync_directory(directory)?;
    for inside in [generation::DIRECTORY, log::DIRECTORY, ACCESS].map(|inside| directory.join(inside)) {
        if names.contains(&inside) {
            disk.list(&inside)?.iter().try_for_each(|file| disk.remove(file))?;
            disk.sync_directory(&inside)?;
            disk.remove_directory(&inside)?;
        }
    }
    let temporary = directory.join(contents::TEMPORARY);
    if names.contains(&temporary) {
        disk.remove(&temporary)?;
    }
    disk.sync_directory(directory)?;
    disk.remove_directory(directory)?;
    disk.sync_directory(Path::new(DIRECTORY))
}

/// Whether what lies in a directory is what a snapshot has, or a part of it. Anything else is somebody's.
fn is_ours(directory: &Path, names: &[PathBuf]) -> bool {
    let known = [contents::PATH, contents::TEMPORARY, generation::DIRECTORY, log::DIRECTORY, ACCESS];
    let known = known.map(|known| directory.join(known));
    names.iter().all(|name| known.contains(name))
}

/// Makes sure of the snapshots that there are, and removes what was left of those that were being made or deleted. Returns how many. What cannot be removed stays.
pub(in crate::store) fn settle(disk: &dyn Disk) -> u64 {
    let mut removed = 0;
    for directory in disk.list(Path::new(DIRECTORY)).unwrap_or_default() {
        // A file, for one, is nobody's snapshot.
        let Ok(names) = disk.list(&directory) else { continue };
        let done = if names.contains(&directory.join(contents::PATH)) {
            // It may have been named by a program that was killed before it synced that.
            disk.sync_directory(&directory)
        } else {
            remove(disk, &directory).inspect(|()| removed += u64::from(is_ours(&directory, &names)))
        };
        if let Err(error) = done {
            let (error, directory) = (&error as &dyn std::error::Error, directory.display());
            tracing::warn!(error, %directory, "a snapshot, or what is left of one, could not be seen to");
        }
    }
    removed
}
