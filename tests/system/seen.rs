//! The dashboard in a browser: by day and by night, on a desk and on a telephone, with scripts and without. Whoever wants to look at
//! the pages too names a folder in `EMBARGO_PICTURES`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::browser::{Browser, Look};
use super::client::{A, ask};
use super::process::SOON;
use super::server::{Server, Setup};
use super::unbound::Unbound;

const LOOKS: [Look; 4] = [
    Look { name: "light", dark: false, width: 1280, scripts: true },
    Look { name: "dark", dark: true, width: 1280, scripts: true },
    Look { name: "narrow", dark: false, width: 390, scripts: true },
    Look { name: "without-scripts", dark: true, width: 820, scripts: false },
];

const PAGES: [&str; 10] = [
    "/",
    "/devices",
    "/devices/127.0.0.1",
    "/activity",
    "/bans",
    "/bans/kaspersky",
    "/preview?ban=kaspersky&mode=off",
    "/reports",
    "/system",
    "/login",
];

/// Texts that stand out too little from what is behind them (WCAG 2.2, 1.4.3): 4.5 to 1, or 3 to 1 where they are large.
const FAINT: &str = "(() => {
  const parts = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
  const shade = (of) => { const c = of.slice(0, 3).map((v) => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
    return .2126 * c[0] + .7152 * c[1] + .0722 * c[2]; };
  const behind = (node) => { for (; node; node = node.parentElement) { const c = parts(getComputedStyle(node).backgroundColor);
    if (c.length === 3 || c[3] === 1) return c; } return parts(getComputedStyle(document.documentElement).backgroundColor); };
  const faint = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode, of = node.parentElement;
    if (!node.data.trim() || of.closest('svg, .hidden, .skip, option, script, u-legend')) continue;
    if (!of.checkVisibility({ visibilityProperty: true })) continue;
    const style = getComputedStyle(of), size = parseFloat(style.fontSize);
    const [a, b] = [shade(parts(style.color)), shade(behind(of))].sort((x, y) => y - x);
    const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
    if ((a + .05) / (b + .05) < least) faint.add(of.tagName + '.' + of.className + ' ' + style.color + ': ' + node.data.trim().slice(0, 40));
  }
  return [...faint];
})()";

/// Roles that nobody can use without a name.
const USED: [&str; 7] = ["link", "button", "textbox", "combobox", "searchbox", "checkbox", "image"];

fn server(unbound: &Unbound) -> Server {
    let server = Setup::new(&[unbound.address]).start();
    for name in ["downloads.upd.kaspersky.com", "touch.kaspersky.com", "www.kaspersky.com", "plain.test"] {
        ask(server.dns, name, A).unwrap();
    }
    server.at_rest();
    server
}

/// What is wrong with a page as it is looked at.
fn wrong(browser: &mut Browser, server: &Server, page: &str, look: Look) -> Vec<String> {
    let own = format!("http://{}", server.admin);
    let seen = browser.open(&format!("{own}{page}"), look);
    let mut wrong = seen.faults;
    if seen.status != 200 {
        wrong.push(format!("status {}", seen.status));
    }
    // The browser's own signs in fields for dates are `data:`.
    let is_own = |asked: &String| asked.starts_with(&format!("{own}/")) || asked.starts_with("data:");
    let strangers = seen.asked.into_iter().filter(|asked| !is_own(asked));
    wrong.extend(strangers.map(|asked| format!("asks for {asked}")));
    let sideways = browser.value("document.documentElement.scrollWidth - document.documentElement.clientWidth");
    if sideways != 0 {
        wrong.push(format!("is {sideways} px too wide"));
    }
    let faint = browser.value(FAINT);
    wrong.extend(faint.as_array().unwrap().iter().map(|text| format!("is faint: {text}")));
    let told = browser.told();
    let nameless = told.iter().filter(|(role, name)| USED.contains(&&**role) && name.trim().is_empty());
    wrong.extend(nameless.map(|(role, _name)| format!("has a {role} without a name")));
    let plots =
        browser.value("[document.querySelectorAll('.plot').length, document.querySelectorAll('.plot canvas').length]");
    let expected = if look.scripts { plots[0].clone() } else { Value::from(0) };
    if plots[1] != expected {
        wrong.push(format!("plots are drawn otherwise: {plots}"));
    }
    if let Some(folder) = std::env::var_os("EMBARGO_PICTURES") {
        let name: String =
            page.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
        fs::write(Path::new(&folder).join(format!("{}{name}.png", look.name)), browser.picture()).unwrap();
    }
    wrong.into_iter().map(|what| format!("{} {page}: {what}", look.name)).collect()
}

#[test]
fn every_page_is_whole_readable_and_of_this_server_alone_however_it_is_looked_at() {
    let unbound = Unbound::start();
    let server = server(&unbound);
    let mut browser = Browser::start();
    let mut faults = Vec::new();
    for look in LOOKS {
        for page in PAGES {
            faults.extend(wrong(&mut browser, &server, page, look));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn attempts_are_followed_live_and_a_link_is_reached_and_used_by_keys() {
    let unbound = Unbound::start();
    let server = server(&unbound);
    let mut browser = Browser::start();
    browser.open(&format!("http://{}/activity", server.admin), LOOKS[0]);
    browser.value("document.querySelector('[data-live] button').click()");
    super::process::until("a new attempt appears by itself", SOON, || {
        ask(server.dns, "new.upd.kaspersky.com", A).unwrap();
        let page = browser.value("document.querySelector('#attempts tbody').textContent");
        page.as_str().unwrap().contains("new.upd.kaspersky.com").then_some(())
    });
    browser.open(&format!("http://{}/", server.admin), LOOKS[0]);
    browser.press("Tab");
    assert_eq!(browser.value("document.activeElement.className"), "skip", "the first stop leads past the head");
    browser.press("Enter");
    assert_eq!(browser.value("document.activeElement.id"), "main");
}
