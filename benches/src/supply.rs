//! New shots without end, for benches that record.

use sesshu::generate::shots_of;
use sesshu_engine::intake::ShotRecord;
use sesshu_engine::ticket::TicketLine;
use sesshu_proto::v1::Shot;

use crate::{Nation, RESIDENTS, SEED, shot_record, sizes};

/// New shots without end: one for every resident of the nation, in no order, and again, the next doses a year later. As people have one shot that is not
/// folded when the next one comes, and not ten, the shots are folded after every second round of the nation.
pub struct Supply<'n> {
    nation: &'n Nation,
    shots: Vec<ShotRecord>,
    given: usize,
}

impl Supply<'_> {
    /// Of everybody in a nation.
    #[must_use]
    pub fn of(nation: &Nation) -> Supply<'_> {
        let of = |(municipality, count)| shots_of(SEED, municipality, count, count);
        let shots = sizes(*RESIDENTS).into_iter().flat_map(of).map(|shot| shot_record(&shot)).collect();
        Supply { nation, shots, given: 0 }
    }

    /// The next ones.
    pub fn take(&mut self, count: u64) -> Vec<ShotRecord> {
        (0..count).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> ShotRecord {
        if self.given > 0 && self.given.is_multiple_of(2 * self.shots.len()) {
            self.nation.fold();
        }
        // A step that has no divisor in common with the number of shots comes by each of them.
        let shot = &self.shots[self.given * 7919 % self.shots.len()];
        // As stubs have one digit for the dose, it begins again after four rounds.
        let round = (self.given / self.shots.len() % 4) as u32;
        self.given += 1;
        let line = shot.line().expect("generated shots have tickets") + u64::from(2 * round) * 10_u64.pow(16);
        let line = TicketLine::from_decimal(line).expect("the line of a checked shot, and of another dose");
        let (dose, date) = (shot.shot().dose + 2 * round, shot.shot().date + round * 10_000);
        let capture_id = format!("bench-{}", self.given);
        let message = Shot { dose, date, capture_id, ..shot.shot().clone() };
        ShotRecord::check(line, message).expect("still a valid shot")
    }
}
