//! `Operations`: what operators ask.

use std::sync::Arc;

use sesshu_engine::Store;
use sesshu_proto::v1::operations_server::Operations;
use sesshu_proto::v1::{StatusReply, StatusRequest};
use tonic::{Request, Response, Status};

use crate::reply;

/// The service on a store.
pub struct OperationsService(pub Arc<Store>);

#[tonic::async_trait]
impl Operations for OperationsService {
    async fn status(&self, _request: Request<StatusRequest>) -> Result<Response<StatusReply>, Status> {
        Ok(Response::new(reply::of_status(&self.0)))
    }
}
