//! Repair in a run: a store that is refused, or in which something was found, is made whole, and what it does not show then was listed.
//!
//! It is the last thing that happens to a store: what is gone the model cannot know.

use std::collections::BTreeSet;

use sesshu_engine::error::{OpenError, RepairError};
use sesshu_engine::ticket::Ticket;
use sesshu_engine::{CompactionPolicy, Finding, Loss, Options, Platform, Repaired, Repairs, Store, repair_on};

use super::model::{CODES, Model};
use super::properties::{Damaged, Failure, counts, ensure, shows};
use super::runner::Runner;
use crate::{Answer, answer, ticket};

impl Runner {
    /// Repairs the store that no program has open, and looks at what is there then. The run is over.
    pub(super) fn repairs(&mut self) -> Result<(), Failure> {
        self.ran.over = true;
        let repaired = loop {
            let (faults, astray) = (self.disk.faults(), self.disk.misdirected().len());
            let repairs = Repairs { source: None, accept_loss: true };
            let done = repair_on(self.platform(), &self.place.path(), repairs, &mut |_| {}, &mut |_| Ok(()));
            if self.disk.stopped() {
                self.end_program(None)?;
                continue;
            }
            match done {
                // What it wrote went elsewhere.
                Ok(_) if self.disk.misdirected().len() > astray => return Ok(()),
                Ok(repaired) => break repaired,
                // Nothing in the store says what it had.
                Err(RepairError::NoManifest) => return Ok(()),
                Err(RepairError::Store(OpenError::Newer { .. })) if !self.damaged.is_empty() => return Ok(()),
                Err(error) => {
                    let excused = self.disk.faults() > faults;
                    ensure(excused, "without a fault a repair comes to its end", || format!("{error:?}"))?;
                    self.disk.heal();
                }
            }
        };
        self.disk.heal();
        // Of a generation whose footer is gone together with entries most may be whole: it is left for a snapshot, and no store opens with it.
        let is_left_alone = |finding: &Finding| {
            let what = finding.damage.what;
            let cannot_be_opened = ["footer", "shorter", "cannot read", "no slot table", "lacks a section"];
            finding.damage.file.starts_with("ledgers") && cannot_be_opened.iter().any(|text| what.contains(text))
        };
        if repaired.left.iter().any(is_left_alone) {
            return Ok(());
        }
        let is_excused = |finding: &&Finding| {
            let is_link = finding.damage.what.starts_with("a reissued ticket's row");
            // Of an act of two events one is gone, and listed: the act is to be done again.
            finding.damage.file.starts_with("snapshots") || is_link && !repaired.lost.is_empty()
        };
        let left = repaired.left.iter().find(|finding| !is_excused(finding));
        ensure(left.is_none(), "a repair that may give up leaves nothing that only it could mend", || {
            format!("{left:?}, {:?}", repaired.lost)
        })?;
        self.ran.repaired += 1;
        self.ran.given_up += repaired.lost.len() as u64;
        let options = Options { compaction: CompactionPolicy::NEVER, create: false, ..Options::default() };
        let opened = Store::open_on(self.platform(), &self.place.path(), options);
        let (store, _) = match opened {
            Ok(opened) => opened,
            Err(_) if self.disk.stopped() => return Ok(()),
            Err(error) => return ensure(false, "a store that was repaired opens", || format!("{error:?}")),
        };
        // What was in doubt is there or not.
        let found = store.view().sequence();
        if self.doubt.is_empty() && found <= self.model.sequence() && repaired.lost.is_empty() {
            let (model, none) = (self.model.at(found), Damaged::new());
            shows(&store.view(), &model, &none)?;
            return counts(&store, &model, &none);
        }
        if self.doubt.is_empty() {
            self.shows_all_but(&store, &self.model.at(found.min(self.model.sequence())), &repaired)?;
        }
        Ok(())
    }

    fn platform(&self) -> Platform {
        Platform { disk: self.disk.mount(), environment: self.world.clone(), threads: false }
    }

    /// Every shot that the model has is there, or something that explains why not was listed.
    fn shows_all_but(&self, store: &Store, model: &Model, repaired: &Repaired) -> Result<(), Failure> {
        let mut events = BTreeSet::new();
        let mut tickets = BTreeSet::<Ticket>::new();
        let mut ledgers = BTreeSet::new();
        for loss in &repaired.lost {
            match *loss {
                Loss::Event { sequence, .. } => drop(events.insert(sequence)),
                Loss::Person { ticket } | Loss::Shots { ticket } => drop(tickets.insert(ticket)),
                Loss::People { municipality, .. } => drop(ledgers.insert(municipality)),
                _ => {}
            }
        }
        let view = store.view();
        for (at, code) in CODES.into_iter().enumerate() {
            for number in model.tickets(at) {
                let asked = ticket(code, number);
                if tickets.contains(&asked) || ledgers.contains(&asked.municipality()) {
                    continue;
                }
                let now = answer(&view, asked);
                ensure(!matches!(now, Answer::Damaged(_)), "what is there after a repair can be read", || {
                    format!("{code} {number}: {now:?}")
                })?;
                let (_, shots) = model.person(at, number);
                // An act that is gone may have moved a shot here or away; and a person has what all their tickets have.
                let is_known = |number: u64| !tickets.contains(&ticket(code, number));
                if events.is_empty() && shots.iter().all(|(number, _)| is_known(*number)) {
                    let expected: Vec<u64> = shots.iter().map(|(_, shot)| shot.shot_id).collect();
                    let shown: Vec<u64> = now.shots().iter().map(|shot| shot.shot_id).collect();
                    ensure(shown == expected, "what was not listed is there", || {
                        format!("{code} {number}: {shown:?} instead of {expected:?}")
                    })?;
                }
            }
        }
        Ok(())
    }
}
