//! What a generation keeps of a ticket and a match does not need: the sealed My Number, the shots' capture ids, warnings and
//! people without a ticket, and what became of the shots after they were recorded.
//!
//! Owns the section while it is built, and the reading of one cold entry without copying. Frames like every other record's; an entry names its cold entry by
//! the offset in the section plus 8, so that 0 is "nothing".

use smallvec::SmallVec;

use crate::frame::{self, Header, kind};
use crate::life::EVENTS_FIELD;
use crate::lookup::HASH_BITS;
use crate::stored::{MORE_FIELDS, OLDER_ROWS_FIELD, SenderView, put_sender};
use crate::wire::{put_bytes_field, put_varint, take_field};

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
    /// Of those that have more to them, in their order.
    pub(crate) shots: SmallVec<[ColdShotView<'a>; 2]>,
    /// As fields of a `ColdEntry`; empty if the row is the first.
    pub(crate) older_rows: &'a [u8],
    /// Of the row; empty if it came in a register.
    pub(crate) sender: SenderView<'a>,
}

/// What is kept of one folded shot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ColdShotView<'a> {
    /// Which of them.
    pub(crate) index: u32,
    /// Empty if it has none. Lies with those of the other shots.
    pub(crate) capture_id: &'a str,
    /// As fields of a `ColdShot`; empty if nothing became of it after it was recorded.
    pub(crate) events: &'a [u8],
    /// As in a `ShotView`.
    pub(crate) more: &'a [u8],
}

impl<'a> ColdView<'a> {
    /// Appends the `ColdEntry`, as prost would write it.
    fn encode(&self, out: &mut Vec<u8>) {
        if !self.sealed_my_number.is_empty() {
            put_bytes_field(out, 1, self.sealed_my_number);
        }
        if self.data_key_id != 0 {
            out.push(2 << 3);
            put_varint(out, u64::from(self.data_key_id));
        }
        for capture_id in &self.capture_ids {
            put_bytes_field(out, 3, capture_id.as_bytes());
        }
        if self.my_number_hash != 0 {
            out.push(4 << 3);
            put_varint(out, self.my_number_hash);
        }
        for &ColdShotView { index, events, more, .. } in &self.shots {
            let mut shot = Vec::with_capacity(events.len() + more.len() + 6);
            if index != 0 {
                shot.push(1 << 3);
                put_varint(&mut shot, u64::from(index));
            }
            shot.extend_from_slice(events);
            shot.extend_from_slice(more);
            put_bytes_field(out, 5, &shot);
        }
        out.extend_from_slice(self.older_rows);
        put_sender(out, 7, self.sender);
    }

    /// Reads a `ColdEntry`; `None` if the bytes are none.
    pub(super) fn decode(mut message: &'a [u8]) -> Option<ColdView<'a>> {
        let mut view = ColdView::default();
        // From the first of them to the last: no other field lies between.
        let (mut rows_at, whole) = (None, message);
        while !message.is_empty() {
            let at = whole.len() - message.len();
            match take_field(&mut message)? {
                (1, value) => view.sealed_my_number = value.bytes()?,
                (2, value) => view.data_key_id = value.number_u32()?,
                (3, value) => view.capture_ids.push(value.text()?),
                (4, value) => view.my_number_hash = value.number().filter(|hash| hash >> HASH_BITS == 0)?,
                (5, value) => view.shots.push(ColdShotView::decode(value.bytes()?)?),
                (OLDER_ROWS_FIELD, _) => {
                    view.older_rows = &whole[*rows_at.get_or_insert(at)..whole.len() - message.len()];
                }
                (7, value) => view.sender.who = value.text()?,
                (8, value) => view.sender.reason = value.text()?,
                _ => {}
            }
        }
        Some(view)
    }

    /// What is kept of the folded shot at `index`.
    pub(crate) fn shot(&self, index: usize) -> ColdShotView<'a> {
        let more = self.shots.iter().find(|shot| shot.index as usize == index).copied().unwrap_or_default();
        ColdShotView { capture_id: self.capture_ids.get(index).copied().unwrap_or(""), ..more }
    }
}

impl<'a> ColdShotView<'a> {
    /// Reads a `ColdShot`; `None` if the bytes are none.
    fn decode(mut shot: &'a [u8]) -> Option<ColdShotView<'a>> {
        let mut view = ColdShotView::default();
        // From the first of its fields to the last: no other field lies between.
        let (mut events_at, whole) = (None, shot);
        while !shot.is_empty() {
            let at = whole.len() - shot.len();
            match take_field(&mut shot)? {
                (1, value) => view.index = value.number_u32()?,
                (EVENTS_FIELD, _) => view.events = &whole[*events_at.get_or_insert(at)..whole.len() - shot.len()],
                (MORE_FIELDS.., _) if view.more.is_empty() => view.more = &whole[at..],
                _ => {}
            }
        }
        Some(view)
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use sesshu_proto::v1::{ColdEntry, ColdRow, ColdShot, FoldedEvent, Provisional, Shot, Warning, WarningKind};

    use super::*;

    #[test]
    fn a_cold_entry_is_written_as_prost_writes_it() {
        let sealed = [7; 21];
        let warning = Warning { kind: WarningKind::DoseOrder.into(), shot_id: 7, ..Warning::default() };
        let warnings = vec![warning, Warning { kind: WarningKind::Deceased.into(), ..Warning::default() }];
        let provisional = Some(Provisional { name_kana: "ア".into(), birth_date: 19_560_000 });
        let of_shot = Shot { warnings: warnings.clone(), provisional: provisional.clone(), ..Shot::default() };
        let of_shot = of_shot.encode_to_vec();
        let row = |known_since| ColdRow { known_since, known_since_ms: 9, ..ColdRow::default() };
        let rows = [row(7), row(8)];
        let sender = SenderView { who: "係員 7", reason: "更正" };
        let of_rows = ColdEntry { older_rows: rows.to_vec(), ..ColdEntry::default() }.encode_to_vec();
        let event = |sequence| FoldedEvent { kind: 3, sequence, message: vec![1, 2], ..FoldedEvent::default() };
        let events = [event(7), event(8)];
        let events_alone = ColdShot { events: events.to_vec(), ..ColdShot::default() }.encode_to_vec();
        let events_of = |index| if index == 0 { &[][..] } else { &events_alone[..] };
        for sealed_my_number in [&[][..], &sealed] {
            for capture_ids in [vec![], vec!["c-1"], vec!["", "読取-2", ""]] {
                for (data_key_id, my_number_hash) in [(0, 0), (1, 5), (300, (1 << HASH_BITS) - 1)] {
                    for warned in [vec![], vec![0], vec![0, 2]] {
                        let events = |index| if index == 0 { vec![] } else { events.to_vec() };
                        let shot = |&index| {
                            let (warnings, provisional) = (warnings.clone(), provisional.clone());
                            ColdShot { index, events: events(index), warnings, provisional }
                        };
                        let message = ColdEntry {
                            sealed_my_number: sealed_my_number.to_vec(),
                            data_key_id,
                            capture_ids: capture_ids.iter().map(|&id| id.to_owned()).collect(),
                            my_number_hash,
                            shots: warned.iter().map(shot).collect(),
                            older_rows: rows.to_vec(),
                            who: sender.who.into(),
                            reason: sender.reason.into(),
                        };
                        let view = ColdView {
                            sealed_my_number,
                            data_key_id,
                            my_number_hash,
                            capture_ids: capture_ids.clone().into(),
                            older_rows: &of_rows,
                            sender,
                            shots: warned
                                .iter()
                                .map(|&index| ColdShotView {
                                    index,
                                    events: events_of(index),
                                    more: &of_shot,
                                    capture_id: "",
                                })
                                .collect(),
                        };
                        let mut bytes = Vec::new();
                        view.encode(&mut bytes);
                        assert_eq!(bytes, message.encode_to_vec());
                        let read = ColdView::decode(&bytes).expect("a message");
                        assert_eq!((read.sealed_my_number, read.data_key_id), (sealed_my_number, data_key_id));
                        assert_eq!(read.my_number_hash, my_number_hash);
                        assert_eq!(read.capture_ids[..], capture_ids[..]);
                        assert_eq!((read.older_rows, read.sender), (&of_rows[..], sender));
                        for index in 0..4 {
                            let capture_id = capture_ids.get(index as usize).copied().unwrap_or("");
                            let (events, more) = (events_of(index), &of_shot[..]);
                            let held = match warned.contains(&index) {
                                true => ColdShotView { index, capture_id, events, more },
                                false => ColdShotView { capture_id, ..ColdShotView::default() },
                            };
                            assert_eq!(read.shot(index as usize), held);
                        }
                    }
                }
            }
        }
    }
}
