//! Attempts as they come (server-sent events): one reader of the record for all who follow, and nobody waited for.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use futures_util::stream;
use tokio::sync::{broadcast, mpsc};

use super::filter::{OF_NEWS, wanted};
use super::record::sent;
use crate::access::Scope;
use crate::admin::Room;
use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::route::{About, Answered, Route, Work};
use crate::journal::{AttemptRow, Filter, Follower, Store, Wanted};

/// Who may follow at a time.
const FOLLOWERS_MAX: usize = 32;
/// Rows that are kept for those who have not read them yet: three looks at a record that grows as fast as it may.
const ROWS_MAX: usize = 16_384;
/// Events that wait for one client.
const WAITING_MAX: usize = 64;
/// The record is written once a second.
const LOOK: Duration = Duration::from_secs(1);
/// A client that does not read for so long is cut off.
const STALLED: Duration = Duration::from_secs(10);
/// A client that there is nothing to tell is told so, and proxies keep the connection; then, too, it is asked whether it still may.
const STILL: Duration = Duration::from_secs(15);

/// The routes.
pub(super) static ROUTES: [Route; 1] = [Route {
    method: Method::GET,
    path: "/api/v1/attempts/live",
    needs: Some(Scope::Read),
    query: &OF_NEWS,
    work: Work::Stream(follow),
    about: Some(&About {
        id: "attempts_live",
        tag: "record",
        summary: "Attempts as they come: server-sent events named `attempt`, each with a row as of /api/v1/attempts and `count` of what \
                  is new. A client that does not read is cut off.",
        body: None,
        status: StatusCode::OK,
        answer: Answered::Other(&["text/event-stream"]),
    }),
}];

/// The one reader, and whom it reads for.
#[derive(Debug)]
pub(in crate::admin) struct Live {
    rows: broadcast::Sender<Arc<AttemptRow>>,
    reads: Mutex<bool>,
}

impl Default for Live {
    fn default() -> Self {
        Self { rows: broadcast::Sender::new(ROWS_MAX), reads: Mutex::default() }
    }
}

fn follow(room: &Room, call: Call) -> Result<Response, Problem> {
    let wanted = wanted(&call)?;
    if call.is_head {
        return Ok(events(Body::empty()));
    }
    let live = &room.live;
    if live.rows.receiver_count() >= FOLLOWERS_MAX {
        let problem = Problem::cannot(format!("{FOLLOWERS_MAX} clients follow already, which is the limit"));
        return Err(Problem { retry_after: Some(60), ..problem });
    }
    let rows = live.rows.subscribe();
    read(room);
    call.peer.lasts.store(true, Ordering::Relaxed);
    let (events_to, waiting) = mpsc::channel(WAITING_MAX);
    tokio::spawn(pump(room.clone(), call, wanted, rows, events_to));
    let body = stream::unfold(waiting, |mut waiting| async move {
        let event: Bytes = waiting.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(event), waiting))
    });
    Ok(events(Body::from_stream(body)))
}

fn events(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

/// Sends one client what it wants, until it leaves, does not read, or may no longer.
async fn pump(
    room: Room,
    call: Call,
    wanted: Wanted,
    mut rows: broadcast::Receiver<Arc<AttemptRow>>,
    events: mpsc::Sender<Bytes>,
) {
    let counted = &room.desk.metrics.admin;
    counted.followers.inc();
    let mut still = tokio::time::interval(STILL);
    loop {
        let event = tokio::select! {
            () = call.peer.stop.cancelled() => break,
            () = events.closed() => break,
            _tick = still.tick() => {
                if !may_still(&room, &call).await {
                    break;
                }
                Some(Bytes::from_static(b": still here\n\n"))
            }
            row = rows.recv() => match row {
                Ok(row) => wanted.holds(&row).then(|| Bytes::from(format!("event: attempt\ndata: {}\n\n", sent(&row)))),
                // It was too slow for all that came: better no stream than one with holes that nobody sees.
                Err(broadcast::error::RecvError::Lagged(_rows)) => {
                    cut(&call, counted);
                    break;
                }
                Err(broadcast::error::RecvError::Closed) => break,
            },
        };
        let Some(event) = event else { continue };
        match events.send_timeout(event, STALLED).await {
            Ok(()) => (),
            Err(mpsc::error::SendTimeoutError::Closed(_event)) => break,
            Err(mpsc::error::SendTimeoutError::Timeout(_event)) => {
                cut(&call, counted);
                break;
            }
        }
    }
    counted.followers.dec();
}

fn cut(call: &Call, counted: &crate::metrics::Admin) {
    counted.followers_cut.inc();
    tracing::info!(from = %call.peer.ip(), "A client that followed the attempts did not read them, and was cut off.");
    call.peer.cut.cancel();
}

async fn may_still(room: &Room, call: &Call) -> bool {
    let caller = call.caller.clone();
    let asked = room.ask(move |room| {
        let house = room.house()?;
        let book = house.access().book().map_err(|error| Problem::cannot(error.to_string()))?;
        Ok(caller.is_still(&book, house.now()))
    });
    asked.await.unwrap_or(false)
}

/// Has the record be read while anybody follows.
fn read(room: &Room) {
    let mut reads = room.live.reads.lock().unwrap_or_else(PoisonError::into_inner);
    if !*reads {
        *reads = true;
        tokio::spawn(reader(room.clone()));
    }
}

async fn reader(room: Room) {
    let mut follower: Option<Follower> = None;
    loop {
        {
            let mut reads = room.live.reads.lock().unwrap_or_else(PoisonError::into_inner);
            if room.live.rows.receiver_count() == 0 {
                *reads = false;
                return;
            }
        }
        let before = follower.take();
        match room.ask(move |room| look(room, before)).await {
            Ok((next, rows)) => {
                follower = next;
                for row in rows {
                    // Nobody may be left by now.
                    let _nobody = room.live.rows.send(Arc::new(row));
                }
            }
            Err(problem) => tracing::debug!(problem.detail, "The record could not be followed."),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What is new in the record since the last look, and how to look again.
fn look(room: &Room, before: Option<Follower>) -> Result<(Option<Follower>, Vec<AttemptRow>), Problem> {
    let house = room.house()?;
    // Nothing is recorded yet, or it can't be read just now: it is looked for again.
    let Ok(store) = Store::open_read_only(house.state_dir()) else { return Ok((before, Vec::new())) };
    let cannot = |error: crate::journal::StoreError| Problem::cannot(error.to_string());
    let now = house.now().wall;
    let Some(mut follower) = before else {
        let mut follower = Follower::new(Filter::default(), now);
        follower.begin(&store, None).map_err(cannot)?;
        return Ok((Some(follower), Vec::new()));
    };
    let news = follower.look(&store, now).map_err(cannot)?;
    Ok((Some(follower), news.rows))
}
