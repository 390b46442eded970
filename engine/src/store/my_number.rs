//! Finding a person by My Number, across all municipalities: by the number, or by one of their tickets.
//!
//! Owns the order of the steps: the data keys, a hash under each, the look-ups of all ledgers, the comparison, an entry of the access log that is durable, the
//! answer. Compared is what is sealed: the number that is asked for is sealed for the ticket that was found, under the key of its row. Nobody else's number is
//! opened, and none is returned.

use super::Store;
use super::access::{Inquiry, Reason};
use super::find::{Found, Within};
use super::key::data_keys;
use super::view::{Match, View};
use crate::error::{AccessError, KeyError};
use crate::keys::DataKey;
use crate::ledger::{Ledger, Person};
use crate::limits::ELSEWHERE_MAX;
use crate::lookup::Key;
use crate::stored::RowView;
use crate::ticket::{Municipality, MyNumber, Ticket};

/// A question by My Number. Never printed: it has no `Debug`.
pub struct MyNumberQuestion<'a> {
    /// Whose.
    pub my_number: MyNumber,
    /// What for; at most 200 characters are kept.
    pub purpose: &'a str,
    /// Who asks: a user or a machine, for the access log; at most 100 characters are kept.
    pub who: &'a str,
}

impl Store {
    /// The people of all municipalities who have this My Number, in `view`. The access log tells of the question, durably, before this returns.
    ///
    /// # Errors
    ///
    /// [`AccessError`]: then there is no answer.
    pub fn with_my_number<'v>(
        &self,
        view: &'v View,
        question: &MyNumberQuestion<'_>,
        limit: usize,
    ) -> Result<Found<'v>, AccessError> {
        let reason = Reason::of(question.purpose, question.who)?;
        let keys = data_keys(&self.shared)?;
        let found = search(view, &keys, question.my_number, None, limit)?;
        self.shared.log_access(&reason, &[inquiry(&keys, question.my_number, found.people.len())])?;
        Ok(found)
    }

    /// For each ticket the same person elsewhere in `view`: under the same My Number in other municipalities, by the valid ticket there, [`ELSEWHERE_MAX`] at
    /// most. Nobody, if no register has the ticket, or no My Number with it. The access log tells of each person who has one, durably, before this returns.
    ///
    /// # Errors
    ///
    /// [`AccessError`]: then there is no answer.
    pub fn elsewhere<'v>(
        &self,
        view: &'v View,
        tickets: &[Ticket],
        purpose: &str,
        who: &str,
    ) -> Result<Vec<Vec<Person<'v>>>, AccessError> {
        let reason = Reason::of(purpose, who)?;
        let keys = data_keys(&self.shared)?;
        let (mut inquiries, mut answers) = (Vec::new(), Vec::with_capacity(tickets.len()));
        for &ticket in tickets {
            let (my_number, people) = others(view, &keys, ticket)?;
            inquiries.extend(my_number.map(|my_number| inquiry(&keys, my_number, people.len())));
            answers.push(people);
        }
        self.shared.log_access(&reason, &inquiries)?;
        Ok(answers)
    }

    /// As [`Store::with_my_number`], without a word in the access log: for measurements and tests of the look-up alone.
    #[doc(hidden)]
    pub fn with_my_number_unlogged<'v>(
        &self,
        view: &'v View,
        keys: &OpenDataKeys,
        my_number: MyNumber,
    ) -> Result<Found<'v>, AccessError> {
        search(view, &keys.0, my_number, None, usize::MAX)
    }

    /// As [`Store::elsewhere`], of one ticket, without a word in the access log.
    #[doc(hidden)]
    pub fn elsewhere_unlogged<'v>(
        &self,
        view: &'v View,
        keys: &OpenDataKeys,
        ticket: Ticket,
    ) -> Result<Vec<Person<'v>>, AccessError> {
        Ok(others(view, &keys.0, ticket)?.1)
    }

    /// The data keys, opened once for many questions.
    ///
    /// # Errors
    ///
    /// [`KeyError`] without the outside key.
    #[doc(hidden)]
    pub fn open_data_keys(&self) -> Result<OpenDataKeys, KeyError> {
        data_keys(&self.shared).map(OpenDataKeys)
    }
}

/// See [`Store::open_data_keys`].
#[doc(hidden)]
pub struct OpenDataKeys(Vec<DataKey>);

/// What the access log keeps of a look-up.
fn inquiry(keys: &[DataKey], my_number: MyNumber, found: usize) -> Inquiry {
    let newest = keys.last().expect("whoever has the data keys has one");
    let (data_key_id, my_number_hash) = (newest.id(), newest.hash_for_access_log(my_number));
    Inquiry { data_key_id, my_number_hash, found: found as u64 }
}

/// The same person in other municipalities, and the My Number that says so, if there is one.
fn others<'v>(
    view: &'v View,
    keys: &[DataKey],
    ticket: Ticket,
) -> Result<(Option<MyNumber>, Vec<Person<'v>>), AccessError> {
    let Some(my_number) = my_number_of(view, keys, ticket)? else { return Ok((None, Vec::new())) };
    let found = search(view, keys, my_number, Some(ticket.municipality()), ELSEWHERE_MAX)?;
    Ok((Some(my_number), found.people))
}

/// The My Number of the person who has a ticket; `None` if no register has it, or no My Number with it.
fn my_number_of(view: &View, keys: &[DataKey], ticket: Ticket) -> Result<Option<MyNumber>, AccessError> {
    let person = match view.match_ticket(ticket) {
        Match::Matched(person) => person,
        Match::Orphan(_) | Match::NotFound => return Ok(None),
        Match::Damaged(damage) => return Err(damage.into()),
    };
    let Some((of, row)) = person.row_with_ticket()?.filter(|(_, row)| !row.sealed_my_number.is_empty()) else {
        return Ok(None);
    };
    Ok(Some(key_of(keys, &row)?.open(of, row.sealed_my_number)?))
}

/// The data key that a row's My Number is sealed with.
fn key_of<'a>(keys: &'a [DataKey], row: &RowView<'_>) -> Result<&'a DataKey, KeyError> {
    keys.iter().find(|key| key.id() == row.data_key_id).ok_or(KeyError::NotListed(row.data_key_id))
}

/// Whoever has a My Number, in all municipalities but one.
fn search<'v>(
    view: &'v View,
    keys: &[DataKey],
    my_number: MyNumber,
    but: Option<Municipality>,
    limit: usize,
) -> Result<Found<'v>, AccessError> {
    let hashes: Vec<Key> = keys.iter().map(|key| Key::MyNumber(key.hash(my_number))).collect();
    let within = Within { municipality: None, limit };
    view.search(within, &hashes, |ledger, number| match but {
        Some(but) if but == ledger.municipality => Ok(None),
        _ => accepted(view, keys, my_number, ledger, number),
    })
}

/// The person who has the ticket with this number, if the My Number is theirs.
fn accepted<'v>(
    view: &'v View,
    keys: &[DataKey],
    my_number: MyNumber,
    ledger: &'v Ledger,
    number: u64,
) -> Result<Option<Person<'v>>, AccessError> {
    let Some(person) = view.by_valid_ticket(ledger, number)? else { return Ok(None) };
    let Some((ticket, row)) = person.row_with_ticket()?.filter(|(_, row)| !row.sealed_my_number.is_empty()) else {
        return Ok(None);
    };
    let meant = key_of(keys, &row)?.seal(ticket, my_number)[..] == *row.sealed_my_number;
    Ok(Some(person).filter(|_| meant))
}
