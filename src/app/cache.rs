//! What an operator may do with the cache while the server runs: look at it, and throw away what is wrong in it.

use std::sync::Arc;

use serde_json::json;

use super::control::Questions;
use super::parts::Parts;
use crate::cache::{Row, Selection};
use crate::orders::Answer;
use crate::wire::{LowerName, rcode, rtype};

/// Rows shown at most: more are not read by anybody.
const ROWS_MAX: usize = 1_000;

impl Parts {
    /// What the cache keeps of these questions.
    pub(super) async fn cache_rows(&self, questions: &Questions) -> Answer {
        let meant = match selection(questions) {
            Ok(meant) => meant,
            Err(why) => return Answer::Failed(why),
        };
        let (cache, now) = (Arc::clone(&self.cache), self.clock.now().mono);
        match tokio::task::spawn_blocking(move || cache.rows(&meant, ROWS_MAX, now)).await {
            Ok((rows, more)) => Answer::Done(json!({"rows": rows.iter().map(row).collect::<Vec<_>>(), "more": more})),
            Err(error) => Answer::Failed(error.to_string()),
        }
    }

    /// Throws away what the cache keeps of these questions.
    pub(super) async fn flush_cache(&self, questions: &Questions) -> Answer {
        let meant = match selection(questions) {
            Ok(meant) => meant,
            Err(why) => return Answer::Failed(why),
        };
        let (cache, now) = (Arc::clone(&self.cache), self.clock.now().mono);
        match tokio::task::spawn_blocking(move || cache.remove(&meant, now)).await {
            Ok(removed) => {
                self.forget_saved_cache();
                self.metrics.cache.flushed.add(removed.answers + removed.failures);
                Answer::Done(json!({"answers": removed.answers, "failures": removed.failures}))
            }
            Err(error) => Answer::Failed(error.to_string()),
        }
    }
}

fn selection(questions: &Questions) -> Result<Selection, String> {
    let Some(name) = &questions.name else { return Ok(Selection::All) };
    let name = LowerName::parse(name).map_err(|error| format!("this is no name: {error}"))?;
    Ok(Selection::Name { name: Box::new(name), below: questions.below, qtype: questions.qtype })
}

fn row(row: &Row) -> serde_json::Value {
    json!({
        "name": row.name.to_string(),
        "type": rtype::mnemonic(row.rest.qtype),
        "class": row.rest.qclass,
        "dnssec_ok": row.rest.dnssec_ok,
        "checking_disabled": row.rest.checking_disabled,
        "state": row.state.as_str(),
        "rcode": match row.rcode {
            rcode::NOERROR => "NOERROR".to_owned(),
            rcode::NXDOMAIN => "NXDOMAIN".to_owned(),
            rcode::SERVFAIL => "SERVFAIL".to_owned(),
            other => other.to_string(),
        },
        "left_seconds": row.left,
        "age_seconds": row.age,
        "bytes": row.bytes,
    })
}
