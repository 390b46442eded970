//! Verifying what lies beside ledgers and log: the checkpoint, held loads, snapshots. And the tails that an open store has in memory.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::super::checkpoint::{self, newest_before};
use super::super::file_hash::file_hash;
use super::super::held_file;
use super::super::manifest;
use super::ledgers::VerifiedLedgers;
use super::logs::VerifiedLog;
use super::meter::Meter;
use super::subject::Subject;
use super::{Findings, VerifyError};
use crate::error::{Damage, OpenError, SnapshotError};
use crate::generation::Remedy;
use crate::ledger::{Counts, Ledger};
use crate::log::{self, Event};
use crate::mutation::{Mutation, broken};

/// Returns how many files were read.
pub(super) fn verify(
    subject: &Subject,
    (log, ledgers): (&VerifiedLog, &VerifiedLedgers),
    findings: &mut Findings,
    meter: &Meter<'_>,
) -> Result<u64, VerifyError> {
    if subject.live.is_some() {
        // It knows by itself what the file says, and writes it anew with the next checkpoint.
        match manifest::read(&*subject.disk) {
            Ok(Some(_)) => {}
            Ok(None) => findings.at(manifest::PATH.into(), "the manifest is missing", Remedy::Rebuild),
            Err(error) => findings.of_error(error, Some(0), Remedy::Rebuild)?,
        }
    }
    if let Err(error) = manifest::read_spare(&*subject.disk) {
        findings.of_error(error, Some(0), Remedy::Rebuild)?;
    }
    if log.is_whole {
        live_tails(subject, ledgers, findings);
    }
    let files = kept_tails(subject, (log, ledgers), findings, meter)?;
    Ok(files + held_loads(subject, findings, meter)? + snapshots(subject, findings, meter)?)
}

/// A tail to be compared: number and newest address of each ticket, sorted, and what its events add.
type Tail = (Vec<(u64, u64)>, Counts);

fn tail_of(ledger: &Ledger) -> Tail {
    let mut tickets = ledger.tail.tickets();
    tickets.sort_unstable();
    (tickets, ledger.tail.counts())
}

/// Tickets of which two tails say different things.
fn differences(a: &Tail, b: &Tail) -> u64 {
    if a == b || broken(Mutation::SkipTailComparison) {
        return 0;
    }
    let of = |tickets: &[(u64, u64)]| tickets.iter().copied().collect::<BTreeSet<_>>();
    let (a, b) = (of(&a.0), of(&b.0));
    let numbers: BTreeSet<u64> = a.symmetric_difference(&b).map(|(number, _)| *number).collect();
    // Where the tickets are the same, the counts are not.
    numbers.len().max(1) as u64
}

/// What an open store has in memory is what its log says.
fn live_tails(subject: &Subject, ledgers: &VerifiedLedgers, findings: &mut Findings) {
    let Some(live) = &subject.live else { return };
    let (segments, end) = (&live.view.horizon.segments, live.view.end);
    for ledger in live.view.ledgers.iter().filter(|ledger| !ledgers.damaged.contains(&ledger.municipality)) {
        let counts = live.counters.iter().find(|(it, _)| Arc::ptr_eq(it, ledger)).map(|(_, counts)| *counts);
        let mut tickets = Vec::new();
        let mut unread = None;
        for (number, newest) in ledger.tail.tickets() {
            match newest_before(segments, newest, end, ledger.folded_position()) {
                Ok(Some(address)) => tickets.push((number, address)),
                Ok(None) => {}
                Err(damage) => unread = Some(damage),
            }
        }
        tickets.sort_unstable();
        let said = subject.state.ledgers.get(ledger.municipality.ordinal()).map(|it| tail_of(it)).unwrap_or_default();
        let different = differences(&(tickets, counts.unwrap_or_default()), &said);
        if let Some(damage) = unread {
            findings.add(damage, 1, Remedy::Replace);
        } else if different > 0 {
            let what = "the tail in memory is not what the log says: open the store again";
            let municipality = Some(ledger.municipality);
            findings.add(
                Damage { municipality, ..Subject::damage(Path::new(log::DIRECTORY), what) },
                different,
                Remedy::Rebuild,
            );
        }
    }
}

/// The checkpoint, and what an open makes of it, are what the log says.
fn kept_tails(
    subject: &Subject,
    (log, ledgers): (&VerifiedLog, &VerifiedLedgers),
    findings: &mut Findings,
    meter: &Meter<'_>,
) -> Result<u64, VerifyError> {
    let Some(message) = &subject.manifest.checkpoint else { return Ok(0) };
    meter.read(message.file_length)?;
    let path = checkpoint::path(message.position);
    if !log.is_whole || subject.lacked {
        // Whether it fits them nobody can say.
        if let Err(damage) = checkpoint::map(&*subject.disk, message) {
            findings.add(damage, 0, Remedy::Rebuild);
        }
        return Ok(1);
    }
    let mut manifest = subject.manifest.clone();
    manifest.checkpoint = None;
    let mut again = Subject::pin(Arc::clone(&subject.disk), (manifest, subject.mark), subject.until, 1)?;
    let segments = subject.segments.clone();
    again.segments = segments.clone();
    let restored = checkpoint::restore(&*again.disk, again.mark.id, Some(message), &segments, &mut again.state);
    let start = match restored {
        Ok(start) => start.map_or(0, |start| start.position),
        // An open store may have written another one meanwhile.
        Err(_) if subject.live.is_some() && (again.lacked || !is_named(subject, message.position)?) => return Ok(0),
        // The next open reads the log from its beginning.
        Err(damage) => {
            findings.add(damage, 0, Remedy::Rebuild);
            return Ok(1);
        }
    };
    let mut failed = None;
    let mut visit = |event: &Event<'_>| {
        if event.address >= start && failed.is_none() {
            // What cannot be done was told of already.
            failed = again.replay(&mut Findings::default(), &segments, event).err();
        }
    };
    let examined = log::examine(&segments, subject.vouched(), subject.until, &mut visit, &mut |bytes| meter.add(bytes));
    examined.ok_or(VerifyError::Ended)?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    for ledger in subject.state.ledgers.iter().filter(|ledger| !ledgers.damaged.contains(&ledger.municipality)) {
        let kept = again.state.ledgers.get(ledger.municipality.ordinal());
        // Its generation could not be read, or an open store has another one by now.
        if kept.map_or(0, |kept| kept.generation_number()) != ledger.generation_number() {
            continue;
        }
        let kept = kept.map(|kept| tail_of(kept)).unwrap_or_default();
        let different = differences(&tail_of(ledger), &kept);
        if different > 0 {
            let what = "the checkpoint's tail is not what the log says";
            let municipality = Some(ledger.municipality);
            findings.add(Damage { municipality, ..Subject::damage(&path, what) }, different, Remedy::Rebuild);
        }
    }
    Ok(1)
}

/// Whether the manifest on the disk names a checkpoint.
fn is_named(subject: &Subject, position: u64) -> Result<bool, OpenError> {
    match manifest::read(&*subject.disk) {
        Ok(named) => {
            let named = named.and_then(|(manifest, _)| manifest.checkpoint);
            Ok(named.is_some_and(|checkpoint| checkpoint.position == position))
        }
        // It is a finding of its own.
        Err(OpenError::Damaged(_)) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Held loads: their files, and the generations that wait.
fn held_loads(subject: &Subject, findings: &mut Findings, meter: &Meter<'_>) -> Result<u64, VerifyError> {
    let disk = &*subject.disk;
    let directory = Path::new(held_file::DIRECTORY);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| OpenError::Disk { doing: "reading", path, source }
    };
    let mut files = 0;
    for id in held_file::ids(disk).map_err(failed(directory))? {
        let path = id.path();
        files += 1;
        let held = match held_file::read(disk, subject.mark.id, id) {
            // It was confirmed or discarded meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            held => held.map_err(failed(&path))?,
        };
        let Some(held) = held else {
            findings.at(path, "not the file of a held load: load the register again", Remedy::Replace);
            continue;
        };
        let generation = id.generation_path();
        let whole = held.is_whole(disk, &mut |bytes| meter.count(bytes));
        meter.read(0)?;
        match whole {
            Ok(true) => files += 1,
            Ok(false) => {
                let what = "the generation of a held load is not what it was: load the register again";
                findings.at(generation, what, Remedy::Replace);
            }
            // A load that is void: the next open removes its file.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => findings.of_error(failed(&generation)(error), Some(0), Remedy::Replace)?,
        }
    }
    Ok(files)
}

/// Snapshots: each says what it has, and what the store has no more is what it was.
fn snapshots(subject: &Subject, findings: &mut Findings, meter: &Meter<'_>) -> Result<u64, VerifyError> {
    let snapshots = subject.snapshots();
    let (listed, current) = match (snapshots.list(), snapshots.current_files()) {
        (Ok(listed), Ok(current)) => (listed, current),
        (Err(error), _) | (_, Err(error)) => return Err(of_snapshot(error).into()),
    };
    let identity = |path: &Path| subject.disk.open(path).and_then(|file| file.identity()).ok();
    let (mut files, mut seen) = (0, HashSet::new());
    for listed in listed {
        let directory = listed.name.directory();
        let snapshot = match listed.snapshot {
            Ok(snapshot) => snapshot,
            Err(SnapshotError::Damaged(damage)) => {
                findings.add(Damage { file: directory.join(damage.file), ..damage }, 0, Remedy::Replace);
                continue;
            }
            Err(error) => return Err(of_snapshot(error).into()),
        };
        files += 1;
        for (path, length, blake3) in snapshot.files() {
            let file = directory.join(&path);
            // Other names of files that were read already, of the store or of another snapshot. The same name alone says little: a repair may have put another file there.
            let it = identity(&file);
            let of_store = current.get(&path).and_then(|path| identity(path));
            if it.is_some() && (it == of_store || !seen.insert((it, length))) {
                continue;
            }
            let found =
                subject.disk.open(&file).and_then(|file| file_hash(&*file, length, &mut |bytes| meter.count(bytes)));
            meter.read(0)?;
            files += 1;
            match found {
                Ok(found) if found == blake3 => {}
                Ok(_) => {
                    findings.at(file, "the snapshot's file is not what it was: its BLAKE3 differs", Remedy::Replace)
                }
                // It was deleted meanwhile.
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound
                        && matches!(snapshots.open(&listed.name), Err(SnapshotError::Unknown(_))) =>
                {
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    findings.at(file, "the snapshot's file is missing", Remedy::Replace);
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    findings.at(file, "the snapshot's file is shorter than it was", Remedy::Replace);
                }
                Err(source) => {
                    let error = OpenError::Disk { doing: "reading", path: file, source };
                    findings.of_error(error, Some(0), Remedy::Replace)?;
                }
            }
        }
    }
    Ok(files)
}

fn of_snapshot(error: SnapshotError) -> OpenError {
    match error {
        SnapshotError::Newer { file, found, known } => OpenError::Newer { file, found, known },
        SnapshotError::Disk { doing, path, source } => OpenError::Disk { doing, path, source },
        SnapshotError::Store(error) => error,
        error => OpenError::Disk { doing: "listing", path: "snapshots".into(), source: io::Error::other(error) },
    }
}
