//! Results, rejected rows and remarks in the order of the files, however the loads overlap.
//!
//! Owns whose turn it is: the first file that has not been told. What is found in it goes straight to where it is listed. What is found in later files is held
//! in memory until their turn, at most [`HELD_BYTES_MAX`] of all files together. A load that would exceed it waits for its turn, with what it has in its hands: one
//! batch, or what the store rejected at the commit.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::bars::Bars;
use super::file::Finding;
use crate::answer;
use crate::answer_load::{LoadAnswer, LoadFailed, LoadTotal};
use crate::cli::results::results;
use crate::failure::Failure;
use crate::input::RejectsFile;

/// Some 200,000 rejected rows.
const HELD_BYTES_MAX: usize = 64 << 20;

/// How a file ended.
pub(super) type Outcome = Result<LoadAnswer, Failure>;

/// What is told of all files.
pub(super) struct InOrder<'a> {
    files: &'a [PathBuf],
    json: bool,
    bars: &'a Bars,
    state: Mutex<State>,
    moved: Condvar,
}

struct State {
    turn: usize,
    /// Of files whose turn it is not yet.
    held: HashMap<usize, Held>,
    held_bytes: usize,
    listed: Listed,
    told: Told,
    /// Why the command is to end: nobody's turn comes any more.
    over: Option<Failure>,
}

/// Where findings are listed, if anybody asked for that.
#[derive(Default)]
pub(super) struct Listed {
    pub(super) rejects: Option<RejectsFile>,
    pub(super) remarks: Option<RejectsFile>,
}

#[derive(Default)]
struct Held {
    found: Vec<Finding>,
    outcome: Option<Outcome>,
}

/// What came of the files that were told.
#[derive(Default)]
pub(super) struct Told {
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    pub(super) remarks: u64,
    pub(super) held: u64,
    pub(super) failed: Vec<(PathBuf, Failure)>,
}

impl<'a> InOrder<'a> {
    pub(super) fn new(files: &'a [PathBuf], json: bool, listed: Listed, bars: &'a Bars) -> InOrder<'a> {
        let (held, told) = (HashMap::new(), Told::default());
        let state = State { turn: 0, held, held_bytes: 0, listed, told, over: None };
        InOrder { files, json, bars, state: Mutex::new(state), moved: Condvar::new() }
    }

    /// Takes what was found in the file at `place`.
    ///
    /// # Errors
    ///
    /// A failure without news if the command is to end: the reason is `finish`'s to tell.
    pub(super) fn found(&self, place: usize, mut found: Vec<Finding>) -> Result<(), Failure> {
        let mut state = self.lock();
        found.retain(|finding| state.listed.file(finding).is_some());
        let bytes: usize = found.iter().map(Finding::bytes).sum();
        if bytes > 0 {
            while state.over.is_none() && !state.has_room(place, bytes) {
                state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if place != state.turn {
                state.held_bytes += bytes;
                state.held.entry(place).or_default().found.extend(found);
            } else if let Err(failure) = state.listed.write(&self.files[place], found) {
                self.over(&mut state, failure);
            }
        }
        if state.over.is_some() { Err(Failure::Machine("the command ends".into())) } else { Ok(()) }
    }

    /// Takes what came of the file at `place`, and tells all whose turn has come. `false` if the command is to end.
    pub(super) fn ended(&self, place: usize, outcome: Outcome) -> bool {
        let mut state = self.lock();
        state.held.entry(place).or_default().outcome = Some(outcome);
        if state.over.is_none()
            && let Err(failure) = self.tell_on(&mut state)
        {
            self.over(&mut state, failure);
        }
        self.moved.notify_all();
        state.over.is_none()
    }

    /// The command is to end for this reason, if there is none yet.
    pub(super) fn end(&self, failure: Failure) {
        self.over(&mut self.lock(), failure);
    }

    /// What came of the files that were told, and why the command ended before all were. What is listed is written to its end.
    pub(super) fn finish(self) -> (Told, Result<(), Failure>) {
        let State { listed, told, over, .. } = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut files = listed.rejects.into_iter().chain(listed.remarks);
        let written = files.try_for_each(RejectsFile::finish).map_err(Failure::from);
        (told, over.map_or(written, Err))
    }

    fn over(&self, state: &mut State, failure: Failure) {
        state.over.get_or_insert(failure);
        self.moved.notify_all();
    }

    /// Tells what is held until it comes to a file that has not ended. Of that one, what is held is written, and the rest goes straight on.
    fn tell_on(&self, state: &mut State) -> Result<(), Failure> {
        while let Some(Held { found, outcome }) = state.held.remove(&state.turn) {
            let file = &self.files[state.turn];
            state.held_bytes -= found.iter().map(Finding::bytes).sum::<usize>();
            state.listed.write(file, found)?;
            let Some(outcome) = outcome else { break };
            self.tell(file, &outcome)?;
            state.told.take(file, outcome);
            state.turn += 1;
        }
        Ok(())
    }

    fn tell(&self, file: &Path, outcome: &Outcome) -> Result<(), Failure> {
        let line = match outcome {
            Ok(answer) if self.json => line_of(answer)?,
            Ok(answer) => super::text::of(answer),
            Err(failure) if self.json => line_of(&LoadFailed {
                file: file.display().to_string(),
                exit_code: failure.exit_code(),
                reason: failure.chain(),
            })?,
            Err(_) => format!("{}: not loaded\n", file.display()),
        };
        Ok(self.bars.aside(|| results().write_all(line.as_bytes()))?)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether rows of the file at `place` can be written or held.
    fn has_room(&self, place: usize, bytes: usize) -> bool {
        place == self.turn || self.held_bytes + bytes <= HELD_BYTES_MAX
    }
}

impl Told {
    fn take(&mut self, file: &Path, outcome: Outcome) {
        match outcome {
            Ok(answer) => {
                self.accepted += answer.visible();
                self.rejected += answer.effect.rejected;
                self.remarks += answer.effect.remarks;
                self.held += u64::from(answer.waits());
            }
            Err(failure) => self.failed.push((file.to_owned(), failure)),
        }
    }

    /// The last object, without the time.
    pub(super) fn total(&self, seconds: f64) -> LoadTotal {
        let Told { accepted, rejected, remarks, held, .. } = *self;
        LoadTotal { accepted, rejected, remarks, held, seconds }
    }
}

impl Finding {
    /// What it takes in memory, nearly.
    fn bytes(&self) -> usize {
        size_of::<Finding>()
            + match self {
                Finding::RejectedByReader(row) => row.fault.reason.len() + row.row.len(),
                Finding::RejectedByStore(row) => row.column.len() + row.code.len() + row.reason.len(),
                Finding::Remark(remark) => remark.column.len() + remark.code.len() + remark.reason.len(),
            }
    }
}

impl Listed {
    /// Where a finding goes, if anywhere.
    fn file(&mut self, finding: &Finding) -> Option<&mut RejectsFile> {
        match finding {
            Finding::RejectedByReader(_) | Finding::RejectedByStore(_) => self.rejects.as_mut(),
            Finding::Remark(_) => self.remarks.as_mut(),
        }
    }

    fn write(&mut self, file: &Path, found: Vec<Finding>) -> Result<(), Failure> {
        for finding in found {
            let Some(list) = self.file(&finding) else { continue };
            match finding {
                Finding::RejectedByReader(row) => list.write(file, &row)?,
                Finding::RejectedByStore(row) => list.write_reported(file, &row)?,
                Finding::Remark(remark) => list.write_remark(file, &remark)?,
            }
        }
        Ok(())
    }
}

fn line_of(object: &impl serde::Serialize) -> Result<String, Failure> {
    let mut line = Vec::new();
    answer::write_line(&mut line, object)?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn rejected(reason: &str) -> Vec<Finding> {
        let row = sesshu_proto::v1::RejectedRow { line: 2, reason: reason.into(), ..Default::default() };
        vec![Finding::RejectedByStore(row)]
    }

    fn listed(rejects: RejectsFile) -> Listed {
        Listed { rejects: Some(rejects), remarks: None }
    }

    fn refused() -> Outcome {
        Err(Failure::Request("refused".into()))
    }

    #[test]
    fn rejects_are_written_in_the_order_of_the_files_whoever_is_first() {
        let folder = tempfile::tempdir().unwrap();
        let (path, bars) = (folder.path().join("rejects.csv"), Bars::new(std::iter::empty()));
        let files = ["a", "b", "c"].map(PathBuf::from);
        let in_order = InOrder::new(&files, true, listed(RejectsFile::create(&path).unwrap()), &bars);
        for (place, reason) in [(2, "c1"), (1, "b1"), (0, "a1"), (2, "c2"), (0, "a2")] {
            in_order.found(place, rejected(reason)).unwrap();
        }
        assert!(in_order.ended(2, refused()));
        assert!(in_order.ended(0, refused()));
        assert_eq!(in_order.lock().turn, 1);
        in_order.found(1, rejected("b2")).unwrap();
        assert!(in_order.ended(1, refused()));
        assert_eq!(in_order.lock().turn, 3);
        assert_eq!(in_order.lock().held_bytes, 0);
        let (told, ended) = in_order.finish();
        ended.unwrap();
        assert_eq!(told.failed.iter().map(|(file, _)| file).collect::<Vec<_>>(), files.iter().collect::<Vec<_>>());
        let text = std::fs::read_to_string(path).unwrap();
        let reasons: Vec<&str> = text.lines().skip(1).map(|line| line.split(',').nth(3).unwrap()).collect();
        assert_eq!(reasons, ["a1", "a2", "b1", "b2", "c1", "c2"]);
    }

    #[test]
    fn what_waits_for_its_turn_is_bounded_and_what_has_its_turn_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let bars = Bars::new(std::iter::empty());
        let files = ["a", "b", "c"].map(PathBuf::from);
        let rejects = RejectsFile::create(&folder.path().join("rejects.csv")).unwrap();
        let in_order = InOrder::new(&files, true, listed(rejects), &bars);
        in_order.found(1, rejected("b1")).unwrap();
        let has_room = |place, bytes| in_order.lock().has_room(place, bytes);
        let held = in_order.lock().held_bytes;
        assert!(held > 0);
        assert_eq!([has_room(2, HELD_BYTES_MAX - held), has_room(2, HELD_BYTES_MAX - held + 1)], [true, false]);
        assert!(has_room(0, usize::MAX));
        in_order.ended(0, refused());
        assert_eq!([has_room(2, HELD_BYTES_MAX), has_room(2, HELD_BYTES_MAX + 1)], [true, false]);
        assert!(has_room(1, usize::MAX));
    }

    #[test]
    fn when_the_command_is_to_end_nobody_waits_for_a_turn() {
        let folder = tempfile::tempdir().unwrap();
        let bars = Bars::new(std::iter::empty());
        let files = ["a", "b"].map(PathBuf::from);
        let rejects = RejectsFile::create(&folder.path().join("rejects.csv")).unwrap();
        let in_order = InOrder::new(&files, true, listed(rejects), &bars);
        in_order.lock().held_bytes = HELD_BYTES_MAX;
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| in_order.found(1, rejected("b1")));
            in_order.end(Failure::Request("first".into()));
            assert!(waiting.join().unwrap().is_err());
        });
        in_order.end(Failure::Request("second".into()));
        assert!(!in_order.ended(0, refused()));
        assert_eq!(in_order.finish().1.unwrap_err().to_string(), "first");
    }
}
