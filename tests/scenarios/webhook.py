"""A mutating webhook, as a cluster has it that injects secrets, tokens or sidecars: twenty lines of Python.

It answers each new pod of the namespace that has the label ``inject: "yes"`` with the same JSON patch.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from tests.scenarios.certificate import self_signed
from tests.scenarios.manifests import create, delete
from tests.scenarios.world import World

Json = dict[str, Any]

_PROGRAM = r"""
import base64, http.server, json, os, ssl
class H(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["request"]
        patch = base64.b64encode(os.environ["PATCH"].encode()).decode()
        body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {
            "uid": asked["uid"], "allowed": True, "patchType": "JSONPatch", "patch": patch}}).encode()
        self.send_response(200); self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body))); self.end_headers(); self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("", 8443), H)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain("/tls/tls.crt", "/tls/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True); server.serve_forever()
"""


@contextlib.asynccontextmanager
async def injecting(world: World, image: str, patch: list[Json]) -> AsyncIterator[None]:
    """Until the end each new pod with the label is changed by *patch*; *image*: with Python."""
    key, certificate = self_signed(f"hook.{world.namespace}.svc")
    data = {"tls.crt": certificate, "tls.key": key}
    secret = {"metadata": {"name": "hook"}, "type": "kubernetes.io/tls", "stringData": data}
    await world.cluster.create("secret", secret, world.namespace, manager="tester")
    await world.cluster.create("deployment", _deployment(image, patch), world.namespace, manager="tester")
    spec = {"selector": {"app": "hook"}, "ports": [{"port": 443, "targetPort": 8443}]}
    await world.cluster.create("service", {"metadata": {"name": "hook"}, "spec": spec}, world.namespace)
    await world.available("hook")
    configuration = _configuration(world.namespace, certificate)
    await create(world.cluster, world.namespace, configuration)
    try:
        yield
    finally:
        await delete(world.cluster, world.namespace, configuration)


def _deployment(image: str, patch: list[Json]) -> Json:
    container = {
        "name": "hook",
        "image": image,
        "command": ["python3", "-uc", _PROGRAM],
        "env": [{"name": "PATCH", "value": json.dumps(patch)}],
        "volumeMounts": [{"name": "tls", "mountPath": "/tls"}],
        "readinessProbe": {"tcpSocket": {"port": 8443}, "periodSeconds": 1},
    }
    pod = {
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "volumes": [{"name": "tls", "secret": {"secretName": "hook"}}],
    }
    labels = {"app": "hook"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": "hook"}, "spec": spec}


def _configuration(namespace: str, certificate: str) -> Json:
    hook = {
        "name": "inject.devcluster.test",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "clientConfig": {
            "service": {"namespace": namespace, "name": "hook", "port": 443},
            "caBundle": base64.b64encode(certificate.encode()).decode(),
        },
        "rules": [
            {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
        ],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "objectSelector": {"matchLabels": {"inject": "yes"}},
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": f"inject-{namespace}"},
        "webhooks": [hook],
    }
