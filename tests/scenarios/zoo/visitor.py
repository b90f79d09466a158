"""Who asks the zoo's animals: a pod of Python in their namespace, which answers with what it was told."""

from __future__ import annotations

import asyncio
import functools
import json
from typing import Any

from tests.scenarios.world import World

Json = dict[str, Any]
_NAME, _PORT = "visitor", 7080
_GUARD = 60.0  # seconds until a question has its answer: three times what a handover may take

_PROGRAM = r"""
import http.server, json, socket, urllib.error, urllib.request
def get(asked):
    try:
        with urllib.request.urlopen(asked["get"], timeout=5) as answer:
            return answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code} {error.read().decode('utf-8', 'replace')}"
def tcp(asked):
    host, _, port = asked["tcp"].rpartition(":")
    with socket.create_connection((host, int(port)), 5) as connection:
        connection.settimeout(5)
        connection.sendall(asked.get("send", "").encode())
        return connection.recv(4096).decode("utf-8", "replace")
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.say("ready")
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        try:
            self.say(get(asked) if "get" in asked else tcp(asked))
        except OSError as error:
            self.say(f"error: {error}")
    def say(self, text):
        body = json.dumps({"said": text}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("", 7080), H).serve_forever()
"""


def visitor_pod(image: str) -> Json:
    """The pod's manifest; *image*: with Python."""
    probe = {"httpGet": {"port": _PORT, "path": "/"}, "periodSeconds": 1}
    container = {
        "name": "ask",
        "image": image,
        "command": ["python3", "-uc", _PROGRAM],
        "readinessProbe": probe,
    }
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": _NAME}, "spec": spec}


async def ask(world: World, question: Json) -> str:
    """One answer, whatever it is."""
    where = f"/api/v1/namespaces/{world.namespace}/pods/{_NAME}:{_PORT}/proxy/"
    body = json.dumps(question).encode()
    send = functools.partial(world.cluster.transport.send, body=body, read_timeout=_GUARD)
    response = await asyncio.to_thread(send, "POST", where)
    assert response.status == 200, response.data.decode()
    return str(json.loads(response.data)["said"])
