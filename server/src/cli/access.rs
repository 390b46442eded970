//! `sesshu access`: who looked up a My Number, when, and for what.

use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use clap::Args;

use super::target::KeyFile;
use crate::answer;
use crate::answer_key::AccessAnswer;
use crate::failure::{Done, Failure};

/// List the access log: who looked up a My Number, when, and for what
#[derive(Debug, Args)]
pub(super) struct Access {
    /// The store's directory; this process opens it
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    #[command(flatten)]
    key: KeyFile,
    /// One object an entry
    #[arg(long)]
    json: bool,
}

impl Access {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let store = self.key.open(&self.store, false)?;
        let mut entries = Vec::new();
        store.accesses(|access| entries.push(AccessAnswer::new(access)))?;
        store.close()?;
        let mut out = BufWriter::new(std::io::stdout().lock());
        for entry in entries {
            if self.json {
                answer::write_line(&mut out, &entry)?;
            } else {
                let AccessAnswer { sequence, time, who, purpose, found } = entry;
                writeln!(out, "{sequence}  {time}  {who}  {found} found  {purpose}")?;
            }
        }
        out.flush()?;
        Ok(Done::Whole)
    }
}
