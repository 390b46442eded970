//! `sesshu key`: the keys that My Numbers are sealed with, listed and changed.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use sesshu_engine::Rotation;

use super::results::results;
use super::table;
use super::target::KeyFile;
use crate::answer;
use crate::answer_key::{KeyAnswer, RotateAnswer};
use crate::failure::{Done, Failure};

/// List and change the keys that My Numbers are sealed with
#[derive(Debug, Args)]
pub(super) struct Key {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    Rotate(Rotate),
}

/// List the data keys and how many My Numbers each has sealed; every row is read
#[derive(Debug, Args)]
struct List {
    /// The store's directory; this process opens it
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    #[command(flatten)]
    key: KeyFile,
    /// One object a key
    #[arg(long)]
    json: bool,
}

/// Wrap the data keys under a new outside key
///
/// The new key takes the place of the old one, whose file stays under another name, or goes into --new-key-file. Keep a copy of it elsewhere; and keep the old one
/// as long as there are copies of the store that were made before.
#[derive(Debug, Args)]
struct Rotate {
    /// The store's directory; this process opens it
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    #[command(flatten)]
    key: KeyFile,
    /// The file of the new outside key, made if it is not there; from then on it is named with --key-file
    #[arg(long, value_name = "FILE")]
    new_key_file: Option<PathBuf>,
    /// Also add a data key: registers that are loaded from now on are sealed with it
    #[arg(long)]
    new_data_key: bool,
    /// One object
    #[arg(long)]
    json: bool,
}

impl Key {
    pub(super) fn run(self) -> Result<Done, Failure> {
        match self.command {
            Command::List(list) => list.run(),
            Command::Rotate(rotate) => rotate.run(),
        }
    }
}

impl List {
    fn run(self) -> Result<Done, Failure> {
        let store = self.key.open(&self.store, false)?;
        let keys = store.keys().map_err(|damage| Failure::Machine(damage.to_string()))?;
        store.close()?;
        for key in keys.into_iter().map(KeyAnswer::new) {
            if self.json {
                answer::write_line(&mut results(), &key)?;
            } else {
                let KeyAnswer { id, outside_key, newest, my_numbers } = key;
                let (my_numbers, newest) = (table::count(my_numbers), if newest { ", newest" } else { "" });
                writeln!(
                    results(),
                    "data key {id}: {my_numbers} My Numbers, under the outside key {outside_key}{newest}"
                )?;
            }
        }
        Ok(Done::Whole)
    }
}

impl Rotate {
    fn run(self) -> Result<Done, Failure> {
        let store = self.key.open(&self.store, false)?;
        let rotation = Rotation { new_key_file: self.new_key_file, new_data_key: self.new_data_key };
        let rotated = RotateAnswer::new(store.rotate_key(&rotation)?);
        store.close()?;
        if self.json {
            answer::write_line(&mut results(), &rotated)?;
        } else {
            let RotateAnswer { key_file, old_key_file, data_key } = rotated;
            writeln!(
                results(),
                "the key is {key_file}: keep a copy elsewhere. Older copies of the store need {old_key_file}. Data key {data_key} seals what is loaded"
            )?;
        }
        Ok(Done::Whole)
    }
}
