"""One query and what came back: enough to see whether a server answers rightly before it is measured."""

import secrets
import socket
import struct
from dataclasses import dataclass

NOERROR, NXDOMAIN = 0, 3
# What the upstream answers with; its last octet counts up.
UPSTREAM_NETWORK = bytes([192, 0, 2])


@dataclass(frozen=True)
class Response:
    """The parts of a response that are looked at."""

    rcode: int
    # RDATA of the first A record in the answer section.
    address: bytes | None

    @property
    def blocked(self) -> bool:
        """NXDOMAIN, NODATA, or an address that is not the upstream's."""
        return self.rcode in (NOERROR, NXDOMAIN) and not (self.address or b"").startswith(UPSTREAM_NETWORK)

    @property
    def forwarded(self) -> bool:
        return self.rcode == NOERROR and (self.address or b"").startswith(UPSTREAM_NETWORK)


def ask(port: int, name: str, tcp: bool = False, wait: float = 1.0) -> Response | None:
    """Asks 127.0.0.1 for the A records of a name; None without a response in time, or with one that is none."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    message = secrets.token_bytes(2) + b"\x01\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1"
    try:
        response = _exchange(port, message, tcp, wait)
    except OSError:
        return None
    return _read(response, len(message)) if response[:2] == message[:2] else None


def _exchange(port: int, message: bytes, tcp: bool, wait: float) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as client:
        client.settimeout(wait)
        client.connect(("127.0.0.1", port))
        if not tcp:
            client.send(message)
            return client.recv(4096)
        client.sendall(struct.pack("!H", len(message)) + message)
        with client.makefile("rb") as stream:
            head = stream.read(2)
            return stream.read(struct.unpack("!H", head)[0]) if len(head) == 2 else b""


def _read(response: bytes, question_end: int) -> Response | None:
    if len(response) < 12:
        return None
    rcode, answers = response[3] & 15, struct.unpack("!H", response[6:8])[0]
    place, address = question_end, None
    for _ in range(answers):
        place = _after_name(response, place)
        kind, _, _, size = struct.unpack_from("!HHIH", response, place)
        place += 10
        if kind == 1 and address is None:
            address = response[place : place + size]
        place += size
    return Response(rcode, address)


def _after_name(response: bytes, place: int) -> int:
    while response[place]:
        if response[place] >= 0xC0:
            return place + 2
        place += response[place] + 1
    return place + 1
