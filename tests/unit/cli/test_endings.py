"""How a command ends where somebody does not answer, does not read, or has gone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from devcluster.cli.ending import run_to_the_end
from devcluster.cli.options import Options, common, pass_options
from devcluster.cli.show.printer import Printer
from devcluster.errors import BUG, INTERRUPTED, FailedError

_ROOT = str(Path(__file__).resolve().parents[3])
_KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
contexts: [{{name: silent, context: {{cluster: c, user: u}}}}]
users: [{{name: u, user: {{}}}}]
current-context: silent
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "devcluster.yaml").write_text("name: shop\nnamespace: wp\nworkloads: {web: {}}\n")
    return tmp_path


@pytest.fixture
def silent(folder: Path) -> Iterator[socket.socket]:
    """An API server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        (folder / "kubeconfig").write_text(_KUBECONFIG.format(port=server.getsockname()[1]))
        yield server


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    environ = os.environ | {"PYTHONPATH": _ROOT, "NO_COLOR": "1", "KUBECONFIG": str(folder / "kubeconfig")}
    command = [sys.executable, "-m", "devcluster", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=environ, stdout=pipe, stderr=pipe, text=True)


def run(folder: Path, *words: str) -> tuple[int, str, str]:
    with start(folder, *words) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_a_silent_cluster_is_waited_for_as_long_as_is_said(folder: Path, silent: socket.socket) -> None:
    began = time.monotonic()
    code, out, _ = run(folder, "list", "--timeout", "1", "-o", "json")
    assert (code, json.loads(out)["error"]["exit_code"]) == (4, 4)
    assert time.monotonic() - began < 30  # it waits for 60 by itself


def test_an_interrupt_does_not_wait_for_a_silent_cluster(folder: Path, silent: socket.socket) -> None:
    with start(folder, "list") as process:
        connection, _ = silent.accept()
        with connection:
            connection.recv(1)
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == INTERRUPTED
            assert time.monotonic() - began < 20


def test_nobody_reads(folder: Path) -> None:
    with start(folder, "config", "--schema") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def by_shell(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", text],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": _ROOT},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_a_stream_is_closed(folder: Path, closed: str) -> None:
    done = by_shell(folder, f'"{sys.executable}" -m devcluster config {closed}')
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("name: shop") == closed.startswith(("2", "<"))


def test_the_working_directory_has_gone(folder: Path) -> None:
    done = by_shell(folder, f'mkdir gone; cd gone; rmdir ../gone; exec "{sys.executable}" -m devcluster plan')
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        "error: the working directory no longer exists",
    )


def ending(
    end: BaseException | int,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...] = (),
    *,
    first: dict[str, Any] | None = None,
    streams: bool = False,
) -> int:
    """The code of a command that prints *first*, if anything, and then ends so."""

    @click.command()
    @common
    @pass_options
    def command(options: Options) -> int:
        options.streams = streams
        if first is not None:
            Printer(options).outcomes(first)
        if isinstance(end, BaseException):
            raise end
        return end

    monkeypatch.setattr(sys, "argv", ["devcluster", *words])
    monkeypatch.setattr("os._exit", sys.exit)
    with pytest.raises(SystemExit) as caught:
        run_to_the_end(command)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_who_is_to_blame(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert ending(BaseExceptionGroup("several", [BrokenPipeError(32, "gone")]), monkeypatch) == 0
    mixed = BaseExceptionGroup("several", [BrokenPipeError(32, "gone"), ValueError()])
    assert ending(mixed, monkeypatch) == BUG
    assert ending(KeyboardInterrupt(), monkeypatch) == INTERRUPTED
    assert ending(EOFError(), monkeypatch) == BUG


def documents(printed: str) -> list[dict[str, Any]]:
    found, rest = [], printed.strip()
    while rest:
        value, end = json.JSONDecoder().raw_decode(rest)
        found.append(value)
        rest = rest[end:].strip()
    return found


@pytest.mark.parametrize("later", [FailedError("it ended with 3"), KeyboardInterrupt(), ValueError("hush")])
def test_there_is_one_document(
    later: BaseException, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A foreground `up` has told what it attached when that fails, an hour later."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    code = ending(later, monkeypatch, ("-o", "json"), first={"workloads": []})
    told = capsys.readouterr()
    assert documents(told.out) == [{"workloads": []}]
    assert code == {FailedError: 1, KeyboardInterrupt: INTERRUPTED, ValueError: BUG}[type(later)]
    assert ("it ended with 3" in told.err) == (code == 1)


def test_an_interrupt_is_a_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ending(KeyboardInterrupt(), monkeypatch, ("-o", "json")) == INTERRUPTED
    (document,) = documents(capsys.readouterr().out)
    assert document["error"]["exit_code"] == INTERRUPTED
    assert ending(INTERRUPTED, monkeypatch, ("-o", "json")) == INTERRUPTED
    assert len(documents(capsys.readouterr().out)) == 1
    assert ending(KeyboardInterrupt(), monkeypatch) == INTERRUPTED
    assert ending(KeyboardInterrupt(), monkeypatch, ("-o", "json"), streams=True) == INTERRUPTED
    assert capsys.readouterr().out == ""


def test_a_bug_is_one_where_its_trace_can_not_be_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert ending(ValueError("hush"), monkeypatch) == BUG
    said = capsys.readouterr().err
    assert "a bug in devcluster: ValueError" in said
    assert "hush" not in said


def test_a_full_disk_is_no_bug(folder: Path) -> None:
    command = [sys.executable, "-m", "devcluster", "config"]
    environ = os.environ | {"PYTHONPATH": _ROOT, "NO_COLOR": "1"}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, cwd=folder, env=environ, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "error: the disk is full")
