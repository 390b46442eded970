//! The effect: what one durable event adds to the counts of its ledger.
//!
//! Owns which counts there are, and how an effect lies in an event's frame, so that a replay need not look at what was known when the event was logged. All
//! counts only grow; what a generation folds is counted in its own counters.

use crate::frame::{Header, flag, kind};

/// What an event does to a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It gets a shot, new or from another ticket. `orphan`: nothing was known of it.
    Shot { orphan: bool },
    /// One of its shots is set right.
    Amended,
    /// One of its shots is another ticket's from now on.
    Departed,
    /// Its row is another. `first`: it had none; `adopts`: it had none, but shots.
    Row { first: bool, adopts: bool },
}

impl Effect {
    /// The effect of an event, as its frame says; `None` for an event that is not a ticket's.
    pub(crate) fn of(header: Header) -> Option<Effect> {
        let has = |flag: u8| header.flags & flag != 0;
        match header.kind {
            kind::SHOT_RECORDED => Some(Effect::Shot { orphan: has(flag::ORPHAN) }),
            kind::SHOT_REASSIGNED if has(flag::ARRIVES) => Some(Effect::Shot { orphan: has(flag::ORPHAN) }),
            kind::SHOT_REASSIGNED if !has(flag::HELD) => Some(Effect::Departed),
            // It counts, and tells nothing.
            kind::LOST => Some(Effect::Amended),
            kind if kind::is_of_shot(kind) => Some(Effect::Amended),
            kind::RESIDENT_CHANGED => Some(Effect::Row { first: has(flag::FIRST_ROW), adopts: has(flag::ADOPTS) }),
            _ => None,
        }
    }

    /// The flags of its frame.
    pub(crate) fn flags(self) -> u8 {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        match self {
            Effect::Shot { orphan } => flag(orphan, flag::ORPHAN),
            Effect::Amended | Effect::Departed => 0,
            Effect::Row { first, adopts } => flag(first, flag::FIRST_ROW) | flag(adopts, flag::ADOPTS),
        }
    }
}

/// What the events of a tail add to a ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// All of them.
    pub(crate) events: u64,
    pub(crate) shots: u64,
    /// Tickets of which nothing was known before their first shot.
    pub(crate) orphans: u64,
    /// Tickets that got their first row.
    pub(crate) rows: u64,
    /// Of them, those that had shots.
    pub(crate) adopted: u64,
    /// Shots that are another ticket's now.
    pub(crate) departed: u64,
}

impl Counts {
    /// What one event adds.
    pub(crate) fn of(effect: Effect) -> Counts {
        let event = Counts { events: 1, ..Counts::default() };
        match effect {
            Effect::Shot { orphan } => Counts { shots: 1, orphans: orphan.into(), ..event },
            Effect::Amended => event,
            Effect::Departed => Counts { departed: 1, ..event },
            Effect::Row { first, adopts } => Counts { rows: first.into(), adopted: adopts.into(), ..event },
        }
    }

    /// In the order of a checkpoint.
    pub(crate) fn to_array(self) -> [u64; COUNTS] {
        [self.events, self.shots, self.orphans, self.rows, self.adopted, self.departed]
    }

    /// The other way round.
    pub(crate) fn from_array([events, shots, orphans, rows, adopted, departed]: [u64; COUNTS]) -> Counts {
        Counts { events, shots, orphans, rows, adopted, departed }
    }
}

/// How many counts there are.
pub(crate) const COUNTS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_comes_back_from_its_frame() {
        let both = [false, true];
        let shots = both.map(|orphan| (kind::SHOT_RECORDED, Effect::Shot { orphan }));
        let rows =
            both.iter().flat_map(|&first| both.map(|adopts| (kind::RESIDENT_CHANGED, Effect::Row { first, adopts })));
        for (kind, effect) in shots.into_iter().chain(rows) {
            let header = Header { kind, flags: effect.flags(), time_ms: 1, ticket_bits: 1, sequence: 1 };
            assert_eq!(Effect::of(header), Some(effect));
        }
        let of = |kind, flags| Effect::of(Header { kind, flags, time_ms: 1, ticket_bits: 1, sequence: 1 });
        let arrival = flag::ARRIVES | flag::ORPHAN;
        assert_eq!(of(kind::SHOT_REASSIGNED, arrival), Some(Effect::Shot { orphan: true }));
        assert_eq!(of(kind::SHOT_REASSIGNED, 0), Some(Effect::Departed));
        assert_eq!(of(kind::SHOT_REASSIGNED, flag::HELD), Some(Effect::Amended));
        assert_eq!(of(kind::SHOT_VOIDED, 0), Some(Effect::Amended));
    }
}
