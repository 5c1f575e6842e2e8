//! Making reports when their time comes, those that were missed too, behind whatever answers queries.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::make::{Making, Unmade};
use super::plan::{self, Days};
use crate::app::parts::{CLOSE, Parts};
use crate::config::{Loaded, ReportSettings};
use crate::identity::Devices;
use crate::journal::Journal;
use crate::policy::Policy;
use crate::priority::beside;
use crate::replace::replace;
use crate::report::Asked;
use crate::time::{Day, Mono};

/// It is looked this often what is due: files may have gone, and the clock been set.
const LOOK: Duration = Duration::from_secs(60);
/// What could not be made is tried again after this.
const AGAIN: Duration = Duration::from_secs(600);

/// Why a report was not made.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("there is no ban `{0}`")]
    Ban(Arc<str>),
    #[error("the window begins before the baseline ends")]
    Window,
    #[error(transparent)]
    Unmade(#[from] Unmade),
    #[error("{}: {source}", .path.display())]
    Disk {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("there is no thread for it: {0}")]
    Thread(io::Error),
}

/// Makes what is due until `stop`.
pub(in crate::app) async fn keep(parts: Arc<Parts>, stop: CancellationToken) {
    let mut failed = BTreeMap::new();
    loop {
        let now = parts.clock.now().wall;
        parts.make_reports(&mut failed).await;
        let loaded = parts.loaded.load_full();
        let next = loaded.settings.reports.iter().map(|report| plan::next(report, now)).min();
        let until = next.and_then(|next| Duration::try_from(next.duration_since(now)).ok()).unwrap_or(LOOK);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(until.clamp(Duration::from_millis(100), LOOK)) => (),
        }
    }
}

/// By report, when one that failed is tried again.
type Failed = BTreeMap<Arc<str>, Mono>;

impl Parts {
    /// Makes every report that is due, one after the other.
    async fn make_reports(&self, failed: &mut Failed) {
        let loaded = self.loaded.load_full();
        self.metrics.reports.retain(&loaded.settings.reports.iter().map(|report| &*report.id).collect());
        let Some(in_force) = self.guard.in_force() else { return };
        for report in &loaded.settings.reports {
            let now = self.clock.now();
            if failed.get(&report.id).is_some_and(|again| now.mono < *again) {
                continue;
            }
            for days in plan::missing(report, now.wall, |days| is_there(report, days)) {
                let work = Work {
                    report: report.clone(),
                    days,
                    loaded: Arc::clone(&loaded),
                    policy: Arc::clone(&in_force.policy),
                    journal: Arc::clone(&self.journal),
                    devices: Arc::clone(&self.devices),
                    today: Day::of(now.wall),
                };
                let made = beside(move || work.make()).await.map_err(Fault::Thread).flatten();
                if self.told(report, days, &made) {
                    failed.remove(&report.id);
                } else {
                    failed.insert(Arc::clone(&report.id), now.mono.plus(AGAIN));
                    break;
                }
            }
        }
    }

    /// Counts and logs what became of one; whether it was made.
    fn told(&self, report: &ReportSettings, days: Days, made: &Result<bool, Fault>) -> bool {
        let (id, from, to) = (&*report.id, days.from.to_string(), days.to.to_string());
        let cells = self.metrics.reports.resolve(id);
        match made {
            &Ok(signed) => {
                cells.made.inc();
                cells.success.set(self.clock.now().wall.as_second().max(0).unsigned_abs());
                let directory = report.directory.display().to_string();
                tracing::info!(report = id, from, to, directory, signed, "A report is made.");
            }
            Err(error) => {
                cells.failed.inc();
                tracing::error!(report = id, from, to, %error, "A report could not be made; it is tried again.");
            }
        }
        made.is_ok()
    }
}

/// Whether a report is there in all its forms.
fn is_there(report: &ReportSettings, days: Days) -> bool {
    let path = |&format| report.directory.join(plan::file_name(&report.id, days, format));
    report.formats.iter().map(path).all(|path| path.exists())
}

/// One report to be made.
struct Work {
    report: ReportSettings,
    days: Days,
    loaded: Arc<Loaded>,
    policy: Arc<Policy>,
    journal: Arc<Journal>,
    devices: Arc<Devices>,
    today: Day,
}

impl Work {
    /// Makes it, and puts it where it belongs, whole or not at all; whether it is signed.
    fn make(self) -> Result<bool, Fault> {
        let Self { report, days, loaded, policy, journal, devices, today } = &self;
        let ban = policy.bans().iter().find(|ban| ban.id == report.ban);
        let ban = ban.ok_or_else(|| Fault::Ban(Arc::clone(&report.ban)))?;
        let asked = Asked::new(days.from, days.to, report.baseline).ok_or(Fault::Window)?;
        // What can't be written now is missing in the store, and the report says what that is.
        journal.flush(CLOSE).unwrap_or_default();
        let making = {
            let (site, today) = (report.site.as_deref(), *today);
            Making { loaded, policy, ban, devices, asked: &asked, site, today, by: report.by }
        };
        let made = making.make(&report.formats)?;
        let disk = |path: &PathBuf| {
            let path = path.clone();
            move |source| Fault::Disk { path, source }
        };
        let directory = &report.directory;
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(disk(directory))?;
        for (&format, text) in report.formats.iter().zip(&made) {
            let name = plan::file_name(&report.id, *days, format);
            let (path, beside) = (directory.join(&name), directory.join(format!(".{name}.new")));
            replace(&path, beside, text.as_bytes()).map_err(disk(&path))?;
        }
        self.remove_oldest().map_err(disk(directory))?;
        Ok(super::key::read(&loaded.state_dir).is_ok_and(|key| key.is_some()))
    }

    /// Removes the oldest of each form beyond those that are kept.
    fn remove_oldest(&self) -> io::Result<()> {
        let report = &self.report;
        for &format in &report.formats {
            let mut all: Vec<_> = fs::read_dir(&report.directory)?
                .filter_map(|entry| {
                    let entry = entry.ok()?;
                    Some((plan::is_of(&report.id, format, entry.file_name().to_str()?)?, entry.path()))
                })
                .collect();
            all.sort_unstable();
            for (_from, path) in all.iter().take(all.len().saturating_sub(report.keep)) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}
