//! `sesshu rules`: the rules by which shots get warnings; and `--rules FILE`, with which commands that record are given others.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use sesshu_engine::rules::Rules as Table;

use super::results::results;
use crate::failure::{Done, Failure};

/// Print the rules that are built in, or check a table of your own
///
/// Rules warn and refuse nothing. Those that are built in are the national programme's of 2021 and 2022; the table explains its own format. To have others, write
/// them to a file, change it, check it, and give it to `serve --rules` or `record --rules`.
#[derive(Debug, Args)]
pub(super) struct Rules {
    /// Say whether this file is a table of rules
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

impl Rules {
    pub(super) fn run(self) -> Result<Done, Failure> {
        match self.check {
            None => results().write_all(Table::BUILT_IN.as_bytes())?,
            Some(file) => {
                read(&file)?;
                writeln!(results(), "{}: a table of rules", file.display())?;
            }
        }
        Ok(Done::Whole)
    }
}

/// `--rules`.
#[derive(Debug, Args)]
pub(super) struct RulesFile {
    /// The rules by which shots get warnings [default: those that `sesshu rules` prints]
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
}

impl RulesFile {
    /// Whether there is a file.
    pub(super) fn is_given(&self) -> bool {
        self.rules.is_some()
    }

    /// Reads the file, if there is one.
    ///
    /// # Errors
    ///
    /// [`Failure::Request`] if it cannot be used.
    pub(super) fn read(&self) -> Result<Arc<Table>, Failure> {
        self.rules.as_deref().map_or_else(|| Ok(Arc::default()), read)
    }
}

fn read(file: &Path) -> Result<Arc<Table>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Request(format!("{}: {error}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| failed(&error))?;
    Ok(Arc::new(Table::from_toml(&text).map_err(|error| failed(&error))?))
}
