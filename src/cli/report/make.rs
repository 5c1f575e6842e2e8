//! Making a report of what was asked for.

use super::Report;
use crate::app::{Making, Unmade};
use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::cli::{flags, known, record};
use crate::config;
use crate::report::Asked;
use crate::time::Day;

/// Makes it.
///
/// # Errors
/// What was asked can't be meant, or the record can't be read.
pub(super) fn make(report: &Report, console: &mut Console<'_>) -> Result<(), Failure> {
    let wanted = &report.asked;
    let (Some(ban), Some(from), Some(to), Some(baseline)) = (&wanted.ban, wanted.from, wanted.to, wanted.baseline)
    else {
        return Err(Failure::usage("--ban, --from, --to and --baseline are needed"));
    };
    let asked = Asked::new(from, to, baseline).ok_or_else(|| {
        Failure::usage(format!(
            "no window to compare: {baseline} (--baseline) <= {from} (--from) <= {to} (--to) must hold"
        ))
    })?;
    let loaded = report.state.loaded(console)?;
    let load = config::policy(&loaded.settings, 1);
    let Some(policy) = load.policy else { return Err(Failure::Mistakes(load.diagnostics)) };
    flags::known_bans(&policy, std::slice::from_ref(ban))?;
    let Some(ban) = policy.bans().iter().find(|known| *known.id == **ban) else { return Ok(()) };
    let directory = &loaded.state_dir;
    record::flush(console, directory)?;
    record::look(console, directory, "report", format!("ban {}", ban.id))?;
    let site = wanted.site.as_deref();
    let devices = known::devices(&loaded.settings, Some(directory), console)?;
    let (devices, today) = (&devices, Day::of(console.now));
    let making = Making { loaded: &loaded, policy: &policy, ban, devices, asked: &asked, site, today, by: wanted.by };
    let made = making.make(&[report.format]).map_err(unmade)?;
    Ok(console.out.write_all(made.concat().as_bytes())?)
}

/// Why there is none, and what to do.
pub(super) fn unmade(error: Unmade) -> Failure {
    match error {
        Unmade::Store(error) => record::unread(error),
        Unmade::Site(why) => Failure::usage(why),
        Unmade::Ahead { .. } => Failure::usage(error.to_string()),
        Unmade::Audit(why) => Failure::cannot(why, ""),
        Unmade::Key(fault) => {
            let next = fault.next();
            Failure::cannot(fault, next)
        }
    }
}
