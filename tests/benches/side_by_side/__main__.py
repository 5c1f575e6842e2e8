"""Measures DNS servers side by side: CPU time for each query, against a bare echo, on one core.

    python3 tests/benches/side_by_side                                 everything; about two hours
    python3 tests/benches/side_by_side echo Embargo Unbound --loads cached mixed --repeat 1

Prints Markdown; every single result is a line of JSON in --json. It uses loopback and the package registries only.
"""

import sys

sys.dont_write_bytecode = True

import argparse
import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path

import machine
import names
import obtain
import process
import report
import servers
from measure import LOADS, Bench, Variant, Wrong
from servers.embargo import Embargo


def options() -> argparse.Namespace:
    known = [server.name for server in servers.ALL]
    parser = argparse.ArgumentParser(
        prog="side_by_side", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "servers", nargs="*", metavar="SERVER", help=f"default: all of {', '.join(known)}; +log variants come with them"
    )
    parser.add_argument(
        "--loads",
        nargs="+",
        choices=[*LOADS, "reload"],
        default=[*LOADS, "reload"],
        metavar="LOAD",
        help=", ".join([*LOADS, "reload"]),
    )
    parser.add_argument("--seconds", type=float, default=3, help="of each load (default 3)")
    parser.add_argument("--repeat", type=int, default=3, help="rounds, each over all servers (default 3)")
    parser.add_argument(
        "--rate", type=int, default=20_000, help="queries a second where the rate is fixed (default 20000)"
    )
    parser.add_argument("--reload-seconds", type=float, default=30, help="of the load during a reload (default 30)")
    parser.add_argument("--edns", action="store_true", help="queries with an OPT record")
    parser.add_argument("--no-log", action="store_true", help="leave the +log variants of the peers out")
    parser.add_argument("--no-install", action="store_true", help="leave out what is not installed")
    parser.add_argument("--embargo", type=Path, metavar="BINARY", help="measure this binary instead of building one")
    parser.add_argument("--json", type=Path, metavar="FILE", help="append every result to this file")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep lists and built servers there for the next run")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="measure nothing: print the report of the last run in this file"
    )
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.servers if name.lower() not in map(str.lower, known)]:
        parser.error(f"unknown server {', '.join(unknown)}; known: {', '.join(known)}")
    return chosen


def main() -> None:
    # So that SIGTERM, like Ctrl-C, ends what was started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = options()
    if chosen.report:
        return print(report.markdown(last_run(chosen.report)), end="")
    if len(os.sched_getaffinity(0) & {0, 1}) < 2:
        sys.exit("side_by_side needs cores 0 and 1: one for the server and one for the load")
    with tempfile.TemporaryDirectory(prefix="side-by-side-") as temporary:
        try:
            rows = measure_all(chosen, (chosen.work or Path(temporary)).resolve())
        except KeyboardInterrupt:
            sys.exit(130)
        finally:
            process.stop_all()
    print(report.markdown(rows), end="")
    if any(row["row"] == "left out" and row["server"] in (report.FLOOR, "Embargo") for row in rows):
        sys.exit(1)


def last_run(file: Path) -> list[dict]:
    """The rows from the last description of a machine on."""
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    begin = max(number for number, row in enumerate(rows) if row["row"] == "machine")
    return rows[begin:]


def measure_all(chosen: argparse.Namespace, work: Path) -> list[dict]:
    rows: list[dict] = []

    def save(row: dict) -> None:
        rows.append(row)
        if chosen.json:
            with chosen.json.open("a") as file:
                file.write(json.dumps(row) + "\n")

    work.mkdir(parents=True, exist_ok=True)
    traffic = obtain.traffic()
    tell("making lists and names")
    names.make(work / "names", query_files(chosen.loads))
    variants, versions, missing = obtain_servers(chosen, work / "go")
    told = {key: getattr(chosen, key) for key in ("seconds", "repeat", "rate", "reload_seconds", "edns")}
    save(machine.describe() | {"versions": versions, "options": told})
    for row in missing:
        save(row)
    upstream = process.free_port()
    with process.Process([str(traffic), "upstream", str(upstream)], work / "upstream.log", cores="1"):
        bench = Bench(
            work, work / "names", traffic, upstream, chosen.seconds, chosen.reload_seconds, chosen.rate, chosen.edns
        )
        rounds(bench, variants, chosen, save)
    return rows


def query_files(loads: list[str]) -> list[str]:
    """The files that these loads need."""
    files = ["warm"]
    for load in (LOADS[name] for name in loads if name in LOADS):
        files += [f"list-{load.list}", load.file] + [load.file + names.EXACT] * load.blocked
    if "reload" in loads:
        files += ["list-1m", "known", "known" + names.EXACT]
    return files


def obtain_servers(chosen: argparse.Namespace, folder: Path) -> tuple[list[Variant], dict[str, str], list[dict]]:
    """The servers that can be had, with and without log, their versions, and a row for each that can't."""
    wanted = [name.lower() for name in chosen.servers] or [server.name.lower() for server in servers.ALL]
    variants, versions, missing = [], {}, []
    folder.mkdir(exist_ok=True)
    for server in servers.ALL:
        if server.name.lower() not in wanted:
            continue
        if isinstance(server, Embargo) and chosen.embargo:
            server.use(chosen.embargo.resolve())
        tell(f"looking for {server.name}")
        try:
            server.obtain(folder, not chosen.no_install)
        except obtain.Unobtainable as why:
            missing.append({"row": "left out", "server": server.name, "why": str(why)})
            continue
        versions[server.name] = server.version()
        variants += [Variant(server, log) for log in (False, True) if not log or (server.logs and not chosen.no_log)]
    return variants, versions, missing


def rounds(bench: Bench, variants: list[Variant], chosen: argparse.Namespace, save) -> None:
    """All servers in turn, each round from another one on, so that a noisy minute is not one server's."""
    loads = [LOADS[name] for name in LOADS if name in chosen.loads]
    for turn in range(chosen.repeat):
        shift = turn % max(len(variants), 1)
        for variant in variants[shift:] + variants[:shift]:
            tell(f"round {turn + 1} of {chosen.repeat}: {variant.name}")
            for size in names.SIZES:
                if own := [load for load in loads if load.list == size and variant.runs(load)]:
                    attempt(variant, save, lambda: bench.run(variant, size, own, save))
            if "reload" in chosen.loads and not variant.log and variant.server.name != report.FLOOR:
                attempt(variant, save, lambda: bench.reload(variant, save))


def attempt(variant: Variant, save, measure) -> None:
    """Measures; what goes wrong with one server leaves that server out and no other."""
    try:
        measure()
    except (Wrong, OSError, ValueError, subprocess.SubprocessError) as why:
        tell(f"{variant.name}: {why}")
        save({"row": "left out", "server": variant.name, "why": str(why)})


def tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
