"""A throwaway Kubernetes: ``devcluster sandbox``.

Rules:
- ``up`` ends when a pod could be made and would find its DNS, not when the API server answers;
- each sandbox has a name, and its own container, volume, port, control groups and kubeconfig;
- what fails is named by its program, with that program's last lines;
- ``up`` and ``down`` can be repeated; ``down`` leaves nothing, and nothing of the host's network is changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from devcluster.edge.docker.call import EngineRefusedError
from devcluster.edge.docker.sandbox.image_build import image_id
from devcluster.edge.docker.sandbox.node import (
    NodeInfo,
    SandboxEngine,
    container_name,
    open_sandbox_engine,
)
from devcluster.errors import ConfigurationError, FailedError, LeftoverError, NotFoundError
from devcluster.run.report import Progress, Report, silent
from devcluster.sandbox.build import ensure_sandbox_image, sandbox_sources
from devcluster.sandbox.place import (
    context_name,
    ensure_kubeconfig,
    name_option,
    state_folder,
    where_to_look,
)

__all__ = [
    "Sandbox",
    "SandboxStatus",
    "Unit",
    "sandbox_down",
    "sandbox_kubeconfig",
    "sandbox_load",
    "sandbox_sources",
    "sandbox_status",
    "sandbox_up",
]

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_GIVE_UP = 3  # a program that ended so often will not come; one more time if it did so before we looked
_LAST = 25  # lines of the container's log, where it is gone


@dataclass(frozen=True, slots=True)
class Unit:
    """One program (or stage of the start); ``exit`` and ``lines`` tell of its last end, if it ended."""

    name: str
    state: str
    restarts: int
    exit: str
    lines: tuple[str, ...]
    program: bool


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox that works.  ``seconds``: what its start took this time, 0 where nothing was to be done."""

    name: str
    context: str
    kubeconfig: Path
    outcome: Literal["created", "started", "unchanged"]
    seconds: float


@dataclass(frozen=True, slots=True)
class SandboxStatus:
    """``state``: ready, starting, failed (a program does not run), stopped or absent."""

    name: str
    state: Literal["ready", "starting", "failed", "stopped", "absent"]
    context: str = ""
    kubeconfig: Path | None = None
    port: int = 0
    image: str = ""
    units: tuple[Unit, ...] = ()
    log: tuple[str, ...] = ()


async def sandbox_up(name: str = "default", *, report: Report = silent, timeout: float = 300.0) -> Sandbox:
    """Make or start the sandbox and wait until it works; *timeout* seconds for that, the build not counted.

    :raises FailedError: a program does not run (named, with its last lines), or the time is over.
    """
    _check(name)
    async with open_sandbox_engine() as engine:
        image = await ensure_sandbox_image(engine.calls, report=report)
        began = time.monotonic()
        outcome = await _ensure_container(engine, name, image, report)
        node = await _existing(engine, name)
        try:
            async with asyncio.timeout(timeout):
                board = await _await_ready(engine, name, report, quiet=outcome == "unchanged")
        except TimeoutError as error:
            raise FailedError(
                f"sandbox {name} did not become ready in {timeout:.0f} s", hint=where_to_look(name)
            ) from error
        file = await ensure_kubeconfig(engine, node)
        if outcome == "unchanged" and board["version"] and time.monotonic() - began < 2:
            return Sandbox(name, context_name(name), file, "unchanged", 0.0)
        return Sandbox(name, context_name(name), file, outcome, time.monotonic() - began)


async def _ensure_container(
    engine: SandboxEngine, name: str, image: str, report: Report
) -> Literal["created", "started", "unchanged"]:
    node = await engine.find(name)
    if node is not None and node.image != image:
        report(
            Progress(
                "", f"sandbox {name} was made by another build: replacing its container, keeping its data"
            )
        )
        await engine.remove(name)
        await engine.create(name, image, wish=node.port)
        return "created"
    if node is None:
        report(Progress("", f"starting sandbox {name} (about 10 s)"))
        await engine.create(name, image)
        return "created"
    if node.running:
        return "unchanged"
    report(Progress("", f"starting sandbox {name} again (about 10 s)"))
    try:
        await engine.start(name)
    except EngineRefusedError as error:
        why = f"port {node.port} is taken" if await engine.is_taken(node.port) else error.explanation
        report(Progress("", f"{why}: sandbox {name} gets a new container and keeps its data"))
        await engine.remove(name)
        await engine.create(name, image)
    return "started"


async def _await_ready(engine: SandboxEngine, name: str, report: Report, *, quiet: bool) -> dict[str, Any]:
    """Follow the node's board until everything works; each unit is reported once."""
    told: set[str] = set()
    allowed: dict[str, int] = {}
    async with contextlib.aclosing(engine.watch(name)) as boards:
        async for board in boards:
            units = _units(board)
            if not quiet:
                _tell(name, units, told, report)
            if board["ready"]:
                return board
            for unit in units:
                most = allowed.setdefault(unit.name, max(_GIVE_UP, unit.restarts + 1))
                if unit.state == "failed" and unit.restarts >= most:
                    raise FailedError(f"sandbox {name}: {_story(unit)}", hint=where_to_look(name))
    text = await engine.log(name, _LAST)
    raise FailedError(
        f"sandbox {name} ended while it started; its last lines:\n{text}", hint=where_to_look(name)
    )


def _tell(name: str, units: Sequence[Unit], told: set[str], report: Report) -> None:
    for unit in units:
        word = f"{unit.name}: {unit.state}"
        if unit.state in ("running", "done", "failed") and word not in told:
            told.add(word)
            report(Progress(name, _story(unit) if unit.state == "failed" else unit.name + " works"))


async def sandbox_down(name: str = "default", *, report: Report = silent) -> bool:
    """Remove container, volume, control groups and kubeconfig, and verify it; False: there was nothing."""
    _check(name)
    async with open_sandbox_engine() as engine:
        node = await engine.find(name)
        image = node.image if node else next(iter(await engine.images()), "")
        removed = await engine.remove(name)
        removed = await engine.remove_volume(name) or removed
        if image and await image_id(engine.calls, image):
            await engine.sweep(name, image)
        if await engine.find(name) is not None:
            raise LeftoverError(f"the container {container_name(name)} is still there", hint="run it again")
    folder = state_folder(name)
    for path in (folder / "kubeconfig", folder):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # nor can it be there below a file
            path.rmdir() if path.is_dir() else path.unlink()
            removed = True
    report(Progress("", f"sandbox {name}: {'removed' if removed else 'there was none'}"))
    return removed


async def sandbox_status(name: str = "default") -> SandboxStatus:
    """How each program of the sandbox is."""
    _check(name)
    async with open_sandbox_engine() as engine:
        node = await engine.find(name)
        if node is None:
            return SandboxStatus(name, "absent")
        facts = (context_name(name), state_folder(name) / "kubeconfig", node.port, node.image)
        if not node.running:
            lines = (await engine.log(name, _LAST)).splitlines()
            return SandboxStatus(name, "stopped", *facts, log=tuple(lines))
        answer = await engine.ask(name, "status")
        if answer.code:
            return SandboxStatus(name, "failed", *facts, log=(answer.err.strip(),))
        board = json.loads(answer.out)
        units = _units(board)
        failed = any(unit.state == "failed" for unit in units)
        return SandboxStatus(
            name, "ready" if board["ready"] else "failed" if failed else "starting", *facts, units
        )


async def sandbox_kubeconfig(name: str = "default") -> Path:
    """The path of the sandbox's kubeconfig; written anew where it is gone.

    :raises NotFoundError: there is no sandbox of that name.
    """
    _check(name)
    async with open_sandbox_engine() as engine:
        node = await _existing(engine, name)
        file = state_folder(name) / "kubeconfig"
        return file if file.is_file() else await ensure_kubeconfig(engine, _running(node))


async def sandbox_load(
    images: Sequence[str], name: str = "default", *, report: Report = silent
) -> tuple[tuple[str, Literal["loaded", "unchanged"]], ...]:
    """Put images of the Docker engine into the sandbox, each under the name it was given.

    :raises ConfigurationError: the engine has no such image; nothing was loaded then.
    :raises FailedError: the sandbox does not run.
    """
    _check(name)
    async with open_sandbox_engine() as engine:
        _running(await _existing(engine, name))
        found = [(image, await image_id(engine.calls, image)) for image in images]
        for image, identity in found:
            if identity is None:
                raise ConfigurationError(f"Docker has no image {image}", hint=f"docker build -t {image} …")
        return tuple(
            [(image, await _load(engine, name, image, str(identity), report)) for image, identity in found]
        )


async def _load(
    engine: SandboxEngine, name: str, image: str, identity: str, report: Report
) -> Literal["loaded", "unchanged"]:
    if (await engine.ask(name, "has", image, identity)).code == 0:
        return "unchanged"
    report(Progress("", f"loading {image} into sandbox {name}"))
    await engine.load(name, image)
    return "loaded"


async def _existing(engine: SandboxEngine, name: str) -> NodeInfo:
    node = await engine.find(name)
    if node is None:
        raise NotFoundError(
            f"there is no sandbox named {name}", hint=f"devcluster sandbox up{name_option(name)}"
        )
    return node


def _running(node: NodeInfo) -> NodeInfo:
    """*node*, which can be asked."""
    if not node.running:
        raise FailedError(
            f"sandbox {node.name} is not running", hint=f"devcluster sandbox up{name_option(node.name)}"
        )
    return node


def _units(board: dict[str, Any]) -> tuple[Unit, ...]:
    return tuple(
        Unit(
            name=unit["name"],
            state=unit["state"],
            restarts=unit["restarts"],
            exit=unit.get("exit", ""),
            lines=tuple(unit.get("lines") or ()),
            program=unit["kind"] == "program",
        )
        for unit in board["units"]
    )


def _story(unit: Unit) -> str:
    if not unit.lines:
        return f"{unit.name} ended ({unit.exit}) without output"
    lines = "".join(f"\n  {line}" for line in unit.lines)
    return f"{unit.name} ended ({unit.exit}); its last lines:{lines}"


def _check(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} can't be a sandbox's name", hint="lower-case letters, digits and hyphens, at most 32"
        )
