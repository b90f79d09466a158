"""The workload's own container: started, stopped as the pod would be, entered by ``exec``."""

from __future__ import annotations

import asyncio
import contextlib
import os
import posixpath
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from devcluster.edge.docker.call import Calls, EngineRefusedError, GoneError
from devcluster.edge.docker.containers import tell_absence, watch_container
from devcluster.edge.docker.gateway import remove_container
from devcluster.edge.docker.spec import workload_config
from devcluster.edge.docker.streams import STDERR, Attached, start_exec
from devcluster.errors import ConfigurationError, EngineError, FailedError
from devcluster.rules.container.docker_names import container_name
from devcluster.rules.container.local_container import ContainerSpec, VolumeBind

_SUBPATH = (1, 45)  # the API's version that knows VolumeOptions.Subpath
_START_INTERVAL = (1, 44)  # an older engine takes no notice of it


@dataclass(frozen=True, slots=True)
class ExecResult:
    code: int
    stdout: bytes
    stderr: bytes


async def run_workload(
    calls: Calls, project: str, key: str, netns_id: str, spec: ContainerSpec, digest: str
) -> str:
    """Make and start the workload's container, replacing an older one; return its id.

    The environment travels in the request's body, so it is in no file and in no process list.
    """
    name = container_name(project, key)
    if spec.health and spec.health.start_interval and calls.api_version < _START_INTERVAL:
        raise ConfigurationError(f"{key}: healthcheck.start_interval needs Docker 25", hint="leave it out")
    for mount in spec.mounts:
        if mount.kind == "bind" and not os.path.exists(mount.source):
            _make(Path(mount.source))
    config = workload_config(project, key, netns_id, await _placed(calls, spec), digest)
    try:
        return await _run(calls, name, config)
    except EngineRefusedError as error:
        if await tell_absence(calls, netns_id):
            raise
        refused = error
    if spec.runtime.init is None:  # not every engine has one
        config["HostConfig"]["Init"] = False
        with contextlib.suppress(EngineRefusedError):
            return await _run(calls, name, config)
    text = f"container {name} can't be started: {refused.explanation}"  # by what the file or the image says
    raise ConfigurationError(text) from refused


async def _run(calls: Calls, name: str, config: dict[str, Any]) -> str:
    """Its id; nothing of it is left where it does not start."""
    await remove_container(calls, name)
    try:
        created = await calls.make(
            f"create container {name}", calls.api.create_container_from_config, config, name
        )
        await calls.make(f"start container {name}", calls.api.start, created["Id"])
    except (asyncio.CancelledError, EngineRefusedError):  # nobody knows of it yet who could stop it
        await remove_container(calls, name)
        raise
    return str(created["Id"])


def _make(folder: Path) -> None:
    """As Compose does, but as the user and not as root."""
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise FailedError(
            f"can't create {folder}: {error.strerror}", hint="create it, or mount another"
        ) from error


async def _placed(calls: Calls, spec: ContainerSpec) -> ContainerSpec:
    """Engines before 26.0 can't mount one file of a volume, and silently ignore the request.  With these the
    file is bound from where the engine says that the volume lies."""
    if calls.api_version >= _SUBPATH:
        return spec
    binds = [await _bound(calls, bind) if bind.file else bind for bind in spec.volumes]
    return replace(spec, volumes=tuple(binds))


async def _bound(calls: Calls, bind: VolumeBind) -> VolumeBind:
    found = await calls.call(f"inspect volume {bind.source}", calls.api.inspect_volume, bind.source)
    return replace(bind, source=posixpath.join(found["Mountpoint"], bind.file), file="")


async def stop(calls: Calls, container: str, grace: float | None = None) -> None:
    """Send its stop signal, then SIGKILL after *grace* seconds (None: its own); nothing when it is gone."""
    limit = None if grace is None else max(1, round(grace))

    def stop_() -> None:
        params = {} if limit is None else {"t": limit}
        response = calls.api.post(
            calls.api._url("/containers/{0}/stop", container), params=params, timeout=(limit or 600) + 60
        )
        calls.api._raise_for_status(response)

    try:
        await calls.call(f"stop container {container}", stop_)
    except GoneError:
        return


async def start(calls: Calls, container: str) -> None:
    await calls.make(f"start container {container}", calls.api.start, container)


async def restart(calls: Calls, container: str, grace: float | None = None) -> None:
    """Stop it as ``stop`` does, and start it again."""
    await stop(calls, container, grace)
    await start(calls, container)


async def wait(calls: Calls, container: str) -> int:
    """The exit code, when it has ended.  It follows events, since a thread in the engine's own ``wait`` can't
    be ended."""
    async with contextlib.aclosing(watch_container(calls, container)) as events:
        async for event in events:
            if event.what == "die":
                return event.exit_code
    raise EngineError(f"the engine stopped reporting on container {container}")


async def run_in(
    calls: Calls, container: str, command: Sequence[str], *, user: str | None = None
) -> ExecResult:
    """Run *command* inside and collect its output."""

    what = f"run a command in {container}"
    exec_id, attached = await calls.call(what, _open_exec, calls, container, command, user)
    try:
        out, err = await calls.call(what, _collect, attached)
    finally:
        attached.close()  # also ends the thread when we are cancelled
    found = await calls.call(what, calls.api.exec_inspect, exec_id)
    return ExecResult(int(found["ExitCode"] or 0), out, err)


def _open_exec(
    calls: Calls, container: str, command: Sequence[str], user: str | None
) -> tuple[str, Attached]:
    made = calls.api.exec_create(container, list(command), user=user or "")
    attached = start_exec(calls, made["Id"], tty=False)
    attached.limit(None)
    return made["Id"], attached


def _collect(attached: Attached) -> tuple[bytes, bytes]:
    heard: tuple[list[bytes], list[bytes]] = ([], [])
    for stream, data in attached.frames():
        heard[stream == STDERR].append(data)
    return b"".join(heard[0]), b"".join(heard[1])


async def exec_in(
    calls: Calls, container: str, command: Sequence[str], *, tty: bool | None = None, user: str | None = None
) -> int:
    """Run *command* inside with this process's own stdin, stdout and stderr; return its exit code.

    *tty* None: a terminal inside when stdin and stdout are one here.
    """
    terminal = (sys.stdin.isatty() and sys.stdout.isatty()) if tty is None else tty

    def open_() -> tuple[str, Attached]:
        made = calls.api.exec_create(container, list(command), stdin=True, tty=terminal, user=user or "")
        attached = start_exec(calls, made["Id"], tty=terminal)
        attached.limit(None)
        return made["Id"], attached

    exec_id, attached = await calls.call(f"run a command in {container}", open_)
    with _Terminal(calls, exec_id, enabled=terminal and sys.stdin.isatty()):
        threading.Thread(target=_copy_in, args=(attached,), name="exec stdin", daemon=True).start()
        try:
            await asyncio.to_thread(_copy_out, attached, terminal)
        finally:
            attached.close()
    found = await calls.call("ask for the command's exit code", calls.api.exec_inspect, exec_id)
    return int(found["ExitCode"] or 0)


def _copy_in(attached: Attached) -> None:
    try:
        while data := os.read(0, 65536):
            attached.write(data)
        attached.end_input()
    except OSError:
        return  # the command has ended


def _copy_out(attached: Attached, terminal: bool) -> None:
    if terminal:
        while data := attached.raw():
            _write(1, data)
        return
    for stream, data in attached.frames():
        _write(2 if stream == STDERR else 1, data)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class _Terminal:
    """Raw mode while inside; the size is sent at the start and at each change."""

    def __init__(self, calls: Calls, exec_id: str, *, enabled: bool) -> None:
        self._calls, self._exec, self._enabled = calls, exec_id, enabled
        self._saved: list[object] = []

    def __enter__(self) -> None:
        if not self._enabled:
            return
        import termios
        import tty

        self._saved = termios.tcgetattr(0)
        tty.setraw(0)
        asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, self._resize)
        self._resize()

    def _resize(self) -> None:
        size = os.get_terminal_size(0)
        resize = self._calls.api.exec_resize
        threading.Thread(target=lambda: resize(self._exec, size.lines, size.columns), daemon=True).start()

    def __exit__(self, *_: object) -> None:
        if not self._enabled:
            return
        import termios

        asyncio.get_running_loop().remove_signal_handler(signal.SIGWINCH)
        termios.tcsetattr(0, termios.TCSADRAIN, self._saved)  # type: ignore[arg-type]
