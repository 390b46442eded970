//! From what the engine says to what travels.
//!
//! Owns the replies of matches and records. The gRPC services send them; the commands on a store print them: one path, so both say the same.

use sesshu_engine::error::{Damage, RecordError};
use sesshu_engine::intake::{Column, Fault, FaultCode, Remark, ShotRecord};
use sesshu_engine::rules::with_reasons;
use sesshu_engine::ticket::{Municipality, Ticket, TicketLine};
use sesshu_engine::{
    ChangeOutcome as Change, Changed, Held, Known, ListedSnapshot, LoadOutcome as Loaded, LoadReport, Match, Moment,
    Person, RecordOutcome as Outcome, Recorded, Rejected, Samples, Snapshot, View, Window,
};
use sesshu_proto::v1;
use sesshu_proto::v1::record_request::Ticket as RecordTicket;
use sesshu_proto::v1::{
    ChangeOutcome, ChangeReply, HeldRegister, LoadCommitted, LoadOutcome, LoadSamples, LoadSummary, MatchOutcome,
    MatchReply, RecordOutcome, RecordReply, RecordRequest, RejectedRow, SnapshotInfo, StatusReply,
};

use crate::{compaction, verification};

/// Findings that a status tells one by one.
const FINDINGS_MAX: usize = 100;

/// The reply for a ticket that was looked up.
#[must_use]
pub fn of_match(ticket: Ticket, found: Match<'_>) -> MatchReply {
    of_found(ticket, found, |person| {
        let mut tickets = person.tickets()?;
        if tickets.len() == 1 {
            tickets.clear();
        }
        Ok(MatchReply {
            resident: person.resident()?,
            shots: person.recorded_shots()?,
            tickets: tickets.into_iter().map(Ticket::to_decimal).collect(),
            ..MatchReply::default()
        })
    })
}

/// The reply for a ticket in its ledger: its own row, and what was recorded on it. Other tickets of the person have replies of their own there.
#[must_use]
pub fn of_ledger(ticket: Ticket, found: Match<'_>) -> MatchReply {
    of_found(ticket, found, |person| {
        let (resident, shots) = (person.own_resident()?, person.own_recorded_shots()?);
        Ok(MatchReply { resident, shots, ..MatchReply::default() })
    })
}

/// As [`of_match`], as it was known at a moment.
#[must_use]
pub fn of_match_at(ticket: Ticket, found: Match<'_>, moment: Option<Moment>) -> MatchReply {
    let Some(moment) = moment else { return of_match(ticket, found) };
    of_known(ticket, found, |person| person.known_at(moment))
}

/// As [`of_ledger`], as it was known at a moment; `None`: nothing was known of the ticket then.
#[must_use]
pub fn of_ledger_at(ticket: Ticket, found: Match<'_>, moment: Option<Moment>) -> Option<MatchReply> {
    let Some(moment) = moment else { return Some(of_ledger(ticket, found)) };
    let reply = of_known(ticket, found, |person| person.own_known_at(moment));
    Some(reply).filter(|reply| reply.outcome() != MatchOutcome::NotFound)
}

fn of_known(
    ticket: Ticket,
    found: Match<'_>,
    known: impl Fn(&Person<'_>) -> Result<Option<Known>, Damage>,
) -> MatchReply {
    of_found(ticket, found, |person| {
        let Some(Known { resident, shots, mut tickets }) = known(person)? else {
            return Ok(MatchReply { outcome: MatchOutcome::NotFound.into(), ..MatchReply::default() });
        };
        if tickets.len() == 1 {
            tickets.clear();
        }
        let outcome = if resident.is_some() { MatchOutcome::Matched } else { without_row(ticket) };
        let tickets = tickets.into_iter().map(Ticket::to_decimal).collect();
        Ok(MatchReply { outcome: outcome.into(), resident, shots, tickets, ..MatchReply::default() })
    })
}

/// The moment that is asked for.
///
/// # Errors
///
/// What is wrong with it, for people.
pub fn moment_of(moment: Option<v1::Moment>) -> Result<Option<Moment>, String> {
    match moment.map(|moment| moment.moment) {
        None => Ok(None),
        Some(Some(v1::moment::Moment::Sequence(sequence))) => Ok(Some(Moment::Sequence(sequence))),
        Some(Some(v1::moment::Moment::Time(time))) => Ok(Some(Moment::Time(time))),
        Some(None) => Err("known_at: a sequence or a time is needed".into()),
    }
}

/// The other way round.
#[must_use]
pub fn moment_to(moment: Moment) -> v1::Moment {
    let moment = match moment {
        Moment::Sequence(sequence) => v1::moment::Moment::Sequence(sequence),
        Moment::Time(time) => v1::moment::Moment::Time(time),
    };
    v1::Moment { moment: Some(moment) }
}

fn of_found(ticket: Ticket, found: Match<'_>, read: impl Fn(&Person<'_>) -> Result<MatchReply, Damage>) -> MatchReply {
    // Of a moment in the past the reader itself knows the outcome.
    let read = |outcome: MatchOutcome, person| {
        let reply = read(person)?;
        let outcome = if reply.outcome == 0 { outcome.into() } else { reply.outcome };
        Ok(MatchReply { outcome, ..reply })
    };
    let read = match found {
        Match::Matched(person) => read(MatchOutcome::Matched, &person),
        Match::Orphan(person) => read(without_row(ticket), &person),
        Match::NotFound => Ok(MatchReply { outcome: MatchOutcome::NotFound.into(), ..MatchReply::default() }),
        Match::Damaged(damage) => Err(damage),
    };
    let reply = read.unwrap_or_else(|damage| MatchReply {
        outcome: MatchOutcome::Damaged.into(),
        reason: damage.to_string(),
        ..MatchReply::default()
    });
    MatchReply { ticket: ticket.to_decimal(), ..reply }
}

/// What a ticket is that no register has.
fn without_row(ticket: Ticket) -> MatchOutcome {
    if ticket.is_provisional() { MatchOutcome::Provisional } else { MatchOutcome::Orphan }
}

/// The reply for what is no ticket line.
#[must_use]
pub fn of_invalid_line(reason: impl ToString) -> MatchReply {
    MatchReply { outcome: MatchOutcome::Invalid.into(), reason: reason.to_string(), ..MatchReply::default() }
}

/// Checks a request to record a shot.
///
/// # Errors
///
/// The reply that says which field is at fault.
pub fn shot_of(request: RecordRequest) -> Result<ShotRecord, RecordReply> {
    let shot = request.shot.unwrap_or_default();
    let line = match request.ticket {
        Some(RecordTicket::Line(line)) => TicketLine::from_decimal(line),
        Some(RecordTicket::LineText(text)) => TicketLine::parse(&text),
        Some(RecordTicket::WithoutTicket(code)) => {
            let municipality = Municipality::from_code(code);
            let municipality = municipality.map_err(|error| of_invalid_shot(0, format!("without_ticket: {error}")))?;
            return ShotRecord::check_without_ticket(municipality, shot).map_err(|fault| of_invalid_shot(0, fault));
        }
        None => TicketLine::parse(""),
    };
    let line = line.map_err(|error| of_invalid_shot(0, format!("ticket line: {error}")))?;
    ShotRecord::check(line, shot).map_err(|fault| of_invalid_shot(line.ticket().to_decimal(), fault))
}

/// The reply for a shot that cannot be recorded.
#[must_use]
pub fn of_invalid_shot(ticket: u64, reason: impl ToString) -> RecordReply {
    RecordReply { outcome: RecordOutcome::Invalid.into(), reason: reason.to_string(), ticket, ..RecordReply::default() }
}

/// The reply for a shot that was handed in. `view`: one that was pinned after the answer. `with_resident`: with the row that the ticket matches.
///
/// # Errors
///
/// The engine's, unchanged: they are about the store, not about the shot.
pub fn of_record(
    view: &View,
    ticket: Ticket,
    answer: Result<Recorded, RecordError>,
    with_resident: bool,
) -> Result<RecordReply, RecordError> {
    let Recorded { outcome, shot_id, sequence, recorded_at_ms, warnings } = answer?;
    // The shot is durable: what cannot be read now is left out.
    let (mut resident, mut held) = (None, None);
    if with_resident && let Match::Matched(person) = view.match_ticket(ticket) {
        resident = person.resident().ok().flatten();
    }
    if outcome == Outcome::CaptureIdConflict
        && let Match::Matched(person) | Match::Orphan(person) = view.match_ticket(ticket)
    {
        let shots = person.own_recorded_shots().unwrap_or_default();
        held = shots.into_iter().find(|shot| shot.shot_id == shot_id);
    }
    let (outcome, reason) = match outcome {
        Outcome::Recorded => (RecordOutcome::Recorded, String::new()),
        Outcome::Orphan if ticket.is_provisional() => (RecordOutcome::Provisional, String::new()),
        Outcome::Orphan => (RecordOutcome::Orphan, String::new()),
        Outcome::AlreadyRecorded => (RecordOutcome::AlreadyRecorded, String::new()),
        Outcome::CaptureIdConflict => {
            let reason = format!("the ticket holds this capture id already, with other content: shot {shot_id}");
            (RecordOutcome::CaptureIdConflict, reason)
        }
    };
    Ok(RecordReply {
        outcome: outcome.into(),
        reason,
        ticket: ticket.to_decimal(),
        shot_id,
        sequence,
        recorded_at: recorded_at_ms,
        warnings: with_reasons(warnings),
        resident: resident.map(Box::new),
        held: held.map(Box::new),
    })
}

/// Whether a shot became durable by the record that is answered so.
#[must_use]
pub fn is_new(outcome: RecordOutcome) -> bool {
    matches!(outcome, RecordOutcome::Recorded | RecordOutcome::Orphan | RecordOutcome::Provisional)
}

/// The reply for a change that was applied. `line`: where it stands in its file, or 0.
///
/// # Errors
///
/// The engine's, unchanged: they are about the store, not about the change.
pub fn of_change(ticket: Ticket, line: u64, answer: Result<Changed, RecordError>) -> Result<ChangeReply, RecordError> {
    let Changed { outcome, sequence } = answer?;
    let outcome = match outcome {
        Change::Added => ChangeOutcome::Added,
        Change::Changed => ChangeOutcome::Changed,
        Change::Unchanged => ChangeOutcome::Unchanged,
        Change::UnknownTicket => {
            let reason = "the register does not have this ticket: send the whole row";
            let fault = Fault::new(Column::Number, FaultCode::UnknownTicket, reason);
            return Ok(of_rejected_change(ticket.to_decimal(), &Rejected { line, fault }));
        }
        Change::Superseded => {
            let reason = "this number was replaced by another before: a reissued ticket has a new number";
            let fault = Fault::new(Column::Number, FaultCode::Superseded, reason);
            return Ok(of_rejected_change(ticket.to_decimal(), &Rejected { line, fault }));
        }
    };
    Ok(ChangeReply { outcome: outcome.into(), ticket: ticket.to_decimal(), sequence, rejected: None })
}

/// The reply for a change that cannot be applied.
#[must_use]
pub fn of_rejected_change(ticket: u64, rejected: &Rejected) -> ChangeReply {
    let outcome = ChangeOutcome::Rejected.into();
    ChangeReply { outcome, ticket, sequence: 0, rejected: Some(of_rejected(rejected)) }
}

/// A row that a load could not take.
#[must_use]
pub fn of_rejected(rejected: &Rejected) -> RejectedRow {
    RejectedRow {
        line: rejected.line,
        column: rejected.fault.column.header().to_owned(),
        code: rejected.fault.code.as_str().to_owned(),
        reason: rejected.fault.reason.clone(),
    }
}

/// The reply for a load that was concluded.
#[must_use]
pub fn of_concluded(municipality: Municipality, concluded: &Loaded) -> LoadCommitted {
    let reply = |outcome: LoadOutcome, report| LoadCommitted {
        outcome: outcome.into(),
        summary: Some(of_load(report)),
        rejected: report.rejected.iter().map(of_rejected).collect(),
        remarks: report.shared.iter().map(of_remark).collect(),
        ..LoadCommitted::default()
    };
    match concluded {
        Loaded::Loaded(report) => reply(LoadOutcome::Loaded, report),
        Loaded::Held(held, report) => LoadCommitted { held: Some(of_held(held)), ..reply(LoadOutcome::Held, report) },
        Loaded::Shown(report, reason) => LoadCommitted {
            reason: reason.map(|reason| reason.to_string()).unwrap_or_default(),
            samples: Some(of_samples(municipality, &report.samples)),
            ..reply(LoadOutcome::DryRun, report)
        },
    }
}

/// A load that is held.
#[must_use]
pub fn of_held(held: &Held) -> HeldRegister {
    let municipality = held.id.municipality();
    HeldRegister {
        id: held.id.to_string(),
        municipality: municipality.code(),
        held_at: held.held_at_ms,
        expires_at: held.expires_at_ms,
        reason: held.reason.map(|reason| reason.to_string()).unwrap_or_default(),
        summary: Some(of_load(&held.report)),
        samples: Some(of_samples(municipality, &held.report.samples)),
    }
}

fn of_samples(municipality: Municipality, samples: &Samples) -> LoadSamples {
    let tickets = |numbers: &[u64]| {
        numbers.iter().filter_map(|&number| Some(Ticket::new(municipality, number).ok()?.to_decimal())).collect()
    };
    LoadSamples {
        added: tickets(&samples.added),
        changed: tickets(&samples.changed),
        removed: tickets(&samples.removed),
    }
}

/// What a load did, or would do.
#[must_use]
pub fn of_load(report: &LoadReport) -> LoadSummary {
    LoadSummary {
        accepted: report.accepted,
        rejected: report.rejected_rows,
        added: report.added,
        changed: report.changed,
        unchanged: report.unchanged,
        kept: report.kept,
        removed: report.removed,
        generation: report.generation,
        sequence: report.sequence,
        remarks: report.remarks,
    }
}

/// What is remarkable in a row that was taken.
#[must_use]
pub fn of_remark(remark: &Remark) -> v1::Remark {
    let Remark { line, column, code, reason } = remark;
    v1::Remark { line: *line, column: column.header().into(), code: code.as_str().into(), reason: reason.clone() }
}

/// A snapshot, of which `own_bytes` are nobody else's.
pub fn of_snapshot(snapshot: &Snapshot, own_bytes: u64) -> SnapshotInfo {
    let Window { begin, end } = snapshot.window();
    SnapshotInfo {
        name: snapshot.name().to_string(),
        created_at: snapshot.created_at_ms(),
        store_id: snapshot.store_id().to_string(),
        first_sequence: begin.0,
        first_time: begin.1,
        last_sequence: end.0,
        last_time: end.1,
        files: snapshot.files().len() as u64,
        bytes: snapshot.bytes(),
        own_bytes,
        outside_key: snapshot.outside_key_id(),
        damage: String::new(),
    }
}

/// A snapshot in a list.
pub fn of_listed_snapshot(listed: &ListedSnapshot) -> SnapshotInfo {
    match &listed.snapshot {
        Ok(snapshot) => of_snapshot(snapshot, listed.own_bytes),
        Err(error) => SnapshotInfo {
            name: listed.name.to_string(),
            damage: crate::status::chain(error),
            ..SnapshotInfo::default()
        },
    }
}

/// The state of a store.
#[must_use]
pub fn of_status(store: &sesshu_engine::Store) -> StatusReply {
    let status = store.status();
    let opened = store.opened();
    let (found, torn_bytes) = match &opened.log {
        sesshu_engine::LogOutcome::Closed => ("clean", 0),
        sesshu_engine::LogOutcome::Clean if opened.created => ("created", 0),
        sesshu_engine::LogOutcome::Clean => ("recovered", 0),
        sesshu_engine::LogOutcome::TornTail(torn) => ("recovered", torn.bytes),
    };
    let verification = status.verification.as_deref();
    let findings = verification.map_or(&[][..], |it| &it.verified.findings);
    StatusReply {
        store_id: store.id().to_string(),
        format_version: sesshu_engine::FORMAT_VERSION,
        sequence: status.sequence,
        ledgers: status.ledgers,
        residents: status.residents,
        orphans: status.orphans,
        shots: status.shots,
        tail_tickets: status.tail_tickets,
        generation_bytes: status.generation_bytes,
        log_bytes: status.log_bytes,
        log_written_bytes: status.log_written_bytes,
        log_segments: status.log_segments,
        writable: status.trouble.is_none(),
        not_writable_reason: status.trouble.unwrap_or_default(),
        opened: found.to_owned(),
        torn_bytes,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        available_bytes: store.available_bytes().unwrap_or(0),
        log_to_read_bytes: status.log_to_read_bytes,
        // One that cannot be listed now is told by those who ask for the list.
        snapshots: store.snapshots().list().iter().flatten().map(of_listed_snapshot).collect(),
        generations: status.generations,
        checkpoint_time: status.checkpoint_time_ms,
        compacted_at: status.compacted.as_ref().map_or(0, |(at_ms, _)| *at_ms),
        compaction: status.compacted.map(|(_, done)| compaction::of_compacted(&done)),
        verified_at: verification.map_or(0, |it| it.at_ms),
        verify_milliseconds: verification.map_or(0, |it| it.took_ms),
        verified: verification.map(|it| verification::of_verified(&it.verified)),
        findings: findings.iter().take(FINDINGS_MAX).map(verification::of_finding).collect(),
        verifying: status.verifying.map(verification::of_progress),
    }
}
