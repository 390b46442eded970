//! A server in the bench's own process, on loopback, and connections to it.

use std::sync::Arc;

use sesshu::app::{self, Choices};
use sesshu_engine::Store;
use tokio::runtime::{Builder, Runtime};
use tonic::transport::Channel;

/// A server of a store, and its clients.
pub struct Served {
    /// Of the clients.
    pub clients: Runtime,
    /// Connections to it.
    pub channels: Vec<Channel>,
    /// Ends with the process.
    _server: Runtime,
}

impl Served {
    /// Starts it, and so many connections.
    #[must_use]
    pub fn start(store: &Arc<Store>, connections: usize) -> Served {
        let server = Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let clients = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let address = "127.0.0.1:0".parse().expect("an address");
        let listener = server.block_on(app::listen(address, false)).expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it listens"));
        server.spawn(app::run(Arc::clone(store), listener, Choices::default(), std::future::pending::<()>()));
        let connect =
            || async { Channel::from_shared(url.clone()).expect("a URL").connect().await.expect("it listens") };
        let channels = (0..connections).map(|_| clients.block_on(connect())).collect();
        Served { clients, channels, _server: server }
    }
}
