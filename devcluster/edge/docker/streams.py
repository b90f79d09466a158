"""A container's standard streams over one connection to the engine ("attach").

Rules: attach before the start, so that nothing is missed; both directions have a deadline; what goes in is
never visible to ``inspect``, in a process list or in a log.

The naive way, docker-py's ``attach_socket``, hands out the bare socket and loses what came in the same packet
as the HTTP header; so we read through the response's own buffer.

Source: https://docs.docker.com/reference/api/engine/version/v1.41/ (ContainerAttach, "Stream format")
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

from devcluster.edge.docker.call import Calls

STDOUT = 1
STDERR = 2


class Attached:
    """Blocking; for use inside one call of ``Calls``."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._reader = response.raw._fp.fp
        raw = getattr(self._reader, "raw", self._reader)
        self._socket: Any = getattr(raw, "_sock", getattr(raw, "sock", raw))
        self._closed = False

    def limit(self, seconds: float | None) -> None:
        """Each read and write ends after *seconds* with TimeoutError."""
        with contextlib.suppress(AttributeError):
            self._socket.settimeout(seconds)

    def write(self, data: bytes | memoryview) -> None:
        self._socket.sendall(data)

    def end_input(self) -> None:
        """Half-close, where the transport supports it (TLS and SSH do not: mark the end in the data)."""
        with contextlib.suppress(AttributeError, OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def frames(self) -> Iterator[tuple[int, bytes]]:
        """(1 stdout or 2 stderr, bytes) until the container ends, or until ``close`` is called from another
        thread."""
        try:
            while len(header := self._exactly(8)) == 8:
                yield header[0], self._exactly(int.from_bytes(header[4:], "big"))
        except (ValueError, OSError):
            if not self._closed:
                raise

    def raw(self) -> bytes:
        """A terminal's bytes as they come; b'' at the end."""
        return bytes(self._reader.read1(65536))

    def _exactly(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size > 0 and (part := self._reader.read(size)):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(AttributeError, OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError, ValueError):
            self._response.close()


def attach(calls: Calls, container: str) -> Attached:
    """All three streams of a container that was created with ``OpenStdin``."""
    return _upgraded(calls, f"/containers/{container}/attach?stream=1&stdin=1&stdout=1&stderr=1", None)


def start_exec(calls: Calls, exec_id: str, *, tty: bool) -> Attached:
    return _upgraded(calls, f"/exec/{exec_id}/start", {"Detach": False, "Tty": tty})


def _upgraded(calls: Calls, path: str, body: dict[str, Any] | None) -> Attached:
    api = calls.api
    headers = {"Connection": "Upgrade", "Upgrade": "tcp"}
    response = api.post(api._url(path), json=body, headers=headers, stream=True, timeout=60)
    api._raise_for_status(response)
    return Attached(response)


def until_line(attached: Attached, wanted: bytes, seconds: float) -> tuple[bool, str]:
    """Read until stdout has the line *wanted*; otherwise (False, its stderr)."""
    deadline = time.monotonic() + seconds
    heard = {STDOUT: b"", STDERR: b""}
    attached.limit(seconds)
    with contextlib.suppress(TimeoutError):
        for stream, data in attached.frames():
            heard[stream] = (heard[stream] + data)[-8192:]
            if wanted in heard[STDOUT].splitlines():
                return True, ""
            attached.limit(max(0.01, deadline - time.monotonic()))
    return False, heard[STDERR].decode(errors="replace").strip()
