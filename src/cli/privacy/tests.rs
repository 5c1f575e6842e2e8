//! The commands on a record that no server uses.

use crate::cli::tests::{record, run};

fn on(verb: &str, directory: &std::path::Path, more: &[&str]) -> crate::cli::tests::Ran {
    let mut arguments = vec!["privacy", verb, "--state-dir", directory.to_str().unwrap()];
    arguments.extend(more);
    run(&arguments)
}

#[test]
fn what_is_kept_of_a_client_is_shown_erased_and_gone() {
    let directory = tempfile::tempdir().unwrap();
    record(directory.path());
    let client = ["--client", "192.0.2.7"];
    let kept = on("export", directory.path(), &client);
    let kept: serde_json::Value = serde_json::from_str(&kept.out).unwrap();
    assert_eq!(kept["attempts"][0]["client"], "192.0.2.7");
    assert_eq!(kept["presence"][0]["device"], "192.0.2.7");

    let ran = on("erase", directory.path(), &[&client[..], &["--ticket", "DSR-4"]].concat());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    assert!(ran.out.starts_with("Erased: 1 devices and addresses, 2 attempts"), "{}", ran.out);
    let kept = on("export", directory.path(), &client);
    assert!(!kept.out.contains("acme"), "{}", kept.out);
    let again = on("erase", directory.path(), &client);
    assert_eq!((again.code, again.out.as_str()), (0, "Nothing is kept of it.\n"));
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let octets = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!octets.windows(9).any(|window| window == b"192.0.2.7"));
    }
    let audit = run(&["audit", "--state-dir", directory.path().to_str().unwrap()]);
    assert!(audit.out.contains("2 attempts, ticket DSR-4") && !audit.out.contains("192.0.2.7"), "{}", audit.out);
}

#[test]
fn somebody_has_to_be_named_and_a_device_by_an_identifier() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(on("export", directory.path(), &[]).code, 2);
    assert_eq!(on("erase", directory.path(), &["--device", "laptop"]).code, 2);
    assert_eq!(on("erase", directory.path(), &["--client", "192.0.2.7", "--device", "host:a"]).code, 2);
    assert_eq!(on("erase", directory.path(), &["--client", "192.0.2.7"]).code, 3, "there is no record");
}
