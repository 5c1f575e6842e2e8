//! What two policies say of what clients asked, beside each other.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use super::side::{Asked, LedTo, Said, Side};
use crate::journal::{NameRow, Tried};
use crate::policy::{Client, Entrance, PatternRef};
use crate::time::Timestamp;
use crate::wire::LowerName;

/// How far ahead is looked for hours and dates that change a verdict: a week, and its first hours once more.
const AHEAD: Duration = Duration::from_secs(8 * 24 * 60 * 60);
/// Moments at most at which that may be: all rows are judged at each.
const MOMENTS_MAX: usize = 48;

/// What a change does to a client that asks for a name again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Effect {
    /// It gets no answer any more.
    Block,
    /// It gets the answer that it did not get before.
    Release,
    /// It is recorded, no longer recorded, or blocked otherwise.
    Change,
}

impl Effect {
    pub(super) const ALL: [Self; 3] = [Self::Block, Self::Release, Self::Change];

    /// The word for it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Release => "release",
            Self::Change => "change",
        }
    }

    /// The effect of what the one says in place of the other; `None`: the client sees and is seen as before.
    fn of(old: &Said<'_>, new: &Said<'_>) -> Option<Self> {
        match (old.enforced, new.enforced) {
            (false, true) => Some(Self::Block),
            (true, false) => Some(Self::Release),
            _ if (old.is_free() && new.is_free()) || old.word == new.word => None,
            _ => Some(Self::Change),
        }
    }
}

/// A name for which something else would be done, as one client asked for it.
#[derive(Clone, Debug)]
pub(super) struct Touched {
    pub(super) effect: Effect,
    /// `none`, `allow`, `observe`, `exempt` or an action.
    pub(super) old: &'static str,
    /// The same.
    pub(super) new: &'static str,
    /// Ban and pattern of the rule that decides, or that did.
    pub(super) rule: Option<(String, String)>,
    /// The last time.
    pub(super) last: Timestamp,
    /// Attempts of this name.
    tried: u64,
    /// Attempts of where its answers led.
    led: u64,
    /// Queries in the record of names.
    asked: u64,
}

impl Touched {
    fn new(old: &Said<'_>, new: &Said<'_>, effect: Effect) -> Self {
        let hit = if effect == Effect::Release { old.hit } else { new.hit.or(old.hit) };
        let rule = hit.map(|hit| (hit.ban.id.to_string(), hit.pattern.to_string()));
        let (old, new, last) = (old.word, new.word, Timestamp::MIN);
        Self { effect, old, new, rule, last, tried: 0, led: 0, asked: 0 }
    }

    /// How often it was asked for. A query whose answer led to a banned name is in both records.
    pub(super) fn queries(&self) -> u64 {
        self.tried + self.asked.max(self.led)
    }
}

/// How many of something, without saying which.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) clients: HashSet<IpAddr>,
    /// As hashes: there may be millions.
    pub(super) names: HashSet<u64>,
    pub(super) queries: u64,
}

/// In which record a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Record {
    Tried,
    Led,
    Names,
}

/// Both policies, and whom the difference touches so far.
pub(super) struct Judge<'p> {
    old: &'p Side,
    new: &'p Side,
    at: Timestamp,
    /// Later moments at which either policy does something else.
    moments: BTreeSet<Timestamp>,
    /// One query by each door that leads into a group.
    doors: Vec<Entrance>,
    hashes: RandomState,
    /// By client and name.
    pub(super) touched: BTreeMap<IpAddr, BTreeMap<String, Touched>>,
    /// Queries that are in the record of names too, and for which where their answers led settles the same as before.
    settled: BTreeMap<(IpAddr, String), u64>,
    /// Attempts of which client or name is not known.
    pub(super) nameless: u64,
    /// What is touched at one of the later moments and not at this one, and the first such moment.
    pub(super) later: (Tally, Option<Timestamp>),
    /// What would be touched otherwise if it came by some door: by which, is not recorded.
    pub(super) by_door: Tally,
    /// What would be let through; where its answers led is not recorded.
    pub(super) let_through: Tally,
    /// Whether some of that may be released: it was blocked for where its answers led, and the record does not say where exactly.
    pub(super) may_release: bool,
    /// By name on the wire, where answers may have led below it of which the new policy speaks.
    within: HashMap<Vec<u8>, Rc<[LedTo]>>,
    /// The new policy's rules, once they are needed.
    rules: Option<Vec<PatternRef<'p>>>,
}

impl<'p> Judge<'p> {
    pub(super) fn new(old: &'p Side, new: &'p Side, at: Timestamp) -> Self {
        let end = at.checked_add(AHEAD).unwrap_or(at);
        let moments: BTreeSet<_> = old.changes(at, end).chain(new.changes(at, end)).collect();
        let doors = [old, new].into_iter().flat_map(|side| side.policy.who().entrances()).collect();
        Self {
            old,
            new,
            at,
            moments: moments.into_iter().take(MOMENTS_MAX).collect(),
            doors,
            hashes: RandomState::new(),
            touched: BTreeMap::new(),
            settled: BTreeMap::new(),
            nameless: 0,
            later: (Tally::default(), None),
            by_door: Tally::default(),
            let_through: Tally::default(),
            may_release: false,
            within: HashMap::new(),
            rules: None,
        }
    }

    /// Judges what is in the record of names, after all that is in the record of attempts.
    pub(super) fn asked(&mut self, row: &NameRow) {
        let Ok(name) = LowerName::parse(&row.name) else { return };
        let asked = Asked { name: &name, client: Client::at(row.client), led: None, base: None };
        let settled = self.settled.get(&(row.client, row.name.clone())).copied().unwrap_or(0);
        let count = row.count.saturating_sub(settled);
        if count > 0 {
            self.judge(&asked, (&row.name, count, row.last), Record::Names);
        }
    }

    /// Judges what is in the record of attempts.
    pub(super) fn tried(&mut self, row: &Tried) {
        let (Some(text), Some(client)) = (&row.qname, row.client) else {
            self.nameless += row.count;
            return;
        };
        let Ok(name) = LowerName::parse(text) else { return };
        let led = row.pattern.as_deref().and_then(|pattern| LedTo::by(pattern, &name));
        let base = row.pattern.as_deref().filter(|_pattern| led.is_some()).and_then(LedTo::base);
        let asked = Asked { name: &name, client: Client::at(client), led: led.as_ref(), base: base.as_ref() };
        let record = if led.is_some() { Record::Led } else { Record::Tried };
        let effect = self.judge(&asked, (text, row.count, row.last), record);
        let of_name = || self.effect(&Asked { led: None, ..asked }, self.at);
        if led.is_some() && effect.is_none() && of_name().is_some() {
            *self.settled.entry((client, text.clone())).or_default() += row.count;
        }
    }

    fn judge(&mut self, asked: &Asked<'_>, row: (&str, u64, Timestamp), record: Record) -> Option<Effect> {
        let (old, new) = (self.old.says(asked, self.at), self.new.says(asked, self.at));
        let effect = Effect::of(&old, &new);
        if effect == Some(Effect::Release) && self.may_stay_blocked(asked) {
            self.let_through.add(&self.hashes, asked, row.1);
            self.may_release = true;
            return effect;
        }
        match effect {
            Some(effect) => self.touch(asked, row, record, Touched::new(&old, &new, effect)),
            None => self.look_ahead(asked, row),
        }
        let otherwise = |&&entrance: &&Entrance| {
            let client = Client { entrance, ..asked.client };
            self.effect(&Asked { client, ..*asked }, self.at) != effect
        };
        if self.doors.iter().find(otherwise).is_some() {
            self.by_door.add(&self.hashes, asked, row.1);
        }
        if record == Record::Names && !new.enforced {
            self.let_through.add(&self.hashes, asked, row.1);
        }
        effect
    }

    /// Whether the new policy enforces some name to which the answer may have led just as well: the record has the rule alone.
    fn may_stay_blocked(&mut self, asked: &Asked<'_>) -> bool {
        let Some(base) = asked.base else { return false };
        let new = self.new;
        let within = self.within.entry(base.wire().to_vec()).or_insert_with(|| {
            let rules = self.rules.get_or_insert_with(|| new.policy.rules().map(|(_list, rule)| rule).collect());
            rules.iter().filter_map(|rule| LedTo::within(*rule, base)).collect()
        });
        let within = Rc::clone(within);
        within.iter().any(|led| self.new.says(&Asked { led: Some(led), ..*asked }, self.at).enforced)
    }

    fn effect(&self, asked: &Asked<'_>, at: Timestamp) -> Option<Effect> {
        Effect::of(&self.old.says(asked, at), &self.new.says(asked, at))
    }

    fn touch(&mut self, asked: &Asked<'_>, row: (&str, u64, Timestamp), record: Record, new: Touched) {
        let (name, count, last) = row;
        let of_client = self.touched.entry(asked.client.address).or_default();
        let touched = of_client.entry(name.to_owned()).or_insert(new);
        touched.last = touched.last.max(last);
        *match record {
            Record::Tried => &mut touched.tried,
            Record::Led => &mut touched.led,
            Record::Names => &mut touched.asked,
        } += count;
    }

    /// Counts what the change will touch at another hour or date, the policies being as they are.
    fn look_ahead(&mut self, asked: &Asked<'_>, (_name, count, _last): (&str, u64, Timestamp)) {
        let Some(&moment) = self.moments.iter().find(|&&moment| self.effect(asked, moment).is_some()) else { return };
        let (later, first) = &mut self.later;
        later.add(&self.hashes, asked, count);
        *first = Some(first.map_or(moment, |first| first.min(moment)));
    }
}

impl Tally {
    fn add(&mut self, hashes: &RandomState, asked: &Asked<'_>, count: u64) {
        self.clients.insert(asked.client.address);
        self.names.insert(hashes.hash_one(asked.name.wire()));
        self.queries += count;
    }
}
