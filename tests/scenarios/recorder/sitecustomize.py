"""Python starts with this file where its folder is on PYTHONPATH: each request to the API server is written
to the file that DEVCLUSTER_TEST_REQUESTS names, as a Role says it: ``VERB RESOURCE``."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import parse_qs, urlsplit

from devcluster.edge.kube.transport import Transport

_VERBS = {"POST": "create", "PATCH": "patch", "DELETE": "delete"}
_send = Transport.send


def _right(method: str, path: str) -> str:
    """``get pods/log`` of ``GET /api/v1/namespaces/shop/pods/web/log``."""
    url = urlsplit(path)
    parts = url.path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        parts = parts[2:]
    if not parts:
        return "discover"
    resource = "/".join([parts[0], *parts[2:3]])
    verb = _VERBS.get(method) or ("get" if len(parts) > 1 else "list")
    return f"{'watch' if 'watch' in parse_qs(url.query) else verb} {resource}"


def _recorded(self: Transport, method: str, path: str, **settings: Any) -> Any:
    response = _send(self, method, path, **settings)
    if response.status != 403:
        with open(os.environ["DEVCLUSTER_TEST_REQUESTS"], "a") as file:
            file.write(_right(method, path) + "\n")
    return response


Transport.send = _recorded  # type: ignore[method-assign]
