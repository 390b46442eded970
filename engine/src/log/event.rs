//! One event of the log: a frame whose payload names the same ticket's event before it.
//!
//! Owns the few bytes between frame header and message: how far back the previous event lies, in units of 8 bytes, as a varint; 0 if there is none.

use crate::frame::{Frame, Header};
use crate::wire::{put_varint, take_varint};

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

/// Bytes of the way back at most: addresses are below 2^59.
pub(super) const PREVIOUS_BYTES_MAX: usize = 8;

/// Appends the way back from an event at `address` to the one at `previous`.
pub(super) fn put_previous(out: &mut Vec<u8>, address: u64, previous: u64) {
    assert!(previous < address && address < 1 << 59, "I2: an event names an earlier one");
    put_varint(out, if previous == 0 { 0 } else { (address - previous) / 8 });
}

impl<'a> Event<'a> {
    /// The event in a validated frame at `address`; `None` if the frame is no event's.
    #[inline]
    pub(super) fn of(frame: Frame<'a>, address: u64) -> Option<Event<'a>> {
        let mut message = frame.payload;
        let previous = match take_varint(&mut message)? {
            0 => 0,
            back => address.checked_sub(back.checked_mul(8)?).filter(|&previous| previous > 0)?,
        };
        Some(Event { address, header: frame.header, previous, message })
    }
}
