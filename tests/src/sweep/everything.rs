//! All that can be asked of a store, each question on its own.
//!
//! Owns the questions, and the rule by which the answers of a damaged store are held against those of a whole one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sesshu_engine::error::{AccessError, Damage, OpenError};
use sesshu_engine::ticket::Ticket;
use sesshu_engine::{Access, Held, PersonHistory, Status, Store, View, Within};

use crate::{Answer, CHIYODA, NAHA, SAPPORO, answer, by_names, ledger, municipality, my_number, resident, ticket};

/// Osaka: shots that are recorded after a damage go here.
pub(super) const OSAKA: u32 = 271_004;
/// Yokohama: nothing is ever known of it.
const YOKOHAMA: u32 = 141_003;

/// Every ledger of the subjects.
const LEDGERS: [u32; 3] = [CHIYODA, NAHA, SAPPORO];

/// Ticket and resident numbers that are asked for: more than any ledger has.
const NUMBERS: std::ops::RangeInclusive<u64> = 0..=10;

/// What a store answered to every question.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Everything {
    tickets: BTreeMap<(u32, u64), Answer>,
    ledgers: BTreeMap<u32, Result<BTreeMap<u64, Answer>, Damage>>,
    resident_numbers: BTreeMap<(u32, u64), Result<Vec<u64>, Damage>>,
    my_numbers: BTreeMap<u64, Result<Vec<Ticket>, Damage>>,
    /// Everything that was ever known of a ticket's person: in Chiyoda, where most became of them.
    histories: BTreeMap<(u32, u64), Result<Option<PersonHistory>, Damage>>,
    /// Who has no ticket.
    without_ticket: BTreeMap<u32, Result<Vec<u64>, Damage>>,
    /// Loads that wait.
    pub(super) held: Vec<Held>,
    /// Who looked whom up.
    pub(super) accesses: Result<Vec<Access>, Damage>,
    status: Status,
}

/// How the answers of a damaged store compare with those of the whole one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    /// All are the same.
    Same,
    /// Some say by name that they are none, all others are the same.
    Told,
}

impl Everything {
    /// Asks an open store.
    ///
    /// # Panics
    ///
    /// If a batch of tickets is answered otherwise than one ticket at a time.
    pub(super) fn of(store: &Store) -> Everything {
        let view = store.view();
        let asked: Vec<(u32, u64)> =
            LEDGERS.into_iter().chain([YOKOHAMA]).flat_map(|code| NUMBERS.map(move |number| (code, number))).collect();
        let tickets: BTreeMap<(u32, u64), Answer> =
            asked.iter().map(|&(code, number)| ((code, number), answer(&view, ticket(code, number)))).collect();
        let batch: Vec<Ticket> = asked.iter().map(|&(code, number)| ticket(code, number)).collect();
        view.match_batch(&batch, |at, found| {
            assert_eq!(Answer::of(&found), tickets[&asked[at]], "a batch answers as one ticket does");
        });
        let mut status = store.status();
        // How far the log reaches is not told to whoever asks for people, and depends on how often it was opened.
        (status.log_bytes, status.log_segments, status.log_written_bytes) = (0, 0, 0);
        (status.log_to_read_bytes, status.checkpoint_time_ms) = (0, 0);
        Everything {
            ledgers: LEDGERS.map(|code| (code, ledger(&view, code))).into(),
            resident_numbers: asked
                .iter()
                .map(|&(code, number)| ((code, number), residents(&view, code, number)))
                .collect(),
            my_numbers: my_numbers(store, &view),
            histories: asked
                .iter()
                .filter(|(code, _)| *code == CHIYODA)
                .map(|&(code, number)| ((code, number), view.person_history(ticket(code, number))))
                .collect(),
            without_ticket: LEDGERS.map(|code| (code, without_ticket(&view, code))).into(),
            held: store.held(),
            accesses: accesses(store),
            tickets,
            status,
        }
    }

    /// The newest visible event.
    pub(super) fn sequence(&self) -> u64 {
        self.status.sequence
    }

    /// Every shot and its ticket.
    pub(super) fn shots(&self) -> impl Iterator<Item = (Ticket, &sesshu_proto::v1::RecordedShot)> {
        self.tickets
            .iter()
            .flat_map(|(&(code, number), answer)| answer.shots().iter().map(move |shot| (ticket(code, number), shot)))
    }

    /// As it must be after one more shot on an unknown ticket of a ledger that nothing was known of.
    pub(super) fn with_one_more(mut self) -> Everything {
        let status = &mut self.status;
        for count in [
            &mut status.sequence,
            &mut status.ledgers,
            &mut status.orphans,
            &mut status.shots,
            &mut status.tail_tickets,
        ] {
            *count += 1;
        }
        self
    }

    /// Holds these answers against those of the whole store: each is the same, or is a [`Damage`] of one of the `harmed` files. What waits and who asked is
    /// not among them.
    pub(super) fn compare(&self, whole: &Everything, harmed: &[PathBuf]) -> Result<Compared, String> {
        let told = |damage: &Damage| harmed.contains(&damage.file);
        let honest =
            |now: &Answer, whole: &Answer| now == whole || matches!(now, Answer::Damaged(damage) if told(damage));
        for (asked, whole) in &whole.tickets {
            let now = &self.tickets[asked];
            if !honest(now, whole) {
                return Err(format!("ticket {asked:?} is {now:?} instead of {whole:?}"));
            }
        }
        for (code, whole) in &whole.ledgers {
            match (&self.ledgers[code], whole) {
                (Err(damage), _) if told(damage) => {}
                (Ok(now), Ok(whole))
                    if now.keys().eq(whole.keys()) && now.iter().all(|(number, now)| honest(now, &whole[number])) => {}
                (now, whole) => return Err(format!("ledger {code} is {now:?} instead of {whole:?}")),
            }
        }
        for (asked, whole) in &whole.resident_numbers {
            match &self.resident_numbers[asked] {
                Err(damage) if told(damage) => {}
                now if now == whole => {}
                now => return Err(format!("resident number {asked:?} is {now:?} instead of {whole:?}")),
            }
        }
        for (asked, whole) in &whole.my_numbers {
            match &self.my_numbers[asked] {
                Err(damage) if told(damage) => {}
                now if now == whole => {}
                now => return Err(format!("My Number {asked} is {now:?} instead of {whole:?}")),
            }
        }
        for (asked, whole) in &whole.histories {
            match &self.histories[asked] {
                Err(damage) if told(damage) => {}
                now if now == whole => {}
                now => return Err(format!("the history of {asked:?} is {now:?} instead of {whole:?}")),
            }
        }
        for (code, whole) in &whole.without_ticket {
            match &self.without_ticket[code] {
                Err(damage) if told(damage) => {}
                now if now == whole => {}
                now => return Err(format!("without a ticket in {code} are {now:?} instead of {whole:?}")),
            }
        }
        if self.status != whole.status {
            return Err(format!("the status is {:?} instead of {:?}", self.status, whole.status));
        }
        let same = (&self.tickets, &self.ledgers, &self.resident_numbers, &self.my_numbers)
            == (&whole.tickets, &whole.ledgers, &whole.resident_numbers, &whole.my_numbers)
            && (&self.histories, &self.without_ticket) == (&whole.histories, &whole.without_ticket);
        Ok(if same { Compared::Same } else { Compared::Told })
    }
}

/// The tickets that a resident number, a name, kana and a birth date, and the beginning of the kana lead to.
fn residents(view: &View, code: u32, number: u64) -> Result<Vec<u64>, Damage> {
    let people = view.with_resident_number(municipality(code), &format!("{number:08}"))?;
    let mut numbers: Vec<u64> = people.iter().map(|person| person.ticket().number()).collect();
    for found in by_names(view, code, &resident(number, 1)) {
        numbers.extend(found?);
    }
    Ok(numbers)
}

/// The numbers that stand for the tickets of people without one, in the list of a municipality and by their kana.
fn without_ticket(view: &View, code: u32) -> Result<Vec<u64>, Damage> {
    let within = Within { municipality: Some(municipality(code)), limit: 10 };
    let listed = view.all_without_ticket(municipality(code))?;
    let found = view.without_ticket(within, "ミホンハナコ", 19_560_203)?.people;
    Ok(listed.iter().chain(&found).map(|person| person.ticket().number()).collect())
}

/// The tickets of everybody with one of the registers' My Numbers, in all ledgers.
fn my_numbers(store: &Store, view: &View) -> BTreeMap<u64, Result<Vec<Ticket>, Damage>> {
    let keys = store.open_data_keys().expect("the key is there");
    let ask = |index| match store.with_my_number_unlogged(view, &keys, my_number(index)) {
        Ok(found) => Ok(found.people.iter().map(|person| person.ticket()).collect()),
        Err(AccessError::Damaged(damage)) => Err(damage),
        Err(error) => panic!("{error:?}"),
    };
    NUMBERS.map(|index| (index, ask(index))).collect()
}

/// The access log, from its first entry on.
pub(super) fn accesses(store: &Store) -> Result<Vec<Access>, Damage> {
    let mut entries = Vec::new();
    match store.accesses(|access| entries.push(access)) {
        Ok(()) => Ok(entries),
        Err(OpenError::Damaged(damage)) => Err(damage),
        Err(OpenError::Newer { file, .. }) => {
            Err(Damage { file, offset: 0, municipality: None, what: "of a newer version" })
        }
        Err(error) => panic!("{error:?}"),
    }
}
