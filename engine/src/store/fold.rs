//! Folding: what a ledger's next generation holds of each ticket.
//!
//! Owns the rule by which a register's rows, the entries of the generation before and the events since become entries: three sequences in number order are
//! merged; shots come along whatever happens to the row. Without a register, when a ledger is compacted, the last two are, and every row stays.

use std::borrow::Cow;
use std::ops::ControlFlow;

use prost::Message as _;
use sesshu_proto::v1::{Resident, ResidentStatus};

use super::view::{Match, View};
use crate::disk::prefetch;
use crate::error::{Damage, KeyError};
use crate::generation::{BuildError, Builder, RowToFold, ShotToFold};
use crate::keys::{DataKey, SEALED_BYTES};
use crate::ledger::{Links, Person};
use crate::life::Life;
use crate::limits::SAMPLES_MAX;
use crate::mutation::{Mutation, broken};
use crate::stored::{RowView, SenderView, counts_as_resident};
use crate::ticket::{Date, Municipality, Ticket};

/// A row that waits in a load's arena.
#[derive(Clone, Copy)]
pub(super) struct Staged {
    pub(super) number: u64,
    pub(super) line: u64,
    /// Where its encoded `Resident` begins; the sealed My Number follows it.
    pub(super) start: usize,
    pub(super) row_bytes: u32,
    pub(super) sealed_bytes: u32,
    pub(super) resident_number_bytes: u32,
    pub(super) my_number_hash: u64,
    pub(super) active: bool,
    /// Tells its My Number from others of the same load; 0 if it has none.
    pub(super) my_number_print: u64,
}

impl Staged {
    /// The resident number: field 1 of the encoded `Resident`, which comes first, under a tag and a length of one byte each.
    pub(super) fn resident_number<'a>(&self, arena: &'a [u8]) -> &'a [u8] {
        resident_number(&arena[self.start..], self.resident_number_bytes as usize)
    }
}

/// What a load brings.
pub(super) struct Input<'a> {
    /// In number order, no number twice.
    pub(super) rows: &'a [Staged],
    pub(super) arena: &'a [u8],
    /// In number order: residents whose row was rejected.
    pub(super) kept: &'a [u64],
    /// The newest data key, which `rows` are sealed with, and those before it.
    pub(super) keys: &'a [DataKey],
    pub(super) today: Date,
}

/// How many rows before its turn a row's bytes are asked for. They lie in the arena in the order in which they came, and are read in number order.
const ROWS_AHEAD: usize = 8;

impl Input<'_> {
    /// Starts to fetch a row and its sealed My Number.
    fn prefetch(&self, row: &Staged) {
        for at in (0..(row.row_bytes + row.sealed_bytes) as usize).step_by(64) {
            prefetch(self.arena, row.start + at);
        }
    }

    fn newest_key(&self) -> &DataKey {
        self.keys.last().expect("whoever loads has a data key")
    }

    fn has_kept(&self, number: u64) -> bool {
        self.kept.binary_search(&number).is_ok()
    }

    /// Whether the row of a ticket that the register lacks stays as it is for the sake of the person's other tickets: it was reissued, or the register
    /// still has the person under another number.
    fn stays(&self, number: u64, person: Option<&Person<'_>>) -> Result<bool, Damage> {
        let Some(person) = person.filter(|_| !broken(Mutation::RemoveReissued)) else { return Ok(false) };
        let has_row = |number| self.rows.binary_search_by_key(&number, |row| row.number).is_ok();
        let tickets = person.tickets()?;
        let is_valid = tickets.last().is_some_and(|valid| valid.number() == number);
        Ok(!is_valid || tickets.iter().any(|ticket| has_row(ticket.number()) || self.has_kept(ticket.number())))
    }
}

/// The My Number of a row that comes from an older generation, sealed with the newest of `keys`; `None` if it is so already, or nobody has the keys. So a new
/// data key comes in as ledgers are folded, and the same number is the same bytes again.
fn renewed(
    keys: &[DataKey],
    municipality: Municipality,
    number: u64,
    row: &RowView<'_>,
) -> Result<Option<Renewed>, FoldError> {
    let Some(newest) = keys.last() else { return Ok(None) };
    if row.sealed_my_number.is_empty() || row.data_key_id == newest.id() || broken(Mutation::KeepOldSeals) {
        return Ok(None);
    }
    let key = keys.iter().find(|key| key.id() == row.data_key_id);
    let key = key.ok_or(FoldError::Key(KeyError::NotListed(row.data_key_id)))?;
    let ticket = Ticket::new(municipality, number).expect("a ticket that was read has a ticket number");
    let my_number = key.open(ticket, row.sealed_my_number).map_err(FoldError::Key)?;
    Ok(Some(Renewed { sealed: newest.seal(ticket, my_number), key: newest.id(), hash: newest.hash(my_number) }))
}

/// A My Number that was sealed again.
struct Renewed {
    sealed: [u8; SEALED_BYTES],
    key: u32,
    hash: u64,
}

impl Renewed {
    fn put<'a>(&'a self, row: RowView<'a>) -> RowView<'a> {
        RowView { sealed_my_number: &self.sealed, data_key_id: self.key, my_number_hash: self.hash, ..row }
    }
}

/// What folding found.
#[derive(Default)]
pub(super) struct Tally {
    /// The newest event that is folded.
    pub(super) sequence: u64,
    /// Residents who were not removed before.
    pub(super) known: u64,
    pub(super) samples: Samples,
    pub(super) accepted: u64,
    pub(super) added: u64,
    pub(super) changed: u64,
    pub(super) unchanged: u64,
    pub(super) kept: u64,
    pub(super) removed: u64,
}

/// Ticket numbers of some residents whom a load adds, changes or removes: the lowest of each. Shown to whoever loads, never logged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// Of tickets that the ledger did not have.
    pub added: Vec<u64>,
    /// Of tickets that it had with other content.
    pub changed: Vec<u64>,
    /// Of residents whom the register no longer has.
    pub removed: Vec<u64>,
}

/// Takes a sample, if there are not enough yet.
fn sample(samples: &mut Vec<u64>, number: u64) {
    if samples.len() < SAMPLES_MAX {
        samples.push(number);
    }
}

pub(super) enum FoldError {
    /// Whoever asked for it wants it no longer.
    Stopped,
    Damaged(Damage),
    Key(KeyError),
    Build(BuildError),
}

impl From<Damage> for FoldError {
    fn from(damage: Damage) -> FoldError {
        FoldError::Damaged(damage)
    }
}

impl From<BuildError> for FoldError {
    fn from(error: BuildError) -> FoldError {
        FoldError::Build(error)
    }
}

/// Folds a ledger as `view` shows it and the rows of `input` into `builder`.
pub(super) fn fold(
    view: &View,
    municipality: Municipality,
    input: &Input<'_>,
    builder: &mut Builder,
) -> Result<Tally, FoldError> {
    let mut tally = Tally { accepted: input.rows.len() as u64, sequence: view.sequence(), ..Tally::default() };
    let mut shots = Vec::new();
    let mut rows = input.rows;
    let mut known = view.ledger(municipality).peekable();
    loop {
        let next_known = match known.peek() {
            Some(Err(damage)) => return Err(damage.clone().into()),
            Some(Ok((ticket, _))) => Some(ticket.number()),
            None => None,
        };
        let next_row = rows.first().map(|row| row.number);
        let Some(number) = [next_row, next_known].into_iter().flatten().min() else { break };
        let row = if next_row == Some(number) { rows.split_off_first() } else { None };
        if let (Some(_), Some(ahead)) = (row, rows.get(ROWS_AHEAD)) {
            input.prefetch(ahead);
        }
        let person = match known.next_if(|_| next_known == Some(number)) {
            Some(Ok((_, Match::Matched(person) | Match::Orphan(person)))) => Some(person),
            Some(Err(damage) | Ok((_, Match::Damaged(damage)))) => return Err(damage.into()),
            Some(Ok((_, Match::NotFound))) | None => None,
        };
        shots.clear();
        if let Some(person) = &person {
            person.each_own_life(|life| shots.push(to_fold(&life)))?;
        }
        let before = person.as_ref().map(Person::own_row).transpose()?.flatten();
        tally.known += u64::from(before.as_ref().is_some_and(|row| counts_as_resident(row.bytes)));
        let renewed = before.as_ref().map_or(Ok(None), |before| renewed(input.keys, municipality, number, before))?;
        let before = before.map(|before| match &renewed {
            Some(renewed) => renewed.put(before),
            None => before,
        });
        let before = before.zip(person.as_ref()).map(|(row, person)| Before { row, person });
        match (row, before) {
            (Some(row), before) => push_row(input, number, row, before.as_ref(), &shots, builder, &mut tally)?,
            (None, Some(before)) => {
                let stays = input.stays(number, person.as_ref().filter(|_| before.row.linked))?;
                push_without_row(input, number, &before, stays, &shots, builder, &mut tally)?;
            }
            // An orphan stays one.
            (None, None) if broken(Mutation::ForgetOrphansAtFold) => {}
            // All that was known of it is lost.
            (None, None) if shots.is_empty() => {}
            (None, None) => builder.push(number, None, &shots)?,
        }
    }
    Ok(tally)
}

/// Folds a ledger as `view` shows it into `builder`, as it is: every row and every shot stays, and what hung on the tail comes to lie in its ticket's entry.
/// `keys` may be empty: My Numbers then stay sealed as they are. `go_on` is asked after every entry.
pub(super) fn fold_as_it_is(
    view: &View,
    municipality: Municipality,
    keys: &[DataKey],
    builder: &mut Builder,
    go_on: &mut dyn FnMut(&Builder) -> ControlFlow<()>,
) -> Result<(), FoldError> {
    let mut shots = Vec::new();
    for found in view.ledger(municipality) {
        let (ticket, found) = found?;
        let person = match found {
            Match::Matched(person) | Match::Orphan(person) => person,
            Match::Damaged(damage) => return Err(damage.into()),
            Match::NotFound => continue,
        };
        let number = ticket.number();
        shots.clear();
        person.each_own_life(|life| shots.push(to_fold(&life)))?;
        match person.own_row()? {
            Some(row) => {
                let renewed = renewed(keys, municipality, number, &row)?;
                let row = renewed.as_ref().map_or(row, |renewed| renewed.put(row));
                let older_rows = person.older_rows(false)?;
                builder.push(number, Some(unchanged(&row, &resident_of(&row), &older_rows)), &shots)?;
            }
            // All that was known of it is lost.
            None if shots.is_empty() => {}
            None => builder.push(number, None, &shots)?,
        }
        if go_on(builder).is_break() {
            return Err(FoldError::Stopped);
        }
    }
    Ok(())
}

pub(super) fn to_fold<'a>(life: &Life<'a>) -> ShotToFold<'a> {
    ShotToFold { shot: life.shot, events: if life.is_amended() { life.events() } else { Cow::Borrowed(&[]) } }
}

pub(super) fn resident_of(row: &RowView<'_>) -> Resident {
    // A row that is no message keeps its bytes' checksum, so it was written so: nothing sensible is lost with it.
    Resident::decode(row.bytes).unwrap_or_default()
}

/// What the ledger has of a ticket whose row is folded.
struct Before<'a> {
    /// As it is, under the newest data key.
    row: RowView<'a>,
    person: &'a Person<'a>,
}

impl<'a> Before<'a> {
    /// The ticket's older rows as they are folded. `superseded`: the row itself is one from now on.
    fn older_rows(&self, superseded: bool) -> Result<Cow<'a, [u8]>, Damage> {
        self.person.older_rows(superseded)
    }
}

pub(super) fn unchanged<'a>(row: &RowView<'a>, resident: &Resident, older_rows: &'a [u8]) -> RowToFold<'a> {
    RowToFold {
        older_rows,
        bytes: row.bytes,
        active: resident.status() == ResidentStatus::Active && resident.reissued_as.is_none(),
        linked: row.linked,
        known_since: row.known_since,
        sealed_my_number: row.sealed_my_number,
        data_key_id: row.data_key_id,
        my_number_hash: row.my_number_hash,
        sender: row.sender,
    }
}

/// The snapshot has the ticket.
fn push_row(
    input: &Input<'_>,
    number: u64,
    row: &Staged,
    before: Option<&Before<'_>>,
    shots: &[ShotToFold<'_>],
    builder: &mut Builder,
    tally: &mut Tally,
) -> Result<(), FoldError> {
    let bytes = &input.arena[row.start..row.start + row.row_bytes as usize];
    let sealed = &input.arena[row.start + row.row_bytes as usize..][..row.sealed_bytes as usize];
    let linked = before.filter(|before| before.row.linked && !broken(Mutation::ForgetLinksAtFold));
    let inherited = linked.map(|before| with_links_of(bytes, &before.row));
    let (bytes, is_superseded) = match &inherited {
        Some((bytes, links)) => (&bytes[..], links.reissued_as.is_some()),
        None => (bytes, false),
    };
    let same = |before: &RowView<'_>| {
        before.bytes == bytes
            && before.sealed_my_number == sealed
            && (sealed.is_empty() || before.data_key_id == input.newest_key().id())
    };
    let mut sender = SenderView::default();
    let (known_since, older_rows) = match before {
        None => {
            tally.added += 1;
            sample(&mut tally.samples.added, number);
            ((0, 0), Cow::Borrowed(&[][..]))
        }
        Some(before) if same(&before.row) => {
            tally.unchanged += 1;
            sender = before.row.sender;
            (before.row.known_since, before.older_rows(false)?)
        }
        Some(before) => {
            tally.changed += 1;
            sample(&mut tally.samples.changed, number);
            ((0, 0), before.older_rows(true)?)
        }
    };
    let row = RowToFold {
        bytes,
        active: row.active && !is_superseded,
        linked: inherited.is_some(),
        known_since,
        sealed_my_number: sealed,
        data_key_id: input.newest_key().id(),
        my_number_hash: row.my_number_hash,
        older_rows: &older_rows,
        sender,
    };
    Ok(builder.push(number, Some(row), shots)?)
}

/// A register's row with the links of the row before: registers know nothing of them.
fn with_links_of(bytes: &[u8], before: &RowView<'_>) -> (Vec<u8>, Links) {
    let links = Links::of(&resident_of(before));
    let mut resident = Resident::decode(bytes).expect("a load encoded it");
    links.clone().put(&mut resident);
    (resident.encode_to_vec(), links)
}

/// The snapshot does not have the ticket.
fn push_without_row(
    input: &Input<'_>,
    number: u64,
    before: &Before<'_>,
    stays: bool,
    shots: &[ShotToFold<'_>],
    builder: &mut Builder,
    tally: &mut Tally,
) -> Result<(), FoldError> {
    let mut resident = resident_of(&before.row);
    let kept = input.has_kept(number);
    if kept || stays || resident.status() == ResidentStatus::Removed {
        tally.kept += u64::from(kept);
        let older_rows = before.older_rows(false)?;
        return Ok(builder.push(number, Some(unchanged(&before.row, &resident, &older_rows)), shots)?);
    }
    tally.removed += 1;
    sample(&mut tally.samples.removed, number);
    resident.set_status(ResidentStatus::Removed);
    resident.status_date = input.today.yyyymmdd();
    let (bytes, older_rows) = (resident.encode_to_vec(), before.older_rows(true)?);
    let before = unchanged(&before.row, &resident, &older_rows);
    let row = RowToFold { bytes: &bytes, active: false, known_since: (0, 0), sender: SenderView::default(), ..before };
    Ok(builder.push(number, Some(row), shots)?)
}

/// The resident number in an encoded `Resident`: field 1, which comes first, under a tag and a length of one byte each.
fn resident_number(row: &[u8], bytes: usize) -> &[u8] {
    row.get(2..2 + bytes).unwrap_or(&[])
}
