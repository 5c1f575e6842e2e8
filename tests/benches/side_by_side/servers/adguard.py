"""AdGuard Home, with the list as a filter."""

import json
import shutil
import subprocess
from pathlib import Path

import obtain

from .server import GoServer, Place

CONFIGURATION = """\
http:
  address: 127.0.0.1:{control}
dns:
  bind_hosts: [127.0.0.1]
  port: {port}
  ratelimit: 0
  upstream_dns: ["127.0.0.1:{upstream}"]
  bootstrap_dns: []
  cache_size: 67108864
querylog:
  enabled: {log}
  file_enabled: true
  interval: 24h
statistics:
  enabled: false
  interval: 24h
filters:
  - enabled: true
    url: {list}
    name: listed
    id: 1
filtering:
  blocking_mode: nxdomain
  protection_enabled: true
  filtering_enabled: true
  safe_fs_patterns: ["{list}"]
schema_version: 29
"""


class AdGuardHome(GoServer):
    name = "AdGuard Home"
    program = "AdGuardHome"
    module = "github.com/AdguardTeam/AdGuardHome"
    module_version = "v0.107.60"
    logs = "querylog"

    def build(self, folder: Path) -> None:
        """Its module lacks the pages that it embeds; it is built with an empty one, since it serves none here."""
        if not obtain.program("go"):
            raise obtain.Unobtainable("Go is not installed")
        download = ["go", "mod", "download", "-json", f"{self.module}@{self.module_version}"]
        said = json.loads(
            subprocess.run(download, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout or "{}"
        )
        if "Dir" not in said:
            raise obtain.Unobtainable(
                f"`go mod download` failed: {said.get('Error', 'no word why').splitlines()[-1].strip()}"
            )
        source = folder / "adguard-source"
        shutil.copytree(said["Dir"], source, dirs_exist_ok=True, copy_function=shutil.copyfile)
        for path in (source, *source.rglob("*")):
            path.chmod(0o755)
        (source / "build/static").mkdir(parents=True, exist_ok=True)
        (source / "build/static/index.html").touch()
        built = subprocess.run(
            ["go", "build", "-o", str(folder / self.program), "."], cwd=source, capture_output=True, text=True
        )
        if built.returncode:
            raise obtain.Unobtainable(f"`go build` failed: {(built.stderr.splitlines() or ['no word why'])[-1]}")

    def rule(self, name: str) -> str:
        return f"||{name}^\n"

    def configure(self, place: Place) -> None:
        filters = place.directory / "data/filters"
        filters.mkdir(parents=True)
        # What it would have copied there when the filter was added.
        shutil.copyfile(place.list, filters / "1.txt")
        log = "true" if place.log else "false"
        text = CONFIGURATION.format(
            control=place.control, port=place.port, upstream=place.upstream, log=log, list=place.list
        )
        place.write("AdGuardHome.yaml", text)

    def command(self, place: Place) -> list[str]:
        return [self.path(), "--work-dir", str(place.directory), "--config", "AdGuardHome.yaml", "--no-check-update"]

    def logged(self, place: Place, name: str) -> bool:
        record = place.directory / "data/querylog.json"
        return record.exists() and name in record.read_text()
