//! What changed from one version of a zone of ours to the next (RFC 1995), in a file for each step: a secondary that has one of the
//! last versions is sent the steps from there and not the whole zone.
//!
//! Lines of an export come in one order, so two versions are laid side by side without holding either. Where that should not be
//! so, or what has changed is as much as the zone, there is no step, and secondaries are sent the whole.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::published::{FromStart, NEW};
use crate::priority::make_way;
use crate::wire::LowerName;

/// Steps at most: more than a secondary misses that looks every few minutes.
const STEPS_MAX: usize = 32;
/// Records about networks that are compared in memory at most.
const NETWORKS_MAX: usize = 1 << 16;
/// What the last line begins with.
const END: &str = "; whole:";
/// Lines between two looks at whether somebody needs the processor.
const LINES_AT_ONCE: usize = 64;

/// From one version to the next.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) from: u32,
    pub(super) to: u32,
    /// Records that are gone or new.
    records: u64,
    /// Held open, as the zone's is.
    file: Arc<File>,
}

impl Step {
    /// Records that are gone, or those that are new.
    pub(super) fn lines(&self, new: bool) -> impl Iterator<Item = io::Result<String>> + use<> {
        let sign = if new { '+' } else { '-' };
        let lines = BufReader::new(FromStart { file: Arc::clone(&self.file), at: 0 }).lines();
        lines.filter_map(move |line| line.map(|line| line.strip_prefix(sign).map(str::to_owned)).transpose())
    }

    /// Reads the last line of a file; `None`: it is not whole.
    fn read(path: &Path) -> Option<Self> {
        let file = Arc::new(File::open(path).ok()?);
        let lines = BufReader::new(FromStart { file: Arc::clone(&file), at: 0 }).lines();
        let last = lines.map_while(Result::ok).last()?;
        let mut words = last.strip_prefix(END)?.split_whitespace();
        let (from, to) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let records = words.next()?.parse().ok()?;
        (words.next() == Some(".")).then_some(Self { from, to, records, file })
    }

    /// Writes what is gone and new between two versions, each given as its lines; `None`: the whole zone is no more than that.
    pub(super) fn write(
        place: &Place<'_>,
        (from, old): (u32, impl Iterator<Item = io::Result<String>>),
        (to, new): (u32, impl Iterator<Item = io::Result<String>>),
        records_max: u64,
    ) -> io::Result<Option<Self>> {
        let path = place.of(from);
        // Two processes may write it while one takes the other's place.
        let beside = path.with_extension(format!("{}.{NEW}", std::process::id()));
        let file = Arc::new(File::options().read(true).write(true).create(true).truncate(true).open(&beside)?);
        let mut sink = Sink { out: BufWriter::new(&*file), records: 0, records_max };
        let compared = compare(old, new, &mut sink);
        let records = sink.records;
        let whole = match compared {
            Ok(()) => true,
            Err(Unfit::No) => false,
            Err(Unfit::Failed(error)) => return Err(error),
        };
        if !whole {
            std::fs::remove_file(&beside)?;
            return Ok(None);
        }
        writeln!(sink.out, "{END} {from} {to} {records} .")?;
        sink.out.flush()?;
        drop(sink);
        file.sync_all()?;
        std::fs::rename(&beside, &path)?;
        Ok(Some(Self { from, to, records, file }))
    }
}

/// Where the steps of one zone are: beside it.
pub(super) struct Place<'p> {
    /// The zone's own file.
    pub(super) zone: &'p Path,
}

impl Place<'_> {
    fn of(&self, from: u32) -> PathBuf {
        self.zone.with_extension(format!("{from}.step"))
    }

    /// The steps that lead to the version with this serial, the first one first.
    pub(super) fn steps_to(&self, serial: u32) -> Vec<Arc<Step>> {
        let all: Vec<_> = self.files().into_iter().filter_map(|path| Step::read(&path)).map(Arc::new).collect();
        let mut steps: Vec<Arc<Step>> = Vec::new();
        let mut at = serial;
        while let Some(step) = all.iter().find(|step| step.to == at).filter(|_step| steps.len() < STEPS_MAX) {
            at = step.from;
            steps.push(Arc::clone(step));
        }
        steps.reverse();
        steps
    }

    /// Removes the files of all other steps.
    pub(super) fn keep(&self, steps: &[Arc<Step>]) {
        let kept: Vec<_> = steps.iter().map(|step| self.of(step.from)).collect();
        for path in self.files().into_iter().filter(|path| !kept.contains(path)) {
            drop(std::fs::remove_file(path));
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let stem = self.zone.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let is_ours = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let number = name.strip_prefix(&format!("{stem}.")).and_then(|rest| rest.strip_suffix(".step"));
            number.is_some_and(|number| number.parse::<u32>().is_ok())
        };
        let entries = self.zone.parent().and_then(|directory| std::fs::read_dir(directory).ok());
        entries.into_iter().flatten().flatten().map(|entry| entry.path()).filter(is_ours).collect()
    }
}

/// The steps that are still worth having once there is another: together no more records than the zone has.
pub(super) fn bounded(mut steps: Vec<Arc<Step>>, records: u64) -> Vec<Arc<Step>> {
    while steps.len() > STEPS_MAX || steps.iter().map(|step| step.records).sum::<u64>() > records {
        steps.remove(0);
    }
    steps
}

/// The steps from the version that a secondary has; `None`: they do not reach back so far.
pub(super) fn since(steps: &[Arc<Step>], held: u32) -> Option<Vec<Arc<Step>>> {
    let first = steps.iter().position(|step| step.from == held)?;
    steps.get(first..).map(<[_]>::to_vec)
}

/// Why there is no step.
enum Unfit {
    /// It would be as much as the zone, or the lines are not in order.
    No,
    Failed(io::Error),
}

impl From<io::Error> for Unfit {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Where changes go.
struct Sink<'f> {
    out: BufWriter<&'f File>,
    records: u64,
    records_max: u64,
}

impl Sink<'_> {
    fn give(&mut self, sign: char, line: &str) -> Result<(), Unfit> {
        self.records += 1;
        if self.records > self.records_max {
            return Err(Unfit::No);
        }
        Ok(writeln!(self.out, "{sign}{line}")?)
    }
}

/// What lines are ordered by: the labels of a name from the right, and whether it stands for names below it.
type Key = (Vec<u8>, bool);

/// The lines of one version, name by name.
struct Side<I: Iterator<Item = io::Result<String>>> {
    lines: Peekable<I>,
    last: Option<Key>,
    networks: BTreeSet<String>,
}

impl<I: Iterator<Item = io::Result<String>>> Side<I> {
    fn new(lines: I) -> Self {
        Self { lines: lines.peekable(), last: None, networks: BTreeSet::new() }
    }

    /// All records of the next name.
    fn next(&mut self) -> Result<Option<(Key, BTreeSet<String>)>, Unfit> {
        let mut records = BTreeSet::new();
        let mut name: Option<Key> = None;
        while let Some(line) = self.lines.peek() {
            let Ok(text) = line else { break };
            let owner = text.split(' ').next().unwrap_or_default();
            if owner.ends_with(".rpz-ip") || owner.ends_with(".rpz-client-ip") {
                self.networks.extend(self.lines.next().transpose()?);
                if self.networks.len() > NETWORKS_MAX {
                    return Err(Unfit::No);
                }
                continue;
            }
            let key = key(owner).ok_or(Unfit::No)?;
            if name.as_ref().is_some_and(|name| *name != key) {
                break;
            }
            name = Some(key);
            records.extend(self.lines.next().transpose()?);
        }
        if let Some(Err(_unreadable)) = self.lines.peek() {
            self.lines.next().transpose()?;
        }
        if name.is_some() && self.last >= name {
            return Err(Unfit::No);
        }
        self.last.clone_from(&name);
        Ok(name.map(|name| (name, records)))
    }
}

/// Gives all lines of the one that are not of the other.
fn compare(
    old: impl Iterator<Item = io::Result<String>>,
    new: impl Iterator<Item = io::Result<String>>,
    sink: &mut Sink<'_>,
) -> Result<(), Unfit> {
    let (mut old, mut new) = (Side::new(old), Side::new(new));
    let (mut gone, mut come) = (old.next()?, new.next()?);
    let mut names = 0_usize;
    loop {
        let order = match (&gone, &come) {
            (Some((gone, _)), Some((come, _))) => gone.cmp(come),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => break,
        };
        let before = if order.is_le() { std::mem::replace(&mut gone, old.next()?) } else { None };
        let after = if order.is_ge() { std::mem::replace(&mut come, new.next()?) } else { None };
        let records = |side: Option<(Key, BTreeSet<String>)>| side.map(|(_key, records)| records).unwrap_or_default();
        differ(&records(before), &records(after), sink)?;
        names += 1;
        if names.is_multiple_of(LINES_AT_ONCE) {
            make_way();
        }
    }
    differ(&old.networks, &new.networks, sink)
}

fn differ(before: &BTreeSet<String>, after: &BTreeSet<String>, sink: &mut Sink<'_>) -> Result<(), Unfit> {
    before.difference(after).try_for_each(|line| sink.give('-', line))?;
    after.difference(before).try_for_each(|line| sink.give('+', line))
}

/// The place of an owner's records; `None`: it is no name.
fn key(owner: &str) -> Option<Key> {
    let (name, below) = match owner.strip_prefix("*.") {
        Some(name) => (name, true),
        None if owner == "*" => (".", true),
        None => (owner, false),
    };
    let name = LowerName::parse(name).ok()?;
    let mut reversed = Vec::with_capacity(name.wire().len());
    for index in (0..name.labels()).rev() {
        let label = name.label(index);
        reversed.push(u8::try_from(label.len()).ok()?);
        reversed.extend_from_slice(label);
    }
    Some((reversed, below))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> impl Iterator<Item = io::Result<String>> {
        text.lines().map(|line| Ok(line.to_owned())).collect::<Vec<_>>().into_iter()
    }

    /// What is gone and what is new; nothing: there is no step.
    fn step(old: &str, new: &str, records_max: u64) -> Option<(Vec<String>, Vec<String>)> {
        let directory = tempfile::tempdir().unwrap();
        let zone = directory.path().join("rpz.test.zone");
        let place = Place { zone: &zone };
        let step = Step::write(&place, (1, lines(old)), (2, lines(new)), records_max).unwrap()?;
        let again = place.steps_to(2);
        assert_eq!((again.len(), again[0].from, again[0].to, again[0].records), (1, 1, 2, step.records));
        assert!(place.steps_to(1).is_empty() && place.steps_to(3).is_empty());
        place.keep(&[]);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        let all = |new| step.lines(new).map(Result::unwrap).collect::<Vec<_>>();
        Some((all(false), all(true)))
    }

    #[test]
    fn a_step_holds_what_is_gone_and_what_is_new() {
        let old = "a.test CNAME .\n*.a.test CNAME .\nb.a.test CNAME .\nz.test A 192.0.2.1\nz.test A 192.0.2.2\n\
                   24.0.2.0.192.rpz-ip CNAME .\n32.1.2.0.192.rpz-client-ip CNAME .";
        let new = "a.test CNAME *.\n*.a.test CNAME .\nc.test CNAME .\nz.test A 192.0.2.2\n24.0.2.0.192.rpz-ip CNAME .";
        let (gone, come) = step(old, new, 100).unwrap();
        assert_eq!(
            gone,
            ["a.test CNAME .", "b.a.test CNAME .", "z.test A 192.0.2.1", "32.1.2.0.192.rpz-client-ip CNAME ."]
        );
        assert_eq!(come, ["a.test CNAME *.", "c.test CNAME ."]);
        assert_eq!(step(old, old, 100), Some((vec![], vec![])));
    }

    #[test]
    fn as_much_as_the_zone_or_in_no_order_is_no_step() {
        assert_eq!(step("a.test CNAME .", "b.test CNAME .", 1), None);
        assert_eq!(step("b.test CNAME .\na.test CNAME .", "b.test CNAME .", 9), None);
        assert!(step("", "*.test CNAME .\na.test CNAME .", 9).is_some());
    }

    #[test]
    fn steps_are_bounded_and_reach_back_as_far_as_they_go() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        let step = |from| Arc::new(Step { from, to: from + 1, records: 10, file: Arc::clone(&file) });
        let steps: Vec<_> = (0..40).map(step).collect();
        assert_eq!(bounded(steps.clone(), 1_000).len(), STEPS_MAX);
        let few = bounded(steps, 25);
        assert_eq!(few.iter().map(|step| step.from).collect::<Vec<_>>(), [38, 39]);
        assert_eq!(since(&few, 39).unwrap().len(), 1);
        assert!(since(&few, 37).is_none() && since(&few, 40).is_none());
    }
}
