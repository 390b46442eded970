//! Loads over gRPC whose connection breaks: they go on where they were, once, and whoever does not want to go on is not kept waiting.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sesshu::app::Choices;
use sesshu_engine::HoldPolicy;
use sesshu_proto::v1::load_snapshot_reply::Step as Reply;
use sesshu_proto::v1::load_snapshot_request::Step;
use sesshu_proto::v1::register_client::RegisterClient;
use sesshu_proto::v1::{
    LoadCommit, LoadCommitted, LoadOpen, LoadOpened, LoadOutcome, LoadRows, LoadSnapshotReply, LoadSnapshotRequest,
    RegisterRow, Resident,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use crate::people::{CHIYODA, Person, register, store_of};
use crate::process::{Folder, NEVER_HELD, Server, sesshu, until};
use crate::served::Served;

/// A way to a server that breaks: the first connections end after so many bytes, up or down.
struct Proxy {
    url: String,
    connections: Arc<AtomicU64>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// `cuts`: for each connection how many bytes come through each way; those after them are whole.
    fn to(url: &str, cuts: &[(i64, i64)]) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy {
            url: format!("http://{}", listener.local_addr().unwrap()),
            connections: Arc::default(),
            streams: Arc::default(),
        };
        let streams = Arc::clone(&proxy.streams);
        let (target, cuts, count) =
            (url.trim_start_matches("http://").to_owned(), cuts.to_vec(), Arc::clone(&proxy.connections));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(&target).unwrap());
                let at = count.fetch_add(1, Ordering::SeqCst) as usize;
                let (up, down) = cuts.get(at).copied().unwrap_or((i64::MAX, i64::MAX));
                for stream in [&client, &server] {
                    stream.set_nodelay(true).unwrap();
                    streams.lock().unwrap().push(stream.try_clone().unwrap());
                }
                let ends = [(&client, &server, up), (&server, &client, down)];
                for (from, to, bytes) in ends {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    std::thread::spawn(move || carry(from, to, &AtomicI64::new(bytes)));
                }
            }
        });
        proxy
    }

    /// Breaks every connection.
    fn cut(&self) {
        for stream in self.streams.lock().unwrap().drain(..) {
            // It may have ended already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Carries bytes until so many came, then breaks the connection.
fn carry(mut from: TcpStream, mut to: TcpStream, left: &AtomicI64) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let allowed = (left.load(Ordering::Relaxed)).min(count as i64);
        if to.write_all(&buffer[..allowed as usize]).is_err() || allowed < count as i64 {
            break;
        }
        left.fetch_sub(allowed, Ordering::Relaxed);
    }
    // Either may be gone already.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

#[test]
fn the_command_goes_on_with_a_load_whose_connection_broke() {
    const ROWS: u64 = 20_000;
    let folder = Folder::new();
    let mut people: Vec<Person> = (1..=ROWS).map(Person::new).collect();
    // Rejected here, and rejected there.
    people[10_000].sex = "3".into();
    people[19_000].number = people[50].number.clone();
    let (file, rejects) = (folder.write("register.csv", register(&people)), folder.path("rejects.csv"));
    let server = Server::start_with(&store_of(&folder, 1), &NEVER_HELD, "info");
    let ledger = || sesshu!["ledger", "--server", server.url, CHIYODA, "--json"].code(0).stdout;
    let load = |url: &str| {
        let objects = sesshu!["load", "--server", url, file, "--rejects", rejects, "--json"].code(1).objects();
        let counts = ["accepted", "rejected", "removed"].map(|name| objects[0][name].as_u64().unwrap());
        (counts, std::fs::read_to_string(&rejects).unwrap())
    };
    let whole = load(&server.url);
    assert_eq!(whole.0, [ROWS - 3, 3, 0]);
    let expected = ledger();
    // In the middle of rows, once and three times; and while answers come, that of the commit among them.
    let mut cuts = vec![vec![(300_000, i64::MAX)], vec![(900_000, i64::MAX), (70_000, i64::MAX), (20_000, i64::MAX)]];
    // Where the first bytes do not come through there is no load yet.
    cuts.extend((200..=600).step_by(20).map(|down| vec![(i64::MAX, down)]));
    let (mut resumed, mut broken) = (0, 0);
    for cut in cuts {
        let proxy = Proxy::to(&server.url, &cut);
        assert_eq!(load(&proxy.url), whole, "{cut:?}");
        assert_eq!(ledger(), expected, "{cut:?}");
        let connections = proxy.connections.load(Ordering::SeqCst);
        println!("{cut:?}: {connections} connections");
        resumed += connections - 1;
        broken += u64::from(connections > 1);
    }
    println!("{broken} loads broke, {resumed} times in all");
    assert!(broken >= 4 && resumed >= 6, "{broken}, {resumed}");
    assert!(server.log().contains("a load was interrupted"), "{}", server.log());
}

#[test]
fn a_load_whose_client_died_is_in_nobody_s_way() {
    let folder = Folder::new();
    let file = folder.write("register.csv", register(&(1..=20_000).map(Person::new).collect::<Vec<_>>()));
    let server = Server::start_with(&store_of(&folder, 1), &NEVER_HELD, "info");
    // The connection stays broken: the command gives up.
    let proxy = Proxy::to(&server.url, &[(500_000, i64::MAX); 1].into_iter().chain([(0, 0); 20]).collect::<Vec<_>>());
    sesshu!["load", "--server", proxy.url, file].code(3);
    until("the server's notice", || server.log().contains("a load was interrupted").then_some(()));
    let loaded = sesshu!["load", "--server", server.url, file, "--json"].code(0).objects().remove(0);
    assert_eq!(loaded["accepted"], 20_000);
}

/// A stream of a load of Chiyoda.
struct Stream {
    requests: mpsc::Sender<LoadSnapshotRequest>,
    replies: Streaming<LoadSnapshotReply>,
}

impl Stream {
    async fn open(served: &Served, open: LoadOpen) -> Result<(Stream, LoadOpened), Status> {
        Stream::open_on(served.channel.clone(), open).await
    }

    /// Through a proxy, whose connection can be broken.
    async fn open_through(proxy: &Proxy) -> (Stream, LoadOpened) {
        let channel = Channel::from_shared(proxy.url.clone()).unwrap().connect().await.unwrap();
        Stream::open_on(channel, LoadOpen::default()).await.unwrap()
    }

    async fn open_on(channel: Channel, open: LoadOpen) -> Result<(Stream, LoadOpened), Status> {
        let (requests, stream) = mpsc::channel(8);
        let step = Some(Step::Open(LoadOpen { municipality: 131_016, ..open }));
        requests.send(LoadSnapshotRequest { step }).await.unwrap();
        let replies = RegisterClient::new(channel).load_snapshot(ReceiverStream::new(stream)).await?.into_inner();
        let mut stream = Stream { requests, replies };
        match stream.replies.message().await?.unwrap().step {
            Some(Reply::Opened(opened)) => Ok((stream, opened)),
            other => panic!("{other:?}"),
        }
    }

    async fn ask(&mut self, step: Step) -> Reply {
        self.requests.send(LoadSnapshotRequest { step: Some(step) }).await.unwrap();
        self.replies.message().await.unwrap().unwrap().step.unwrap()
    }

    /// Sends rows of these numbers, and one that is none.
    async fn rows(&mut self, numbers: std::ops::Range<u64>) -> u64 {
        let resident = || Some(Resident { name: "試験 新子".into(), ..Resident::default() });
        let mut rows: Vec<RegisterRow> = numbers
            .clone()
            .map(|number| RegisterRow { number, resident: resident(), ..RegisterRow::default() })
            .collect();
        rows.push(RegisterRow { number: 1 << 40, line: numbers.start, resident: resident(), ..RegisterRow::default() });
        let Reply::RowsTaken(taken) = self.ask(Step::Rows(LoadRows { rows, ..LoadRows::default() })).await else {
            panic!()
        };
        assert_eq!(taken.rejected.len(), 1);
        taken.rows
    }

    async fn commit(&mut self) -> LoadCommitted {
        let Reply::Committed(committed) = self.ask(Step::Commit(LoadCommit::default())).await else { panic!() };
        committed
    }
}

fn resume(opened: &LoadOpened, answered_batches: u64) -> LoadOpen {
    LoadOpen { resume: opened.load_id.clone(), answered_batches, ..LoadOpen::default() }
}

fn choices(resume: Duration) -> Choices {
    let hold = HoldPolicy { removed_percent: 100, rejected_percent: 100, ..HoldPolicy::default() };
    Choices { hold, resume }
}

/// Opens a stream as soon as the server has noticed that the one before is gone.
async fn open_when(served: &Served, open: LoadOpen, code: Option<Code>) -> Result<(Stream, LoadOpened), Status> {
    for _ in 0..10_000 {
        let opened = Stream::open(served, open.clone()).await;
        match (&opened, code) {
            (Ok(_), None) => return opened,
            (Err(status), Some(code)) if status.code() == code && status.message().contains("interrupted") => {
                return opened;
            }
            _ => tokio::task::yield_now().await,
        }
    }
    panic!("waited in vain")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_names_the_load_goes_on_with_it_and_loses_no_answer() {
    let served = Served::with_choices(3, choices(Duration::from_secs(120))).await;
    let proxy = Proxy::to(&served.url, &[]);
    let (mut stream, opened) = Stream::open_through(&proxy).await;
    assert_eq!((opened.batches, opened.rows), (0, 0));
    assert_eq!(stream.rows(1..4).await, 4);
    assert_eq!(stream.rows(4..6).await, 7);
    proxy.cut();

    // It heard the answer to the first message only; and the server may not have noticed yet that its stream is gone.
    let (mut stream, again) = Stream::open(&served, resume(&opened, 1)).await.unwrap();
    assert_eq!((again.batches, again.rows, &again.load_id), (2, 7, &opened.load_id));
    assert_eq!(again.rejected.iter().map(|row| row.line).collect::<Vec<_>>(), [4]);
    assert_eq!(stream.rows(6..9).await, 11);

    // Another that names it takes it over, from a stream that lives too.
    let (mut other, again) = Stream::open(&served, resume(&opened, 3)).await.unwrap();
    assert_eq!((again.batches, again.rejected.len()), (3, 0));
    let ended = stream.replies.message().await.unwrap_err();
    assert_eq!(ended.code(), Code::Aborted, "{ended:?}");
    let committed = other.commit().await;
    assert_eq!(committed.outcome(), LoadOutcome::Loaded);
    let summary = committed.summary.unwrap();
    assert_eq!((summary.accepted, summary.rejected, summary.removed), (8, 3, 0));

    // Whoever did not hear that may ask again, and nothing is loaded twice.
    let sequence = served.store.view().sequence();
    let (mut last, again) = Stream::open(&served, resume(&opened, 3)).await.unwrap();
    assert_eq!(again.batches, 3);
    assert_eq!(last.commit().await, committed);
    assert_eq!(served.store.view().sequence(), sequence);
    served.still_holds(8, 0).await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_waits_is_told_to_others_and_gives_way_to_whoever_asks_for_it() {
    let served = Served::with_choices(3, choices(Duration::from_secs(120))).await;
    let proxy = Proxy::to(&served.url, &[]);
    let (mut stream, opened) = Stream::open_through(&proxy).await;
    stream.rows(1..4).await;
    proxy.cut();
    let told = open_when(&served, LoadOpen::default(), Some(Code::AlreadyExists)).await.err().unwrap();
    assert!(told.message().contains(&opened.load_id) && told.message().contains(" 120 s "), "{told:?}");
    let unknown = LoadOpen { resume: "131016-0000000000000000".into(), ..LoadOpen::default() };
    assert_eq!(Stream::open(&served, unknown).await.err().unwrap().code(), Code::NotFound);
    for answered in [2, 1 << 40] {
        let wrong = Stream::open(&served, resume(&opened, answered)).await.err().unwrap();
        assert_eq!(wrong.code(), Code::InvalidArgument, "{wrong:?}");
    }
    let (mut stream, other) = Stream::open(&served, LoadOpen { replace: true, ..LoadOpen::default() }).await.unwrap();
    assert_eq!(Stream::open(&served, resume(&opened, 0)).await.err().unwrap().code(), Code::NotFound);
    // One that a stream carries gives way to nobody.
    let busy = Stream::open(&served, LoadOpen { replace: true, ..LoadOpen::default() }).await.err().unwrap();
    assert!(busy.code() == Code::AlreadyExists && busy.message().contains("under way"), "{busy:?}");
    stream.rows(1..3).await;
    assert_eq!(stream.commit().await.summary.unwrap().accepted, 2);
    assert_ne!(other.load_id, opened.load_id);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_waits_is_dropped_when_its_time_is_over() {
    let served = Served::with_choices(3, choices(Duration::from_millis(20))).await;
    let proxy = Proxy::to(&served.url, &[]);
    let (mut stream, opened) = Stream::open_through(&proxy).await;
    stream.rows(1..4).await;
    proxy.cut();
    let (_stream, other) = open_when(&served, LoadOpen::default(), None).await.unwrap();
    assert_ne!(other.load_id, opened.load_id);
    assert_eq!(Stream::open(&served, resume(&opened, 0)).await.err().unwrap().code(), Code::NotFound);
    served.still_holds(3, 0).await;
}
