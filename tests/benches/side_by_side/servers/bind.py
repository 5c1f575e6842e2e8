"""BIND, with the list as a response policy zone."""

import base64
import secrets

import obtain
from process import Process

from .server import Place, RpzServer

CONFIGURATION = """\
options {{
    directory "{directory}";
    pid-file none;
    session-keyfile none;
    managed-keys-directory "{directory}";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    forwarders {{ 127.0.0.1 port {upstream}; }};
    forward only;
    recursion yes;
    recursive-clients 10000;
    tcp-clients 512;
    dnssec-validation no;
    minimal-responses yes;
    max-cache-size 512m;
    response-policy {{ zone "rpz.invalid" policy nxdomain; }} qname-wait-recurse no min-update-interval 0;
}};
logging {{
    channel nowhere {{ null; }};
    channel lookups {{ file "{log_file}"; severity info; print-time yes; }};
    category default {{ nowhere; }};
    category rpz {{ {channel}; }};
}};
zone "rpz.invalid" {{ type primary; file "{list}"; notify no; }};
{key}
controls {{ inet 127.0.0.1 port {control} allow {{ 127.0.0.1; }} keys {{ control; }}; }};
"""


class Bind(RpzServer):
    name = "BIND"
    program = "named"
    package = "bind9"
    version_flag = "-v"
    logs = "category rpz"

    def configure(self, place: Place) -> None:
        secret = base64.b64encode(secrets.token_bytes(32)).decode()
        key = f'key control {{ algorithm hmac-sha256; secret "{secret}"; }};'
        text = CONFIGURATION.format(
            directory=place.directory,
            port=place.port,
            upstream=place.upstream,
            log_file=place.log_file,
            channel="lookups" if place.log else "nowhere",
            list=place.list,
            key=key,
            control=place.control,
        )
        place.write("named.conf", text)
        options = f"options {{ default-key control; default-server 127.0.0.1; default-port {place.control}; }};"
        place.write("rndc.conf", f"{key}\n{options}\n")

    def command(self, place: Place) -> list[str]:
        return [self.path(), "-f", "-n", str(place.threads), "-c", str(place.directory / "named.conf")]

    def reload(self, place: Place, process: Process) -> None:
        control = obtain.program("rndc") or "rndc"
        Process(
            [control, "-c", str(place.directory / "rndc.conf"), "reload", "rpz.invalid"],
            place.directory / "control.log",
        )
