//! What programs read of keys and of the access log.
//!
//! Owns the field names and texts, as `answer` does of everything else.

use serde::Serialize;

use crate::answer::time;

/// What `access` says of an entry.
#[derive(Debug, Serialize)]
pub struct AccessAnswer {
    /// Counts from 1.
    pub sequence: u64,
    /// RFC 3339, UTC.
    pub time: String,
    /// As whoever asked called themself, and where the question came from.
    pub who: String,
    /// What for.
    pub purpose: String,
    /// How many people were found.
    pub found: u64,
}

impl AccessAnswer {
    /// An entry of the access log.
    #[must_use]
    pub fn new(access: sesshu_engine::Access) -> AccessAnswer {
        let time = time(access.time_ms);
        AccessAnswer { sequence: access.sequence, time, who: access.who, purpose: access.purpose, found: access.found }
    }
}

/// What `key list` says of a data key.
#[derive(Debug, Serialize)]
pub struct KeyAnswer {
    /// Counts from 1.
    pub id: u32,
    /// Tells outside keys apart.
    pub outside_key: String,
    /// What is loaded is sealed with it.
    pub newest: bool,
    /// My Numbers that it opens.
    pub my_numbers: u64,
}

impl KeyAnswer {
    /// A data key.
    #[must_use]
    pub fn new(key: sesshu_engine::ListedKey) -> KeyAnswer {
        KeyAnswer { id: key.id, outside_key: key.outside_key_id, newest: key.newest, my_numbers: key.my_numbers }
    }
}

/// What `key rotate` says.
#[derive(Debug, Serialize)]
pub struct RotateAnswer {
    /// Where the outside key lies.
    pub key_file: String,
    /// Where the one before it lies.
    pub old_key_file: String,
    /// The newest data key.
    pub data_key: u32,
}

impl RotateAnswer {
    /// What was done.
    #[must_use]
    pub fn new(rotated: sesshu_engine::Rotated) -> RotateAnswer {
        let text = |path: std::path::PathBuf| path.display().to_string();
        RotateAnswer {
            key_file: text(rotated.key_file),
            old_key_file: text(rotated.old_key_file),
            data_key: rotated.data_key,
        }
    }
}
