//! What to generate: municipalities with their sizes, seed, encoding, bad rows, shots.
//!
//! [`Plan::spread`] makes a plan from totals, the way the command line asks; a plan may as well be written out by hand with
//! explicit municipalities. Either way [`Plan::check`] says whether it can be carried out, before a file is touched.
//!
//! Totals are split in proportion by largest remainders, in whole numbers: parts add up to the total exactly, and no part
//! exceeds its proportional share rounded up.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use sesshu_engine::ticket::Municipality;

use super::numbering::{BAD_ROWS_MAX, RESIDENTS_PER_MUNICIPALITY_MAX};
use super::population;

/// Shots that a resident can have had by November 2021.
pub const SHOTS_PER_RESIDENT_MAX: u64 = 2;

/// How files are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with a byte order mark in every other register.
    #[default]
    Utf8,
    /// CP932 (Windows-31J), rare kanji as private-use characters.
    Cp932,
}

/// A full description of what is generated: the same plan gives the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Each municipality once, with its number of residents.
    pub municipalities: Vec<(Municipality, u64)>,
    /// Everything random follows from it.
    pub seed: u64,
    /// Of all files.
    pub encoding: Encoding,
    /// Rows that cannot be read as a resident, in all registers together, besides the residents.
    pub bad_rows: u64,
    /// Shots in all; without any, no file of shots is written.
    pub shots: u64,
}

/// Why a plan cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A plan without municipalities.
    #[error("no municipality to generate: give at least one")]
    NoMunicipality,
    /// More municipalities than there are.
    #[error("{asked} municipalities asked for, and Japan has {existing}")]
    TooManyMunicipalities {
        /// How many were asked for.
        asked: usize,
        /// How many there are.
        existing: usize,
    },
    /// The same municipality more than once.
    #[error("municipality {0} is in the plan twice")]
    MunicipalityTwice(Municipality),
    /// Fewer residents than municipalities.
    #[error("{residents} residents cannot be split over {municipalities} municipalities: each needs one")]
    TooFewResidents {
        /// How many residents were asked for.
        residents: u64,
        /// Over how many municipalities.
        municipalities: usize,
    },
    /// More residents than a municipality's numbers last for.
    #[error(
        "municipality {municipality} would have {residents} residents, and {RESIDENTS_PER_MUNICIPALITY_MAX} is the most one can have"
    )]
    TooManyResidents {
        /// The municipality.
        municipality: Municipality,
        /// How many residents it would have.
        residents: u64,
    },
    /// More shots than residents can have had.
    #[error("{shots} shots are more than {SHOTS_PER_RESIDENT_MAX} for each of {residents} residents")]
    TooManyShots {
        /// How many shots were asked for.
        shots: u64,
        /// How many residents there are.
        residents: u64,
    },
    /// More bad rows than there are numbers for.
    #[error("{0} bad rows asked for, and {BAD_ROWS_MAX} is the most there can be")]
    TooManyBadRows(u64),
}

impl Plan {
    /// `residents` over `municipalities` real municipalities, large and small, in realistic proportions, and each at least
    /// one; without bad rows and shots, in UTF-8. One municipality is a middling city.
    ///
    /// # Errors
    /// [`PlanError`] where the numbers do not fit together.
    pub fn spread(residents: u64, municipalities: usize, seed: u64) -> Result<Plan, PlanError> {
        let existing = Municipality::all().len();
        if municipalities == 0 {
            return Err(PlanError::NoMunicipality);
        }
        if municipalities > existing {
            return Err(PlanError::TooManyMunicipalities { asked: municipalities, existing });
        }
        // Everyone gets one resident first, so that no register is empty.
        let Some(to_split) = residents.checked_sub(municipalities as u64) else {
            return Err(PlanError::TooFewResidents { residents, municipalities });
        };
        let chosen = population::spread(municipalities, seed);
        let people: Vec<u64> = chosen.iter().map(|&(_, people)| people).collect();
        let shares = apportion(to_split, &people);
        let municipalities =
            chosen.into_iter().zip(shares).map(|((municipality, _), share)| (municipality, share + 1)).collect();
        let plan = Plan { municipalities, seed, encoding: Encoding::default(), bad_rows: 0, shots: 0 };
        plan.check()?;
        Ok(plan)
    }

    /// Residents in all.
    #[must_use]
    pub fn residents(&self) -> u64 {
        self.municipalities.iter().fold(0, |sum, &(_, residents)| sum.saturating_add(residents))
    }

    /// Whether the plan can be carried out.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check(&self) -> Result<(), PlanError> {
        if self.municipalities.is_empty() {
            return Err(PlanError::NoMunicipality);
        }
        let mut seen = HashSet::new();
        for &(municipality, residents) in &self.municipalities {
            if !seen.insert(municipality) {
                return Err(PlanError::MunicipalityTwice(municipality));
            }
            if residents > RESIDENTS_PER_MUNICIPALITY_MAX {
                return Err(PlanError::TooManyResidents { municipality, residents });
            }
        }
        if self.bad_rows > BAD_ROWS_MAX {
            return Err(PlanError::TooManyBadRows(self.bad_rows));
        }
        let residents = self.residents();
        if self.shots > residents * SHOTS_PER_RESIDENT_MAX {
            return Err(PlanError::TooManyShots { shots: self.shots, residents });
        }
        Ok(())
    }

    /// Bad rows per municipality, in proportion to residents.
    pub(super) fn bad_rows_each(&self) -> Vec<u64> {
        // An empty register can hold bad rows too, when there is nobody anywhere.
        let sizes: Vec<u64> = self.municipalities.iter().map(|&(_, residents)| residents.max(1)).collect();
        apportion(self.bad_rows, &sizes)
    }

    /// Shots per municipality, in proportion to residents, and so never more than two for each.
    pub(super) fn shots_each(&self) -> Vec<u64> {
        let sizes: Vec<u64> = self.municipalities.iter().map(|&(_, residents)| residents).collect();
        apportion(self.shots, &sizes)
    }
}

/// `total` split in proportion to `weights` by largest remainders, earlier parts first among equals.
fn apportion(total: u64, weights: &[u64]) -> Vec<u64> {
    let sum: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
    if sum == 0 {
        assert_eq!(total, 0, "nothing can be split over nobody");
        return vec![0; weights.len()];
    }
    let product = |weight: u64| u128::from(total) * u128::from(weight);
    let mut parts: Vec<u64> = weights
        .iter()
        .map(|&weight| u64::try_from(product(weight) / sum).expect("a part is at most the total"))
        .collect();
    let mut by_remainder: Vec<usize> = (0..weights.len()).collect();
    by_remainder.sort_by_key(|&at| std::cmp::Reverse(product(weights[at]) % sum));
    let left_over = total - parts.iter().sum::<u64>();
    for &at in by_remainder.iter().take(usize::try_from(left_over).expect("less than one for each part is left over")) {
        parts[at] += 1;
    }
    parts
}

impl FromStr for Encoding {
    type Err = UnknownEncoding;

    fn from_str(name: &str) -> Result<Encoding, UnknownEncoding> {
        match name {
            "utf-8" => Ok(Encoding::Utf8),
            "cp932" => Ok(Encoding::Cp932),
            _ => Err(UnknownEncoding(name.to_owned())),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Encoding::Utf8 => "utf-8",
            Encoding::Cp932 => "cp932",
        })
    }
}

/// A name of an encoding that is not written here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("encoding {0:?} is not known: use utf-8 or cp932")]
pub struct UnknownEncoding(String);

#[cfg(test)]
mod tests {
    use sesshu_engine::ticket::Municipality;

    use super::{Plan, PlanError, apportion};

    #[test]
    fn parts_add_up_and_stay_within_one_of_their_share() {
        let weights = [3_755_098, 173, 25_500, 25_500, 1];
        for total in [0, 1, 2, 5, 999, 1_000_000, 100_000_000] {
            let parts = apportion(total, &weights);
            assert_eq!(parts.iter().sum::<u64>(), total);
            let sum: u64 = weights.iter().sum();
            assert!(parts.iter().zip(weights).all(|(&part, weight)| (part * sum).abs_diff(total * weight) < sum));
        }
    }

    #[test]
    fn all_municipalities_have_someone_from_1741_residents_to_100_million() {
        for residents in [1741, 1742, 5_000, 100_000_000] {
            let plan = Plan::spread(residents, 1741, 1).expect("possible");
            assert_eq!((plan.residents(), plan.municipalities.len()), (residents, 1741));
            assert!(plan.municipalities.iter().all(|&(_, residents)| residents > 0));
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_reason() {
        let plan = Plan::spread(10, 2, 1).expect("possible");
        let municipality = plan.municipalities[0].0;
        assert_eq!(Plan::spread(5, 0, 1), Err(PlanError::NoMunicipality));
        assert_eq!(Plan::spread(5000, 1742, 1), Err(PlanError::TooManyMunicipalities { asked: 1742, existing: 1741 }));
        assert_eq!(Plan::spread(5, 6, 1), Err(PlanError::TooFewResidents { residents: 5, municipalities: 6 }));
        assert!(matches!(
            Plan::spread(50_000_001, 1, 1),
            Err(PlanError::TooManyResidents { residents: 50_000_001, .. })
        ));
        assert_eq!(
            Plan { shots: 21, ..plan.clone() }.check(),
            Err(PlanError::TooManyShots { shots: 21, residents: 10 })
        );
        assert_eq!(Plan { bad_rows: 1 << 40, ..plan.clone() }.check(), Err(PlanError::TooManyBadRows(1 << 40)));
        let twice = Plan { municipalities: vec![(municipality, 1), (municipality, 2)], ..plan };
        assert_eq!(twice.check(), Err(PlanError::MunicipalityTwice(municipality)));
    }

    #[test]
    fn refusals_name_the_municipality_and_the_limit() {
        let sapporo = Municipality::all().next().expect("there are municipalities");
        let message = PlanError::TooManyResidents { municipality: sapporo, residents: 50_000_001 }.to_string();
        assert_eq!(message, "municipality 011002 would have 50000001 residents, and 50000000 is the most one can have");
    }
}
