"""Blocky, with the list as wildcards."""

import urllib.request

from process import Process

from .server import GoServer, Place

CONFIGURATION = """\
upstreams:
  groups:
    default: ["127.0.0.1:{upstream}"]
blocking:
  denylists:
    listed: ["{list}"]
  clientGroupsBlock:
    default: [listed]
  blockType: nxDomain
  loading:
    strategy: blocking
    refreshPeriod: -1
    maxErrorsPerSource: -1
ports:
  dns: 127.0.0.1:{port}
  http: 127.0.0.1:{control}
log:
  level: error
queryLog:
  type: {log}
  target: "{directory}"
specialUseDomains:
  enable: false
"""


class Blocky(GoServer):
    name = "Blocky"
    program = "blocky"
    module = "github.com/0xERR0R/blocky"
    module_version = "v0.28.2"
    logs = "queryLog csv"

    def rule(self, name: str) -> str:
        return f"*.{name}\n"

    def configure(self, place: Place) -> None:
        text = CONFIGURATION.format(
            upstream=place.upstream,
            list=place.list,
            port=place.port,
            control=place.control,
            directory=place.directory,
            log="csv" if place.log else "none",
        )
        place.write("blocky.yml", text)

    def command(self, place: Place) -> list[str]:
        return [self.path(), "serve", "--config", "blocky.yml"]

    def reload(self, place: Place, process: Process) -> None:
        address = f"http://127.0.0.1:{place.control}/api/lists/refresh"
        with urllib.request.urlopen(urllib.request.Request(address, method="POST"), timeout=60):
            pass
