"""What the host process refuses arrives as it was: the message, the way on, the exit code."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from devcluster.deadline import Deadline
from devcluster.edge.kube.answer import ForbiddenError, StatusError, UnreachableError
from devcluster.errors import ConfigurationError, DevclusterError, EngineError, LeftoverError
from devcluster.run.host.lock import LockedError, lock, until_free
from devcluster.run.host.socket import AbsentError, BrokenOffError, EndedError, Json, ask, serve
from devcluster.run.report import Report, silent


async def _refused(folder: Path, error: Exception) -> DevclusterError:
    async def answer(request: Json, report: Report) -> Json:
        raise error

    async with serve(folder / "session.sock", answer):
        with pytest.raises(DevclusterError) as caught:
            await ask(folder / "session.sock", {"do": "apply"}, silent, Deadline.after(60))
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        ConfigurationError("no such workload", hint="did you mean web?"),
        ForbiddenError("cannot patch deployments in namespace shop", hint="`devcluster role`"),
        UnreachableError("nobody answers", hint="is it running?"),
        StatusError("cannot create", status=500),
        EngineError("the engine said no"),
    ],
)
async def test_a_refusal_keeps_its_exit_code(tmp_path: Path, error: DevclusterError) -> None:
    told = await _refused(tmp_path, error)
    assert (told.message, told.hint, told.exit_code) == (error.message, error.hint, error.exit_code)


async def test_a_bug_is_told_without_its_text_and_logged(tmp_path: Path) -> None:
    logged: list[BaseException] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context["exception"]))
    told = await _refused(tmp_path, KeyError("planted"))
    await asyncio.sleep(0)
    assert isinstance(told, LeftoverError)
    assert "a bug in devcluster's host process: KeyError" in told.message
    assert "planted" not in told.message + told.hint
    assert [type(error) for error in logged] == [KeyError]


async def test_who_asked_for_the_last_work_waits_for_the_process_to_end(tmp_path: Path) -> None:
    """A host process answers, goes on for a moment, and must have ended when `ask` returns."""
    path, done = tmp_path / "session.sock", tmp_path / "done"
    last = f"""
import asyncio, pathlib, time
from devcluster.run.host.lock import lock
from devcluster.run.host.socket import serve
async def main():
    asked = asyncio.Event()
    async def answer(request, report):
        asked.set()
        return {{}}
    await lock(pathlib.Path({str(path)!r}), patience=1)
    async with serve(pathlib.Path({str(path)!r}), answer, ends=lambda request: request["do"] == "down"):
        print("serving", flush=True)
        await asked.wait()
asyncio.run(main())
time.sleep(0.5)
pathlib.Path({str(done)!r}).touch()
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", last, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"serving\n"
    with pytest.raises(LockedError):
        await lock(path, patience=0.1)
    assert await ask(path, {"do": "down"}, silent, Deadline.after(60)) == {}
    assert done.exists()
    assert await process.wait() == 0
    await until_free(path, patience=1)


async def test_nobody_is_there(tmp_path: Path) -> None:
    with pytest.raises(AbsentError):
        await ask(tmp_path / "session.sock", {"do": "ping"}, silent, Deadline.after(60))


async def _broken_off(folder: Path, do: str) -> tuple[list[str], Json | None]:
    """What a handler did whose asker lost interest while it worked, and the answer."""
    did: list[str] = []
    stop = asyncio.Event()

    async def answer(request: Json, report: Report) -> Json:
        stop.set()
        try:
            for _ in range(10):  # until the asker's end has come in any case
                await ask(folder / "session.sock", {"do": "ping"}, silent, Deadline.after(60))
        finally:
            did.append("tidied")
        did.append("done")
        return {}

    async def either(request: Json, report: Report) -> Json:
        return {} if request["do"] == "ping" else await answer(request, report)

    async with serve(folder / "session.sock", either, may_break_off=lambda it: bool(it["do"] == "apply")):
        try:
            return did, await ask(folder / "session.sock", {"do": do}, silent, Deadline.after(60), stop=stop)
        except BrokenOffError:
            return did, None


async def test_what_is_broken_off_tidies_up_before_the_answer(tmp_path: Path) -> None:
    assert await _broken_off(tmp_path, "apply") == (["tidied"], None)


async def test_who_waits_gets_the_answer_also_when_the_server_ends(tmp_path: Path) -> None:
    ended, answered = asyncio.Event(), asyncio.Event()

    async def answer(request: Json, report: Report) -> Json:
        ended.set()
        await answered.wait()
        return {}

    async def asking() -> Json:
        return await ask(tmp_path / "session.sock", {"do": "apply"}, silent, Deadline.after(60))

    async with serve(tmp_path / "session.sock", answer):
        asked = asyncio.ensure_future(asking())
        await ended.wait()
        asyncio.get_running_loop().call_later(0.1, answered.set)
    asyncio.get_running_loop().call_soon(asked.cancel)  # as the process would end
    assert await asked == {}


async def test_what_must_go_on_goes_on(tmp_path: Path) -> None:
    assert await _broken_off(tmp_path, "down") == (["tidied", "done"], {})


async def test_an_answer_that_is_cut_off_is_an_end(tmp_path: Path) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b'{"ok": {"workl')
        writer.close()

    async with await asyncio.start_unix_server(cut, tmp_path / "session.sock"):
        with pytest.raises(EndedError):
            await ask(tmp_path / "session.sock", {"do": "status"}, silent, Deadline.after(60))


async def test_who_goes_before_asking_is_no_bug(tmp_path: Path) -> None:
    logged: list[Json] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))

    async def answer(request: Json, report: Report) -> Json:
        return {}

    async with serve(tmp_path / "session.sock", answer):
        _, writer = await asyncio.open_unix_connection(tmp_path / "session.sock")
        writer.close()
        assert await ask(tmp_path / "session.sock", {"do": "ping"}, silent, Deadline.after(60)) == {}
    assert logged == []
