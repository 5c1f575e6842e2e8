//! A report as OSCAL assessment results (NIST, version 1.1.2), for tools that gather evidence.
//!
//! UUIDs are those of names (RFC 9562 §5.5), so that the same report has the same ones. What OSCAL has no word for stands in
//! `props` of a namespace of ours. The seal is the last resource of the back matter.

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::{Value, json};

use super::document::Document;
use super::format::plain;
use super::open::OpenRow;
use crate::time::Day;

/// The version of OSCAL.
const VERSION: &str = "1.1.2";
/// The namespace of our properties.
const NAMESPACE: &str = "urn:embargo:report";
/// The namespace of our UUIDs.
const UUIDS: [u8; 16] =
    [0x6f, 0x2b, 0x5d, 0x0e, 0x31, 0x84, 0x4c, 0x9a, 0xb1, 0x57, 0x0c, 0x8e, 0x9d, 0x42, 0x7a, 0x13];
/// What stands before the fingerprint of the key that signs.
pub(super) const SIGNED_BY: &str = "\"name\":\"signed_by\",\"ns\":\"urn:embargo:report\",\"value\":\"";
/// What stands around the seal: it is the description of the last resource, and ends the document.
pub(super) const AROUND_SEAL: (&str, &str) = (
    ",{\"uuid\":\"5ea1ed01-e3ba-5a90-8000-5ea1ed5ea1ed\",\"title\":\"Seal of all that stands before it\",\"description\":\"",
    "\"}]}}}\n",
);

/// The document up to its seal, which closes it.
pub(super) fn render(document: &Document) -> String {
    let oscal = Oscal { document, name: name(document) };
    let mut body = oscal.results().to_string();
    // The last member is the back matter, whose last resource will be the seal.
    body.pop();
    format!("{{\"assessment-results\":{body},\"back-matter\":{{\"resources\":[{}", oscal.method())
}

/// What tells this report from all others.
fn name(document: &Document) -> String {
    let about = &document.about;
    let site = about.site.as_deref().unwrap_or("*");
    [&about.ban, &about.from, &about.to, &about.baseline_from, &about.baseline_to, site].join("/")
}

struct Oscal<'d> {
    document: &'d Document,
    name: String,
}

impl Oscal<'_> {
    /// The UUID of a part of this report.
    fn uuid(&self, part: &str) -> String {
        uuid(&format!("{}/{part}", self.name))
    }

    /// The first moment after the window: nothing in the report is later, and it looks at no clock.
    fn end(&self) -> String {
        let last: Option<Day> = self.document.about.to.parse().ok();
        format!("{}T00:00:00Z", last.unwrap_or_default().plus(1))
    }

    fn results(&self) -> Value {
        let about = &self.document.about;
        let title = format!("{}: devices from {} to {}", plain(&about.title), about.from, about.to);
        let signed_by = about.signed_by.as_deref().map(|key| prop("signed_by", key));
        let props: Vec<_> = std::iter::once(prop("software", about.software)).chain(signed_by).collect();
        json!({
            "uuid": self.uuid("results"),
            "metadata": {
                "title": title,
                "last-modified": self.end(),
                "version": "1",
                "oscal-version": VERSION,
                "props": props,
            },
            "import-ap": {"href": format!("#{}", self.uuid("method")), "remarks": "What was looked for, and how."},
            "results": [self.result(&title)],
        })
    }

    fn result(&self, title: &str) -> Value {
        let (document, about) = (self.document, &self.document.about);
        let mut result = json!({
            "uuid": self.uuid("result"),
            "title": title,
            "description": document.statement.join(" "),
            "start": format!("{}T00:00:00Z", about.from),
            "end": self.end(),
            "reviewed-controls": {
                "control-selections": [{
                    "description": "Whichever controls of this organisation forbid the product; the report names none.",
                    "include-all": {},
                }],
            },
            "observations": self.observations(),
            "findings": [self.finding()],
        });
        let devices: Vec<_> = document.open.devices.iter().map(|row| self.device(row)).collect();
        if !devices.is_empty() {
            result["local-definitions"] = json!({"inventory-items": devices});
        }
        result
    }

    fn observations(&self) -> Vec<Value> {
        let document = self.document;
        let known = |(name, value, text): (&'static str, String, &'static str)| {
            let value = value.trim_end_matches(" %").replace(',', "");
            value.parse::<f64>().is_ok().then(|| {
                let mut prop = prop(name, &value);
                prop["remarks"] = json!(text);
                prop
            })
        };
        let figures: Vec<_> = document.figures.rows().into_iter().filter_map(known).collect();
        let mut all =
            vec![self.observation("figures", "Devices of all sites", &document.statement.join(" "), &figures)];
        for row in &document.sites {
            let counts = [
                ("baseline", row.baseline),
                ("still", row.still),
                ("new", row.new),
                ("returned", row.returned),
                ("clean", row.clean),
                ("quiet", row.quiet),
                ("unknown", row.unknown),
                ("exempt", row.exempt),
            ];
            let counts = counts.into_iter().chain(row.now.map(|now| ("now", now)));
            let props: Vec<_> = counts.map(|(name, count)| prop(name, &count.to_string())).collect();
            let site = plain(&row.site);
            let now = row.now.map_or_else(|| "an unknown number".to_owned(), |now| now.to_string());
            let says = format!("{} devices in the baseline, {now} in the window.", row.baseline);
            all.push(self.observation(&format!("site/{}", row.site), &format!("Site {site}"), &says, &props));
        }
        if !document.open.devices.is_empty() {
            all.push(self.open());
        }
        all
    }

    fn observation(&self, part: &str, title: &str, description: &str, props: &[Value]) -> Value {
        let mut observation = json!({
            "uuid": self.uuid(&format!("observation/{part}")),
            "title": title,
            "description": description,
            "methods": ["TEST"],
            "collected": self.end(),
        });
        if !props.is_empty() {
            observation["props"] = json!(props);
        }
        observation
    }

    /// Devices seen in the window, as subjects.
    fn open(&self) -> Value {
        let open = &self.document.open;
        let subject = |row: &OpenRow| json!({"subject-uuid": self.device_uuid(row), "type": "inventory-item", "title": plain(&row.device)});
        let subjects: Vec<_> = open.devices.iter().map(subject).collect();
        let says = format!("Devices seen in the window; {} more are not listed.", open.left_out);
        let mut observation = self.observation("open", "Open devices", &says, &[]);
        observation["subjects"] = json!(subjects);
        observation
    }

    fn device_uuid(&self, row: &OpenRow) -> String {
        self.uuid(&format!("device/{}/{}", row.site, row.device))
    }

    fn device(&self, row: &OpenRow) -> Value {
        let days = row.days.to_string();
        let client = row.client.as_deref().unwrap_or_default();
        let all = [
            ("site", &*row.site),
            ("address", client),
            ("state", row.state),
            ("since_baseline", row.since_baseline),
            ("exempt", if row.exempt { "yes" } else { "no" }),
            ("days", &days),
            ("first_seen", &*row.first),
            ("last_seen", &*row.last),
        ];
        let props: Vec<_> = all
            .into_iter()
            .filter(|(_, value)| !value.trim().is_empty())
            .map(|(name, value)| prop(name, value))
            .collect();
        json!({"uuid": self.device_uuid(row), "description": plain(&row.device), "props": props})
    }

    /// Whether the ban is kept: only where there is nothing, of all days, it may be called so.
    fn finding(&self) -> Value {
        let (document, about) = (self.document, &self.document.about);
        let covered = document.coverage.window.days == document.coverage.window.of_days;
        let seen = document.figures.now.unwrap_or_default();
        let (state, reason, says) = match seen.saturating_sub(document.figures.exempt) {
            0 if covered => ("satisfied", "pass", "No device without an exemption was seen in the window."),
            0 => ("not-satisfied", "other", "No such device was seen, but not all days of the window are on record."),
            _ => ("not-satisfied", "fail", "Devices without an exemption were seen in the window."),
        };
        json!({
            "uuid": self.uuid("finding"),
            "title": format!("The ban on {} is kept", plain(&about.title)),
            "description": says,
            "target": {
                "type": "objective-id",
                "target-id": format!("ban-{}", about.ban),
                "status": {"state": state, "reason": reason},
            },
            "related-observations": [{"observation-uuid": self.uuid("observation/figures")}],
        })
    }

    /// How it was found, as a resource.
    fn method(&self) -> Value {
        let all = self.document.method.iter().chain(&self.document.limits);
        let text = all.map(String::as_str).collect::<Vec<_>>().join("\n\n");
        json!({"uuid": self.uuid("method"), "title": "How it was found, and what it can't say", "description": text})
    }
}

/// A property of ours; a value is one line and not empty.
fn prop(name: &str, value: &str) -> Value {
    json!({"name": name, "ns": NAMESPACE, "value": plain(value.trim())})
}

/// The UUID of a name (version 5).
fn uuid(name: &str) -> String {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[&UUIDS, name.as_bytes()].concat());
    let mut octets: [u8; 16] = hash.as_ref().first_chunk().copied().unwrap_or_default();
    octets[6] = octets[6] & 0x0F | 0x50;
    octets[8] = octets[8] & 0x3F | 0x80;
    let digits = data_encoding::HEXLOWER.encode(&octets);
    let parts: Vec<&str> =
        [0..8, 8..12, 12..16, 16..20, 20..32].into_iter().filter_map(|part| digits.get(part)).collect();
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_that_of_its_name_in_version_5() {
        let one = uuid("acme/figures");
        assert_eq!((one.as_str(), one.len()), (uuid("acme/figures").as_str(), 36));
        assert_ne!(one, uuid("acme/figure"));
        assert!(one.as_bytes()[14] == b'5' && b"89ab".contains(&one.as_bytes()[19]), "{one}");
    }
}
