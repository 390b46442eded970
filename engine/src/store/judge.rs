//! Judging a shot: what the store already holds of it, and what the rules say.
//!
//! Owns the rule of repetition: a shot repeats another of its ticket by the capture id, or, where neither has one, by its content. Other tickets of the same
//! person do not count: whoever repeats a record presents the same line. For the rules they do: a dose is the person's. Pure over one view and what is on its
//! way.

use sesshu_proto::v1::{Shot, Warning};
use smallvec::SmallVec;

use super::record::{RecordOutcome, Recorded};
use super::view::{Match, View};
use crate::error::Damage;
use crate::ledger::{Ledger, Person};
use crate::rules::{Given, Known, ResidentFacts, Rules};
use crate::stored::ShotView;
use crate::ticket::{Date, Ticket};

/// A shot that is offered.
pub(super) struct Offer<'a> {
    pub(super) ticket: Ticket,
    pub(super) message: &'a [u8],
    /// What the rules compare of it.
    pub(super) given: Given<'a>,
    /// Kind times ten plus dose, as the stub has them; `None`: there was no ticket.
    pub(super) stub: Option<u32>,
    /// YYYYMMDD, of a person without a ticket.
    pub(super) birth_date: Option<u32>,
    /// The device's scan before was the same ticket.
    pub(super) scanned_before: bool,
    pub(super) today: Date,
}

/// What was said of a shot that is offered.
#[derive(Debug)]
pub(super) struct Judged {
    /// The answer, if it repeats what the ticket has; damage, if that could not be read.
    pub(super) answer: Result<Option<Recorded>, Damage>,
    /// The register has the ticket.
    pub(super) matched: bool,
    /// Nothing is known of the ticket.
    pub(super) unknown: bool,
    /// The person has other tickets: what happens to those matters as well.
    pub(super) linked: bool,
    /// How much of the ticket was seen: generation, and newest event.
    pub(super) seen: (u64, u64),
    /// What the rules say of it.
    pub(super) warnings: Vec<Warning>,
}

/// How much of `ticket` can be seen in its ledger now: the generation, and the address of the newest event.
pub(super) fn visible(ledger: Option<&Ledger>, ticket: Ticket) -> (u64, u64) {
    ledger.map_or((0, 0), |ledger| (ledger.generation_number(), ledger.tail.newest(ticket.number()).unwrap_or(0)))
}

/// Shots that are on their way to a ticket, which no view shows yet.
pub(super) type OnTheirWay<'a> = &'a dyn Fn(Ticket, &mut dyn FnMut(Given<'a>));

/// Judges a shot.
pub(super) fn judge<'a>(view: &'a View, rules: &Rules, offer: &Offer<'a>, on_their_way: OnTheirWay<'a>) -> Judged {
    let ledger = view.ledgers.get(offer.ticket.ordinal());
    let generation = ledger.map_or(0, |ledger| ledger.generation_number());
    try_judge(view, rules, offer, on_their_way, generation).unwrap_or_else(|damage| Judged {
        answer: Err(damage),
        matched: false,
        unknown: false,
        linked: false,
        seen: (generation, 0),
        warnings: Vec::new(),
    })
}

fn try_judge<'a>(
    view: &'a View,
    rules: &Rules,
    offer: &Offer<'a>,
    on_their_way: OnTheirWay<'a>,
    generation: u64,
) -> Result<Judged, Damage> {
    let found = view.match_ticket(offer.ticket);
    let (matched, person) = match &found {
        Match::Matched(person) => (true, Some(person)),
        Match::Orphan(person) => (false, Some(person)),
        Match::NotFound => (false, None),
        Match::Damaged(damage) => return Err(damage.clone()),
    };
    let mut given: SmallVec<[Given<'a>; 4]> = SmallVec::new();
    let answer = person.map_or(Ok(None), |person| already(person, offer, &mut given))?;
    let linked = person.map_or(Ok(false), Person::is_linked)?;
    let mut warnings = Vec::new();
    if answer.is_none() {
        on_their_way(offer.ticket, &mut |shot| given.push(shot));
        if let Some(person) = person.filter(|_| linked) {
            person.compare_other_shots(|shot| given.push(shot))?;
            let others = person.tickets()?.into_iter().filter(|other| *other != offer.ticket);
            others.for_each(|other| on_their_way(other, &mut |shot| given.push(shot)));
        }
        given.sort_by_key(|shot| shot.shot_id);
        let resident = person.filter(|_| matched).map(Person::resident_bytes).transpose()?;
        let known = Known {
            resident: resident.map(ResidentFacts::of).or(offer.birth_date.map(ResidentFacts::born)),
            given: &given,
            scanned_before: offer.scanned_before,
            today: offer.today,
        };
        warnings = rules.check(&offer.given, offer.stub, &known);
    }
    let seen = (generation, person.map_or(0, Person::newest_address));
    Ok(Judged { answer: Ok(answer), matched, unknown: person.is_none(), linked, seen, warnings })
}

/// The answer, if the person holds the offered shot already. Hands what the rules compare of the ticket's shots to `given`.
fn already<'a>(
    person: &Person<'a>,
    offer: &Offer<'_>,
    given: &mut SmallVec<[Given<'a>; 4]>,
) -> Result<Option<Recorded>, Damage> {
    let mut answer = None;
    if person.own_shots_max() > 0 {
        let offered = offered(offer.message);
        let repeated = |held: ShotView<'_>| {
            if answer.is_none() {
                answer = repeats(&held, &offered);
            }
        };
        person.compare_own_shots(offered.capture_id, repeated, |shot| given.push(shot))?;
    }
    Ok(answer)
}

/// A shot that has no place yet.
pub(super) fn offered(message: &[u8]) -> ShotView<'_> {
    ShotView::of_message(0, 0, message).expect("what was just encoded can be read")
}

/// The answer, if the offered shot repeats one that is held: by its capture id, or, where neither has one, by its content.
pub(super) fn repeats(held: &ShotView<'_>, offered: &ShotView<'_>) -> Option<Recorded> {
    let same = held.same_content(offered);
    let outcome = match (held.capture_id == offered.capture_id, same) {
        (false, _) => return None,
        (true, true) => RecordOutcome::AlreadyRecorded,
        (true, false) if offered.capture_id.is_empty() => return None,
        (true, false) => RecordOutcome::CaptureIdConflict,
    };
    let &ShotView { shot_id, sequence, recorded_at_ms, .. } = held;
    Some(Recorded { outcome, shot_id, sequence, recorded_at_ms, warnings: held.warnings() })
}

/// What the rules say of a shot with the content `shot` on `ticket`. `id` is its own, which it is not compared with.
pub(super) fn warnings_of(
    view: &View,
    rules: &Rules,
    ticket: Ticket,
    shot: &Shot,
    id: u64,
    today: Date,
) -> Result<Vec<Warning>, Damage> {
    let found = view.match_ticket(ticket);
    let (matched, person) = match &found {
        Match::Matched(person) => (true, Some(person)),
        Match::Orphan(person) => (false, Some(person)),
        Match::NotFound => (false, None),
        Match::Damaged(damage) => return Err(damage.clone()),
    };
    let mut given: SmallVec<[Given<'_>; 4]> = SmallVec::new();
    if let Some(person) = person {
        person.each_shot(|other| given.extend(other.given().filter(|other| other.shot_id != id)))?;
    }
    let resident = person.filter(|_| matched).map(Person::resident_bytes).transpose()?.map(ResidentFacts::of);
    let provisional = shot.provisional.as_ref();
    // Once it is another ticket's, that one's row says when the person was born.
    let born = provisional.filter(|_| ticket.is_provisional()).map(|person| ResidentFacts::born(person.birth_date));
    let known = Known { resident: resident.or(born), given: &given, scanned_before: false, today };
    Ok(rules.check(&given_by(shot), provisional.is_none().then_some(shot.stub), &known))
}

/// What the rules compare of a shot that has no place yet.
pub(super) fn given_by(shot: &Shot) -> Given<'_> {
    let date = Date::from_yyyymmdd(shot.date).expect("a shot that was checked has a day of the calendar");
    Given { shot_id: 0, date, dose: shot.dose, vaccine: &shot.vaccine }
}
