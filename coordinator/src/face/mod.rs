//! The faces: decode, call a service, encode.

pub mod grpc;
pub mod http;
