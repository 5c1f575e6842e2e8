//! From settings to the tree of upstreams: whom to ask for which names, at the start and at each reload.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::observer::{Observed, name};
use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::{Loaded, Settings, UpstreamSettings};
use crate::diag::{Diagnostic, Severity};
use crate::metrics::Metrics;
use crate::upstream::{
    Branch, Config, Group, Observer, Order, Servers, ServersError, Source, Tree, UpstreamSpec, is_local,
};

/// Whom the settings name, with the servers of the system looked up: these change with the network and not with our files.
pub(super) struct Wanted {
    root: Config,
    groups: Vec<Group>,
}

/// Why it is not known whom to ask.
pub(super) struct Unknown {
    pub(super) mistake: Diagnostic,
    /// Whether it is the network's fault, which has no servers for us now, and nobody's who wrote the configuration.
    pub(super) of_network: bool,
}

impl From<Diagnostic> for Unknown {
    fn from(mistake: Diagnostic) -> Self {
        Self { mistake, of_network: false }
    }
}

/// What keeps a right configuration from being served on this machine; a warning, since it may be meant for another one.
pub(crate) fn out_of_place(loaded: &Loaded) -> Option<Diagnostic> {
    // The network's servers may come with the network.
    let mistake = Wanted::read(&loaded.settings, loaded).err().filter(|unknown| !unknown.of_network)?.mistake;
    Some(Diagnostic {
        severity: Severity::Warning,
        message: format!("not on this machine: {}", mistake.message),
        ..mistake
    })
}

impl Wanted {
    /// Whom `loaded` names, asked as patiently as `first` says: times take effect at a start only.
    ///
    /// # Errors
    /// The first specification that gives no server.
    pub(super) fn read(first: &Settings, loaded: &Loaded) -> Result<Self, Unknown> {
        let (trust, now) = (&loaded.trust, &loaded.settings);
        let resolv_conf = &loaded.environment.resolv_conf;
        let source = source(now)?;
        let whole = |error: ServersError| Unknown {
            of_network: error.is_of_network(),
            mistake: Diagnostic::whole(Severity::Error, "upstream servers", error.to_string()),
        };
        let bootstrap = match now.upstream.bootstrap.as_slice() {
            [] => None,
            specs => Some(Servers::from_specs(specs, &now.listen, resolv_conf).map_err(whole)?),
        };
        let config = |specs: &[UpstreamSpec], order: Order, trust_ad: bool, ecs_from: &[IpNet]| {
            let servers = Servers::from_specs(specs, &now.listen, resolv_conf)?;
            Ok::<_, ServersError>(Config {
                order,
                trust_ad,
                subnets_from: ecs_from.to_vec(),
                hedge: first.upstream.hedge_after,
                deadline: first.upstream.deadline,
                exchange_max: first.upstream.exchange_max,
                open_max: now.upstream.in_flight_max,
                bootstrap: bootstrap.clone(),
                trust: trust.clone(),
                source: source.clone(),
                ..Config::new(servers)
            })
        };
        let UpstreamSettings { servers, order, trust_ad, ecs_from, .. } = &now.upstream;
        let root = config(servers, *order, *trust_ad, ecs_from).map_err(whole)?;
        let groups = now.forwards.iter().map(|forward| {
            let config = config(&forward.servers.value, forward.order, forward.trust_ad, &forward.ecs_from);
            let config = config.map_err(|error| Unknown {
                of_network: error.is_of_network(),
                mistake: forward.servers.error(error.to_string()),
            })?;
            Ok(Group { zones: forward.zones.clone(), config })
        });
        Ok(Self { root, groups: groups.collect::<Result<_, Unknown>>()? })
    }

    /// Those who are asked for whatever no zone is sent elsewhere.
    pub(super) fn root(&self) -> &Servers {
        &self.root.servers
    }

    /// Grows the tree; what `before` has of it goes on. To be called in a tokio runtime.
    pub(super) fn grow(
        &self,
        before: Option<&Tree>,
        metrics: &Arc<Metrics>,
        cache: &Arc<Cache>,
        clock: &Clock,
    ) -> Arc<Tree> {
        let observer = |title: &str, config: &Config| -> Arc<dyn Observer> {
            Arc::new(Observed::new(title, config, metrics, cache, clock))
        };
        let tree = Tree::grow(&self.root, &self.groups, before, observer);
        let of = |branch: &Branch| names(&branch.title, &branch.config);
        let names: Vec<String> = tree.branches().flat_map(of).collect();
        metrics.upstreams.retain(&names.iter().map(String::as_str).collect::<Vec<_>>());
        Arc::new(tree)
    }
}

/// Where questions come from.
fn source(settings: &Settings) -> Result<Source, Diagnostic> {
    let mut source = Source::default();
    for address in &settings.upstream.source {
        if !is_local(address.value) {
            return Err(
                address.error(format!("{} is no address of this machine; `ip address` shows them", address.value))
            );
        }
        match address.value {
            IpAddr::V4(ip) => source.v4 = ip,
            IpAddr::V6(ip) => source.v6 = ip,
        }
    }
    source.ports = settings.upstream.source_ports.clone().unwrap_or(source.ports);
    if let Some(bits) = source.narrowed_bits() {
        let bits = format!("{:.1} of 32", bits + 16.0);
        tracing::warn!(ports = ?source.ports, bits, "Fewer ports to ask from leave less for a forger of answers to guess.");
    }
    Ok(source)
}

/// What metrics call the upstreams of a group.
fn names(title: &str, config: &Config) -> Vec<String> {
    config.servers.as_slice().iter().map(|server| name(title, server)).collect()
}
