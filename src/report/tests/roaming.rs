//! A device counts once, at however many sites and under however many names it was recorded.

use std::fmt::Write as _;
use std::sync::Arc;

use super::*;
use crate::diag::Source;
use crate::identity::LeaseFormat;

const MAC: &str = "00:16:3e:00:00:0a";

/// Whoever holds these addresses, by their last octet and hardware address.
fn holding(rows: &[(u8, &str)]) -> Arc<Devices> {
    let mut table = "address,mac,since\n".to_owned();
    for (client, mac) in rows {
        writeln!(table, "192.0.2.{client},{mac},0").unwrap();
    }
    let leases = LeaseFormat::Csv.leases(&Source::new("t", table)).0;
    let devices = Devices::default();
    devices.take(&leases, "2026-01-01T00:00:00Z".parse().unwrap());
    Arc::new(devices)
}

fn counts(figures: &Value) -> [u64; 4] {
    ["baseline", "now", "still", "new"].map(|name| figures[name].as_u64().unwrap())
}

fn of_site(document: &Value, site: &str) -> [u64; 4] {
    let rows = document["sites"].as_array().unwrap();
    counts(rows.iter().find(|row| row["site"] == site).unwrap())
}

#[test]
fn a_device_that_moved_counts_where_it_was_and_once_in_all() {
    let record = Record::new();
    let devices = holding(&[(1, MAC), (2, MAC)]);
    let paris = |client, at| Tried { site: "paris", ..Tried::by(client, at) };
    record.write_of(&devices, &[Tried::by(1, "2026-02-03T08:00:00Z"), paris(2, "2026-03-12T08:00:00Z")]);
    record.write(&[Tried::by(3, "2026-02-04T08:00:00Z"), Tried::by(3, "2026-03-14T08:00:00Z")]);
    let told = json(&document_by(&record, (None, &devices), &asked()));
    assert_eq!(counts(&told["figures"]), [2, 2, 2, 0]);
    assert_eq!((of_site(&told, "berlin"), of_site(&told, "paris")), ([2, 1, 1, 0], [0, 1, 0, 1]));
    assert_eq!((&told["figures"]["sites_baseline"], &told["figures"]["sites_now"]), (&json!(1), &json!(2)));
    let open = told["open"]["devices"].as_array().unwrap();
    let row = open.iter().find(|row| row["device"] == format!("mac:{MAC}")).unwrap();
    assert_eq!(
        (&row["site"], &row["since_baseline"], &row["first"]),
        (&json!("paris"), &json!("still"), &json!("2026-02-03"))
    );
    assert_eq!(open.len(), 2);
    // Of one site only what it did there.
    let told = json(&document_by(&record, (Some("paris"), &devices), &asked()));
    assert_eq!(counts(&told["figures"]), [0, 1, 0, 1]);
}

#[test]
fn a_device_that_has_another_name_by_now_is_the_one_that_it_was() {
    let record = Record::new();
    record.write_of(&holding(&[(1, MAC)]), &[Tried::by(1, "2026-02-03T08:00:00Z")]);
    let later = holding(&[(1, MAC)]);
    later.take_assets(vec![vec!["asset:7".parse().unwrap(), format!("mac:{MAC}").parse().unwrap()]]);
    record.write_of(&later, &[Tried::by(1, "2026-03-12T08:00:00Z")]);
    let apart = json(&document_by(&record, (None, &Devices::default()), &asked()));
    assert_eq!(counts(&apart["figures"]), [1, 1, 0, 1]);
    let told = json(&document_by(&record, (None, &later), &asked()));
    assert_eq!(counts(&told["figures"]), [1, 1, 1, 0]);
    assert_eq!(of_site(&told, "berlin"), [1, 1, 1, 0]);
    assert_eq!(told["open"]["devices"].as_array().unwrap().len(), 1);
    assert_eq!(told["open"]["devices"][0]["device"], "asset:7");
    let seen = |span: &Value| span["devices"].as_u64().unwrap_or(0);
    assert_eq!(told["days"].as_array().unwrap().iter().map(seen).sum::<u64>(), 2);
}

#[test]
fn two_that_were_merged_count_as_one_in_figures_groups_and_lists_of_devices() {
    let other = "00:16:3e:00:00:0b";
    let record = Record::new();
    let devices = holding(&[(1, MAC), (2, other)]);
    let paris = Tried { site: "paris", evidence: Evidence::Visit, ..Tried::by(2, "2026-03-13T08:00:00Z") };
    record.write_of(
        &devices,
        &[Tried::by(1, "2026-03-12T08:00:00Z"), Tried { site: "paris", ..Tried::by(2, "2026-03-13T08:00:00Z") }, paris],
    );
    let merged = |text: &str| format!("mac:{text}").parse().unwrap();
    devices.take_words(vec![crate::identity::Word::Merge(merged(MAC), merged(other))]);
    let store = record.store();
    let presence = store.presence().unwrap().uniting(&devices).unwrap();
    let asked = asked();
    let subject = Subject { ban: "acme", evidence: Evidence::Installed, asked: &asked, site: None, spans: &[] };
    let inventory = Inventory::read(&presence, &subject).unwrap();
    assert_eq!((inventory.count(Class::Now), inventory.figures.evidence[&Evidence::Visit]), (1, (0, 1)));
    let numbers = inventory.numbers(&presence, &subject, Class::Now, (Sort::Device, false)).unwrap();
    let rows = inventory.rows(&presence, &subject, &numbers).unwrap();
    let told: Vec<_> = rows.iter().map(|row| (&*row.device, &*row.site, row.days, row.lookups)).collect();
    assert_eq!(told, [(&*format!("mac:{MAC}"), "paris", 2, 2)]);
    let tags = ["berlin", "paris"].map(|site| SiteTags {
        site: site.into(),
        country: Some("XX".into()),
        department: Some(site.into()),
    });
    let groups = Grouping { tags: tags.into(), by: None }.rows(&inventory.figures, &asked);
    let told: Vec<_> = groups.iter().map(|row| (&*row.name, row.sites, row.now)).collect();
    assert_eq!(told, [("XX", 2, Some(1)), ("berlin", 1, Some(1)), ("paris", 1, Some(1))]);
}

#[test]
fn devices_of_the_inventory_that_never_asked_are_told() {
    let record = Record::new();
    let devices = holding(&[(1, MAC)]);
    let assets = [("asset:1", MAC), ("asset:2", "00:16:3e:00:00:0b"), ("asset:3", "00:16:3e:00:00:0c")];
    let row = |(asset, mac): (&str, &str)| vec![asset.parse().unwrap(), format!("mac:{mac}").parse().unwrap()];
    devices.take_assets(assets.map(row).into());
    record.write_of(&devices, &[Tried::by(1, "2026-03-12T08:00:00Z")]);
    let store = record.store();
    let told = |rows_max| {
        let presence = store.presence().unwrap().uniting(&devices).unwrap();
        let (ban, asked, history) = (ban(), asked(), history());
        let inputs = Inputs { inventory: devices.inventory(), rows_max, ..inputs(&ban, &asked, &history) };
        Document::build(&presence, &inputs).unwrap()
    };
    assert!(told(9).silent.is_none(), "nothing is on record of who was active");
    record.active(7, "2026-03-12", 1);
    let document = told(9);
    let silent = document.silent.clone().unwrap();
    assert_eq!(
        (silent.known, silent.silent, &*silent.devices),
        (3, 2, &["asset:2".to_owned(), "asset:3".to_owned()][..])
    );
    assert_eq!(told(1).silent.unwrap().left_out, 1);
    for (format, says) in [
        (Format::Html, "Devices that never asked"),
        (Format::Markdown, "Of 3 devices of the inventory, 2 asked this server for nothing"),
        (Format::Csv, "\"never_asked\""),
    ] {
        assert!(format.render(&document).contains(says), "{format:?}");
    }
}
