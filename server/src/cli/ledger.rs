//! `sesshu ledger`: every ticket of a municipality, in number order.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use sesshu_engine::ticket::Municipality;
use sesshu_proto::v1::{MatchReply, Provisional, RecordedShot, Resident};

use super::across::Across;
use super::known::KnownAt;
use super::table;
use super::target::Target;
use crate::answer::{self, ShotWords, TicketAnswer, ticket_name};
use crate::failure::{Done, Failure};

/// Show every ticket of a municipality's ledger with its resident and shots
#[derive(Debug, Args)]
pub(super) struct Ledger {
    #[command(flatten)]
    target: Target,
    /// The municipality's six-digit code; a ward stands for its city
    #[arg(value_name = "MUNICIPALITY")]
    municipality: String,
    #[command(flatten)]
    known: KnownAt,
    #[command(flatten)]
    across: Across,
    /// One object a ticket, as `match` prints it
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Write a CSV file, one row a shot; tickets without shots have one row. With --across shots on tickets of other municipalities too, the ticket last
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

const CSV_HEADER: [&str; 27] = [
    "自治体コード",
    "券番号",
    "結果",
    "宛名番号",
    "氏名",
    "氏名カナ",
    "生年月日",
    "性別",
    "状態",
    "異動日",
    "支援措置",
    "旧券番号",
    "新券番号",
    "接種ID",
    "登録日時",
    "接種日",
    "接種回数",
    "メーカー",
    "ロット番号",
    "会場名",
    "医療機関コード",
    "医師名",
    "読取ID",
    "接種状態",
    "移管先",
    "確定",
    "他自治体の券",
];

impl Ledger {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let municipality =
            Municipality::parse(&self.municipality).map_err(|error| Failure::Request(error.to_string()))?;
        let backend = self.target.open(false)?;
        let (moment, across) = (self.known.moment(), self.across.asked());
        match &self.csv {
            Some(path) => {
                let mut file = create(path)?;
                backend.ledger(municipality, moment, across.as_ref(), &mut |reply| write_rows(&mut file, &reply))?;
                file.flush()?;
            }
            None => {
                let mut out = BufWriter::new(std::io::stdout().lock());
                backend.ledger(municipality, moment, across.as_ref(), &mut |reply| {
                    if self.json {
                        answer::write_line(&mut out, &TicketAnswer::new(reply, None))?;
                    } else {
                        writeln!(out, "{}", table::person(&reply, ""))?;
                    }
                    Ok(())
                })?;
                out.flush()?;
            }
        }
        backend.close()?;
        Ok(Done::Whole)
    }
}

/// A CSV file that spreadsheets take for UTF-8, readable by its owner alone: it holds names.
fn create(path: &Path) -> Result<csv::Writer<std::fs::File>, Failure> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path).map_err(|error| Failure::Request(format!("{}: {error}", path.display())))?;
    file.write_all("\u{feff}".as_bytes())?;
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(file);
    writer.write_record(CSV_HEADER).map_err(std::io::Error::from)?;
    Ok(writer)
}

fn write_rows(file: &mut csv::Writer<std::fs::File>, reply: &MatchReply) -> Result<(), Failure> {
    // Of a person without a ticket the number has a P before its ten digits.
    let ticket = ticket_name(reply.ticket);
    let (mark, digits) = ticket.split_at(ticket.len() - 16);
    let of_provisional = |person: &Provisional| Resident {
        name_kana: person.name_kana.clone(),
        birth_date: person.birth_date,
        ..Resident::default()
    };
    let resident = reply.resident.clone().or_else(|| table::provisional(reply).map(of_provisional));
    let resident = resident.unwrap_or_default();
    let known = reply.resident.is_some();
    let number = |number: &u64| format!("{number:010}");
    let date = |yyyymmdd: u32| if yyyymmdd == 0 { String::new() } else { format!("{yyyymmdd:08}") };
    let who = [
        digits[..6].to_owned(),
        format!("{mark}{}", &digits[6..]),
        answer::outcome_of_match(reply.outcome()).to_owned(),
        resident.resident_number.clone(),
        resident.name.clone(),
        resident.name_kana.clone(),
        date(resident.birth_date),
        if known { resident.sex.to_string() } else { String::new() },
        if known { answer::resident_status(resident.status()).to_owned() } else { String::new() },
        date(resident.status_date),
        if known { u8::from(resident.protected).to_string() } else { String::new() },
        resident.previous_numbers.iter().map(number).collect::<Vec<_>>().join(" "),
        resident.reissued_as.iter().map(number).collect(),
    ];
    let of_shot = |recorded: &RecordedShot, elsewhere: String| {
        let shot = recorded.shot.clone().unwrap_or_default();
        let ShotWords { state, reassigned_to, confirmed } = ShotWords::of(recorded);
        [
            recorded.shot_id.to_string(),
            answer::time(recorded.recorded_at),
            date(shot.date),
            shot.dose.to_string(),
            shot.vaccine,
            shot.lot,
            shot.venue,
            shot.institution,
            shot.doctor,
            shot.capture_id,
            state,
            reassigned_to.unwrap_or_default(),
            confirmed.unwrap_or_default(),
            elsewhere,
        ]
    };
    let own = reply.shots.iter().map(|shot| of_shot(shot, String::new()));
    let elsewhere = reply.elsewhere.iter().flat_map(|person| {
        let on = |shot: &RecordedShot| ticket_name(if shot.ticket == 0 { person.ticket } else { shot.ticket });
        person.shots.iter().map(move |shot| of_shot(shot, on(shot)))
    });
    let mut shots: Vec<[String; 14]> = own.chain(elsewhere).collect();
    if shots.is_empty() {
        shots.push([(); 14].map(|()| String::new()));
    }
    for shot in shots {
        file.write_record(who.iter().chain(&shot)).map_err(std::io::Error::from)?;
    }
    Ok(())
}
