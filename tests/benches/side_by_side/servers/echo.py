"""The floor: batched datagrams sent back with QR set. No name is looked at."""

from pathlib import Path

import obtain

from .server import Place, Server


class Echo(Server):
    name = "echo"

    def obtain(self, folder: Path, install: bool) -> None:
        self._path = obtain.traffic()

    def path(self) -> str:
        return str(self._path)

    def version(self) -> str:
        return "of this tree"

    def write_list(self, place: Place, more: tuple[str, ...] = ()) -> None:
        """It has none."""

    def put_list(self, place: Place) -> None:
        """It has none."""

    def command(self, place: Place) -> list[str]:
        return [self.path(), "echo", str(place.port)]
