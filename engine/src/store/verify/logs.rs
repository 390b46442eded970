//! Verifying the logs.
//!
//! Owns the recount: the log is read from its beginning, without the checkpoint, and the tails that come of it are what those in memory and in the checkpoint
//! must be. On the way each event's way back is held against the ticket's event before.

use std::sync::Arc;

use prost::Message as _;
use sesshu_proto::v1::{AccessEntry, Generation};

use super::super::access;
use super::super::state::State;
use super::meter::Meter;
use super::subject::Subject;
use super::{Findings, VerifyError};
use crate::disk::{Instead, ReadDisk, exchanged};
use crate::error::{Damage, OpenError};
use crate::frame::{flag, kind};
use crate::generation::Remedy;
use crate::ledger::Effect;
use crate::log::{self, Event, ExaminedLog, Segments};
use crate::ticket::{Municipality, Ticket};

/// What reading the log came to.
pub(super) struct VerifiedLog {
    pub(super) examined: ExaminedLog,
    /// Tickets whose row changed in the tail and names other tickets.
    pub(super) linked: Vec<Ticket>,
    /// Commit time of the newest event.
    pub(super) time_ms: u64,
    pub(super) files: u64,
    pub(super) torn_bytes: u64,
    /// All of it is there: only then do the tails follow from it.
    pub(super) is_whole: bool,
}

/// Reads the log, installs what it installs, and fills the subject's tails.
pub(super) fn verify(
    subject: &mut Subject,
    findings: &mut Findings,
    meter: &Meter<'_>,
) -> Result<VerifiedLog, VerifyError> {
    let (segments, vouched, until) = (subject.segments.clone(), subject.vouched(), subject.until);
    let (mut linked, mut time_ms, mut failed) = (Vec::new(), 0, None);
    let mut astray = Vec::new();
    let mut visit = |event: &Event<'_>| {
        time_ms = event.header.time_ms;
        if event.header.kind == kind::RESIDENT_CHANGED && event.header.flags & flag::LINKED != 0 {
            linked.extend(Ticket::from_bits(event.header.ticket_bits));
        }
        if event.header.kind == kind::LOST {
            subject.newest_lost = Some((event.address, event.header.sequence, event.header.time_ms));
        }
        if failed.is_none() {
            astray.extend(way_back(subject, &segments, event));
            failed = subject.replay(findings, &segments, event).err();
        }
    };
    let examined = log::examine(&segments, vouched, until, &mut visit, &mut |bytes| meter.add(bytes));
    if let Some(error) = failed {
        return Err(error.into());
    }
    let examined = examined.ok_or(VerifyError::Ended)?;
    findings.0.append(&mut subject.findings.0);
    tell(findings, &examined, &|damage| damage);
    let is_whole = examined.gaps.is_empty() && examined.unreadable.is_empty() && !subject.lacks_segments;
    // Otherwise some lead to what is missing.
    for damage in astray.into_iter().filter(|_| is_whole && !subject.lacked) {
        findings.add(damage, 1, Remedy::Replace);
    }
    access_log(subject, findings, meter)?;
    let torn_bytes = if until.is_none() { log::torn_bytes(&segments, examined.end) } else { 0 };
    let files = segments.count() as u64;
    Ok(VerifiedLog { examined, linked, time_ms, files, torn_bytes, is_whole })
}

impl Subject {
    /// Does with an event what an open does.
    pub(super) fn replay(
        &mut self,
        findings: &mut Findings,
        segments: &Segments,
        event: &Event<'_>,
    ) -> Result<(), OpenError> {
        if let Some(installed) = State::installed_by(event) {
            let Some(municipality) = Municipality::from_five_digits(installed.municipality) else {
                let what = "an install of an unknown municipality's generation";
                findings.add(segments.damage(event.address, what), 0, Remedy::Replace);
                return Ok(());
            };
            if self.current.get(&municipality).is_some_and(|current| current.generation >= installed.generation) {
                return Ok(());
            }
            let (installed_sequence, installed_at) = (event.header.sequence, event.header.time_ms);
            return self.install(municipality, &Generation { installed_sequence, installed_at, ..installed });
        }
        let disk = Arc::clone(&self.disk);
        match self.state.replay(&*disk, self.mark, segments, event) {
            Err(OpenError::Damaged(damage)) => {
                findings.add(segments.damage(event.address, damage.what), 1, Remedy::Replace);
                Ok(())
            }
            replayed => replayed,
        }
    }
}

/// An event names the one of its ticket before it, unless that is folded.
fn way_back(subject: &Subject, segments: &Segments, event: &Event<'_>) -> Option<Damage> {
    // Others name nothing before them.
    Effect::of(event.header)?;
    let ticket = Ticket::from_bits(event.header.ticket_bits).ok()?;
    let ledger = subject.state.ledgers.get(ticket.ordinal());
    let folded = ledger.map_or(0, |ledger| ledger.folded_position());
    if event.address < folded {
        return None;
    }
    let before = ledger.and_then(|ledger| ledger.tail.newest(ticket.number()));
    let is_right = match before {
        Some(before) => event.previous == before,
        None => event.previous < folded.max(1),
    };
    (!is_right).then(|| segments.damage(event.address, "an event that does not name the one of its ticket before it"))
}

/// Tells of what was found in a log; `place` says where its files are.
fn tell(findings: &mut Findings, examined: &ExaminedLog, place: &dyn Fn(Damage) -> Damage) {
    for damage in &examined.headers {
        findings.add(place(damage.clone()), 0, Remedy::Rebuild);
    }
    for damage in &examined.unreadable {
        findings.add(place(damage.clone()), None, Remedy::Replace);
    }
    for gap in &examined.gaps {
        let remedy = if gap.lost() == 0 { Remedy::Rebuild } else { Remedy::Replace };
        let damage = place(gap.damage.clone());
        match findings.0.iter_mut().find(|it| it.damage.file == damage.file && it.tickets.is_none()) {
            // A segment that cannot be read: this is what it held.
            Some(segment) => segment.tickets = Some(gap.lost()),
            None => findings.add(damage, gap.lost(), remedy),
        }
    }
}

/// Reads the access log, if there is one.
fn access_log(subject: &Subject, findings: &mut Findings, meter: &Meter<'_>) -> Result<(), VerifyError> {
    let Some(named) = subject.manifest.access else { return Ok(()) };
    let disk: Instead<dyn ReadDisk> = Instead::new(Arc::clone(&subject.disk), log::DIRECTORY, access::DIRECTORY);
    let opened = log::open_whatever_is_there(&disk, subject.mark.id, access::vouched(Some(&named)));
    let (segments, damaged) = opened.map_err(access::in_its_place)?;
    let place = |damage: Damage| {
        let file = exchanged(&damage.file, log::DIRECTORY.as_ref(), access::DIRECTORY.as_ref());
        Damage { file, ..damage }
    };
    damaged.into_iter().for_each(|damage| findings.add(place(damage), None, Remedy::Replace));
    let mut strange = Vec::new();
    let mut visit = |event: &Event<'_>| {
        let is_entry = event.header.kind == kind::ACCESSED && AccessEntry::decode(event.message).is_ok();
        if !is_entry && event.header.kind != kind::LOST {
            strange.push(segments.damage(event.address, "no entry of an access log"));
        }
    };
    // Of an open store it may be written to: what the manifest vouches for is final.
    let until = subject.until.map(|_| named.position);
    let told = &mut |bytes| meter.add(bytes);
    let examined = log::examine(&segments, access::vouched(Some(&named)), until, &mut visit, told);
    tell(findings, &examined.ok_or(VerifyError::Ended)?, &place);
    strange.into_iter().for_each(|damage| findings.add(place(damage), 0, Remedy::Replace));
    Ok(())
}
