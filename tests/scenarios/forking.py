"""The command without the second of imports in front of it: forked from a process that has made them already.

Half of what a run of the scenarios costs two cores would be Python reading the same modules again for each
of six hundred commands.  Everything else is as in a process of its own: arguments, folder, environment,
streams, exit code.  A command that is signalled, or runs under another program, is a process of its own.

One such process a worker of pytest's; it ends with the worker.  Run by itself it is that process:
``python -m tests.scenarios.forking DESCRIPTOR``, the descriptor being its end of a socket pair.

Source: https://docs.python.org/3/library/multiprocessing.html#contexts-and-start-methods ("forkserver")
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent.parent
_REQUEST = 1 << 20  # bytes at most
_HEAVY = ("kubernetes.config", "docker", "asyncssh", "uvloop", "jinja2", "devcluster.edge.kube.credentials")


async def run_forked(
    words: tuple[str, ...], folder: Path, environ: Mapping[str, str]
) -> tuple[int, bytes, bytes]:
    """`devcluster` *words* to its end: exit code (negative: the signal that ended it), output, errors."""
    ours, its = socket.socketpair()
    request = json.dumps({"words": words, "folder": str(folder), "environ": dict(environ)}).encode()
    with contextlib.ExitStack() as stack:
        stack.enter_context(ours)
        out, err = (os.memfd_create(name) for name in ("out", "err"))
        for descriptor in (out, err):
            stack.callback(os.close, descriptor)
        with its:
            socket.send_fds(_server()[0], [request], [out, err, its.fileno()])
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        number = int(await reader.readline())
        try:
            code = await reader.readline()
        except asyncio.CancelledError:
            os.kill(number, signal.SIGKILL)
            raise
        finally:
            writer.close()
        return int(code), _read(out), _read(err)


def _read(descriptor: int) -> bytes:
    with open(descriptor, "rb", closefd=False) as file:
        file.seek(0)
        return file.read()


@functools.cache
def _server() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", "tests.scenarios.forking", str(its.fileno())]
    with its:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, pass_fds=[its.fileno()])
    return ours, process


def _serve(control: socket.socket) -> None:
    for module in _HEAVY:
        importlib.import_module(module)
    for path in sorted((ROOT / "devcluster").rglob("*.py")):
        if path.stem != "__main__":
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # their exit codes come another way
    while True:
        request, descriptors, _, _ = socket.recv_fds(control, _REQUEST, 3)
        if not request:
            return
        if os.fork() == 0:
            _mind(json.loads(request), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _mind(request: dict[str, Any], out: int, err: int, done: int) -> NoReturn:
    """The command's number and then its exit code, a line each, to *done*."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    number = os.fork()
    if number == 0:
        _be_the_command(request, out, err)
    os.write(done, f"{number}\n".encode())
    _, status = os.waitpid(number, 0)
    os.write(done, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _be_the_command(request: dict[str, Any], out: int, err: int) -> NoReturn:
    from devcluster.cli.main import main

    code = 1
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environ"])
        sys.argv = ["devcluster", *request["words"]]
        _customize(request["environ"]["PYTHONPATH"])
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        os._exit(code)


def _customize(folders: str) -> None:
    """What Python does as it starts, see ``site``."""
    for folder in map(Path, folders.split(os.pathsep)):
        if (file := folder / "sitecustomize.py").exists():
            runpy.run_path(str(file))


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
