//! A shot's life on a ticket: what each event after its record makes of it.
//!
//! Owns the rule by which events change a shot, and how the events of a shot are kept when they are folded. Nothing is overwritten: what a shot is follows
//! from its events, all of which are kept, wherever they lie. Pure.

use std::borrow::Cow;

use prost::Message as _;

use crate::frame::{Header, flag, kind};
use crate::stored::{ShotView, Standing};
use crate::wire::{put_bytes_field, put_varint, take_field};

/// One event of a shot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShotEvent<'a> {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) sequence: u64,
    pub(crate) time_ms: u64,
    /// A `Shot` if it was recorded, else an `Amendment`.
    pub(crate) message: &'a [u8],
}

/// A stored `Amendment`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AmendmentView<'a> {
    pub(crate) shot_id: u64,
    pub(crate) who: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) authority: u32,
    /// An encoded `Shot`.
    pub(crate) shot: &'a [u8],
    pub(crate) ticket: u64,
    pub(crate) settles: u64,
    recorded_at: u64,
    voided: bool,
    confirmed: u32,
    pub(crate) batch: &'a str,
}

impl<'a> AmendmentView<'a> {
    /// `None` if the bytes are none.
    pub(crate) fn decode(mut message: &'a [u8]) -> Option<AmendmentView<'a>> {
        let mut view = AmendmentView::default();
        while !message.is_empty() {
            match take_field(&mut message)? {
                (1, value) => view.shot_id = value.number()?,
                (2, value) => view.who = value.text()?,
                (3, value) => view.reason = value.text()?,
                (4, value) => view.authority = value.number_u32()?,
                (5, value) => view.shot = value.bytes()?,
                (6, value) => view.ticket = value.number()?,
                (7, value) => view.settles = value.number()?,
                (8, value) => view.recorded_at = value.number()?,
                (9, value) => view.voided = value.number()? != 0,
                (10, value) => view.confirmed = value.number_u32()?,
                (11, value) => view.batch = value.text()?,
                _ => {}
            }
        }
        (view.shot_id != 0).then_some(view)
    }
}

impl<'a> ShotEvent<'a> {
    /// The event in a frame of the log.
    pub(crate) fn of(header: Header, message: &'a [u8]) -> ShotEvent<'a> {
        let Header { kind, flags, time_ms, sequence, .. } = header;
        ShotEvent { kind, flags, sequence, time_ms, message }
    }

    /// Whether it is below the level at which the shot is confirmed, and changes nothing.
    pub(crate) fn is_held(&self) -> bool {
        self.flags & flag::HELD != 0
    }

    /// Whose event it is; `None` if its message does not say.
    pub(crate) fn shot_id(&self) -> Option<u64> {
        match self.kind {
            kind::SHOT_RECORDED => Some(self.sequence),
            _ => Some(AmendmentView::decode(self.message)?.shot_id),
        }
    }

    /// Whether it brings the shot to this ticket.
    pub(crate) fn arrives(&self) -> bool {
        self.kind == kind::SHOT_REASSIGNED && self.flags & flag::ARRIVES != 0
    }

    /// The shot as the first of its events on a ticket leaves it; `None` if that is no first event.
    pub(crate) fn first(&self) -> Option<ShotView<'a>> {
        if self.kind == kind::SHOT_RECORDED {
            return ShotView::of_message(self.sequence, self.time_ms, self.message);
        }
        let amendment = AmendmentView::decode(self.message).filter(|_| self.arrives())?;
        let shot = ShotView::of_message(amendment.shot_id, amendment.recorded_at, amendment.shot)?;
        Some(self.arrived(shot, &amendment, 0))
    }

    /// The shot on the ticket that it comes to. What was held there, if it was there before, waits again.
    fn arrived(&self, shot: ShotView<'a>, amendment: &AmendmentView<'a>, held_writes: u32) -> ShotView<'a> {
        let AmendmentView { voided, confirmed, .. } = *amendment;
        let standing = Standing { voided, confirmed, reassigned_to: 0, held_writes };
        ShotView { sequence: self.sequence, standing, ..shot }
    }

    /// The shot after this event; `None` if it cannot be read.
    pub(crate) fn change(&self, shot: &ShotView<'a>) -> Option<ShotView<'a>> {
        let amendment = AmendmentView::decode(self.message)?;
        let mut standing = shot.standing;
        if self.is_held() {
            standing.held_writes += 1;
            return Some(ShotView { standing, ..*shot });
        }
        // What an arrival settles was held on the ticket that the shot left.
        let settles = amendment.settles != 0 && !self.arrives();
        standing.held_writes = standing.held_writes.saturating_sub(settles.into());
        let content = || ShotView::of_message(shot.shot_id, shot.recorded_at_ms, amendment.shot);
        let mut shot = *shot;
        match self.kind {
            kind::SHOT_CORRECTED => shot = content()?,
            kind::SHOT_VOIDED => standing.voided = true,
            kind::SHOT_REINSTATED => standing.voided = false,
            kind::SHOT_CONFIRMED => standing.confirmed = amendment.authority,
            kind::SHOT_UNLOCKED => standing.confirmed = 0,
            kind::SHOT_REASSIGNED if self.arrives() => {
                return Some(self.arrived(content()?, &amendment, standing.held_writes));
            }
            kind::SHOT_REASSIGNED => standing.reassigned_to = amendment.ticket,
            _ => return None,
        }
        Some(ShotView { sequence: self.sequence, standing, ..shot })
    }

    /// Appends it as a `FoldedEvent` in field 2 of a `ColdShot`.
    fn put(&self, out: &mut Vec<u8>) {
        let mut event = Vec::with_capacity(self.message.len() + 24);
        for (field, value) in [(1, u64::from(self.kind)), (2, self.flags.into()), (3, self.sequence), (4, self.time_ms)]
        {
            if value != 0 {
                event.push(field << 3);
                put_varint(&mut event, value);
            }
        }
        put_bytes_field(&mut event, 5, self.message);
        put_bytes_field(out, EVENTS_FIELD as u8, &event);
    }

    fn take(mut folded: &'a [u8]) -> Option<ShotEvent<'a>> {
        let mut event = ShotEvent { kind: 0, flags: 0, sequence: 0, time_ms: 0, message: &[] };
        while !folded.is_empty() {
            match take_field(&mut folded)? {
                (1, value) => event.kind = value.number()?.try_into().ok()?,
                (2, value) => event.flags = value.number()?.try_into().ok()?,
                (3, value) => event.sequence = value.number()?,
                (4, value) => event.time_ms = value.number()?,
                (5, value) => event.message = value.bytes()?,
                _ => {}
            }
        }
        Some(event)
    }
}

/// The field of a `ColdShot` that holds its events.
pub(crate) const EVENTS_FIELD: u32 = 2;

/// The events in fields of a `ColdShot`, one behind another; an item is `None` where the bytes are none.
pub(crate) fn folded_events(mut fields: &[u8]) -> impl Iterator<Item = Option<ShotEvent<'_>>> {
    std::iter::from_fn(move || {
        (!fields.is_empty()).then(|| {
            let taken = take_field(&mut fields);
            if taken.is_none() {
                fields = &[];
            }
            let (EVENTS_FIELD, value) = taken? else { return None };
            ShotEvent::take(value.bytes()?)
        })
    })
}

/// The shot that folded events make; `None` if one of them cannot be read.
pub(crate) fn shot_of(fields: &[u8]) -> Option<ShotView<'_>> {
    let mut events = folded_events(fields);
    let first = events.next()??.first()?;
    events.try_fold(first, |shot, event| event?.change(&shot))
}

/// The shot that events make; `None` if there are none.
pub(crate) fn shot_of_events<'a>(mut events: impl Iterator<Item = ShotEvent<'a>>) -> Option<ShotView<'a>> {
    let first = events.next()?.first()?;
    events.try_fold(first, |shot, event| event.change(&shot))
}

/// A shot with its events on one ticket, folded ones and those of the log.
#[derive(Clone, Debug)]
pub(crate) struct Life<'a> {
    /// As it is now.
    pub(crate) shot: ShotView<'a>,
    /// Fields of a `ColdShot`; empty if nothing became of the shot before it was folded.
    folded: &'a [u8],
    /// As it was recorded, if something became of it only since it was folded, or in the log.
    recorded: Option<Box<ShotView<'a>>>,
    /// Of the log, after the record.
    later: Vec<ShotEvent<'a>>,
}

impl<'a> Life<'a> {
    /// A folded shot; `folded` are its events, if anything became of it.
    pub(crate) fn folded(shot: ShotView<'a>, folded: &'a [u8]) -> Life<'a> {
        Life { shot, folded, recorded: None, later: Vec::new() }
    }

    /// A shot whose first event on this ticket is one of the log; `None` if it is no first event.
    pub(crate) fn begun_by(event: ShotEvent<'a>) -> Option<Life<'a>> {
        let later = if event.arrives() { vec![event] } else { Vec::new() };
        Some(Life { later, ..Life::folded(event.first()?, &[]) })
    }

    /// Goes on with an event of the log; `None` if it cannot be read.
    pub(crate) fn go_on(&mut self, event: ShotEvent<'a>) -> Option<()> {
        let shot = event.change(&self.shot)?;
        if !self.is_amended() {
            self.recorded = Some(Box::new(self.shot));
        }
        self.shot = shot;
        self.later.push(event);
        Some(())
    }

    /// Whether an act on many shots, which has this name, did something with it, or wanted to.
    pub(crate) fn was_in_batch(&self, batch: &str) -> bool {
        self.is_amended()
            && folded_events(&self.events())
                .flatten()
                .filter(|event| event.kind != kind::SHOT_RECORDED)
                .any(|event| AmendmentView::decode(event.message).is_some_and(|amendment| amendment.batch == batch))
    }

    /// Whether anything became of it after its record.
    pub(crate) fn is_amended(&self) -> bool {
        !self.folded.is_empty() || !self.later.is_empty()
    }

    /// As it was recorded; `None` if that was on another ticket.
    pub(crate) fn recorded(&self) -> Option<ShotView<'a>> {
        if let Some(recorded) = &self.recorded {
            return Some(**recorded);
        }
        if !self.is_amended() {
            return Some(self.shot);
        }
        let first = folded_events(self.folded).next()??;
        first.first().filter(|_| first.kind == kind::SHOT_RECORDED)
    }

    /// All its events, oldest first, as fields of a `ColdShot`.
    pub(crate) fn events(&self) -> Cow<'a, [u8]> {
        let recorded = self.recorded.as_deref().or_else(|| (!self.is_amended()).then_some(&self.shot));
        if recorded.is_none() && self.later.is_empty() {
            return Cow::Borrowed(self.folded);
        }
        let mut fields = self.folded.to_vec();
        if let Some(recorded) = recorded {
            let message = recorded.to_shot().encode_to_vec();
            let (sequence, time_ms) = (recorded.shot_id, recorded.recorded_at_ms);
            ShotEvent { kind: kind::SHOT_RECORDED, flags: 0, sequence, time_ms, message: &message }.put(&mut fields);
        }
        self.later.iter().for_each(|event| event.put(&mut fields));
        Cow::Owned(fields)
    }
}

#[cfg(test)]
mod tests {
    use sesshu_proto::v1::{Amendment, Authority, ColdShot, FoldedEvent, Shot};

    use super::*;

    const HERE: u64 = 1_310_160_000_012_345;

    fn shot(lot: &str) -> Shot {
        Shot { date: 20_210_601, dose: 1, lot: lot.into(), capture_id: "c-1".into(), ..Shot::default() }
    }

    fn amendment(lot: Option<&str>) -> Amendment {
        let authority = Authority::MunicipalityStaff.into();
        Amendment { shot_id: 7, who: "staff".into(), authority, shot: lot.map(shot), ..Amendment::default() }
    }

    fn check(messages: &[(u8, u8, Vec<u8>)], expected: &[(&str, Standing)]) {
        let event = |(index, (kind, flags, message)): (usize, &'_ (u8, u8, Vec<u8>))| {
            (*kind, *flags, 7 + index as u64, message.clone())
        };
        let events: Vec<_> = messages.iter().enumerate().map(event).collect();
        let events: Vec<ShotEvent<'_>> = events
            .iter()
            .map(|(kind, flags, sequence, message)| ShotEvent {
                kind: *kind,
                flags: *flags,
                sequence: *sequence,
                time_ms: sequence * 10,
                message,
            })
            .collect();
        // Whatever of it was folded, and wherever it was folded on the way.
        for folds in 0_u32..1 << events.len() {
            let mut life: Option<Life<'_>> = None;
            for (index, event) in events.iter().enumerate() {
                match &mut life {
                    None => life = Life::begun_by(*event),
                    Some(life) => life.go_on(*event).unwrap(),
                }
                let now = life.as_mut().unwrap();
                let (lot, standing) = expected[index];
                assert_eq!((now.shot.lot, now.shot.standing), (lot, standing), "after event {index}");
                if folds >> index & 1 != 0 {
                    let fields = now.events().into_owned();
                    let cold = ColdShot::decode(&fields[..]).unwrap();
                    let kinds: Vec<u32> = cold.events.iter().map(|event| event.kind).collect();
                    assert_eq!(kinds, events[..=index].iter().map(|event| event.kind.into()).collect::<Vec<u32>>());
                    let last: &FoldedEvent = cold.events.last().unwrap();
                    assert_eq!(
                        (last.sequence, last.time_ms, &last.message[..]),
                        (event.sequence, event.time_ms, event.message)
                    );
                    assert_eq!(shot_of(&fields), Some(now.shot), "folded and read again");
                    let fields: &[u8] = Vec::leak(fields);
                    *now = Life::folded(now.shot, if now.is_amended() { fields } else { &[] });
                }
                let recorded = now.recorded();
                let here = events[0].kind == kind::SHOT_RECORDED;
                assert_eq!(recorded.map(|shot| (shot.lot, shot.sequence)), here.then_some(("A", 7)));
            }
        }
    }

    #[test]
    fn each_event_does_its_own() {
        let standing = Standing::default();
        let voided = Standing { voided: true, ..standing };
        let confirmed = Standing { confirmed: 3, ..voided };
        let held = Standing { held_writes: 1, ..confirmed };
        let gone = Standing { reassigned_to: HERE + 1, ..standing };
        let settles = Amendment { settles: 11, ..amendment(None) };
        let to = Amendment { ticket: HERE + 1, ..amendment(None) };
        let back = Amendment { ticket: HERE + 1, voided: true, confirmed: 4, recorded_at: 70, ..amendment(Some("D")) };
        let events = [
            (kind::SHOT_RECORDED, 0, shot("A").encode_to_vec(), ("A", standing)),
            (kind::SHOT_CORRECTED, 0, amendment(Some("B")).encode_to_vec(), ("B", standing)),
            (kind::SHOT_VOIDED, 0, amendment(None).encode_to_vec(), ("B", voided)),
            (kind::SHOT_CONFIRMED, 0, amendment(None).encode_to_vec(), ("B", confirmed)),
            (kind::SHOT_CORRECTED, flag::HELD, amendment(Some("C")).encode_to_vec(), ("B", held)),
            (kind::SHOT_CONFIRMED, 0, settles.encode_to_vec(), ("B", confirmed)),
            (kind::SHOT_UNLOCKED, 0, amendment(None).encode_to_vec(), ("B", voided)),
            (kind::SHOT_REINSTATED, 0, amendment(None).encode_to_vec(), ("B", standing)),
            (kind::SHOT_REASSIGNED, 0, to.encode_to_vec(), ("B", gone)),
            (kind::SHOT_REASSIGNED, flag::ARRIVES, back.encode_to_vec(), ("D", Standing { confirmed: 4, ..voided })),
        ];
        let (messages, expected): (Vec<_>, Vec<_>) =
            events.into_iter().map(|(kind, flags, message, expected)| ((kind, flags, message), expected)).unzip();
        check(&messages, &expected);
        let arrival = (kind::SHOT_REASSIGNED, flag::ARRIVES, back.encode_to_vec());
        let there = ("D", Standing { confirmed: 4, ..voided });
        check(
            &[arrival, (kind::SHOT_REINSTATED, 0, amendment(None).encode_to_vec())],
            &[there, ("D", Standing { voided: false, ..there.1 })],
        );
    }

    #[test]
    fn bytes_that_are_no_events_make_no_shot() {
        let mut fields = Vec::new();
        let message = shot("A").encode_to_vec();
        ShotEvent { kind: kind::SHOT_RECORDED, flags: 0, sequence: 7, time_ms: 8, message: &message }.put(&mut fields);
        for end in 0..fields.len() {
            assert_eq!(shot_of(&fields[..end]), None);
        }
        let orphaned = ShotEvent { kind: kind::SHOT_VOIDED, flags: 0, sequence: 8, time_ms: 8, message: &[] };
        assert!(Life::begun_by(orphaned).is_none());
    }
}
