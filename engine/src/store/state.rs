//! What a durable event does to the ledgers.
//!
//! Owns the one place where events change state, for the committer as they become durable and for recovery as they are replayed: the same events give the
//! same ledgers (I8).

use std::sync::Arc;

use prost::Message as _;
use sesshu_proto::v1::{Generation as GenerationMessage, GenerationInstalled};

use super::ledgers::Ledgers;
use super::manifest::StoreMark;
use crate::FORMAT_VERSION;
use crate::disk::ReadDisk;
use crate::error::{Damage, OpenError};
use crate::frame::{Salt, kind};
use crate::generation::{Generation, Identity, OpenGenerationError};
use crate::intake::Sender;
use crate::ledger::{Effect, Installed, Ledger};
use crate::log::{Event, Segments};
use crate::mutation::{Mutation, broken};
use crate::ticket::{Municipality, Ticket};

/// The ledgers, on the writer's side.
pub(super) struct State {
    pub(super) ledgers: Arc<Ledgers>,
}

impl State {
    /// The ledger of a municipality; made if nothing was known of it.
    pub(super) fn ledger(&mut self, municipality: Municipality) -> Arc<Ledger> {
        if let Some(ledger) = self.ledgers.get(municipality.ordinal()) {
            return Arc::clone(ledger);
        }
        let ledger = Arc::new(Ledger::new(municipality));
        self.set(Arc::clone(&ledger));
        ledger
    }

    pub(super) fn set(&mut self, ledger: Arc<Ledger>) {
        Arc::make_mut(&mut self.ledgers).set(ledger);
    }

    /// Something happened to a ticket; `message` says what, where the effect is a row's.
    pub(super) fn event_recorded(&mut self, ticket: Ticket, address: u64, effect: Effect, message: &[u8]) {
        self.ledger(ticket.municipality()).event_recorded(ticket, address, effect, message);
    }

    /// The ledger of `municipality` as it will be when `generation` is its base.
    pub(super) fn with_generation(
        &mut self,
        municipality: Municipality,
        generation: Generation,
        installed: Installed,
        segments: &Segments,
    ) -> Result<Arc<Ledger>, Damage> {
        Ok(Arc::new(self.ledger(municipality).with_generation(generation, installed, segments)?))
    }

    /// The generation that an event installs, if it is one that does.
    pub(super) fn installed_by(event: &Event<'_>) -> Option<GenerationMessage> {
        (event.header.kind == kind::GENERATION_INSTALLED)
            .then(|| GenerationInstalled::decode(event.message).ok()?.generation)
            .flatten()
    }

    /// Whether a generation comes after what its ledger has.
    pub(super) fn is_new(&self, installed: &GenerationMessage) -> bool {
        let municipality = Municipality::from_five_digits(installed.municipality);
        let ledger = municipality.and_then(|municipality| self.ledgers.get(municipality.ordinal()));
        installed.generation > ledger.map_or(0, |ledger| ledger.generation_number())
    }

    /// Does again what an event of the log did.
    pub(super) fn replay(
        &mut self,
        disk: &dyn ReadDisk,
        mark: StoreMark,
        segments: &Segments,
        event: &Event<'_>,
    ) -> Result<(), OpenError> {
        let damage = |what| {
            OpenError::Damaged(Damage {
                file: crate::log::DIRECTORY.into(),
                offset: event.address,
                municipality: None,
                what,
            })
        };
        match event.header.kind {
            kind::LOST if event.header.ticket_bits == 0 => Ok(()),
            kind if matches!(kind, kind::RESIDENT_CHANGED | kind::LOST) || kind::is_of_shot(kind) => {
                let ticket =
                    Ticket::from_bits(event.header.ticket_bits).map_err(|_| damage("an event of no ticket"))?;
                let ledger = self.ledger(ticket.municipality());
                if event.address >= ledger.folded_position() || broken(Mutation::ReplayFolded) {
                    // What was known when it was recorded was known of an earlier generation, if the ledger has a newer one by now.
                    let effect = if event.header.sequence > ledger.installed.since.0 {
                        Effect::of(event.header)
                    } else {
                        ledger.effect(ticket, event.header, segments)
                    };
                    let effect = effect.ok_or_else(|| damage("a ticket's event of a kind that is none"))?;
                    ledger.event_recorded(ticket, event.address, effect, event.message);
                }
                Ok(())
            }
            kind::GENERATION_INSTALLED => {
                let message = State::installed_by(event).ok_or_else(|| damage("an install of no generation"))?;
                let municipality = Municipality::from_five_digits(message.municipality)
                    .ok_or_else(|| damage("an install of an unknown municipality's generation"))?;
                if !self.is_new(&message) {
                    // The manifest names this generation or a later one.
                    return Ok(());
                }
                let generation = open_generation(disk, mark, municipality, &message)?;
                let since = (event.header.sequence, event.header.time_ms);
                let installed = Installed { since, sender: sender_of(&message) };
                let ledger = self.with_generation(municipality, generation, installed, segments)?;
                self.set(ledger);
                Ok(())
            }
            _ => Err(damage("an event of a kind that this program does not know")),
        }
    }
}

/// Who sent the register of a generation.
pub(super) fn sender_of(message: &GenerationMessage) -> Sender {
    // It was checked when it came, and its bytes are under a checksum.
    Sender::check(&*message.who, &*message.reason).unwrap_or_default()
}

/// The identity of the generation that a message names.
pub(super) fn identity(StoreMark { id: store_id, lookup_key }: StoreMark, message: &GenerationMessage) -> Identity {
    Identity {
        store_id,
        lookup_key,
        five_digits: message.municipality,
        generation: message.generation,
        salt: Salt(message.salt),
        folded_position: message.folded_position,
    }
}

/// Opens the generation that a message names.
pub(super) fn open_generation(
    disk: &dyn ReadDisk,
    mark: StoreMark,
    municipality: Municipality,
    message: &GenerationMessage,
) -> Result<Generation, OpenError> {
    let identity = identity(mark, message);
    Generation::open(disk, municipality, identity, message.file_length).map_err(|error| match error {
        OpenGenerationError::Damaged(damage) => OpenError::Damaged(damage),
        OpenGenerationError::Newer(found) => {
            let file = crate::generation::path(municipality, message.generation);
            OpenError::Newer { file, found, known: FORMAT_VERSION }
        }
        OpenGenerationError::Disk(source) => OpenError::Disk {
            doing: "mapping",
            path: crate::generation::path(municipality, message.generation),
            source,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreId;
    use crate::disk::RealDisk;
    use crate::frame::Header;
    use crate::lookup::LookupKey;

    #[test]
    fn an_event_of_a_reserved_or_unknown_kind_is_refused() {
        let known = [kind::RESIDENT_CHANGED, kind::GENERATION_INSTALLED, kind::LOST];
        let disk = RealDisk::existing(std::path::Path::new("nowhere"));
        let mark = StoreMark { id: StoreId([0; 16]), lookup_key: LookupKey([0; 16]) };
        for kind in (1..=u8::MAX).filter(|&kind| !known.contains(&kind) && !kind::is_of_shot(kind)) {
            let ticket = Ticket::from_decimal(1_310_160_000_012_345).unwrap();
            let header = Header { kind, flags: 0, time_ms: 1, ticket_bits: ticket.to_bits(), sequence: 1 };
            let event = Event { address: 8240, header, previous: 0, message: &[] };
            let mut state = State { ledgers: Arc::new(Ledgers::none()) };
            let replayed = state.replay(&disk, mark, &Segments::default(), &event);
            assert!(matches!(replayed, Err(OpenError::Damaged(_))), "kind {kind}");
            assert_eq!(state.ledgers.iter().count(), 0, "kind {kind}");
        }
    }
}
