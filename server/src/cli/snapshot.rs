//! `sesshu snapshot`: the store at one moment, kept beside it and copied elsewhere.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use sesshu_engine::{SnapshotName, Snapshots};
use sesshu_proto::v1::SnapshotInfo;

use super::results::results;
use super::target::{Place, Target};
use super::{progress, table};
use crate::answer;
use crate::answer_snapshot::{ExportAnswer, SnapshotAnswer};
use crate::client::Client;
use crate::failure::{Done, Failure};
use crate::{reply, snapshots};

/// Make, list, delete and export snapshots: the store at one moment
///
/// A snapshot lies inside the store's directory, on the same disk, and takes room only for what has changed since: export it to another disk. `sesshu restore` makes
/// a store of it.
#[derive(Debug, Args)]
pub(super) struct Snapshot {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Create(Create),
    List(List),
    Delete(Delete),
    Export(Export),
}

/// Make a snapshot of this moment; shots go on being recorded
#[derive(Debug, Args)]
struct Create {
    /// Its name: letters, digits, ".", "_" and "-"
    #[arg(value_name = "NAME", value_parser = SnapshotName::parse)]
    name: SnapshotName,
    #[command(flatten)]
    target: Target,
    /// One object
    #[arg(long)]
    json: bool,
}

/// List the snapshots, oldest first, with the moments that each can be restored to
#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    place: Place,
    /// One object a snapshot
    #[arg(long)]
    json: bool,
}

/// Delete a snapshot
#[derive(Debug, Args)]
struct Delete {
    /// Its name
    #[arg(value_name = "NAME", value_parser = SnapshotName::parse)]
    name: SnapshotName,
    #[command(flatten)]
    target: Target,
}

/// Copy a snapshot to another disk, every file checked; again, to go on with one that broke off
///
/// With --server the bytes come over the connection, and DIR is a directory of this machine.
#[derive(Debug, Args)]
struct Export {
    /// Its name
    #[arg(value_name = "NAME", value_parser = SnapshotName::parse)]
    name: SnapshotName,
    #[command(flatten)]
    place: Place,
    /// Where to: an empty directory, or one that does not exist
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// One object
    #[arg(long)]
    json: bool,
}

impl Snapshot {
    pub(super) fn run(self) -> Result<Done, Failure> {
        match self.command {
            Command::Create(command) => command.run(),
            Command::List(command) => command.run(),
            Command::Delete(command) => command.run(),
            Command::Export(command) => command.run(),
        }
    }
}

impl Create {
    fn run(self) -> Result<Done, Failure> {
        let backend = self.target.open(false)?;
        let made = backend.create_snapshot(&self.name)?;
        backend.close()?;
        print(made, self.json)?;
        Ok(Done::Whole)
    }
}

impl List {
    fn run(self) -> Result<Done, Failure> {
        let listed: Vec<SnapshotInfo> = match self.place.directory()? {
            Ok(store) => of(store)?.list()?.iter().map(reply::of_listed_snapshot).collect(),
            Err(url) => Client::connect(url)?.snapshots()?,
        };
        let whole = listed.iter().all(|snapshot| snapshot.damage.is_empty());
        if listed.is_empty() && !self.json {
            writeln!(results(), "no snapshots")?;
        }
        listed.into_iter().try_for_each(|snapshot| print(snapshot, self.json))?;
        Ok(Done::whole_if(whole))
    }
}

impl Delete {
    fn run(self) -> Result<Done, Failure> {
        let backend = self.target.open(false)?;
        backend.delete_snapshot(&self.name)?;
        backend.close()?;
        Ok(Done::Whole)
    }
}

impl Export {
    fn run(self) -> Result<Done, Failure> {
        let bar = progress::bytes(0, format!("exporting {}", self.name));
        let mut told = |done: sesshu_engine::Exporting| bar.set_position(done.bytes);
        let done = match self.place.directory()? {
            Ok(store) => {
                let snapshot = of(store)?.open(&self.name)?;
                bar.set_length(snapshot.bytes());
                snapshot.export(&self.to, &mut told)?
            }
            Err(url) => {
                let client = Client::connect(url)?;
                snapshots::export_from(&client, &self.name, &self.to, &mut |bytes| bar.set_length(bytes), &mut told)?
            }
        };
        bar.finish_and_clear();
        let exported = ExportAnswer::new(self.name.to_string(), self.to.display().to_string(), done);
        if self.json {
            answer::write_line(&mut results(), &exported)?;
            return Ok(Done::Whole);
        }
        let (files, bytes) = (table::count(exported.files), table::bytes(exported.bytes));
        let found = match exported.found_bytes {
            0 => String::new(),
            found => format!(", {} of it was there already", table::bytes(found)),
        };
        writeln!(results(), "{} lies in {}: {files} files, {bytes}{found}", exported.name, exported.to)?;
        Ok(Done::Whole)
    }
}

/// The snapshots of a store that this or another process may have open.
pub(super) fn of(store: &Path) -> Result<Snapshots, Failure> {
    if !store.join("MANIFEST").exists() {
        return Err(sesshu_engine::error::OpenError::NoStore(store.to_owned()).into());
    }
    Ok(Snapshots::of(store))
}

fn print(snapshot: SnapshotInfo, json: bool) -> Result<(), Failure> {
    let snapshot = SnapshotAnswer::from(snapshot);
    if json {
        return Ok(answer::write_line(&mut results(), &snapshot)?);
    }
    let SnapshotAnswer { name, damage, window, bytes, own_bytes, .. } = snapshot;
    match (window, damage) {
        (Some(window), None) => writeln!(
            results(),
            "{name}  sequence {} to {}, {} to {}; {}, {} of it nowhere else",
            window.first_sequence,
            window.last_sequence,
            window.first_time,
            window.last_time,
            table::bytes(bytes),
            table::bytes(own_bytes)
        )?,
        (_, damage) => writeln!(results(), "{name}  of no use: {}", damage.unwrap_or_default())?,
    }
    Ok(())
}
