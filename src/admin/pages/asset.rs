//! Style and script. Their names hold their digest, so that a browser keeps them for good and never an old one.

use std::sync::LazyLock;

use axum::http::{Method, header};

use crate::admin::Room;
use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::reply::Reply;
use crate::admin::route::{Route, Work};
use crate::digest::hex_digest;

/// Everybody may have them: they say nothing of anybody, and the page to log in is made with them.
pub(in crate::admin) static ROUTES: [Route; 1] = [Route {
    method: Method::GET,
    path: "/assets/{part}",
    needs: None,
    query: &[],
    work: Work::Whole(file),
    about: None,
}];

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
        let digest: String = hex_digest(text.as_bytes()).chars().take(DIGITS).collect();
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

/// What stands beside a page's title.
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("embargo", "svg", "image/svg+xml", include_str!("assets/embargo.svg")));

/// One of them.
fn file(_room: &Room, call: &Call) -> Result<Reply, Problem> {
    let all = [&STYLE, &SCRIPT, &PLOT_STYLE, &PLOT_SCRIPT, &ICON];
    let found = all.into_iter().find(|asset| asset.name == call.part("part"));
    let asset = found.ok_or_else(|| Problem::missing("no such file"))?;
    Ok(Reply::of(asset.kind, asset.text).with(header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
}
