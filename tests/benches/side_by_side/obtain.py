"""What is needed and not here: built by cargo, installed by apt-get, or built by Go. Nothing else is fetched."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TARGET = ROOT / "target"
# Packages of servers start them, on port 53; this file keeps Debian from that. 101 = not allowed.
GUARD = Path("/usr/sbin/policy-rc.d")
# Where Debian keeps servers; not everybody's PATH has it.
SYSTEM = "/usr/local/sbin:/usr/sbin:/sbin"


class Unobtainable(Exception):
    """Why something can't be had here, in one line."""


def traffic() -> Path:
    """The program that makes the load and is the floor."""
    manifest = ROOT / "tests/benches/side_by_side/traffic/Cargo.toml"
    _run(
        [
            "cargo",
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--manifest-path",
            str(manifest),
            "--target-dir",
            str(TARGET / "traffic"),
        ]
    )
    return TARGET / "traffic/release/traffic"


def embargo() -> Path:
    """The release binary of this tree."""
    _run(
        [
            "cargo",
            "build",
            "--quiet",
            "--release",
            "--locked",
            "--bin",
            "embargo",
            "--manifest-path",
            str(ROOT / "Cargo.toml"),
        ]
    )
    return TARGET / "release/embargo"


def program(name: str) -> str | None:
    """The path of an installed program."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{SYSTEM}")


def packages(names: list[str]) -> None:
    """Installs Debian packages without starting what is in them."""
    if not names:
        return
    if os.geteuid() != 0 or not program("apt-get"):
        raise Unobtainable(f"not installed, and only root on Debian can: apt-get install {' '.join(names)}")
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    with _no_services():
        _run(["apt-get", "-qq", "update"], env)
        _run(["apt-get", "-qq", "-y", "--no-install-recommends", "install", *names], env)


def go(package: str, version: str, folder: Path) -> None:
    """Builds a Go program into `folder`."""
    if not program("go"):
        raise Unobtainable("Go is not installed")
    _run(["go", "install", f"{package}@{version}"], {"GOBIN": str(folder)})


def _run(command: list[str], env: dict[str, str] | None = None) -> None:
    try:
        done = subprocess.run(
            command, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
    except OSError as error:
        raise Unobtainable(f"{command[0]} can't be started: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no word why"]
        raise Unobtainable(f"`{' '.join(command[:3])} …` failed: {said[-1].strip()}")


@contextlib.contextmanager
def _no_services() -> Iterator[None]:
    ours = not GUARD.exists()
    if ours:
        GUARD.write_text("#!/bin/sh\nexit 101\n")
        GUARD.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            GUARD.unlink(missing_ok=True)
