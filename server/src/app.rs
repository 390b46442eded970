//! The server: a store behind gRPC, from its listener to its last reply.
//!
//! Owns the assembly of the services and the order of shutting down: stop accepting, finish what is under way, close the store. `run` is the whole server, so tests run the real thing.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use sesshu_engine::error::OpenError;
use sesshu_engine::{HoldPolicy, Store};
use sesshu_proto::DESCRIPTORS;
use sesshu_proto::v1::ledgers_server::LedgersServer;
use sesshu_proto::v1::matching_server::MatchingServer;
use sesshu_proto::v1::operations_server::OperationsServer;
use sesshu_proto::v1::register_server::RegisterServer;
use sesshu_proto::v1::shot_log_server::ShotLogServer;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;

use crate::service::Work;
use crate::service::ledgers::LedgersService;
use crate::service::matching::MatchingService;
use crate::service::operations::OperationsService;
use crate::service::register::RegisterService;
use crate::service::shot_log::ShotLogService;

/// How long what is under way may take after the server was told to stop.
const DRAIN: Duration = Duration::from_secs(30);

/// How long connections then have to end by themselves. Some never do: a client that watches the server's health waits for the server.
const FAREWELL: Duration = Duration::from_millis(300);

/// How often a silent client is asked whether it is still there. One that is not gives its load's place back.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// The services by their full names, for the health service; the empty name is the server as a whole.
const SERVICES: [&str; 6] =
    ["", "sesshu.v1.Matching", "sesshu.v1.ShotLog", "sesshu.v1.Register", "sesshu.v1.Ledgers", "sesshu.v1.Operations"];

/// Bytes of one request. A batch of rows at its longest is some 5 MB.
const REQUEST_BYTES_MAX: usize = 16 << 20;

/// How often held loads are looked at, for those whose time has run out.
const HELD_LOOK: Duration = Duration::from_secs(60);

/// The choices of whoever runs a server.
#[derive(Clone, Copy, Debug)]
pub struct Choices {
    /// Which loads are held, and how long.
    pub hold: HoldPolicy,
    /// How long a load whose connection broke waits for its client.
    pub resume: Duration,
}

impl Default for Choices {
    fn default() -> Choices {
        Choices { hold: HoldPolicy::default(), resume: Duration::from_secs(120) }
    }
}

/// Running the server failed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be had.
    #[error("listening on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// The address is not of this machine alone.
    #[error(
        "{0} can be reached from other machines, and this server has neither TLS nor roles yet: listen on a loopback \
         address, or say --insecure"
    )]
    NotLoopback(SocketAddr),
    /// The metrics endpoint cannot be had.
    #[error("{0}")]
    Metrics(String),
    /// The transport failed.
    #[error("serving")]
    Transport(#[from] tonic::transport::Error),
    /// The store could not be closed.
    #[error("closing the store")]
    Close(#[from] OpenError),
}

/// Listens on `address`, which must be a loopback address unless `insecure`.
///
/// # Errors
///
/// [`ServeError::NotLoopback`] and [`ServeError::Listen`].
pub async fn listen(address: SocketAddr, insecure: bool) -> Result<TcpListener, ServeError> {
    if !address.ip().is_loopback() && !insecure {
        return Err(ServeError::NotLoopback(address));
    }
    TcpListener::bind(address).await.map_err(|error| ServeError::Listen(address, error))
}

/// Serves `store` on `listener` until `shutdown` is done, then drains and closes the store.
///
/// # Errors
///
/// [`ServeError::Transport`] and [`ServeError::Close`].
pub async fn run(
    store: Arc<Store>,
    listener: TcpListener,
    choices: Choices,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    for name in SERVICES {
        health.set_service_status(name, ServingStatus::Serving).await;
    }
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let reflection_v1 = reflection().build_v1().expect("the descriptors were made by this build");
    let reflection_v1alpha = reflection().build_v1alpha().expect("the descriptors were made by this build");

    let (stopping, mut stopped) = watch::channel(false);
    let mut draining = stopped.clone();
    tokio::spawn(async move {
        shutdown.await;
        for name in SERVICES {
            health.set_service_status(name, ServingStatus::NotServing).await;
        }
        let _ = stopping.send(true);
    });
    let work = Work::default();
    let register = RegisterService::new(Arc::clone(&store), work.clone(), choices.hold, choices.resume);
    let looking = tokio::spawn(remove_expired(Arc::downgrade(&store)));
    let serving = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .add_service(health_service)
        .add_service(reflection_v1)
        .add_service(reflection_v1alpha)
        .add_service(MatchingServer::new(MatchingService(Arc::clone(&store))))
        .add_service(
            ShotLogServer::new(ShotLogService { store: Arc::clone(&store), work: work.clone() })
                .max_decoding_message_size(REQUEST_BYTES_MAX),
        )
        .add_service(RegisterServer::new(register.clone()).max_decoding_message_size(REQUEST_BYTES_MAX))
        .add_service(LedgersServer::new(LedgersService(Arc::clone(&store))))
        .add_service(OperationsServer::new(OperationsService(Arc::clone(&store))))
        // A small answer must not wait until the one before it was confirmed.
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), async move {
            drop(stopped.wait_for(|&stopping| stopping).await);
        });
    tokio::select! {
        served = serving => served?,
        () = async {
            drop(draining.wait_for(|&stopping| stopping).await);
            if tokio::time::timeout(DRAIN, work.finished()).await.is_err() {
                tracing::warn!(seconds = DRAIN.as_secs(), "requests were still under way when the server stopped");
            }
            tokio::time::sleep(FAREWELL).await;
        } => {}
    }
    looking.abort();
    register.end_interrupted();
    tokio::task::spawn_blocking(move || store.close()).await.unwrap_or(Ok(()))?;
    Ok(())
}

/// Removes the held loads whose time has run out, now and then: they take room.
async fn remove_expired(store: Weak<Store>) {
    let mut tick = tokio::time::interval(HELD_LOOK);
    loop {
        tick.tick().await;
        let Some(store) = store.upgrade() else { return };
        // A panic was reported by the panic hook.
        drop(tokio::task::spawn_blocking(move || store.held()).await);
    }
}

/// Done when the process is asked to end: SIGTERM or SIGINT.
pub async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        // Without handlers the default action ends the process, and recovery does the rest.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
