//! The one place where a use case's error becomes a gRPC status.

use std::sync::Arc;

use sprint_proto::convert::Malformed;
use tonic::Status;

use crate::service::Kind;
use crate::service::ServiceError;

pub(super) fn of(error: ServiceError) -> Status {
    let message = error.to_string();
    match error.kind() {
        Kind::NotFound => Status::not_found(message),
        Kind::Invalid => Status::invalid_argument(message),
        Kind::Precondition => Status::failed_precondition(message),
        Kind::Exists => Status::already_exists(message),
        Kind::Unauthenticated => Status::unauthenticated(message),
        Kind::Forbidden => Status::permission_denied(message),
        Kind::Exhausted => Status::resource_exhausted(message),
        Kind::Unavailable => Status::unavailable(message),
        Kind::Aborted => Status::aborted(message),
        Kind::Internal => {
            tracing::error!(error = %message, "a call failed inside the coordinator");
            let mut status = Status::internal(message);
            status.set_source(Arc::new(error));
            status
        }
    }
}

pub(super) fn malformed(error: impl Into<Malformed>) -> Status {
    Status::invalid_argument(error.into().to_string())
}
