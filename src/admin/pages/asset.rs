//! Style and script. Their names hold their digest, so that a browser keeps them for good and never an old one.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::digest::Digest;

/// Digits of a digest in a name: enough that no two versions of a file have the same.
const DIGITS: usize = 16;

/// A file.
pub(super) struct Asset {
    /// The last segment of its address.
    name: String,
    kind: &'static str,
    text: &'static str,
}

impl Asset {
    fn new(stem: &str, ending: &str, kind: &'static str, text: &'static str) -> Self {
        let mut digest = Digest::new();
        digest.add(text.as_bytes());
        let digest: String = digest.finish().chars().take(DIGITS).collect();
        Self { name: format!("{stem}-{digest}.{ending}"), kind, text }
    }

    /// Its address.
    pub(super) fn address(&self) -> String {
        format!("/assets/{}", self.name)
    }
}

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// How pages look.
pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("embargo", "css", CSS, include_str!("assets/embargo.css")));
/// What pages do where scripts are allowed.
pub(super) static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("embargo", "js", JS, include_str!("assets/embargo.js")));
/// How plots look (uPlot, MIT licence: `assets/uplot-LICENSE.txt`).
pub(super) static PLOT_STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("uplot", "css", CSS, include_str!("assets/uplot-1.6.32.min.css")));
/// What draws plots (the same).
pub(super) static PLOT_SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("uplot", "js", JS, include_str!("assets/uplot-1.6.32.min.js")));

/// One of them.
pub(super) async fn file(Path(name): Path<String>) -> Response {
    let all = [&STYLE, &SCRIPT, &PLOT_STYLE, &PLOT_SCRIPT];
    match all.into_iter().find(|asset| asset.name == name) {
        Some(asset) => {
            let fields =
                [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
            (fields, asset.text).into_response()
        }
        None => (StatusCode::NOT_FOUND, "no such file\n").into_response(),
    }
}
