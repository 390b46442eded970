//! The store's keys: asked for when something needs them, listed, and changed.
//!
//! Owns the way from the outside key to the data keys, and the rotation of both. Nothing but a My Number needs them: a store without its key matches, records
//! and shows ledgers.
//!
//! A rotation leaves the key that the manifest names in one of two files at every moment. In its own place it goes like this; into another file the first two
//! steps do.
//!
//! | step | a crash behind it finds |
//! |---|---|
//! | the new key is written beside the old one, `<key>.new`, and synced | the manifest that names the old key, in its place; the new one wraps nothing, and the next rotation takes it |
//! | the manifest is replaced by one whose data keys are wrapped under the new key | either manifest, and the key that it names: in `<key>`, or in `<key>.new` |
//! | the old key gets the name `<key>.<id>.old`, the new one `<key>` | the new key in `<key>.new` or in its place |

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sesshu_proto::v1::WrappedDataKey;

use super::view::Match;
use super::{Shared, Store, lock, manifest};
use crate::error::{Damage, KeyError, RotateError};
use crate::keys::{DataKey, OutsideKey};
use crate::mutation::{Mutation, broken};
use crate::ticket::Municipality;

/// What a rotation changes.
#[derive(Clone, Debug, Default)]
pub struct Rotation {
    /// The file of the new outside key, which is made if it is not there; `None`: in the place of the old one.
    pub new_key_file: Option<PathBuf>,
    /// Also adds a data key: what is sealed from now on is sealed with it, and rows come to it as their ledgers are loaded.
    pub new_data_key: bool,
}

/// What a rotation did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rotated {
    /// Where the outside key lies now.
    pub key_file: PathBuf,
    /// Where the one before it lies: copies of the store that are older need it.
    pub old_key_file: PathBuf,
    /// The newest data key.
    pub data_key: u32,
}

/// A data key of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedKey {
    /// Counts from 1.
    pub id: u32,
    /// Tells under which outside key it is wrapped, and says nothing about that.
    pub outside_key_id: String,
    /// New My Numbers are sealed with it.
    pub newest: bool,
    /// My Numbers that a view of this moment shows and it opens.
    pub my_numbers: u64,
}

/// Opens all data keys, newest last: there is one at least.
pub(super) fn data_keys(shared: &Shared) -> Result<Vec<DataKey>, KeyError> {
    let path = lock(&shared.key);
    let wrapped = lock(&shared.manifest).data_keys.clone();
    let outside = outside_key(&wrapped, &path)?;
    wrapped.iter().map(|wrapped| DataKey::unwrap(&outside, wrapped, &path)).collect()
}

/// The key under which the data keys are wrapped.
fn outside_key(wrapped: &[WrappedDataKey], path: &Path) -> Result<OutsideKey, KeyError> {
    let newest = wrapped.last().ok_or_else(|| KeyError::Missing(manifest::PATH.into()))?;
    OutsideKey::with_id(path, &newest.outside_key_id)
}

impl Store {
    /// Wraps the data keys under a new outside key.
    ///
    /// # Errors
    ///
    /// [`RotateError`]. The store goes on with the key that its manifest names: the old one, or, if writing the manifest failed, maybe the new one. Both are
    /// there, and the right one is found.
    pub fn rotate_key(&self, rotation: &Rotation) -> Result<Rotated, RotateError> {
        let shared = &*self.shared;
        let mut place = lock(&shared.key);
        let path = place.clone();
        if lock(&shared.manifest).is_closed() {
            return Err(RotateError::Closed);
        }
        let environment = &*shared.platform.environment;
        let wrapped = lock(&shared.manifest).data_keys.clone();
        let outside = outside_key(&wrapped, &path)?;
        let next = match &rotation.new_key_file {
            Some(file) if *file == path => return Err(RotateError::SameFile(path)),
            Some(file) => match OutsideKey::read(file) {
                Err(KeyError::Missing(_)) => OutsideKey::create(file, environment)?,
                key => key?,
            },
            None => OutsideKey::prepare(&path, &outside, environment)?,
        };
        if next.id() == outside.id() {
            return Err(RotateError::SameKey(rotation.new_key_file.clone().unwrap_or(path)));
        }
        let rewrap = |wrapped| DataKey::rewrap(&outside, &next, wrapped, &path, environment);
        let mut rewrapped = wrapped.iter().map(rewrap).collect::<Result<Vec<_>, KeyError>>()?;
        let mut data_key = wrapped.last().map_or(0, |newest| newest.id);
        if rotation.new_data_key {
            data_key += 1;
            let made = DataKey::create(&next, data_key, environment);
            rewrapped.push(made.map_err(|error| KeyError::Disk(path.clone(), error))?);
        }
        if broken(Mutation::TakePlaceBeforeManifest) && rotation.new_key_file.is_none() {
            OutsideKey::take_place(&path)?;
        }
        lock(&shared.manifest).data_keys = rewrapped;
        // Twice: the manifest before the current one must have the new keys, too.
        if let Err(error) = shared.name_what_is_there(false).and_then(|()| shared.name_what_is_there(false)) {
            // What is sealed from now on must be open to whichever manifest is found: a data key that may not be listed seals nothing.
            lock(&shared.manifest).data_keys = wrapped;
            return Err(error.into());
        }
        let Some(file) = &rotation.new_key_file else {
            let old_key_file = OutsideKey::take_place(&path)?.unwrap_or_else(|| path.clone());
            return Ok(Rotated { key_file: path, old_key_file, data_key });
        };
        place.clone_from(file);
        Ok(Rotated { key_file: file.clone(), old_key_file: path, data_key })
    }

    /// The data keys, oldest first, and how many My Numbers need each. Every row is read.
    ///
    /// # Errors
    ///
    /// [`Damage`] of a row.
    pub fn keys(&self) -> Result<Vec<ListedKey>, Damage> {
        let view = self.view();
        let mut needed = BTreeMap::<u32, u64>::new();
        for municipality in Municipality::all() {
            for item in view.ledger(municipality) {
                let person = match item? {
                    (_, Match::Matched(person) | Match::Orphan(person)) => person,
                    (_, Match::Damaged(damage)) => return Err(damage),
                    (_, Match::NotFound) => continue,
                };
                if let Some(row) = person.own_row()?.filter(|row| !row.sealed_my_number.is_empty()) {
                    *needed.entry(row.data_key_id).or_default() += 1;
                }
            }
        }
        let wrapped = lock(&self.shared.manifest).data_keys.clone();
        let newest = wrapped.last().map(|newest| newest.id);
        let listed = wrapped.iter().map(|key| ListedKey {
            id: key.id,
            outside_key_id: key.outside_key_id.iter().map(|byte| format!("{byte:02x}")).collect(),
            newest: newest == Some(key.id),
            my_numbers: needed.get(&key.id).copied().unwrap_or(0),
        });
        Ok(listed.collect())
    }
}
