//! One event of the log: a frame whose payload names the same ticket's event before it.
//!
//! Owns the eight bytes between frame header and message.

use crate::frame::{Frame, Header, u64_at};

/// An event that was read from the log and validated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<'a> {
    /// Where it lies.
    pub(crate) address: u64,
    pub(crate) header: Header,
    /// The address of the newest earlier event of the same ticket; 0 if there is none.
    pub(crate) previous: u64,
    /// A message of the schema, by kind.
    pub(crate) message: &'a [u8],
}

/// Bytes of the previous address before the message.
pub(super) const PREVIOUS_BYTES: usize = 8;

impl<'a> Event<'a> {
    /// The event in a validated frame at `address`; `None` if the frame is no event's.
    #[inline]
    pub(super) fn of(frame: Frame<'a>, address: u64) -> Option<Event<'a>> {
        if frame.payload.len() < PREVIOUS_BYTES {
            return None;
        }
        let previous = u64_at(frame.payload, 0);
        (previous < address).then_some(Event {
            address,
            header: frame.header,
            previous,
            message: &frame.payload[PREVIOUS_BYTES..],
        })
    }
}
