"""Rows of results as Markdown."""

import statistics
from collections.abc import Iterable

from measure import LOADS

FLOOR = "echo"


def markdown(rows: list[dict]) -> str:
    """The whole report."""
    parts = [
        _head(rows),
        _ratios(rows),
        *(_load(rows, name) for name in LOADS),
        _lists(rows),
        _reload(rows),
        _left_out(rows),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _pick(rows: Iterable[dict], **wanted: str) -> list[dict]:
    return [row for row in rows if all(row.get(key) == value for key, value in wanted.items())]


def _servers(rows: list[dict]) -> list[str]:
    return list(dict.fromkeys(row["server"] for row in rows if row["row"] in ("load", "start", "reload")))


def _median(rows: list[dict], key: str) -> float | None:
    values = [row[key] for row in rows if row.get(key) is not None]
    return statistics.median(values) if values else None


def _number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _spread(rows: list[dict], key: str, digits: int) -> str:
    """The median, and what it was between."""
    values = [row[key] for row in rows if row.get(key) is not None]
    if len(values) < 2:
        return _number(_median(rows, key), digits)
    middle, low, high = (_number(of(values), digits) for of in (statistics.median, min, max))
    return f"{middle} ({low}–{high})"


def _table(title: str, head: list[str], lines: list[list[str]]) -> str:
    if not lines:
        return ""
    rule = "|" + "|".join(["---"] + ["---:"] * (len(head) - 1)) + "|"
    body = ["| " + " | ".join(line) + " |" for line in [head, *lines]]
    return "\n".join([f"### {title}", "", body[0], rule, *body[1:]])


def _head(rows: list[dict]) -> str:
    machine = _pick(rows, row="machine")[0]
    virtual = ", virtual machine" if machine["virtual"] else ""
    where = f"{machine['cpu']}, {machine['cores']} cores{virtual}, {machine['memory_gib']} GiB; {machine['system']}"
    where += f", Linux {machine['kernel']}"
    options = machine["options"]
    how = f"{options['repeat']} rounds of {options['seconds']:g} s for each load, medians (lowest–highest)"
    edns = "with" if options["edns"] else "without"
    how += f"; server on core 0, load and upstream on core 1, loopback; queries {edns} EDNS."
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return f"{machine['date']}. {where}.\n{how}\n\n{versions}."


def _ratio(rows: list[dict], server: str, load: str) -> float | None:
    floor = _median(_pick(rows, row="load", server=FLOOR, load=load), "cpu_us")
    own = _median(_pick(rows, row="load", server=server, load=load), "cpu_us")
    return own / floor if own is not None and floor else None


def _ratios(rows: list[dict]) -> str:
    loads = [name for name in LOADS if _pick(rows, row="load", load=name)]
    servers = [name for name in _servers(rows) if _pick(rows, row="load", server=name)]
    lines = [[name, *(_number(_ratio(rows, name, load), 2) for load in loads)] for name in servers]
    return _table("CPU time for each query, as a multiple of the echo's", ["server", *loads], lines if loads else [])


def _load(rows: list[dict], load: str) -> str:
    lines = []
    for server in _servers(rows):
        if own := _pick(rows, row="load", server=server, load=load):
            lines.append(
                [
                    server,
                    _spread(own, "cpu_us", 2),
                    _number(_ratio(rows, server, load), 2),
                    _number(_median(own, "qps")),
                    _number(_median(own, "p50_us")),
                    _number(_median(own, "p99_us")),
                    _percent(_median(own, "lost_at_rate")),
                    _percent(_median(own, "failed")),
                ]
            )
    rate = _pick(rows, row="machine")[0]["options"]["rate"]
    times = "in the same load" if LOADS[load].tcp else f"at {rate:,} q/s"
    head = [
        "server",
        "CPU µs/query",
        "× echo",
        "q/s",
        f"p50 µs {times}",
        f"p99 µs {times}",
        f"lost {times}",
        "SERVFAIL, REFUSED",
    ]
    return _table(f"{LOADS[load].title} (`{load}`)", head, lines)


def _percent(value: float | None) -> str:
    return "–" if value is None else "0" if value == 0 else f"{value:.2%}"


def _lists(rows: list[dict]) -> str:
    lines = []
    for server in _servers(rows):
        starts = {size: _pick(rows, row="start", server=server, list=size) for size in ("1k", "100k", "1m")}
        if server == FLOOR or not any(starts.values()):
            continue
        small, large = _median(starts["1k"], "rss"), _median(starts["1m"], "rss")
        each = (large - small) / 999_000 if small and large else None
        ends = [row for row in _pick(rows, row="end", server=server) if row["list"] == "1m"]
        seconds = [_number(_median(starts[size], "seconds"), 2) for size in ("1k", "1m")]
        lines.append(
            [
                server,
                *seconds,
                _mib(small),
                _mib(large),
                _number(each),
                _mib(_median(ends, "rss")),
                _mib(_median(ends, "peak")),
            ]
        )
    head = ["server", "s until 1 k in force", "s until 1 M in force", "RSS MiB, 1 k", "RSS MiB, 1 M", "bytes a name"]
    return _table("Lists", [*head, "RSS MiB, 1 M, after the loads", "highest"], lines)


def _mib(octets: float | None) -> str:
    return _number(octets / (1 << 20) if octets is not None else None)


def _reload(rows: list[dict]) -> str:
    lines = []
    for server in _servers(rows):
        if own := _pick(rows, row="reload", server=server):
            p99, before = _median(own, "p99_us"), _median(own, "p99_before_us")
            ratio = p99 / before if p99 and before else None
            seconds = (
                _number(_median(own, "seconds"), 2) if all(row["seconds"] for row in own) else "not within the load"
            )
            counts = [_number(_median(own, key)) for key in ("lost", "lost_before")]
            lines.append(
                [server, seconds, *counts, _number(p99), _number(before), _number(ratio, 2), _mib(_median(own, "peak"))]
            )
    rate = _pick(rows, row="machine")[0]["options"]["rate"]
    head = [
        "server",
        "s until in force",
        "queries lost",
        "lost without reload",
        "p99 µs",
        "p99 µs without reload",
        "×",
        "highest RSS MiB",
    ]
    return _table(f"Reload of 1,000,000 names at {rate:,} q/s, nothing pinned, two threads", head, lines)


def _left_out(rows: list[dict]) -> str:
    said = dict.fromkeys((row["server"], row["why"]) for row in rows if row["row"] == "left out")
    notes = [[server, why.replace("|", "/")] for server, why in said]
    return _table("Not measured", ["server", "why"], notes).replace("---:", "---")
