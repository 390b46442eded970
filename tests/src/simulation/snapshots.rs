//! Snapshots in a run: what was made is there until it is deleted, through every end, and a store that is restored from one holds what the model held then.
//!
//! Owns what people know of them. A fault leaves open whether one is there, until the next program tells.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use sesshu_engine::disk::RealDisk;
use sesshu_engine::error::{Damage, RestoreError, SnapshotError};
use sesshu_engine::{CompactionPolicy, ListedSnapshot, Moment, Options, Platform, SnapshotName, Store};

use super::model::Model;
use super::properties::{Damaged, Failure, blame, counts, ensure, finds, shows};
use super::runner::Runner;
use crate::Place;

/// Snapshots of a run at most: they are read at every open.
const KEPT_MAX: usize = 4;

/// A snapshot that was made, or may have been.
pub(super) struct Kept {
    name: SnapshotName,
    /// What the store held then.
    model: Model,
    /// Nothing has left open since whether it is there.
    sure: bool,
}

impl Runner {
    pub(super) fn create_snapshot(&mut self) -> Result<(), Failure> {
        if self.snapshots.len() == KEPT_MAX {
            return self.delete_snapshot(0);
        }
        let before = self.before();
        let name = SnapshotName::parse(&format!("s{}", self.snapshots_made)).expect("a name");
        self.snapshots_made += 1;
        let made = self.store().create_snapshot(&name);
        if made.is_err() {
            self.ghosts.insert(name.clone());
        }
        let kept = Kept { name, model: self.model.clone(), sure: made.is_ok() };
        self.snapshots.push(kept);
        self.damaged.append(&mut self.disk.damaged());
        match made {
            Ok(snapshot) => {
                self.ran.snapshots += 1;
                let (shown, held) = (snapshot.window().end.0, self.model.sequence());
                ensure(shown == held, "a snapshot is of this moment", || format!("{shown} instead of {held}"))
            }
            Err(SnapshotError::Damaged(damage)) => self.blame_in_snapshot(&damage, None),
            Err(error) => self.excuse(&before, &error),
        }
    }

    pub(super) fn delete_snapshot(&mut self, which: usize) -> Result<(), Failure> {
        let Some(at) = which.checked_rem(self.snapshots.len()) else { return Ok(()) };
        let before = self.before();
        match self.store().delete_snapshot(&self.snapshots[at].name) {
            Ok(()) => {
                self.snapshots.remove(at);
                self.is_listed(false)
            }
            Err(SnapshotError::Unknown(name)) if !self.snapshots[at].sure => {
                self.snapshots.retain(|kept| kept.name != name);
                Ok(())
            }
            Err(error) => {
                self.snapshots[at].sure = false;
                self.ghosts.insert(self.snapshots[at].name.clone());
                self.excuse(&before, &error)
            }
        }
    }

    /// Restores a store from a snapshot, as of a moment that `draw` tells, and holds it against the model.
    pub(super) fn restore(&mut self, which: usize, draw: u64) -> Result<(), Failure> {
        let Some(at) = which.checked_rem(self.snapshots.len()) else { return Ok(()) };
        let before = self.before();
        let (name, sure) = (self.snapshots[at].name.clone(), self.snapshots[at].sure);
        let snapshot = match self.store().snapshots().open(&name) {
            Ok(snapshot) => snapshot,
            Err(SnapshotError::Unknown(_)) if !sure => return Ok(()),
            Err(SnapshotError::Damaged(damage)) => return self.blame_in_snapshot(&damage, Some(&name)),
            Err(error) => return self.excuse(&before, &error),
        };
        let window = snapshot.window();
        let events = window.end.0 - window.begin.0 + 1;
        let moment = (!draw.is_multiple_of(3)).then(|| window.begin.0 + draw / 3 % events);
        let place = Place::in_memory();
        fs::create_dir(place.path()).expect("a directory");
        let platform = Platform {
            disk: Arc::new(RealDisk::existing(&place.path())),
            environment: self.world.clone(),
            threads: false,
        };
        let restored = snapshot.restore_on(platform.clone(), &place.path(), moment.map(Moment::Sequence), &mut |_| {});
        self.damaged.append(&mut self.disk.damaged());
        let restored = match restored {
            Ok(restored) => restored,
            Err(RestoreError::Snapshot(SnapshotError::Damaged(damage))) => {
                // One of which a deletion failed may have come back with the power, without its files.
                return if sure { self.blame_in_snapshot(&damage, Some(&name)) } else { Ok(()) };
            }
            Err(error) => return self.excuse(&before, &error),
        };
        let whole = &self.snapshots[at].model;
        let asked = moment.unwrap_or(whole.sequence());
        // Both events of an act, or neither.
        let sequence = if whole.whole(asked) == asked { asked } else { asked - 1 };
        ensure(restored.sequence == sequence, "a store is restored as of the moment that was asked for", || {
            format!("{restored:?} as of {sequence}")
        })?;
        fs::copy(self.place.key(), place.key()).expect("the key is there");
        let options = Options { compaction: CompactionPolicy::NEVER, create: false, ..Options::default() };
        let (store, _) = Store::open_on(platform, &place.path(), options).expect("a restored store opens");
        ensure(self.store().id() != store.id(), "a restored store has a name of its own", String::new)?;
        let model = whole.at(sequence);
        let none = Damaged::new();
        shows(&store.view(), &model, &none)?;
        counts(&store, &model, &none)?;
        // Under another key since, the My Numbers are not to be had with this one.
        if store.open_data_keys().is_ok() {
            finds(&store, &model, &none)?;
        }
        let again = store.create_snapshot(&name).and_then(|again| again.verify(&mut |_| {}));
        ensure(again.is_ok(), "a restored store has snapshots that are whole", || format!("{again:?}"))?;
        self.ran.snapshots_restored += 1;
        Ok(())
    }

    /// Snapshots that were made are listed, and no other is. `opened`: from now on that is certain.
    pub(super) fn is_listed(&mut self, opened: bool) -> Result<(), Failure> {
        let before = self.before();
        let listed = match self.store().snapshots().list() {
            Ok(listed) => listed,
            Err(error) => return self.excuse(&before, &error),
        };
        self.damaged.append(&mut self.disk.damaged());
        for ListedSnapshot { name, snapshot, .. } in &listed {
            if let Err(SnapshotError::Damaged(damage)) = snapshot {
                self.blame_in_snapshot(damage, Some(name))?;
            }
            let known = self.ghosts.contains(name) || self.snapshots.iter().any(|kept| kept.name == *name);
            ensure(known, "no snapshot is there that was not made, or was deleted", || name.to_string())?;
        }
        let is_there = |kept: &Kept| listed.iter().any(|listed| listed.name == kept.name);
        let missing = self.snapshots.iter().find(|kept| kept.sure && !is_there(kept));
        ensure(missing.is_none(), "a snapshot that was made is there", || {
            missing.map_or(String::new(), |it| it.name.to_string())
        })?;
        if opened && listed.iter().all(|listed| listed.snapshot.is_ok()) {
            self.snapshots.retain(is_there);
        }
        Ok(())
    }

    /// Damage in a snapshot, or in one that was being made, is that of a file that was damaged.
    fn blame_in_snapshot(&self, damage: &Damage, name: Option<&SnapshotName>) -> Result<(), Failure> {
        let inside = |name: &SnapshotName| Path::new("snapshots").join(name.to_string()).join(&damage.file);
        let newest = self.snapshots.last().map(|kept| &kept.name);
        let file = name.or(newest).map_or(damage.file.clone(), inside);
        blame(&Damage { file, ..damage.clone() }, &self.damaged)
    }
}
