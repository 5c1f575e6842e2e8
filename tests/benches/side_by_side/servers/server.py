"""What every server has: a list in its own words, a configuration, a command, and a way to read the list again."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import obtain
from process import Process


@dataclass(frozen=True)
class Place:
    """Where a server runs and what it is given."""

    # Its own, and empty at first.
    directory: Path
    # One name a line; each is to be blocked with all names below it.
    names: Path
    port: int
    # Another free port, for what steers the server.
    control: int
    upstream: int
    threads: int
    # Whether it keeps a record of blocked lookups.
    log: bool

    @property
    def list(self) -> Path:
        """The list in the server's own words."""
        return self.directory / "list"

    @property
    def log_file(self) -> Path:
        return self.directory / "lookups.log"

    def write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        return path


class Server:
    """One server. To add another: a file beside this one, and a line in `ALL`."""

    name = ""
    # Program and the Debian package it is in.
    program = ""
    package = ""
    # What prints its version, behind the program.
    version_flag = "--version"
    # Whether a listed name covers the names below it; if not, only listed names are asked for.
    below = True
    # What it does to record blocked lookups; None when it can't, or always does.
    logs: str | None = None
    # What precedes the names in its list.
    head = ""

    def obtain(self, folder: Path, install: bool) -> None:
        """Makes the program be there; raises obtain.Unobtainable. What is built goes into `folder`."""
        if not obtain.program(self.program):
            if not install:
                raise obtain.Unobtainable(f"`{self.program}` of Debian's package {self.package} is not installed")
            obtain.packages([self.package])

    def path(self) -> str:
        return obtain.program(self.program) or self.program

    def version(self) -> str:
        done = subprocess.run(
            [self.path(), self.version_flag], capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        found = re.search(r"\d+(\.\d+)+[\w.+~-]*", done.stdout + done.stderr)
        return found[0] if found else "unknown"

    def rule(self, name: str) -> str:
        """One name of the list, in the server's own words."""
        return f"{name}\n"

    def write_list(self, place: Place, more: tuple[str, ...] = ()) -> None:
        """Writes the list with some names more, beside the one in force."""
        rule = self.rule
        names = [*place.names.read_text().split(), *more]
        self._new(place).write_text(self.head + "".join([rule(name) for name in names]))

    def put_list(self, place: Place) -> None:
        """Puts the list that was written in place of the other in one step, as a careful operator does."""
        self._new(place).replace(place.list)

    def _new(self, place: Place) -> Path:
        return place.list.with_suffix(".new")

    def configure(self, place: Place) -> None:
        """Writes what else it reads."""

    def command(self, place: Place) -> list[str]:
        raise NotImplementedError

    def env(self, place: Place) -> dict[str, str]:
        return {}

    def reload(self, place: Place, process: Process) -> None:
        """Makes it read the list again, where it does not look by itself."""

    def logged(self, place: Place, name: str) -> bool:
        """Whether its record has a lookup of this name."""
        files = [path for path in place.directory.rglob("*.log") if path.is_file()]
        return any(name.encode() in path.read_bytes() for path in files)


class RpzServer(Server):
    """A server that reads its list as a response policy zone."""

    head = "$TTL 300\n@ SOA localhost. nobody.invalid. 1 3600 600 86400 300\n@ NS localhost.\n"

    def rule(self, name: str) -> str:
        return f"{name} CNAME .\n*.{name} CNAME .\n"


class GoServer(Server):
    """A server that is built from the Go module proxy."""

    module = ""
    module_version = ""

    def obtain(self, folder: Path, install: bool) -> None:
        self._folder = folder
        if not (folder / self.program).exists():
            if not install:
                raise obtain.Unobtainable("not built")
            self.build(folder)

    def build(self, folder: Path) -> None:
        obtain.go(self.module, self.module_version, folder)

    def path(self) -> str:
        return str(self._folder / self.program)

    def version(self) -> str:
        return self.module_version.removeprefix("v")

    def env(self, place: Place) -> dict[str, str]:
        return {"GOMAXPROCS": str(place.threads)}
