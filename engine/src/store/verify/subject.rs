//! What is verified: the files of one moment of a store.
//!
//! Owns the pinning of them: the generations and segments are mapped, and stay readable whatever becomes of their names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use sesshu_proto::v1::{Generation as GenerationMessage, Manifest};

use super::super::checkpoint::Captured;
use super::super::ledgers::Ledgers;
use super::super::manifest::{self, StoreMark};
use super::super::open::vouched;
use super::super::snapshot::Snapshots;
use super::super::state::{State, identity, sender_of};
use super::Findings;
use crate::FORMAT_VERSION;
use crate::disk::ReadDisk;
use crate::error::{Damage, OpenError};
use crate::generation::{self, Generation, OpenGenerationError, Remedy};
use crate::ledger::{Installed, Ledger};
use crate::log::{self, Segments, Vouched};
use crate::ticket::Municipality;

/// One moment of a store.
pub(in crate::store) struct Subject {
    pub(in crate::store) disk: Arc<dyn ReadDisk>,
    pub(super) mark: StoreMark,
    pub(super) manifest: Manifest,
    pub(super) segments: Segments,
    /// Where the log of an open store is durable; of a closed one it is read to its end.
    pub(super) until: Option<u64>,
    /// The tails that an open store has in memory.
    pub(super) live: Option<Captured>,
    /// Of the ledgers, the generations that the manifest names, and then those that the log installs. Their tails are what the log says.
    pub(in crate::store) state: State,
    /// What names the current generation of each ledger.
    pub(in crate::store) current: BTreeMap<Municipality, GenerationMessage>,
    pub(super) threads: usize,
    /// A segment of the log cannot be read at all.
    pub(super) lacks_segments: bool,
    /// Ledgers whose current generation cannot be read at all.
    pub(super) lacking: BTreeSet<Municipality>,
    /// One could not be read, which another has replaced since: what its tail would be nobody can say.
    pub(super) lacked: bool,
    /// The manifest is not the store's own: what the log has replaced since may be gone.
    pub(in crate::store) by_another: bool,
    /// The newest event of the log that was given up: address, sequence, commit time.
    pub(in crate::store) newest_lost: Option<(u64, u64, u64)>,
    /// What was found on the way.
    pub(super) findings: Findings,
}

impl Subject {
    /// Pins what a manifest names.
    pub(in crate::store) fn pin(
        disk: Arc<dyn ReadDisk>,
        (manifest, mark): (Manifest, StoreMark),
        until: Option<u64>,
        threads: usize,
    ) -> Result<Subject, OpenError> {
        let (segments, damaged) = log::open_whatever_is_there(&*disk, mark.id, vouched(&manifest))?;
        let mut findings = Findings::default();
        let lacks_segments = !damaged.is_empty();
        // How much is gone with a segment is told where the log breaks off.
        damaged.into_iter().for_each(|damage| findings.add(damage, None, Remedy::Replace));
        let state = State { ledgers: Arc::new(Ledgers::none()) };
        let mut subject = Subject {
            disk,
            mark,
            manifest,
            segments,
            until,
            live: None,
            state,
            current: BTreeMap::new(),
            threads,
            lacks_segments,
            lacking: BTreeSet::new(),
            lacked: false,
            by_another: false,
            newest_lost: None,
            findings,
        };
        for message in std::mem::take(&mut subject.manifest.generations) {
            match Municipality::from_five_digits(message.municipality) {
                Some(municipality) => subject.install(municipality, &message)?,
                None => {
                    let what = "a generation of an unknown municipality";
                    subject.findings.at(manifest::PATH.into(), what, Remedy::Replace);
                }
            }
            subject.manifest.generations.push(message);
        }
        Ok(subject)
    }

    /// Makes a generation the current one of its ledger, behind the events that it folds.
    pub(in crate::store) fn install(
        &mut self,
        municipality: Municipality,
        message: &GenerationMessage,
    ) -> Result<(), OpenError> {
        let before = self.current.insert(municipality, message.clone());
        if let Some(before) = before.filter(|_| self.by_another) {
            // Whatever became of that: nothing needs it any more.
            let path = generation::path(municipality, before.generation);
            self.findings.0.retain(|finding| finding.damage.file != path);
            self.lacking.remove(&municipality);
        }
        let since = (message.installed_sequence, message.installed_at);
        let generation = self.open(municipality, message)?;
        let installed = Installed { since, sender: sender_of(message) };
        let ledger = match generation {
            Some(generation) => self.state.with_generation(municipality, generation, installed, &self.segments),
            None => Ok(Arc::new(Ledger::new(municipality))),
        };
        match ledger {
            Ok(ledger) => self.state.set(ledger),
            Err(damage) => self.findings.add(damage, None, Remedy::Replace),
        }
        Ok(())
    }

    /// Maps a generation, whatever its header is; `None` if that cannot be done, which is a finding.
    fn open(
        &mut self,
        municipality: Municipality,
        message: &GenerationMessage,
    ) -> Result<Option<Generation>, OpenError> {
        let path = generation::path(municipality, message.generation);
        let identity = identity(self.mark, message);
        let opened = Generation::open_to_examine(&*self.disk, &path, municipality, identity, message.file_length);
        let (error, remedy) = match opened {
            Ok(generation) => return Ok(Some(generation)),
            Err(OpenGenerationError::Newer(found)) => {
                return Err(OpenError::Newer { file: path, found, known: FORMAT_VERSION });
            }
            // All but the footer follows from the rest, and the footer too.
            Err(OpenGenerationError::Damaged(damage)) => {
                let remedy = if damage.offset == 0 { Remedy::Replace } else { Remedy::Rebuild };
                (damage.into(), remedy)
            }
            Err(OpenGenerationError::Disk(source)) => {
                (OpenError::Disk { doing: "mapping", path, source }, Remedy::Replace)
            }
        };
        self.lacking.insert(municipality);
        self.lacked = true;
        self.findings.of_error(error, Some(message.entries), remedy)?;
        Ok(None)
    }

    /// What vouches for the log.
    pub(super) fn vouched(&self) -> Vouched {
        vouched(&self.manifest)
    }

    /// Bytes that will be read.
    pub(super) fn bytes(&self) -> Result<u64, OpenError> {
        let generations: u64 = self.current.values().map(|message| message.file_length).sum();
        let log = match self.until {
            Some(until) => self.segments.files_up_to(until).map(|(_, length)| length).sum(),
            None => self.segments.bytes(),
        };
        Ok(generations + log + self.checkpoint_bytes())
    }

    fn checkpoint_bytes(&self) -> u64 {
        self.manifest.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.file_length)
    }

    pub(super) fn snapshots(&self) -> Snapshots {
        Snapshots::on(Arc::clone(&self.disk))
    }

    /// Damage of a file as a whole.
    pub(super) fn damage(file: &Path, what: &'static str) -> Damage {
        Damage { file: file.to_owned(), offset: 0, municipality: None, what }
    }
}
