//! Taking connections: on a thread of its own that steps back behind those that serve DNS, so that neither a flood nor a scan of
//! this page is felt there.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::converse::{self, Way};
use super::places::Places;
use super::{Desk, Listeners};
use crate::metrics::BlockPageEnd;
use crate::priority::{make_way, yield_to_serving};

/// Time to wait when the operating system gives no connection, so that a lasting fault costs no processor.
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// Connections that are open at the end are waited for this long.
const DRAIN: Duration = Duration::from_secs(1);

/// The running page.
#[derive(Debug)]
pub struct BlockPage {
    stop: CancellationToken,
    ended: oneshot::Receiver<()>,
}

impl BlockPage {
    /// Answers on these sockets, with so many connections at once.
    ///
    /// # Errors
    /// There is no thread for it, or a socket can't be read.
    pub fn start(listeners: Listeners, connections_max: usize, desk: Desk) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, (done, ended)) = (CancellationToken::new(), oneshot::channel());
        let (places, stopped) = (Places::new(connections_max), stop.clone());
        let listening = {
            let _within = runtime.enter();
            let of = |listeners: Vec<TcpListener>, way: Way| {
                listeners.into_iter().map(move |listener| Ok((tokio::net::TcpListener::from_std(listener)?, way)))
            };
            let both = of(listeners.http, Way::Http).chain(of(listeners.https, Way::Https));
            both.collect::<io::Result<Vec<_>>>()?
        };
        thread::Builder::new().name("block page".to_owned()).spawn(move || {
            yield_to_serving();
            runtime.block_on(serve(listening, &places, &desk, &stopped));
            // What is still open ends here, and says so.
            drop(runtime);
            // Nobody waits when the server was not stopped in order.
            let _nobody = done.send(());
        })?;
        Ok(Self { stop, ended })
    }

    /// Takes no more connections, and ends those that are open soon.
    pub async fn stop(self) {
        self.stop.cancel();
        let _gave_up = tokio::time::timeout(2 * DRAIN, self.ended).await;
    }
}

async fn serve(
    listening: Vec<(tokio::net::TcpListener, Way)>,
    places: &Arc<Places>,
    desk: &Desk,
    stop: &CancellationToken,
) {
    let connections = TaskTracker::new();
    let listeners = TaskTracker::new();
    for (listener, way) in listening {
        let (places, desk) = (Arc::clone(places), desk.clone());
        listeners.spawn(stop.clone().run_until_cancelled_owned(take(listener, way, places, desk, connections.clone())));
    }
    listeners.close();
    listeners.wait().await;
    connections.close();
    let _gave_up = tokio::time::timeout(DRAIN, connections.wait()).await;
}

async fn take(listener: tokio::net::TcpListener, way: Way, places: Arc<Places>, desk: Desk, connections: TaskTracker) {
    loop {
        let Ok((stream, client)) = listener.accept().await else {
            tokio::time::sleep(RETRY_AFTER).await;
            continue;
        };
        let ended = |end| desk.metrics.block_page.ended(end).inc();
        if !desk.guard.serves(client.ip()) {
            ended(BlockPageEnd::NotServed);
        } else if let Some(place) = places.place(client.ip()) {
            let (desk, places) = (desk.clone(), Arc::clone(&places));
            desk.metrics.block_page.open.set(places.taken() as u64);
            connections.spawn(async move {
                converse::to_its_end(stream, (client, way), &place, &desk).await;
                drop(place);
                desk.metrics.block_page.open.set(places.taken() as u64);
            });
        } else {
            ended(BlockPageEnd::Refused);
        }
        // Between two of them whoever serves DNS gets the processor.
        make_way();
    }
}
