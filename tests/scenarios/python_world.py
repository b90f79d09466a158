"""Small servers in Python, for scenarios in which an application does something of its own at its start.

Each program is a text of the scenario; it runs in an image of Debian and Python, as its pod's and as the
local container's process alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker

from devcluster.sandbox.base_image import BASE_IMAGE, ensure_base_image
from tests.apps.build import SOURCES
from tests.scenarios.world import World, give_to_node

Json = dict[str, Any]

ANSWER = r"""
import http.server, json, os, sys
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, answer = page(self)
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
def page(request):
    return 200, dict(os.environ)
def serve(port):
    http.server.ThreadingHTTPServer(("", port), Page).serve_forever()
"""
"""Before each program: ``serve(PORT)`` answers with what ``page`` says, the environment unless it is written
anew."""

_GET = """
import json, sys, urllib.request
print(json.dumps({"body": json.load(urllib.request.urlopen(sys.argv[1], timeout=20))}))
"""


async def load_python(kubeconfig: Path) -> str:
    """The image's tag, in the cluster's node and in the local engine."""
    await ensure_base_image()
    return build_image(kubeconfig, SOURCES / "python", "python", BASE=BASE_IMAGE)


def build_image(kubeconfig: Path, folder: Path, name: str, **args: str) -> str:
    """The tag of the image that *folder* makes: built where the engine has none of the same files, and given
    to the node."""
    files = b"\0".join(file.read_bytes() for file in sorted(folder.iterdir()))
    tag = f"devcluster-test/{name}:{hashlib.sha256(files).hexdigest()[:12]}"
    client = docker.from_env()
    try:
        if not client.images.list(name=tag):
            client.images.build(path=str(folder), tag=tag, rm=True, buildargs=args)
    finally:
        client.close()
    give_to_node(kubeconfig, tag)
    return tag


_REACH = """
import json, socket, sys, time
end = time.monotonic() + 30
while True:
    try:
        socket.create_connection((sys.argv[1], int(sys.argv[2])), 5).close()
        break
    except OSError:  # kube-proxy learns of a new pod a moment after it is ready
        if time.monotonic() > end:
            raise
        time.sleep(0.1)
print(json.dumps({}))
"""


async def serve(
    world: World,
    name: str,
    image: str,
    program: str,
    *,
    env: Mapping[str, str | Json] | None = None,
    port: int = 8080,
    container: Json | None = None,
    pod: Json | None = None,
    labels: Mapping[str, str] | None = None,
) -> Json:
    """*program* as Deployment and Service *name* at *port*, available; *env*: values, or ``valueFrom``;
    *labels*: of the pods, besides."""
    variables = [
        {"name": key, "value": value} if isinstance(value, str) else {"name": key, "valueFrom": value}
        for key, value in (env or {}).items()
    ]
    base = {
        "name": name,
        "image": image,
        "command": ["python3", "-uc", ANSWER + program],
        "env": variables,
        "ports": [{"name": "main", "containerPort": port}],
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
    }
    spec = {"terminationGracePeriodSeconds": 1, "containers": [base | (container or {})]} | (pod or {})
    body = {
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name} | dict(labels or {})}, "spec": spec},
        },
    }
    await world.cluster.create("deployment", body, world.namespace, manager="tester")
    ports = [{"name": "main", "port": port, "targetPort": "main"}]
    service = {"metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": ports}}
    await world.cluster.create("service", service, world.namespace, manager="tester")
    workload = await world.available(name)
    await world.ask("python3", "-c", _REACH, name, str(port), image=image)
    return workload


async def get(world: World, image: str, url: str) -> Any:
    """What *url* answers to a pod of the cluster."""
    return (await world.ask("python3", "-c", _GET, url, image=image))["body"]
