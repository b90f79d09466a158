"""boot and the agent as PID 1 of a container FROM scratch: no shell, no libc, nothing but the application."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import docker
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from scripts.build_agent import build

APPLICATION = Path(__file__).parent / "apps" / "guarded"
CHUNK = 1_000_000
BOOT = "/.devcluster/bin/boot"
ODD = ["$HOME", "$(HOME)", "it's", '"quoted"', "two\nlines", "", "  ", "ünï", "\\n"]


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    out: str
    err: str


class Runner:
    """Runs the application below the agent and tells how that ended."""

    def __init__(self, client: Any, image: str) -> None:
        self.client, self.image = client, image
        self.running: list[Any] = []

    def start(self, *words: str, boot: tuple[str, ...] = (), **options: Any) -> Any:
        command = [*boot, "guard", "--", "/app", *words]
        container = self.client.containers.run(self.image, command, entrypoint=[BOOT], detach=True, **options)
        self.running.append(container)
        return container

    def end(self, container: Any) -> Ended:
        code = container.wait(timeout=60)["StatusCode"]
        out, err = (container.logs(stdout=o, stderr=not o).decode() for o in (True, False))
        return Ended(code, out, err)

    def run(self, *words: str, **options: Any) -> Ended:
        return self.end(self.start(*words, **options))


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    client = docker.from_env()
    folder = tmp_path_factory.mktemp("guard")
    build(folder / "binaries", ("amd64",))
    files = _files(folder)
    tag = f"devcluster-test-guard:{uuid.uuid4().hex[:8]}"
    client.images.build(fileobj=_context(files), custom_context=True, tag=tag, rm=True)
    runner = Runner(client, tag)
    yield runner
    for container in runner.running:
        container.remove(force=True)
    client.images.remove(tag, force=True)
    client.close()


def _files(folder: Path) -> dict[str, bytes]:
    environment = os.environ | {"CGO_ENABLED": "0"}
    subprocess.run(["go", "build", "-o", folder / "app", "."], cwd=APPLICATION, env=environment, check=True)
    binaries = folder / "binaries" / "amd64"
    agent = (binaries / "devcluster-agent").read_bytes()
    files = {"app": (folder / "app").read_bytes(), ".devcluster/bin/boot": (binaries / "boot").read_bytes()}
    for number, start in enumerate(range(0, len(agent), CHUNK)):
        files[f".devcluster/bin/a.{number:02d}"] = agent[start : start + CHUNK]
    settings = {"protocol": 1, "port": 9900, "stop_signal": "SIGWINCH", "grace_ms": 5000, "ports": []}
    files[".devcluster/etc/agent.json"] = json.dumps(settings).encode()
    files[".devcluster/etc/record.json"] = b'{"epoch": 0, "holder": null}'
    files[".devcluster/etc/agent.key"] = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    files[".devcluster/etc/laptop.pub"] = asyncssh.generate_private_key("ssh-ed25519").export_public_key()
    return files


def _context(files: dict[str, bytes]) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in {"Dockerfile": b"FROM scratch\nCOPY image /\n"}.items():
            _add(tar, name, content)
        for name, content in files.items():
            _add(tar, f"image/{name}", content)
    stream.seek(0)
    return stream


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o555
    tar.addfile(info, io.BytesIO(content))


def test_the_arguments_arrive_as_they_are(runner: Runner) -> None:
    ended = runner.run("say", *ODD)
    assert ended.code == 0, ended.err
    said = json.loads(ended.out)
    assert said["argv"] == ODD
    assert said["parent"] == 1
    assert said["pid"] != 1


@pytest.mark.parametrize(("words", "code"), [(("exit", "0"), 0), (("exit", "42"), 42), (("killed",), 137)])
def test_the_exit_code_is_the_applications(runner: Runner, words: tuple[str, ...], code: int) -> None:
    assert runner.run(*words).code == code


@pytest.mark.parametrize(("name", "text"), [("SIGTERM", "terminated"), ("SIGWINCH", "window changed")])
def test_a_signal_reaches_the_application(runner: Runner, name: str, text: str) -> None:
    container = runner.start("wait")
    deadline = time.monotonic() + 30
    while b"waiting" not in container.logs():
        assert time.monotonic() < deadline, "the application does not start"
        time.sleep(0.05)
    container.kill(name)
    ended = runner.end(container)
    assert (ended.code, ended.out) == (7, f"waiting\n{text}\n")


def test_orphans_are_reaped(runner: Runner) -> None:
    assert runner.run("parent").out == "0\n"


def test_another_user_and_a_read_only_root_make_no_difference(runner: Runner) -> None:
    ended = runner.run("say", "x", user="1001:1001", read_only=True, cap_drop=["ALL"])
    assert json.loads(ended.out)["argv"] == ["x"], ended.err


def test_the_agent_comes_by_a_volume_where_memory_cannot_be_executed(runner: Runner) -> None:
    options = {"read_only": True, "tmpfs": {"/.devcluster/run": "exec,size=64m,mode=1777"}}
    ended = runner.run("say", *ODD, boot=("--into=/.devcluster/run/agent",), **options)
    assert json.loads(ended.out)["argv"] == ODD, ended.err


def test_a_volume_that_may_not_be_executed_is_named(runner: Runner) -> None:
    options = {"tmpfs": {"/.devcluster/run": "noexec,size=64m,mode=1777"}}
    ended = runner.run("say", boot=("--into=/.devcluster/run/agent",), **options)
    assert (ended.code, ended.err) == (
        104,
        "devcluster boot: the agent can't be executed from its volume: is it mounted noexec?\n",
    )


def test_a_command_that_is_missing_ends_as_a_shell_says_it(runner: Runner) -> None:
    container = runner.client.containers.run(
        runner.image, ["guard", "--", "/nothing"], entrypoint=[BOOT], detach=True
    )
    runner.running.append(container)
    ended = runner.end(container)
    assert ended.code == 127
    assert "devcluster-agent: the application can't be started" in ended.err
