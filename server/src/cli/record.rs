//! `sesshu record`: shots into the log, one or a file of them.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use sesshu_engine::intake::{Column, ShotRecord};
use sesshu_engine::ticket::{Date, Municipality, TicketLine};
use sesshu_proto::v1::{self, Provisional, RecordOutcome, RecordReply, Shot, Source};

use super::find::birth_date;
use super::results::results;
use super::rules::RulesFile;
use super::target::Target;
use super::{progress, table};
use crate::answer;
use crate::answer_record::{RecordAnswer, RecordSummary, warning_word};
use crate::backend::Backend;
use crate::failure::{Done, Failure};
use crate::input::{RejectedRow, RejectsFile, ShotRow, ShotsFile};
use crate::reply;

/// Record shots; when the command has answered, they survive the machine's plug being pulled
#[derive(Debug, Args)]
pub(super) struct Record {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    whose: Whose,
    /// Without a ticket: name in kana, however it is typed
    #[arg(long, value_name = "KANA", requires = "without_ticket")]
    name_kana: Option<String>,
    /// Without a ticket: YYYYMMDD or YYYY-MM-DD, zeros for month and day if they are not known
    #[arg(long, value_name = "DATE", requires = "without_ticket")]
    birth_date: Option<String>,
    /// The day of the shot
    #[arg(long, value_name = "YYYY-MM-DD", requires = "whose", conflicts_with = "file")]
    date: Option<String>,
    /// The number of the dose
    #[arg(long, value_name = "N", requires = "whose", conflicts_with = "file")]
    dose: Option<u32>,
    /// Maker or product, at most 20 characters
    #[arg(long, requires = "whose", conflicts_with = "file")]
    vaccine: Option<String>,
    /// Lot number, at most 20 characters
    #[arg(long, requires = "whose", conflicts_with = "file")]
    lot: Option<String>,
    /// Name of the venue, at most 30 characters
    #[arg(long, value_name = "NAME", requires = "whose", conflicts_with = "file")]
    venue: Option<String>,
    /// Medical institution code, ten digits
    #[arg(long, value_name = "CODE", requires = "whose", conflicts_with = "file")]
    institution: Option<String>,
    /// Name of the doctor, at most 20 characters
    #[arg(long, value_name = "NAME", requires = "whose", conflicts_with = "file")]
    doctor: Option<String>,
    /// Your own id of this record: repeating it is safe
    #[arg(long, value_name = "ID", requires = "whose", conflicts_with = "file")]
    capture_id: Option<String>,
    /// Write the rows that hold no shot here, with line, column, code and reason
    #[arg(long, value_name = "FILE", requires = "file")]
    rejects: Option<PathBuf>,
    #[command(flatten)]
    rules: RulesFile,
    /// One object a shot; with --file then {"recorded", "orphans", "provisional", "already_recorded", "invalid", "with_warnings", "warnings"}
    #[arg(long)]
    json: bool,
}

/// Whose shots they are.
#[derive(Debug, Args)]
#[group(id = "whose", required = true, multiple = false)]
struct Whose {
    /// The ticket line of 18 digits
    #[arg(long, value_name = "LINE", requires_all = ["date", "dose", "vaccine", "lot", "venue"])]
    ticket: Option<String>,
    /// There is no ticket: the six-digit code of the municipality that the person says they live in. The shot waits under a number of its own until somebody
    /// links it: `sesshu find --without-ticket` lists such people, `sesshu shot reassign --of-ticket P… --to LINE` links
    #[arg(long, value_name = "CODE",
          requires_all = ["name_kana", "birth_date", "date", "dose", "vaccine", "lot", "venue"])]
    without_ticket: Option<String>,
    /// A CSV file of shots instead of one. A row whose 接種券 is blank says whose shot it is: 自治体コード, 氏名カナ, 生年月日
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Shots that are read and recorded at a time.
const BATCH_SHOTS: usize = 8192;

impl Record {
    pub(super) fn run(self) -> Result<Done, Failure> {
        match &self.whose {
            Whose { file: Some(file), .. } => self.run_file(file),
            Whose { ticket: Some(ticket), .. } => {
                let line = TicketLine::parse(ticket).map_err(|error| Failure::Request(format!("--ticket: {error}")))?;
                let shot = ShotRecord::check(line, self.shot()?);
                self.run_one(ticket, shot.map_err(|fault| Failure::Request(fault.to_string()))?)
            }
            Whose { without_ticket: Some(code), .. } => {
                let municipality = Municipality::parse(code);
                let municipality =
                    municipality.map_err(|error| Failure::Request(format!("--without-ticket: {error}")))?;
                let name_kana = self.name_kana.clone().unwrap_or_default();
                let birth_date = birth_date(self.birth_date.as_deref().unwrap_or_default())?;
                let provisional = Some(Provisional { name_kana, birth_date });
                let shot = ShotRecord::check_without_ticket(municipality, Shot { provisional, ..self.shot()? });
                self.run_one("", shot.map_err(|fault| Failure::Request(fault.to_string()))?)
            }
            _ => Err(Failure::Request("--ticket LINE, --without-ticket CODE or --file FILE is needed".into())),
        }
    }

    fn run_one(&self, given: &str, shot: ShotRecord) -> Result<Done, Failure> {
        let backend = self.target.open_with(true, &self.rules)?;
        let reply = backend.record(vec![shot], true)?.pop().unwrap_or_default();
        backend.close()?;
        let outcome = reply.outcome();
        let refused = (outcome == RecordOutcome::CaptureIdConflict).then(|| reply.reason.clone());
        let answer = RecordAnswer::new(reply, given);
        if self.json {
            answer::write_line(&mut results(), &answer)?;
        } else if refused.is_none() {
            let (id, sequence) = (answer.id.as_deref().unwrap_or_default(), answer.sequence.unwrap_or_default());
            let mut out = results();
            writeln!(out, "{}  {}: shot {id}, sequence {sequence}", answer.ticket, answer.outcome)?;
            if let Some(resident) = &answer.resident {
                writeln!(out, "  {}", resident.in_words())?;
            }
            for warning in &answer.warnings {
                writeln!(out, "  warning: {}", warning.reason)?;
            }
        }
        match refused {
            Some(reason) => Err(Failure::Request(reason)),
            None => Ok(Done::Whole),
        }
    }

    fn shot(&self) -> Result<Shot, Failure> {
        let date = self.date.as_deref().unwrap_or_default();
        let date = Date::parse(date).map_err(|error| Failure::Request(format!("--date: {error}")))?;
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        Ok(Shot {
            date: date.yyyymmdd(),
            dose: self.dose.unwrap_or_default(),
            vaccine: text(&self.vaccine),
            lot: text(&self.lot),
            venue: text(&self.venue),
            institution: text(&self.institution),
            doctor: text(&self.doctor),
            capture_id: text(&self.capture_id),
            source: Source::Api.into(),
            ..Shot::default()
        })
    }

    fn run_file(&self, path: &Path) -> Result<Done, Failure> {
        let mut file = ShotsFile::open(path)?;
        let backend = self.target.open_with(true, &self.rules)?;
        let mut rejects = self.rejects.as_deref().map(RejectsFile::create).transpose()?;
        let bar = progress::bytes(file.bytes_total(), "recording");
        let mut summary = RecordSummary::default();
        let (mut rows, mut rejected) = (Vec::new(), Vec::new());
        loop {
            let more = file.next_batch(&mut rows, &mut rejected, BATCH_SHOTS)?;
            self.record(&backend, path, &mut rows, &mut rejected, rejects.as_mut(), &mut summary)?;
            bar.set_position(file.bytes_read());
            if !more {
                break;
            }
        }
        bar.finish_and_clear();
        if let Some(rejects) = rejects {
            rejects.finish()?;
        }
        backend.close()?;
        if self.json {
            answer::write_line(&mut results(), &summary)?;
        } else {
            let RecordSummary { recorded, orphans, provisional, already_recorded, invalid, with_warnings, .. } =
                summary;
            let [recorded, orphans, already] = [recorded, orphans, already_recorded].map(table::count);
            let without = if provisional == 0 { String::new() } else { format!(", {provisional} without a ticket") };
            let mut out = results();
            writeln!(
                out,
                "{recorded} recorded ({orphans} orphans{without}), {already} recorded already, {invalid} invalid"
            )?;
            if with_warnings > 0 {
                writeln!(out, "{} with warnings:", table::count(with_warnings))?;
            }
            for (kind, count) in &summary.warnings {
                writeln!(out, "  {:>12}  {}", table::count(*count), kind.replace('_', " "))?;
            }
        }
        Ok(Done::whole_if(summary.invalid == 0))
    }

    /// Records a batch and tells of each of its rows, in the order of the file.
    fn record(
        &self,
        backend: &Backend,
        path: &Path,
        rows: &mut Vec<ShotRow>,
        rejected: &mut Vec<RejectedRow>,
        mut rejects: Option<&mut RejectsFile>,
        summary: &mut RecordSummary,
    ) -> Result<(), Failure> {
        let lines: Vec<u64> = rows.iter().map(|row| row.line).collect();
        let replies = backend.record(rows.drain(..).map(|row| row.record).collect(), false)?;
        let mut told: Vec<(u64, RecordReply, Option<RejectedRow>)> =
            lines.into_iter().zip(replies).map(|(line, reply)| (line, reply, None)).collect();
        told.extend(rejected.drain(..).map(|row| {
            let reason = format!("line {}: {}", row.line, row.fault);
            (row.line, reply::of_invalid_shot(0, reason), Some(row))
        }));
        told.sort_by_key(|(line, ..)| *line);
        let mut out = BufWriter::new(results());
        for (line, reply, row) in told {
            summary.count(&reply);
            match (rejects.as_deref_mut(), &row) {
                (Some(rejects), Some(row)) => rejects.write(path, row)?,
                (Some(rejects), None) if reply.outcome() == RecordOutcome::CaptureIdConflict => {
                    rejects.write_reported(path, &conflict(line, &reply))?;
                }
                _ => {}
            }
            if self.json {
                let given = row.and_then(|row| row.ticket).unwrap_or_default();
                answer::write_line(&mut out, &RecordAnswer::new(reply, &given))?;
            }
        }
        out.flush()?;
        Ok(())
    }
}

/// What is told of a row whose capture id is another shot's.
fn conflict(line: u64, reply: &RecordReply) -> v1::RejectedRow {
    let (column, code) = (Column::CaptureId.header().to_owned(), "capture_id_conflict".to_owned());
    v1::RejectedRow { line, column, code, reason: reply.reason.clone() }
}

impl RecordSummary {
    fn count(&mut self, reply: &RecordReply) {
        if reply::is_new(reply.outcome()) && !reply.warnings.is_empty() {
            self.with_warnings += 1;
            for warning in &reply.warnings {
                *self.warnings.entry(warning_word(warning.kind())).or_default() += 1;
            }
        }
        match reply.outcome() {
            RecordOutcome::Recorded => self.recorded += 1,
            RecordOutcome::Orphan => {
                self.recorded += 1;
                self.orphans += 1;
            }
            RecordOutcome::Provisional => {
                self.recorded += 1;
                self.provisional += 1;
            }
            RecordOutcome::AlreadyRecorded => self.already_recorded += 1,
            RecordOutcome::Invalid | RecordOutcome::CaptureIdConflict | RecordOutcome::Unspecified => self.invalid += 1,
        }
    }
}
