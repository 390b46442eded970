//! The history of rows: every row that the tickets of a person had, since when, who sent it and why.
//!
//! Owns who sends what in a run, and the comparison with what a store tells. Commit times are nobody's to foresee: they follow the sequence.

use sesshu_engine::View;
use sesshu_engine::intake::Sender;
use sesshu_proto::v1::{Resident, RowVersion};

use super::model::{CODES, Model};
use super::properties::{Damaged, Failure, blame, ensure};
use super::workload::{Changing, Register};
use crate::ticket;

/// A row that a ticket had or has: since which event, and who sent it.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) row: Resident,
    pub(super) known_since: u64,
    pub(super) sender: Sender,
}

fn sender(who: &str, reason: &str) -> Sender {
    Sender::check(who, reason).expect("a short name and reason")
}

/// Who sends a register; some do not say.
pub(super) fn of_register(register: &Register) -> Sender {
    match register.version {
        0 => Sender::default(),
        1 => sender("情報係", "月次"),
        _ => sender("委託先", ""),
    }
}

/// Who sends a change; some do not say.
pub(super) fn of_change(change: &Changing) -> Sender {
    match change.number % 3 {
        0 => Sender::default(),
        1 => sender("窓口 1", "転入"),
        _ => sender("窓口 2", "届出"),
    }
}

/// A person's history has every row of their tickets.
///
/// # Errors
///
/// The first [`Failure`].
pub(super) fn are_remembered(view: &View, model: &Model, damaged: &Damaged) -> Result<(), Failure> {
    for (ledger, code) in CODES.into_iter().enumerate() {
        for &number in model.ledgers[ledger].keys() {
            let history = match view.person_history(ticket(code, number)) {
                Err(damage) => {
                    blame(&damage, damaged)?;
                    continue;
                }
                Ok(history) => history.unwrap_or_default(),
            };
            let held = model.tickets_of(ledger, number).into_iter().flat_map(|number| {
                let rows = model.ledgers[ledger].get(&number).map_or(&[][..], |ticket| &ticket.rows);
                rows.iter().map(move |version| (number, version))
            });
            let mut expected: Vec<RowVersion> = held
                .map(|(number, Version { row, known_since, sender })| RowVersion {
                    ticket: ticket(code, number).to_decimal(),
                    resident: Some(row.clone()),
                    known_since: *known_since,
                    known_since_time: 0,
                    who: sender.who().into(),
                    reason: sender.reason().into(),
                })
                .collect();
            let mut shown = history.rows;
            let in_order = shown.is_sorted_by_key(|version| (version.known_since, version.known_since_time));
            ensure(in_order, "rows come in the order in which they became known", || format!("{shown:?}"))?;
            shown.iter_mut().for_each(|version| version.known_since_time = 0);
            for versions in [&mut expected, &mut shown] {
                versions.sort_by_key(|version| (version.known_since, version.ticket));
            }
            ensure(shown == expected, "every row is remembered, with who sent it and why", || {
                format!("{code} {number}: {shown:#?} instead of {expected:#?}")
            })?;
        }
    }
    Ok(())
}
