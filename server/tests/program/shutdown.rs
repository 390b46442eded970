//! A server that is told to stop while it works: what was acknowledged is in the store, what was not committed is not, and nobody keeps it from ending.

use sesshu_proto::v1::load_snapshot_request::Step;
use sesshu_proto::v1::register_client::RegisterClient;
use sesshu_proto::v1::shot_log_client::ShotLogClient;
use sesshu_proto::v1::{LoadOpen, LoadSnapshotRequest, RecordManyRequest};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::people::{CHIYODA, store_of};
use crate::process::{Folder, Server, sesshu};
use crate::served::request;

const CLIENTS: u64 = 16;

#[tokio::test(flavor = "multi_thread")]
async fn shots_that_are_acknowledged_while_the_server_stops_are_in_the_store() {
    let folder = Folder::new();
    let store = store_of(&folder, CLIENTS);
    let server = Server::start(&store);
    let (recorded, mut recordings) = mpsc::unbounded_channel();
    let mut clients = Vec::new();
    for number in 1..=CLIENTS {
        let mut client = ShotLogClient::connect(server.url.clone()).await.unwrap();
        let recorded = recorded.clone();
        clients.push(tokio::spawn(async move {
            let mut acknowledged = 0_usize;
            while client.record(request(number, &format!("id-{acknowledged}"), |_| {})).await.is_ok() {
                acknowledged += 1;
                // The test listens until every client has recorded.
                let _ = recorded.send(number);
            }
            acknowledged
        }));
    }
    let mut begun = std::collections::HashSet::new();
    while begun.len() < CLIENTS as usize {
        begun.insert(recordings.recv().await.unwrap());
    }
    let (code, _, log) = tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
    assert_eq!(code, Some(0), "{log}");

    let status = sesshu!["status", "--store", store, "--json"].code(0).object();
    assert_eq!(status["opened"], "clean", "{log}");
    let ledger = sesshu!["ledger", "--store", store, CHIYODA, "--json"].code(0).objects();
    for (client, object) in clients.into_iter().zip(ledger) {
        let (acknowledged, held) = (client.await.unwrap(), object["shots"].as_array().unwrap().len());
        // The last request may have been recorded though its answer did not arrive.
        assert!(held == acknowledged || held == acknowledged + 1, "{held} held, {acknowledged} acknowledged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_stay_open_do_not_keep_the_server_from_ending() {
    let folder = Folder::new();
    let store = store_of(&folder, 1);
    let server = Server::start(&store);
    let (shots, stream) = mpsc::channel(1);
    shots.send(RecordManyRequest { shots: vec![request(1, "a", |_| {})], without_residents: false }).await.unwrap();
    let mut shot_log = ShotLogClient::connect(server.url.clone()).await.unwrap();
    let mut replies = shot_log.record_many(ReceiverStream::new(stream)).await.unwrap().into_inner();
    assert_eq!(replies.message().await.unwrap().unwrap().replies.len(), 1);

    let (load, stream) = mpsc::channel(1);
    let open = Step::Open(LoadOpen { municipality: 131_016, ..LoadOpen::default() });
    load.send(LoadSnapshotRequest { step: Some(open) }).await.unwrap();
    let mut register = RegisterClient::connect(server.url.clone()).await.unwrap();
    let mut loading = register.load_snapshot(ReceiverStream::new(stream)).await.unwrap().into_inner();
    assert!(loading.message().await.unwrap().is_some());

    let (code, _, log) = tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
    assert_eq!(code, Some(0), "{log}");
    assert!(!matches!(loading.message().await, Ok(Some(_))), "an uncommitted load went on");
    let status = sesshu!["status", "--store", store, "--json"].code(0).object();
    assert_eq!((&status["shots"], &status["residents"], &status["opened"]), (&1.into(), &1.into(), &"clean".into()));
}
