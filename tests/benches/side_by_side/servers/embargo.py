"""Embargo as it is shipped: every blocked lookup is recorded, and the record is on disk."""

import signal
import subprocess
from pathlib import Path

import obtain
from process import Process

from .server import Place, Server


class Embargo(Server):
    name = "Embargo"

    def __init__(self) -> None:
        self._path: Path | None = None

    def use(self, binary: Path) -> None:
        """Measures this binary instead of building one."""
        self._path = binary

    def obtain(self, folder: Path, install: bool) -> None:
        self._path = self._path or obtain.embargo()

    def path(self) -> str:
        return str(self._path)

    def configure(self, place: Place) -> None:
        # Every setting at its default, whatever the machine has in /etc.
        place.write("embargo.toml", "")

    def command(self, place: Place) -> list[str]:
        upstream, listen = f"127.0.0.1:{place.upstream}", f"127.0.0.1:{place.port}"
        command = [self.path(), "run", "--config", "embargo.toml", "--listen", listen, "--admin", "off"]
        command += ["--upstream", upstream, "--state-dir", str(place.directory / "state")]
        return command + ["--workers", str(place.threads), "--list", str(place.list)]

    def reload(self, place: Place, process: Process) -> None:
        process.signal(signal.SIGHUP)

    def logged(self, place: Place, name: str) -> bool:
        command = [self.path(), "attempts", "--state-dir", str(place.directory / "state"), "--json"]
        return f'"{name}"' in subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
