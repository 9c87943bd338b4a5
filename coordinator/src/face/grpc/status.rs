//! The one place where a use case's error becomes a gRPC status.

use sprint_proto::convert::Malformed;
use tonic::Status;

use crate::git::GitError;
use crate::service::ServiceError;
use crate::store::StoreError;

pub(super) fn of(error: ServiceError) -> Status {
    let message = error.to_string();
    match error {
        ServiceError::NotFound(_) => Status::not_found(message),
        ServiceError::Invalid(_) => Status::invalid_argument(message),
        ServiceError::Precondition(_) | ServiceError::Refused(_) => Status::failed_precondition(message),
        ServiceError::Exists(_) => Status::already_exists(message),
        ServiceError::Git(
            GitError::Unreachable { .. } | GitError::Empty { .. } | GitError::NoBranch { .. } | GitError::NoTip(_),
        ) => Status::failed_precondition(message),
        ServiceError::Store(StoreError::Closed) => Status::unavailable(message),
        ServiceError::Git(_) | ServiceError::Store(_) | ServiceError::Io(_) => {
            tracing::error!(error = %message, "a call failed inside the coordinator");
            Status::internal(message)
        }
    }
}

pub(super) fn malformed(error: impl Into<Malformed>) -> Status {
    Status::invalid_argument(error.into().to_string())
}
