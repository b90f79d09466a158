"""The host process itself: it ends when it is told to, at once, and never runs beside another one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from devcluster.deadline import Deadline
from devcluster.run.host.lock import lock
from devcluster.run.host.process import TAKEN
from devcluster.run.host.socket import AbsentError, Json, ask, serve
from devcluster.run.place import Place, place_of
from devcluster.run.report import Report, silent

_GUARD = 20.0  # below the patience of a host process that nobody asks
_KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: nowhere, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: nobody, user: {token: none}}]
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
current-context: nowhere
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    (tmp_path / "kubeconfig").write_text(_KUBECONFIG)
    (tmp_path / "devcluster.yaml").write_text("name: shop\nworkloads:\n  web: {}\n")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parent.parent.parent))
    return place_of("nowhere", "default", "shop", os.environ)


def _start(place: Place, code: str = "hosting.main()") -> subprocess.Popen[bytes]:
    program = f"from devcluster.run.host import process as hosting\n{code}"
    words = (place.context, place.namespace, place.name)
    return subprocess.Popen([sys.executable, "-c", program, *words], stdin=subprocess.DEVNULL)


async def _until_it_answers(place: Place) -> None:
    async with asyncio.timeout(_GUARD):
        while True:
            try:
                await ask(place.socket, {"do": "ping"}, silent, Deadline.after(60))
            except AbsentError:
                await asyncio.sleep(0.05)
            else:
                return


async def test_the_first_request_may_be_the_last(place: Place) -> None:
    """And where there is nothing to do it is over before anybody sees that it began."""
    process = _start(place)
    await _until_it_answers(place)
    async with asyncio.timeout(_GUARD):
        await ask(place.socket, {"do": "down", "only": [], "volumes": False}, silent, Deadline.after(60))
    assert not _alive(process.pid)
    assert process.wait(_GUARD) == 0


async def test_one_that_nobody_asked_ends_by_a_signal(place: Place) -> None:
    process = _start(place)
    await _until_it_answers(place)
    process.terminate()
    assert process.wait(_GUARD) == 0


async def test_a_thread_that_hangs_does_not_hold_it(place: Place) -> None:
    code = "import threading\nthreading.Thread(target=threading.Event().wait).start()\nhosting.main()"
    process = _start(place, code)
    await _until_it_answers(place)
    process.terminate()
    assert process.wait(_GUARD) == 0


async def test_a_second_one_says_so(place: Place) -> None:
    """Whoever started it asks the first one then."""
    await lock(place.socket, patience=1)
    process = _start(place, "hosting._FORMER = 0.1\nhosting.main()")
    assert process.wait(_GUARD) == TAKEN


async def test_up_is_interrupted_before_its_host_process_answers(place: Place, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "devcluster", "up", "-d"]
    process = await asyncio.create_subprocess_exec(*words, cwd=tmp_path, stderr=subprocess.PIPE)
    async with asyncio.timeout(_GUARD):
        while not (hosts := _children(process.pid)):
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = await process.communicate()
    assert process.returncode == 130, said
    assert [number for number in hosts if _alive(number)] == []


def _alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _children(parent: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


async def test_two_begin_at_once(place: Place, tmp_path: Path) -> None:
    """Nobody answered the second one yet, and then the first one does: it gets the plan."""
    await lock(place.socket, patience=1)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "devcluster", "up"), cwd=tmp_path, stderr=subprocess.PIPE
    )
    asked: list[str] = []

    async def answer(request: Json, report: Report) -> Json:
        asked.append(request["do"])
        return {"workloads": [], "notes": []}

    async with asyncio.timeout(_GUARD):
        while str(place.socket.with_suffix(".lock")) not in _open_files(process.pid):
            assert process.returncode is None, await process.communicate()
            await asyncio.sleep(0.02)
        async with serve(place.socket, answer):
            _, said = await process.communicate()
    assert process.returncode == 0, said
    assert asked == ["ping", "apply"]


def _open_files(number: int) -> list[str]:
    found: list[str] = []
    with contextlib.suppress(FileNotFoundError):  # a file that was closed meanwhile, or the process has ended
        for one in Path(f"/proc/{number}/fd").iterdir():
            found.append(str(one.readlink()))
    return found
