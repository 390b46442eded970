//! What people read on a terminal: residents, shots, numbers.

use comfy_table::{CellAlignment, Table, presets};
use sesshu_proto::v1::{Authority, MatchOutcome, MatchReply, Provisional, RecordedShot, ShotState};

use crate::amend::authority_word;
use crate::answer::{self, shot_name, ticket_name};

/// A table of names and numbers, the numbers to the right.
#[must_use]
pub(super) fn pairs<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (name, value) in rows {
        table.add_row([name.to_owned(), value]);
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A ticket and its resident in one line, and a line for each shot.
#[must_use]
pub(super) fn person(reply: &MatchReply, given: &str) -> String {
    let ticket = match reply.outcome() {
        MatchOutcome::Invalid => given.to_owned(),
        _ => ticket_name(reply.ticket),
    };
    let mut text = format!("{ticket}  {}", answer::outcome_of_match(reply.outcome()));
    if !reply.reason.is_empty() {
        text.push_str(&format!(": {}", reply.reason));
    }
    if let Some(resident) = reply.resident.as_ref().filter(|resident| !resident.name.is_empty()) {
        let born = answer::date(resident.birth_date).unwrap_or_else(|| "not known".into());
        let (sex, status) = (answer::sex(resident.sex()), answer::resident_status(resident.status()));
        let protected = if resident.protected { "  PROTECTED" } else { "" };
        text.push_str(&format!(
            "  {} ({})  born {born}  {sex}  {status}{protected}",
            resident.name, resident.name_kana
        ));
    }
    if let Some(person) = provisional(reply) {
        let born = answer::date(person.birth_date).unwrap_or_default();
        text.push_str(&format!("  {}  born {born}", person.name_kana));
    }
    if let Some(number) = reply.resident.as_ref().and_then(|resident| resident.reissued_as) {
        text.push_str(&format!("  reissued as {number:010}"));
    }
    if let Some((valid, replaced)) = reply.tickets.split_last() {
        let replaced: Vec<String> = replaced.iter().map(|&ticket| ticket_name(ticket)).collect();
        text.push_str(&format!("\n  ticket {} replaced {}", ticket_name(*valid), replaced.join(", ")));
    }
    for recorded in &reply.shots {
        let ticket = if recorded.ticket == 0 { reply.ticket } else { recorded.ticket };
        text.push_str(&format!("\n  shot {}  {}", shot_name(ticket, recorded.shot_id), shot(recorded)));
    }
    for elsewhere in &reply.elsewhere {
        text.push_str(&format!("\n  elsewhere {}", person(elsewhere, "").replace('\n', "\n  ")));
    }
    text.truncate(text.trim_end().len());
    text
}

/// Who a person without a ticket is, as the first of their shots has it; `None` if it is no such person.
pub(super) fn provisional(reply: &MatchReply) -> Option<&Provisional> {
    let mut shots = reply.shots.iter().filter(|_| reply.outcome() == MatchOutcome::Provisional);
    shots.find_map(|shot| shot.shot.as_ref()?.provisional.as_ref())
}

/// A shot in one line.
#[must_use]
pub(super) fn shot(recorded: &RecordedShot) -> String {
    let shot = recorded.shot.clone().unwrap_or_default();
    let date = answer::date(shot.date).unwrap_or_default();
    let mut text =
        format!("{date}  dose {}  {}  lot {}  {}  {}", shot.dose, shot.vaccine, shot.lot, shot.venue, shot.doctor);
    text.truncate(text.trim_end().len());
    match recorded.state() {
        ShotState::Voided => text.push_str("  VOID"),
        ShotState::Reassigned => text.push_str(&format!("  REASSIGNED to {}", ticket_name(recorded.reassigned_to))),
        ShotState::InForce | ShotState::Unspecified => {}
    }
    if recorded.confirmed() != Authority::Unspecified {
        text.push_str(&format!("  confirmed by {}", authority_word(recorded.confirmed())));
    }
    if recorded.held_writes > 0 {
        text.push_str(&format!("  {} held", recorded.held_writes));
    }
    if recorded.same_dose {
        text.push_str("  SAME DOSE as another shot");
    }
    text
}

/// A count with thin groups of three.
#[must_use]
pub(super) fn count(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// Bytes in the unit that fits.
#[must_use]
pub(super) fn bytes(number: u64) -> String {
    indicatif::HumanBytes(number).to_string()
}
