//! `/metrics`: what Prometheus reads.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Room;
use crate::metrics::CONTENT_TYPE;

/// All metrics in text format 0.0.4.
pub(super) async fn page(State(room): State<Room>) -> Response {
    let rendered = room.run(|desk| {
        (desk.before_scrape)();
        desk.metrics.render()
    });
    match rendered.await {
        Some(page) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], page).into_response(),
        None => (StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be gathered\n").into_response(),
    }
}
