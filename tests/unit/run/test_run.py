"""`devcluster run`: what it attaches, and how its command is run."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from devcluster.config.model import Mount, Project, Publish, Target, Workload
from devcluster.errors import ConfigurationError
from devcluster.run.commands import run as module
from devcluster.run.commands.run import Command, project_of

PORT = Publish(80, 80)
FILE = Project(
    "shop",
    Path("/shop/devcluster.yaml"),
    workloads=(
        Workload(
            "web", Target("front", "deployment"), image="a", ports=(Publish(80, 80),), port_map=((80, 1),)
        ),
        Workload("api", Target("api"), mounts=(Mount("/a", "/b"),)),
    ),
)


def test_without_a_file_the_target_is_all() -> None:
    project, key = project_of(None, Command("deployment/hello.x/app", ("true",)))
    assert (project.name, key) == ("hellox", "hello.x")
    assert project.workloads == (
        Workload("hello.x", Target("hello.x", "deployment", "app"), "intercept", "host", commanded=True),
    )


@pytest.mark.parametrize("word", ["web", "front", "deployment/front"])
def test_the_files_settings_count_but_for_a_containers(word: str) -> None:
    project, key = project_of(FILE, Command(word, ("true",)))
    assert (project.name, key, len(project.workloads)) == ("shop", "web", 2)
    web = project.workloads[0]
    assert (web.run, web.mode, web.port_map, web.commanded) == ("host", "replace", ((80, 1),), True)
    assert (web.image, web.ports) == (None, None)
    api, _ = project_of(FILE, Command("api", ("true",), "ingest"))
    assert (api.workloads[1].mode, api.workloads[1].mounts) == ("ingest", ())


def test_what_the_file_does_not_have_is_added() -> None:
    project, key = project_of(FILE, Command("statefulset/front", ("true",)))
    assert key == "front"
    assert project.workloads[:2] == FILE.workloads
    assert project.workloads[2].mode == "intercept"


def test_what_can_not_be() -> None:
    with pytest.raises(ConfigurationError, match="'a b' is not a workload"):
        project_of(None, Command("a b", ("true",)))
    direct = replace(FILE, workloads=(Workload("web", Target("web"), take="direct"),))
    with pytest.raises(ConfigurationError, match="needs an original that is stopped"):
        project_of(direct, Command("web", ("true",), "intercept"))


@pytest.mark.parametrize(
    ("script", "code"),
    [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 128 + 9)],
)
async def test_the_exit_code_is_the_commands(script: str, code: int) -> None:
    assert await _run(script) == code


async def _run(script: str) -> int:
    with module._received() as signals:
        return await module._run((sys.executable, "-c", script), os.environ, signals)


async def test_what_can_not_be_run_is_the_command_lines_fault(tmp_path: Path) -> None:
    file = tmp_path / "nothing"
    file.write_bytes(b"\0")
    file.chmod(0o700)
    fault = pytest.raises(ConfigurationError, match=f"{file} can't be started: Exec format error")
    with module._received() as signals, fault:
        await module._run((str(file),), os.environ, signals)


def test_what_is_no_program_is_told_before_anything_changes(tmp_path: Path) -> None:
    script = tmp_path / "start"
    script.touch()
    with pytest.raises(ConfigurationError, match=f"{script} is not a program"):
        module._check_program(str(script), os.defpath)
    with pytest.raises(ConfigurationError, match="there is no command start on this laptop's PATH"):
        module._check_program("start", str(tmp_path))
    script.chmod(0o700)
    module._check_program("start", str(tmp_path))


async def test_a_signal_before_the_start_is_its_end(tmp_path: Path) -> None:
    with module._received() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(30):
            while signals.empty():
                await asyncio.sleep(0.01)
        assert await module._run(("touch", str(tmp_path / "begun")), os.environ, signals) == 128 + 15
    assert not (tmp_path / "begun").exists()


async def test_signals_are_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal sends its own to the command as well: then they are not sent twice."""
    script = f"""
import pathlib, signal, sys
seen = []
def note(number, _):
    seen.append(number)
    pathlib.Path({str(tmp_path)!r}, str(number)).touch()
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, note)
pathlib.Path({str(tmp_path / "up")!r}).touch()
while len(seen) < 2:
    signal.pause()
print(seen)
sys.exit(seen == [signal.SIGTERM, signal.SIGINT])
"""
    monkeypatch.setattr(module, "_is_typed", lambda: False)
    running = asyncio.create_task(_run(script))
    async with asyncio.timeout(30):
        await _until_there(tmp_path / "up")
        os.kill(os.getpid(), signal.SIGTERM)
        await _until_there(tmp_path / "15")  # two that wait at once come in the order of their numbers
        os.kill(os.getpid(), signal.SIGINT)
        assert await running == 1


async def _until_there(file: Path) -> None:
    while not file.exists():
        await asyncio.sleep(0.02)


def test_a_key_of_the_terminal_reaches_the_command_once() -> None:
    """Both are in the terminal's foreground: what is typed needs no help."""
    count = """
import signal, sys, time
seen = []
signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
print("up", flush=True)
end = time.monotonic() + 10
while not seen and time.monotonic() < end:
    time.sleep(0.01)
time.sleep(0.3)
sys.exit(len(seen))
"""
    script = f"""
import asyncio, fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from devcluster.run.commands.run import _received, _run

async def main():
    with _received() as signals:
        return await _run((sys.executable, "-c", {count!r}), os.environ, signals)

sys.exit(asyncio.run(main()))
"""
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    ) as process:
        os.close(slave)
        while b"up" not in os.read(master, 1024):
            pass
        os.write(master, b"\x03")
        assert process.wait(30) == 1
    os.close(master)
