//! Who sent the registers that the generations before this one were made of: rows that came with one of them are known since its install.
//!
//! Owns the section: a `Senders` message. Asked for by the history of a row alone.

use prost::Message as _;
use sesshu_proto::v1::{Senders, SentRegister};

/// The section's bytes.
pub(super) fn encode(registers: Vec<SentRegister>) -> Vec<u8> {
    Senders { registers }.encode_to_vec()
}

/// The registers, oldest first; `None` if the bytes are none.
pub(super) fn decode(section: &[u8]) -> Option<Vec<SentRegister>> {
    Senders::decode(section).ok().map(|senders| senders.registers)
}
