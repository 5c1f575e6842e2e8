"""dnsmasq, with the list as names that have no server: unlike addresses, they are read again on SIGHUP."""

import getpass
import signal

from process import Process

from .server import Place, Server


class Dnsmasq(Server):
    name = "dnsmasq"
    program = "dnsmasq"
    package = "dnsmasq-base"
    logs = "log-queries"

    def rule(self, name: str) -> str:
        return f"server=/{name}/\n"

    def configure(self, place: Place) -> None:
        lines = [
            "keep-in-foreground",
            f"port={place.port}",
            "listen-address=127.0.0.1",
            "bind-interfaces",
            "no-resolv",
            "no-hosts",
            f"user={getpass.getuser()}",
            "pid-file",
            f"server=127.0.0.1#{place.upstream}",
            f"servers-file={place.list}",
            "cache-size=20000",
            "dns-forward-max=2000",
            f"log-facility={place.log_file}",
        ]
        if place.log:
            lines.append("log-queries")
        place.write("dnsmasq.conf", "".join(f"{line}\n" for line in lines))

    def command(self, place: Place) -> list[str]:
        return [self.path(), "-C", "dnsmasq.conf"]

    def reload(self, place: Place, process: Process) -> None:
        process.signal(signal.SIGHUP)
