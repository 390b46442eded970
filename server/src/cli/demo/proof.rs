//! The proof that an acknowledged shot is never lost.
//!
//! Clients write down every shot that the server acknowledged; the server is killed; the reopened store is read from end to end and compared.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sesshu_engine::intake::ShotRecord;
use sesshu_engine::ticket::{Municipality, Ticket};
use sesshu_engine::{Match, ShotView, Store};
use sesshu_proto::v1::shot_log_client::ShotLogClient;

use super::measure::{block_on, connect};
use super::server::Server;
use crate::client::record_request;
use crate::failure::Failure;

const CLIENTS: usize = 64;

/// What the reopened store holds of what was acknowledged.
pub(super) struct Proof {
    pub(super) acknowledged: u64,
    pub(super) present: u64,
    pub(super) twice: u64,
    /// Shots that became durable, but whose answer the kill cut off.
    pub(super) unacknowledged: u64,
}

impl Proof {
    /// Reads every ledger of `store` and counts.
    pub(super) fn of(store: &Store, acknowledged: &[ShotRecord]) -> Result<Proof, Failure> {
        let mut held: HashMap<(Ticket, String), u64> = HashMap::new();
        let view = store.view();
        for municipality in Municipality::all() {
            for item in view.ledger(municipality) {
                let (ticket, found) = item.map_err(|damage| Failure::Machine(damage.to_string()))?;
                let (Match::Matched(person) | Match::Orphan(person)) = found else { continue };
                let count = |shot: ShotView<'_>| *held.entry((ticket, shot.capture_id.to_owned())).or_default() += 1;
                person.each_shot(count).map_err(|damage| Failure::Machine(damage.to_string()))?;
            }
        }
        let total: u64 = held.values().sum();
        let mut proof = Proof { acknowledged: acknowledged.len() as u64, present: 0, twice: 0, unacknowledged: 0 };
        for shot in acknowledged {
            let key = (shot.ticket(), shot.shot().capture_id.clone());
            let times = held.get(&key).copied().unwrap_or(0);
            proof.present += u64::from(times > 0);
            proof.twice += u64::from(times > 1);
        }
        proof.unacknowledged = total.saturating_sub(proof.present);
        Ok(proof)
    }

    /// Whether every acknowledged shot is there once.
    pub(super) fn holds(&self) -> bool {
        self.present == self.acknowledged && self.twice == 0
    }
}

/// Records with 64 clients, each of which waits for its answer before it asks again, and kills the server after `time`. Returns the acknowledged shots and
/// how many there were a second.
pub(super) fn record_until_killed(
    mut server: Server,
    shots: Vec<ShotRecord>,
    time: Duration,
) -> Result<(Vec<ShotRecord>, f64), Failure> {
    let mut parts: Vec<Vec<ShotRecord>> = (0..CLIENTS).map(|_| Vec::new()).collect();
    for (at, shot) in shots.into_iter().enumerate() {
        parts[at % CLIENTS].push(shot);
    }
    block_on(async {
        // A few connections for all clients, as a backend would keep them.
        let mut connections = Vec::new();
        for _ in 0..4 {
            connections.push(ShotLogClient::connect(server.url().to_owned()).await.map_err(connect(&server))?);
        }
        let started = Instant::now();
        let clients: Vec<_> = parts
            .into_iter()
            .enumerate()
            .map(|(at, shots)| tokio::spawn(record_all(connections[at % connections.len()].clone(), shots)))
            .collect();
        tokio::time::sleep(time).await;
        server.kill()?;
        let seconds = started.elapsed().as_secs_f64();
        let mut acknowledged = Vec::new();
        for client in clients {
            acknowledged.extend(client.await.map_err(|error| Failure::Machine(error.to_string()))?);
        }
        let rate = acknowledged.len() as f64 / seconds;
        Ok((acknowledged, rate))
    })
}

/// Records shot after shot until the server is gone; returns those it acknowledged.
async fn record_all(mut client: ShotLogClient<tonic::transport::Channel>, shots: Vec<ShotRecord>) -> Vec<ShotRecord> {
    let mut acknowledged = Vec::new();
    for shot in shots {
        if client.record(record_request(&shot)).await.is_err() {
            break;
        }
        acknowledged.push(shot);
    }
    acknowledged
}
