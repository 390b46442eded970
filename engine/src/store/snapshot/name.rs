//! The name of a snapshot.
//!
//! Owns what may be one: it is the name of a directory, on whatever file system.

use std::fmt;
use std::path::{Path, PathBuf};

use super::DIRECTORY;
use crate::error::SnapshotError;

/// A name that was checked: letters, digits, `.`, `_` and `-`, 64 of them at most, with a letter or a digit first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotName(String);

impl SnapshotName {
    /// Reads a name.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Name`].
    pub fn parse(text: &str) -> Result<SnapshotName, SnapshotError> {
        let is_one = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
        let begins = text.chars().next().is_some_and(|first| first.is_ascii_alphanumeric());
        let right = begins && text.len() <= 64 && text.chars().all(is_one);
        right.then(|| SnapshotName(text.to_owned())).ok_or(SnapshotError::Name)
    }

    /// The snapshot's directory, inside the store.
    pub(in crate::store) fn directory(&self) -> PathBuf {
        Path::new(DIRECTORY).join(&self.0)
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_that_of_a_directory_and_of_no_other() {
        for name in ["before-rollout", "2021-04-12", "v1.2_final", "a", &"n".repeat(64)] {
            assert_eq!(SnapshotName::parse(name).map(|name| name.to_string()).ok().as_deref(), Some(name));
        }
        for name in ["", ".", "..", ".hidden", "-rf", "_", "a/b", "a b", "見本", "a\n", &"n".repeat(65)] {
            assert!(matches!(SnapshotName::parse(name), Err(SnapshotError::Name)), "{name:?}");
        }
    }
}
