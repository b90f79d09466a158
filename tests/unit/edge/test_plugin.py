"""Whom an exec plugin may ask, and what it reads: `kubectl`'s own rules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from devcluster.edge.kube.plugin import PluginError, run_plugin

_VERSION = "client.authentication.k8s.io/v1"
_ROOT = str(Path(__file__).resolve().parents[3])
_ASK = """
import json, sys
from devcluster.edge.kube.plugin import run_plugin
print(json.dumps(run_plugin(json.loads(sys.argv[1]), "", {"server": "https://one"})))
if not sys.stdin.isatty():
    print(repr(sys.stdin.readline()))
"""


def plugin(folder: Path, script: str, **more: Any) -> dict[str, Any]:
    path = folder / "login"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return {"apiVersion": _VERSION, "command": str(path), **more}


def telling(folder: Path, **more: Any) -> dict[str, Any]:
    """One that reads a line, and answers as a token what it read and what it was told."""
    answer = f'{{"apiVersion": "{_VERSION}", "kind": "ExecCredential", "status": {{"token": "%s"}}}}'
    script = (
        f"read -r line\nprintf '%s' \"$KUBERNETES_EXEC_INFO\" >{folder}/told\nprintf '{answer}' \"$line\""
    )
    return plugin(folder, script, **more)


def ask(config: dict[str, Any], **streams: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _ASK, json.dumps(config)]
    settings: dict[str, Any] = {"stderr": subprocess.PIPE} | streams
    environ = os.environ | {"PYTHONPATH": _ROOT}
    return subprocess.run(
        command, env=environ, stdout=subprocess.PIPE, text=True, timeout=60, check=False, **settings
    )


def told(folder: Path) -> Any:
    return json.loads((folder / "told").read_text())["spec"]


@pytest.mark.parametrize("mode", [None, "IfAvailable", "Never"])
def test_what_is_piped_in_is_not_the_plugins(tmp_path: Path, mode: str | None) -> None:
    more = {"interactiveMode": mode} if mode else {}
    done = ask(telling(tmp_path, **more), input="first\n")
    assert done.stdout.splitlines() == ['{"token": ""}', "'first\\n'"]
    assert told(tmp_path) == {"interactive": False}


@pytest.mark.parametrize(("mode", "asked"), [("IfAvailable", True), ("Always", True), ("Never", False)])
def test_at_a_terminal_it_may_ask(tmp_path: Path, mode: str, asked: bool) -> None:
    person, terminal = os.openpty()
    try:
        os.write(person, b"secret\n")
        done = ask(telling(tmp_path, interactiveMode=mode), stdin=terminal, stderr=terminal)
        first = json.loads(done.stdout.splitlines()[0])
        assert first == {"token": "secret" if asked else ""}
        assert told(tmp_path) == {"interactive": asked}
        ask(telling(tmp_path, interactiveMode="IfAvailable"), stdin=terminal, stderr=subprocess.PIPE)
        assert told(tmp_path) == {"interactive": False}  # nobody would read the question
    finally:
        os.close(person)
        os.close(terminal)


def test_one_that_must_ask_is_not_started_where_nobody_is(tmp_path: Path) -> None:
    done = ask(telling(tmp_path, interactiveMode="Always"), input="first\n")
    assert "interactiveMode: Always" in done.stderr
    assert "not a terminal" in done.stderr
    assert not (tmp_path / "told").exists()


def test_it_is_told_of_the_cluster_where_it_wants_to(tmp_path: Path) -> None:
    ask(telling(tmp_path, provideClusterInfo=True), input="")
    assert told(tmp_path) == {"interactive": False, "cluster": {"server": "https://one"}}


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo first >&2; echo 'your login has expired' >&2; exit 1", "your login has expired"),
        ("exit 3", "exit code 3"),
        ("echo planted", "not an ExecCredential"),
        ("echo null", "not an ExecCredential"),
        ('echo \'{"apiVersion": "v0", "status": {"token": "planted"}}\'', "it answered as v0"),
        (f'echo \'{{"apiVersion": "{_VERSION}", "status": "planted"}}\'', "no status"),
    ],
)
def test_what_went_wrong(tmp_path: Path, script: str, says: str) -> None:
    with pytest.raises(PluginError, match=says) as caught:
        run_plugin(plugin(tmp_path, script), "", {})
    assert "planted" not in str(caught.value)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"command": "/nonexistent/login"}, "malformed: 'apiVersion'"),
        ({"apiVersion": _VERSION, "command": "/nonexistent/login"}, "can't be run: No such file"),
        ({"apiVersion": _VERSION, "command": "x", "env": [{"name": "A"}]}, "malformed: 'value'"),
        ({"apiVersion": _VERSION, "command": "x", "interactiveMode": "always"}, "interactiveMode: expected"),
    ],
)
def test_an_entry_that_is_malformed(config: dict[str, Any], says: str) -> None:
    with pytest.raises(PluginError, match=says):
        run_plugin(config, "", {})
