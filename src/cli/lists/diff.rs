//! `embargo lists diff`: what a new version of a list would change.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::super::EXIT_CODES;
use super::super::console::Console;
use super::super::failure::{Failure, write_lines};
use super::super::flags::one_of;
use crate::config::{Origin, Reading, list_policy, survey_list};
use crate::policy::{Comparison, ListFormat, Policy, RuleRow, Strictness, VerdictChange};

/// Show which rules of a list are new or gone, and what that changes
#[derive(Debug, Args)]
#[command(after_long_help = format!("{EXAMPLES}\n\n{NOTES}\n\n{EXIT_CODES}"))]
pub(super) struct Diff {
    /// The list as it was
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The list as it is to be
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// The format of both; by default the first lines of each tell
    #[arg(long, value_name = "FORMAT", value_parser = one_of(ListFormat::ALL, ListFormat::as_str))]
    format: Option<ListFormat>,
    #[arg(long, help = JSON_HELP)]
    json: bool,
}

const JSON_HELP: &str = "One JSON object of {added, removed, changed, verdicts}; a rule is {pattern, category, evidence, \
                         does}, a change {old, new}, a verdict {name, old, new}";

const EXAMPLES: &str = "\
Examples:
  embargo lists diff old.txt new.txt
  embargo lists diff old.rpz new.rpz --json | jq '.verdicts[] | select(.new == \"none\")'";

const NOTES: &str = "\
Verdicts are those of a ban with this list alone, which enforces by nxdomain, for names that a changed rule names: the name, and \
as `*.name` the names below it of which no rule speaks; of a glob, the names that it matches and of which no other rule \
speaks. They are none, allow, observe, or an action. Beside a list of rules, one of plain names is read as rules.";

/// What `--json` prints; its names are an interface.
#[derive(Debug, Serialize)]
struct Different {
    added: Vec<Rule>,
    removed: Vec<Rule>,
    changed: Vec<Change>,
    verdicts: Vec<Verdict>,
}

#[derive(Debug, Serialize)]
struct Rule {
    pattern: String,
    category: String,
    evidence: &'static str,
    does: &'static str,
}

#[derive(Debug, Serialize)]
struct Change {
    old: Rule,
    new: Rule,
}

#[derive(Debug, Serialize)]
struct Verdict {
    name: String,
    old: &'static str,
    new: &'static str,
}

impl Diff {
    /// Reads both lists and compares them.
    pub(super) fn execute(self, console: &mut Console<'_>) -> Result<(), Failure> {
        let reading = Reading { format: self.format.or_else(|| self.common()), strictness: Strictness::Lenient };
        let (old, new) = (read(&self.old, reading, console)?, read(&self.new, reading, console)?);
        let comparison = old.compare(&new, console.now);
        if self.json {
            return Ok(console.json(&Different::from(comparison))?);
        }
        write_lines(&lines(&comparison), console.out)?;
        Ok(())
    }
}

impl Diff {
    /// The format of both where one of them has plain names and the other our rules: a name is the same rule in both then.
    fn common(&self) -> Option<ListFormat> {
        let reading = Reading { format: None, strictness: Strictness::Lenient };
        let told =
            |path: &Path| survey_list(&Origin::File(path.to_path_buf()), reading).ok().map(|(format, _lines)| format);
        match (told(&self.old)?, told(&self.new)?) {
            (ListFormat::Domains, ListFormat::Rules) | (ListFormat::Rules, ListFormat::Domains) => {
                Some(ListFormat::Rules)
            }
            _ => None,
        }
    }
}

/// The list's policy; what is wrong with it is told.
fn read(path: &Path, reading: Reading, console: &mut Console<'_>) -> Result<Policy, Failure> {
    let (policy, diagnostics) = list_policy(path, reading);
    let Some(policy) = policy else { return Err(Failure::Mistakes(diagnostics)) };
    let told: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    write_lines(&told, console.err)?;
    Ok(policy)
}

fn lines(comparison: &Comparison) -> Vec<String> {
    let Comparison { added, removed, changed, verdicts } = comparison;
    let rule = |sign, rule: &RuleRow| {
        format!("{sign} {} {} {} {}", rule.pattern, rule.category, rule.evidence.as_str(), rule.does)
    };
    let mut lines: Vec<String> = removed.iter().map(|row| rule('-', row)).collect();
    lines.extend(added.iter().map(|row| rule('+', row)));
    lines.extend(changed.iter().flat_map(|(old, new)| [rule('<', old), rule('>', new)]));
    lines.extend(verdicts.iter().map(|VerdictChange { name, old, new }| format!("= {name}: {old} -> {new}")));
    let (added, removed, changed, verdicts) = (added.len(), removed.len(), changed.len(), verdicts.len());
    lines.push(format!("{added} rules added, {removed} removed, {changed} changed; {verdicts} verdicts changed"));
    lines
}

impl From<RuleRow> for Rule {
    fn from(row: RuleRow) -> Self {
        let RuleRow { pattern, category, evidence, does } = row;
        Self { pattern, category: category.to_string(), evidence: evidence.as_str(), does }
    }
}

impl From<Comparison> for Different {
    fn from(comparison: Comparison) -> Self {
        let rules = |rows: Vec<RuleRow>| rows.into_iter().map(Rule::from).collect();
        let changed = comparison.changed.into_iter().map(|(old, new)| Change { old: old.into(), new: new.into() });
        let verdicts =
            comparison.verdicts.into_iter().map(|VerdictChange { name, old, new }| Verdict { name, old, new });
        Self {
            added: rules(comparison.added),
            removed: rules(comparison.removed),
            changed: changed.collect(),
            verdicts: verdicts.collect(),
        }
    }
}
