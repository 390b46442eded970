//! Where a command does its work: a store that it opens itself, or a server that has one open.
//!
//! Owns the one set of operations that both can do. Commands are written against it, so `--store` and `--server` say the same.

use std::ops::ControlFlow;
use std::sync::Arc;

use sesshu_engine::error::RecordError;
use sesshu_engine::intake::{Change, Row, Sender, ShotRecord};
use sesshu_engine::ticket::{Municipality, Ticket, TicketLine};
use sesshu_engine::{HeldId, HoldPolicy, Load, Moment, SnapshotName, Store};
use sesshu_proto::v1::{
    Across, AmendReply, AmendRequest, ChangeReply, CompactReply, CompactRequest, FindReply, FindRequest,
    FindShotsRequest, HeldRegister, HistoryReply, LoadCommitted, LoadSummary, MatchReply, RecordReply, RecordedShot,
    ShotReference, SnapshotInfo, StatusReply, TicketHistoryReply,
};

use crate::across::{self, TICKETS_AT_ONCE};
use crate::amend;
use crate::client::Client;
use crate::client_load::{ClientLoad, Findings};
use crate::compaction;
use crate::failure::Failure;
use crate::find::{self, FindError};
use crate::input::ChangeRow;
use crate::reply;

/// A store or a server.
pub enum Backend {
    /// Opened by this process.
    Store(Arc<Store>),
    /// Another process has it.
    Server(Client),
}

impl Backend {
    /// Looks lines up, one reply each, in order; as they were known at a moment, if one is named; with the same people in other municipalities, if those are
    /// wanted.
    ///
    /// # Errors
    ///
    /// [`Failure`]; a damaged ticket is a reply and no failure.
    pub fn match_lines(
        &self,
        lines: &[TicketLine],
        moment: Option<Moment>,
        across: Option<&Across>,
    ) -> Result<Vec<MatchReply>, Failure> {
        match self {
            Backend::Server(client) => Ok(client.match_lines(lines, moment, across)?),
            Backend::Store(store) => {
                across::check(across, moment.is_some()).map_err(Failure::Request)?;
                let tickets: Vec<Ticket> = lines.iter().map(|line| line.ticket()).collect();
                let mut replies = Vec::with_capacity(lines.len());
                let view = store.view();
                view.match_batch(&tickets, |at, found| replies.push(reply::of_match_at(tickets[at], found, moment)));
                if let Some(across) = across {
                    across::add_elsewhere(store, &view, &mut replies, across, "").map_err(FindError::Access)?;
                }
                Ok(replies)
            }
        }
    }

    /// Finds people whose ticket is not at hand.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub fn find(&self, request: FindRequest) -> Result<FindReply, Failure> {
        match self {
            Backend::Server(client) => Ok(client.find(request)?),
            Backend::Store(store) => Ok(find::find(store, request, "")?),
        }
    }

    /// Records shots and returns when they are durable, one reply each, in order; with the residents whom they match, if those are wanted.
    ///
    /// # Errors
    ///
    /// [`Failure`], of the first shot that the store could not take. Shots before and after it may be durable: record them again, each with its capture id.
    pub fn record(&self, shots: Vec<ShotRecord>, with_residents: bool) -> Result<Vec<RecordReply>, Failure> {
        match self {
            Backend::Server(client) => Ok(client.record(&shots, with_residents)?),
            Backend::Store(store) => {
                let tickets: Vec<Ticket> = shots.iter().map(ShotRecord::ticket).collect();
                let (answers, view) = (store.record_many(shots).into_iter().zip(tickets), store.view());
                let replies = answers.map(|(answer, ticket)| reply::of_record(&view, ticket, answer, with_residents));
                Ok(replies.collect::<Result<_, RecordError>>()?)
            }
        }
    }

    /// Does acts on recorded shots, or says what would become of them: one reply each, in order.
    ///
    /// # Errors
    ///
    /// [`Failure`], of the first act that the store could not take. Acts before it may be done: do all of them again.
    pub fn amend(&self, acts: Vec<AmendRequest>, dry_run: bool) -> Result<Vec<AmendReply>, Failure> {
        match self {
            Backend::Server(client) => Ok(client.amend(acts, dry_run)?),
            Backend::Store(store) => Ok(amend::amend(store, acts, dry_run)?),
        }
    }

    /// A shot and everything that became of it.
    ///
    /// # Errors
    ///
    /// [`Failure`]; also if the ticket never had it.
    pub fn history(&self, of: ShotReference) -> Result<HistoryReply, Failure> {
        match self {
            Backend::Server(client) => Ok(client.history(of)?),
            Backend::Store(store) => {
                let history = amend::history(store, amend::shot_ref(Some(of)).map_err(Failure::Request)?);
                let history = history.map_err(|damage| Failure::Machine(damage.to_string()))?;
                history.ok_or_else(|| Failure::Request("the ticket never had this shot".into()))
            }
        }
    }

    /// Everything that was ever known of the person who has a ticket.
    ///
    /// # Errors
    ///
    /// [`Failure`]; also if nothing was.
    pub fn person_history(&self, ticket: Ticket) -> Result<TicketHistoryReply, Failure> {
        match self {
            Backend::Server(client) => Ok(client.person_history(ticket)?),
            Backend::Store(store) => {
                let history = amend::person_history(store, ticket);
                let history = history.map_err(|damage| Failure::Machine(damage.to_string()))?;
                history.ok_or_else(|| Failure::Request("nothing was ever known of the ticket".into()))
            }
        }
    }

    /// All shots that have something in common, each with its ticket.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub fn find_shots(&self, request: FindShotsRequest) -> Result<Vec<RecordedShot>, Failure> {
        match self {
            Backend::Server(client) => Ok(client.find_shots(request)?),
            Backend::Store(store) => {
                let (asked, mut shots) = (amend::shots_of(request).map_err(Failure::Request)?, Vec::new());
                let read = store.view().each_shot_of(&asked, |shot| {
                    shots.push(shot);
                    true
                });
                read.map_err(|damage| Failure::Machine(damage.to_string()))?;
                Ok(shots)
            }
        }
    }

    /// Applies changes of one register and returns when they are durable, one reply each, in order.
    ///
    /// # Errors
    ///
    /// [`Failure`], of the first change that the store could not take. Changes before it may be durable: apply all of them again.
    pub fn apply(
        &self,
        municipality: Municipality,
        changes: Vec<ChangeRow>,
        sender: &Sender,
    ) -> Result<Vec<ChangeReply>, Failure> {
        match self {
            Backend::Server(client) => Ok(client.apply(municipality, changes, sender)?),
            Backend::Store(store) => {
                let (lines, changes): (Vec<u64>, Vec<Change>) =
                    changes.into_iter().map(|row| (row.line, row.change.sent_by(sender.clone()))).unzip();
                let answers = store.change(&changes)?;
                let places = changes.iter().map(Change::ticket).zip(lines);
                let replies =
                    places.zip(answers).map(|((ticket, line), answer)| reply::of_change(ticket, line, answer));
                Ok(replies.collect::<Result<_, RecordError>>()?)
            }
        }
    }

    /// Begins to load a register.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub fn load(&self, municipality: Municipality, sender: &Sender) -> Result<Loading, Failure> {
        Ok(match self {
            Backend::Server(client) => Loading::Server(Box::new(client.load(municipality, sender)?)),
            Backend::Store(store) => {
                let mut load = store.load(municipality)?;
                load.sent_by(sender.clone());
                Loading::Store(Box::new(load))
            }
        })
    }

    /// The loads that are held.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub fn held(&self) -> Result<Vec<HeldRegister>, Failure> {
        match self {
            Backend::Server(client) => Ok(client.held()?),
            Backend::Store(store) => Ok(store.held().iter().map(reply::of_held).collect()),
        }
    }

    /// Makes a held load visible.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub fn confirm(&self, id: HeldId) -> Result<LoadSummary, Failure> {
        match self {
            Backend::Server(client) => Ok(client.confirm(id)?),
            Backend::Store(store) => Ok(reply::of_load(&store.confirm(id)?)),
        }
    }

    /// Throws a held load away.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub fn discard(&self, id: HeldId) -> Result<(), Failure> {
        match self {
            Backend::Server(client) => Ok(client.discard(id)?),
            Backend::Store(store) => Ok(store.discard(id)?),
        }
    }

    /// Compacts ledgers; `tell` hears of everything, and ends it.
    ///
    /// # Errors
    ///
    /// [`Failure`]; ledgers that were told of stay compacted.
    pub fn compact(
        &self,
        request: CompactRequest,
        tell: &mut (dyn FnMut(CompactReply) -> ControlFlow<()> + Send),
    ) -> Result<(), Failure> {
        match self {
            Backend::Server(client) => Ok(client.compact(request, tell)?),
            Backend::Store(store) => Ok(compaction::compact(store, &request, tell)?),
        }
    }

    /// Makes a snapshot.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub fn create_snapshot(&self, name: &SnapshotName) -> Result<SnapshotInfo, Failure> {
        match self {
            Backend::Server(client) => Ok(client.create_snapshot(name)?),
            Backend::Store(store) => Ok(reply::of_snapshot(&store.create_snapshot(name)?, 0)),
        }
    }

    /// Deletes a snapshot.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub fn delete_snapshot(&self, name: &SnapshotName) -> Result<(), Failure> {
        match self {
            Backend::Server(client) => Ok(client.delete_snapshot(name)?),
            Backend::Store(store) => Ok(store.delete_snapshot(name)?),
        }
    }

    /// Reads a whole ledger; as it was known at a moment, if one is named.
    ///
    /// # Errors
    ///
    /// [`Failure`], or what `visit` says.
    pub fn ledger(
        &self,
        municipality: Municipality,
        moment: Option<Moment>,
        across: Option<&Across>,
        visit: &mut dyn FnMut(MatchReply) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match self {
            Backend::Server(client) => client.ledger(municipality, moment, across, visit),
            Backend::Store(store) => {
                across::check(across, moment.is_some()).map_err(Failure::Request)?;
                let view = store.view();
                let mut tickets = Vec::with_capacity(TICKETS_AT_ONCE);
                let mut told = |tickets: &mut Vec<MatchReply>| {
                    if let Some(across) = across {
                        across::add_elsewhere(store, &view, tickets, across, "").map_err(FindError::Access)?;
                    }
                    tickets.drain(..).try_for_each(&mut *visit)
                };
                for item in view.ledger(municipality) {
                    let (ticket, found) = match item {
                        Ok(found) => found,
                        Err(damage) => {
                            told(&mut tickets)?;
                            return Err(Failure::Machine(damage.to_string()));
                        }
                    };
                    tickets.extend(reply::of_ledger_at(ticket, found, moment));
                    if tickets.len() == TICKETS_AT_ONCE {
                        told(&mut tickets)?;
                    }
                }
                told(&mut tickets)
            }
        }
    }

    /// The state of the store.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub fn status(&self) -> Result<StatusReply, Failure> {
        match self {
            Backend::Server(client) => Ok(client.status()?),
            Backend::Store(store) => Ok(reply::of_status(store)),
        }
    }

    /// Closes a store that this process opened.
    ///
    /// # Errors
    ///
    /// [`Failure::Open`].
    pub fn close(self) -> Result<(), Failure> {
        match self {
            Backend::Server(_) => Ok(()),
            Backend::Store(store) => Ok(store.close()?),
        }
    }
}

/// A load under way.
pub enum Loading {
    /// In this process.
    Store(Box<Load>),
    /// On a server.
    Server(Box<ClientLoad>),
}

impl Loading {
    /// Takes rows, the numbers of rows that were rejected before they got here, and how many were whose number nobody could read. Returns what is found
    /// in these rows or in earlier ones.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub fn push(&mut self, rows: Vec<Row>, kept_numbers: Vec<u64>, unreadable: u64) -> Result<Findings, Failure> {
        match self {
            Loading::Server(load) => Ok(load.push(rows, kept_numbers, unreadable)?),
            Loading::Store(load) => {
                kept_numbers.into_iter().for_each(|number| load.keep(number));
                load.reject(unreadable);
                let remarks = rows.iter().flat_map(Row::remarks).map(|remark| reply::of_remark(&remark)).collect();
                rows.into_iter().try_for_each(|row| load.push(row))?;
                Ok(Findings { remarks, ..Findings::default() })
            }
        }
    }

    /// Makes the register visible, or holds it. `policy` is a store's; a server has its own. `dry_run`: only says what it does.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub fn commit(self, policy: &HoldPolicy, dry_run: bool) -> Result<LoadCommitted, Failure> {
        match self {
            Loading::Server(load) => Ok(load.commit(dry_run)?),
            Loading::Store(load) => {
                let municipality = load.municipality();
                Ok(reply::of_concluded(municipality, &load.conclude(None, policy, dry_run)?))
            }
        }
    }
}
