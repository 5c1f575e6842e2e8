//! Zones, years that are left out, leap days, clocks that go back and forward, and clocks that are wrong.

use super::*;

fn times(zone: &str, written: &str) -> Times {
    let now = "2026-11-28T12:00:00Z".parse().unwrap();
    Times::new(TimeZone::get(zone).unwrap(), now, written.parse().unwrap())
}

#[track_caller]
fn check(times: &Times, line: &str, expected: Result<&str, Fault>) {
    let read = times.leading(line.as_bytes()).map(|(at, _rest)| at.to_string());
    assert_eq!(read, expected.map(str::to_owned), "{line}");
}

#[test]
fn every_form_is_read_and_what_is_behind_it_is_left() {
    let times = times("UTC", "2026-11-28T12:00:00Z");
    for line in [
        "28-Nov-2026 10:00:00.123 rest",
        "2026-11-28T10:00:00.123Z rest",
        "2026-11-28 11:00:00,123+01:00 rest",
        "2026-11-28T10:00:00.123+0000 rest",
        "<30>1 2026-11-28T10:00:00.123000Z rest",
        "[1795860000.123] rest",
    ] {
        let (at, rest) = times.leading(line.as_bytes()).unwrap();
        assert_eq!((at.to_string().as_str(), rest), ("2026-11-28T10:00:00.123Z", &b" rest"[..]), "{line}");
    }
    check(&times, "<30>Nov  8 10:00:00 host x", Ok("2026-11-08T10:00:00Z"));
    check(&times, "Nov 8 2024 10:00:00 host x", Ok("2024-11-08T10:00:00Z"));
}

#[test]
fn a_year_that_is_left_out_is_the_latest_in_which_the_log_was_already_written() {
    let times = times("UTC", "2025-01-03T00:00:00Z");
    check(&times, "Dec 31 23:59:59 x", Ok("2024-12-31T23:59:59Z"));
    check(&times, "Jan  2 00:00:00 x", Ok("2025-01-02T00:00:00Z"));
    check(&times, "Feb 29 12:00:00 x", Ok("2024-02-29T12:00:00Z"));
    check(&times, "Feb 30 12:00:00 x", Err(Fault::Day));
}

#[test]
fn a_year_that_is_given_is_that_of_the_first_line() {
    let given = |year, begins| Times { year: Some(year), begins: Some(begins), ..times("UTC", "2026-11-28T12:00:00Z") };
    check(&given(2023, (12, 30)), "Dec 31 23:59:59 x", Ok("2023-12-31T23:59:59Z"));
    check(&given(2023, (12, 30)), "Jan  1 00:00:01 x", Ok("2024-01-01T00:00:01Z"));
    // Another thread was late with it: it is not of a year later.
    check(&given(2023, (11, 28)), "Nov 27 23:59:59 x", Ok("2023-11-27T23:59:59Z"));
    check(&given(2023, (12, 1)), "Nov 30 23:59:59 x", Ok("2023-11-30T23:59:59Z"));
    check(&given(2023, (11, 28)), "Oct  1 00:00:00 x", Ok("2024-10-01T00:00:00Z"));
    check(&times("UTC", "2026-11-28T12:00:00Z"), "Sat Nov 28 10:00:00 2026 x", Ok("2026-11-28T10:00:00Z"));
    check(&given(2023, (2, 28)), "Feb 29 00:00:01 x", Err(Fault::Day));
    check(&given(2024, (2, 28)), "Feb 29 00:00:01 x", Ok("2024-02-29T00:00:01Z"));
}

#[test]
fn an_hour_that_comes_twice_is_the_first_and_one_that_is_left_out_is_as_much_later() {
    let times = times("Europe/Berlin", "2026-11-28T12:00:00Z");
    check(&times, "28-Nov-2026 10:00:00.000 x", Ok("2026-11-28T09:00:00Z"));
    check(&times, "25-Oct-2026 02:30:00.000 x", Ok("2026-10-25T00:30:00Z"));
    check(&times, "29-Mar-2026 02:30:00.000 x", Ok("2026-03-29T01:30:00Z"));
    // Whoever says the zone means it.
    check(&times, "2026-10-25T02:30:00+01:00 x", Ok("2026-10-25T01:30:00Z"));
}

#[test]
fn a_clock_that_was_wrong_is_told() {
    let times = times("UTC", "2026-11-28T12:00:00Z");
    check(&times, "[12.5] x", Err(Fault::Unset));
    check(&times, "1970-01-01T00:00:09Z x", Err(Fault::Unset));
    check(&times, "2027-11-28T10:00:00Z x", Err(Fault::Ahead));
    check(&times, "29-Feb-2026 10:00:00.000 x", Err(Fault::Day));
    check(&times, "30-Jun-2026 23:59:60.500 x", Ok("2026-06-30T23:59:59.5Z"));
    for line in
        ["", "x", "[", "[1e9] x", "28-Xyz-2026 10:00:00 x", "2026-11-28", "2026-11-28T10:00 x", "<", "<30>", "Nov"]
    {
        assert!(times.leading(line.as_bytes()).is_err(), "{line}");
    }
}

#[test]
fn dates_of_windows_are_those_of_its_country() {
    let mut times = times("UTC", "2026-11-28T12:00:00Z");
    let read = |times: &Times, line: &str| times.of_windows(line.as_bytes()).map(|(at, _rest)| at.to_string());
    assert_eq!(read(&times, "11/8/2026 1:00:00 PM 0E4C").unwrap(), "2026-11-08T13:00:00Z");
    assert_eq!(read(&times, "11/8/2026 12:00:00 AM 0E4C").unwrap(), "2026-11-08T00:00:00Z");
    assert_eq!(read(&times, "8.11.2026 13:00:00 0E4C").unwrap(), "2026-11-08T13:00:00Z");
    assert_eq!(read(&times, "2026-11-08 13:00:00 0E4C").unwrap(), "2026-11-08T13:00:00Z");
    assert_eq!(read(&times, "2026/11/08 13:00:00 0E4C").unwrap(), "2026-11-08T13:00:00Z");
    assert_eq!(read(&times, "28/11/2026 13:00:00 0E4C"), Err(Fault::Day));
    times.day_first = true;
    assert_eq!(read(&times, "28/11/2026 10:00:00 0E4C").unwrap(), "2026-11-28T10:00:00Z");
}
