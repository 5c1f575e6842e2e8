//! What stands in front of every answer: who is served, the policy in force, the record, and data of our own.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::clock::Clock;
use crate::identity::{Identifier, ToldId};
use crate::journal::{self, Attempt, Journal, SeriesId};
use crate::local::Local;
use crate::metrics::{AttemptCounters, DEFAULT_SITE, Did, Metrics, Tally, list_label};
use crate::policy::{
    self, Action, BanIndex, Blocked, Decision, Evidence, Exemption, Exemptions, Hit, Holder, Mode, Named, Policy,
    Roster, Series, SiteIndex, Spared, SparedHit, Verdict,
};
use crate::time::Now;
use crate::transfer::{Notices, Primary, Said};
use crate::wire::{LowerName, Query, Secret};

use super::client::{Admission, Client};
use super::crowds::{Crowd, Crowds};
use super::hop::{Hop, HopConfig};
use super::rates::{RateConfig, Rates};
use super::screen::{self, Led};

/// Policy, record, admission and local data; one for the whole process, swapped part by part while queries run.
pub struct Guard {
    policy: ArcSwapOption<InForce>,
    /// Who is spared, whatever the policy; held while either is exchanged.
    exemptions: Mutex<(Vec<Arc<Exemption>>, Roster)>,
    admission: ArcSwap<Admission>,
    hop: ArcSwap<Hop>,
    /// What cookies are made with when no other secret is given.
    own: Secret,
    local: ArcSwap<Local>,
    rates: ArcSwapOption<Rates>,
    /// Zones of ours; none: nobody may have any.
    primary: ArcSwapOption<Primary>,
    /// Zones of others that are heard of.
    notices: ArcSwapOption<Notices>,
    /// Addresses that stand for many.
    crowds: Crowds,
    pub(super) journal: Arc<Journal>,
    metrics: Arc<Metrics>,
    clock: Clock,
}

/// A policy in force, with its counters and the record's numbers looked up once, and who is spared by it.
pub struct InForce {
    /// The policy; the next of the same with other exemptions shares it.
    pub policy: Arc<Policy>,
    pub(super) counters: Arc<AttemptCounters>,
    /// By site, the one of clients that are of none first, and series.
    pub(super) recorded: Arc<[Vec<SeriesId>]>,
    pub(super) exemptions: Exemptions,
    /// Who is known as a device that exemptions or groups name.
    pub(super) roster: Roster,
}

/// A query as the policy in force judges it: what every step of its way asks about it.
pub(super) struct Judged<'a> {
    pub(super) in_force: &'a InForce,
    pub(super) query: &'a Query<'a>,
    pub(super) client: &'a Client,
    pub(super) verdict: Verdict<'a>,
    /// Rules that would have observed or enforced, were the client not spared.
    pub(super) spared: Vec<SparedHit<'a>>,
    /// When the query came.
    pub(super) now: Now,
}

impl InForce {
    fn new(
        policy: Arc<Policy>,
        counters: Arc<AttemptCounters>,
        recorded: Arc<[Vec<SeriesId>]>,
        (exempt, roster): &(Vec<Arc<Exemption>>, Roster),
    ) -> Self {
        let exemptions = Exemptions::with_devices(exempt, &policy, roster);
        let roster = policy.with_groups(roster.clone());
        Self { policy, counters, recorded, exemptions, roster }
    }

    /// Judges a query that came at `now`.
    #[inline]
    pub(super) fn judge<'a>(&'a self, query: &'a Query<'a>, client: &'a Client, now: Now) -> Judged<'a> {
        let (name, asker) = (&query.name, self.asker(client));
        let judged = self.policy.decide_sparing(&self.exemptions, name, query.qtype, &asker, now.wall);
        Judged { in_force: self, query, client, verdict: judged.verdict, spared: judged.hits, now }
    }

    /// Who asks, as policy is to know it.
    #[inline]
    pub(super) fn asker(&self, client: &Client) -> policy::Client {
        let device = if self.roster.is_empty() { Named::NOBODY } else { self.roster.named(holder(client)) };
        policy::Client { device, ..client.for_policy() }
    }

    /// Judges a name to which the answer to a query leads, as if the bans that are `left_out` did not exist.
    pub(super) fn judge_led(
        &self,
        judged: &Judged<'_>,
        name: &LowerName,
        left_out: impl Fn(BanIndex) -> bool,
    ) -> Spared<'_> {
        let Judged { query, client, now, .. } = judged;
        let asked = (query.qtype, &self.asker(client), now.wall);
        self.policy.decide_led(&self.exemptions, (name, &query.name), asked, left_out)
    }

    /// The site of an address.
    pub(super) fn site_of(&self, address: IpAddr) -> Arc<str> {
        let who = self.policy.who();
        let site = who.of(address).site().and_then(|SiteIndex(index)| who.sites().nth(usize::from(index)));
        site.map_or_else(|| Arc::from(DEFAULT_SITE), |site| Arc::clone(&site.id))
    }

    /// Judges an address to which the answer leads.
    pub(super) fn judge_address(
        &self,
        judged: &Judged<'_>,
        address: IpAddr,
        left_out: impl Fn(BanIndex) -> bool,
    ) -> Spared<'_> {
        let Judged { query, client, now, .. } = judged;
        let asked = (&self.asker(client), now.wall);
        self.policy.decide_address_sparing(&self.exemptions, address, &query.name, asked, left_out)
    }
}

/// What is in force at one moment, loaded once for many queries.
pub(super) struct View {
    pub(super) in_force: arc_swap::Guard<Option<Arc<InForce>>>,
    pub(super) admission: arc_swap::Guard<Arc<Admission>>,
    pub(super) hop: arc_swap::Guard<Arc<Hop>>,
    pub(super) local: arc_swap::Guard<Arc<Local>>,
    pub(super) rates: arc_swap::Guard<Option<Arc<Rates>>>,
}

impl Guard {
    /// A guard without policy: until [`Guard::enforce`] is called, every query gets SERVFAIL. Of local data it has what no
    /// setting takes away: nothing is handed on that is asked for below `onion` and `resolver.arpa`.
    pub fn new(admission: Admission, journal: Arc<Journal>, metrics: Arc<Metrics>, clock: Clock) -> Self {
        let own = Secret(rand::random());
        Self {
            policy: ArcSwapOption::empty(),
            exemptions: Mutex::default(),
            admission: ArcSwap::from_pointee(admission),
            hop: ArcSwap::from_pointee(Hop::new(HopConfig::default(), own)),
            own,
            local: ArcSwap::from_pointee(Local::least()),
            rates: ArcSwapOption::empty(),
            primary: ArcSwapOption::empty(),
            notices: ArcSwapOption::empty(),
            crowds: Crowds::new(),
            journal,
            metrics,
            clock,
        }
    }

    /// Puts a policy in force, in place of the one before, between one query and the next. Returns the one before, which
    /// queries under way may still hold: whoever lets go of it last frees its memory.
    pub fn enforce(&self, policy: Policy) -> Option<Arc<InForce>> {
        let at = self.clock.now().wall;
        let modes: Vec<(Arc<str>, Mode)> =
            policy.bans().iter().map(|ban| (Arc::clone(&ban.id), ban.mode_at(at))).collect();
        // Behind the rules' own series stand the same ones as an answer that leads to a banned name counts them.
        let labels = |series: &Series, evidence| (Arc::clone(&series.ban), Arc::clone(&series.category), evidence);
        let own = policy.series().iter().map(|series| labels(series, series.evidence));
        let led = policy.series().iter().map(|series| labels(series, screen::weakened(series.evidence)));
        let series: Vec<_> = own.chain(led).collect();
        let off = |id: &str| policy.bans().iter().any(|ban| *ban.id == *id && ban.ceiling() == Mode::Off);
        let counted: Vec<_> = series.iter().map(|series| (!off(&series.0)).then(|| series.clone())).collect();
        let sites: Vec<Arc<str>> = policy.who().sites().map(|site| Arc::clone(&site.id)).collect();
        let counters = self.metrics.banned.set_policy(&modes, &counted, &sites);
        let counters = self.metrics.banned.with_lists(counters, &lists_on(&policy));
        let sites = [Arc::from(DEFAULT_SITE)].into_iter().chain(sites);
        let recorded =
            sites.map(|site| series.iter().map(|series| self.recorded_as(series, &site)).collect()).collect();
        let exempt = self.exemptions.lock().unwrap_or_else(PoisonError::into_inner);
        self.policy.swap(Some(Arc::new(InForce::new(Arc::new(policy), Arc::new(counters), recorded, &exempt))))
    }

    /// Spares these from now on, and nobody else. Devices that they or groups name are known by the roster.
    pub fn exempt(&self, all: Vec<Arc<Exemption>>, roster: Roster) {
        let mut exempt = self.exemptions.lock().unwrap_or_else(PoisonError::into_inner);
        *exempt = (all, roster);
        if let Some(before) = self.policy.load_full() {
            let (policy, counters) = (Arc::clone(&before.policy), Arc::clone(&before.counters));
            let next = InForce::new(policy, counters, Arc::clone(&before.recorded), &exempt);
            self.policy.store(Some(Arc::new(next)));
        }
    }

    fn recorded_as(&self, (ban, category, evidence): &(Arc<str>, Arc<str>, Evidence), site: &Arc<str>) -> SeriesId {
        let (ban, category, site) = (Arc::clone(ban), Arc::clone(category), Arc::clone(site));
        self.journal.series(journal::Series { ban, category, evidence: *evidence, site })
    }

    /// Serves these networks from now on.
    pub fn admit(&self, admission: Admission) {
        self.admission.store(Arc::new(admission));
    }

    /// Shows clients this hop as `config` has it from now on. Cookies stay known if the secrets do.
    pub fn show(&self, config: HopConfig) {
        self.hop.store(Arc::new(Hop::new(config, self.own)));
    }

    /// This hop as clients see it, if the query has options to be heeded.
    pub(super) fn hop_for(&self, query: &Query<'_>) -> Option<Arc<Hop>> {
        query.edns?.options.map(|_asked| self.hop.load_full())
    }

    /// The networks that are served.
    pub fn admission(&self) -> Arc<Admission> {
        self.admission.load_full()
    }

    /// Limits responses to clients that prove nothing from now on, or no longer. What they were sent stays known while the
    /// limits stay the same.
    pub fn limit(&self, config: Option<RateConfig>) {
        if self.rates.load().as_ref().map(|rates| rates.config()) != config.as_ref() {
            self.rates.store(config.map(|config| Arc::new(Rates::new(config))));
        }
    }

    /// The limits in force.
    pub(super) fn rates(&self) -> arc_swap::Guard<Option<Arc<Rates>>> {
        self.rates.load()
    }

    /// Data of our own in force.
    pub(super) fn local(&self) -> arc_swap::Guard<Arc<Local>> {
        self.local.load()
    }

    /// Answers this by itself from now on.
    pub fn answer_locally(&self, local: Local) {
        self.local.store(Arc::new(local));
    }

    /// What a query of our own is answered by data of our own, as a message.
    pub fn said_locally(&self, message: &[u8]) -> Option<Vec<u8>> {
        let query = Query::read(message).ok()?;
        self.local.load().answer(&query).map(|answer| answer.body().to_vec())
    }

    /// Gives secondaries these zones from now on.
    pub fn publish(&self, primary: Arc<Primary>) {
        self.primary.store(Some(primary));
    }

    /// What a query for a zone of ours is answered.
    pub(super) fn zone(&self, query: &Query<'_>, client: &Client) -> Option<Said> {
        let primary = self.primary.load();
        primary.as_ref()?.answer(query, client.address(), client.transport.carries_transfers())
    }

    /// Gives notices of new versions to whoever waits for them from now on.
    pub fn hear(&self, notices: Arc<Notices>) {
        self.notices.store(Some(notices));
    }

    /// What a message of another opcode than QUERY is answered, if it is a notice.
    pub(super) fn notice(&self, message: &[u8], client: &Client) -> Option<Said> {
        let notices = self.notices.load();
        let (message, rcode) = notices.as_ref()?.answer(message, client.address())?;
        Some(Said::Message(message, rcode))
    }

    /// The device that a forwarder says it asks for, if it is one to be believed. Whoever else says so is not heard.
    pub(super) fn told(&self, admission: &Admission, query: &Query<'_>, client: &Client) -> Option<ToldId> {
        let told = query.edns?.options?.told(query.message)?;
        let believed = admission.is_told_by(client.address());
        Identifier::told(told).filter(|_told| believed).and_then(|identifier| self.journal.told(&identifier))
    }

    /// Looks whether the sender of a query that is served stands for many. One that says for whom it asks does not hide them.
    #[inline]
    pub(super) fn look_for_crowds(&self, query: &Query<'_>, client: &Client, now: Now) {
        for Crowd { address, share_percent, names, is_new, .. } in self.crowds.look(query, client.address(), now) {
            if let Some(in_force) = self.in_force() {
                self.journal.note_crowd(address, now.wall, in_force.site_of(address));
            }
            if !is_new {
                continue;
            }
            self.metrics.dns.crowds.set(u64::try_from(self.crowds.found().len()).unwrap_or(u64::MAX));
            // The log is kept for longer than it is read.
            let address = self.journal.log_name(address);
            tracing::warn!(
                address,
                share_percent,
                names,
                "Most queries of an hour came from one address, about many names: a router or a forwarder may stand in front \
                 of many clients, which are counted as one. `proxies` and `devices_from` have it say who asks."
            );
        }
    }

    /// Addresses that stand for many.
    pub fn crowds(&self) -> Arc<Vec<Crowd>> {
        self.crowds.found()
    }

    /// The policy in force, if there is one yet.
    pub fn in_force(&self) -> Option<Arc<InForce>> {
        self.policy.load_full()
    }

    /// Both clocks.
    pub(super) fn now(&self) -> Now {
        self.clock.now()
    }

    /// Where everything is counted.
    pub(super) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// What is in force now.
    pub(super) fn view(&self) -> View {
        View {
            in_force: self.policy.load(),
            admission: self.admission.load(),
            hop: self.hop.load(),
            local: self.local.load(),
            rates: self.rates.load(),
        }
    }

    /// Records what the verdict on a query says: one attempt for each ban that observes or enforces.
    pub(super) fn record(&self, tally: &impl Tally, judged: &Judged<'_>) {
        self.note_active(judged.in_force, judged.client, judged.now);
        let (first, did, did_spared) = match &judged.verdict.decision {
            Decision::Pass | Decision::Allow(_) if judged.spared.is_empty() => {
                return self.note(judged.query, judged.client, judged.now);
            }
            Decision::Pass | Decision::Allow(_) => (None, Did::Observe, Did::Exempt),
            Decision::Observe(hit) => (Some(hit), Did::Observe, Did::Exempt),
            // Spared by one ban and not by another is not spared.
            Decision::Enforce(hit, blocked) => (Some(hit), did(blocked), did(blocked)),
        };
        for hit in first.into_iter().chain(&judged.verdict.also) {
            self.count(tally, judged, hit, hit.series, did);
        }
        for SparedHit { hit, .. } in &judged.spared {
            self.count(tally, judged, hit, hit.series, did_spared);
        }
    }

    /// Notes the name of a query that is no attempt, where names are recorded.
    #[inline]
    pub(super) fn note(&self, query: &Query<'_>, client: &Client, now: Now) {
        if self.journal.keeps_names() && !client.is_health_check() {
            self.journal.note_name(&query.name, client.address(), now.wall);
        }
    }

    /// Notes that a client was there, whatever it asked: only of those is silence about a ban worth anything.
    #[inline]
    pub(super) fn note_active(&self, in_force: &InForce, client: &Client, now: Now) {
        if !client.is_health_check() {
            let site = || in_force.site_of(client.address());
            self.journal.note_active((client.address(), client.told), now.wall, site);
        }
    }

    /// The same of where its answer leads.
    pub(super) fn record_led(&self, tally: &impl Tally, judged: &Judged<'_>, led: &Led<'_, '_>) {
        // Spared by one ban and not by another is not spared.
        let blocked = led.enforced.as_ref().map(|enforced| did(&enforced.blocked));
        // The weakened series stand behind the rules' own.
        let behind = judged.in_force.policy.series().len();
        for (hit, spared) in &led.hits {
            let open = if *spared { Did::Exempt } else { Did::Observe };
            self.count(tally, judged, hit, behind + hit.series, blocked.unwrap_or(open));
        }
    }

    /// Counts one attempt by `tally`, which counts for the same metrics, and hands it to the journal; waits for nothing.
    fn count(&self, tally: &impl Tally, judged: &Judged<'_>, hit: &Hit<'_>, series: usize, did: Did) {
        let Judged { in_force, query, client, now, .. } = judged;
        // A proxy that looks whether we are well is no client, whatever name it asks for.
        if client.is_health_check() {
            return;
        }
        let site = in_force.policy.who().of(client.address()).site().map(|SiteIndex(index)| usize::from(index));
        in_force.counters.count(tally, site, series, did);
        in_force.counters.count_list(tally, hit.list_index.0);
        let attempt = Attempt {
            at: now.wall,
            client: client.address(),
            told: client.told,
            series: in_force.recorded[site.map_or(0, |site| site + 1)][series],
            qname: &query.name,
            qtype: query.qtype,
            pattern: hit.pattern,
            action: did,
            transport: client.transport,
            verified: client.verified(),
        };
        self.journal.record_by(tally, &attempt);
    }
}

/// By what a client is known as a device.
fn holder(client: &Client) -> Holder {
    client.told.map_or(Holder::Address(client.address()), |ToldId(number)| Holder::Told(number.get()))
}

/// What metrics call the lists; `None`: its ban is off, and it can't count.
fn lists_on(policy: &Policy) -> Vec<Option<Arc<str>>> {
    let on = |ban: BanIndex| policy.bans().get(ban.0).filter(|ban| ban.ceiling() != Mode::Off);
    let all = || policy.lists().iter().filter_map(|list| Some((&on(list.ban)?.id, &list.name)));
    policy.lists().iter().map(|list| Some(list_label(all(), (&on(list.ban)?.id, &list.name)))).collect()
}

/// What is recorded as done about a blocked lookup.
fn did(blocked: &Blocked) -> Did {
    match blocked.action {
        Action::Nxdomain => Did::Nxdomain,
        Action::Nodata => Did::Nodata,
        Action::Sinkhole => Did::Sinkhole,
        Action::Refuse => Did::Refuse,
        Action::Drop => Did::Drop,
        Action::TcpOnly => Did::TcpOnly,
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let generation = self.in_force().map(|in_force| in_force.policy.generation());
        f.debug_struct("Guard").field("generation", &generation).finish_non_exhaustive()
    }
}
