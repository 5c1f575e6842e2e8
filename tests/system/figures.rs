//! Figures out of what the server shows: its metrics page and its JSON.

use serde_json::Value;

/// A metrics page.
#[derive(Debug)]
pub(crate) struct Page {
    samples: Vec<(String, u64)>,
    text: String,
}

impl Page {
    /// Reads Prometheus text format; values are whole numbers here, or not asked for.
    pub(crate) fn read(text: &str) -> Self {
        let sample = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        };
        let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect();
        Self { samples, text: text.to_owned() }
    }

    /// The one value of a name without labels, whole or not.
    #[track_caller]
    pub(crate) fn value(&self, name: &str) -> f64 {
        let mut values = self.text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        values.next().unwrap_or_else(|| panic!("no {name} on the page")).parse().unwrap()
    }

    /// The sum over all series of a name.
    pub(crate) fn sum(&self, name: &str) -> u64 {
        self.sum_of(name, &[])
    }

    /// The sum over those series of a name that have these labels.
    pub(crate) fn sum_of(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let has = |series: &str, (label, value): &(&str, &str)| series.contains(&format!("{label}=\"{value}\""));
        let of_name =
            |series: &str| series == name || series.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'));
        let chosen =
            self.samples.iter().filter(|(series, _)| of_name(series) && labels.iter().all(|label| has(series, label)));
        chosen.map(|(_, value)| value).sum()
    }

    /// Queries that were read but have no end yet; 0 at rest.
    #[track_caller]
    pub(crate) fn balance(&self) -> u64 {
        let ended = self.sum("embargo_dns_responses_total") + self.sum("embargo_dns_dropped_total");
        self.sum("embargo_dns_requests_total").checked_sub(ended).expect("no query ends twice")
    }
}

/// The sum of `count` over the rows of which all of these fields are so.
pub(crate) fn count(rows: &Value, fields: &[(&str, &str)]) -> u64 {
    let has = |row: &&Value| fields.iter().all(|(field, value)| row[*field] == *value);
    rows.as_array().expect("an array").iter().filter(has).map(|row| row["count"].as_u64().expect("a count")).sum()
}
