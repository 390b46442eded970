//! Shots by what is said of them: all of a day, a venue, a device.
//!
//! Owns the reading through of ledgers for them. There is no index: it is asked for when something went wrong at a venue.

use sesshu_proto::v1::RecordedShot;

use super::view::{Match, View};
use crate::error::Damage;
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
    /// Of whose tickets; `None`: all.
    pub municipality: Option<Municipality>,
    /// Only this one is read; `None`: all.
    pub ticket: Option<Ticket>,
}

impl ShotsOf {
    fn has(&self, shot: &ShotView<'_>) -> bool {
        let is = |asked: &str, text: &str| asked.is_empty() || asked == text;
        self.date.is_none_or(|date| shot.date == date)
            && is(&self.venue, shot.venue)
            && is(&self.recorded_by, shot.recorded_by)
            && is(&self.lot, shot.lot)
            && shot.standing.in_force()
    }

    /// Those that are a ticket's own.
    fn of_ticket(&self, ticket: Ticket, found: Match<'_>) -> Result<Vec<RecordedShot>, Damage> {
        let mut shots = Vec::new();
        match found {
            Match::Matched(person) | Match::Orphan(person) => person.each_own_shot(|shot| {
                if self.has(&shot) {
                    shots.push(RecordedShot { ticket: ticket.to_decimal(), ..shot.to_recorded() });
                }
            })?,
            Match::NotFound => {}
            Match::Damaged(damage) => return Err(damage),
        }
        Ok(shots)
    }
}

impl View {
    /// Hands every shot in force that is one of `shots` to `visit`, each with its ticket, in the order of municipalities and ticket numbers, until that says
    /// false.
    ///
    /// # Errors
    ///
    /// [`Damage`] of anything on the way: it could be one of them.
    pub fn each_shot_of(&self, shots: &ShotsOf, mut visit: impl FnMut(RecordedShot) -> bool) -> Result<(), Damage> {
        let asked = |municipality| shots.municipality.is_none_or(|asked| asked == municipality);
        if let Some(ticket) = shots.ticket {
            if asked(ticket.municipality()) {
                shots.of_ticket(ticket, self.match_ticket(ticket))?.into_iter().all(visit);
            }
            return Ok(());
        }
        for ledger in self.ledgers.iter().filter(|ledger| asked(ledger.municipality)) {
            for item in self.ledger(ledger.municipality) {
                let (ticket, found) = item?;
                if !shots.of_ticket(ticket, found)?.into_iter().all(&mut visit) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
