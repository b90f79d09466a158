"""A resolver that only the laptop knows: a DNS server of the test's own, and a command that sees it.

The command runs in a mount namespace where /etc/resolv.conf names the server; so does the host process that
it starts.  Nothing else on the machine sees it.  It needs root, as any such thing on port 53 does.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socketserver
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

ADDRESS = "127.53.53.53"


@contextlib.contextmanager
def name_server(names: dict[str, str]) -> Iterator[list[str]]:
    """Answers A of *names* and nothing else; yields every name it was asked for."""
    asked: list[str] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            query, socket = self.request
            name, kind, end = _question(query)
            asked.append(name)
            address = names.get(name) if kind == 1 else None
            flags = 0x8180 if name in names else 0x8183
            head = query[:2] + struct.pack(">HHHHH", flags, 1, 1 if address else 0, 0, 0)
            answer = b""
            if address:
                packed = ipaddress.IPv4Address(address).packed
                answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 5, 4) + packed
            socket.sendto(head + query[12:end] + answer, self.client_address)

    with socketserver.ThreadingUDPServer((ADDRESS, 53), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
        thread.start()
        try:
            yield asked
        finally:
            server.shutdown()
            thread.join()


def with_own_resolver(folder: Path) -> tuple[str, ...]:
    """The words before a command that is to use it."""
    file = folder / "resolv.conf"
    file.write_text(f"nameserver {ADDRESS}\noptions timeout:2 attempts:1\n")
    script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
    return ("unshare", "--mount", "sh", "-c", script, str(file))


def _question(query: bytes) -> tuple[str, int, int]:
    """The name, the type, and where the question ends."""
    labels, at = [], 12
    while length := query[at]:
        labels.append(query[at + 1 : at + 1 + length].decode())
        at += 1 + length
    (kind,) = struct.unpack(">H", query[at + 1 : at + 3])
    return ".".join(labels).lower(), kind, at + 5
