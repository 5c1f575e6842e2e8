//! `/`: a page that links the others.

use axum::response::Html;

/// Says what this is and where to look.
pub(super) async fn page() -> Html<&'static str> {
    Html(concat!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Embargo</title></head>\n<body>\n",
        "<h1>Embargo ",
        env!("CARGO_PKG_VERSION"),
        "</h1>\n<ul>\n",
        "<li><a href=\"/metrics\">/metrics</a>: counters and gauges for Prometheus</li>\n",
        "<li><a href=\"/livez\">/livez</a>: whether the process runs</li>\n",
        "<li><a href=\"/readyz?verbose\">/readyz?verbose</a>: whether it answers DNS, check by check</li>\n",
        "</ul>\n</body>\n</html>\n",
    ))
}
