"""What an image says, asked of a registry: with a token, behind a redirect, for one of several machines."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from devcluster.edge.registry import read_image
from devcluster.errors import ConfigurationError

_OCI = "application/vnd.oci.image"


class Server(ThreadingHTTPServer):
    """A registry that wants a token, or *basic*; its blobs lie on another one.  ``seen``: who showed what."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.files: dict[str, bytes] = {}
        self.seen: list[tuple[str, str]] = []
        self.elsewhere = ""
        self.kind = "bearer"
        self.wants = "Bearer t0ken"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def put(self, value: Any) -> str:
        content = json.dumps(value).encode()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.files[digest] = content
        return digest


class _Answer(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        shown = self.headers.get("Authorization", "")
        self.server.seen.append((self.path, shown))
        name = self.path.rpartition("/")[2]
        if self.path.startswith("/token?"):
            return self._say(200, json.dumps({"token": "t0ken"}).encode())
        if self.path.startswith("/elsewhere/"):
            return self._say(200, self.server.files[name])
        if shown != self.server.wants:
            realm = f'Bearer realm="{self.server.url}/token",service="reg"'
            challenge = realm if self.server.kind == "bearer" else 'Basic realm="reg"'
            return self._say(401, b"", **{"WWW-Authenticate": challenge})
        if name not in self.server.files:
            return self._say(404, b"")
        if self.server.elsewhere and "/blobs/" in self.path:
            return self._say(307, b"", Location=f"{self.server.elsewhere}/elsewhere/{name}")
        return self._say(200, self.server.files[name])

    def _say(self, code: int, content: bytes, **headers: str) -> None:
        self.send_response(code)
        for key, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Server]]:
    """A registry with shop/web for two machines, and where its blobs are."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    registry, elsewhere = Server(), Server()
    config = {"architecture": "amd64", "config": {"Entrypoint": ["/app"], "Cmd": ["serve"]}}
    blob = elsewhere.put(config)
    registry.put(config)
    manifest = registry.put({"config": {"digest": blob}})
    other = registry.put({"config": {"digest": "sha256:none"}})
    machines = [{"digest": other, "platform": {"os": "linux", "architecture": "arm64"}}]
    machines += [{"digest": manifest, "platform": {"os": "linux", "architecture": "amd64"}}]
    registry.files["1"] = registry.files[registry.put({"mediaType": f"{_OCI}.index", "manifests": machines})]
    registry.files["plain"] = registry.files[manifest]
    registry.elsewhere = elsewhere.url
    for server in (registry, elsewhere):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield registry, elsewhere
    for server in (registry, elsewhere):
        server.shutdown()
        server.server_close()


def _name(registry: Server, tag: str = "1") -> str:
    return f"127.0.0.1:{registry.server_address[1]}/shop/web:{tag}"


async def test_a_token_is_shown_to_the_registry_alone(servers: tuple[Server, Server]) -> None:
    registry, elsewhere = servers
    facts = await read_image(_name(registry))
    assert (facts.entrypoint, facts.command, facts.architecture) == (("/app",), ("serve",), "")
    assert ("/token?service=reg&scope=repository%3Ashop%2Fweb%3Apull", "") in registry.seen
    assert [shown for _, shown in elsewhere.seen] == [""]
    assert (await read_image(_name(registry, "plain"))).architecture == "amd64"


async def test_dockers_own_credentials_are_used(servers: tuple[Server, Server], tmp_path: Path) -> None:
    registry, _ = servers
    secret = base64.b64encode(b"ann:s3cret").decode()
    registry.kind, registry.wants = "basic", f"Basic {secret}"
    with pytest.raises(ConfigurationError, match="401"):
        await read_image(_name(registry))
    host = f"127.0.0.1:{registry.server_address[1]}"
    (tmp_path / "config.json").write_text(json.dumps({"auths": {host: {"auth": secret}}}))
    assert (await read_image(_name(registry))).command == ("serve",)


async def test_a_helper_gives_them(
    servers: tuple[Server, Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, _ = servers
    registry.kind, registry.wants = "basic", f"Basic {base64.b64encode(b'ann:s3cret').decode()}"
    helper = tmp_path / "docker-credential-planted"
    helper.write_text('#!/bin/sh\necho "{\\"Username\\":\\"ann\\",\\"Secret\\":\\"s3cret\\"}"\n')
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "config.json").write_text('{"credsStore": "planted"}')
    assert (await read_image(_name(registry))).command == ("serve",)


async def test_what_can_not_be_told_is_said_without_a_secret(servers: tuple[Server, Server]) -> None:
    registry, elsewhere = servers
    with pytest.raises(ConfigurationError, match=r"does not say what image .*:absent is: HTTP Error 404"):
        await read_image(_name(registry, "absent"))
    (blob,) = elsewhere.files
    elsewhere.files[blob] = b'{"config": {"Cmd": ["planted"]}}'
    with pytest.raises(ConfigurationError, match="its answer can't be read"):
        await read_image(_name(registry))
    registry.server_close()
