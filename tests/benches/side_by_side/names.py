"""What is blocked and what is asked: lists of names and query files, the same on every run.

Everything lies below the reserved top-level domain `example`, so that a query that leaks is nobody's.
"""

import functools
import random
from collections.abc import Iterable
from pathlib import Path

SIZES = {"1k": 1_000, "100k": 100_000, "1m": 1_000_000}
CACHED = 10_000
QUERIES = 200_000
# Behind the name of a query file: of the blocked names only those that stand in the list themselves.
EXACT = "-exact"
ENDS = ("example", *(f"{label}.example" for label in ("net", "org", "info", "co", "de", "io", "shop")))
ABOVE = ("www", "update", "dnl-01.geo", "stats", "api.eu", "cdn7", "a.b.c", "login")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
# traffic puts eight hexadecimal digits there that count up.
FRESH = "########"


def make(folder: Path, files: Iterable[str]) -> None:
    """Writes those of these files that are not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        path = folder / file
        if not path.exists():
            new = path.with_suffix(".new")
            new.write_text("".join(f"{name}\n" for name in _names(file)))
            new.replace(path)


def _names(file: str) -> Iterable[str]:
    """The lines of a file, by its name: `list-1k`, `blocked-1k`, `mixed`, `known`, `cached`, `warm` or `misses`."""
    chance = random.Random(file)
    kind, _, size = file.removesuffix(EXACT).partition("-")
    below = not file.endswith(EXACT)
    match kind:
        case "list":
            return _listed(SIZES[size])
        case "blocked":
            return (_blocked(chance, size, below) for _ in range(QUERIES))
        case "mixed":
            return (_one_of(chance, below, blocked=0.05, fresh=0.10) for _ in range(QUERIES))
        case "known":
            return (_one_of(chance, below, blocked=0.05, fresh=0) for _ in range(QUERIES))
        case "cached":
            return (_cached(chance.randrange(CACHED)) for _ in range(QUERIES))
        case "warm":
            return (_cached(number) for number in range(CACHED))
        case _:
            return (_fresh(number) for number in range(997))


@functools.cache
def _listed(size: int) -> list[str]:
    """Different names of the length that names in public lists have; a shorter list begins a longer one."""
    chance = random.Random("listed")
    parts = ["".join(chance.choices(LETTERS, k=chance.randint(2, 5))) for _ in range(4096)]
    names: dict[str, None] = {}
    while len(names) < size:
        one, two, three = (parts[chance.getrandbits(12)] for _ in range(3))
        names[f"{one}{two}{three}.{ENDS[chance.getrandbits(3)]}"] = None
    return list(names)


def _blocked(chance: random.Random, size: str, below: bool) -> str:
    """A listed name or, if `below`, four times in five one below it."""
    name = _listed(SIZES[size])[chance.randrange(SIZES[size])]
    return f"{chance.choice(ABOVE)}.{name}" if below and chance.random() < 0.8 else name


def _cached(number: int) -> str:
    return f"h{number}.s{number % 700}-ok.{ENDS[number % len(ENDS)]}"


def _fresh(number: int) -> str:
    return f"{FRESH}.s{number}-miss.example"


def _one_of(chance: random.Random, below: bool, blocked: float, fresh: float) -> str:
    """A blocked name of the longest list, one never asked before, or else a cached one."""
    part = chance.random()
    if part < blocked:
        return _blocked(chance, "1m", below)
    return _fresh(chance.randrange(997)) if part < blocked + fresh else _cached(chance.randrange(CACHED))


def spread(names: Path, count: int = 32) -> list[str]:
    """So many names from all parts of a list, the first and the last among them."""
    listed = names.read_text().split()
    return [listed[(len(listed) - 1) * number // (count - 1)] for number in range(count)]


def last(names: Path) -> str:
    """The last name of a list."""
    with names.open("rb") as file:
        file.seek(max(0, names.stat().st_size - 300))
        return file.read().split()[-1].decode()
