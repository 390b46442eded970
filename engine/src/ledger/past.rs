//! A person as they were known at a moment: the row that the ticket had then, and the shots that counted.
//!
//! Owns the versions of a row, folded ones and those of the log, and which of them was the ticket's at a moment. Off the path of a match.

use std::borrow::Cow;

use sesshu_proto::v1::{RecordedShot, Resident, RowVersion};

use super::links::Links;
use super::person::Person;
use super::shots::mark_same_doses;
use crate::error::Damage;
use crate::frame::kind;
use crate::life::{folded_events, shot_of_events};
use crate::stored::{RowView, ShotView, older_rows, put_older_row};
use crate::ticket::Ticket;

/// A moment of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Behind the event with this sequence. Of an act of two events, a reassignment or a reissue, the second is meant, which its answer names.
    Sequence(u64),
    /// At a time, milliseconds since 1970: behind the last event of that time.
    Time(u64),
}

impl Moment {
    /// Whether an event had happened.
    pub(crate) fn has(self, (sequence, time_ms): (u64, u64)) -> bool {
        match self {
            Moment::Sequence(moment) => sequence <= moment,
            Moment::Time(moment) => time_ms <= moment,
        }
    }
}

/// What was known at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// The register row; `None` for an orphan.
    pub resident: Option<Resident>,
    /// The shots, with the ticket where that is another than the one asked for.
    pub shots: Vec<RecordedShot>,
    /// All tickets of the person, each behind those that it replaced, the valid one last.
    pub tickets: Vec<Ticket>,
}

impl<'v> Person<'v> {
    /// The person as a match would have shown them at a moment; `None`: nothing was known then.
    ///
    /// # Errors
    ///
    /// [`Damage`] of anything that is read for it.
    pub fn known_at(&self, moment: Moment) -> Result<Option<Known>, Damage> {
        let tickets = self.all_tickets(Some(moment))?;
        let mut shots = Vec::new();
        for (person, _) in &tickets {
            let ticket = if person.ticket == self.ticket { 0 } else { person.ticket.to_decimal() };
            person.each_own_shot_at(moment, |shot| {
                if shot.standing.in_force() {
                    shots.push(RecordedShot { ticket, ..shot.to_recorded() });
                }
            })?;
        }
        shots.sort_by_key(|shot| shot.shot_id);
        let row = self.newest_row_at(moment)?;
        let tickets = tickets.into_iter().map(|(person, _)| person.ticket).collect();
        self.known(moment, row, shots, tickets)
    }

    /// The ticket as its ledger would have shown it at a moment: its own row, and every shot that was ever its own, in force or not.
    ///
    /// # Errors
    ///
    /// As [`Person::known_at`].
    pub fn own_known_at(&self, moment: Moment) -> Result<Option<Known>, Damage> {
        let mut shots = Vec::new();
        self.each_own_shot_at(moment, |shot| shots.push(shot.to_recorded()))?;
        self.known(moment, self.own_row_at(moment)?, shots, vec![self.ticket])
    }

    fn known(
        &self,
        moment: Moment,
        row: Option<RowView<'v>>,
        mut shots: Vec<RecordedShot>,
        tickets: Vec<Ticket>,
    ) -> Result<Option<Known>, Damage> {
        let mut known = row.is_some();
        self.each_own_shot_at(moment, |_| known = true)?;
        mark_same_doses(&mut shots);
        let resident = row.map_or(Ok(None), |row| self.decode(row.bytes))?;
        Ok(known.then_some(Known { resident, shots, tickets }))
    }

    /// Every row that one of the person's tickets had or has, in the order in which they became known.
    pub(crate) fn row_versions(&self) -> Result<Vec<RowVersion>, Damage> {
        let mut versions = Vec::new();
        let senders = self.ledger.senders()?;
        for (person, _) in self.all_tickets(None)? {
            for row in person.own_rows()? {
                let (ticket, (known_since, known_since_time)) = (person.ticket.to_decimal(), row.known_since);
                let of_register = senders.iter().find(|register| register.installed_sequence == known_since);
                let (who, reason) = of_register.map_or((row.sender.who, row.sender.reason), |it| (&it.who, &it.reason));
                versions.push(RowVersion {
                    ticket,
                    resident: person.decode(row.bytes)?,
                    known_since,
                    known_since_time,
                    who: who.to_owned(),
                    reason: reason.to_owned(),
                });
            }
        }
        versions.sort_by_key(|version| version.known_since);
        Ok(versions)
    }

    /// The ticket's own row at a moment.
    pub(super) fn own_row_at(&self, moment: Moment) -> Result<Option<RowView<'v>>, Damage> {
        let mut versions = self.own_rows()?;
        versions.retain(|row| moment.has(row.known_since));
        Ok(versions.pop())
    }

    pub(super) fn links_at(&self, moment: Moment) -> Result<Links, Damage> {
        let row = self.own_row_at(moment)?;
        Ok(row.map_or(Ok(None), |row| self.decode(row.bytes))?.map(|row| Links::of(&row)).unwrap_or_default())
    }

    /// Hands every shot that was this ticket's at a moment or before to `visit`, as it was then, in the order they were recorded.
    fn each_own_shot_at(&self, moment: Moment, mut visit: impl FnMut(ShotView<'_>)) -> Result<(), Damage> {
        self.each_own_life(|life| {
            let events = life.events();
            let known =
                folded_events(&events).flatten().take_while(|event| moment.has((event.sequence, event.time_ms)));
            shot_of_events(known).into_iter().for_each(&mut visit);
        })
    }

    /// Every version of the ticket's own row, oldest first; the last is the one that it has.
    fn own_rows(&self) -> Result<Vec<RowView<'v>>, Damage> {
        let changes = self.changed_rows()?;
        let mut rows = Vec::new();
        if let (Some(generation), Some(entry)) = (&self.ledger.generation, &self.entry) {
            let older = generation.cold(entry)?.older_rows;
            for row in older_rows(older) {
                rows.push(row.ok_or_else(|| generation.damage(0, "an older row that is no message"))?);
            }
        }
        // What changed after a register was built and before it was installed is what was seen from then on: the register's row never was.
        let folded = self.folded_row()?;
        rows.extend(folded.filter(|row| changes.first().is_none_or(|change| row.known_since.0 < change.known_since.0)));
        rows.extend(changes);
        Ok(rows)
    }

    /// The rows that events of the log gave the ticket, oldest first.
    fn changed_rows(&self) -> Result<Vec<RowView<'v>>, Damage> {
        let (mut rows, mut address) = (Vec::new(), self.events.row);
        while address != 0 && address >= self.ledger.folded_position() {
            let event = self.horizon.segments.event(address)?;
            if event.header.kind == kind::RESIDENT_CHANGED {
                let row = RowView::of_change(event.header, event.message);
                let damage = || self.horizon.segments.damage(address, "a change whose message is no row");
                rows.push(row.ok_or_else(damage)?);
            }
            address = event.previous;
        }
        rows.reverse();
        Ok(rows)
    }

    /// The versions of the ticket's own row as a fold keeps them, without the one that it has; with it, if another takes its place. Empty where there are none.
    pub(crate) fn older_rows(&self, superseded: bool) -> Result<Cow<'v, [u8]>, Damage> {
        let folded = match (&self.ledger.generation, &self.entry) {
            (Some(generation), Some(entry)) => generation.cold(entry)?.older_rows,
            _ => &[],
        };
        if self.events.row == 0 && !superseded {
            return Ok(Cow::Borrowed(folded));
        }
        let mut rows = self.own_rows()?;
        if !superseded {
            rows.pop();
        }
        let mut fields = Vec::new();
        rows.iter().for_each(|row| put_older_row(&mut fields, row));
        Ok(Cow::Owned(fields))
    }
}
