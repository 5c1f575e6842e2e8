"""One server, started, shown to answer rightly, and loaded."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dns
import names
from process import Process, free_port
from servers import Place, Server

# Seconds for a list of a million names to come into force.
START_MAX = 180
# Seconds for what a server still does with its list when that is in force, and the part of a core that is idleness.
SETTLE_MAX, IDLE = 60, 0.05
# Seconds for a record to be written.
RECORD_MAX = 15
# Seconds after a load in which a server still writes its record of it, which is a part of what its queries cost.
WRITTEN = 1.5
# TCP connections at a time; some servers take no more than 20.
CONNECTIONS = 16
# More than a load can ask within its time, so that no two of them share names never asked before.
FRESH_STEP = 1 << 22
# Open queries at a fixed rate: so many that a server that stands still loses what comes meanwhile, as in the field.
OPEN_AT_RATE = 1 << 16


@dataclass(frozen=True)
class Load:
    """What is asked. To add one: a line in `LOADS`."""

    name: str
    title: str
    # The size of the list in force, and the file of names.
    list: str
    file: str
    # Whether the file has blocked names, and so another form for servers that block only what is listed.
    blocked: bool = False
    tcp: bool = False
    options: tuple[str, ...] = ()


# Those of one list run in this order on one server: what fills the cache with names asked once comes last.
LOADS = {
    load.name: load
    for load in (
        Load("blocked-1k", "Blocked, list of 1,000 names", "1k", "blocked-1k", blocked=True),
        Load("blocked-100k", "Blocked, list of 100,000 names", "100k", "blocked-100k", blocked=True),
        Load("blocked-1m", "Blocked, list of 1,000,000 names", "1m", "blocked-1m", blocked=True),
        Load("cached", "Cached (10,000 names)", "1m", "cached"),
        Load("tcp", "Cached, over TCP connections that stay", "1m", "cached", tcp=True),
        Load("tcp-once", "Cached, one TCP connection for each query", "1m", "cached", tcp=True, options=("--once",)),
        Load("mixed", "5 % blocked, 85 % cached, 10 % misses", "1m", "mixed", blocked=True),
        Load("misses", "Misses only", "1m", "misses"),
    )
}
# Those that a server runs again with its log of blocked lookups on.
LOGGED = ("blocked-1k", "blocked-100k", "blocked-1m", "mixed")


class Wrong(Exception):
    """Why a server is not measured, in one line."""


@dataclass(frozen=True)
class Variant:
    """A server, with its log of blocked lookups on or off."""

    server: Server
    log: bool

    @property
    def name(self) -> str:
        return f"{self.server.name}+log" if self.log else self.server.name

    def runs(self, load: Load) -> bool:
        return not self.log or load.name in LOGGED


@dataclass(frozen=True)
class Bench:
    """What all measurements of a run share."""

    work: Path
    names: Path
    traffic: Path
    # Port of the upstream.
    upstream: int
    seconds: float
    reload_seconds: float
    rate: int
    edns: bool

    def run(self, variant: Variant, size: str, loads: list[Load], save: Callable[[dict], None]) -> None:
        """Starts a server with a list of this size and puts loads on it."""
        with self._server(variant, self.names / f"list-{size}", threads=1) as running:
            process = running.process
            running.settle()
            running.check()
            save(
                {
                    "row": "start",
                    "server": variant.name,
                    "list": size,
                    "seconds": running.started,
                    "rss": process.resident_bytes(),
                }
            )
            if any(load.name in ("cached", "tcp", "tcp-once", "mixed") for load in loads):
                self._warm(running, tcp=any(load.tcp for load in loads))
            for number, load in enumerate(loads):
                save(
                    {
                        "row": "load",
                        "server": variant.name,
                        "load": load.name,
                        **self._measure(running, load, 2 * number),
                    }
                )
                if process.ended():
                    raise Wrong(f"it ended under the load {load.name}: {running.last_words()}")
            save(
                {
                    "row": "end",
                    "server": variant.name,
                    "list": size,
                    "rss": process.resident_bytes(),
                    "peak": process.peak_bytes(),
                }
            )

    def reload(self, variant: Variant, save: Callable[[dict], None]) -> None:
        """Has a server on two processors read its list of a million names again while it answers."""
        with self._server(variant, self.names / "list-1m", threads=2) as running:
            running.settle()
            running.check()
            self._warm(running)
            server, place, process = variant.server, running.place, running.process
            load = self._load(
                running, "udp", "known", self.reload_seconds, ("--rate", str(self.rate), "--window", str(OPEN_AT_RATE))
            )
            before = _result(subprocess.run(load, capture_output=True, text=True))
            probe = "reload-probe.example"
            server.write_list(place, (probe,))
            with subprocess.Popen(load, stdout=subprocess.PIPE, text=True, start_new_session=True) as loading:
                try:
                    time.sleep(min(1, self.reload_seconds / 4))
                    begin, cpu = time.monotonic(), process.cpu_seconds()
                    # Not before: some look by themselves whether it has changed.
                    server.put_list(place)
                    server.reload(place, process)
                    seconds = running.until_blocked(probe, begin + self.reload_seconds, pause=0.05)
                    during = json.loads(loading.communicate()[0])
                finally:
                    loading.kill()
            if process.ended():
                raise Wrong(f"it ended during the reload: {running.last_words()}")
            row = {
                "row": "reload",
                "server": variant.name,
                "seconds": seconds,
                "lost": during["lost"],
                "sent": during["sent"],
            }
            row |= {"lost_before": before["lost"], "p99_us": during["p99_us"], "p99_before_us": before["p99_us"]}
            row |= {"max_us": during["max_us"], "cpu_s": process.cpu_seconds() - cpu, "peak": process.peak_bytes()}
            save(row)

    @contextmanager
    def _server(self, variant: Variant, names_file: Path, threads: int) -> Iterator["Running"]:
        directory = self.work / "servers" / variant.name.lower().replace(" ", "-")
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        place = Place(directory, names_file, free_port(), free_port(), self.upstream, threads, variant.log)
        variant.server.write_list(place)
        variant.server.put_list(place)
        variant.server.configure(place)
        begin = time.monotonic()
        cores = "0" if threads == 1 else None
        env = variant.server.env(place)
        with Process(variant.server.command(place), directory / "output.log", cores, env) as process:
            running = Running(variant, place, process)
            running.wait(begin)
            yield running
        shutil.rmtree(directory, ignore_errors=True)

    def _load(self, running: "Running", kind: str, file: str, seconds: float, options: tuple[str, ...]) -> list[str]:
        if not running.variant.server.below and (self.names / (file + names.EXACT)).exists():
            file += names.EXACT
        pinned = ["taskset", "-c", "1"] if running.place.threads == 1 else []
        command = [str(self.traffic), kind, str(running.place.port), str(self.names / file)]
        edns = ["--edns"] if self.edns else []
        return [*pinned, *command, "--seconds", str(seconds), *options, *edns]

    def _warm(self, running: "Running", tcp: bool = False) -> None:
        """Asks for every name once slowly and once more, so that the loads find them in the cache."""
        for rate in (5_000, 10_000):
            seconds = names.CACHED / rate * 1.05
            subprocess.run(
                self._load(running, "udp", "warm", seconds, ("--rate", str(rate))), capture_output=True, check=True
            )
        if tcp:
            # Some servers cache what goes over TCP apart.
            command = self._load(running, "tcp", "warm", 2, ("--window", str(CONNECTIONS)))
            subprocess.run(command, capture_output=True, check=True)

    def _measure(self, running: "Running", load: Load, number: int) -> dict:
        """At saturation and, over UDP, at a fixed rate."""
        kind, window = ("tcp", CONNECTIONS) if load.tcp else ("udp", 256)
        first = ("--first", str(number * FRESH_STEP))
        command = self._load(running, kind, load.file, self.seconds, (*load.options, *first, "--window", str(window)))
        before = running.process.cpu_seconds()
        got = _result(subprocess.run(command, capture_output=True, text=True))
        time.sleep(WRITTEN)
        used = running.process.cpu_seconds() - before
        answered = got["answered"]
        if not answered:
            raise Wrong(f"it answered nothing of {load.name}")
        failed = got["servfail"] + got["refused"]
        row = {
            "cpu_us": used / answered * 1e6,
            "qps": answered / got["seconds"],
            "failed": failed / answered,
            "lost": got["lost"],
        }
        if load.tcp:
            lost = got["lost"] / max(got["sent"], 1)
            return row | {
                "p50_us": got["p50_us"],
                "p99_us": got["p99_us"],
                "lost_at_rate": lost,
                "closed": got["closed"],
            }
        first = ("--first", str((number + 1) * FRESH_STEP))
        at_rate = ("--rate", str(self.rate), "--window", str(OPEN_AT_RATE))
        command = self._load(running, kind, load.file, self.seconds, (*load.options, *first, *at_rate))
        got = _result(subprocess.run(command, capture_output=True, text=True))
        return row | {
            "p50_us": got["p50_us"],
            "p99_us": got["p99_us"],
            "lost_at_rate": got["lost"] / max(got["sent"], 1),
        }


def _result(done: subprocess.CompletedProcess) -> dict:
    if done.returncode:
        raise Wrong(f"the load could not be made: {done.stderr.strip()}")
    return json.loads(done.stdout)


@dataclass
class Running:
    """A server that runs."""

    variant: Variant
    place: Place
    process: Process
    # Seconds from its start until its list was in force.
    started: float = 0

    def wait(self, begin: float) -> None:
        """Waits until its list is in force. Some servers take names into force one after the other, in an order of their own."""
        for name in names.spread(self.place.names):
            if self.until_blocked(name, begin + START_MAX) is None:
                words = "did not start" if self.process.ended() else f"did not block {name} within {START_MAX} s"
                raise Wrong(f"it {words}: {self.last_words()}")
        self.started = time.monotonic() - begin

    def until_blocked(self, name: str, deadline: float, pause: float = 0.005) -> float | None:
        """Asks until a name is blocked; the seconds that took, or None if it ended or did not come to that."""
        begin, turn = time.monotonic(), 0
        while time.monotonic() < deadline and not self.process.ended():
            # What was asked before the list was in force may be in the cache; a name below it is not.
            asked = f"x{turn}.{name}" if self.variant.server.below else name
            response = dns.ask(self.place.port, asked, wait=0.05)
            if response and (response.blocked or self._is_floor):
                return time.monotonic() - begin
            turn += 1
            time.sleep(pause)
        return None

    def settle(self) -> None:
        """Waits until it does nothing, or the load would pay for what it does with its list."""
        deadline = time.monotonic() + SETTLE_MAX
        while time.monotonic() < deadline:
            before = self.process.cpu_seconds()
            time.sleep(0.5)
            if self.process.cpu_seconds() - before <= 0.5 * IDLE:
                return

    @property
    def _is_floor(self) -> bool:
        return self.variant.server.name == "echo"

    def check(self) -> None:
        """Shows that it blocks what it should, forwards the rest, caches that, and records; or raises Wrong."""
        if self._is_floor:
            return
        listed = self.place.names.read_text().split(maxsplit=3)
        blocked = [listed[0], names.last(self.place.names)]
        if self.variant.server.below:
            blocked.append(f"checked.{listed[1]}")
        for name in blocked:
            for tcp in (False, True):
                response = dns.ask(self.place.port, name, tcp)
                if response is None or not response.blocked:
                    raise Wrong(f"it does not block {name} over {'TCP' if tcp else 'UDP'}: {response}")
        first, second = (dns.ask(self.place.port, "checked.s1-ok.example") for _ in range(2))
        if first is None or not first.forwarded:
            raise Wrong(f"it does not forward: {first}")
        if second != first:
            raise Wrong(f"it does not answer from its cache: {first}, then {second}")
        if self.variant.log or self.variant.server.name == "Embargo":
            self._check_record(blocked[-1])

    def _check_record(self, name: str) -> None:
        deadline = time.monotonic() + RECORD_MAX
        while not self.variant.server.logged(self.place, name):
            if time.monotonic() > deadline:
                raise Wrong(f"its record has no lookup of {name}")
            # Records may be written in blocks: give it enough to fill one.
            for _ in range(50):
                dns.ask(self.place.port, name)

    def last_words(self) -> str:
        """The last line that it wrote."""
        lines = (self.place.directory / "output.log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"
