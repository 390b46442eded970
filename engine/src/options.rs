//! How a store is opened.
//!
//! Owns the choices of whoever opens it. Defaults work.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::keys::OutsideKey;
use crate::rules::Rules;

/// Where the outside key comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum KeyLocation {
    /// `<store>.key` beside the store; made when the store is made.
    #[default]
    BesideStore,
    /// A file of the operator's; must exist.
    File(PathBuf),
}

impl KeyLocation {
    /// The file that holds the key of the store at `store`.
    #[must_use]
    pub fn path(&self, store: &Path) -> PathBuf {
        match self {
            KeyLocation::BesideStore => OutsideKey::default_path(store),
            KeyLocation::File(path) => path.clone(),
        }
    }
}

/// The choices of whoever opens a store.
#[derive(Debug, Clone)]
pub struct Options {
    /// Make a store where there is none.
    pub create: bool,
    /// Where the outside key comes from.
    pub key: KeyLocation,
    /// The rules by which shots get warnings.
    pub rules: Arc<Rules>,
}

impl Default for Options {
    fn default() -> Options {
        Options { create: true, key: KeyLocation::default(), rules: Arc::default() }
    }
}
