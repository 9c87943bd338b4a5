//! REST: JSON of the views that every face shows.

use axum::Json;
use axum::extract::State;
use sprint_core::status::CoordinatorStatus;

use super::failure::Failure;
use crate::face::Face;
use crate::service::operate;

pub(super) async fn status(State(face): State<Face>) -> Result<Json<CoordinatorStatus>, Failure> {
    let status = operate::status::status(&face.sprint, &face.http_url).await?;
    Ok(Json(status))
}

/// The metrics, in the text format of Prometheus.
pub(super) async fn metrics(State(face): State<Face>) -> Result<String, Failure> {
    Ok(operate::metrics::text(&face.sprint).await?)
}
