//! What the steps of a workload do to the store, what they are told, and whether the model agrees.
//!
//! Owns the judgement of every answer: what is acknowledged is what the model predicts; an error needs a fault that explains it, or damage that it names.

use std::error::Error;
use std::io::ErrorKind;
use std::path::PathBuf;

use sesshu_engine::disk::{Call, Fault, PlannedFault};
use sesshu_engine::error::{LoadError, OpenError, RecordError};
use sesshu_engine::intake::Change;
use sesshu_engine::limits::COMMAND_SHOTS_MAX;
use sesshu_engine::{Load, LoadReport, RecordOutcome, Recorded, Rotation};
use sesshu_proto::v1::ResidentStatus;

use super::model::{CHANGED_ON, CODES, Event, HeldShot, LARGE, given_row, of, shot_record};
use super::properties::{Failure, blame, ensure};
use super::rows;
use super::runner::Runner;
use super::workload::{Becomes, Changing, Offered, Register, Step};
use crate::ticket;

/// Tickets that large shots are spread over.
const FILL_TICKETS: u64 = 40;

/// What could excuse an error, before the act that ended with it.
pub(super) struct Before {
    faults: u64,
    without_room: u64,
    operations: u64,
    pub(super) poisoned: bool,
}

impl Runner {
    /// Does one step.
    pub(super) fn step(&mut self, step: &Step) -> Result<(), Failure> {
        match step {
            Step::Load(register) => {
                self.build(register)?;
                self.install(register.ledger)
            }
            Step::Build(register) => self.build(register),
            Step::Install(ledger) => self.install(*ledger),
            Step::Hold(register) => self.hold(register),
            Step::Confirm(ledger) => self.confirm(*ledger),
            Step::Discard(ledger) => self.discard(*ledger),
            Step::Compact(ledger) => self.compact(*ledger),
            Step::Snapshot => self.create_snapshot(),
            Step::Restore(which, draw) => self.restore(*which, *draw),
            Step::DeleteSnapshot(which) => self.delete_snapshot(*which),
            Step::Abandon(ledger) => {
                self.builds[*ledger] = None;
                Ok(())
            }
            Step::Record(offered) => self.record(offered),
            Step::Change(ledger, changes) => self.change(*ledger, changes),
            Step::Act(acts) => self.amend(acts),
            Step::Reissue(ledger, from, to, version) => {
                self.change(*ledger, &[Changing { number: *to, to: Becomes::Reissued(*from, *version) }])
            }
            Step::Fill(ledger, count) => self.fill(*ledger, *count),
            Step::Retry => self.record(&self.doubted.clone()),
            Step::Tick => self.idle(),
            Step::Checkpoint => self.checkpoint(),
            Step::Reopen => self.reopen(),
            Step::Rotate(new_data_key) => self.rotate(*new_data_key),
            Step::Crash(fate) => self.end(Some(*fate)),
            Step::Pin => {
                self.pins.push((self.store().view(), self.model.clone()));
                Ok(())
            }
            Step::Clock(ms) => {
                self.world.jump(*ms);
                Ok(())
            }
            Step::Fault(fault) => {
                self.disk.plan(*fault);
                Ok(())
            }
            Step::Full(full) => {
                self.disk.set_full(*full);
                Ok(())
            }
            Step::Heal => {
                self.disk.heal();
                Ok(())
            }
            Step::Flip(file, place, mask) => {
                self.flip(*file, *place, *mask);
                Ok(())
            }
            Step::Misdirect(count) => {
                self.disk.plan(PlannedFault { on: Call::WRITES, count: *count, fault: Fault::Misdirect });
                Ok(())
            }
        }
    }

    pub(super) fn before(&self) -> Before {
        let trouble = self.store().status().trouble;
        Before {
            faults: self.disk.faults(),
            without_room: self.disk.without_room(),
            operations: self.disk.operations(),
            poisoned: trouble.is_some_and(|trouble| trouble.starts_with("the log failed")),
        }
    }

    /// Whether something went wrong with the disk meanwhile.
    fn excused(&self, before: &Before) -> bool {
        self.disk.faults() > before.faults || self.disk.stopped()
    }

    pub(super) fn excuse(&self, before: &Before, error: &dyn Error) -> Result<(), Failure> {
        ensure(self.excused(before), "without a fault nothing fails", || chain(error))
    }

    /// I7.
    pub(super) fn wrote_nothing(&self, before: &Before) -> Result<(), Failure> {
        let wrote = self.disk.operations() - before.operations;
        ensure(!before.poisoned || wrote == 0, "after a failure of the log nothing is written", || {
            format!("{wrote} operations")
        })
    }

    fn record(&mut self, offered: &[Offered]) -> Result<(), Failure> {
        for command in offered.chunks(COMMAND_SHOTS_MAX) {
            let before = self.before();
            let answers = self.store().record_many(command.iter().map(shot_record).collect());
            ensure(answers.len() == command.len(), "every shot is answered", || format!("{answers:?}"))?;
            let mut placed = Vec::new();
            let mut in_doubt = None;
            for (offered, answer) in command.iter().zip(&answers) {
                let (outcome, held, event) = self.model.judge(offered, &placed, self.world.day());
                match answer {
                    Ok(recorded) => self.recorded(recorded, outcome, &held, event.is_some())?,
                    Err(RecordError::Damaged(damage)) => {
                        self.damaged.append(&mut self.disk.damaged());
                        blame(damage, &self.damaged)?;
                        continue;
                    }
                    Err(error) => {
                        in_doubt = Some(error.clone());
                    }
                }
                placed.extend(event);
            }
            self.wrote_nothing(&before)?;
            match in_doubt {
                None => placed.into_iter().for_each(|event| self.model.apply(event)),
                Some(error) => self.not_recorded(&before, &answers, command, placed, &error)?,
            }
        }
        Ok(())
    }

    /// A shot was acknowledged.
    fn recorded(
        &mut self,
        recorded: &Recorded,
        outcome: RecordOutcome,
        held: &HeldShot,
        is_new: bool,
    ) -> Result<(), Failure> {
        let (shot_id, recorded_at_ms) = (held.shot_id, recorded.recorded_at_ms);
        self.ran.mix(recorded.shot_id ^ recorded_at_ms << 20);
        self.ran.warnings += recorded.warnings.len() as u64;
        let warnings = held.warnings.to_vec();
        let expected = Recorded { outcome, shot_id, sequence: shot_id, recorded_at_ms, warnings };
        ensure(*recorded == expected, "a shot is answered as the model says", || {
            format!("{recorded:?}, not {expected:?}")
        })?;
        if is_new {
            let times = self.time_ms..=self.world.newest_ms();
            ensure(times.contains(&recorded_at_ms), "time never goes back", || {
                format!("{recorded_at_ms}, not {times:?}")
            })?;
            self.time_ms = recorded_at_ms;
            held.recorded_at.set(recorded_at_ms);
            self.ran.recorded += 1;
        }
        Ok(())
    }

    /// A command was not acknowledged, and none of its shots was.
    fn not_recorded(
        &mut self,
        before: &Before,
        answers: &[Result<Recorded, RecordError>],
        command: &[Offered],
        placed: Vec<Event>,
        error: &RecordError,
    ) -> Result<(), Failure> {
        let alike = |answer: &Result<Recorded, RecordError>| {
            answer.as_ref().err().map(std::mem::discriminant) == Some(std::mem::discriminant(error))
        };
        ensure(answers.iter().all(alike), "a command is acknowledged whole or not at all", || format!("{answers:?}"))?;
        if matches!(error, RecordError::InDoubt(_)) {
            self.doubted.extend_from_slice(command);
        }
        self.not_logged(before, placed, error)
    }

    /// A batch was not acknowledged, and there is a reason.
    pub(super) fn not_logged(
        &mut self,
        before: &Before,
        placed: Vec<Event>,
        error: &RecordError,
    ) -> Result<(), Failure> {
        match error {
            RecordError::Poisoned(_) => {
                // Segments are written before they are used, so a disk that is full fails no write of the log.
                let full = self.disk.without_room() - before.without_room;
                let failed = self.disk.faults() - before.faults > full || self.disk.stopped();
                ensure(before.poisoned || failed, "a full disk is no failure of the log", || chain(error))?;
            }
            RecordError::InDoubt(_) => {
                ensure(!before.poisoned, "one batch is in doubt at most", || chain(error))?;
                self.excuse(before, error)?;
                for event in &placed {
                    if let Event::Shot(_, held) = event {
                        // Nobody was told.
                        held.recorded_at.set(0);
                    }
                }
                let moves = |event: &Event| matches!(event, Event::Act(acted) if acted.arrives());
                self.ran.moves_in_doubt += u64::from(placed.iter().any(moves));
                self.doubt = placed;
                self.ran.doubts += 1;
            }
            RecordError::DiskFull | RecordError::Unprepared(_) => {
                ensure(!before.poisoned, "a log that failed says so", || chain(error))?;
                self.excuse(before, error)?;
                self.ran.no_room += 1;
            }
            _ => return ensure(false, "a record fails for a reason that there is", || chain(error)),
        }
        Ok(())
    }

    fn change(&mut self, ledger: usize, changes: &[Changing]) -> Result<(), Failure> {
        let before = self.before();
        let offered: Vec<Change> = changes.iter().map(|change| change_of(ledger, change)).collect();
        let answers = self.store().change(&offered).expect("the key is there");
        ensure(answers.len() == changes.len(), "every change is answered", || format!("{answers:?}"))?;
        self.wrote_nothing(&before)?;
        // Those that share a batch have the same fate. Later ones may not have been tried.
        let (mut not_logged, mut failed) = (Vec::new(), None);
        for (change, answer) in changes.iter().zip(&answers) {
            let (outcome, events) = self.model.judge_change(ledger, change);
            match answer {
                Ok(changed) => {
                    let sequence = self.model.sequence() + events.len() as u64;
                    let right = changed.outcome == outcome && (events.is_empty() || changed.sequence == sequence);
                    ensure(right, "a change is answered as the model says", || {
                        format!("{changed:?}, not {outcome:?}, {sequence}")
                    })?;
                    let in_order = failed.is_none();
                    ensure(in_order, "nothing is answered behind what failed", || format!("{answers:?}"))?;
                    self.ran.mix(changed.sequence);
                    self.ran.changed += u64::from(!events.is_empty());
                    events.into_iter().for_each(|event| self.model.apply(event));
                }
                Err(RecordError::Damaged(damage)) => {
                    self.damaged.append(&mut self.disk.damaged());
                    blame(damage, &self.damaged)?;
                }
                Err(error) => {
                    let is_said = !events.is_empty() || failed.is_some() || matches!(error, RecordError::Poisoned(_));
                    ensure(is_said, "what changes nothing needs no disk, but that nothing failed", || chain(error))?;
                    if std::mem::discriminant(*failed.get_or_insert(error)) == std::mem::discriminant(error) {
                        not_logged.extend(events);
                    }
                }
            }
        }
        match failed {
            None => Ok(()),
            Some(error) => self.not_logged(&before, not_logged, error),
        }
    }

    fn fill(&mut self, ledger: usize, count: u64) -> Result<(), Failure> {
        let large = |index: u64| {
            let content = LARGE + self.filled + index as u32;
            Offered { ledger, number: u64::from(content) % FILL_TICKETS, content, capture: u64::from(content) }
        };
        let offered: Vec<Offered> = (0..count).map(large).collect();
        self.filled += count as u32;
        self.record(&offered)
    }

    pub(super) fn build(&mut self, register: &Register) -> Result<(), Failure> {
        let before = self.before();
        let pending = self.builds[register.ledger].is_some();
        let mut load = match self.store().load(of(register.ledger)) {
            Ok(load) => load,
            Err(LoadError::UnderWay(_)) if pending => return Ok(()),
            Err(error) => return self.not_loaded(&before, &error),
        };
        ensure(!pending, "one load of a ledger at a time", String::new)?;
        push(&mut load, register);
        let event = Event::Install(register.clone(), self.world.day(), self.model.sequence());
        let built = match load.build(Some((register.rows.len() + register.kept.len()) as u64)) {
            Ok(built) => built,
            Err(error) => return self.not_loaded(&before, &error),
        };
        let shown = LoadReport { generation: 0, sequence: 0, ..built.report().clone() };
        let expected = self.model.report(register);
        ensure(shown == expected, "a load tells what it will change", || format!("{shown:?} instead of {expected:?}"))?;
        self.builds[register.ledger] = Some((built, event));
        Ok(())
    }

    fn install(&mut self, ledger: usize) -> Result<(), Failure> {
        let Some((built, event)) = self.builds[ledger].take() else { return Ok(()) };
        let before = self.before();
        match built.install() {
            Ok(report) => {
                self.model.apply(event);
                let sequence = self.model.sequence();
                ensure(report.sequence == sequence, "sequences are contiguous", || {
                    format!("{report:?}, not {sequence}")
                })?;
                self.ran.installed += 1;
                self.shows_the_model()
            }
            Err(LoadError::Install(error @ RecordError::InDoubt(_))) => self.install_in_doubt(&before, event, &error),
            Err(error) => self.not_loaded(&before, &error),
        }
    }

    pub(super) fn install_in_doubt(
        &mut self,
        before: &Before,
        event: Event,
        error: &RecordError,
    ) -> Result<(), Failure> {
        ensure(!before.poisoned, "one batch is in doubt at most", || chain(error))?;
        self.excuse(before, error)?;
        self.doubt = vec![event];
        self.ran.doubts += 1;
        Ok(())
    }

    /// A load failed, and changed nothing.
    pub(super) fn not_loaded(&mut self, before: &Before, error: &LoadError) -> Result<(), Failure> {
        self.ran.not_loaded += 1;
        match error {
            LoadError::Damaged(damage) | LoadError::Install(RecordError::Damaged(damage)) => {
                self.damaged.append(&mut self.disk.damaged());
                blame(damage, &self.damaged)
            }
            LoadError::Install(RecordError::Poisoned(_)) if before.poisoned => Ok(()),
            // A file that could not be removed is in the way until the store is opened again.
            LoadError::Disk { source, .. } if source.kind() == ErrorKind::AlreadyExists => {
                let excused = self.disk.faults() > self.calm;
                ensure(excused, "without a fault nothing fails", || chain(error))
            }
            _ => self.excuse(before, error),
        }
    }

    fn idle(&mut self) -> Result<(), Failure> {
        let before = self.before();
        self.store().tick();
        self.wrote_nothing(&before)?;
        let poisoned = self.before().poisoned;
        if !poisoned && !self.disk.stopped() {
            self.vouched = self.model.sequence();
        }
        ensure(!poisoned || before.poisoned || self.excused(&before), "without a fault nothing fails", String::new)
    }

    /// The keys change. Whether that fails or not: what was sealed is open, and every sealed My Number has a key that is listed.
    fn rotate(&mut self, new_data_key: bool) -> Result<(), Failure> {
        let before = self.before();
        let newest = match self.store().rotate_key(&Rotation { new_key_file: None, new_data_key }) {
            Ok(rotated) => {
                self.ran.rotated += 1;
                Some(rotated.data_key)
            }
            Err(error) => {
                self.excuse(&before, &error)?;
                None
            }
        };
        self.shows_the_model()?;
        let listed = match self.store().keys() {
            Ok(listed) => listed,
            Err(damage) => {
                self.damaged.append(&mut self.disk.damaged());
                return blame(&damage, &self.damaged);
            }
        };
        let sealed: u64 = listed.iter().map(|key| key.my_numbers).sum();
        let right = sealed == self.model.my_numbers()
            && newest.is_none_or(|newest| listed.last().is_some_and(|key| key.id == newest && key.newest));
        ensure(right, "the keys that are needed are listed", || {
            format!("{listed:?}, for {} My Numbers and {newest:?}", self.model.my_numbers())
        })
    }

    pub(super) fn written(&mut self, before: &Before, written: Result<(), OpenError>) -> Result<(), Failure> {
        match written {
            Ok(()) => Ok(()),
            Err(OpenError::Damaged(damage)) => {
                self.damaged.append(&mut self.disk.damaged());
                blame(&damage, &self.damaged)
            }
            Err(error) => self.excuse(before, &error),
        }
    }

    /// Closes the store and opens it again.
    pub(super) fn reopen(&mut self) -> Result<(), Failure> {
        self.builds = Default::default();
        let before = self.before();
        let closed = self.store().close();
        self.wrote_nothing(&before)?;
        // A segment that was begun in vain, for want of room, lies behind the end.
        self.closed = closed.is_ok() && self.disk.faults() == self.calm && !self.disk.stopped();
        self.written(&before, closed)?;
        let refused = self.store().record(shot_record(&Offered { ledger: 0, number: 1, content: 0, capture: 99 }));
        ensure(matches!(refused, Err(RecordError::Closed)), "a closed store takes nothing", || format!("{refused:?}"))?;
        self.shows_the_model()?;
        if self.disk.stopped() {
            return Ok(());
        }
        self.store = None;
        self.open()
    }

    fn flip(&mut self, file: u64, place: u64, mask: u8) {
        let files: Vec<_> = self.disk.files().into_iter().filter(|(_, length)| *length > 0).collect();
        if files.is_empty() {
            return;
        }
        let (path, length) = &files[file as usize % files.len()];
        let (path, offset) = match place % 3 {
            0 => (path.clone(), place / 3 % length),
            // Near the beginning, where most of what is written lies.
            1 => (path.clone(), place / 3 % (*length).min(12 << 10)),
            _ => self.near_the_end_of_the_log(&files, place / 3 % 600),
        };
        self.disk.flip(&path, offset, mask).expect("the byte is there");
        self.flipped_generation |= path.starts_with("ledgers");
        self.ran.flipped += 1;
    }

    /// So many bytes before the end of the log: its segments follow one another without a gap.
    fn near_the_end_of_the_log(&self, files: &[(PathBuf, u64)], bytes: u64) -> (PathBuf, u64) {
        let mut position = self.store().status().log_written_bytes.saturating_sub(bytes + 1);
        let segments: Vec<_> = files.iter().filter(|(path, _)| path.starts_with("log")).collect();
        for (path, length) in &segments {
            if position < *length {
                return (path.clone(), position);
            }
            position -= length;
        }
        let (path, length) = segments.last().expect("an open store has a segment");
        (path.clone(), length - 1)
    }
}

fn change_of(ledger: usize, change: &Changing) -> Change {
    let number = change.number;
    let change_of = match change.to {
        Becomes::Row(version) => Change::row(of(ledger), given_row(number, version)),
        Becomes::Reissued(previous, version) => {
            Change::reissue(of(ledger), previous, given_row(number, version)).expect("another number")
        }
        Becomes::Status(status) => {
            let status = ResidentStatus::try_from(status).expect("a status");
            Change::status(ticket(CODES[ledger], number), status, CHANGED_ON).expect("a day of the calendar")
        }
    };
    change_of.sent_by(rows::of_change(change))
}

fn push(load: &mut Load, register: &Register) {
    load.sent_by(rows::of_register(register));
    for &number in &register.rows {
        load.push(given_row(number, register.version)).expect("a checked row is taken");
    }
    register.kept.iter().for_each(|&number| load.keep(number));
}

pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}
