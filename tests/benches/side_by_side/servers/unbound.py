"""Unbound, with the list as local zones or as a response policy zone."""

import obtain
from process import Process

from .server import Place, RpzServer, Server

CONFIGURATION = """\
server:
    interface: 127.0.0.1@{port}
    num-threads: {threads}
    so-reuseport: yes
    so-rcvbuf: 4m
    username: ""
    chroot: ""
    directory: "{directory}"
    pidfile: ""
    use-syslog: no
    logfile: "{log_file}"
    log-local-actions: {log}
    do-not-query-localhost: no
    module-config: "{modules}"
    msg-cache-size: 128m
    rrset-cache-size: 256m
    outgoing-range: 4096
    num-queries-per-thread: 2048
    incoming-num-tcp: 512
{blocked}
remote-control:
    control-enable: yes
    control-interface: "{directory}/control"
    control-use-cert: no
forward-zone:
    name: "."
    forward-addr: 127.0.0.1@{upstream}
"""


class Unbound(Server):
    name = "Unbound"
    program = "unbound"
    package = "unbound"
    version_flag = "-V"
    logs = "log-local-actions"
    head = "server:\n"
    modules = "iterator"

    def rule(self, name: str) -> str:
        return f'local-zone: "{name}" always_nxdomain\n'

    def blocked(self, place: Place) -> str:
        return f'include: "{place.list}"'

    def configure(self, place: Place) -> None:
        text = CONFIGURATION.format(
            port=place.port,
            threads=place.threads,
            directory=place.directory,
            log_file=place.log_file,
            log="yes" if place.log else "no",
            modules=self.modules,
            blocked=self.blocked(place),
            upstream=place.upstream,
        )
        place.write("unbound.conf", text)

    def command(self, place: Place) -> list[str]:
        return [self.path(), "-d", "-p", "-c", "unbound.conf"]

    def reload(self, place: Place, process: Process) -> None:
        self._control(place, "reload_keep_cache")

    def _control(self, place: Place, *words: str) -> None:
        control = obtain.program("unbound-control") or "unbound-control"
        command = [control, "-c", str(place.directory / "unbound.conf"), *words]
        # Not waited for: some of it answers only when the list is in force.
        Process(command, place.directory / "control.log")


class UnboundRpz(Unbound):
    name = "Unbound (RPZ)"
    logs = "rpz-log"
    head = RpzServer.head
    modules = "respip iterator"

    def rule(self, name: str) -> str:
        return RpzServer.rule(self, name)

    def blocked(self, place: Place) -> str:
        log = "yes" if place.log else "no"
        return f'rpz:\n    name: "rpz.invalid"\n    zonefile: "{place.list}"\n    rpz-log: {log}'

    def reload(self, place: Place, process: Process) -> None:
        self._control(place, "auth_zone_reload", "rpz.invalid")
