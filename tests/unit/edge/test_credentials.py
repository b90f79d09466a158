"""The connection pool that a kubeconfig gives."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from devcluster.edge.kube.credentials import Access

_KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: u, user: {{token: none}}}}]
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
current-context: c
"""


class _Silent(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


def test_a_watch_whose_way_has_died_is_noticed_by_the_kernel(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), _Silent) as server:
        threading.Thread(target=server.handle_request).start()
        path = tmp_path / "kubeconfig"
        path.write_text(_KUBECONFIG.format(port=server.server_port))
        access = Access(str(path), None)
        response = access.pool.request("GET", access.server, preload_content=False)
        assert response.connection is not None
        found = getattr(response.connection, "sock")  # noqa: B009 - not in its types
        assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        seconds = [
            found.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        ]
        assert seconds[0] + seconds[1] * seconds[2] <= 10
        response.close()
