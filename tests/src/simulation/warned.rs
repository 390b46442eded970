//! What the rules should say of a shot of a run.
//!
//! Owns the rules once more, as a person would state them, for what the runs' shots can be: all of April 2021, on the first stub, of two products and a third
//! that nobody knows.

use sesshu_proto::v1::{Resident, ResidentStatus, Shot, Warning, WarningKind};

use super::model::HeldShot;
use super::people::is_person;

/// The least days between a first and a second dose.
fn least_days(vaccine: &str) -> Option<(u32, &'static str)> {
    match vaccine {
        "ファイザー" => Some((19, "pfizer-2")),
        "武田／モデルナ" => Some((26, "moderna-2")),
        _ => None,
    }
}

/// Whom a shot is recorded of, on which number: `row` if the register has the ticket, the person's shots in the order in which they were recorded; and on which
/// day.
pub(super) fn warnings(
    shot: &Shot,
    number: u64,
    row: Option<Option<&Resident>>,
    shots: &[&HeldShot],
    day: u32,
) -> Vec<Warning> {
    let has_no_ticket = is_person(number);
    let mut warnings = Vec::new();
    let mut warn = |kind: WarningKind, warning: Warning| warnings.push(Warning { kind: kind.into(), ..warning });
    let plain = Warning::default;
    let person = shot.provisional.as_ref().map(|person| person.birth_date);
    match row {
        None if has_no_ticket => {
            let birth_date = person.unwrap_or_default();
            if shot.date < birth_date {
                warn(WarningKind::BeforeBirth, Warning { date: birth_date, ..plain() });
            }
        }
        None => warn(WarningKind::TicketNotInRegister, plain()),
        Some(row) => {
            let date = row.map_or(0, |row| row.status_date);
            let kind = match row.map(Resident::status) {
                Some(ResidentStatus::MovedOut) => Some(WarningKind::MovedOut),
                Some(ResidentStatus::Deceased) => Some(WarningKind::Deceased),
                Some(ResidentStatus::Removed) => Some(WarningKind::Removed),
                _ => None,
            };
            if let Some(kind) = kind.filter(|_| shot.date > date) {
                warn(kind, Warning { date, ..plain() });
            }
        }
    }
    let of = |shot_id| Warning { shot_id, ..plain() };
    if let Some(same) = shots.iter().find(|other| other.shot.dose == shot.dose) {
        warn(WarningKind::DoseAlreadyRecorded, of(same.shot_id));
    }
    let lower = || shots.iter().filter(|other| other.shot.dose < shot.dose);
    let higher = || shots.iter().filter(|other| other.shot.dose > shot.dose);
    let late = lower().find(|other| other.shot.date > shot.date);
    if let Some(other) = late.or_else(|| higher().find(|other| other.shot.date < shot.date)) {
        warn(WarningKind::DoseOrder, of(other.shot_id));
    }
    if shot.dose > 1 && !shots.iter().any(|other| other.shot.dose == shot.dose - 1) {
        warn(WarningKind::DoseBeforeMissing, plain());
    }
    let before = lower().max_by_key(|other| (other.shot.dose, other.shot.date));
    let after = higher().min_by_key(|other| (other.shot.dose, other.shot.date));
    let before = before.map(|other| (&*other.shot, shot, other.shot_id));
    let after = after.map(|other| (shot, &*other.shot, other.shot_id));
    let too_short = |(first, second, shot_id): &(&Shot, &Shot, u64)| {
        let (days_min, rule) = match second.dose {
            2 => least_days(&second.vaccine)?,
            // Six months of April.
            _ => (183, "booster-6-months"),
        };
        let days = second.date.checked_sub(first.date).filter(|days| *days < days_min)?;
        Some(Warning { shot_id: *shot_id, days, days_min, rule: rule.into(), ..plain() })
    };
    let mixed = |(first, second, shot_id): &(&Shot, &Shot, u64)| {
        let mixed = (first.dose, second.dose) == (1, 2) && first.vaccine != second.vaccine;
        mixed.then(|| Warning { shot_id: *shot_id, rule: "first-two-doses".into(), ..plain() })
    };
    let pairs = || before.iter().chain(&after);
    pairs().find_map(too_short).into_iter().for_each(|warning| warn(WarningKind::IntervalTooShort, warning));
    pairs().find_map(mixed).into_iter().for_each(|warning| warn(WarningKind::MixedVaccines, warning));
    if shot.date > day {
        warn(WarningKind::DateInFuture, plain());
    }
    if shot.dose != 1 && person.is_none() {
        warn(WarningKind::PrintedDoseDiffers, Warning { printed: 1, ..plain() });
    }
    warnings
}
