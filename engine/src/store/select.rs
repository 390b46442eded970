//! Shots by what is said of them: all of a day, a venue, a device; or by an act on many of them.
//!
//! Owns the reading through of ledgers for them. There is no index: it is asked for when something went wrong at a venue.

use std::collections::HashSet;

use sesshu_proto::v1::RecordedShot;

use super::locate::{Located, locate, person_of};
use super::view::{Match, View};
use crate::error::Damage;
use crate::intake::ShotRef;
use crate::ledger::Person;
use crate::stored::ShotView;
use crate::ticket::{Municipality, Ticket};

/// What shots have in common; an empty text is any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShotsOf {
    /// YYYYMMDD; `None`: any.
    pub date: Option<u32>,
    /// 会場名.
    pub venue: String,
    /// Who recorded them.
    pub recorded_by: String,
    /// ロット番号 as written.
    pub lot: String,
    /// Of whose tickets (of an act's: those that had the shots then); `None`: all.
    pub municipality: Option<Municipality>,
    /// Only those of the person who has it are read; `None`: all.
    pub ticket: Option<Ticket>,
    /// The name of an act on many shots that did something with them, or wanted to: whatever they are now.
    pub batch: String,
}

impl ShotsOf {
    fn has(&self, shot: &ShotView<'_>) -> bool {
        let is = |asked: &str, text: &str| asked.is_empty() || asked == text;
        self.date.is_none_or(|date| shot.date == date)
            && is(&self.venue, shot.venue)
            && is(&self.recorded_by, shot.recorded_by)
            && is(&self.lot, shot.lot)
    }

    /// Those that are a ticket's own, and in force.
    fn of_ticket(&self, ticket: Ticket, person: &Person<'_>) -> Result<Vec<RecordedShot>, Damage> {
        let mut shots = Vec::new();
        person.each_own_shot(|shot| {
            if self.has(&shot) && shot.standing.in_force() {
                shots.push(RecordedShot { ticket: ticket.to_decimal(), ..shot.to_recorded() });
            }
        })?;
        Ok(shots)
    }

    /// Those with which the act did something while they were the ticket's own, where they are now; none that `seen` has.
    fn of_batch(&self, view: &View, person: &Person<'_>, seen: &mut HashSet<u64>) -> Result<Vec<RecordedShot>, Damage> {
        let (mut ids, mut shots) = (Vec::new(), Vec::new());
        person.each_own_life(|life| {
            if life.was_in_batch(&self.batch) && seen.insert(life.shot.shot_id) {
                ids.push(life.shot.shot_id);
            }
        })?;
        for shot_id in ids {
            let Some(Located { person, life }) = locate(view, ShotRef { ticket: person.ticket(), shot_id })?.0 else {
                continue;
            };
            if self.has(&life.shot) {
                shots.push(RecordedShot { ticket: person.ticket().to_decimal(), ..life.shot.to_recorded() });
            }
        }
        Ok(shots)
    }
}

impl View {
    /// Hands every shot that is one of `shots`, and in force if they are not those of an act, to `visit`, each with its ticket, in the order of municipalities and ticket numbers, until that says
    /// false.
    ///
    /// # Errors
    ///
    /// [`Damage`] of anything on the way: it could be one of them.
    pub fn each_shot_of(&self, shots: &ShotsOf, mut visit: impl FnMut(RecordedShot) -> bool) -> Result<(), Damage> {
        let asked = |municipality| shots.municipality.is_none_or(|asked| asked == municipality);
        let mut seen = HashSet::new();
        let mut of = |ticket: Ticket, found| match found {
            Match::Matched(person) | Match::Orphan(person) if shots.batch.is_empty() => {
                shots.of_ticket(ticket, &person)
            }
            Match::Matched(person) | Match::Orphan(person) => shots.of_batch(self, &person, &mut seen),
            Match::NotFound => Ok(Vec::new()),
            Match::Damaged(damage) => Err(damage),
        };
        if let Some(ticket) = shots.ticket {
            let person = person_of(self, ticket)?.filter(|_| asked(ticket.municipality()));
            for ticket in person.map_or(Ok(Vec::new()), |person| person.tickets())? {
                if !of(ticket, self.match_ticket(ticket))?.into_iter().all(&mut visit) {
                    break;
                }
            }
            return Ok(());
        }
        for ledger in self.ledgers.iter().filter(|ledger| asked(ledger.municipality)) {
            for item in self.ledger(ledger.municipality) {
                let (ticket, found) = item?;
                if !of(ticket, found)?.into_iter().all(&mut visit) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
