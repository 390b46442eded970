//! What operators ask of a server, and have it do.
//!
//! Owns the calls of `Operations`; the connection is `client`'s.

use std::ops::ControlFlow;

use sesshu_engine::SnapshotName;
use sesshu_proto::v1::operations_client::OperationsClient;
use sesshu_proto::v1::{
    CompactReply, CompactRequest, CreateSnapshotRequest, DeleteSnapshotRequest, ListSnapshotsRequest,
    ReadSnapshotRequest, SnapshotInfo, StatusReply, StatusRequest, VerifyReply, VerifyRequest,
};
use tonic::transport::Channel;

use crate::client::{Client, ClientError, REPLY_BYTES_MAX};

impl Client {
    /// Compacts ledgers; `tell` hears of everything, and ends it.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`].
    pub fn compact(
        &self,
        request: CompactRequest,
        tell: &mut dyn FnMut(CompactReply) -> ControlFlow<()>,
    ) -> Result<(), ClientError> {
        let mut operations = self.operations();
        self.runtime.block_on(async {
            let mut stream = operations.compact(request).await?.into_inner();
            while let Some(reply) = stream.message().await? {
                if tell(reply).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Verifies the server's store; `tell` hears of everything, and ends it.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`].
    pub fn verify(
        &self,
        request: VerifyRequest,
        tell: &mut dyn FnMut(VerifyReply) -> ControlFlow<()>,
    ) -> Result<(), ClientError> {
        let mut operations = self.operations();
        self.runtime.block_on(async {
            let mut stream = operations.verify(request).await?.into_inner();
            while let Some(reply) = stream.message().await? {
                if tell(reply).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// The state of the server's store.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`].
    pub fn status(&self) -> Result<StatusReply, ClientError> {
        let mut operations = self.operations();
        Ok(self.runtime.block_on(operations.status(StatusRequest {}))?.into_inner())
    }

    /// Makes a snapshot of the server's store.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`].
    pub fn create_snapshot(&self, name: &SnapshotName) -> Result<SnapshotInfo, ClientError> {
        let request = CreateSnapshotRequest { name: name.to_string() };
        Ok(self.runtime.block_on(self.operations().create_snapshot(request))?.into_inner())
    }

    /// The snapshots of the server's store.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`].
    pub fn snapshots(&self) -> Result<Vec<SnapshotInfo>, ClientError> {
        let mut operations = self.operations();
        Ok(self.runtime.block_on(operations.list_snapshots(ListSnapshotsRequest {}))?.into_inner().snapshots)
    }

    /// Deletes a snapshot of the server's store.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`].
    pub fn delete_snapshot(&self, name: &SnapshotName) -> Result<(), ClientError> {
        let request = DeleteSnapshotRequest { name: name.to_string() };
        self.runtime.block_on(self.operations().delete_snapshot(request))?;
        Ok(())
    }

    /// Reads a file of a snapshot, in order; an empty path is that of the file `SNAPSHOT`.
    ///
    /// # Errors
    ///
    /// [`ClientError::Status`], or what `hand_on` says.
    pub fn read_snapshot(
        &self,
        name: &SnapshotName,
        path: &str,
        hand_on: &mut dyn FnMut(&[u8]) -> Result<(), ClientError>,
    ) -> Result<(), ClientError> {
        let request = ReadSnapshotRequest { name: name.to_string(), path: path.to_owned() };
        let mut operations = self.operations();
        let mut stream = self.runtime.block_on(operations.read_snapshot(request))?.into_inner();
        while let Some(reply) = self.runtime.block_on(stream.message())? {
            hand_on(&reply.content)?;
        }
        Ok(())
    }

    fn operations(&self) -> OperationsClient<Channel> {
        OperationsClient::new(self.channel.clone()).max_decoding_message_size(REPLY_BYTES_MAX)
    }
}
