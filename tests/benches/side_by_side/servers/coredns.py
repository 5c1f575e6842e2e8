"""CoreDNS, with the list in its `hosts` plugin, the one of those it comes with that takes a million names."""

from .server import GoServer, Place

CONFIGURATION = """\
.:{port} {{
    bind 127.0.0.1
    {log}
    hosts {list} {{
        ttl 30
        reload 1s
        fallthrough
    }}
    cache 3600 {{
        success 200000
        denial 200000
    }}
    forward . 127.0.0.1:{upstream}
}}
"""


class CoreDns(GoServer):
    name = "CoreDNS"
    program = "coredns"
    module = "github.com/coredns/coredns"
    module_version = "v1.14.7"
    below = False
    logs = "log"

    def rule(self, name: str) -> str:
        return f"0.0.0.0 {name}\n"

    def configure(self, place: Place) -> None:
        text = CONFIGURATION.format(
            port=place.port, upstream=place.upstream, list=place.list, log="log" if place.log else ""
        )
        place.write("Corefile", text)

    def command(self, place: Place) -> list[str]:
        return [self.path(), "-conf", "Corefile"]
