//! The same person in other municipalities, beside what a match or a ledger says.
//!
//! Owns the one way to it, for the services and for commands on a store: who is joined to whom is the engine's to say, by My Number, and the access log tells of
//! every person who was looked up, durably, before the answer leaves.

use sesshu_engine::error::AccessError;
use sesshu_engine::limits::ACCESS_WHO_CHARACTERS_MAX;
use sesshu_engine::ticket::Ticket;
use sesshu_engine::{Match, Store, View};
use sesshu_proto::v1::{Across, MatchOutcome, MatchReply};

use crate::reply;

/// Tickets that are looked up side by side: their entries of the access log are synced together.
pub const TICKETS_AT_ONCE: usize = 256;

/// Adds to each reply what other municipalities know of the person. `from`: where the question came from, for the access log.
///
/// # Errors
///
/// [`AccessError`]: then nothing may be answered.
pub fn add_elsewhere(
    store: &Store,
    view: &View,
    replies: &mut [MatchReply],
    across: &Across,
    from: &str,
) -> Result<(), AccessError> {
    let who = asked_by(&across.who, from);
    for replies in replies.chunks_mut(TICKETS_AT_ONCE) {
        let mut matched: Vec<&mut MatchReply> = replies.iter_mut().filter(|reply| is_shown_by(reply)).collect();
        let tickets: Vec<Ticket> = matched.iter().filter_map(|reply| Ticket::from_decimal(reply.ticket).ok()).collect();
        let elsewhere = store.elsewhere(view, &tickets, &across.purpose, &who)?;
        for (reply, people) in matched.iter_mut().zip(elsewhere) {
            let people = people.into_iter().map(|person| reply::of_match(person.ticket(), Match::Matched(person)));
            reply.elsewhere = people.collect();
        }
    }
    Ok(())
}

/// Whether a person is shown by this reply. In a ledger each of their tickets has one: that of the valid one counts.
fn is_shown_by(reply: &MatchReply) -> bool {
    let is_replaced = reply.resident.as_ref().is_some_and(|resident| resident.reissued_as.is_some());
    reply.outcome() == MatchOutcome::Matched && !(is_replaced && reply.tickets.is_empty())
}

/// Who asks, and from where, in the access log's room: where from stands there whatever is said of who.
#[must_use]
pub fn asked_by(who: &str, from: &str) -> String {
    if from.is_empty() || who.is_empty() {
        return format!("{who}{from}");
    }
    let from = format!(" at {from}");
    let room = ACCESS_WHO_CHARACTERS_MAX.saturating_sub(from.chars().count());
    who.chars().take(room).chain(from.chars()).collect()
}

/// Whether both may be asked for: My Numbers of the past are not kept.
///
/// # Errors
///
/// Why not, for people.
pub fn check(across: Option<&Across>, has_moment: bool) -> Result<(), String> {
    match across {
        Some(_) if has_moment => Err("across: who a person is elsewhere is known as of now; leave known_at out".into()),
        Some(Across { purpose, .. }) if purpose.trim().is_empty() => {
            Err("across: people are joined by My Number for a purpose: say which".into())
        }
        _ => Ok(()),
    }
}
