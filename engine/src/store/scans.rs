//! What each terminal scanned last.
//!
//! Owns the memory that tells an old reading, shown again, from a new one. It is of this program alone: a device's first scan after a start has none before it.

use std::collections::HashMap;

use sesshu_proto::v1::Shot;

use crate::limits::DEVICES_MAX;
use crate::ticket::Ticket;

/// The last scan of each device.
#[derive(Default)]
pub(super) struct Scans {
    by_device: HashMap<Box<str>, Scan>,
}

struct Scan {
    ticket: Ticket,
    capture_id: Box<str>,
    at_ms: u64,
}

impl Scans {
    /// Takes note of a terminal's scan. Whether the one before, less than `within_ms` ago, was of the same ticket; the same scan sent again is none.
    pub(super) fn scan(&mut self, ticket: Ticket, shot: &Shot, now_ms: u64, within_ms: u64) -> bool {
        let Some(before) = self.by_device.get_mut(&*shot.recorded_by) else {
            if self.by_device.len() >= DEVICES_MAX {
                self.by_device.retain(|_, scan| now_ms.saturating_sub(scan.at_ms) < within_ms);
            }
            // So many devices within so short a time are no terminals.
            if self.by_device.len() < DEVICES_MAX {
                let scan = Scan { ticket, capture_id: shot.capture_id.as_str().into(), at_ms: now_ms };
                self.by_device.insert(shot.recorded_by.as_str().into(), scan);
            }
            return false;
        };
        let again = before.ticket == ticket && now_ms.saturating_sub(before.at_ms) < within_ms;
        if again && !shot.capture_id.is_empty() && *before.capture_id == *shot.capture_id {
            return false;
        }
        *before = Scan { ticket, capture_id: shot.capture_id.as_str().into(), at_ms: now_ms };
        again
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticket::TicketLine;

    fn ticket(number: u64) -> Ticket {
        TicketLine::parse(&format!("21131016{number:010}")).unwrap().ticket()
    }

    fn shot(device: &str, capture_id: &str) -> Shot {
        let (recorded_by, capture_id) = (device.into(), capture_id.into());
        Shot { recorded_by, capture_id, ..Shot::default() }
    }

    #[test]
    fn the_same_ticket_on_the_same_device_within_the_time_is_told() {
        let mut scans = Scans::default();
        let mut scan = |number, shot: &Shot, now_ms| scans.scan(ticket(number), shot, now_ms, 1000);
        assert!(!scan(1, &shot("a", "1"), 0));
        assert!(!scan(1, &shot("b", "2"), 1), "another device");
        assert!(scan(1, &shot("a", "3"), 2));
        assert!(!scan(1, &shot("a", "3"), 3), "the same scan again");
        assert!(scan(1, &shot("a", ""), 4));
        assert!(scan(1, &shot("a", ""), 5), "without a capture id nobody knows");
        assert!(!scan(2, &shot("a", "4"), 6));
        assert!(!scan(1, &shot("a", "5"), 7), "another one lies between");
        assert!(!scan(1, &shot("a", "6"), 1007), "long ago");
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut scans = Scans::default();
        for device in 0..DEVICES_MAX + 10 {
            assert!(!scans.scan(ticket(1), &shot(&device.to_string(), ""), 0, 1000));
        }
        assert_eq!(scans.by_device.len(), DEVICES_MAX);
        assert!(!scans.scan(ticket(1), &shot("late", ""), 5000, 1000));
        assert!(scans.scan(ticket(1), &shot("late", ""), 5001, 1000), "room was made");
    }
}
