"""What the host process refuses arrives as it was: the message, the way on, the exit code."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from devcluster.edge.kube.answer import ForbiddenError, StatusError, UnreachableError
from devcluster.errors import ConfigurationError, DevclusterError, EngineError, LeftoverError
from devcluster.run.report import Report, silent
from devcluster.run.socket import AbsentError, Json, ask, serve


async def _refused(folder: Path, error: Exception) -> DevclusterError:
    async def answer(request: Json, report: Report) -> Json:
        raise error

    async with serve(folder / "session.sock", answer):
        with pytest.raises(DevclusterError) as caught:
            await ask(folder / "session.sock", {"do": "apply"}, silent)
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


async def test_nobody_is_there(tmp_path: Path) -> None:
    with pytest.raises(AbsentError):
        await ask(tmp_path / "session.sock", {"do": "ping"}, silent)
