//! A machine whose power can be cut, and what people saw and were told before.
//!
//! Owns the fixtures of the tests of durability: a store on a [`SimulatedDisk`], everything that a store shows, and everything that was acknowledged. What must
//! hold of them is in the test files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use rand::{Rng, RngExt};
use sesshu_engine::disk::{SimulatedDisk, Unsynced};
use sesshu_engine::error::{LoadError, OpenError, RecordError};
use sesshu_engine::{LoadReport, Options, Platform, Store};

use crate::{Answer, CHIYODA, NAHA, Place, ledger, municipality, row, shot, ticket};

/// Rows of every register here.
pub const ROWS: u64 = 5;

/// A store on a disk whose power can be cut.
pub struct Machine {
    /// Where its files are.
    pub place: Place,
    /// Its disk.
    pub disk: Arc<SimulatedDisk>,
}

impl Machine {
    /// A machine with an empty disk.
    pub fn empty() -> Machine {
        Machine::at(Place::in_memory())
    }

    /// A machine that finds this when it is switched on.
    pub fn at(place: Place) -> Machine {
        let disk = Arc::new(SimulatedDisk::on(&place.path(), 0).expect("a directory of files"));
        Machine { place, disk }
    }

    /// Opens the store, or makes it.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub fn try_open(&self) -> Result<Store, OpenError> {
        Store::open_on(Platform::on(self.disk.mount()), &self.place.path(), Options::default()).map(|(store, _)| store)
    }

    /// Opens the store, or makes it.
    pub fn open(&self) -> Store {
        self.try_open().expect("the store opens")
    }

    /// What is found after a power cut now, or when the disk stopped.
    pub fn cut(&self, unsynced: Unsynced) -> Place {
        let found = Place::in_memory();
        self.disk.platter_to(&found.path(), unsynced).expect("the new directory is written");
        // The key is not the engine's: whoever keeps it keeps it.
        if self.place.key().exists() {
            fs::copy(self.place.key(), found.key()).expect("the key is copied");
        }
        found
    }
}

/// Everything that a store shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// The ledger of Chiyoda.
    pub chiyoda: BTreeMap<u64, Answer>,
    /// The ledger of Naha.
    pub naha: BTreeMap<u64, Answer>,
    /// The newest visible event.
    pub sequence: u64,
}

impl Shown {
    /// By an open store.
    pub fn by(store: &Store) -> Shown {
        let view = store.view();
        let [chiyoda, naha] = [CHIYODA, NAHA].map(|code| ledger(&view, code).expect("nothing is damaged"));
        Shown { chiyoda, naha, sequence: view.sequence() }
    }

    /// What the store in `place` shows: the same after a second opening, also where the first one ended by a kill.
    pub fn in_place(place: &Place) -> Shown {
        let store = place.open();
        let shown = Shown::by(&store);
        let killed = place.copy();
        drop(store);
        for again in [&killed, place] {
            assert_eq!(Shown::by(&again.open()), shown, "a second opening shows the same");
        }
        shown
    }

    /// Capture ids and shot ids; none is there twice.
    pub fn shots(&self) -> BTreeMap<String, u64> {
        let mut shots = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for recorded in self.chiyoda.values().chain(self.naha.values()).flat_map(Answer::shots) {
            assert!(ids.insert(recorded.shot_id), "shot {} is there twice", recorded.shot_id);
            let capture_id = recorded.shot.clone().expect("a recorded shot is a shot").capture_id;
            assert_eq!(shots.insert(capture_id, recorded.shot_id), None, "a capture id is there twice");
        }
        shots
    }

    /// The version of the register of Chiyoda, which is there whole; 0 if there is none.
    pub fn version(&self) -> u32 {
        let names: Vec<&str> = self.chiyoda.values().filter_map(Answer::resident).map(|row| &*row.name).collect();
        let version = |name: &&str| {
            name.split('第')
                .nth(1)
                .expect("a name of the fixtures")
                .trim_end_matches('版')
                .parse::<u32>()
                .expect("a version")
        };
        let versions: BTreeSet<u32> = names.iter().map(version).collect();
        assert!(names.is_empty() || (names.len() as u64 == ROWS && versions.len() == 1), "not whole: {names:?}");
        versions.into_iter().next().unwrap_or(0)
    }
}

/// What the caller was told.
#[derive(Clone, Default, Debug)]
pub struct Told {
    /// Capture ids and shot ids.
    pub shots: BTreeMap<String, u64>,
    /// The newest version of the register of Chiyoda that was acknowledged.
    pub version: u32,
    /// The newest version that was offered, whatever became of it.
    pub offered: u32,
}

impl Told {
    /// Records a shot.
    ///
    /// # Errors
    ///
    /// As [`Store::record`]; then nothing was told.
    pub fn record(&mut self, store: &Store, code: u32, number: u64, capture_id: String) -> Result<(), RecordError> {
        let recorded = store.record(shot(ticket(code, number), 1, &capture_id))?;
        self.shots.insert(capture_id, recorded.shot_id);
        Ok(())
    }

    /// Loads a version of the register of Chiyoda.
    ///
    /// # Errors
    ///
    /// As [`try_load`]; then nothing was told.
    pub fn load(&mut self, store: &Store, version: u32) -> Result<(), LoadError> {
        self.offered = version;
        try_load(store, version)?;
        self.version = version;
        Ok(())
    }

    /// Whether a store shows what was told, and no register that was never offered.
    pub fn check(&self, shown: &Shown) {
        let held = shown.shots();
        for (capture_id, shot_id) in &self.shots {
            assert_eq!(held.get(capture_id), Some(shot_id), "shot {capture_id} was acknowledged");
        }
        assert!((self.version..=self.offered).contains(&shown.version()), "{self:?}, not {}", shown.version());
    }
}

/// Loads a version of the register of Chiyoda.
///
/// # Errors
///
/// As [`sesshu_engine::Load::commit`].
pub fn try_load(store: &Store, version: u32) -> Result<LoadReport, LoadError> {
    let mut load = store.load(municipality(CHIYODA))?;
    for number in 1..=ROWS {
        load.push(row(number, version))?;
    }
    load.commit(None)
}

/// One of the fates of what was not synced; torn half of the time.
pub fn draw(rng: &mut impl Rng, choice: u64) -> Unsynced {
    match choice % 4 {
        0 => Unsynced::Lost,
        1 => Unsynced::Zeros,
        _ => Unsynced::Torn(rng.random()),
    }
}
