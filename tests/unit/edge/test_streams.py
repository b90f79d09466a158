"""What a command in a container says arrives whole, also where it comes in one packet with the header.

An engine sends the two apart or together as its scheduler likes; this server always sends them together,
which the real one does now and then.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from devcluster.edge.docker.sandbox.node import open_sandbox_engine

_SAID = (b"\x01", b'{"ready": true}\n'), (b"\x02", b"a word\n")


class _Hasty(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer({"ApiVersion": "1.41", "ExitCode": 0})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.path.endswith("/start"):
            self._answer({"Id": "one"})
            return
        frames = b"".join(stream + bytes(3) + len(text).to_bytes(4, "big") + text for stream, text in _SAID)
        self.close_connection = True
        self.connection.sendall(
            b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n" + frames
        )

    def _answer(self, document: dict[str, object]) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Hasty) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{server.server_address[1]}")
        yield
        server.shutdown()
        thread.join()


async def test_nothing_is_lost_that_comes_with_the_header(hasty: None) -> None:
    async with open_sandbox_engine() as engine:
        answer = await engine.ask("x", "status")
    assert (answer.code, answer.out, answer.err) == (0, b'{"ready": true}\n', "a word\n")
