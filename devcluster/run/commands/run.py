"""``run``: a command on the laptop in a workload's place, for as long as it runs.

The host process is the one that ``up -d`` starts: several of these commands may share it, each with a
workload of its own.  It is held on a leash: a connection to it stays open while the command runs.  If that
breaks, because this process was killed, the workload is handed back at once.

The naive way, to be the host process ourselves, takes the workloads of a second command along.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from devcluster.config.load import normalise_name
from devcluster.config.model import Healthcheck, Mode, Project, Runtime, Target, Workload
from devcluster.config.read.forms import parse_target
from devcluster.config.read.modes import allows_services, allows_take
from devcluster.deadline import Deadline
from devcluster.edge.background import running
from devcluster.edge.docker.engine import open_docker
from devcluster.errors import INTERRUPTED, ConfigurationError, DevclusterError
from devcluster.plan.serving import serving_of
from devcluster.rules.cluster.services import routes
from devcluster.rules.ports.port_wishes import PortWish, Way, choose_ports
from devcluster.rules.ports.ports import declared_names
from devcluster.run.commands.project import find_place, open_meant
from devcluster.run.commands.up import up_detached
from devcluster.run.host.socket import AbsentError, BrokenOffError, EndedError, ask
from devcluster.run.place import Place
from devcluster.run.report import Progress, Report, silent
from devcluster.run.request import Request
from devcluster.run.wanted.wanted import Wanted, read_wanted

Json = dict[str, Any]
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_TYPED = (signal.SIGINT, signal.SIGQUIT)  # a terminal sends them to the command as well
_LEAVE = 60.0  # seconds in any case


@dataclass(frozen=True, slots=True)
class Command:
    """*words* in the place of *workload*, which is a name in the file or a target; *mode* None: the
    file's."""

    workload: str
    words: tuple[str, ...]
    mode: Mode | None = None
    ports: tuple[PortWish, ...] = ()


async def run(request: Request, command: Command, report: Report, *, takeover: bool) -> int:
    """The command's exit code; 128 and the signal's number if a signal ended it."""
    project, key = project_of(request.project, command)
    request = replace(request, project=project, only=(key,))
    _check(request, command)
    request = await _with_ports(request, command)
    place = await find_place(request)
    answer = await up_detached(request, takeover=takeover, report=report)
    if answer is None:
        return INTERRUPTED
    _tell(answer, report)
    ended = asyncio.Event()
    with _received() as signals:
        async with running(_hold(place, key, report, ended), name="leash"):
            try:
                environment = await _environment(place, key, request)
                return await _run(command.words, environment, signals)
            finally:
                ended.set()
                await _leave(place, key, request, report)


def project_of(project: Project | None, command: Command) -> tuple[Project, str]:
    """What is to be attached, and its key: the file's workload of that name or target, as a process;
    otherwise one that the file does not have."""
    target = _target(command.workload)
    written = project.workloads if project is not None else ()
    known = next((it for it in written if it.key == command.workload), None) or next(
        (it for it in written if _same(it.target, target)), None
    )
    if known is not None:
        assert project is not None
        made = _as_process(known, command.mode or known.mode)
        others = tuple(made if it is known else it for it in written)
        return replace(project, workloads=others), made.key
    made = Workload(target.name, target, command.mode or "intercept", "host", commanded=True)
    if project is None:
        return Project(normalise_name(target.name), workloads=(made,)), made.key
    return replace(project, workloads=(*written, made)), made.key


def _target(word: str) -> Target:
    try:
        return parse_target(word)
    except ValueError as error:
        raise ConfigurationError(f"{word!r} is not a workload: {error}") from error


def _same(one: Target, other: Target) -> bool:
    kinds = {one.kind, other.kind} - {None}
    return one.name == other.name and len(kinds) <= 1


def _as_process(workload: Workload, mode: Mode) -> Workload:
    """Without what only a container has."""
    if not allows_take(mode, workload.take or "front"):
        raise ConfigurationError(
            f"workloads.{workload.key}: `take: direct` needs an original that is stopped",
            hint="`--mode replace` stops it",
        )
    return replace(
        workload,
        run="host",
        commanded=True,
        mode=mode,
        services=workload.services if allows_services(mode) else None,
        image=None,
        ports=None,
        mounts=(),
        healthcheck=Healthcheck(),
        runtime=Runtime(),
    )


def _check(request: Request, command: Command) -> None:
    """ConfigurationError where there is no such command, before anything is changed."""
    if command.ports and serving_of(request.wanted[0]).led == "nothing":
        raise ConfigurationError("--port: with `ingest` all connections stay with the original")
    _check_program(command.words[0], request.environ.get("PATH"))


def _check_program(program: str, path: str | None) -> None:
    if shutil.which(program, path=path) is not None:
        return
    if os.sep in program and os.path.isfile(program):
        raise ConfigurationError(f"{program} is not a program", hint=f"`chmod +x {program}` makes it one")
    raise ConfigurationError(f"there is no command {program} on this laptop's PATH")


async def _with_ports(request: Request, command: Command) -> Request:
    """Add `--port`, as the file would say it."""
    assert request.project is not None
    workload = request.wanted[0]
    if not command.ports and not serving_of(workload).services_only:
        return request
    async with (
        open_meant(request) as cluster,
        open_docker() as docker,
    ):
        wanted = await read_wanted(cluster, docker, request.project, workload, cluster.namespace)
    ways = ways_to(wanted)
    if not ways and wanted.serving.services_only:
        raise ConfigurationError(
            f"no Service leads to {wanted.title}, so there is nothing to intercept",
            hint="`kubectl expose` makes one; `--mode replace` takes over what calls its pods",
        )
    if not command.ports:
        return request
    names, whole = declared_names(wanted.container), not wanted.serving.services_only
    written = {key.number: local for key, local in wanted.port_map.items()}
    chosen = dict(choose_ports(command.ports, ways, names, whole=whole))
    made = replace(workload, port_map=tuple((written | chosen).items()))
    others = tuple(made if it is workload else it for it in request.project.workloads)
    return replace(request, project=replace(request.project, workloads=others))


def ways_to(wanted: Wanted) -> tuple[Way, ...]:
    """The Service ports that would lead to the workload without us."""
    install, observed = wanted.install, wanted.install.observed
    services = install.services_before
    named = {
        (service["metadata"]["name"], port["port"]): port.get("name") or ""
        for service in services
        for port in service["spec"].get("ports") or []
    }
    found = routes(services, install.base, container=observed.container, others=observed.others)
    return tuple(
        Way(it.service, it.port.number, named[it.service, it.port.number], it.container_port.number)
        for it in found
        if it.port.led and not (wanted.serving.services_only and it.left_alone)
    )


def _tell(answer: Json, report: Report) -> None:
    for row in answer["workloads"]:
        for line in row["detail"]:
            report(Progress(row["name"], line))
    for note in answer["notes"]:
        report(Progress("", note))


async def _environment(place: Place, key: str, request: Request) -> dict[str, str]:
    """The workload's environment over the laptop's."""
    answer = await ask(place.socket, {"do": "environment", "workload": key}, silent, request.deadline)
    return dict(request.environ) | dict(answer["variables"])


async def _hold(place: Place, key: str, report: Report, ended: asyncio.Event) -> None:
    """Have the workload handed back when this process ends, in whatever way.  If it ends before, that is
    said; the command goes on."""
    try:
        answer = await ask(place.socket, {"do": "leash", "workload": key}, report, Deadline.after(_LEAVE))
        why = answer["reason"]
    except (DevclusterError, AbsentError, EndedError, BrokenOffError) as error:
        why = str(error)
    if not ended.is_set():
        report(Progress(key, f"{key} no longer gets traffic: {why}"))


async def _run(words: Sequence[str], environment: Mapping[str, str], signals: asyncio.Queue[_Signal]) -> int:
    """One that came before is as one to the command; it is not started any more."""
    if not signals.empty():
        return 128 + signals.get_nowait().number
    try:
        process = await asyncio.create_subprocess_exec(*words, env=environment)
    except OSError as error:
        hint = "a script needs a first line such as #!/bin/sh" if error.errno == errno.ENOEXEC else ""
        raise ConfigurationError(f"{words[0]} can't be started: {error.strerror}", hint=hint) from error
    async with running(_pass_on(signals, process), name="signals"):
        code = await process.wait()
    return 128 - code if code < 0 else code


@dataclass(frozen=True, slots=True)
class _Signal:
    """*typed*: the terminal sent it to all that is in its foreground."""

    number: int
    typed: bool


async def _pass_on(signals: asyncio.Queue[_Signal], process: asyncio.subprocess.Process) -> None:
    while True:
        signal_ = await signals.get()
        if not signal_.typed:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal_.number)


@contextlib.contextmanager
def _received() -> Iterator[asyncio.Queue[_Signal]]:
    """None of them ends us: there is something to hand back."""
    loop = asyncio.get_running_loop()
    signals: asyncio.Queue[_Signal] = asyncio.Queue()

    def receive(number: int) -> None:
        signals.put_nowait(_Signal(number, number in _TYPED and _is_typed()))

    for number in (*_PASSED_ON, *_TYPED):
        loop.add_signal_handler(number, receive, number)
    try:
        yield signals
    finally:
        for number in (*_PASSED_ON, *_TYPED):
            loop.remove_signal_handler(number)


def _is_typed() -> bool:
    """Whether the terminal's own ^C reaches the command by itself: we are in its foreground."""
    with contextlib.suppress(OSError):
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            return os.tcgetpgrp(terminal) == os.getpgrp()
        finally:
            os.close(terminal)
    return False


async def _leave(place: Place, key: str, request: Request, report: Report) -> None:
    deadline = request.deadline.at_least(_LEAVE)
    with contextlib.suppress(AbsentError):
        await ask(place.socket, {"do": "leave", "only": [key]}, report, deadline)
