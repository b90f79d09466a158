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
from devcluster.edge.kube.paths import path_of

WHERE = path_of("deployment", "shop", "web")


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

            do_PATCH = do_POST = do_GET  # noqa: N815 - http.server's names

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


FORBIDDEN: Answer = (403, {}, b'{"message": "whatever it says"}')


@pytest.mark.parametrize(
    ("review", "kind", "text"),
    [
        (
            (201, {}, b'{"status": {"allowed": false}}'),
            ForbiddenError,
            "cannot patch deployments in namespace",
        ),
        ((403, {}, b""), ForbiddenError, "cannot patch deployments in namespace"),
        (
            (201, {}, b'{"status": {"allowed": true}}'),
            StatusError,
            "cannot patch deployments/web in .*: whatev",
        ),
    ],
)
async def test_a_write_is_refused_for_want_of_a_right_or_by_a_policy(
    serve: Callable[..., list[str]], review: Answer, kind: type[Exception], text: str
) -> None:
    """Their words are not read: where the right is there it was something else."""
    asked = serve(FORBIDDEN, review)
    async with open_cluster() as cluster:
        with pytest.raises(kind, match=text) as caught:
            await cluster.patch("deployment", "web", "shop", {})
    assert asked == ["PATCH", "POST"]
    assert ("devcluster role" in getattr(caught.value, "hint", "")) == (kind is ForbiddenError)


async def test_a_read_is_refused_for_want_of_a_right(serve: Callable[..., list[str]]) -> None:
    asked = serve(FORBIDDEN)
    async with open_cluster() as cluster:
        with pytest.raises(ForbiddenError, match=r"^cannot get deployments in namespace shop$"):
            await cluster.get("deployment", "web", "shop")
    assert asked == ["GET"]


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
