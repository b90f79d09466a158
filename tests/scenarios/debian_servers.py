"""Real servers from Debian's packages, nginx and Redis: how each is started, and who asks it.

Each tells who it is, so that a request can be counted by who answered it: nginx as the test application does,
Redis by a setting that was given at its start.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster.sandbox.base_image import BASE_IMAGE, ensure_base_image
from tests.apps.build import SOURCES
from tests.scenarios.python_world import build_image

Json = dict[str, Any]

_NGINX = r"""
cat >/tmp/nginx.conf <<EOF
daemon off; pid /tmp/nginx.pid; error_log stderr;
events {}
http {
  access_log off;
  server {
    listen 8080;
    default_type application/json;
    location / { return 200 '{"id":"\$http_x_request_id","identity":"$IDENTITY"}'; }
  }
}
EOF
exec nginx -c /tmp/nginx.conf
"""
_REDIS = r"""
case $IDENTITY in original) clients=1000 ;; *) clients=2000 ;; esac
exec redis-server --save "" --protected-mode no --maxclients $clients
"""
_ASK_REDIS = r"""
import json, signal, socket, sys, threading, time

(host, _, port), rate, number = sys.argv[1].partition(":"), float(sys.argv[2]), int(sys.argv[3])
report = {"sent": 0, "ok": 0, "identity": {}, "errors": {}, "failed": []}
names = {b"1000": "original", b"2000": "local"}
lock, times, over, began = threading.Lock(), [], threading.Event(), time.monotonic()
signal.signal(signal.SIGTERM, lambda *_: over.set())

def ask():
    start = time.monotonic()
    try:
        with socket.create_connection((host, int(port or 6379)), timeout=70) as conn:
            conn.settimeout(70)
            conn.sendall(b"CONFIG GET maxclients\r\n")
            said = b""
            while said.count(b"\r\n") < 5:
                more = conn.recv(4096)
                if not more:
                    raise ConnectionError("it ended without an answer")
                said += more
        kind, who = "identity", names[said.split(b"\r\n")[4]]
    except OSError as error:
        kind, who = "errors", str(error)
    with lock:
        report[kind][who] = report[kind].get(who, 0) + 1
        report["ok"] += kind == "identity"
        times.append((time.monotonic() - start) * 1000)
        if kind == "errors":
            report["failed"].append({"at": start - began, "took": times[-1] / 1000, "error": who})

threads = []
while report["sent"] < number and not over.is_set():
    report["sent"] += 1
    threads.append(threading.Thread(target=ask))
    threads[-1].start()
    over.wait(1 / rate)
for thread in threads:
    thread.join()
times.sort()
report |= {"seconds": time.monotonic() - began, "p50_ms": times[len(times) // 2], "longest_ms": times[-1]}
print(json.dumps(report), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Server:
    """``command``: its process, which has its name in IDENTITY; ``port``: where it listens."""

    command: tuple[str, ...]
    port: int

    def container(self, image: str) -> Json:
        """As the only one of a pod: ready when it listens; a pod that ends serves until nobody is sent to it
        any more, as every application must that loses no request."""
        return {
            "name": "web",
            "image": image,
            "command": list(self.command),
            "env": [{"name": "IDENTITY", "value": "original"}],
            "ports": [{"name": "main", "containerPort": self.port}],
            "readinessProbe": {"tcpSocket": {"port": "main"}, "periodSeconds": 1},
            "lifecycle": {"preStop": {"exec": {"command": ["sleep", "3"]}}},
        }


NGINX = Server(("sh", "-c", _NGINX), 8080)
REDIS = Server(("sh", "-c", _REDIS), 6379)


async def load_servers(kubeconfig: Path) -> str:
    """The image's tag, in the cluster's node and in the local engine."""
    await ensure_base_image()
    return await asyncio.to_thread(build_image, kubeconfig, SOURCES / "servers", "servers", BASE=BASE_IMAGE)


def asking(server: Server, host: str, *, rate: int, number: int, app: str, image: str) -> Json:
    """The container that sends *number* requests to *host*, *rate* a second, each on a fresh connection, and
    prints the report of the test application's client; SIGTERM ends it."""
    if server is REDIS:
        return {"image": image, "args": ["python3", "-uc", _ASK_REDIS, host, str(rate), str(number)]}
    words = ["client", "http", "-url", f"http://{host}/", "-rate", str(rate), "-n", str(number)]
    return {"image": app, "args": [*words, "-timeout", "5m"]}
