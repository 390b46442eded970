//! What programs read: one JSON object a line, the same for a store and for a server.
//!
//! Owns the field names and texts of every object that a command prints with `--json`; `docs/json.md` lists them. An object holds no address in a file but of damage, and
//! no timing but how long a `load` or verifying took: the same state gives the same bytes. Tickets and resident's numbers are texts, since leading zeros matter.

use std::io::{self, Write};

use serde::Serialize;
use sesshu_engine::ticket::{Date, Ticket};
use sesshu_proto::v1::{
    Authority, ChangeOutcome, ChangeReply, MatchOutcome, MatchReply, Provisional, RecordedShot, Resident,
    ResidentStatus, Sex, Source,
};

use crate::amend::authority_word;
use crate::answer_record::WarningAnswer;
use crate::input::RejectedRow;

/// Writes `object` as one line.
///
/// # Errors
///
/// The writer's.
pub fn write_line(out: &mut dyn Write, object: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, object)?;
    out.write_all(b"\n")
}

/// What `match` and `ledger` say of a ticket.
#[derive(Debug, Serialize)]
pub struct TicketAnswer {
    /// Sixteen digits, behind a P where no ticket is known; for an invalid line the text as it was given.
    pub ticket: String,
    /// `matched`, `orphan`, `provisional`, `not_found`, `invalid` or `damaged`.
    pub outcome: &'static str,
    /// Why, if invalid or damaged.
    pub reason: Option<String>,
    /// If matched.
    pub resident: Option<ResidentAnswer>,
    /// In the order they were recorded.
    pub shots: Vec<ShotAnswer>,
    /// All tickets of a person with several, the valid one last; else empty.
    pub tickets: Vec<String>,
    /// Where that was asked for: the same person in other municipalities.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<TicketAnswer>,
}

/// A resident, as the register has them.
#[derive(Debug, Serialize)]
pub struct ResidentAnswer {
    municipality: String,
    number: String,
    resident_number: String,
    name: String,
    name_kana: String,
    birth_date: Option<String>,
    sex: &'static str,
    status: &'static str,
    status_date: Option<String>,
    protected: bool,
    previous_numbers: Vec<String>,
    reissued_as: Option<String>,
}

/// A shot, as it was recorded.
#[derive(Debug, Serialize)]
pub struct ShotAnswer {
    id: String,
    shot_id: u64,
    sequence: u64,
    recorded_at: String,
    date: String,
    dose: u32,
    vaccine: String,
    lot: String,
    venue: String,
    institution: String,
    doctor: String,
    capture_id: String,
    source: &'static str,
    recorded_by: String,
    line: Option<String>,
    provisional: Option<ProvisionalAnswer>,
    state: String,
    confirmed: Option<String>,
    reassigned_to: Option<String>,
    held_writes: u32,
    same_dose: bool,
    pub(crate) warnings: Vec<WarningAnswer>,
}

/// For whom a shot was recorded without a ticket.
#[derive(Debug, Serialize)]
pub struct ProvisionalAnswer {
    name_kana: String,
    birth_date: Option<String>,
}

impl ProvisionalAnswer {
    fn new(person: Provisional) -> ProvisionalAnswer {
        ProvisionalAnswer { name_kana: person.name_kana, birth_date: date(person.birth_date) }
    }
}

impl TicketAnswer {
    /// The answer for a reply; `given` is the text that was looked up, for a line that is invalid.
    #[must_use]
    pub fn new(reply: MatchReply, given: Option<&str>) -> TicketAnswer {
        let outcome = outcome_of_match(reply.outcome());
        let ticket = Ticket::from_decimal(reply.ticket).ok().filter(|_| reply.outcome() != MatchOutcome::Invalid);
        TicketAnswer {
            ticket: ticket.map_or_else(|| given.unwrap_or_default().to_owned(), |ticket| ticket.to_string()),
            outcome,
            reason: (!reply.reason.is_empty()).then_some(reply.reason),
            resident: ticket.zip(reply.resident).map(|(ticket, resident)| ResidentAnswer::new(ticket, resident)),
            shots: ticket.map_or_else(Vec::new, |ticket| {
                reply.shots.into_iter().map(|shot| ShotAnswer::new(ticket, shot)).collect()
            }),
            tickets: reply.tickets.into_iter().map(ticket_name).collect(),
            elsewhere: reply.elsewhere.into_iter().map(|person| TicketAnswer::new(person, None)).collect(),
        }
    }
}

impl ResidentAnswer {
    /// In one line for people.
    pub(crate) fn in_words(&self) -> String {
        let ResidentAnswer { name, name_kana, birth_date, status, .. } = self;
        format!("{name} ({name_kana}), born {}, {status}", birth_date.as_deref().unwrap_or("on an unknown day"))
    }

    pub(crate) fn new(ticket: Ticket, resident: Resident) -> ResidentAnswer {
        let (sex, status) = (sex(resident.sex()), resident_status(resident.status()));
        ResidentAnswer {
            municipality: ticket.municipality().to_string(),
            number: number(ticket.number()),
            resident_number: resident.resident_number,
            name: resident.name,
            name_kana: resident.name_kana,
            birth_date: date(resident.birth_date),
            sex,
            status,
            status_date: date(resident.status_date),
            protected: resident.protected,
            previous_numbers: resident.previous_numbers.into_iter().map(number).collect(),
            reissued_as: resident.reissued_as.map(number),
        }
    }
}

/// Ten digits.
fn number(number: u64) -> String {
    format!("{number:010}")
}

impl ShotAnswer {
    pub(crate) fn new(ticket: Ticket, recorded: RecordedShot) -> ShotAnswer {
        let ShotWords { state, reassigned_to, confirmed } = ShotWords::of(&recorded);
        let shot = recorded.shot.unwrap_or_default();
        let ticket = Ticket::from_decimal(recorded.ticket).ok().filter(|_| recorded.ticket != 0).unwrap_or(ticket);
        let municipality = match shot.presented_municipality {
            0 => ticket.municipality().code(),
            ward => ward,
        };
        ShotAnswer {
            id: shot_name(ticket.to_decimal(), recorded.shot_id),
            state,
            confirmed,
            reassigned_to,
            held_writes: recorded.held_writes,
            same_dose: recorded.same_dose,
            shot_id: recorded.shot_id,
            sequence: recorded.sequence,
            recorded_at: time(recorded.recorded_at),
            date: date(shot.date).unwrap_or_default(),
            dose: shot.dose,
            line: (shot.provisional.is_none() && !ticket.is_provisional())
                .then(|| format!("{:02}{municipality:06}{:010}", shot.stub, ticket.number())),
            provisional: shot.provisional.clone().map(ProvisionalAnswer::new),
            source: source(shot.source()),
            warnings: shot.warnings.into_iter().map(WarningAnswer::new).collect(),
            vaccine: shot.vaccine,
            lot: shot.lot,
            venue: shot.venue,
            institution: shot.institution,
            doctor: shot.doctor,
            capture_id: shot.capture_id,
            recorded_by: shot.recorded_by,
        }
    }
}

/// How a ticket is written, which travels as a decimal number.
#[must_use]
pub fn ticket_name(decimal: u64) -> String {
    Ticket::from_decimal(decimal).map_or_else(|_| format!("{decimal:016}"), |ticket| ticket.to_string())
}

/// How a shot is named: its ticket and its id.
pub(crate) fn shot_name(ticket: u64, shot_id: u64) -> String {
    format!("{}-{shot_id}", ticket_name(ticket))
}

/// What became of a shot, in words.
pub(crate) struct ShotWords {
    pub(crate) state: String,
    pub(crate) reassigned_to: Option<String>,
    pub(crate) confirmed: Option<String>,
}

impl ShotWords {
    pub(crate) fn of(recorded: &RecordedShot) -> ShotWords {
        let confirmed = recorded.confirmed();
        ShotWords {
            state: recorded.state().as_str_name().trim_start_matches("SHOT_STATE_").to_lowercase(),
            reassigned_to: (recorded.reassigned_to != 0).then(|| ticket_name(recorded.reassigned_to)),
            confirmed: (confirmed != Authority::Unspecified).then(|| authority_word(confirmed)),
        }
    }
}

/// What `find` says of a person.
#[derive(Debug, Serialize)]
pub struct FoundAnswer {
    /// As `match` says it.
    #[serde(flatten)]
    pub person: TicketAnswer,
    /// Of somebody without a ticket who was asked for as such: whom the registers have under their kana and birth date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may_be: Option<Vec<TicketAnswer>>,
}

/// What `find` ends with.
#[derive(Debug, Serialize)]
pub struct FindSummary {
    /// People who were shown.
    pub found: u64,
    /// There are more.
    pub more: bool,
}

/// What `apply` says of a row.
#[derive(Debug, Serialize)]
pub struct ChangeAnswer {
    /// The row's line in its file; 1 is the header.
    pub line: u64,
    /// Sixteen digits; null where the row has no ticket number.
    pub ticket: Option<String>,
    /// `added`, `changed`, `unchanged` or `rejected`.
    pub outcome: &'static str,
    /// Since which event the row is known; null if it was rejected.
    pub sequence: Option<u64>,
    /// The column's header name, if it was rejected.
    pub column: Option<String>,
    /// The word for what is wrong with it, if it was rejected.
    pub code: Option<String>,
    /// Why, if it was rejected.
    pub reason: Option<String>,
}

impl ChangeAnswer {
    /// The answer for a reply.
    #[must_use]
    pub fn new(reply: ChangeReply, line: u64) -> ChangeAnswer {
        let outcome = match reply.outcome() {
            ChangeOutcome::Added => "added",
            ChangeOutcome::Changed => "changed",
            ChangeOutcome::Unchanged => "unchanged",
            ChangeOutcome::Rejected | ChangeOutcome::Unspecified => "rejected",
        };
        let ticket = Ticket::from_decimal(reply.ticket).ok().filter(|_| reply.ticket != 0);
        let rejected = reply.rejected;
        ChangeAnswer {
            line,
            ticket: ticket.map(|ticket| ticket.to_string()),
            outcome,
            sequence: (reply.sequence > 0).then_some(reply.sequence),
            column: rejected.as_ref().map(|rejected| rejected.column.clone()),
            code: rejected.as_ref().map(|rejected| rejected.code.clone()),
            reason: rejected.map(|rejected| rejected.reason),
        }
    }

    /// The answer for a row that its reader rejected.
    #[must_use]
    pub fn of_rejected(row: &RejectedRow) -> ChangeAnswer {
        ChangeAnswer {
            line: row.line,
            ticket: None,
            outcome: "rejected",
            sequence: None,
            column: Some(row.fault.column.header().to_owned()),
            code: Some(row.fault.code.as_str().to_owned()),
            reason: Some(row.fault.reason.clone()),
        }
    }
}

/// The last object of `apply`.
#[derive(Debug, Default, Serialize)]
pub struct ChangeSummary {
    /// Tickets that got their first row.
    pub added: u64,
    /// Rows that are others now.
    pub changed: u64,
    /// Rows that were so before.
    pub unchanged: u64,
    /// Rows that were not taken.
    pub rejected: u64,
}

impl ChangeSummary {
    /// Counts one answer.
    pub fn count(&mut self, answer: &ChangeAnswer) {
        let count = match answer.outcome {
            "added" => &mut self.added,
            "changed" => &mut self.changed,
            "unchanged" => &mut self.unchanged,
            _ => &mut self.rejected,
        };
        *count += 1;
    }

    /// Adds another file's.
    pub fn add(&mut self, other: &ChangeSummary) {
        self.added += other.added;
        self.changed += other.changed;
        self.unchanged += other.unchanged;
        self.rejected += other.rejected;
    }
}

/// The word for an outcome.
#[must_use]
pub fn outcome_of_match(outcome: MatchOutcome) -> &'static str {
    match outcome {
        MatchOutcome::Matched => "matched",
        MatchOutcome::Orphan => "orphan",
        MatchOutcome::Provisional => "provisional",
        MatchOutcome::NotFound => "not_found",
        MatchOutcome::Invalid | MatchOutcome::Unspecified => "invalid",
        MatchOutcome::Damaged => "damaged",
    }
}

/// The word for a sex.
#[must_use]
pub fn sex(sex: Sex) -> &'static str {
    match sex {
        Sex::Male => "male",
        Sex::Female => "female",
        Sex::Unknown | Sex::Unspecified => "unknown",
    }
}

/// The word for a resident's status.
#[must_use]
pub fn resident_status(status: ResidentStatus) -> &'static str {
    match status {
        ResidentStatus::Active | ResidentStatus::Unspecified => "active",
        ResidentStatus::MovedOut => "moved_out",
        ResidentStatus::Deceased => "deceased",
        ResidentStatus::Removed => "removed",
    }
}

fn source(source: Source) -> &'static str {
    match source {
        Source::Terminal => "terminal",
        Source::File => "file",
        Source::Api | Source::Unspecified => "api",
    }
}

/// `YYYY-MM-DD` of YYYYMMDD, zeros for what is not known; `None` for 0.
#[must_use]
pub fn date(yyyymmdd: u32) -> Option<String> {
    let (year, month, day) = (yyyymmdd / 10_000, yyyymmdd / 100 % 100, yyyymmdd % 100);
    (yyyymmdd != 0).then(|| format!("{year:04}-{month:02}-{day:02}"))
}

/// A time in milliseconds since 1970 as RFC 3339, UTC.
#[must_use]
pub fn time(ms: u64) -> String {
    let (days, in_day) = (ms / 86_400_000, ms % 86_400_000);
    let day = i32::try_from(days).ok().and_then(|days| Date::from_days_since_epoch(days).ok());
    let Some(day) = day else { return format!("{ms} ms") };
    let (hours, minutes, seconds) = (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1000 % 60);
    format!("{day}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z", in_day % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(1_618_190_000_123), "2021-04-12T01:13:20.123Z");
    }

    #[test]
    fn dates_keep_what_is_not_known() {
        assert_eq!(date(19_400_000).as_deref(), Some("1940-00-00"));
        assert_eq!(date(0), None);
    }
}
