"""A registry on this machine that has one image: enough of the protocol for an engine's pull.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md (pull)
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_DOCKER = "application/vnd.docker."
_MANIFEST = f"{_DOCKER}distribution.manifest.v2+json"


@contextmanager
def serve_registry() -> Iterator[Registry]:
    """An empty one.  Engines take one on 127.0.0.1 without TLS."""
    registry = Registry(("127.0.0.1", 0), _Answer)
    thread = threading.Thread(target=registry.serve_forever, name="registry", daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        registry.shutdown()
        registry.server_close()


class Registry(ThreadingHTTPServer):
    """``asked``: every path that was asked for."""

    daemon_threads = True

    def __init__(self, *words: Any) -> None:
        super().__init__(*words)
        self.asked: list[str] = []
        self.blobs: dict[str, tuple[str, bytes]] = {}

    @property
    def reference(self) -> str:
        """What an image here is called."""
        return f"127.0.0.1:{self.server_address[1]}/shop/web:1"

    def put(self, archive: bytes) -> None:
        """The image of an *archive* as ``docker save`` writes it."""
        config, *layers = unpacked(archive)
        body = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self._put(config, f"{_DOCKER}container.image.v1+json"),
            "layers": [self._put(it, f"{_DOCKER}image.rootfs.diff.tar.gzip") for it in layers],
        }
        manifest = self._put(json.dumps(body).encode(), _MANIFEST)
        self.blobs["1"] = self.blobs[manifest["digest"]]

    def _put(self, data: bytes, kind: str) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.blobs[digest] = (kind, data)
        return {"mediaType": kind, "size": len(data), "digest": digest}


def unpacked(archive: bytes) -> list[bytes]:
    """Its configuration, then its layers."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:

        def read(name: str) -> bytes:
            file = tar.extractfile(name)
            assert file is not None
            return file.read()

        (manifest,) = json.loads(read("manifest.json"))
        return [read(name) for name in (manifest["Config"], *manifest["Layers"])]


def renamed(archive: bytes, tag: str, label: str, layer: bytes = b"") -> bytes:
    """The same image with a label more, and so with another id, called *tag*; *layer*: a tar on top of it."""
    config, *layers = unpacked(archive)
    changed = json.loads(config)
    changed["config"]["Labels"] = {"test": label}
    if layer:
        layers.append(layer)
        changed["rootfs"]["diff_ids"].append(f"sha256:{hashlib.sha256(layer).hexdigest()}")
        changed.pop("history", None)
    text = json.dumps(changed).encode()
    name = f"{hashlib.sha256(text).hexdigest()}.json"
    names = [f"{number}.tar" for number in range(len(layers))]
    manifest = json.dumps([{"Config": name, "RepoTags": [tag], "Layers": names}]).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file, data in zip((name, *names, "manifest.json"), (text, *layers, manifest), strict=True):
            entry = tarfile.TarInfo(file)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


class _Answer(BaseHTTPRequestHandler):
    server: Registry

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        self.server.asked.append(self.path)
        name = self.path.rpartition("/")[2]
        if self.path != "/v2/" and name not in self.server.blobs:
            self.send_error(404)
            return
        kind, data = self.server.blobs.get(name, ("application/json", b"{}"))
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Docker-Content-Digest", f"sha256:{hashlib.sha256(data).hexdigest()}")
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *words: Any) -> None:
        """Say nothing."""
