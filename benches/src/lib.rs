//! Workloads of the benches: a nation of invented residents in a store, and tickets to ask for.
//!
//! Owns the sizes and the shape of the data, so that all benches ask of the same nation: residents in all 1,741 municipalities, two shots each. There are a
//! million of them, or as many as `SESSHU_BENCH_RESIDENTS` says. Everything is a function of one seed. Stores lie on the disk of the build directory, so a
//! sync is a real one, and are removed at the end.

mod alternate;
mod bare;
mod served;
mod supply;

use std::path::Path;
use std::sync::{Arc, LazyLock};

use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sesshu::generate::{GeneratedResident, GeneratedShot, Movement, Plan, Sex, residents, shots_of};
use sesshu_engine::intake::{Row, ShotRecord};
use sesshu_engine::ticket::{Municipality, MyNumber, Ticket};
use sesshu_engine::{Options, Store};
use sesshu_proto::v1::{Resident, ResidentStatus, Sex as SexMessage, Shot, Source};
use tempfile::TempDir;

pub use alternate::{Alternative, alternate, alternate_few, alternate_singles};
pub use bare::Bare;
pub use served::Served;
pub use supply::Supply;

/// Residents of the nation.
pub static RESIDENTS: LazyLock<u64> = LazyLock::new(|| {
    std::env::var("SESSHU_BENCH_RESIDENTS").map_or(1_000_000, |count| count.parse().expect("a number of residents"))
});

/// The seed of everything.
pub const SEED: u64 = 20_210_412;

/// A store with a nation in it.
pub struct Nation {
    /// The store.
    pub store: Arc<Store>,
    /// The ticket of every resident, shuffled.
    pub tickets: Vec<Ticket>,
    /// Tickets that no register has, of municipalities that have one.
    pub strangers: Vec<Ticket>,
    sizes: Vec<(Municipality, u64)>,
    directory: TempDir,
}

impl Nation {
    /// Loads a nation of `residents` into a new store below `directory`. Nobody has a shot yet.
    #[must_use]
    pub fn settle(directory: &Path, residents: u64) -> Nation {
        Nation::settle_with(directory, residents, Options::default())
    }

    /// As [`Nation::settle`], in a store that is opened otherwise.
    #[must_use]
    pub fn settle_with(directory: &Path, residents: u64, options: Options) -> Nation {
        let directory = tempfile::tempdir_in(directory).expect("the build directory can be written");
        let (store, _) = Store::open(&directory.path().join("store"), options).expect("a new store opens");
        let (store, sizes) = (Arc::new(store), sizes(residents));
        load_all(&store, &sizes);
        let tickets = tickets(&sizes);
        let strangers = strangers(&store, &tickets);
        Nation { store, tickets, strangers, sizes, directory }
    }

    /// Records two shots for every resident. They lie in the log until they are folded.
    #[must_use]
    pub fn with_shots(self) -> Nation {
        for &(municipality, residents) in &self.sizes {
            let batch = shots_of(SEED, municipality, residents, residents * 2).map(|shot| shot_record(&shot));
            let answers = self.store.record_many(batch.collect());
            assert!(answers.iter().all(Result::is_ok), "every shot is recorded");
        }
        self
    }

    /// Loads every register again, which folds the shots into the generations.
    #[must_use]
    pub fn folded(self) -> Nation {
        self.fold();
        self
    }

    /// As [`Nation::folded`], in place.
    pub fn fold(&self) {
        load_all(&self.store, &self.sizes);
    }
}

impl Nation {
    /// Closes the store and keeps its files for as long as what is returned lives.
    #[must_use]
    pub fn into_directory(self) -> TempDir {
        self.store.close().expect("the store is closed");
        self.directory
    }
}

/// Records about `shots` shots, spread over a nation of `residents`.
pub fn record_shots(store: &Store, residents: u64, shots: u64) {
    for (municipality, count) in sizes(residents) {
        let share = (count * shots).div_ceil(residents);
        let batch = shots_of(SEED, municipality, count, share).map(|shot| shot_record(&shot));
        assert!(store.record_many(batch.collect()).iter().all(Result::is_ok), "every shot is recorded");
    }
}

/// The municipalities of a nation and how many live in each.
#[must_use]
pub fn sizes(residents: u64) -> Vec<(Municipality, u64)> {
    Plan::spread(residents, Municipality::COUNT, SEED).expect("a resident for each municipality").municipalities
}

/// Loads every register, on two threads.
fn load_all(store: &Store, sizes: &[(Municipality, u64)]) {
    std::thread::scope(|scope| {
        for thread in 0..2 {
            scope.spawn(move || sizes.iter().skip(thread).step_by(2).for_each(|&size| load(store, size)));
        }
    });
}

/// Loads one municipality's register from memory.
pub fn load(store: &Store, (municipality, count): (Municipality, u64)) {
    let mut load = store.load(municipality).expect("no other load is under way");
    for (line, resident) in residents(SEED, municipality, count).enumerate() {
        load.push(row(&resident, line as u64 + 2)).expect("a checked row is taken");
    }
    load.commit(Some(count)).expect("the register is loaded");
}

/// The register row of a resident, checked.
#[must_use]
pub fn row(resident: &GeneratedResident, line: u64) -> Row {
    check(unchecked_row(resident, line))
}

/// What a register row is made of.
pub type UncheckedRow = (u64, Option<MyNumber>, Resident, u64);

/// Checks a row.
#[must_use]
pub fn check((number, my_number, resident, line): UncheckedRow) -> Row {
    Row::check(number, my_number, resident, line).expect("a generated resident is valid")
}

/// The register row of a resident, as it is before it is checked.
#[must_use]
pub fn unchecked_row(resident: &GeneratedResident, line: u64) -> UncheckedRow {
    let (status, status_date) = match resident.movement {
        Movement::None => (ResidentStatus::Active, 0),
        Movement::MovedOut(date) => (ResidentStatus::MovedOut, date.yyyymmdd()),
        Movement::Deceased(date) => (ResidentStatus::Deceased, date.yyyymmdd()),
    };
    let sex = match resident.sex {
        Sex::Male => SexMessage::Male,
        Sex::Female => SexMessage::Female,
        Sex::NotStated => SexMessage::Unknown,
    };
    let number = |number: sesshu::generate::ResidentNumber| {
        format!("{:0width$}", number.value, width = usize::from(number.digits))
    };
    let message = Resident {
        resident_number: resident.resident_number.map(number).unwrap_or_default(),
        name: resident.name(),
        name_kana: resident.name_kana(),
        birth_date: resident.birth_date.yyyymmdd(),
        sex: sex.into(),
        status: status.into(),
        status_date,
        protected: resident.protected,
        ..Resident::default()
    };
    (resident.ticket.number(), resident.my_number, message, line)
}

/// The record of a shot.
#[must_use]
pub fn shot_record(shot: &GeneratedShot) -> ShotRecord {
    let message = Shot {
        date: shot.date.yyyymmdd(),
        dose: u32::from(shot.dose),
        vaccine: shot.maker.name().to_owned(),
        lot: shot.lot.to_string(),
        venue: shot.venue.name.clone(),
        institution: shot.venue.institution_code.clone().unwrap_or_default(),
        doctor: shot.venue.doctors[shot.doctor].clone(),
        capture_id: shot.capture_id.clone(),
        source: Source::Terminal.into(),
        ..Shot::default()
    };
    ShotRecord::check(shot.line, message).expect("a generated shot is valid")
}

fn tickets(sizes: &[(Municipality, u64)]) -> Vec<Ticket> {
    let of = |&(municipality, count)| residents(SEED, municipality, count).map(|resident| resident.ticket);
    let mut tickets: Vec<Ticket> = sizes.iter().flat_map(of).collect();
    tickets.shuffle(&mut ChaCha8Rng::seed_from_u64(SEED));
    tickets
}

fn strangers(store: &Store, tickets: &[Ticket]) -> Vec<Ticket> {
    let mut random = ChaCha8Rng::seed_from_u64(SEED + 1);
    let view = store.view();
    let unknown = |ticket: &Ticket| matches!(view.match_ticket(*ticket), sesshu_engine::Match::NotFound);
    let misread = |ticket: &Ticket| {
        let number = random.random_range(0..10_000_000_000_u64);
        Ticket::new(ticket.municipality(), number).expect("ten digits")
    };
    tickets.iter().take(200_000).map(misread).filter(unknown).collect()
}
