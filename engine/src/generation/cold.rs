//! What a generation keeps of a ticket and a match does not need: the sealed My Number, the shots' capture ids and warnings.
//!
//! Owns the section while it is built, and the reading of one cold entry without copying. Frames like every other record's; an entry names its cold entry by
//! the offset in the section plus 8, so that 0 is "nothing".

use smallvec::SmallVec;

use crate::frame::{self, Header, kind};
use crate::lookup::HASH_BITS;
use crate::stored::{ShotView, WARNINGS_FIELD};
use crate::wire::{put_varint, take_field};

/// Frames laid out behind one another in memory; only their checksums wait until the place of the section is known.
#[derive(Default)]
pub(super) struct ColdSection {
    /// Ticket and payload length of each.
    frames: Vec<(u64, u32)>,
    payloads: Vec<u8>,
    size: u64,
}

impl ColdSection {
    /// Adds a `ColdEntry` and returns what its entry keeps of it.
    pub(super) fn add(&mut self, ticket_bits: u64, entry: &ColdView<'_>) -> u64 {
        let before = self.payloads.len();
        entry.encode(&mut self.payloads);
        let length = self.payloads.len() - before;
        self.frames.push((ticket_bits, length as u32));
        let offset = self.size;
        self.size += frame::size(length) as u64;
        offset + 8
    }

    /// Bytes of the section.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Header and payload of every frame, in order.
    pub(super) fn frames(&self) -> impl Iterator<Item = (Header, &[u8])> {
        let mut payloads = &self.payloads[..];
        self.frames.iter().map(move |&(ticket_bits, length)| {
            let (payload, rest) = payloads.split_at(length as usize);
            payloads = rest;
            (Header { kind: kind::COLD_ENTRY, flags: 0, time_ms: 0, ticket_bits, sequence: 0 }, payload)
        })
    }
}

/// A cold entry, borrowed from the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct ColdView<'a> {
    /// Empty if the row has no My Number.
    pub(crate) sealed_my_number: &'a [u8],
    pub(crate) data_key_id: u32,
    pub(crate) my_number_hash: u64,
    /// Of the folded shots in their order; shorter if the last ones have none.
    pub(crate) capture_ids: SmallVec<[&'a str; 4]>,
    /// Of those that have any, in their order: which of the folded shots, and its warnings as in a `ShotView`.
    pub(crate) warnings: SmallVec<[(u32, &'a [u8]); 2]>,
}

impl<'a> ColdView<'a> {
    /// Appends the `ColdEntry`, as prost would write it.
    fn encode(&self, out: &mut Vec<u8>) {
        let put_bytes = |out: &mut Vec<u8>, field: u8, bytes: &[u8]| {
            out.push(field << 3 | 2);
            put_varint(out, bytes.len() as u64);
            out.extend_from_slice(bytes);
        };
        if !self.sealed_my_number.is_empty() {
            put_bytes(out, 1, self.sealed_my_number);
        }
        if self.data_key_id != 0 {
            out.push(2 << 3);
            put_varint(out, u64::from(self.data_key_id));
        }
        for capture_id in &self.capture_ids {
            put_bytes(out, 3, capture_id.as_bytes());
        }
        if self.my_number_hash != 0 {
            out.push(4 << 3);
            put_varint(out, self.my_number_hash);
        }
        for &(index, warnings) in &self.warnings {
            let mut shot = Vec::with_capacity(warnings.len() + 6);
            if index != 0 {
                shot.push(1 << 3);
                put_varint(&mut shot, u64::from(index));
            }
            shot.extend_from_slice(warnings);
            put_bytes(out, 5, &shot);
        }
    }

    /// Reads a `ColdEntry`; `None` if the bytes are none.
    pub(super) fn decode(mut message: &'a [u8]) -> Option<ColdView<'a>> {
        let mut view = ColdView::default();
        while !message.is_empty() {
            match take_field(&mut message)? {
                (1, value) => view.sealed_my_number = value.bytes()?,
                (2, value) => view.data_key_id = value.number_u32()?,
                (3, value) => view.capture_ids.push(value.text()?),
                (4, value) => view.my_number_hash = value.number().filter(|hash| hash >> HASH_BITS == 0)?,
                (5, value) => view.warnings.push(warnings(value.bytes()?)?),
                _ => {}
            }
        }
        Some(view)
    }

    /// The capture id of the folded shot at `index`; empty if it has none.
    pub(crate) fn capture_id_of(&self, index: usize) -> &'a str {
        self.capture_ids.get(index).copied().unwrap_or("")
    }

    /// The folded shot at `index` with what is kept cold of it.
    pub(crate) fn complete(&self, shot: ShotView<'a>, index: usize) -> ShotView<'a> {
        ShotView { capture_id: self.capture_id_of(index), warnings: self.warnings_of(index), ..shot }
    }

    /// What is kept of the warnings of the folded shot at `index`.
    fn warnings_of(&self, index: usize) -> &'a [u8] {
        let held = self.warnings.iter().find(|(of, _)| *of as usize == index);
        held.map_or(&[], |(_, warnings)| warnings)
    }
}

/// Reads a `ColdShot`; `None` if the bytes are none.
fn warnings(mut shot: &[u8]) -> Option<(u32, &[u8])> {
    let (mut index, mut warnings) = (0, &[][..]);
    while !shot.is_empty() {
        let rest = shot;
        match take_field(&mut shot)? {
            (1, value) => index = value.number_u32()?,
            // From the first of them to the end: no other field comes behind.
            (WARNINGS_FIELD, _) if warnings.is_empty() => warnings = rest,
            _ => {}
        }
    }
    Some((index, warnings))
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use sesshu_proto::v1::{ColdEntry, ColdShot, Shot, Warning, WarningKind};

    use super::*;

    #[test]
    fn a_cold_entry_is_written_as_prost_writes_it() {
        let sealed = [7; 21];
        let warning = Warning { kind: WarningKind::DoseOrder.into(), shot_id: 7, ..Warning::default() };
        let warnings = vec![warning, Warning { kind: WarningKind::Deceased.into(), ..Warning::default() }];
        let of_shot = Shot { warnings: warnings.clone(), ..Shot::default() }.encode_to_vec();
        for sealed_my_number in [&[][..], &sealed] {
            for capture_ids in [vec![], vec!["c-1"], vec!["", "読取-2", ""]] {
                for (data_key_id, my_number_hash) in [(0, 0), (1, 5), (300, (1 << HASH_BITS) - 1)] {
                    for warned in [vec![], vec![0], vec![0, 2]] {
                        let shot = |&index| ColdShot { index, warnings: warnings.clone() };
                        let message = ColdEntry {
                            sealed_my_number: sealed_my_number.to_vec(),
                            data_key_id,
                            capture_ids: capture_ids.iter().map(|&id| id.to_owned()).collect(),
                            my_number_hash,
                            shots: warned.iter().map(shot).collect(),
                        };
                        let view = ColdView {
                            sealed_my_number,
                            data_key_id,
                            my_number_hash,
                            capture_ids: capture_ids.clone().into(),
                            warnings: warned.iter().map(|&index| (index, &of_shot[..])).collect(),
                        };
                        let mut bytes = Vec::new();
                        view.encode(&mut bytes);
                        assert_eq!(bytes, message.encode_to_vec());
                        let read = ColdView::decode(&bytes).expect("a message");
                        assert_eq!((read.sealed_my_number, read.data_key_id), (sealed_my_number, data_key_id));
                        assert_eq!(read.my_number_hash, my_number_hash);
                        assert_eq!(read.capture_ids[..], capture_ids[..]);
                        for index in 0..4 {
                            let held = if warned.contains(&index) { &of_shot[..] } else { &[] };
                            assert_eq!(read.warnings_of(index as usize), held);
                        }
                    }
                }
            }
        }
    }
}
