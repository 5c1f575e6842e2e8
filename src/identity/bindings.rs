//! Intervals in which a device held an address.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;

use jiff::SignedDuration;

use super::{Held, Identifier, Lease};
use crate::time::Timestamp;

/// Bindings of one address that are kept: the present one, and those before it that late attempts may belong to.
const KEPT_MAX: usize = 8;
/// Attempts wait for the disk no longer than this.
const LATE: SignedDuration = SignedDuration::from_hours(24);
/// Identifiers of one binding that are kept: a device may call itself something else each time.
const IDENTIFIERS_MAX: usize = 8;

/// How it is known who holds an address; where several say so, the first of them is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// A DHCP server, or a table, says so.
    Lease,
    /// It answers there on a network of ours.
    Neighbour,
    /// The address has that name in the reverse zone.
    Reverse,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lease, Self::Neighbour, Self::Reverse];

    /// The word for it in the record; it stays.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lease => "lease",
            Self::Neighbour => "neighbour",
            Self::Reverse => "ptr",
        }
    }

    /// The method of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == word)
    }
}

/// A device has held an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The address.
    pub address: IpAddr,
    /// What is known of the device, the strongest first; never empty.
    pub identifiers: Vec<Identifier>,
    /// When it began, as far as is known.
    pub from: Timestamp,
    /// When it ended, or will if the lease is not renewed; `None`: without end.
    pub until: Option<Timestamp>,
    /// How it is known.
    pub method: Method,
    /// Whether beginning or end are not as they were said, since clocks did not agree.
    pub estimated: bool,
}

impl Binding {
    /// What tells the device best.
    pub fn strongest(&self) -> Option<&Identifier> {
        self.identifiers.first()
    }

    fn holds_at(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }

    /// Whether these are of the same device. Any of them but the name will do: a device that starts from the network calls
    /// itself otherwise than its system does later. A name may change, and two devices may have the same one, so it tells only
    /// where nothing else does.
    fn is_of(&self, identifiers: &[Identifier]) -> bool {
        are_of_one(&self.identifiers, identifiers)
    }
}

/// Whether both are of the same device ([`Binding::is_of`]).
fn are_of_one(one: &[Identifier], other: &[Identifier]) -> bool {
    let by_name = only_names(one) && only_names(other);
    one.iter().any(|ours| (by_name || !is_name(ours)) && other.contains(ours))
}

fn is_name(identifier: &Identifier) -> bool {
    matches!(identifier, Identifier::HostName(_))
}

fn only_names(identifiers: &[Identifier]) -> bool {
    identifiers.iter().all(is_name)
}

/// Who holds which address, and who has lately.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    /// The newest last.
    of: HashMap<IpAddr, Vec<Binding>>,
}

impl Bindings {
    /// Adds those that were known before, in any order, and keeps the newest of each address.
    pub fn restore(&mut self, known: impl IntoIterator<Item = Binding>) {
        self.restore_all(known);
        self.of.values_mut().for_each(keep_the_newest);
    }

    /// Adds those that were known before, in any order, and keeps them all, for whoever asks of a time long ago. None goes on when
    /// the next of its address has begun.
    pub fn restore_all(&mut self, known: impl IntoIterator<Item = Binding>) {
        for binding in known {
            self.of.entry(binding.address).or_default().push(binding);
        }
        for bindings in self.of.values_mut() {
            bindings.sort_by_key(|binding| binding.from);
            let begins: Vec<_> = bindings.iter().skip(1).map(|binding| binding.from).collect();
            for (binding, next) in bindings.iter_mut().zip(begins) {
                binding.until = Some(binding.until.map_or(next, |until| until.min(next)));
            }
        }
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// Who held the address at that moment, if that is known.
    pub fn at(&self, address: IpAddr, at: Timestamp) -> Option<&Binding> {
        self.of.get(&address)?.iter().rev().find(|binding| binding.holds_at(at))
    }

    /// Every binding that is kept.
    pub fn all(&self) -> impl Iterator<Item = &Binding> {
        self.of.values().flatten()
    }

    /// Addresses that are held now.
    pub fn held(&self, now: Timestamp) -> impl Iterator<Item = &Binding> {
        self.of.values().filter_map(move |bindings| bindings.iter().rev().find(|binding| binding.holds_at(now)))
    }

    /// Whether [`Bindings::take`] would end a binding that goes on: an attempt of before is then to be written first.
    pub fn ends<'l>(&self, leases: impl IntoIterator<Item = &'l Lease>, now: Timestamp) -> bool {
        let (words, now) = (words(leases, whole(now)), whole(now));
        self.held(now).any(|held| words.get(&held.address).is_none_or(|word| !held.is_of(&word.identifiers)))
    }

    /// Takes over what all files say now: whoever is in none of them any more holds nothing. Of several words about one
    /// address, as of two servers that share a pool, the one that was said last holds. Returns the bindings that have begun or
    /// changed; one is known by its address and its beginning.
    pub fn take<'l>(&mut self, leases: impl IntoIterator<Item = &'l Lease>, now: Timestamp) -> Vec<Binding> {
        let now = whole(now);
        let words = words(leases, now);
        let mut changes = Vec::new();
        for (address, bindings) in &mut self.of {
            if !words.contains_key(address) {
                end(bindings, now, &mut changes);
            }
        }
        // An address that nobody has held for so long belongs to no attempt that is still to be written.
        let late = now.saturating_sub(LATE).unwrap_or(Timestamp::MIN);
        self.of.retain(|_address, bindings| {
            bindings.last().is_some_and(|last| last.until.is_none_or(|until| until > late))
        });
        for (address, word) in words {
            hold(address, self.of.entry(address).or_default(), word, &mut changes);
        }
        changes
    }
}

/// What is said last of each address that is held.
fn words<'l>(leases: impl IntoIterator<Item = &'l Lease>, now: Timestamp) -> HashMap<IpAddr, Word<'l>> {
    let mut words = HashMap::new();
    for lease in leases {
        let Held::By { since, until } = lease.held else { continue };
        if until.is_some_and(|until| until <= now) {
            continue;
        }
        // A server whose clock is ahead is not believed that it has leased in the future.
        let (since, ahead) = (since.unwrap_or(now).min(now), since.is_some_and(|since| since > now));
        let word = Word { identifiers: (&lease.identifiers).into(), since, until, ahead, method: lease.method };
        match words.remove(&lease.address) {
            None => words.insert(lease.address, word),
            Some(said) => words.insert(lease.address, word.with(said)),
        };
    }
    words
}

/// In whole milliseconds, as attempts are recorded: one of the same millisecond is of whoever holds the address from then on.
fn whole(moment: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(moment.as_millisecond()).unwrap_or(moment)
}

/// What is said of an address that is held.
struct Word<'l> {
    identifiers: Cow<'l, [Identifier]>,
    since: Timestamp,
    until: Option<Timestamp>,
    /// Whether it was said to have begun later than now.
    ahead: bool,
    method: Method,
}

impl Word<'_> {
    /// What is to be believed of this and what somebody else says, who was heard before: the better method, then the later
    /// word. What the other one knows of the same device is known of it too, and any name is better than none.
    fn with(self, said: Self) -> Self {
        let stays = (said.method, Reverse(said.since)) < (self.method, Reverse(self.since));
        let (mut word, other) = if stays { (said, self) } else { (self, said) };
        let names = other.method == Method::Reverse && !word.identifiers.iter().any(is_name);
        if word.method != other.method && (names || are_of_one(&word.identifiers, &other.identifiers)) {
            let known: &mut Vec<_> = word.identifiers.to_mut();
            known.extend(other.identifiers.iter().cloned());
            known.sort_unstable();
            known.dedup();
        }
        word
    }
}

/// Ends the binding that goes on at `at`, if one does.
fn end(bindings: &mut [Binding], at: Timestamp, changes: &mut Vec<Binding>) {
    let Some(last) = bindings.last_mut().filter(|last| last.until.is_none_or(|until| at < until)) else { return };
    last.estimated |= at < last.from;
    last.until = Some(at.max(last.from));
    changes.push(last.clone());
}

/// Has the device that is named hold the address: the one that does goes on, another one ends with it.
fn hold(address: IpAddr, bindings: &mut Vec<Binding>, word: Word<'_>, changes: &mut Vec<Binding>) {
    let Word { identifiers, since, until, ahead, method } = word;
    let goes_on = |last: &&mut Binding| last.until.is_none_or(|end| since <= end) && last.is_of(&identifiers);
    if let Some(last) = bindings.last_mut().filter(goes_on) {
        let mut known = last.identifiers.clone();
        known.extend(identifiers.iter().filter(|identifier| !last.identifiers.contains(identifier)).cloned());
        known.sort_unstable();
        known.truncate(IDENTIFIERS_MAX);
        // One that ends before it began: the clock of whoever says so, or ours, has jumped.
        let until = until.map(|until| until.max(last.from));
        if (&known, until, method) != (&last.identifiers, last.until, last.method) {
            (last.identifiers, last.until, last.method) = (known, until, method);
            changes.push(last.clone());
        }
        return;
    }
    let from = bindings.last().map_or(since, |last| since.max(last.from));
    end(bindings, from, changes);
    let (estimated, until) = (ahead || from > since, until.map(|until| until.max(from)));
    let binding = Binding { address, identifiers: identifiers.into_owned(), from, until, method, estimated };
    changes.push(binding.clone());
    bindings.push(binding);
    keep_the_newest(bindings);
}

fn keep_the_newest(bindings: &mut Vec<Binding>) {
    bindings.drain(..bindings.len().saturating_sub(KEPT_MAX));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Source;
    use crate::identity::LeaseFormat;

    /// What the files say, one below the other with `---` between.
    fn leases(files: &str) -> Vec<Lease> {
        let read = |rows: &str| {
            let text = format!("address,mac,host_name,since,until\n{rows}");
            let (leases, messages) = LeaseFormat::Csv.leases(&Source::new("t", text));
            assert_eq!(messages, []);
            leases
        };
        files.split("---\n").flat_map(read).collect()
    }

    /// What the files say at each moment, and what is known of 10.0.0.7 afterwards.
    #[track_caller]
    fn check(steps: &[(i64, &str)], expected: &[&str]) {
        let mut bindings = Bindings::default();
        for &(now, files) in steps {
            let leases = leases(files);
            let changes = bindings.take(&leases, moment(now));
            assert_eq!(bindings.clone().take(&leases, moment(now)), [], "said twice: {changes:?}");
        }
        let address = "10.0.0.7".parse().unwrap();
        let known = bindings.of.get(&address).into_iter().flatten().map(shown);
        assert_eq!(known.collect::<Vec<_>>(), expected);
    }

    fn moment(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn shown(binding: &Binding) -> String {
        let until = binding.until.map_or("-".to_owned(), |until| until.as_second().to_string());
        let identifiers: Vec<_> = binding.identifiers.iter().map(ToString::to_string).collect();
        format!("{}..{until} {}", binding.from.as_second(), identifiers.join(" "))
    }

    #[test]
    fn a_device_that_starts_from_the_network_is_the_one_that_its_system_is_later() {
        let mut bindings = Bindings::default();
        let read = |rows: &str| {
            let text = format!("address,mac,client_id,since\n{rows}");
            LeaseFormat::Csv.leases(&Source::new("t", text)).0
        };
        bindings.take(&read(&format!("10.0.0.7,{A},00:aa,10\n")), moment(10));
        let later = read(&format!("10.0.0.7,{A},ff:00:00:00:00:00:01,20\n"));
        assert!(!bindings.ends(&later, moment(20)));
        bindings.take(&later, moment(20));
        let held: Vec<_> = bindings.held(moment(30)).map(shown).collect();
        assert_eq!(held, ["10..- duid:00:01 client-id:00:aa mac:52:54:00:00:00:0a"]);
        assert!(bindings.ends(&[], moment(30)));
        assert!(bindings.ends(&read(&format!("10.0.0.7,{B},,30\n")), moment(30)));
    }

    const A: &str = "52:54:00:00:00:0a";
    const B: &str = "52:54:00:00:00:0b";

    #[test]
    fn a_renewed_lease_is_one_binding_and_one_that_ran_out_is_two() {
        let lease = |since: i64, until: i64| format!("10.0.0.7,{A},,{since},{until}\n");
        check(&[(10, &lease(10, 20)), (15, &lease(15, 25)), (20, &lease(20, 30))], &["10..30 mac:52:54:00:00:00:0a"]);
        check(
            &[(10, &lease(10, 20)), (40, &lease(40, 50))],
            &["10..20 mac:52:54:00:00:00:0a", "40..50 mac:52:54:00:00:00:0a"],
        );
    }

    #[test]
    fn an_address_that_another_device_takes_is_its_from_that_moment() {
        let steps = [(10, format!("10.0.0.7,{A},,10,90\n")), (30, format!("10.0.0.7,{B},,28,99\n"))];
        let steps: Vec<_> = steps.iter().map(|(at, rows)| (*at, &**rows)).collect();
        check(&steps, &["10..28 mac:52:54:00:00:00:0a", "28..99 mac:52:54:00:00:00:0b"]);
        let mut bindings = Bindings::default();
        for (now, files) in steps {
            bindings.take(&leases(files), moment(now));
        }
        let at =
            |second| bindings.at("10.0.0.7".parse().unwrap(), moment(second)).map(|binding| binding.from.as_second());
        assert_eq!([9, 10, 27, 28, 98, 99].map(at), [None, Some(10), Some(10), Some(28), Some(28), None]);
    }

    #[test]
    fn a_lease_that_is_gone_from_the_files_has_ended() {
        check(&[(10, &format!("10.0.0.7,{A},,10,90\n")), (30, "")], &["10..30 mac:52:54:00:00:00:0a"]);
        check(&[(10, &format!("10.0.0.7,{A},,10,90\n")), (95, "")], &["10..90 mac:52:54:00:00:00:0a"]);
    }

    #[test]
    fn a_name_that_changes_is_no_other_device_unless_nothing_else_is_known() {
        check(
            &[(10, &format!("10.0.0.7,{A},x,10,90\n")), (20, &format!("10.0.0.7,{A},y,10,90\n"))],
            &["10..90 mac:52:54:00:00:00:0a host:x host:y"],
        );
        check(&[(10, "10.0.0.7,,x,10,90\n"), (20, "10.0.0.7,,y,20,90\n")], &["10..20 host:x", "20..90 host:y"]);
    }

    #[test]
    fn of_two_servers_that_share_a_pool_the_last_word_holds_and_no_clock_is_ahead() {
        check(&[(50, &format!("10.0.0.7,{B},,40,90\n---\n10.0.0.7,{A},,10,90\n"))], &["40..90 mac:52:54:00:00:00:0b"]);
        check(&[(10, &format!("10.0.0.7,{A},,500,900\n"))], &["10..900 mac:52:54:00:00:00:0a"]);
        check(&[(100, &format!("10.0.0.7,{A},,10,90\n"))], &[]);
    }

    #[test]
    fn a_clock_that_jumps_leaves_intervals_in_order_and_marked() {
        let marked = |steps: &[(i64, String)]| {
            let mut bindings = Bindings::default();
            for (now, rows) in steps {
                bindings.take(&leases(rows), moment(*now));
            }
            let all = bindings.of.get(&"10.0.0.7".parse().unwrap()).into_iter().flatten();
            all.map(|binding| {
                assert!(binding.until.is_none_or(|until| binding.from <= until), "{binding:?}");
                format!("{}{}", shown(binding), if binding.estimated { " estimated" } else { "" })
            })
            .collect::<Vec<_>>()
        };
        let lease = |mac: &str, since: i64, until: i64| format!("10.0.0.7,{mac},,{since},{until}\n");
        // Back, while another device takes the address.
        let (a, b) = ("mac:52:54:00:00:00:0a", "mac:52:54:00:00:00:0b");
        assert_eq!(
            marked(&[(100, lease(A, 90, 200)), (50, lease(B, 40, 80))]),
            [format!("90..90 {a}"), format!("90..90 {b} estimated")]
        );
        // Back, while it goes on, and is given back before it began.
        assert_eq!(marked(&[(100, lease(A, 90, 200)), (50, lease(A, 40, 60))]), [format!("90..90 {a}")]);
        assert_eq!(marked(&[(100, lease(A, 90, 200)), (50, String::new())]), [format!("90..90 {a} estimated")]);
        // A server whose clock is ahead.
        assert_eq!(marked(&[(10, lease(A, 500, 900))]), [format!("10..900 {a} estimated")]);
        // Forward, and back where it was.
        let forth = [(100, lease(A, 90, 200)), (9_000, lease(A, 9_000, 9_100)), (110, lease(A, 105, 210))];
        assert_eq!(marked(&forth), [format!("90..200 {a}"), format!("9000..9000 {a}")]);
    }

    #[test]
    fn methods_that_agree_are_added_up_and_the_better_one_is_believed_where_they_do_not() {
        let neighbour = |mac: &str| Lease::of_neighbour("10.0.0.7".parse().unwrap(), mac.parse().unwrap()).unwrap();
        let held = |all: &[Lease]| {
            let mut bindings = Bindings::default();
            bindings.take(all, moment(50));
            let held = bindings.held(moment(51)).next().cloned().unwrap();
            format!("{} {}", held.method.as_str(), shown(&held))
        };
        let lease = leases(&format!("10.0.0.7,{A},pc,10,90\n")).remove(0);
        let both = "lease 10..90 mac:52:54:00:00:00:0a host:pc";
        assert_eq!(held(&[lease.clone(), neighbour(A)]), both);
        assert_eq!(held(&[neighbour(B), lease]), both);
        assert_eq!(held(&[neighbour(B)]), "neighbour 50..- mac:52:54:00:00:00:0b");
        assert_eq!(Lease::of_neighbour("10.0.0.7".parse().unwrap(), crate::identity::Mac([0; 6])), None);
    }

    #[test]
    fn an_address_that_nobody_has_held_for_a_day_is_forgotten() {
        let mut bindings = Bindings::default();
        bindings.take(&leases(&format!("10.0.0.7,{A},,10,90\n")), moment(10));
        bindings.take(&[], moment(90 + 86_399));
        assert!(!bindings.is_empty());
        bindings.take(&[], moment(90 + 86_401));
        assert!(bindings.is_empty());
    }

    #[test]
    fn whoever_asks_of_a_time_long_ago_is_told_of_every_holder() {
        let mut all = Vec::new();
        for number in 0..20_i64 {
            let mut one = Bindings::default();
            let (since, until) = (number * 100, number * 100 + 90);
            one.take(&leases(&format!("10.0.0.7,52:54:00:00:00:{number:02x},,{since},{until}\n")), moment(since));
            all.extend(one.held(moment(since)).cloned());
        }
        let (mut kept, mut newest) = (Bindings::default(), Bindings::default());
        kept.restore_all(all.clone());
        newest.restore(all);
        let first = |bindings: &Bindings| bindings.at("10.0.0.7".parse().unwrap(), moment(50)).map(shown);
        assert_eq!(first(&kept).as_deref(), Some("0..90 mac:52:54:00:00:00:00"));
        assert_eq!(first(&newest), None);
    }

    #[test]
    fn what_was_known_before_a_restart_goes_on() {
        let mut before = Bindings::default();
        let leases = leases(&format!("10.0.0.7,{A},,10,90\n"));
        before.take(&leases, moment(10));
        let mut after = Bindings::default();
        after.restore(before.held(moment(10)).cloned());
        assert_eq!(after.take(&leases, moment(60)), []);
        assert_eq!(after.at("10.0.0.7".parse().unwrap(), moment(60)), before.held(moment(10)).next());
    }
}
