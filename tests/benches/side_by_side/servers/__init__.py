"""The servers that are measured: one file each, one list."""

from .adguard import AdGuardHome
from .bind import Bind
from .blocky import Blocky
from .coredns import CoreDns
from .dnsdist import Dnsdist
from .dnsmasq import Dnsmasq
from .echo import Echo
from .embargo import Embargo
from .knot import KnotResolver
from .pdns import PowerDnsRecursor
from .server import Place, Server
from .unbound import Unbound, UnboundRpz

# The floor first, then Embargo.
ALL: tuple[Server, ...] = (
    Echo(),
    Embargo(),
    Unbound(),
    UnboundRpz(),
    Dnsdist(),
    KnotResolver(),
    PowerDnsRecursor(),
    Bind(),
    Dnsmasq(),
    CoreDns(),
    Blocky(),
    AdGuardHome(),
)

__all__ = ["ALL", "Place", "Server"]
