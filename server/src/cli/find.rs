//! `sesshu find`: people whose ticket is not at hand.

use std::io::{BufWriter, Read as _, Write as _};

use clap::Args;
use sesshu_engine::ticket::{BirthDate, Municipality, MyNumber};
use sesshu_proto::v1::find_request::By;
use sesshu_proto::v1::{
    FindByKana, FindByMyNumber, FindByName, FindRequest, MatchOutcome, MatchReply, Nothing, Provisional,
};

use super::table;
use super::target::Target;
use super::who::user;
use crate::answer::{self, FindSummary, FoundAnswer, TicketAnswer};
use crate::backend::Backend;
use crate::failure::{Done, Failure};
use crate::find::LIMIT;

/// Find people by resident number, kana and birth date, name, the beginning of their kana, or My Number; and those without a ticket
///
/// Names are found in whatever spelling they are typed: half-width, full-width or hiragana, with or without spaces, in old or new kanji. They come back as the
/// register wrote them. Without --municipality all municipalities are asked.
#[derive(Debug, Args)]
pub(super) struct Find {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    by: Question,
    /// YYYYMMDD or YYYY-MM-DD, zeros for what the register does not know
    #[arg(long, value_name = "DATE", conflicts_with_all = ["resident_number", "kana_prefix", "my_number_stdin", "without_ticket"])]
    birth_date: Option<String>,
    /// The municipality's six-digit code; a ward stands for its city
    #[arg(long, value_name = "CODE")]
    municipality: Option<String>,
    /// What a My Number is looked up for; the access log keeps it
    #[arg(long, value_name = "TEXT")]
    purpose: Option<String>,
    /// People at most
    #[arg(long, value_name = "N", default_value_t = LIMIT)]
    limit: u32,
    /// One object a person, as `match` prints it, then {"found", "more"}; with --without-ticket also {"may_be"}
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Question {
    /// 宛名番号, in a municipality
    #[arg(long, value_name = "NUMBER", requires = "municipality")]
    resident_number: Option<String>,
    /// 氏名カナ, with --birth-date
    #[arg(long, value_name = "KANA", requires = "birth_date")]
    name_kana: Option<String>,
    /// 氏名
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The beginning of 氏名カナ, in a municipality
    #[arg(long, value_name = "KANA", requires = "municipality")]
    kana_prefix: Option<String>,
    /// People without a ticket for whom shots were recorded that nobody has linked yet, in a municipality; each with those who may be meant
    #[arg(long, requires = "municipality")]
    without_ticket: bool,
    /// Read a My Number from standard input, and answer when the access log says so; with --purpose
    #[arg(long, requires = "purpose")]
    my_number_stdin: bool,
}

impl Find {
    pub(super) fn run(self) -> Result<Done, Failure> {
        let request = self.request()?;
        let backend = self.target.open(false)?;
        let reply = backend.find(request)?;
        let may_be =
            |person: &MatchReply| if self.by.without_ticket { may_be(&backend, person) } else { Ok(Vec::new()) };
        let candidates = reply.people.iter().map(may_be).collect::<Result<Vec<_>, Failure>>()?;
        backend.close()?;
        let mut out = BufWriter::new(std::io::stdout().lock());
        let summary = FindSummary { found: reply.people.len() as u64, more: reply.more };
        let damaged = reply.people.iter().filter(|person| person.outcome() == MatchOutcome::Damaged).count();
        for (person, candidates) in reply.people.into_iter().zip(candidates) {
            if self.json {
                let candidates = candidates.into_iter().map(|candidate| TicketAnswer::new(candidate, None));
                let may_be = self.by.without_ticket.then(|| candidates.collect());
                answer::write_line(&mut out, &FoundAnswer { person: TicketAnswer::new(person, None), may_be })?;
                continue;
            }
            writeln!(out, "{}", table::person(&person, ""))?;
            for candidate in candidates {
                writeln!(out, "  may be {}", table::person(&candidate, "").replace('\n', "\n  "))?;
            }
        }
        if self.json {
            answer::write_line(&mut out, &summary)?;
        } else if summary.more {
            writeln!(out, "there are more: --limit N shows as many")?;
        } else if summary.found == 0 {
            writeln!(out, "nobody was found")?;
        }
        out.flush()?;
        match damaged {
            0 => Ok(Done::whole_if(summary.found > 0)),
            _ => Err(Failure::Machine(format!("{damaged} tickets are damaged"))),
        }
    }

    fn request(&self) -> Result<FindRequest, Failure> {
        if self.purpose.is_some() && !self.by.my_number_stdin {
            return Err(Failure::Request("--purpose belongs to --my-number-stdin".into()));
        }
        let municipality = match &self.municipality {
            None => 0,
            Some(code) => Municipality::parse(code).map_err(|error| Failure::Request(error.to_string()))?.code(),
        };
        let birth_date = self.birth_date.as_deref().map(birth_date).transpose()?.unwrap_or(0);
        let Question { resident_number, name_kana, name, kana_prefix, without_ticket, .. } = &self.by;
        let by = if let Some(number) = resident_number {
            By::ResidentNumber(number.clone())
        } else if let Some(kana) = name_kana {
            By::Kana(FindByKana { name_kana: kana.clone(), birth_date })
        } else if let Some(name) = name {
            By::Name(FindByName { name: name.clone(), birth_date })
        } else if let Some(beginning) = kana_prefix {
            By::KanaBeginning(beginning.clone())
        } else if *without_ticket {
            By::WithoutTicket(Nothing {})
        } else {
            let my_number = my_number()?.reveal();
            let who = user();
            By::MyNumber(FindByMyNumber { my_number, purpose: self.purpose.clone().unwrap_or_default(), who })
        };
        Ok(FindRequest { by: Some(by), municipality, limit: self.limit.max(1) })
    }
}

/// Whom the registers have under the kana and the birth date of a person without a ticket.
fn may_be(backend: &Backend, person: &MatchReply) -> Result<Vec<MatchReply>, Failure> {
    let Some(Provisional { name_kana, birth_date }) = table::provisional(person).cloned() else {
        return Ok(Vec::new());
    };
    let by = Some(By::Kana(FindByKana { name_kana, birth_date }));
    let found = backend.find(FindRequest { by, municipality: 0, limit: LIMIT })?;
    Ok(found.people.into_iter().filter(|person| person.outcome() != MatchOutcome::Provisional).collect())
}

/// A birth date that is typed.
pub(super) fn birth_date(text: &str) -> Result<u32, Failure> {
    let digits: String = text.chars().filter(|c| !matches!(c, '-' | '/')).collect();
    let value = digits.parse::<u32>().ok().filter(|_| digits.len() == 8);
    // The text is not repeated: it may be something else of the person.
    let date = value.ok_or_else(|| Failure::Request("--birth-date: YYYYMMDD is expected".into()))?;
    BirthDate::from_yyyymmdd(date).map_err(|error| Failure::Request(format!("--birth-date: {error}")))?;
    Ok(date)
}

/// The number on standard input; never an argument, which other users of the machine can read.
fn my_number() -> Result<MyNumber, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(256).read_to_string(&mut text);
    read.map_err(|error| Failure::Request(format!("standard input: {error}")))?;
    MyNumber::parse(text.trim_end_matches(['\r', '\n'])).map_err(|error| Failure::Request(error.to_string()))
}
