//! What must come of a harm.
//!
//! Owns the rule. Verifying the closed store changes nothing and finds whatever costs an answer. A harmed store is refused, with the right file named and nothing changed; or it opens, and every answer is that of the whole store or names
//! the harmed file. The checkpoint is derived and never costs an answer. What was acknowledged is missing only behind the last thing that vouches for
//! anything, and then the report says where and how much. A held load is held whole, or gone with one of its files; whoever asked for a My Number is in the
//! access log, as far as the manifest vouches for it. More may be recorded on what was opened, and all of it still holds.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use sesshu_engine::disk::RealDisk;
use sesshu_engine::error::{AccessError, Damage, HeldError, LoadError, OpenError, RecordError};
use sesshu_engine::intake::ShotRecord;
use sesshu_engine::{CheckpointOutcome, ClosedStore, LogOutcome, Opened, Options, RecordOutcome, Store, Torn};

use super::everything::{Compared, Everything, OSAKA, accesses};
use super::harm::{Choice, Harm, mix};
use super::subject::{Ending, HELD_VERSION, Subject, ask};
use super::table::Outcome;
use super::workbench::Workbench;
use crate::seeded::Seeded;
use crate::{CHIYODA, answer, line, resident, shot, ticket};

const MANIFEST: &str = "MANIFEST";

/// One harm of so many is verified too, and every one of a whole file.
const VERIFIED: u64 = 8;

/// Harms the store, opens it, judges what it says, and restores it. The error says which rule was broken.
pub(super) fn of(
    bench: &mut Workbench<'_>,
    subject: &Subject,
    harm: &Harm,
    choice: &Choice,
    trial: usize,
) -> Result<Outcome, String> {
    bench.harm(harm);
    let whole_file = harm.at().is_none() && !matches!(harm, Harm::Truncate { .. });
    let drawn = mix(choice.seed ^ !(trial as u64));
    let judged = catch_unwind(AssertUnwindSafe(|| {
        let is_verified = whole_file || drawn.is_multiple_of(VERIFIED);
        let found = if is_verified { verified(bench, harm)? } else { Found::NotLooked };
        let opened = if whole_file { bench.open_with_threads() } else { open(bench, trial) };
        match opened {
            Err(_) if found == Found::Nothing => Err("verified as whole, and refused".into()),
            Err(error) => refused(bench, harm, &error),
            Ok((store, opened)) => {
                let expected = Expected::of(subject, harm);
                let outcome = accepted(subject, harm, &expected, &store, &opened)?;
                let must_be_found =
                    matches!(outcome, Outcome::Told | Outcome::Rebuilt) && !is_gone_for_good(subject, harm);
                if found == Found::Nothing && must_be_found && !exchanges_manifest(harm) {
                    return Err(format!("verified as whole, and {outcome:?}"));
                }
                if whole_file || drawn.is_multiple_of(choice.aftermath as u64) {
                    aftermath(bench, harm, &expected, store, trial, drawn >> 32 & 1 == 0)?;
                }
                Ok(outcome)
            }
        }
    }));
    let changed = if matches!(judged, Ok(Ok(Outcome::Refused))) { Vec::new() } else { bench.changed() };
    bench.restore(harm, changed);
    judged.unwrap_or_else(|_| Err("a panic".into()))
}

/// What verifying the closed store came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Something,
    NotLooked,
}

/// Verifies the store. Only what was harmed is called damaged, and nothing is changed.
fn verified(bench: &Workbench<'_>, harm: &Harm) -> Result<Found, String> {
    let path = bench.place.path();
    let store = ClosedStore::open_on(Arc::new(RealDisk::existing(&path)), 1, &path);
    let verified = store.and_then(|store| store.verify(&mut |_| ControlFlow::Continue(())));
    let findings = match verified {
        Ok(verified) => verified.expect("nobody ended it").findings,
        Err(OpenError::Newer { file, .. }) if harm.files().contains(&file) => return Ok(Found::Something),
        Err(error) => return Err(format!("verifying came to no end: {error:?}")),
    };
    let strange = findings.iter().find(|finding| !harm.files().contains(&finding.damage.file));
    if let Some(strange) = strange.filter(|_| !exchanges_manifest(harm)) {
        return Err(format!("what was not harmed was found: {strange:?}"));
    }
    Ok(if findings.is_empty() { Found::Nothing } else { Found::Something })
}

/// What nothing in the store tells of: a held load that is not there any more, and the end of an access log that nobody closed.
fn is_gone_for_good(subject: &Subject, harm: &Harm) -> bool {
    let removed = matches!(harm, Harm::Remove { .. });
    removed && of_held_load(subject, harm) || of_access_log(harm) && subject.ending != Ending::Closed
}

/// Opens the store without threads, which is faster.
fn open(bench: &Workbench<'_>, seed: usize) -> Result<(Store, Opened), OpenError> {
    let path = bench.place.path();
    Store::open_on(Seeded::of(seed as u64).platform(&path), &path, Options::default())
}

/// What exchanges the manifest as a whole names other files than it, which are then the ones that do not fit.
fn exchanges_manifest(harm: &Harm) -> bool {
    let another = matches!(harm, Harm::Older { .. } | Harm::Foreign { .. });
    another && harm.files()[0] == Path::new(MANIFEST)
}

fn refused(bench: &Workbench<'_>, harm: &Harm, error: &OpenError) -> Result<Outcome, String> {
    let (files, first) = (harm.files(), &harm.files()[0]);
    let named = match error {
        OpenError::Damaged(Damage { file, .. }) | OpenError::Newer { file, .. } => file,
        OpenError::NotAStore(_) if matches!(harm, Harm::Remove { .. }) && first == Path::new(MANIFEST) => first,
        error => return Err(format!("refused, but not as damaged: {error:?}")),
    };
    if !files.contains(named) && !exchanges_manifest(harm) {
        return Err(format!("refused, but another file is named: {error:?}"));
    }
    if first.starts_with("checkpoint") || first == Path::new("LOCK") {
        return Err(format!("refused for what does not matter: {error:?}"));
    }
    match &bench.changed()[..] {
        [] => Ok(Outcome::Refused),
        changed => Err(format!("refused, but changed: {changed:?}")),
    }
}

/// What a store that opens must say and show.
struct Expected<'s> {
    shown: &'s Everything,
    /// `None`: it may say of the log what it likes.
    log: Option<LogOutcome>,
    outcome: Outcome,
}

impl<'s> Expected<'s> {
    fn of(subject: &'s Subject, harm: &Harm) -> Expected<'s> {
        let file = &harm.files()[0];
        let log = if subject.ending == Ending::Closed { LogOutcome::Closed } else { LogOutcome::Clean };
        let mut expected = Expected { shown: &subject.whole, log: Some(log), outcome: Outcome::Harmless };
        if exchanges_manifest(harm) {
            expected.log = None;
        }
        let Some(unvouched) = subject.unvouched.as_ref().filter(|unvouched| unvouched.segment == *file) else {
            return expected;
        };
        let bytes = &subject.files[file];
        match harm {
            Harm::Older { index, .. } => {
                // Of a store that was not closed the manifest vouches for what there was when the segment was begun.
                expected.shown = &subject.older[*index].shown;
                expected.outcome = Outcome::Earlier;
            }
            Harm::Flip { at, .. } | Harm::Zero { at, .. } if *at >= unvouched.from => {
                let mut bytes = bytes.clone();
                bytes[*at] = match harm {
                    Harm::Flip { with, .. } => bytes[*at] ^ with,
                    _ => 0,
                };
                let hit = *at < unvouched.to;
                let from = if hit { unvouched.from } else { unvouched.to };
                expected.shown = if hit { &unvouched.without } else { &subject.whole };
                if let Some(last) = bytes[from..].iter().rposition(|&byte| byte != 0) {
                    let torn = Torn { file: file.clone(), offset: from as u64, bytes: last as u64 + 1 };
                    expected.log = Some(LogOutcome::TornTail(torn));
                }
                expected.outcome = Outcome::Cut;
            }
            _ => {}
        }
        expected
    }
}

fn accepted(
    subject: &Subject,
    harm: &Harm,
    expected: &Expected<'_>,
    store: &Store,
    opened: &Opened,
) -> Result<Outcome, String> {
    if expected.log.as_ref().is_some_and(|log| *log != opened.log) {
        return Err(format!("the log ended as {:?} instead of {:?}", opened.log, expected.log));
    }
    let files = harm.files();
    let of_checkpoint = files[0] == subject.checkpoint() && !matches!(harm, Harm::Extend { .. });
    let rebuilt = match &opened.checkpoint {
        CheckpointOutcome::Rebuilt(damage) if of_checkpoint && damage.file == files[0] => true,
        CheckpointOutcome::Rebuilt(_) | CheckpointOutcome::None if exchanges_manifest(harm) => true,
        CheckpointOutcome::Restored { .. } if !of_checkpoint => false,
        other => return Err(format!("the checkpoint is {other:?}")),
    };
    let answers_matter = files[0].starts_with("log") || files[0].starts_with("ledgers");
    let now = Everything::of(store);
    let compared = now.compare(expected.shown, &files)?;
    if gone(subject, harm, &now, opened)? {
        return Ok(Outcome::Told);
    }
    match compared {
        Compared::Told if rebuilt || !answers_matter => Err("an answer was lost with a file that holds none".into()),
        Compared::Told => Ok(Outcome::Told),
        Compared::Same if rebuilt => Ok(Outcome::Rebuilt),
        Compared::Same => Ok(expected.outcome),
    }
}

/// Whether something that is no answer is missing with its file: the held load, or the access log.
fn gone(subject: &Subject, harm: &Harm, now: &Everything, opened: &Opened) -> Result<bool, String> {
    let held_is_gone = match (&now.held[..], &subject.whole.held[..]) {
        (now, whole) if now == whole => false,
        ([], _) if of_held_load(subject, harm) => {
            if opened.removed_held == 0 && !matches!(harm, Harm::Remove { file } if file.starts_with("held")) {
                return Err("a held load is gone, and nobody was told".into());
            }
            true
        }
        (now, _) => return Err(format!("held is {now:?}")),
    };
    let (now, whole) = (&now.accesses, &subject.whole.accesses);
    let accesses_are_told = match (now, whole) {
        (now, whole) if now == whole => false,
        (Err(damage), _) if harm.files().contains(&damage.file) => true,
        // Nothing vouches for the last entry of a program that was killed.
        (Ok(now), Ok(whole)) if of_access_log(harm) && subject.ending != Ending::Closed => {
            if now.is_empty() || !whole.starts_with(now) {
                return Err(format!("the access log is {now:?}"));
            }
            true
        }
        (now, _) => return Err(format!("the access log is {now:?}")),
    };
    Ok(held_is_gone || accesses_are_told)
}

fn of_access_log(harm: &Harm) -> bool {
    harm.files()[0].starts_with("access")
}

/// Whether a file of the held load is harmed: the one that says what waits, or the generation.
fn of_held_load(subject: &Subject, harm: &Harm) -> bool {
    let generation = subject.held_generation();
    harm.files().iter().any(|file| file.starts_with("held") || file == generation)
}

/// Asks once more for a My Number, and confirms what is held: both happen or name the harmed file. The last of all, for it changes what is shown.
fn last_acts(harm: &Harm, store: &Store) -> Result<(), String> {
    let known = accesses(store).map(|entries| entries.len());
    match (ask(store, 2), known) {
        (Ok(()), Ok(known)) => {
            let now = accesses(store).map_err(|damage| format!("after a question: {damage:?}"))?;
            // What was behind the last whole entry is cut by the next.
            if now.len() != known + 1 {
                return Err(format!("{known} entries and one more are {}", now.len()));
            }
        }
        (Err(AccessError::Open(OpenError::Damaged(damage))), _) if harm.files().contains(&damage.file) => {}
        (Err(AccessError::Damaged(damage)), _) if harm.files().contains(&damage.file) => {}
        (asked, known) => return Err(format!("{known:?} entries, one more question: {asked:?}")),
    }
    for held in store.held() {
        match store.confirm(held.id) {
            Ok(report) => {
                if (report.rows, report.removed) != (held.report.rows, held.report.removed) {
                    return Err(format!("{held:?} was confirmed as {report:?}"));
                }
                for number in [1, 2] {
                    let now = answer(&store.view(), ticket(CHIYODA, number));
                    if now.resident().map(|row| &row.name) != Some(&resident(number, HELD_VERSION).name) {
                        return Err(format!("after a confirmation, ticket {number} is {now:?}"));
                    }
                }
            }
            // Its own file; or one that the ledger's tail is read from, which the new generation takes over.
            Err(
                HeldError::Damaged { damage, .. } | HeldError::Load(LoadError::Install(RecordError::Damaged(damage))),
            ) if harm.files().contains(&damage.file) => {}
            Err(error) => return Err(format!("confirmed: {error:?}")),
        }
    }
    Ok(())
}

/// Records again what was acknowledged, and one shot more; ends the program, by a kill or not; opens the store again.
fn aftermath(
    bench: &Workbench<'_>,
    harm: &Harm,
    expected: &Expected<'_>,
    store: Store,
    seed: usize,
    kill: bool,
) -> Result<(), String> {
    // One of which something became is shown otherwise than it was recorded, and maybe elsewhere.
    for (ticket, held) in expected.shown.shots().filter(|(_, held)| held.sequence == held.shot_id) {
        let shot = held.shot.clone().expect("a recorded shot is a shot");
        let again = ShotRecord::check(line(ticket), shot).expect("what was recorded once can be recorded again");
        match store.record(again) {
            Ok(again) if again.outcome == RecordOutcome::AlreadyRecorded && again.shot_id == held.shot_id => {}
            Err(RecordError::Damaged(damage)) if harm.files().contains(&damage.file) => {}
            other => return Err(format!("shot {} was recorded again: {other:?}", held.shot_id)),
        }
    }
    let one_more = ticket(OSAKA, 77);
    let recorded = store.record(shot(one_more, 5, "one-more")).map_err(|error| format!("nothing more: {error:?}"))?;
    if recorded.sequence != expected.shown.sequence() + 1 {
        return Err(format!("one more shot is {recorded:?}"));
    }
    if kill {
        bench.kill(store);
    } else {
        drop(store);
    }
    let (store, _) = open(bench, seed).map_err(|error| format!("opened once and not twice: {error:?}"))?;
    let held = answer(&store.view(), one_more);
    if held.shots().first().map(|shot| shot.shot_id) != Some(recorded.shot_id) {
        return Err(format!("the shot that was recorded afterwards is {held:?}"));
    }
    let again = Everything::of(&store).compare(&expected.shown.clone().with_one_more(), &harm.files());
    again.map_err(|error| format!("opened again: {error}"))?;
    last_acts(harm, &store)
}
