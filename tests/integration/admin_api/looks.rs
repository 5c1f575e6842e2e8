//! What pages make of the record beside showing its rows: another order, a picture of one device, and what a change would do.

use super::client::{ask, get};
use super::pages::attacked;
use crate::harness::RunningServer;

async fn csv(server: &RunningServer, target: &str) -> Vec<String> {
    let answer = get(server, target).send().await;
    assert_eq!(answer.status, 200, "{target}: {}", answer.body);
    answer.body.lines().skip(1).map(str::to_owned).collect()
}

/// The cells of one column.
fn column(rows: &[String], at: usize) -> Vec<String> {
    rows.iter().map(|row| row.split(',').nth(at).unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn attempts_are_sorted_by_any_column_and_the_page_says_of_which_part_of_the_record() {
    let directory = tempfile::tempdir().unwrap();
    let server = attacked(directory.path()).await;
    let plain = csv(&server, "/activity?ban=vendor&csv=attempts").await;
    for (key, at) in [("name", 4), ("client", 1), ("last", 0), ("count", 11)] {
        let rising = csv(&server, &format!("/activity?ban=vendor&sort=attempts.{key}&csv=attempts")).await;
        assert!(rising.len() == plain.len() && column(&rising, at).is_sorted(), "{key}: {rising:?}");
        let falling = csv(&server, &format!("/activity?ban=vendor&sort=attempts.-{key}&csv=attempts")).await;
        assert!(column(&falling, at).is_sorted_by(|a, b| a >= b), "{key}: {falling:?}");
    }
    let page = get(&server, "/activity?ban=vendor&sort=attempts.name").send().await.body;
    let caption = format!("All {} attempts that match, sorted", plain.len());
    assert!(page.contains(&caption) && page.contains("aria-sort=\"ascending\""), "{page}");
}

#[tokio::test]
async fn a_device_has_a_picture_of_its_days_and_the_same_as_numbers() {
    let directory = tempfile::tempdir().unwrap();
    let server = attacked(directory.path()).await;
    let place = "/devices/mac:52:54:00:00:00:0a";
    let page = get(&server, place).send().await.body;
    let (_before, picture) = page.split_once("<figure class=\"timeline\">").unwrap();
    let picture = picture.split_once("</figure>").unwrap().0;
    assert!(picture.contains("role=\"img\"") && picture.contains("Lookups on 1 of the days"), "{picture}");
    for shape in ["class=\"bar\"", "class=\"others\"", "class=\"held\"", ">127.0.5.7<"] {
        assert!(picture.contains(shape), "{shape}: {picture}");
    }
    let days = csv(&server, &format!("{place}?csv=timeline")).await;
    assert_eq!((days.len(), column(&days, 1), column(&days, 2)), (1, vec!["6".to_owned()], vec!["5".to_owned()]));
    assert_eq!(column(&days, 4), ["\"vendor\""]);
}

#[tokio::test]
async fn a_preview_names_the_clients_that_another_mode_or_a_list_would_touch() {
    let directory = tempfile::tempdir().unwrap();
    let server = attacked(directory.path()).await;
    let clients = csv(&server, "/preview?ban=vendor&mode=off&csv=clients").await;
    assert_eq!(clients.len(), 3, "{clients:?}");
    assert!(clients.iter().all(|row| row.contains("\"let through\"")), "{clients:?}");
    let named = clients.iter().find(|row| row.starts_with("\"127.0.5.7\"")).unwrap();
    assert!(named.contains("\"mac:52:54:00:00:00:0a\"") && named.contains("\"hq\""), "{named}");
    let same = get(&server, "/preview?ban=vendor&mode=enforce").send().await.body;
    assert!(same.contains("Nobody would be touched."), "{same}");

    let pasted = ask(&server, "POST", "/preview").form("list=a.example%0A%3Cb%3E%0A&since=24h").send().await;
    let place = pasted.header("location").unwrap();
    assert!(pasted.status == 303 && place.starts_with("/preview?list="), "{pasted:?}");
    let page = get(&server, place).send().await;
    assert!(page.status == 200 && page.body.contains("If this list of 2 lines were enforced"), "{page:?}");
    for (target, status) in [
        ("/preview?ban=vendor&mode=none", 400),
        ("/preview?ban=nobody&mode=off", 404),
        ("/preview?mode=off", 404),
        ("/preview?list=gone", 404),
        ("/preview?ban=vendor&mode=off&since=soon", 400),
    ] {
        assert_eq!(get(&server, target).send().await.status, status, "{target}");
    }
    assert_eq!(ask(&server, "POST", "/preview").form("list=").send().await.status, 303);
}
