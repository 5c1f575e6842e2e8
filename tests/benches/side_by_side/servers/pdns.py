"""PowerDNS Recursor, with the list as a response policy zone."""

import obtain
from process import Process

from .server import Place, RpzServer


class PowerDnsRecursor(RpzServer):
    name = "PowerDNS Recursor"
    program = "pdns_recursor"
    package = "pdns-recursor"
    # It has no log of RPZ hits alone; this one has every query.
    logs = "quiet=no"

    def configure(self, place: Place) -> None:
        place.write("rpz.lua", f"rpzFile('{place.list}', {{ policyName = 'listed', defpol = Policy.NXDOMAIN }})\n")
        settings = {
            "socket-dir": place.directory,
            "daemon": "no",
            "disable-syslog": "yes",
            "quiet": "no" if place.log else "yes",
            "loglevel": 6 if place.log else 3,
            "local-address": "127.0.0.1",
            "local-port": place.port,
            "threads": place.threads,
            "pdns-distributes-queries": "no",
            "reuseport": "yes",
            "dnssec": "off",
            "forward-zones-recurse": f".=127.0.0.1:{place.upstream}",
            "dont-query": "",
            "lua-config-file": place.directory / "rpz.lua",
            "max-mthreads": 4096,
            "max-cache-entries": 1_000_000,
            "max-packetcache-entries": 500_000,
            "webserver": "no",
            "security-poll-suffix": "",
            "setgid": "",
            "setuid": "",
            "write-pid": "no",
        }
        place.write("recursor.conf", "".join(f"{name}={value}\n" for name, value in settings.items()))

    def command(self, place: Place) -> list[str]:
        return [self.path(), f"--config-dir={place.directory}"]

    def reload(self, place: Place, process: Process) -> None:
        control = obtain.program("rec_control") or "rec_control"
        Process([control, f"--socket-dir={place.directory}", "reload-lua-config"], place.directory / "control.log")
