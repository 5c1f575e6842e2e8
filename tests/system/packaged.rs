//! What `config/` has for those who deploy, read by the programs that it is written for, and the Debian package.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::process::{not_tested, run};

fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(path)
}

/// What a program says of a file that it has nothing against.
#[track_caller]
fn taken<I: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = I>) -> String {
    let said = run(program, arguments);
    let told = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{program}: {}: {told}", said.status);
    told
}

#[test]
fn the_service_is_exposed_to_nothing_it_does_not_need() {
    let unit = shipped("systemd/embargo.service");
    // Tenths: 1.5 at most.
    let said = taken("systemd-analyze", ["security", "--offline=true", "--threshold=15", unit.to_str().unwrap()]);
    assert!(said.contains("Overall exposure level for embargo.service"), "{said}");
}

#[test]
fn systemd_understands_every_line_of_the_units() {
    // Beside a program that is there, as the units name one that is not installed here.
    let directory = TempDir::new().unwrap();
    for name in ["systemd/embargo.service", "systemd/embargo.socket", "availability/embargo-anycast.service"] {
        let unit = fs::read_to_string(shipped(name)).unwrap().replace("/usr/bin/embargo", "/bin/true");
        // The manual pages are not installed either.
        let unit: Vec<&str> = unit.lines().filter(|line| !line.starts_with("Documentation=")).collect();
        let unit = unit.join("\n");
        fs::write(directory.path().join(Path::new(name).file_name().unwrap()), unit).unwrap();
    }
    let mut verify = Command::new("systemd-analyze");
    verify.arg("verify").env("SYSTEMD_UNIT_PATH", format!("{}:", directory.path().display()));
    for name in ["embargo.service", "embargo.socket", "embargo-anycast.service"] {
        verify.arg(directory.path().join(name));
    }
    let said = verify.output().unwrap();
    let told = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && !told.contains("embargo"), "{}: {told}", said.status);
}

#[test]
fn dhcp_servers_and_the_firewall_take_what_is_shipped_for_them() {
    for (program, arguments) in [
        ("kea-dhcp4", ["-t", shipped("dhcp/kea-dhcp4.json").to_str().unwrap()].as_slice()),
        ("kea-dhcp6", ["-t", shipped("dhcp/kea-dhcp6.json").to_str().unwrap()].as_slice()),
        ("dnsmasq", ["--test", "-C", shipped("dhcp/dnsmasq.conf").to_str().unwrap()].as_slice()),
        ("dhcpd", ["-t", "-cf", shipped("dhcp/dhcpd.conf").to_str().unwrap()].as_slice()),
    ] {
        taken(program, arguments);
    }
    // The kernel itself is asked whether it would take the rules; that needs its leave.
    let said = run("nft", ["-c", "-f", shipped("firewall/embargo.nft").to_str().unwrap()]);
    let told = String::from_utf8_lossy(&said.stderr);
    if told.contains("Operation not permitted") || told.contains("Protocol not supported") {
        not_tested("the rules of the firewall: this kernel or this user can't have any");
    } else {
        assert!(said.status.success(), "{told}");
    }
}

#[test]
fn the_package_holds_a_program_that_runs_with_its_manual_and_its_configuration() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let binary = root.join("target/release/embargo");
    if std::env::var_os("EMBARGO_BINARY").is_none_or(|given| Path::new(&given) != binary) {
        return not_tested("the Debian package: it is made of the release binary");
    }
    taken("sh", [root.join("config/debian/build").to_str().unwrap(), "--no-build"]);
    let packages = fs::read_dir(root.join("target/debian")).unwrap().map(|entry| entry.unwrap().path());
    let package = packages.filter(|path| path.extension() == Some(OsStr::new("deb"))).max().unwrap();

    let unpacked = TempDir::new().unwrap();
    taken("dpkg-deb", ["-x", package.to_str().unwrap(), unpacked.path().to_str().unwrap()]);
    let within = |path: &str| unpacked.path().join(path);
    let program = within("usr/bin/embargo");
    let state = TempDir::new().unwrap();
    let checked = run(
        program.to_str().unwrap(),
        [
            "check",
            "--config",
            within("etc/embargo/embargo.toml").to_str().unwrap(),
            "--state-dir",
            state.path().to_str().unwrap(),
        ],
    );
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    for path in [
        "usr/lib/systemd/system/embargo.service",
        "usr/lib/systemd/system/embargo.socket",
        "usr/lib/sysusers.d/embargo.conf",
        "usr/lib/tmpfiles.d/embargo.conf",
        "usr/share/man/man1/embargo-run.1.gz",
        "usr/share/man/man5/embargo.toml.5.gz",
        "usr/share/bash-completion/completions/embargo",
        "usr/share/embargo/blocklists/kaspersky/rules.txt",
        "usr/share/doc/embargo/copyright",
        "usr/share/doc/embargo/changelog.gz",
        "usr/share/doc/embargo/API.md",
    ] {
        assert!(within(path).exists(), "{path}");
    }
    let control = TempDir::new().unwrap();
    taken("dpkg-deb", ["-e", package.to_str().unwrap(), control.path().to_str().unwrap()]);
    assert_eq!(fs::read_to_string(control.path().join("conffiles")).unwrap().trim(), "/etc/embargo/embargo.toml");
    let installing = fs::read_to_string(control.path().join("postinst")).unwrap();
    assert!(installing.contains("deb-systemd-invoke restart embargo.service"), "{installing}");
    assert!(!installing.contains("restart embargo.service embargo.socket"), "the sockets stay open: {installing}");
}
