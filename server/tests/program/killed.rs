//! SIGKILL while 64 clients record, again and again on one store: every shot that was acknowledged is there, once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sesshu_proto::v1::RecordOutcome;
use sesshu_proto::v1::shot_log_client::ShotLogClient;
use tonic::transport::Channel;

use crate::people::{CHIYODA, store_of};
use crate::process::{Folder, PATIENCE, Server, sesshu};
use crate::served::request;

const ROUNDS: usize = 20;
const CLIENTS: usize = 64;
/// Half of the tickets are in the register, half are orphans.
const RESIDENTS: u64 = 500;
const TICKETS: u64 = 1000;
/// Acknowledgements after which the server is killed: another number each round, so that the kill falls on another moment.
const fn acknowledged_until_kill(round: usize) -> usize {
    200 + round * 37
}

/// What the clients know of a shot: the ticket's number, the capture id, the shot id that was acknowledged.
type Acknowledged = (u64, String, u64);

/// Records until the server is gone. Every shot that was asked for and not answered goes to `doubtful`.
async fn record_all(
    mut client: ShotLogClient<Channel>,
    name: String,
    count: Arc<AtomicUsize>,
) -> (Vec<Acknowledged>, Option<(u64, String)>) {
    let mut acknowledged = Vec::new();
    for at in 0.. {
        let capture_id = format!("{name}-{at}");
        let number = (at * 7919 + name.len() as u64 * 31 + name.bytes().map(u64::from).sum::<u64>()) % TICKETS + 1;
        let Ok(reply) = client.record(request(number, &capture_id, |_| {})).await else {
            return (acknowledged, Some((number, capture_id)));
        };
        let reply = reply.into_inner();
        let expected = if number <= RESIDENTS { RecordOutcome::Recorded } else { RecordOutcome::Orphan };
        assert_eq!(reply.outcome(), expected, "{reply:?}");
        acknowledged.push((number, capture_id, reply.shot_id));
        count.fetch_add(1, Ordering::Relaxed);
    }
    unreachable!("a client records for ever")
}

/// Records with all clients, and kills the server in the midst of it.
async fn record_until_killed(server: &mut Server, round: usize) -> (Vec<Acknowledged>, Vec<(u64, String)>) {
    let count = Arc::new(AtomicUsize::new(0));
    let mut clients = Vec::new();
    for connection in 0..4 {
        let client = ShotLogClient::connect(server.url.clone()).await.unwrap();
        for at in (connection..CLIENTS).step_by(4) {
            let name = format!("round{round}-client{at}");
            clients.push(tokio::spawn(record_all(client.clone(), name, Arc::clone(&count))));
        }
    }
    let enough = async {
        while count.load(Ordering::Relaxed) < acknowledged_until_kill(round) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, enough).await.expect("the server acknowledges");
    server.kill();
    let (mut acknowledged, mut doubtful) = (Vec::new(), Vec::new());
    for client in clients {
        let (known, unknown) = client.await.unwrap();
        acknowledged.extend(known);
        doubtful.extend(unknown);
    }
    (acknowledged, doubtful)
}

/// How often each shot is in the ledger, with its shot id.
fn held(store: &str) -> HashMap<(u64, String), Vec<u64>> {
    let mut held: HashMap<_, Vec<u64>> = HashMap::new();
    for object in sesshu!["ledger", "--store", store, CHIYODA, "--json"].code(0).objects() {
        let number = object["ticket"].as_str().unwrap()[6..].parse().unwrap();
        for shot in object["shots"].as_array().unwrap() {
            let capture_id = shot["capture_id"].as_str().unwrap().to_owned();
            held.entry((number, capture_id)).or_default().push(shot["shot_id"].as_u64().unwrap());
        }
    }
    held
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_shot_is_there_once_after_twenty_kills() {
    let folder = Folder::new();
    let store = store_of(&folder, RESIDENTS);
    let (mut acknowledged, mut doubtful) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let mut server = Server::start(&store);
        let (known, unknown) = record_until_killed(&mut server, round).await;
        assert!(known.len() >= acknowledged_until_kill(round));
        acknowledged.extend(known);
        doubtful.extend(unknown);

        let held = held(&store);
        for (number, capture_id, shot_id) in &acknowledged {
            let found = held.get(&(*number, capture_id.clone()));
            assert_eq!(found, Some(&vec![*shot_id]), "round {round}: {number} {capture_id}");
        }
        // What was asked for and not answered may be there or not, but not twice; nothing else is there.
        let present = doubtful.iter().filter_map(|key| held.get(key)).inspect(|ids| assert_eq!(ids.len(), 1)).count();
        assert_eq!(held.len(), acknowledged.len() + present, "round {round}");
    }
    println!("{} acknowledged in {ROUNDS} rounds, {} in doubt", acknowledged.len(), doubtful.len());
    repeat_what_is_in_doubt(&store, &doubtful).await;
}

/// Sends what was not answered once more, with its capture id: then each is there once.
async fn repeat_what_is_in_doubt(store: &str, doubtful: &[(u64, String)]) {
    let server = Server::start(store);
    let mut client = ShotLogClient::connect(server.url.clone()).await.unwrap();
    for (number, capture_id) in doubtful {
        client.record(request(*number, capture_id, |_| {})).await.unwrap();
    }
    assert_eq!(server.stop().0, Some(0));
    let held = held(store);
    for key in doubtful {
        assert_eq!(held[key].len(), 1, "{key:?}");
    }
}
