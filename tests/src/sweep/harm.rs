//! What is done to the files of a store.
//!
//! Owns the kinds of harm, and the plan that lists them: each chosen byte of each file in three ways, and each file as a whole.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::subject::{Files, Subject};

/// Which bytes are harmed.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// All; else those that are not zero, some around them, and so many of the others of each file, drawn.
    pub zeros: Option<usize>,
    /// After one in so many trials more is recorded, and the store opened again.
    pub aftermath: usize,
    /// For what is drawn.
    pub seed: u64,
}

/// How far around a byte that is not zero the zeros are harmed too.
const AROUND: usize = 8;

/// One harm.
#[derive(Clone)]
pub(super) enum Harm {
    /// A byte is another.
    Flip { file: PathBuf, at: usize, with: u8 },
    /// A byte that was not zero is.
    Zero { file: PathBuf, at: usize },
    /// The file ends before this byte.
    Truncate { file: PathBuf, at: usize },
    /// The file is gone.
    Remove { file: PathBuf },
    /// A byte follows the file's last.
    Extend { file: PathBuf },
    /// The file is as it was at an earlier moment, of so many.
    Older { file: PathBuf, index: usize },
    /// The file is that of another store.
    Foreign { file: PathBuf, bytes: Arc<[u8]> },
    /// Two files have each other's names.
    Exchange { files: [PathBuf; 2] },
}

impl Harm {
    /// The files that it harms.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        match self {
            Harm::Flip { file, .. }
            | Harm::Zero { file, .. }
            | Harm::Truncate { file, .. }
            | Harm::Remove { file }
            | Harm::Extend { file }
            | Harm::Older { file, .. }
            | Harm::Foreign { file, .. } => vec![file.clone()],
            Harm::Exchange { files } => files.to_vec(),
        }
    }

    /// For people.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Harm::Flip { .. } => "byte flipped",
            Harm::Zero { .. } => "byte zeroed",
            Harm::Truncate { .. } => "truncated",
            Harm::Remove { .. } => "removed",
            Harm::Extend { .. } => "extended",
            Harm::Older { .. } => "older version",
            Harm::Foreign { .. } => "another store's",
            Harm::Exchange { .. } => "two exchanged",
        }
    }

    /// The place in the file, if it is one byte's.
    pub(super) fn at(&self) -> Option<usize> {
        match self {
            Harm::Flip { at, .. } | Harm::Zero { at, .. } => Some(*at),
            _ => None,
        }
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.files().iter().map(|file| file.display().to_string()).collect();
        write!(f, "{} {}", names.join(" and "), self.kind())?;
        match self {
            Harm::Flip { at, with, .. } => write!(f, " at {at} with {with:#04x}"),
            Harm::Zero { at, .. } | Harm::Truncate { at, .. } => write!(f, " at {at}"),
            Harm::Older { index, .. } => write!(f, " {index}"),
            _ => Ok(()),
        }
    }
}

/// Every harm of a sweep, by number.
pub(super) struct Plan {
    files: Vec<Harm>,
    bytes: Vec<Places>,
    seed: u64,
}

/// Bytes of one file.
struct Places {
    file: PathBuf,
    /// Those that are not zero are harmed in three ways, the others in two.
    nonzero: Vec<u32>,
    zero: Vec<u32>,
}

impl Places {
    fn harms(&self) -> usize {
        3 * self.nonzero.len() + 2 * self.zero.len()
    }
}

impl Plan {
    pub(super) fn count(&self) -> usize {
        self.files.len() + self.bytes.iter().map(Places::harms).sum::<usize>()
    }

    /// The harm with this number.
    pub(super) fn harm(&self, number: usize) -> Harm {
        let Some(mut rest) = number.checked_sub(self.files.len()) else { return self.files[number].clone() };
        let mut places = self.bytes.iter();
        let places = loop {
            let places = places.next().expect("a plan has a harm for every number below its count");
            if rest < places.harms() {
                break places;
            }
            rest -= places.harms();
        };
        let (way, at) = match rest.checked_sub(3 * places.nonzero.len()) {
            None => (rest % 3, places.nonzero[rest / 3]),
            Some(rest) => (rest % 2, places.zero[rest / 2]),
        };
        let (file, at) = (places.file.clone(), at as usize);
        match way {
            0 => Harm::Truncate { file, at },
            1 => Harm::Flip { file, at, with: 1 + (mix(self.seed ^ number as u64) % 255) as u8 },
            _ => Harm::Zero { file, at },
        }
    }
}

/// Lists the harms.
pub(super) fn plan(subject: &Subject, choice: &Choice) -> Plan {
    let bytes = subject.files.iter().map(|(file, bytes)| places(file, bytes, choice));
    Plan { files: whole_files(subject), bytes: bytes.collect(), seed: choice.seed }
}

fn places(file: &Path, bytes: &[u8], choice: &Choice) -> Places {
    let mut chosen = vec![choice.zeros.is_none(); bytes.len()];
    for at in (0..bytes.len()).filter(|&at| bytes[at] != 0) {
        chosen[at.saturating_sub(AROUND)..bytes.len().min(at + AROUND)].fill(true);
    }
    for draw in 0..choice.zeros.unwrap_or(0) {
        chosen[(mix(choice.seed ^ (draw as u64) << 32) % bytes.len() as u64) as usize] = true;
    }
    let chosen = (0..bytes.len() as u32).filter(|&at| chosen[at as usize]);
    let (zero, nonzero) = chosen.partition(|&at| bytes[at as usize] == 0);
    Places { file: file.to_owned(), nonzero, zero }
}

fn whole_files(subject: &Subject) -> Vec<Harm> {
    let mut harms = Vec::new();
    for file in subject.files.keys() {
        harms.push(Harm::Remove { file: file.clone() });
        harms.push(Harm::Extend { file: file.clone() });
        harms.push(Harm::Foreign { file: file.clone(), bytes: counterpart(&subject.twin, file).into() });
    }
    harms
        .extend(subject.older.iter().enumerate().map(|(index, older)| Harm::Older { file: older.file.clone(), index }));
    for folder in ["log", "ledgers"] {
        let files: Vec<&PathBuf> = subject.files.keys().filter(|file| file.starts_with(folder)).collect();
        for (at, one) in files.iter().enumerate() {
            harms.extend(
                files[at + 1..].iter().map(|other| Harm::Exchange { files: [(*one).clone(), (*other).clone()] }),
            );
        }
    }
    harms
}

/// The file of another store that is there what `file` is here.
fn counterpart<'f>(twin: &'f Files, file: &Path) -> &'f [u8] {
    twin.get(file)
        .or_else(|| twin.iter().find(|(other, _)| other.parent() == file.parent()).map(|(_, bytes)| bytes))
        .expect("the other store has such a file")
}

/// Spreads a number over all 64 bits.
pub(super) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
