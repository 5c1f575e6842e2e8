//! What narrows rows of the record: the parameters, and what they mean.

use super::pages::{CURSOR, LIMIT};
use crate::admin::call::Call;
use crate::admin::problem::Problem;
use crate::admin::route::Parameter;
use crate::admin::shape::Shape;
use crate::journal::Wanted;
use crate::metrics::Did;
use crate::policy::Evidence;

/// The words of a type, as it has them itself.
macro_rules! words {
    ($of:ty) => {{
        let mut words = [""; <$of>::ALL.len()];
        let mut at = 0;
        while at < words.len() {
            words[at] = <$of>::ALL[at].as_str();
            at += 1;
        }
        words
    }};
}

/// A word for what a lookup proves.
pub(super) const EVIDENCE: Shape = Shape::Word(&words!(Evidence));
/// A word for what was done.
pub(super) const ACTION: Shape = Shape::Word(&words!(Did));

const fn parameter(name: &'static str, shape: Shape, about: &'static str) -> Parameter {
    Parameter { name, shape, about }
}

const BAN: Parameter = parameter("ban", Shape::Text, "Only this ban, by its id.");
const EVIDENCE_: Parameter = parameter("evidence", EVIDENCE, "Only this evidence.");
const CATEGORY: Parameter = parameter("category", Shape::Text, "Only this category.");
const SITE: Parameter = parameter("site", Shape::Text, "Only this site.");
const ACTION_: Parameter = parameter("action", ACTION, "Only what was done so.");
pub(super) const CLIENT: Parameter = parameter("client", Shape::Address, "Only this client.");
const DEVICE: Parameter = parameter("device", Shape::Text, "Only this device, or the address that stands for one.");
const NAME: Parameter = parameter("name", Shape::Text, "Only this name and names below it.");
const PATTERN: Parameter = parameter("pattern", Shape::Text, "Only this rule, by its pattern.");
const SINCE: Parameter = parameter("since", Shape::Time, "Only what was last seen then or later.");
const UNTIL: Parameter = parameter("until", Shape::Time, "Only what was first seen then or before.");

/// Of attempts.
pub(super) static OF_ATTEMPTS: [Parameter; 13] =
    [BAN, EVIDENCE_, CATEGORY, SITE, ACTION_, CLIENT, DEVICE, NAME, PATTERN, SINCE, UNTIL, LIMIT, CURSOR];
/// Of attempts that are yet to come.
pub(super) static OF_NEWS: [Parameter; 9] = [BAN, EVIDENCE_, CATEGORY, SITE, ACTION_, CLIENT, DEVICE, NAME, PATTERN];
/// Of clients.
pub(super) static OF_CLIENTS: [Parameter; 9] = [BAN, EVIDENCE_, SITE, CLIENT, DEVICE, SINCE, UNTIL, LIMIT, CURSOR];

/// What a request wants to see.
///
/// # Errors
/// It can't be meant.
pub(super) fn wanted(call: &Call) -> Result<Wanted, Problem> {
    let text = |name: &str| call.given(name).map(str::to_owned);
    let moment = |name: &str| call.read(name, |text| text.parse().ok(), "moment");
    let evidence = |word: &str| Evidence::ALL.into_iter().find(|all| all.as_str() == word);
    let action = |word: &str| Did::ALL.into_iter().find(|all| all.as_str() == word);
    Ok(Wanted {
        ban: text("ban"),
        evidence: call.read("evidence", evidence, "evidence")?,
        category: text("category"),
        site: text("site"),
        action: call.read("action", action, "action")?,
        client: call.read("client", |text| text.parse().ok(), "address")?,
        device: text("device"),
        name: call.given("name").and_then(Wanted::name_of),
        pattern: text("pattern"),
        since: moment("since")?,
        until: moment("until")?,
    })
}
