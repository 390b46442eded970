//! Finding a person by My Number, across all municipalities.
//!
//! Owns the order of the steps: the data keys, a hash under each, the look-ups of all ledgers, the comparison, an entry of the access log that is durable, the
//! answer. Compared is what is sealed: the number that is asked for is sealed for the ticket that was found, under the key of its row. Nobody else's number is
//! opened, and none is returned.

use super::Store;
use super::access::Reason;
use super::find::{Found, Within};
use super::key::data_keys;
use super::view::View;
use crate::error::{AccessError, KeyError};
use crate::keys::DataKey;
use crate::ledger::{Ledger, Person};
use crate::lookup::Key;
use crate::ticket::MyNumber;

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
        let found = search(view, &keys, question.my_number, limit)?;
        let newest = keys.last().expect("whoever has the data keys has one");
        let count = found.people.len() as u64;
        self.shared.log_access(reason, newest.id(), newest.hash_for_access_log(question.my_number), count)?;
        Ok(found)
    }

    /// As [`Store::with_my_number`], without a word in the access log: for measurements and tests of the look-up alone.
    #[doc(hidden)]
    pub fn with_my_number_unlogged<'v>(
        &self,
        view: &'v View,
        keys: &OpenDataKeys,
        my_number: MyNumber,
    ) -> Result<Found<'v>, AccessError> {
        search(view, &keys.0, my_number, usize::MAX)
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

fn search<'v>(view: &'v View, keys: &[DataKey], my_number: MyNumber, limit: usize) -> Result<Found<'v>, AccessError> {
    let hashes: Vec<Key> = keys.iter().map(|key| Key::MyNumber(key.hash(my_number))).collect();
    let within = Within { municipality: None, limit };
    view.search(within, &hashes, |ledger, number| accepted(view, keys, my_number, ledger, number))
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
    let key = keys.iter().find(|key| key.id() == row.data_key_id).ok_or(KeyError::NotListed(row.data_key_id))?;
    let meant = key.seal(ticket, my_number)[..] == *row.sealed_my_number;
    Ok(Some(person).filter(|_| meant))
}
