//! One municipality's invented residents, each a function of seed, municipality and place in the register.
//!
//! A [`Register`] gives the resident at any place at once; [`residents`] goes through them in order. Rows for files, tickets
//! for shots and inputs for benchmarks all come from here, so they agree. Fields borrow the name lists or are small values:
//! drawing a resident allocates nothing.
//!
//! Shares that are set here: 0.1 % protected, 0.1 % with a birth date of which only the year is known (the old, whose
//! papers were lost), 0.2 % each without resident number or My Number, 0.5 % moved out and 0.8 % deceased.

use sesshu_engine::ticket::{BirthDate, Date, Municipality, MyNumber, Ticket};

use super::demography::{self, Sex};
use super::draw::{Draws, Purpose, key};
use super::names::{self, Name};
use super::numbering::{Numbering, ResidentNumber};

const PROTECTED_PER_MILLION: u64 = 1_000;
const NO_RESIDENT_NUMBER_PER_MILLION: u64 = 2_000;
const NO_MY_NUMBER_PER_MILLION: u64 = 2_000;
const MOVED_OUT_PER_MILLION: u64 = 5_000;
const DECEASED_PER_MILLION: u64 = 8_000;

/// Of those born before 1950, some 22 % of everybody.
const ONLY_YEAR_KNOWN_PER_MILLION: u64 = 5_000;
const ONLY_YEAR_KNOWN_BEFORE_YEAR: u32 = 1950;

/// What a snapshot says has become of a resident (異動区分), with the date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Movement {
    /// Nothing: the column is empty.
    None,
    /// 転出
    MovedOut(Date),
    /// 死亡
    Deceased(Date),
}

/// An invented resident.
#[derive(Clone, Debug)]
pub struct GeneratedResident {
    /// Municipality and ticket number, unique.
    pub ticket: Ticket,
    /// The municipality's own number, unique in it.
    pub resident_number: Option<ResidentNumber>,
    /// Valid, and unique over all municipalities of a seed.
    pub my_number: Option<MyNumber>,
    /// Family name.
    pub family: &'static Name,
    /// Given name.
    pub given: &'static Name,
    /// Of a few, only the year is known.
    pub birth_date: BirthDate,
    /// Sex.
    pub sex: Sex,
    /// Moved out, deceased, or neither.
    pub movement: Movement,
    /// 支援措置
    pub protected: bool,
}

impl GeneratedResident {
    /// Family and given name with an ideographic space, as the column 氏名 has them.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}\u{3000}{}", self.family.written, self.given.written)
    }

    /// Their readings, as the column 氏名カナ has them.
    #[must_use]
    pub fn name_kana(&self) -> String {
        format!("{}\u{3000}{}", self.family.reading, self.given.reading)
    }
}

/// The residents of one municipality under one seed, by place.
pub struct Register {
    municipality: Municipality,
    key: u64,
    numbering: Numbering,
}

impl Register {
    /// The register of `municipality` under `seed`.
    #[must_use]
    pub fn new(seed: u64, municipality: Municipality) -> Register {
        Register {
            municipality,
            key: key(seed, Purpose::Residents, municipality.code()),
            numbering: Numbering::of(seed, municipality),
        }
    }

    /// Whose register it is.
    #[must_use]
    pub fn municipality(&self) -> Municipality {
        self.municipality
    }

    /// The resident at `place`, counted from 0.
    ///
    /// # Panics
    /// From [`RESIDENTS_PER_MUNICIPALITY_MAX`](super::RESIDENTS_PER_MUNICIPALITY_MAX) on, where numbers would repeat.
    #[must_use]
    pub fn resident(&self, place: u64) -> GeneratedResident {
        self.drawn(
            place,
            self.numbering.ticket_number(place),
            self.numbering.my_number(place),
            Some(self.numbering.resident_number(place)),
        )
    }

    /// The resident of a bad row, before it is spoiled: like any other, with numbers that no resident has.
    pub(super) fn bad_row_resident(&self, place: u64, ticket_number: u64, my_number: u64) -> GeneratedResident {
        self.drawn(u64::MAX - place, ticket_number, my_number, None)
    }

    fn drawn(
        &self,
        index: u64,
        ticket_number: u64,
        my_number: u64,
        resident_number: Option<ResidentNumber>,
    ) -> GeneratedResident {
        let mut draws = Draws::keyed(self.key, index);
        let (born, sex) = demography::birth(&mut draws);
        let birth_year = born.yyyymmdd() / 10_000;
        let family = names::family(&mut draws);
        let given = names::given(&mut draws, sex, birth_year);
        let birth_date = if birth_year < ONLY_YEAR_KNOWN_BEFORE_YEAR && draws.per_million(ONLY_YEAR_KNOWN_PER_MILLION) {
            BirthDate::from_yyyymmdd(birth_year * 10_000).expect("month and day may be open")
        } else {
            BirthDate::from(born)
        };
        // One draw for five rare properties, each from its own stretch of the million.
        let rare = draws.below(1_000_000);
        let stretch = |start: u64, length: u64| (start..start + length).contains(&rare);
        let movement = if stretch(100_000, MOVED_OUT_PER_MILLION) {
            Movement::MovedOut(demography::movement_date(&mut draws))
        } else if stretch(200_000, DECEASED_PER_MILLION) {
            Movement::Deceased(demography::movement_date(&mut draws))
        } else {
            Movement::None
        };
        GeneratedResident {
            ticket: Ticket::new(self.municipality, ticket_number).expect("numberings stay within ten digits"),
            resident_number: resident_number.filter(|_| !stretch(300_000, NO_RESIDENT_NUMBER_PER_MILLION)),
            my_number: (!stretch(400_000, NO_MY_NUMBER_PER_MILLION))
                .then(|| MyNumber::from_value(my_number).expect("a My Number made with its check digit is valid")),
            family,
            given,
            birth_date,
            sex,
            movement,
            protected: stretch(500_000, PROTECTED_PER_MILLION),
        }
    }
}

/// The first `count` residents of a municipality, in the order of its register, without going through a file.
///
/// # Panics
/// When it gets to [`RESIDENTS_PER_MUNICIPALITY_MAX`](super::RESIDENTS_PER_MUNICIPALITY_MAX).
pub fn residents(seed: u64, municipality: Municipality, count: u64) -> impl Iterator<Item = GeneratedResident> {
    let register = Register::new(seed, municipality);
    (0..count).map(move |place| register.resident(place))
}
