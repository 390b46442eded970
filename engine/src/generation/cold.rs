//! What a generation keeps of a ticket and a match does not need: the sealed My Number and the capture ids.
//!
//! Owns the section while it is built, and the reading of one cold entry without copying. Frames like every other record's; an entry names its cold entry by
//! the offset in the section plus 8, so that 0 is "nothing".

use prost::Message as _;
use sesshu_proto::v1::ColdEntry;
use smallvec::SmallVec;

use crate::frame::{self, Header, Salt, kind};
use crate::wire::take_field;

/// Frames laid out behind one another in memory; only their checksums wait until the place of the section is known.
#[derive(Default)]
pub(super) struct ColdSection {
    /// Header and payload length of each.
    frames: Vec<(Header, u32)>,
    payloads: Vec<u8>,
    size: u64,
}

impl ColdSection {
    /// Adds a cold entry and returns what its entry keeps of it.
    pub(super) fn add(&mut self, ticket_bits: u64, message: &ColdEntry) -> u64 {
        let before = self.payloads.len();
        message.encode(&mut self.payloads).expect("a vector grows");
        let length = self.payloads.len() - before;
        let header = Header { kind: kind::COLD_ENTRY, flags: 0, time_ms: 0, ticket_bits, sequence: 0 };
        self.frames.push((header, length as u32));
        let offset = self.size;
        self.size += frame::size(length) as u64;
        offset + 8
    }

    /// Bytes of the section.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Hands every frame to `write`, in order, for a section that begins at `position`.
    pub(super) fn seal<E>(
        &self,
        salt: Salt,
        mut position: u64,
        mut write: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut payloads = &self.payloads[..];
        let mut bytes = Vec::new();
        for &(header, length) in &self.frames {
            let (payload, rest) = payloads.split_at(length as usize);
            payloads = rest;
            bytes.clear();
            frame::encode(&mut bytes, salt, position, header, &[payload]);
            position += bytes.len() as u64;
            write(&bytes)?;
        }
        Ok(())
    }
}

/// A cold entry, borrowed from the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct ColdView<'a> {
    /// Empty if the row has no My Number.
    pub(crate) sealed_my_number: &'a [u8],
    pub(crate) data_key_id: u32,
    /// Of the folded shots in their order; shorter if the last ones have none.
    pub(crate) capture_ids: SmallVec<[&'a str; 4]>,
}

impl<'a> ColdView<'a> {
    /// Reads a `ColdEntry`; `None` if the bytes are none.
    pub(super) fn decode(mut message: &'a [u8]) -> Option<ColdView<'a>> {
        let mut view = ColdView::default();
        while !message.is_empty() {
            match take_field(&mut message)? {
                (1, value) => view.sealed_my_number = value.bytes()?,
                (2, value) => view.data_key_id = value.number_u32()?,
                (3, value) => view.capture_ids.push(value.text()?),
                _ => {}
            }
        }
        Some(view)
    }
}
