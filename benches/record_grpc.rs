//! How many shots a second become durable over gRPC on loopback? Eight streams of batches of a hundred, each on a connection of its own, a few batches ahead of
//! their answers; beside the same batches handed in by eight threads of one process. Client and server share the machine.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sesshu::client::record_request;
use sesshu_benches::{Nation, RESIDENTS, Served, Supply};
use sesshu_engine::Store;
use sesshu_engine::intake::ShotRecord;
use sesshu_proto::v1::shot_log_client::ShotLogClient;
use sesshu_proto::v1::{RecordManyRequest, RecordOutcome};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

const STREAMS: usize = 8;
const BATCH_SHOTS: usize = 100;
/// Batches of a stream that wait for their answers.
const AHEAD: usize = 4;

fn record(criterion: &mut Criterion) {
    let nation = Nation::settle(Path::new(env!("CARGO_TARGET_TMPDIR")), *RESIDENTS);
    let (mut supply, residents) = (Supply::of(&nation), *RESIDENTS);
    let served = Served::start(&nation.store, STREAMS);
    let mut group = criterion.benchmark_group("record_grpc");
    group.sample_size(20).throughput(Throughput::Elements(1));
    group.bench_function(format!("streams={STREAMS}/batch={BATCH_SHOTS}/residents={residents}"), |bencher| {
        bencher.iter_custom(|times| record_served(&served, supply.take(times)));
    });
    group.bench_function(format!("embedded/callers={STREAMS}/batch={BATCH_SHOTS}/residents={residents}"), |bencher| {
        bencher.iter_custom(|times| embedded(&nation.store, supply.take(times)));
    });
    group.finish();
}

/// Records shots, the same number on each stream, and returns how long that took.
fn record_served(served: &Served, shots: Vec<ShotRecord>) -> Duration {
    let mut parts: Vec<Vec<RecordManyRequest>> = vec![Vec::new(); STREAMS];
    for (at, shots) in shots.chunks(BATCH_SHOTS).enumerate() {
        let shots = shots.iter().map(record_request).collect();
        parts[at % STREAMS].push(RecordManyRequest { shots, without_residents: true });
    }
    let started = Instant::now();
    served.clients.block_on(async {
        let streams = parts.into_iter().zip(&served.channels);
        let streams: Vec<_> =
            streams.map(|(batches, channel)| tokio::spawn(stream(channel.clone(), batches))).collect();
        for stream in streams {
            stream.await.expect("every batch is answered");
        }
    });
    started.elapsed()
}

/// Records batches on one stream.
async fn stream(channel: Channel, batches: Vec<RecordManyRequest>) {
    let (count, (sender, requests)) = (batches.len(), tokio::sync::mpsc::channel(AHEAD));
    let answered = Arc::new(tokio::sync::Semaphore::new(AHEAD));
    let permits = Arc::clone(&answered);
    let sending = tokio::spawn(async move {
        for batch in batches {
            permits.acquire().await.expect("it is never closed").forget();
            sender.send(batch).await.expect("the stream reads");
        }
    });
    let mut client = ShotLogClient::new(channel);
    let mut replies = client.record_many(ReceiverStream::new(requests)).await.expect("a stream").into_inner();
    let mut seen = 0;
    while let Some(reply) = replies.next().await {
        let replies = reply.expect("the batch is recorded").replies;
        let new = [RecordOutcome::Recorded, RecordOutcome::Orphan];
        assert!(replies.iter().all(|reply| new.contains(&reply.outcome())), "every shot is new");
        seen += 1;
        answered.add_permits(1);
    }
    assert_eq!(seen, count);
    sending.await.expect("every batch was sent");
}

/// The same without a network.
fn embedded(store: &Store, shots: Vec<ShotRecord>) -> Duration {
    let batches: Vec<Vec<ShotRecord>> = shots.chunks(BATCH_SHOTS).map(<[ShotRecord]>::to_vec).collect();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..STREAMS {
            let batches = &batches;
            scope.spawn(move || {
                for batch in batches.iter().skip(thread).step_by(STREAMS) {
                    let answers = store.record_many(batch.clone());
                    assert!(answers.iter().all(Result::is_ok), "every shot is recorded");
                }
            });
        }
    });
    started.elapsed()
}

criterion_group!(benches, record);
criterion_main!(benches);
