//! What a ban does, to all or to some: mode, dates, hours, share of clients and action, as far as one place says so.

use jiff::tz::TimeZone;
use toml::Spanned;

use super::at::At;
use super::convert::time_zone;
use super::file;
use super::reader::Reader;
use super::who::named;
use crate::diag::Diagnostic;
use crate::policy::{Action, Group, GroupIndex, Mode, Schedule, Share, Stance, Term, Window};
use crate::time::Timestamp;

/// What one place says; what it leaves out is taken from the place below it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct StanceChange {
    mode: Option<At<Mode>>,
    observe_from: Option<At<Timestamp>>,
    enforce_from: Option<At<Timestamp>>,
    pub(super) action: Option<At<Action>>,
    schedule: Option<Limit<Schedule>>,
    rollout: Option<Limit<Share>>,
}

/// A limit as one place has it, which may lift the one of the place below.
#[derive(Clone, Debug, PartialEq)]
enum Limit<T> {
    Lifted,
    To(T),
}

impl<T> From<Option<T>> for Limit<T> {
    fn from(limit: Option<T>) -> Self {
        limit.map_or(Self::Lifted, Self::To)
    }
}

impl<T> Limit<T> {
    fn into_inner(self) -> Option<T> {
        match self {
            Self::Lifted => None,
            Self::To(limit) => Some(limit),
        }
    }
}

/// What the operator changes about one ban for the clients of some groups.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TermChange {
    groups: Vec<GroupIndex>,
    stance: StanceChange,
}

impl StanceChange {
    /// What is written, understood.
    pub(super) fn read(written: &file::Stance<'_>, default_zone: &TimeZone, reader: &mut Reader<'_>) -> Self {
        Self {
            mode: reader.word(written.mode, "mode", &Mode::ALL, Mode::as_str),
            observe_from: reader.moment(written.observe_from, default_zone),
            enforce_from: reader.moment(written.enforce_from, default_zone),
            action: reader.word(written.action, "action", &Action::ALL, Action::as_str),
            schedule: schedule(written.schedule, written.time_zone, default_zone, reader),
            rollout: written
                .rollout
                .as_ref()
                .map(|_written| Share::new(reader.count(written.rollout, 1..=100, 100)).into()),
        }
    }

    /// Says this mode, whatever it said.
    pub(super) fn set_mode(&mut self, mode: At<Mode>) {
        self.mode = Some(mode);
    }

    /// This change where it says something, `below` where it does not.
    pub(super) fn over(self, below: Self) -> Self {
        Self {
            mode: self.mode.or(below.mode),
            observe_from: self.observe_from.or(below.observe_from),
            enforce_from: self.enforce_from.or(below.enforce_from),
            action: self.action.or(below.action),
            schedule: self.schedule.or(below.schedule),
            rollout: self.rollout.or(below.rollout),
        }
    }

    /// The stance. `has_sinkhole`: there are addresses for the action of that name.
    ///
    /// Points at a date that `own`, the operator's part of this change, has: the other one may stand in a file that is not
    /// theirs.
    pub(super) fn into_stance(self, own: Option<&Self>, has_sinkhole: bool, mistakes: &mut Vec<Diagnostic>) -> Stance {
        if let (Some(observe), Some(enforce)) = (&self.observe_from, &self.enforce_from)
            && observe.value > enforce.value
        {
            let only_enforce = own.is_some_and(|own| own.observe_from.is_none() && own.enforce_from.is_some());
            let culprit = if only_enforce { enforce } else { observe };
            let (observe, enforce) = (observe.value, enforce.value);
            let message =
                format!("`observe_from` ({observe}) is after `enforce_from` ({enforce}); a ban observes first");
            mistakes.push(culprit.error(message));
        }
        if let Some(action) = self.action.as_ref().filter(|action| action.value == Action::Sinkhole && !has_sinkhole) {
            mistakes.push(action.error("the action `sinkhole` needs addresses; write sinkhole = [\"192.0.2.1\"]"));
        }
        let default = Stance::default();
        Stance {
            mode: self.mode.map_or(default.mode, |at| at.value),
            observe_from: self.observe_from.map(|at| at.value),
            enforce_from: self.enforce_from.map(|at| at.value),
            schedule: self.schedule.and_then(Limit::into_inner),
            rollout: self.rollout.and_then(Limit::into_inner),
            action: self.action.map_or(default.action, |at| at.value),
        }
    }
}

impl TermChange {
    /// What is written, understood.
    pub(super) fn read(
        written: &Spanned<file::Term>,
        groups: &[Group],
        zone: &TimeZone,
        reader: &mut Reader<'_>,
    ) -> Self {
        let (term, table) = (written.get_ref(), written.span());
        match &term.groups {
            None => reader.missing("groups", Some(table)),
            Some(none) if none.get_ref().is_empty() => reader.error(none.span(), "names no group"),
            Some(_some) => (),
        }
        let groups = named(&term.groups, groups, reader);
        Self { groups, stance: StanceChange::read(&term.stance(), zone, reader) }
    }

    /// The term of a ban that otherwise takes the stance `of_ban`.
    pub(super) fn into_term(self, of_ban: &StanceChange, has_sinkhole: bool, mistakes: &mut Vec<Diagnostic>) -> Term {
        let own = self.stance.clone();
        // What is wrong with the ban's own action has been said there.
        let has_sinkhole = has_sinkhole || own.action.is_none();
        let stance = self.stance.over(of_ban.clone()).into_stance(Some(&own), has_sinkhole, mistakes);
        Term { groups: self.groups, stance }
    }
}

fn schedule(
    written: &file::Texts,
    zone_written: &file::Text,
    default_zone: &TimeZone,
    reader: &mut Reader<'_>,
) -> Option<Limit<Schedule>> {
    let zone = if zone_written.is_some() { time_zone(zone_written, reader) } else { default_zone.clone() };
    let Some(texts) = written else {
        if let Some(alone) = zone_written {
            reader.error(alone.span(), "`time_zone` is that of `schedule`, which is missing");
        }
        return None;
    };
    let mut windows = Vec::new();
    for text in texts.get_ref() {
        match Window::parse(text.get_ref()) {
            Ok(window) => windows.push(window),
            Err(error) => reader.error(text.span(), error.to_string()),
        }
    }
    Some((!windows.is_empty()).then(|| Schedule::new(windows, zone)).into())
}
