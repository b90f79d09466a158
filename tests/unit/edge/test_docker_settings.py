"""Settings of Docker that lead nowhere: exit code 5, what was seen, what to do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from devcluster.edge.docker.engine import open_engine
from devcluster.errors import EngineError

Prepare = Callable[[Path], dict[str, str]]


def _current(folder: Path, name: str, meta: str = "") -> dict[str, str]:
    (folder / "config.json").write_text(json.dumps({"currentContext": name}))
    if meta:
        home = folder / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
        home.mkdir(parents=True)
        (home / "meta.json").write_text(meta)
    return {"DOCKER_CONFIG": str(folder)}


def _tls(folder: Path) -> dict[str, str]:
    return {"DOCKER_HOST": "tcp://127.0.0.1:1", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(folder)}


_CASES: dict[str, tuple[Prepare, tuple[str, ...]]] = {
    "a current context that has gone": (
        lambda folder: _current(folder, "gone"),
        ("there is no docker context gone (the current one)", "`docker context ls`"),
    ),
    "a context that is not there": (
        lambda folder: {"DOCKER_CONFIG": str(folder), "DOCKER_CONTEXT": "gone"},
        ("there is no docker context gone (DOCKER_CONTEXT)", "`docker context ls`"),
    ),
    "a context whose file is no JSON": (
        lambda folder: _current(folder, "torn", "{"),
        ("the docker context torn can't be read", "`docker context ls`"),
    ),
    "a context whose file says something else": (
        lambda folder: _current(folder, "other", "[1]"),
        ("the docker context other can't be read", "`docker context ls`"),
    ),
    "no certificates": (
        _tls,
        ("DOCKER_TLS_VERIFY is set, but there is no ", "ca.pem", "key.pem", "DOCKER_CERT_PATH"),
    ),
    "a port that is none": (
        lambda folder: {"DOCKER_HOST": "tcp://127.0.0.1:abc"},
        ("tcp://127.0.0.1:abc (DOCKER_HOST) can't be used", "not the address", "DOCKER_HOST"),
    ),
    "an address that is none": (
        lambda folder: {"DOCKER_HOST": "tcp://[::1"},
        ("tcp://[::1 (DOCKER_HOST) can't be used", "DOCKER_HOST"),
    ),
    "another word": (lambda folder: {"DOCKER_HOST": "docker"}, ("docker (DOCKER_HOST) can't be used",)),
}


@pytest.mark.parametrize("name", _CASES)
async def test_settings_that_lead_nowhere(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare, says = _CASES[name]
    for variable in (
        "DOCKER_HOST",
        "DOCKER_CONTEXT",
        "DOCKER_CONFIG",
        "DOCKER_TLS_VERIFY",
        "DOCKER_CERT_PATH",
    ):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in prepare(tmp_path).items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(EngineError) as caught:
        async with open_engine():
            pass
    told = f"{caught.value.message}\n{caught.value.hint}"
    assert caught.value.exit_code == 5
    for part in says:
        assert part in told
    assert caught.value.hint
