//! Mending generations.
//!
//! Owns what takes the place of a damaged one: the same file, made again; the same file, from the snapshot; the next one, of what is whole.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use sesshu_proto::v1::{Generation as GenerationMessage, Manifest};

use super::super::file_hash::file_hash;
use super::super::fold::{resident_of, to_fold, unchanged};
use super::super::manifest::StoreMark;
use super::super::snapshot::generation_path;
use super::super::state::identity;
use super::super::verify::{Subject, read_log};
use super::{Done, Loss, Repairs};
use crate::error::{Damage, OpenError, RepairError};
use crate::frame::Salt;
use crate::generation::{self, BuildError, Builder, Examined, Generation, Identity, ShotToFold};
use crate::ledger::{Horizon, Ledger, Match, Person, join};
use crate::log::Segments;
use crate::platform::Platform;
use crate::ticket::{Municipality, Ticket};

/// Mends what the manifest and the log name, and has the manifest name what is there then. Whether that is something else than before. `by_another`: it is not the
/// store's own manifest, and may name what is gone.
pub(super) fn mend(
    platform: &Platform,
    (manifest, mark): (&mut Manifest, StoreMark),
    by_another: bool,
    repairs: Repairs<'_>,
    done: &mut Done<'_>,
) -> Result<bool, RepairError> {
    let mut subject = Subject::pin(platform.disk.clone(), (manifest.clone(), mark), None, platform.cores())?;
    subject.by_another = true;
    read_log(&mut subject)?;
    // An older one of the store's own, too, may name what the log has replaced since, and what is gone.
    let is_gone = |named: &GenerationMessage| -> Result<bool, RepairError> {
        let municipality = Municipality::from_five_digits(named.municipality);
        let Some((municipality, current)) = municipality.and_then(|it| Some((it, subject.current.get(&it)?))) else {
            return Ok(false);
        };
        let directory = generation::directory(municipality);
        let failed = |source| OpenError::Disk { doing: "listing", path: directory.clone(), source };
        let files = platform.disk.list(&directory).map_err(failed)?;
        Ok(current.generation > named.generation && !files.contains(&generation::path(municipality, named.generation)))
    };
    let mut by_another = by_another;
    for named in &manifest.generations {
        by_another |= is_gone(named)?;
    }
    if by_another {
        manifest.generations = subject.current.values().cloned().collect();
    }
    let mut is_other = by_another;
    for message in unnamed(&subject, mark)? {
        let municipality =
            Municipality::from_five_digits(message.municipality).expect("a ledger's directory has its name");
        subject.install(municipality, &message)?;
        name(manifest, message);
        is_other = true;
    }
    for (&municipality, message) in &subject.current {
        let ledger = subject.state.ledgers.get(municipality.ordinal());
        let generation = ledger.and_then(|ledger| ledger.generation.as_ref());
        let examined = generation.map(|it| it.examine(&message.blake3, &mut |_| ControlFlow::Continue(())));
        let examined = examined.map(|it| it.expect("nobody ends it"));
        if examined.as_ref().is_some_and(|examined| examined.flaws.is_empty()) {
            continue;
        }
        let mending = Mending { platform, mark, municipality, message, repairs };
        if mending.make_again(done)? || mending.take_over(done)? || !repairs.accept_loss {
            continue;
        }
        let next = match (ledger, generation, examined) {
            // Of a file that the disk cannot read nothing is looked at.
            (Some(ledger), Some(generation), Some(examined)) if examined.is_readable => {
                mending.salvage(ledger, generation, &examined, done)?
            }
            _ if mending.is_missing()? => mending.begin_anew(done)?,
            // Its entries may be whole, and cannot be found: it is left for a snapshot, or for somebody who can.
            _ => continue,
        };
        name(manifest, next);
        done.succeeded.insert(municipality);
        is_other = true;
    }
    Ok(is_other)
}

/// Has a manifest name a generation as its ledger's.
fn name(manifest: &mut Manifest, message: GenerationMessage) {
    match manifest.generations.iter_mut().find(|it| it.municipality == message.municipality) {
        Some(named) => *named = message,
        None => manifest.generations.push(message),
    }
}

/// Whole generations that come after the ones that manifest and log name: the events that installed them are among those that are gone. Events behind them lead
/// on to nothing that they fold, so without them shots would be out of reach.
fn unnamed(subject: &Subject, mark: StoreMark) -> Result<Vec<GenerationMessage>, RepairError> {
    let Some((address, installed_sequence, installed_at)) = subject.newest_lost else { return Ok(Vec::new()) };
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Disk { doing: "reading", path, source }
    };
    let (disk, mut found) = (&*subject.disk, Vec::new());
    for municipality in Municipality::all() {
        let directory = generation::directory(municipality);
        let current = subject.current.get(&municipality).map_or(0, |current| current.generation);
        let mut later = disk.list(&directory).map_err(failed(&directory))?;
        later.retain(|path| generation::number_of(path).is_some_and(|number| number > current));
        for path in later.iter().rev() {
            let identity = generation::identity_of(disk, path, mark.lookup_key).map_err(failed(path))?;
            let Some((identity, length)) = identity.filter(|(identity, _)| {
                is_of(identity, path, mark, municipality) && identity.folded_position <= address
            }) else {
                continue;
            };
            let Ok(generation) = Generation::open(disk, municipality, identity, length) else { continue };
            let hash =
                file_hash(&*disk.open(path).map_err(failed(path))?, length, &mut |_| {}).map_err(failed(path))?;
            let examined = generation.examine(hash.as_bytes(), &mut |_| ControlFlow::Continue(()));
            if examined.is_none_or(|examined| !examined.flaws.is_empty()) {
                continue;
            }
            found.push(GenerationMessage {
                municipality: identity.five_digits,
                generation: identity.generation,
                file_length: length,
                salt: identity.salt.0,
                folded_position: identity.folded_position,
                blake3: hash.as_bytes().to_vec().into(),
                installed_sequence,
                installed_at,
                entries: generation.counters().entries,
                ..GenerationMessage::default()
            });
            break;
        }
    }
    Ok(found)
}

fn is_of(identity: &Identity, path: &Path, mark: StoreMark, municipality: Municipality) -> bool {
    identity.store_id == mark.id
        && identity.five_digits == municipality.five_digits()
        && Some(identity.generation) == generation::number_of(path)
}

/// One damaged generation.
struct Mending<'r> {
    platform: &'r Platform,
    mark: StoreMark,
    municipality: Municipality,
    message: &'r GenerationMessage,
    repairs: Repairs<'r>,
}

impl Mending<'_> {
    fn failed(&self, doing: &'static str) -> impl Fn(io::Error) -> RepairError {
        let path = generation::path(self.municipality, self.message.generation);
        move |source| OpenError::Disk { doing, path: path.clone(), source }.into()
    }

    fn unbuilt(&self, error: BuildError) -> RepairError {
        match error {
            BuildError::Disk(error) => self.failed("writing")(error),
            // There is less than there was.
            BuildError::TooLarge => self.failed("writing")(io::Error::other("the generation would be too large")),
        }
    }

    fn identity(&self) -> Identity {
        identity(self.mark, self.message)
    }

    fn files(&self) -> Result<Vec<PathBuf>, RepairError> {
        let directory = generation::directory(self.municipality);
        self.platform.disk.list(&directory).map_err(self.failed("listing"))
    }

    fn is_missing(&self) -> Result<bool, RepairError> {
        Ok(!self.files()?.contains(&generation::path(self.municipality, self.message.generation)))
    }

    /// A number that no file of the ledger has.
    fn next_number(&self) -> Result<u64, RepairError> {
        let newest = self.files()?.iter().filter_map(|path| generation::number_of(path)).max().unwrap_or(0);
        Ok(newest.max(self.message.generation) + 1)
    }

    /// The file that is built, empty of what an attempt before has left.
    fn staging(&self, number: u64) -> Result<PathBuf, RepairError> {
        let disk = &*self.platform.disk;
        let staging = generation::staging_path(self.municipality, number);
        let directory = Path::new(generation::STAGING);
        disk.create_directory(directory).map_err(self.failed("making"))?;
        if disk.list(directory).map_err(self.failed("listing"))?.contains(&staging) {
            disk.remove(&staging).map_err(self.failed("removing"))?;
        }
        Ok(staging)
    }

    fn move_into_place(&self, staging: &Path, number: u64) -> Result<(), RepairError> {
        let disk = &*self.platform.disk;
        let directory = generation::directory(self.municipality);
        let moved = disk
            .create_directory(&directory)
            .and_then(|()| disk.rename(staging, &generation::path(self.municipality, number)))
            .and_then(|()| disk.sync_directory(&directory));
        moved.map_err(self.failed("moving into place"))
    }

    /// The same file, of what is whole of it.
    fn make_again(&self, done: &mut Done<'_>) -> Result<bool, RepairError> {
        let path = generation::path(self.municipality, self.message.generation);
        let staging = self.staging(self.message.generation)?;
        let GenerationMessage { file_length, blake3, .. } = self.message;
        let disk = &*self.platform.disk;
        let made = generation::rebuild(disk, (&path, &staging), &self.identity(), (*file_length, blake3));
        if !made.map_err(self.failed("making again"))? {
            return Ok(false);
        }
        self.move_into_place(&staging, self.message.generation)?;
        done.made_again.insert(path);
        Ok(true)
    }

    /// The same file, from the snapshot.
    fn take_over(&self, done: &mut Done<'_>) -> Result<bool, RepairError> {
        let Some(source) = self.repairs.source else { return Ok(false) };
        let GenerationMessage { generation, file_length, blake3, .. } = self.message;
        let from = generation_path(self.municipality, *generation);
        let has_it = source
            .files()
            .any(|(path, length, hash)| path == from && length == *file_length && hash.as_bytes()[..] == blake3[..]);
        if !has_it {
            return Ok(false);
        }
        // The snapshot may be as damaged.
        let Ok(file) = source.disk.open(&from) else { return Ok(false) };
        let hash = file_hash(&*file, *file_length, &mut |_| {});
        if hash.is_err() || hash.is_ok_and(|hash| hash.as_bytes()[..] != blake3[..]) {
            return Ok(false);
        }
        let (staging, identity) = (self.staging(*generation)?, self.identity());
        let copy = self.platform.disk.create(&staging).map_err(self.failed("copying"))?;
        let copied = generation::copy((&*file, &identity), (&*copy, &identity), *file_length);
        if copied.map_err(self.failed("copying"))?.is_none_or(|hash| hash[..] != blake3[..]) {
            return Ok(false);
        }
        self.move_into_place(&staging, *generation)?;
        done.replaced.insert(generation::path(self.municipality, *generation));
        Ok(true)
    }

    /// The next generation, of the entries that are whole.
    fn salvage(
        &self,
        ledger: &Ledger,
        generation: &Generation,
        examined: &Examined,
        done: &mut Done<'_>,
    ) -> Result<GenerationMessage, RepairError> {
        let number = self.next_number()?;
        let (staging, identity) = (self.staging(number)?, self.next_identity(number)?);
        let mut builder = Builder::create(&*self.platform.disk, &staging, identity).map_err(self.failed("making"))?;
        let senders = generation.senders();
        if senders.is_err() {
            done.journal.give_up([Loss::Senders { municipality: self.municipality }])?;
        }
        builder.sent_before(senders.unwrap_or_default());
        let horizon = Horizon { segments: Segments::default(), sequence: u64::MAX };
        let (mut failed, mut lost) = (None, BTreeMap::new());
        generation.each_whole(&mut |number, entry, is_cold_whole| {
            let Some(ticket) = Ticket::of_any_number(self.municipality, number) else { return };
            let (Match::Matched(person) | Match::Orphan(person)) = join(ticket, ledger, Some(entry), 0, &horizon)
            else {
                return;
            };
            let mut shots = Vec::new();
            let is_whole = is_cold_whole && person.each_own_life(|life| shots.push(to_fold(&life))).is_ok();
            let pushed = match is_whole {
                true => push(&mut builder, &person, number, &shots, &|error| self.unbuilt(error)),
                false if entry.row.is_empty() => Ok(()),
                // What became of the shots is not known.
                false => builder.push_row_alone(number, &entry).map_err(|error| self.unbuilt(error)),
            };
            if !is_whole {
                let loss = if entry.row.is_empty() { Loss::Person { ticket } } else { Loss::Shots { ticket } };
                lost.insert(number, loss);
            }
            if let Err(error) = pushed {
                failed.get_or_insert(error);
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        for &number in &examined.lost {
            let ticket = Ticket::of_any_number(self.municipality, number);
            lost.entry(number).or_insert_with_key(|_| match ticket {
                Some(ticket) => Loss::Person { ticket },
                None => Loss::People { municipality: self.municipality, count: Some(1) },
            });
        }
        // What the index cannot name either.
        let known = examined.entries + examined.lost.len() as u64;
        if let Some(count) = self.message.entries.checked_sub(known).filter(|&count| count > 0) {
            done.journal.give_up([Loss::People { municipality: self.municipality, count: Some(count) }])?;
        }
        done.journal.give_up(lost.into_values())?;
        done.aside.push(generation::path(self.municipality, self.message.generation));
        self.finish(builder, &staging, number)
    }

    /// The next generation, of nothing.
    fn begin_anew(&self, done: &mut Done<'_>) -> Result<GenerationMessage, RepairError> {
        let number = self.next_number()?;
        let (staging, identity) = (self.staging(number)?, self.next_identity(number)?);
        let builder = Builder::create(&*self.platform.disk, &staging, identity).map_err(self.failed("making"))?;
        let count = Some(self.message.entries).filter(|&count| count > 0);
        done.journal.give_up([Loss::People { municipality: self.municipality, count }])?;
        self.finish(builder, &staging, number)
    }

    fn next_identity(&self, generation: u64) -> Result<Identity, RepairError> {
        let salt = self.platform.environment.random_u64().map_err(self.failed("making"))?;
        Ok(Identity { generation, salt: Salt(salt), ..self.identity() })
    }

    fn finish(&self, builder: Builder, staging: &Path, number: u64) -> Result<GenerationMessage, RepairError> {
        let salt = builder.salt();
        let built = builder.finish().map_err(|error| self.unbuilt(error))?;
        self.move_into_place(staging, number)?;
        Ok(GenerationMessage {
            generation: number,
            file_length: built.file_length,
            salt: salt.0,
            blake3: built.blake3.to_vec().into(),
            entries: built.entries,
            ..self.message.clone()
        })
    }
}

/// Adds a person as they are.
fn push(
    builder: &mut Builder,
    person: &Person<'_>,
    number: u64,
    shots: &[ShotToFold<'_>],
    unbuilt: &dyn Fn(BuildError) -> RepairError,
) -> Result<(), RepairError> {
    let damaged = |damage: Damage| RepairError::from(OpenError::from(damage));
    match person.own_row().map_err(damaged)? {
        Some(row) => {
            let older_rows = person.older_rows(false).map_err(damaged)?;
            let row = unchanged(&row, &resident_of(&row), &older_rows);
            builder.push(number, Some(row), shots).map_err(unbuilt)
        }
        None => builder.push(number, None, shots).map_err(unbuilt),
    }
}
