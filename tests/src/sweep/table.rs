//! How often which harm to which file came to what.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use super::harm::Harm;

/// What came of a harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The store was not opened, and the right place named.
    Refused,
    /// The checkpoint was of no use; the log was read instead, and every answer is as before.
    Rebuilt,
    /// The store opened; some answers name the damage, all others are as before.
    Told,
    /// The unvouched end of the log was cut, and the report says how much.
    Cut,
    /// The store is as it was at an earlier moment: nothing can tell.
    Earlier,
    /// Every answer is as before.
    Harmless,
}

impl Outcome {
    const ALL: [Outcome; 6] =
        [Outcome::Refused, Outcome::Rebuilt, Outcome::Told, Outcome::Cut, Outcome::Earlier, Outcome::Harmless];
}

/// Counts.
#[derive(Clone, Debug, Default)]
pub struct Table(BTreeMap<(&'static str, &'static str, Outcome), u64>);

impl Table {
    pub(super) fn add(&mut self, harm: &Harm, outcome: Outcome) {
        *self.0.entry((kind(&harm.files()[0]), harm.kind(), outcome)).or_default() += 1;
    }

    pub(super) fn merge(&mut self, other: &Table) {
        for (key, count) in &other.0 {
            *self.0.entry(*key).or_default() += count;
        }
    }

    /// Trials that came to `outcome`, of files of a kind.
    pub fn count(&self, file: &str, outcome: Outcome) -> u64 {
        self.0.iter().filter(|((kind, _, came), _)| *kind == file && *came == outcome).map(|(_, count)| count).sum()
    }

    /// All trials.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

/// The kind of a file, for people.
fn kind(file: &Path) -> &'static str {
    match file.iter().next().and_then(|first| first.to_str()) {
        Some("log") => "segment",
        Some("ledgers") => "generation",
        Some("checkpoint") => "checkpoint",
        Some("MANIFEST") => "manifest",
        Some("LOCK") => "lock",
        Some("held") => "held load",
        Some("access") => "access log",
        _ => "other",
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:12} {:16}", "file", "harm")?;
        for outcome in Outcome::ALL {
            write!(f, " {:>10}", format!("{outcome:?}").to_lowercase())?;
        }
        writeln!(f)?;
        let rows: BTreeSet<(&str, &str)> = self.0.keys().map(|(file, harm, _)| (*file, *harm)).collect();
        for (file, harm) in rows {
            write!(f, "{file:12} {harm:16}")?;
            for outcome in Outcome::ALL {
                write!(f, " {:>10}", self.0.get(&(file, harm, outcome)).copied().unwrap_or(0))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
