//! HTTP: git for outposts and people, whether the coordinator is well, and what it does.

mod access;
mod api;
mod failure;
mod git;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, any, get};
use sprint_core::access::Permission;
use tonic::Status;

use self::access::Gatekeeper;
use super::Face;
use super::caller::Peer;
use crate::service::admission::audit;

/// A path, what it needs, and who answers it.
struct Route {
    path: &'static str,
    permission: Permission,
    serve: fn(&Face) -> MethodRouter<Face>,
}

const ROUTES: &[Route] = &[
    Route { path: "/api/v1/status", permission: Permission::View, serve: |_| get(api::status) },
    Route { path: "/metrics", permission: Permission::View, serve: |_| get(api::metrics) },
    // Each repository and each ref has rules of its own, in the service.
    Route {
        path: "/git/{*path}",
        permission: Permission::Enter,
        serve: |face| any(git::serve).with_state(git::State::new(face)),
    },
    Route { path: "/healthz", permission: Permission::Enter, serve: |_| get(async || "ok\n") },
];

/// The paths, and an answer for all others.
pub fn router(face: &Face) -> Router {
    let served = ROUTES.iter().fold(Router::new(), |router, Route { path, permission, serve }| {
        let keeper = Gatekeeper { face: face.clone(), path, permission: *permission };
        let check = from_fn_with_state(keeper, access::check);
        router.route(path, serve(face).layer(check))
    });
    served.fallback(nothing).with_state(face.clone())
}

/// The permission that each path needs.
#[cfg(test)]
pub(super) fn permissions() -> impl Iterator<Item = (&'static str, Permission)> {
    ROUTES.iter().map(|route| (route.path, route.permission))
}

async fn nothing(State(face): State<Face>, request: Request) -> Response {
    if let Some(peer) = request.extensions().get::<Peer>() {
        let what = format!("{} {}", request.method(), request.uri().path());
        audit::refused(&face.sprint, peer.stranger(), &what, "there is nothing there").await;
    }
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if content_type.is_some_and(|value| value.starts_with("application/grpc")) {
        return Status::unimplemented("there is no such service").into_http();
    }
    (StatusCode::NOT_FOUND, "there is nothing here; git is served below /git/\n").into_response()
}
