//! The one place where a refusal becomes a gRPC status: its code, its message, and the rest as error details.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use sprint_core::refusal::{Code, Kind, Refusal};
use sprint_proto::convert::{self, Malformed};
use tonic::Status;

use crate::service::ServiceError;
use crate::service::watch::Values;

/// A stream of messages.
pub(super) type Messages<M> = BoxStream<'static, Result<M, Status>>;

pub(super) fn of(error: impl Into<ServiceError>) -> Status {
    let error = error.into();
    let mut status = refuse(&error.refusal());
    if error.kind() == Kind::Internal {
        tracing::error!(%error, "a call failed inside the coordinator");
        status.set_source(Arc::new(error));
    }
    status
}

pub(super) fn refuse(refusal: &Refusal) -> Status {
    let code = match refusal.kind() {
        Kind::NotFound => tonic::Code::NotFound,
        Kind::Invalid => tonic::Code::InvalidArgument,
        Kind::Precondition => tonic::Code::FailedPrecondition,
        Kind::Exists => tonic::Code::AlreadyExists,
        Kind::Unauthenticated => tonic::Code::Unauthenticated,
        Kind::Forbidden => tonic::Code::PermissionDenied,
        Kind::Exhausted => tonic::Code::ResourceExhausted,
        Kind::Unavailable => tonic::Code::Unavailable,
        Kind::Aborted => tonic::Code::Aborted,
        Kind::TimedOut => tonic::Code::DeadlineExceeded,
        Kind::Unimplemented => tonic::Code::Unimplemented,
        Kind::Internal => tonic::Code::Internal,
    };
    let details = convert::details_of(refusal, code.into());
    Status::with_details(code, refusal.message.clone(), details.into())
}

/// A refusal with no place and no next act.
pub(super) fn plain(code: Code, message: impl std::fmt::Display) -> Status {
    refuse(&Refusal::new(code, message))
}

pub(super) fn malformed(error: impl Into<Malformed>) -> Status {
    refuse(&Refusal::from(error.into()))
}

pub(super) fn stopping() -> Status {
    of(ServiceError::stopping())
}

/// A stream of what the services answer, as messages.
pub(super) fn messages<T, M>(values: Values<T>, encode: impl Fn(T) -> M + Send + 'static) -> Messages<M>
where
    T: Send + 'static,
    M: Send + 'static,
{
    values.map(move |value| value.map(&encode).map_err(of)).boxed()
}
