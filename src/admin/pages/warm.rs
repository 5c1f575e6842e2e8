//! What whoever opens the dashboard sees first is read before anybody asks for it: over millions of devices it takes longer than a
//! person wants to wait for a page.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::asked::Asked;
use super::devices::FIRST_ORDER;
use super::scope::Scope;
use super::trouble::Trouble;
use crate::admin::Room;
use crate::admin::problem::Problem;
use crate::journal::Store;

/// The lists may still be read, and the record may be none yet: it is looked again after this.
const SOON: Duration = Duration::from_secs(2);
/// How often it is looked whether figures have grown old, or are of another day than today.
const EVERY: Duration = Duration::from_secs(60);

/// Keeps them warm until the server stops.
pub(in crate::admin) async fn keep(room: Room, stop: CancellationToken) {
    loop {
        let read = room.ask(|room| first(room).map_err(|trouble| Problem::cannot(trouble.to_string()))).await;
        let wait = if read.is_ok() { EVERY } else { SOON };
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return;
        }
    }
}

/// Reads the figures of the first page and the order of the second, unless they are fresh.
fn first(room: &Room) -> Result<(), Trouble> {
    let house = room.house().map_err(|problem| Trouble::File(problem.detail))?;
    let (policy, now) = (house.policy().ok_or(Trouble::NoPolicy)?, house.now().wall);
    let store = Store::open_read_only(house.state_dir())?;
    let scope = Scope::of(policy, &store, &Asked::nothing(), now)?;
    let devices = house.devices();
    let kept = room.memo.warm((&store, &devices), &scope.figures(), now)?;
    kept.numbers(&store.presence()?.uniting(&devices)?, FIRST_ORDER)?;
    Ok(())
}
