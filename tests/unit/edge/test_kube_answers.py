"""What the API server's answers become: the refusal by its cause, the busy server by another try."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster.edge.kube.answer import ForbiddenError, StatusError, UnreachableError, refusal
from devcluster.edge.kube.cluster import open_cluster
from devcluster.edge.kube.paths import place

WHERE = place("deployment", "shop", "web")
BY_RIGHTS = (
    'deployments.apps "web" is forbidden: User "ann" cannot patch resource "deployments" in API group "apps" '
    'in the namespace "shop"',
    'deployments.apps "web" is forbidden: User "ann" cannot patch resource "deployments" in API group "apps" '
    'in the namespace "shop": requires one of ["container.deployments.update"] permission(s).',
    "Forbidden",  # a proxy's
)
BY_POLICY = (
    'admission webhook "validation.gatekeeper.sh" denied the request: [no-latest] container web',
    "deployments 'web' is forbidden: ValidatingAdmissionPolicy 'size' with binding 'all' denied request: no",
    'secrets "x" is forbidden: unable to create new content in namespace shop because it is being terminated',
    'secrets "x" is forbidden: exceeded quota: few, requested: secrets=1, used: secrets=1, limited: 1',
    'pods "web" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true',
)


def refused(text: str, status: int = 403) -> Any:
    return refusal(status, json.dumps({"message": text}).encode(), "patch", WHERE, "https://server")


@pytest.mark.parametrize("text", BY_RIGHTS)
def test_a_missing_right_is_one(text: str) -> None:
    error = refused(text)
    assert isinstance(error, ForbiddenError)
    assert error.message == "cannot patch deployments in namespace shop"
    assert "devcluster role" in error.hint


@pytest.mark.parametrize("text", BY_POLICY)
def test_what_a_policy_refuses_is_told_in_its_words(text: str) -> None:
    """More rights would not help, so nobody is sent to ask for them."""
    error = refused(text)
    assert isinstance(error, StatusError)
    assert error.message == f"cannot patch deployments/web in namespace shop: {text}"
    assert "devcluster role" not in error.hint


@pytest.mark.parametrize("data", [b"<html>", b"null", b"[]", b""])
def test_a_refusal_without_a_status_object(data: bytes) -> None:
    assert isinstance(refusal(500, data, "patch", WHERE, "https://server"), StatusError)


Answer = tuple[int, dict[str, str], bytes]
LIST: Answer = (200, {}, json.dumps({"metadata": {"resourceVersion": "1"}, "items": []}).encode())


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    """A server that gives these answers in turn; what it was asked."""
    servers = []

    def start(*answers: Answer) -> list[str]:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, headers, body = answers[min(len(asked), len(answers) - 1)]
                asked.append(self.command)
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(status)
                for name, value in (headers | {"Content-Length": str(len(body))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_PATCH = do_GET  # noqa: N815 - http.server's names

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        named = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
        config = {
            "current-context": "c",
            "clusters": [named],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {}}],
        }
        (tmp_path / "config").write_text(yaml.safe_dump(config))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        return asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


BUSY: Answer = (429, {"Retry-After": "0"}, b'{"message": "too many requests"}')


async def test_a_busy_server_is_asked_again_when_it_says(serve: Callable[..., list[str]]) -> None:
    asked = serve(BUSY, (503, {"Retry-After": "0"}, b""), LIST)
    async with open_cluster() as cluster:
        assert (await cluster.list("pod", "shop")).items == ()
        assert len(asked) == 3


async def test_a_write_too(serve: Callable[..., list[str]]) -> None:
    asked = serve(BUSY, (200, {}, b"{}"))
    async with open_cluster() as cluster:
        await cluster.patch("secret", "x", "shop", {})
    assert asked == ["PATCH", "PATCH"]


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "3600"}, {"Retry-After": "tomorrow"}])
async def test_but_not_for_hours(serve: Callable[..., list[str]], headers: dict[str, str]) -> None:
    serve((429, headers, b'{"message": "too many requests"}'))
    async with open_cluster() as cluster:
        with pytest.raises(StatusError, match=r"cannot list pods in namespace shop: too many .*429"):
            await cluster.list("pod", "shop")


async def test_a_login_page_is_no_api_server(serve: Callable[..., list[str]]) -> None:
    serve((200, {}, b"<html>log in</html>"))
    async with open_cluster() as cluster:
        for question in (cluster.list("pod", "shop"), cluster.ping()):
            with pytest.raises(UnreachableError, match="not a Kubernetes API server"):
                await question


def test_a_refusal_keeps_the_apis_reason() -> None:
    data = (
        b'{"kind": "Status", "reason": "BadRequest", "message": "webhook \\"x\\" does not support dry run"}'
    )
    found = refusal(400, data, "patch", WHERE, "https://server")
    assert isinstance(found, StatusError)
    assert (found.status, found.reason) == (400, "BadRequest")
