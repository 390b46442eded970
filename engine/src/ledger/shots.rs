//! A ticket's shots: those that its generation folds and those of the log, together.
//!
//! Owns their order, and the reading of each as it is now. Where the log does no more than record shots, each is read where it lies; where something became of
//! one there, their lives are put together first.

use sesshu_proto::v1::{RecordedShot, ShotState};

use super::person::{AMENDS, Person};
use crate::error::Damage;
use crate::frame::kind;
use crate::generation::{ColdShotView, FoldedShot, Generation};
use crate::life::{Life, ShotEvent};
use crate::rules::Given;
use crate::stored::ShotView;
use crate::ticket::Date;

impl<'v> Person<'v> {
    /// How many shots there are of this ticket at most, in force or not.
    pub(crate) fn own_shots_max(&self) -> usize {
        self.entry.map_or(0, |entry| entry.shot_count as usize) + self.events.shots.len()
    }

    /// Hands every shot that ever was this ticket's to `visit`, in force or not, in the order they were recorded.
    pub(crate) fn each_own_shot(&self, mut visit: impl FnMut(ShotView<'v>)) -> Result<(), Damage> {
        if self.events.amend() {
            self.amended_lives()?.iter().for_each(|life| visit(life.shot));
            return Ok(());
        }
        self.each_folded_shot(|generation, folded, cold| {
            visit(generation.whole_shot(folded, cold)?);
            Ok(())
        })?;
        self.each_shot_of_tail(visit)
    }

    /// Hands the shots that events of the log record to `visit`; the events do nothing else.
    fn each_shot_of_tail(&self, mut visit: impl FnMut(ShotView<'v>)) -> Result<(), Damage> {
        for &address in &self.events.shots {
            let event = self.horizon.segments.event(address)?;
            let shot = ShotView::of_message(event.header.sequence, event.header.time_ms, event.message);
            visit(shot.ok_or_else(|| self.horizon.segments.damage(address, "an event whose message is no shot"))?);
        }
        Ok(())
    }

    /// As [`Person::each_own_shot`], with what became of each.
    pub(crate) fn each_own_life(&self, mut visit: impl FnMut(Life<'v>)) -> Result<(), Damage> {
        if self.events.amend() {
            self.amended_lives()?.into_iter().for_each(visit);
            return Ok(());
        }
        self.each_folded_shot(|generation, folded, cold| {
            visit(generation.life(folded, cold)?);
            Ok(())
        })?;
        for &address in &self.events.shots {
            visit(self.begun_by(address)?);
        }
        Ok(())
    }

    /// The life of one of the shots that ever were this ticket's.
    pub(crate) fn own_life(&self, shot_id: u64) -> Result<Option<Life<'v>>, Damage> {
        let mut found = None;
        self.each_own_life(|life| {
            if life.shot.shot_id == shot_id {
                found = Some(life);
            }
        })?;
        Ok(found)
    }

    /// The lives of the ticket's shots, where something became of them in the log.
    #[cold]
    fn amended_lives(&self) -> Result<Vec<Life<'v>>, Damage> {
        let mut lives: Vec<Life<'v>> = Vec::new();
        self.each_folded_shot(|generation, folded, cold| {
            lives.push(generation.life(folded, cold)?);
            Ok(())
        })?;
        for &address in &self.events.shots {
            let (event, event_at) = (self.shot_event(address)?, address & !AMENDS);
            let of = event.shot_id().and_then(|id| lives.iter_mut().find(|life| life.shot.shot_id == id));
            match of {
                Some(life) => life.go_on(event).ok_or_else(|| {
                    self.horizon.segments.damage(event_at, "an event whose message is no amendment of a shot")
                })?,
                None if event.kind == kind::SHOT_RECORDED || event.arrives() => lives.push(self.begun_by(address)?),
                // What became of a shot that was given up when the store was repaired.
                None => {}
            }
        }
        // A shot that came from another ticket may be older than those that were there.
        lives.sort_by_key(|life| life.shot.shot_id);
        Ok(lives)
    }

    /// A shot whose first event on the ticket lies at `address`.
    fn begun_by(&self, address: u64) -> Result<Life<'v>, Damage> {
        let life = Life::begun_by(self.shot_event(address)?);
        life.ok_or_else(|| self.horizon.segments.damage(address & !AMENDS, "an event whose message is no shot"))
    }

    fn shot_event(&self, address: u64) -> Result<ShotEvent<'v>, Damage> {
        let event = self.horizon.segments.event(address & !AMENDS)?;
        Ok(ShotEvent::of(event.header, event.message))
    }

    /// Hands every shot that was recorded on this ticket with this capture id to `same`, as it was recorded, and what the rules compare of every one that is in
    /// force to `given`. Of a folded shot's texts, which lie all over the dictionary, only the vaccine is looked at where no more is wanted.
    pub(crate) fn compare_own_shots(
        &self,
        capture_id: &str,
        mut same: impl FnMut(ShotView<'v>),
        mut given: impl FnMut(Given<'v>),
    ) -> Result<(), Damage> {
        let mut compare = |life: &Life<'v>, given: &mut dyn FnMut(Given<'v>)| {
            life.shot.given_in_force().into_iter().for_each(given);
            life.recorded().into_iter().filter(|shot| shot.capture_id == capture_id).for_each(&mut same);
        };
        if self.events.amend() {
            self.amended_lives()?.iter().for_each(|life| compare(life, &mut given));
            return Ok(());
        }
        self.each_folded_shot(|generation, folded, cold| {
            if cold.capture_id == capture_id || !cold.events.is_empty() {
                compare(&generation.life(folded, cold)?, &mut given);
            // What was recorded has a day of the calendar.
            } else if let Ok(date) = Date::from_yyyymmdd(folded.date) {
                let vaccine = generation.vaccine(folded)?;
                given(Given { shot_id: folded.sequence, date, dose: folded.dose, vaccine });
            }
            Ok(())
        })?;
        self.each_shot_of_tail(|shot| {
            shot.given().into_iter().for_each(&mut given);
            if shot.capture_id == capture_id {
                same(shot);
            }
        })
    }

    /// Hands what the rules compare of every shot of the person's other tickets to `given`.
    pub(crate) fn compare_other_shots(&self, mut given: impl FnMut(Given<'v>)) -> Result<(), Damage> {
        self.each_ticket(|person| match person.ticket == self.ticket {
            true => Ok(()),
            false => person.each_own_shot(|shot| shot.given_in_force().into_iter().for_each(&mut given)),
        })
    }

    fn each_folded_shot(
        &self,
        mut visit: impl FnMut(&'v Generation, &FoldedShot, &ColdShotView<'v>) -> Result<(), Damage>,
    ) -> Result<(), Damage> {
        let (Some(generation), Some(entry)) = (&self.ledger.generation, &self.entry) else { return Ok(()) };
        if entry.shot_count == 0 {
            return Ok(());
        }
        let cold = generation.cold(entry)?;
        for (index, folded) in entry.shots().enumerate() {
            let folded = folded.ok_or_else(|| generation.damage(0, "a folded shot that cannot be read"))?;
            visit(generation, &folded, &cold.shot(index))?;
        }
        Ok(())
    }
}

/// Flags shots that are in force and have the same dose number.
pub(super) fn mark_same_doses(shots: &mut [RecordedShot]) {
    let dose = |shot: &RecordedShot| shot.shot.as_ref().map_or(0, |content| content.dose);
    for index in 1..shots.len() {
        for before in 0..index {
            let both_in_force = [before, index].iter().all(|&at| shots[at].state() == ShotState::InForce);
            if both_in_force && dose(&shots[before]) == dose(&shots[index]) {
                (shots[before].same_dose, shots[index].same_dose) = (true, true);
            }
        }
    }
}
