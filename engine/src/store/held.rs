//! Held loads: registers that are built, durable, and wait for somebody's word.
//!
//! Owns their life: held, listed, confirmed, discarded, void. At most one of a municipality is held: a newer one replaces it, an installed load of any kind makes
//! it void, and so does its time. Its generation lies beside the ledger's under a name of its own, so that confirming is one rename and the usual install;
//! what was recorded or changed after the build stays in the tail, as it does when a load is installed at once.
//!
//! A crash anywhere leaves a load held or installed once it was said to be held, and nothing of it before.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sesshu_proto::v1::Generation as GenerationMessage;

use super::file_hash::file_hash;
use super::held_file::{self, DIRECTORY, HeldId};
use super::hold::{HoldPolicy, HoldReason};
use super::load::{BuiltLoad, LoadReport};
use super::manifest::StoreMark;
use super::place::Place;
use super::prints::SharedCounts;
use super::state::{identity, sender_of};
use super::successor::{Successor, failed};
use super::view::View;
use super::{Shared, Store, lock};
use crate::disk::{Disk, ReadDisk};
use crate::error::{Damage, HeldError, LoadError, OpenError, RecordError};
use crate::generation::{self, Built, Generation, Identity, OpenGenerationError};
use crate::mutation::{Mutation, broken};
use crate::platform::Platform;
use crate::ticket::Municipality;

/// A load that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Held {
    /// Names it.
    pub id: HeldId,
    /// Since when, in milliseconds since 1970.
    pub held_at_ms: u64,
    /// Until when.
    pub expires_at_ms: u64,
    /// Why; `None` if whoever loaded it wanted it so.
    pub reason: Option<HoldReason>,
    /// What confirming it does: `sequence` is 0 until then.
    pub report: LoadReport,
    pub(super) generation: GenerationMessage,
    pub(super) folded_sequence: u64,
    /// Of the policy: removed, rejected.
    pub(super) percents: (u8, u8),
}

impl Held {
    /// Whether its generation is what was held; `told` hears of the bytes that were read.
    pub(super) fn is_whole(&self, disk: &dyn ReadDisk, told: &mut dyn FnMut(u64)) -> io::Result<bool> {
        let hash = whole_hash(disk, &self.id.generation_path(), self.generation.file_length, told)?;
        Ok(hash.is_some_and(|hash| hash.as_bytes()[..] == self.generation.blake3[..]))
    }

    /// Whether `view` is what it was built on, but for what came later.
    fn fits(&self, view: &View) -> bool {
        let current = view.ledgers.get(self.id.municipality.ordinal()).map_or(0, |ledger| ledger.generation_number());
        current + 1 == self.generation.generation && self.folded_sequence <= view.sequence()
    }
}

/// Held loads by the ordinals of their municipalities.
pub(super) type HeldLoads = BTreeMap<usize, Held>;

impl BuiltLoad {
    /// Holds the load, whatever `policy` says of its shares: nothing of it is visible until [`Store::confirm`]. One that is held already is replaced.
    ///
    /// # Errors
    ///
    /// [`LoadError::Disk`]; nothing is held then that was not before.
    pub fn hold(self, policy: &HoldPolicy) -> Result<Held, LoadError> {
        let shared = Arc::clone(&self.next.place.shared);
        let (disk, ordinal) = (&*shared.platform.disk, self.next.place.municipality.ordinal());
        let older = lock(&shared.held).get(&ordinal).cloned();
        let held = self.as_held(policy, older.as_ref());
        let mut next = self.next;
        let (directory, home) = (generation::directory(held.id.municipality), held.id.generation_path());
        disk.create_directory(&directory).map_err(failed("making", &directory))?;
        let staged = next.file.as_ref().expect("one that is not installed has a file");
        disk.rename(staged, &home).map_err(failed("moving into place", &home))?;
        next.file = Some(home);
        disk.sync_directory(&directory).map_err(failed("making durable", &directory))?;
        held_file::write(disk, shared.mark.id, &held).map_err(failed("writing", held.id.path()))?;
        lock(&shared.held).insert(ordinal, held.clone());
        if let Some(older) = older {
            shared.drop_held(&older, "a newer load is held");
        }
        next.file = None;
        let (municipality, id) = (held.id.municipality, held.id);
        tracing::warn!(%municipality, held = %id, "a load is held until somebody confirms or discards it");
        Ok(held)
    }

    fn as_held(&self, policy: &HoldPolicy, older: Option<&Held>) -> Held {
        let Successor { place, identity, built, sender, .. } = &self.next;
        let shared = &place.shared;
        let Identity { generation, salt, folded_position, five_digits, .. } = *identity;
        let mut id = HeldId { municipality: place.municipality, generation, mark: salt.0 as u16 };
        if older.is_some_and(|older| older.id == id) {
            id.mark = id.mark.wrapping_add(1);
        }
        // Where both files are found, the newer one counts, whatever the clock did.
        let held_at_ms = shared.platform.environment.now_ms();
        let held_at_ms = older.map_or(held_at_ms, |older| held_at_ms.max(older.held_at_ms + 1));
        Held {
            id,
            held_at_ms,
            expires_at_ms: held_at_ms.saturating_add(policy.keep.as_millis().try_into().unwrap_or(u64::MAX)),
            reason: self.exceeds(policy),
            // Lines of the file are told when the load is held, and not kept.
            report: LoadReport {
                rejected: Vec::new(),
                shared: Vec::new(),
                shared_counts: SharedCounts::default(),
                ..self.report.clone()
            },
            generation: GenerationMessage {
                municipality: five_digits,
                generation,
                file_length: built.file_length,
                salt: salt.0,
                folded_position,
                blake3: built.blake3.to_vec().into(),
                entries: built.entries,
                installed_sequence: 0,
                installed_at: 0,
                who: sender.who().to_owned(),
                reason: sender.reason().to_owned(),
            },
            folded_sequence: self.folded_sequence,
            percents: (policy.removed_percent, policy.rejected_percent),
        }
    }
}

impl Store {
    /// The loads that wait, by municipality. Those whose time has run out are removed.
    #[must_use]
    pub fn held(&self) -> Vec<Held> {
        self.shared.expire_held();
        lock(&self.shared.held).values().cloned().collect()
    }

    /// Makes a held load visible, as it was shown. Shots and single changes since its build stay.
    ///
    /// # Errors
    ///
    /// [`HeldError`]. Unless it is void, the load is still held then, except after [`RecordError::InDoubt`], where only opening the store again tells.
    pub fn confirm(&self, id: HeldId) -> Result<LoadReport, HeldError> {
        let place = Place::take(&self.shared, id.municipality)?;
        let held = self.shared.take_held(id)?;
        if !held.fits(&self.view()) && !broken(Mutation::ConfirmVoid) {
            self.shared.drop_held(&held, "another register was loaded since");
            return Err(HeldError::Void(id));
        }
        match self.shared.install_held(place, &held) {
            Ok(report) => {
                if let Err(error) = held_file::remove(&*self.shared.platform.disk, id) {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, held = %id, "the file of a confirmed load stays until the next open");
                }
                Ok(report)
            }
            Err(error) => {
                if !matches!(error, HeldError::Load(LoadError::Install(RecordError::InDoubt(_)))) {
                    lock(&self.shared.held).entry(id.municipality.ordinal()).or_insert(held);
                }
                Err(error)
            }
        }
    }

    /// Throws a held load away; the ledger stays as it is.
    ///
    /// # Errors
    ///
    /// [`HeldError`].
    pub fn discard(&self, id: HeldId) -> Result<(), HeldError> {
        let held = self.shared.take_held(id)?;
        if let Err(source) = held_file::remove(&*self.shared.platform.disk, id) {
            lock(&self.shared.held).entry(id.municipality.ordinal()).or_insert(held);
            return Err(HeldError::Disk { id, source });
        }
        self.shared.remove_generation(&held);
        tracing::info!(municipality = %id.municipality, held = %id, "a held load was discarded");
        Ok(())
    }
}

impl Shared {
    /// Takes a held load out, so that nobody else has it.
    fn take_held(&self, id: HeldId) -> Result<Held, HeldError> {
        let ordinal = id.municipality.ordinal();
        let now_ms = self.platform.environment.now_ms();
        let taken = {
            let mut loads = lock(&self.held);
            if loads.get(&ordinal).is_some_and(|held| held.id == id) { loads.remove(&ordinal) } else { None }
        };
        let Some(held) = taken else {
            let view = self.view.load_full();
            let current = view.ledgers.get(ordinal).map_or(0, |ledger| ledger.generation_number());
            return Err(if current >= id.generation { HeldError::Void(id) } else { HeldError::Unknown(id) });
        };
        if held.expires_at_ms <= now_ms {
            self.drop_held(&held, "its time ran out");
            return Err(HeldError::Expired(id));
        }
        Ok(held)
    }

    /// Verifies the generation of a held load, and installs it.
    fn install_held(&self, place: Place, held: &Held) -> Result<LoadReport, HeldError> {
        let (id, path) = (held.id, held.id.generation_path());
        let damaged = |what| HeldError::Damaged {
            id,
            damage: Damage { file: path.clone(), offset: 0, municipality: Some(id.municipality), what },
        };
        match whole_hash(&*self.platform.disk, &path, held.generation.file_length, &mut |_| {}) {
            Ok(Some(hash)) if hash.as_bytes()[..] == held.generation.blake3[..] => {}
            Ok(_) if broken(Mutation::ConfirmUnverified) => {}
            Ok(_) => return Err(damaged("length or BLAKE3 is not what the load was held with")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(damaged("the held generation is missing"));
            }
            Err(source) => return Err(LoadError::Disk { doing: "reading", path, source }.into()),
        }
        let blake3 = held.generation.blake3[..].try_into().map_err(|_| damaged("the held generation has no BLAKE3"))?;
        let built = BuiltLoad {
            next: Successor {
                place,
                file: Some(path.clone()),
                home: Some(path.clone()),
                identity: identity(self.mark, &held.generation),
                built: Built { file_length: held.generation.file_length, blake3, entries: held.generation.entries },
                sender: sender_of(&held.generation),
            },
            report: held.report.clone(),
            folded_sequence: held.folded_sequence,
        };
        built.install().map_err(HeldError::from)
    }

    /// The held load of a municipality is void: another register was installed.
    pub(super) fn void_held(&self, municipality: Municipality) {
        if broken(Mutation::ConfirmVoid) {
            return;
        }
        let held = lock(&self.held).remove(&municipality.ordinal());
        if let Some(held) = held {
            self.drop_held(&held, "another register was loaded");
        }
    }

    /// Removes held loads whose time has run out.
    pub(super) fn expire_held(&self) {
        if lock(&self.held).is_empty() {
            return;
        }
        let now_ms = self.platform.environment.now_ms();
        let expired: Vec<Held> =
            lock(&self.held).extract_if(.., |_, held| held.expires_at_ms <= now_ms).map(|(_, held)| held).collect();
        expired.iter().for_each(|held| self.drop_held(held, "its time ran out"));
    }

    /// Removes the files of a held load. What cannot be removed, the next open removes.
    fn drop_held(&self, held: &Held, why: &str) {
        tracing::info!(municipality = %held.id.municipality, held = %held.id, why, "a held load is void");
        if let Err(error) = held_file::remove(&*self.platform.disk, held.id) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, held = %held.id, "the files of a void load stay until the next open");
            return;
        }
        self.remove_generation(held);
    }

    fn remove_generation(&self, held: &Held) {
        if let Err(error) = self.platform.disk.remove(&held.id.generation_path()) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, held = %held.id, "the generation of a void load stays until the next open");
        }
    }
}

/// The BLAKE3 of a whole file; `None` if it does not have this length.
fn whole_hash(
    disk: &dyn ReadDisk,
    path: &Path,
    length: u64,
    told: &mut dyn FnMut(u64),
) -> io::Result<Option<blake3::Hash>> {
    let file = disk.open(path)?;
    if file.length()? != length {
        return Ok(None);
    }
    file_hash(&*file, length, told).map(Some)
}

/// What an open found in `held/`.
#[derive(Default)]
pub(super) struct Restored {
    pub(super) loads: HeldLoads,
    /// Files of loads that are void, half written or unreadable: they were removed.
    pub(super) removed: u64,
}

impl Restored {
    /// Where the generations of the loads lie.
    pub(super) fn generations(&self) -> impl Iterator<Item = PathBuf> {
        self.loads.values().map(|held| held.id.generation_path())
    }
}

/// Finds the held loads again. What is void goes before anybody sees the store, for good: it must not fit what will be logged then.
pub(super) fn restore(platform: &Platform, mark: StoreMark, view: &View) -> Result<Restored, OpenError> {
    let disk = &*platform.disk;
    let directory = Path::new(DIRECTORY);
    let failed = |doing, path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Disk { doing, path, source }
    };
    let files = disk.list(directory).map_err(failed("listing", directory))?;
    // The clock is asked only where something is held.
    let now_ms = if files.is_empty() { 0 } else { platform.environment.now_ms() };
    let (mut restored, mut void) = (Restored::default(), Vec::new());
    for path in &files {
        let id = path.file_name().and_then(|name| HeldId::parse(name.to_str()?).ok()).filter(|id| id.path() == *path);
        let Some(id) = id else {
            // Others' files are left alone.
            void.extend(held_file::is_temporary(path).then(|| (path.clone(), None)));
            continue;
        };
        let held = held_file::read(disk, mark.id, id).map_err(failed("reading", path))?;
        let held =
            held.filter(|held| held.expires_at_ms > now_ms && (held.fits(view) || broken(Mutation::ConfirmVoid)));
        let Some(held) = held.map_or(Ok(None), |held| find_generation(disk, mark, held))? else {
            void.push((path.clone(), Some(id)));
            continue;
        };
        // Whoever held the newer one was cut short before the older was gone.
        let ordinal = id.municipality.ordinal();
        let older = match restored.loads.remove(&ordinal) {
            Some(other) if other.held_at_ms > held.held_at_ms => Some((restored.loads.insert(ordinal, other), held).1),
            other => {
                restored.loads.insert(ordinal, held);
                other
            }
        };
        void.extend(older.map(|older| (older.id.path(), Some(older.id))));
    }
    for (path, id) in &void {
        disk.remove(path).map_err(failed("removing", path))?;
        if let Some(id) = id {
            tracing::warn!(municipality = %id.municipality, held = %id, "a held load is void, or its files are not whole: they were removed");
        }
    }
    restored.removed = void.len() as u64;
    // What was read may never have been synced, and what is gone, by this program or the one before, must not come back. Where nothing was ever held there is
    // no directory.
    if broken(Mutation::TrustUnsyncedHeld) {
        return Ok(restored);
    }
    match disk.sync_directory(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("making durable", directory)(error)),
        _ => Ok(restored),
    }
}

/// The load, if its generation is there, under its own name or under the one that a confirmation gave it which did not come to its end.
fn find_generation(disk: &dyn Disk, mark: StoreMark, held: Held) -> Result<Option<Held>, OpenError> {
    let municipality = held.id.municipality;
    let (home, target) = (held.id.generation_path(), generation::path(municipality, held.generation.generation));
    let is_there = |path: &Path| match Generation::open_at(
        disk,
        path,
        municipality,
        identity(mark, &held.generation),
        held.generation.file_length,
    ) {
        Ok(_) => Ok(true),
        Err(OpenGenerationError::Damaged(_) | OpenGenerationError::Newer(_)) => Ok(false),
        Err(OpenGenerationError::Disk(source)) => {
            Err(OpenError::Disk { doing: "mapping", path: path.to_owned(), source })
        }
    };
    if is_there(&home)? {
        return Ok(Some(held));
    }
    if !is_there(&target)? {
        return Ok(None);
    }
    let directory = generation::directory(municipality);
    let back = disk.rename(&target, &home).and_then(|()| disk.sync_directory(&directory));
    back.map_err(|source| OpenError::Disk { doing: "moving back", path: target, source })?;
    Ok(Some(held))
}
