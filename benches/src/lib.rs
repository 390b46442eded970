//! Workloads of the benches: a nation of invented residents in a store, and tickets to ask for.
//!
//! Owns the sizes and the shape of the data, so that all benches ask of the same nation: a million residents in all 1,741 municipalities, two shots each.
//! Everything is a function of one seed. Stores lie on the disk of the build directory, so a sync is a real one.

use std::path::Path;

use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sesshu::generate::{GeneratedResident, GeneratedShot, Movement, Plan, Sex, residents, shots_of};
use sesshu_engine::intake::{Row, ShotRecord};
use sesshu_engine::ticket::{Municipality, Ticket};
use sesshu_engine::{Options, Store};
use sesshu_proto::v1::{Resident, ResidentStatus, Sex as SexMessage, Shot, Source};
use tempfile::TempDir;

/// Residents of the nation.
pub const RESIDENTS: u64 = 1_000_000;

/// The seed of everything.
pub const SEED: u64 = 20_210_412;

/// A store with a nation in it.
pub struct Nation {
    /// The store.
    pub store: Store,
    /// The ticket of every resident, shuffled.
    pub tickets: Vec<Ticket>,
    /// Tickets that no register has, of municipalities that have one.
    pub strangers: Vec<Ticket>,
    _directory: TempDir,
}

/// Where the two shots of every resident lie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shots {
    /// There are none.
    None,
    /// In the log: the register was loaded first.
    InTail,
    /// Folded into the generation: the register was loaded again after them.
    Folded,
}

impl Nation {
    /// Loads a nation of `residents` into a new store below `directory`.
    #[must_use]
    pub fn settle(directory: &Path, residents: u64, shots: Shots) -> Nation {
        let directory = tempfile::tempdir_in(directory).expect("the build directory can be written");
        let (store, _) = Store::open(&directory.path().join("store"), Options::default()).expect("a new store opens");
        let sizes = sizes(residents);
        sizes.iter().for_each(|&size| load(&store, size));
        if shots != Shots::None {
            for &(municipality, residents) in &sizes {
                let batch = shots_of(SEED, municipality, residents, residents * 2).map(|shot| shot_record(&shot));
                let answers = store.record_many(batch.collect());
                assert!(answers.iter().all(Result::is_ok), "every shot is recorded");
            }
        }
        if shots == Shots::Folded {
            sizes.iter().for_each(|&size| load(&store, size));
        }
        let tickets = tickets(&sizes);
        let strangers = strangers(&store, &tickets);
        Nation { store, tickets, strangers, _directory: directory }
    }
}

/// The municipalities of a nation and how many live in each.
#[must_use]
pub fn sizes(residents: u64) -> Vec<(Municipality, u64)> {
    Plan::spread(residents, Municipality::COUNT, SEED).expect("a resident for each municipality").municipalities
}

/// Loads one municipality's register from memory.
pub fn load(store: &Store, (municipality, count): (Municipality, u64)) {
    let mut load = store.load(municipality).expect("no other load is under way");
    for (line, resident) in residents(SEED, municipality, count).enumerate() {
        load.push(row(&resident, line as u64 + 2)).expect("a checked row is taken");
    }
    load.commit(Some(count)).expect("the register is loaded");
}

/// The register row of a resident.
#[must_use]
pub fn row(resident: &GeneratedResident, line: u64) -> Row {
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
    };
    Row::check(resident.ticket.number(), resident.my_number, message, line).expect("a generated resident is valid")
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
