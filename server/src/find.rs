//! Finding people whose ticket is not at hand: from what travels to a question to the store, and back.
//!
//! Owns the check of a question and the one way to its answer, for the service and for commands on a store. A question by My Number is answered to loopback
//! connections alone until there are roles; that is the service's to see.

use sesshu_engine::error::{AccessError, Damage};
use sesshu_engine::ticket::{Municipality, MyNumber};
use sesshu_engine::{Found, Match, MyNumberQuestion, Store, Within};
use sesshu_proto::v1::find_request::By;
use sesshu_proto::v1::{FindReply, FindRequest};

use crate::across::asked_by;
use crate::reply;

/// People in an answer at most.
pub const LIMIT_MAX: u32 = 10_000;

/// People in an answer, if nobody asks for another number.
pub const LIMIT: u32 = 100;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The question is at fault.
    #[error("{0}")]
    Invalid(String),
    /// Stored bytes failed a check.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// By My Number.
    #[error(transparent)]
    Access(#[from] AccessError),
}

/// Answers a question. `from`: where it came from, for the access log.
///
/// # Errors
///
/// [`FindError`].
pub fn find(store: &Store, request: FindRequest, from: &str) -> Result<FindReply, FindError> {
    let invalid = |reason: &str| FindError::Invalid(reason.to_owned());
    let limit = match request.limit {
        0 => LIMIT,
        limit if limit > LIMIT_MAX => return Err(FindError::Invalid(format!("a limit of at most {LIMIT_MAX}"))),
        limit => limit,
    };
    let municipality = match request.municipality {
        0 => None,
        code => Some(Municipality::from_code(code).map_err(|error| FindError::Invalid(error.to_string()))?),
    };
    let within = Within { municipality, limit: limit as usize };
    let one = || municipality.ok_or_else(|| invalid("this look-up is one municipality's: say which"));
    let view = store.view();
    let found = match request.by.ok_or_else(|| invalid("nothing to look up by"))? {
        By::ResidentNumber(number) if number.is_empty() => return Err(invalid("an empty resident number")),
        By::ResidentNumber(number) => {
            let mut people = view.with_resident_number(one()?, &number)?;
            let more = people.len() > within.limit;
            people.truncate(within.limit);
            Found { people, more }
        }
        By::Kana(by) if by.birth_date == 0 => return Err(invalid("kana are looked up with a birth date, YYYYMMDD")),
        By::Kana(by) => {
            let mut found = view.with_kana_and_birth_date(within, &by.name_kana, by.birth_date)?;
            let rest = Within { limit: within.limit - found.people.len(), ..within };
            let without = view.without_ticket(rest, &by.name_kana, by.birth_date)?;
            found.more |= without.more;
            found.people.extend(without.people);
            found
        }
        By::WithoutTicket(_) => {
            let mut people = view.all_without_ticket(one()?)?;
            let more = people.len() > within.limit;
            people.truncate(within.limit);
            Found { people, more }
        }
        By::Name(by) => view.with_name(within, &by.name, Some(by.birth_date).filter(|&date| date != 0))?,
        By::KanaBeginning(beginning) => view.with_kana_beginning(one()?, &beginning, within.limit)?,
        By::MyNumber(_) if municipality.is_some() => {
            return Err(invalid("a My Number is looked up in all municipalities"));
        }
        By::MyNumber(by) => {
            let my_number =
                MyNumber::from_value(by.my_number).map_err(|error| FindError::Invalid(error.to_string()))?;
            let who = asked_by(&by.who, from);
            let question = MyNumberQuestion { my_number, purpose: &by.purpose, who: &who };
            store.with_my_number(&view, &question, within.limit)?
        }
    };
    Ok(of_found(found))
}

fn of_found(found: Found<'_>) -> FindReply {
    let people = found.people.into_iter().map(|person| {
        let ticket = person.ticket();
        let found = if ticket.is_provisional() { Match::Orphan(person) } else { Match::Matched(person) };
        reply::of_match(ticket, found)
    });
    FindReply { people: people.collect(), more: found.more }
}
