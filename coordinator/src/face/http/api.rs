//! REST: JSON of the views that every face shows.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use sprint_core::status::CoordinatorStatus;

use super::failure::Failure;
use crate::face::Face;
use crate::service::operate;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn status(State(face): State<Face>) -> Result<Json<CoordinatorStatus>, Failure> {
    let status = operate::status::status(&face.sprint, &face.http_url).await?;
    Ok(Json(status))
}

pub(super) async fn metrics(State(face): State<Face>) -> Result<impl IntoResponse, Failure> {
    let text = operate::metrics::text(&face.sprint).await?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text))
}
