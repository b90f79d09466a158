"""A kubeconfig that is broken: exit code 4, which entry it is, and nothing of a value."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster.edge.kube.credentials import Access
from devcluster.errors import ClusterError

_GARBAGE = base64.b64encode(b"planted, and no certificate").decode()


def config(
    cluster: dict[str, Any] | None = None,
    user: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
) -> str:
    whole = {"server": "https://127.0.0.1:1"} | (cluster or {})
    return yaml.safe_dump(
        {
            "current-context": "a",
            "clusters": [{"name": "c", "cluster": {k: v for k, v in whole.items() if v is not None}}],
            "users": [{"name": "u", "user": {"token": "planted"} if user is None else user}],
            "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"} | (context or {})}],
        }
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"\xff\xfe planted", ("can't be read", "not UTF-8", "0xff")),
        ("- planted\n", ("is not a kubeconfig", "found a list")),
        ("planted\n", ("is not a kubeconfig", "found a text")),
        ("", ("is not a kubeconfig", "found nothing")),
        ("a: [planted\n", ("can't be read", "not YAML, in line")),
        ("contexts: planted\ncurrent-context: a\n", ("`contexts` is not a list", "`context`")),
        ("users: [{user: {token: planted}}]\n", ("`users` is not a list", "`name`")),
        ("clusters: []\n", ("no usable context (no current one is set)", "it has: none")),
        (config().replace("current-context: a", "current-context: b"), ("context b", "it has: a")),
        (
            config(context={"cluster": "gone"}),
            ("context a is not usable", "the cluster gone, but `clusters` has no such entry", "it has: c"),
        ),
        (
            config(context={"user": "gone"}),
            ("context a is not usable", "the user gone, but `users` has no such entry", "it has: u"),
        ),
        (config(context={"cluster": ["planted"]}), ("context a is not usable", "`cluster` is not a name")),
        (config(context={"user": {"planted": 1}}), ("context a is not usable", "`user` is not a name")),
        ("users: [{name: [planted]}]\n", ("`users` is not a list", "`name`")),
        (config(cluster={"server": None}), ("cluster c", "`server` is not an http:// or https:// address")),
        (config(cluster={"server": "https://planted:abc"}), ("cluster c", "`server`")),
        (
            config(cluster={"certificate-authority-data": "x"}),
            ("cluster c", "`certificate-authority-data`", "base64"),
        ),
        (config(cluster={"certificate-authority-data": _GARBAGE}), ("CA certificate", "can't be used")),
        (
            config(cluster={"certificate-authority": "/nonexistent/ca"}),
            ("cluster c is not usable", "`certificate-authority`: /nonexistent/ca does not exist"),
        ),
        (config(user={"client-certificate": "gone"}), ("user u is not usable", "/gone does not exist")),
        (
            config(user={"client-certificate-data": _GARBAGE, "client-key-data": _GARBAGE}),
            ("user's certificate and key", "can't be used"),
        ),
        (config(user={"tokenFile": "/nonexistent/token"}), ("context a", "/nonexistent/token: No such file")),
        (config(user={"exec": "planted"}), ("context a is not usable",)),
        (
            config(user={"auth-provider": {"name": "oidc", "config": {"client-secret": "planted"}}}),
            ("context a is not usable",),
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str | bytes, says: tuple[str, ...]) -> None:
    path = tmp_path / "kubeconfig"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ClusterError) as caught:
        Access(str(path), None)
    told = f"{caught.value.message}\n{caught.value.hint}"
    assert caught.value.exit_code == 4
    for part in says:
        assert part in told
    assert "planted" not in told


def test_a_token_from_a_file_ends_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc\n")
    (tmp_path / "kubeconfig").write_text(config(user={"tokenFile": "token"}))
    access = Access(str(tmp_path / "kubeconfig"), None)
    assert access.headers() == {"Authorization": "Bearer abc"}
    (tmp_path / "kubeconfig").write_text(config(user={"token": "planted\nplanted"}))
    with pytest.raises(ClusterError, match="no HTTP header") as caught:
        Access(str(tmp_path / "kubeconfig"), None).headers()
    assert "planted" not in str(caught.value)
