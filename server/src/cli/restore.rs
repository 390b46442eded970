//! `sesshu restore`: a new store from a snapshot.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use sesshu_engine::error::{KeyError, RestoreError};
use sesshu_engine::{Moment, OutsideKey, RestoreStep, Snapshot, SnapshotName};

use super::known::time;
use super::results::results;
use super::{progress, table};
use crate::answer;
use crate::answer_snapshot::RestoreAnswer;
use crate::failure::{Done, Failure};

/// Make a new store from a snapshot, as of its moment or an earlier one of its window
///
/// Every file of the snapshot is checked first. The store that it is of, which may be running, is not touched; the new one has an id of its own. A moment that the
/// snapshot cannot tell is refused with exit code 2, and the window is named.
#[derive(Debug, Args)]
pub(super) struct Restore {
    #[command(flatten)]
    from: From,
    /// The snapshot of that store
    #[arg(long, value_name = "NAME", value_parser = SnapshotName::parse, requires = "store", conflicts_with = "from")]
    snapshot: Option<SnapshotName>,
    /// Where the new store is to be: an empty directory, or one that does not exist
    #[arg(long, value_name = "NEWDIR")]
    to: PathBuf,
    /// As it was when this event was the newest
    #[arg(long, value_name = "N", conflicts_with = "to_time")]
    to_sequence: Option<u64>,
    /// As it was at this time: 2021-06-01T12:00:00+09:00, or the end of a day in Japan, 2021-06-01
    #[arg(long, value_name = "T", value_parser = time)]
    to_time: Option<u64>,
    /// The key that the new store's My Numbers need, which is copied beside it [default: DIR.key of --store]
    #[arg(long, value_name = "FILE", env = "SESSHU_KEY_FILE")]
    key_file: Option<PathBuf>,
    /// One object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct From {
    /// The store whose snapshot it is; another process may have it open
    #[arg(long, value_name = "DIR", requires = "snapshot")]
    store: Option<PathBuf>,
    /// The directory that a snapshot was exported to
    #[arg(long, value_name = "EXPORTED")]
    from: Option<PathBuf>,
}

impl Restore {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let snapshot = match (&self.from.store, &self.snapshot, &self.from.from) {
            (Some(store), Some(name), None) => super::snapshot::of(store)?.open(name)?,
            (None, None, Some(exported)) => Snapshot::exported(exported)?,
            _ => return Err(Failure::Request("--store DIR --snapshot NAME or --from EXPORTED is needed".into())),
        };
        let moment = self.to_sequence.map(Moment::Sequence).or(self.to_time.map(Moment::Time));
        let bar = progress::bytes(snapshot.bytes(), "checking");
        let restored = snapshot.restore(&self.to, moment, &mut |restoring| {
            bar.set_message(match restoring.step {
                RestoreStep::Verifying => "checking",
                RestoreStep::Copying => "copying",
                RestoreStep::Opening => "opening",
            });
            bar.set_position(restoring.bytes);
        });
        bar.finish_and_clear();
        let restored = restored.map_err(|error| outside(&error).map_or_else(|| error.into(), Failure::Request))?;
        let (key_file, no_key) = match self.key(&snapshot.outside_key_id()) {
            Ok(key_file) => (Some(key_file.display().to_string()), None),
            Err(error) => (None, Some(error)),
        };
        let key = OutsideKey::default_path(&self.to);
        let answer = RestoreAnswer::new(self.to.display().to_string(), &snapshot, &restored, key_file);
        if let Some(error) = no_key {
            let (id, key) = (&answer.outside_key, key.display());
            let why = if let KeyError::Missing(_) = error { String::new() } else { format!(" ({error})") };
            eprintln!(
                "sesshu: the new store's My Numbers need the key {id}{why}: put it at {key}, or name it with --key-file"
            );
        }
        if self.json {
            answer::write_line(&mut results(), &answer)?;
            return Ok(Done::Whole);
        }
        let [ledgers, residents, shots] = [answer.ledgers, answer.residents, answer.shots].map(table::count);
        let key = answer.key_file.map_or(String::new(), |key| format!("; its key is {key}"));
        writeln!(
            results(),
            "{} is the store as of sequence {}: {ledgers} ledgers, {residents} residents, {shots} shots; its id is {}{key}",
            answer.store,
            answer.sequence,
            answer.store_id
        )?;
        Ok(Done::Whole)
    }

    /// Puts the key beside the new store, if it is to be had. Returns where it lies.
    fn key(&self, id: &str) -> Result<PathBuf, KeyError> {
        let to = OutsideKey::default_path(&self.to);
        let from = match (&self.key_file, &self.from.store) {
            (Some(file), _) => file.clone(),
            (None, Some(store)) => OutsideKey::default_path(store),
            (None, None) => to.clone(),
        };
        if OutsideKey::read_with_id(&to, id).is_ok() {
            return Ok(to);
        }
        OutsideKey::copy(&from, &to, id)?;
        Ok(to)
    }
}

/// What to say of a moment that the snapshot cannot tell.
fn outside(error: &RestoreError) -> Option<String> {
    let RestoreError::OutsideWindow { asked, window } = error else { return None };
    let asked = match asked {
        Moment::Sequence(sequence) => format!("sequence {sequence}"),
        Moment::Time(time_ms) => answer::time(*time_ms),
    };
    let (from, to) = (answer::time(window.begin.1), answer::time(window.end.1));
    Some(format!(
        "{asked} is outside the snapshot's window: it can be restored as of sequence {} to {}, or {from} to {to}",
        window.begin.0, window.end.0
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_moment_outside_the_window_is_told_with_the_window() {
        let window = sesshu_engine::Window { begin: (3, 1_618_190_000_000), end: (9, 1_618_190_001_000) };
        let told = outside(&RestoreError::OutsideWindow { asked: Moment::Sequence(2), window });
        let expected = "sequence 2 is outside the snapshot's window: it can be restored as of sequence 3 to 9, or 2021-04-12T01:13:20.000Z to 2021-04-12T01:13:21.000Z";
        assert_eq!(told.as_deref(), Some(expected));
        assert_eq!(outside(&RestoreError::NotEmpty(Path::new("store").into())), None);
    }
}
