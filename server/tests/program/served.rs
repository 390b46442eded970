//! The real server in this process: `sesshu::app::run` on a free port, and clients of the generated code.

use std::path::PathBuf;
use std::sync::Arc;

use sesshu::app;
use sesshu_engine::{HoldPolicy, Options, Store};
use sesshu_proto::v1::match_request::Ticket as MatchTicket;
use sesshu_proto::v1::matching_client::MatchingClient;
use sesshu_proto::v1::record_request::Ticket as RecordTicket;
use sesshu_proto::v1::register_client::RegisterClient;
use sesshu_proto::v1::shot_log_client::ShotLogClient;
use sesshu_proto::v1::{MatchOutcome, MatchReply, MatchRequest, RecordRequest, Shot};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use crate::people::line;
use crate::process::{Folder, PATIENCE};

/// A server and the store behind it.
pub(crate) struct Served {
    pub(crate) store: Arc<Store>,
    pub(crate) url: String,
    pub(crate) channel: Channel,
    pub(crate) key: PathBuf,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), app::ServeError>>,
    _folder: Folder,
}

impl Served {
    /// Serves a store with the residents 1 to `residents` of Chiyoda. No load is held.
    pub(crate) async fn with(residents: u64) -> Served {
        let hold = HoldPolicy { removed_percent: 100, rejected_percent: 100, ..HoldPolicy::default() };
        Served::with_choices(residents, app::Choices { hold, ..app::Choices::default() }).await
    }

    /// As [`Served::with`], by other choices.
    pub(crate) async fn with_choices(residents: u64, choices: app::Choices) -> Served {
        let folder = Folder::new();
        let path = crate::people::store_of(&folder, residents);
        let (store, _) = Store::open(path.as_ref(), Options::default()).unwrap();
        let store = Arc::new(store);
        let listener = app::listen("127.0.0.1:0".parse().unwrap(), false).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(app::run(Arc::clone(&store), listener, choices, async { drop(stopped.await) }));
        let channel = Channel::from_shared(url.clone()).unwrap().connect().await.unwrap();
        Served { store, url, channel, key: format!("{path}.key").into(), stop, running, _folder: folder }
    }

    pub(crate) fn matching(&self) -> MatchingClient<Channel> {
        MatchingClient::new(self.channel.clone())
    }

    pub(crate) fn shot_log(&self) -> ShotLogClient<Channel> {
        ShotLogClient::new(self.channel.clone())
    }

    pub(crate) fn register(&self) -> RegisterClient<Channel> {
        RegisterClient::new(self.channel.clone())
    }

    /// The reply for the resident `number` of Chiyoda.
    pub(crate) async fn found(&self, number: u64) -> MatchReply {
        let ticket = Some(MatchTicket::LineText(line(number)));
        self.matching().r#match(MatchRequest { ticket, known_at: None, across: None }).await.unwrap().into_inner()
    }

    /// Demands that the resident `number` is matched, with this many shots.
    pub(crate) async fn still_holds(&self, number: u64, shots: usize) {
        let reply = self.found(number).await;
        assert_eq!((reply.outcome(), reply.shots.len()), (MatchOutcome::Matched, shots), "{reply:?}");
    }

    /// Ends the server and demands that it ended well.
    pub(crate) async fn stop(self) {
        drop(self.channel);
        self.stop.send(()).unwrap();
        tokio::time::timeout(PATIENCE, self.running).await.expect("the server ends").unwrap().unwrap();
    }
}

/// A request to record a first dose of the resident `number`, with one thing changed.
pub(crate) fn request(number: u64, capture_id: &str, change: impl FnOnce(&mut Shot)) -> RecordRequest {
    let mut shot = Shot {
        date: 20_210_412,
        dose: 1,
        vaccine: "ファイザー".into(),
        lot: "ET3674".into(),
        venue: "区民ホール".into(),
        capture_id: capture_id.into(),
        ..Shot::default()
    };
    change(&mut shot);
    RecordRequest { ticket: Some(RecordTicket::LineText(line(number))), shot: Some(shot) }
}
