//! `--across`: the same people in other municipalities.

use clap::Args;
use sesshu_proto::v1::Across as Asked;

use super::who::user;

/// The options of commands that show people.
#[derive(Debug, Args)]
pub(super) struct Across {
    /// With what other municipalities know of each person: whoever has the same My Number there, with their shots. Needs the store's key; the access log tells of
    /// every person before they are shown
    #[arg(long, requires = "purpose", conflicts_with = "as_known_at")]
    across: bool,
    /// What people are joined by My Number for; the access log keeps it
    #[arg(long, value_name = "TEXT", requires = "across")]
    purpose: Option<String>,
}

impl Across {
    /// What is asked for, if it is.
    pub(super) fn asked(&self) -> Option<Asked> {
        self.across.then(|| Asked { purpose: self.purpose.clone().unwrap_or_default(), who: user() })
    }
}
