"""The wall around docker-py: which engine, calls in threads, foreign errors translated.

The problem: docker-py blocks, does not know the docker command line's contexts, and raises its own errors,
those of requests and those of the operating system.

Rules:
- the engine is the one that ``docker`` itself would use: DOCKER_HOST, else DOCKER_CONTEXT, else the current
  context of the docker configuration;
- a call has a finite time-out; a stream has a thread of its own and ends when its reader goes away;
- an engine's refusal keeps the engine's words and names the object.  What was sent is never shown.

Source: https://docs.docker.com/engine/manage-resources/contexts/
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from devcluster.edge.background import to_the_end
from devcluster.errors import EngineError

T = TypeVar("T")

_TIMEOUT = 60.0  # seconds for one answer; streams are not bound by it
_CONNECT = 10.0  # seconds for the first answer
_THREADS = 16
_END = object()


class GoneError(EngineError):
    """The engine does not have the object (any more)."""


class EngineRefusedError(EngineError):
    """The engine said no; ``explanation`` is its own sentence, ``status`` its HTTP code."""

    def __init__(self, message: str, *, explanation: str, status: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.explanation = explanation
        self.status = status


class Calls:
    """The client, and the threads in which it is used.  ``api`` is docker-py's APIClient; ``api_version``:
    the version that it agreed on with the engine."""

    def __init__(self, api: Any, host: str, context: str, tls: Any = None) -> None:
        self.api = api
        self._tls = tls
        self.host = host
        self.context = context
        self.api_version = tuple(int(part) for part in api.api_version.split("."))
        self.is_local = host.startswith(
            ("unix://", "http+unix://", "npipe://")
        )  # its ports are this machine's
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="docker")

    async def call(self, what: str, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a blocking *function* in a thread; *what* is the action for errors: ``start container x``."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: translated(what, function, *args, **kwargs))

    async def make(self, what: str, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Like ``call``, for what makes or starts something.  If the caller is cancelled meanwhile, the
        cancellation is raised only when the call is done, so that tidying up finds what it made.  An
        abandoned thread would make it afterwards."""
        return await to_the_end(self.call(what, function, *args, **kwargs))

    async def knock(self) -> None:
        """EngineError where no new connection is taken: an engine that ends still serves the old ones."""

        def knock() -> None:
            _client(self.host, self._tls).close()

        await self.call("ask Docker", knock)

    async def stream(self, what: str, open_: Callable[[], Any]) -> AsyncIterator[Any]:
        """The items of a blocking iterator with ``close()``, as they come, a little ahead of the reader."""
        async for item in self.items(what, await self.call(what, open_)):
            yield item

    async def items(self, what: str, source: Any) -> AsyncIterator[Any]:
        """The items of an opened *source*; it is closed at the end, also when the reader goes away."""
        pump = _Pump(what, source)
        try:
            async for item in pump.items():
                yield item
        finally:
            pump.close()

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self.api.close)


class _Pump:
    """One thread that reads; it waits for a slow reader."""

    def __init__(self, what: str, source: Any) -> None:
        self._what = what
        self._source = source
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        self._room = threading.Semaphore(256)
        self._closed = False

    async def items(self) -> AsyncIterator[Any]:
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop,), name=self._what, daemon=True).start()
        while (item := await self._queue.get()) is not _END:
            self._room.release()
            if isinstance(item, EngineError):
                raise item
            yield item

    def close(self) -> None:
        self._closed = True
        self._room.release()
        close = getattr(self._source, "close", None)
        if close is not None:
            with contextlib.suppress(EngineError, ValueError, AttributeError):  # ended already, or over SSH
                translated(self._what, close)

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        last: Any = _END
        try:
            translated(self._what, self._read_all, loop)
        except EngineError as error:
            last = error
        for item in (last, _END):
            if not self._closed:
                self._put(loop, item)

    def _read_all(self, loop: asyncio.AbstractEventLoop) -> None:
        for item in self._source:
            self._room.acquire()
            if self._closed:
                return
            self._put(loop, item)

    def _put(self, loop: asyncio.AbstractEventLoop, item: Any) -> None:
        try:
            loop.call_soon_threadsafe(self._queue.put_nowait, item)
        except RuntimeError:  # the loop is closed: nobody listens
            self._closed = True


def translated(what: str, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Call *function*; docker's, requests' and the system's errors become ours."""
    import docker.errors
    import requests
    import urllib3

    try:
        return function(*args, **kwargs)
    except docker.errors.NotFound as error:
        raise GoneError(f"can't {what}: {_explain(error)}") from error
    except docker.errors.APIError as error:
        text = _explain(error)
        status = int(error.status_code or 0)
        raise EngineRefusedError(f"can't {what}: {text}", explanation=text, status=status) from error
    except docker.errors.DockerException as error:
        raise EngineError(f"can't {what}: {error}", hint=_HINT) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise EngineError(f"can't {what}: the Docker engine does not answer: {error}", hint=_HINT) from error


_HINT = "is Docker running?  `docker version` and `docker context ls` show which engine is used"


def _explain(error: Any) -> str:
    return str(error.explanation or error).strip().rstrip(".")


async def connect() -> Calls:
    """The engine that the docker command line uses.  EngineError says what was tried."""
    host, context, tls = await asyncio.to_thread(_endpoint)
    try:
        api = await asyncio.to_thread(translated, "ask Docker", _client, host, tls)
    except EngineError as error:
        raise _unreachable(host, context, error) from error
    return Calls(api, host, context, tls)


def _unreachable(host: str, context: str, error: EngineError) -> EngineError:
    hint = "start Docker, or choose another engine with `docker context use NAME` or DOCKER_HOST"
    if isinstance(error.__cause__, PermissionError):
        hint = "your user may not use this socket: add it to the group `docker`, or use rootless Docker"
    via = f"context {context}" if context else "DOCKER_HOST"
    return EngineError(f"the Docker engine at {host} ({via}) can't be used: {error}", hint=hint)


def _client(host: str, tls: Any) -> Any:
    import docker

    _probe(host)
    try:
        api = docker.APIClient(
            base_url=host, tls=tls or False, version="auto", timeout=_CONNECT, use_ssh_client=True
        )
    except ValueError as error:  # of the address, or of what answers there
        raise EngineError(f"it is not the address of an engine: {error}") from error
    api.timeout = _TIMEOUT
    return api


def _probe(host: str) -> None:
    """Say what is wrong with a socket that can't be used; docker-py hides the reason."""
    if host.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_CONNECT)
            probe.connect(host.removeprefix("unix://"))


def _endpoint() -> tuple[str, str, Any]:
    """(address, the context's name or '', TLS settings), by the docker command line's own rules."""
    if host := os.environ.get("DOCKER_HOST"):
        return host, "", _tls() if os.environ.get("DOCKER_TLS_VERIFY") else None
    from docker.context.config import get_current_context_name

    name, source = os.environ.get("DOCKER_CONTEXT"), "DOCKER_CONTEXT"
    if not name:
        name, source = str(get_current_context_name() or "default"), "the current one"
    found = _context(name)
    if found is None:
        raise EngineError(f"there is no docker context {name} ({source})", hint=_CHOOSE)
    return found.Host or "unix:///var/run/docker.sock", name, found.TLSConfig


_CHOOSE = "`docker context ls` lists them, `docker context use NAME` chooses one"


def _context(name: str) -> Any:
    """None where there is none of that name."""
    from docker.context import ContextAPI

    try:
        return ContextAPI.get_context(name)
    except Exception as error:  # docker-py raises this very class, and trips over what it does not expect
        text = f"the docker context {name} can't be read: its files are damaged ({type(error).__name__})"
        raise EngineError(text, hint=_CHOOSE) from error


def _tls() -> Any:
    """As DOCKER_TLS_VERIFY asks for."""
    from docker.tls import TLSConfig

    folder = os.environ.get("DOCKER_CERT_PATH") or os.path.expanduser("~/.docker")
    ca, *pair = (os.path.join(folder, name) for name in ("ca.pem", "cert.pem", "key.pem"))
    if missing := [path for path in (ca, *pair) if not os.path.isfile(path)]:
        raise EngineError(
            f"DOCKER_TLS_VERIFY is set, but there is no {', no '.join(missing)}",
            hint="set DOCKER_CERT_PATH to the folder with the three files, or unset DOCKER_TLS_VERIFY",
        )
    return TLSConfig(client_cert=tuple(pair), ca_cert=ca, verify=True)
