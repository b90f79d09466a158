"""The open connections to the API server, so that dead ones can be ended.

When the laptop gets another address, or a NAT or a VPN forgets its connections, no packet says so: a watch
listens for minutes, and the next request goes out on an idle connection and waits for its time-out.  The
kernel's keepalive finds some of them after ten seconds.  Whoever sees that a new connection gets through
while an old one is silent knows at once, and ends all that are as old.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class Connections:
    """Those of the adopted pool managers.  The methods may be called from any thread.

    ``ended``: how often some were ended.
    """

    def __init__(self) -> None:
        self.ended = 0
        self._manager: PoolManager | None = None
        self._lock = threading.Lock()
        self._opened: weakref.WeakKeyDictionary[HTTPConnection, float] = weakref.WeakKeyDictionary()

    def adopt(self, manager: PoolManager) -> None:
        """From now on *manager* opens the connections; those of a former manager stay known."""
        self._manager = manager
        plain = type(
            "PlainPool", (HTTPConnectionPool,), {"ConnectionCls": _noted(HTTPConnection, self._note)}
        )
        secure = type(
            "TlsPool", (HTTPSConnectionPool,), {"ConnectionCls": _noted(HTTPSConnection, self._note)}
        )
        manager.pool_classes_by_scheme = {"http": plain, "https": secure}

    def end_older(self, moment: float) -> None:
        """End all idle ones, and each one that reads and was opened before *moment* of the monotonic clock.
        A connection that carries a change is left alone: the change may have been made already, and its
        caller has a time-out."""
        self.ended += 1
        if self._manager is not None:
            self._manager.clear()
        with self._lock:
            old = [it for it, opened in self._opened.items() if opened < moment]
        for connection in old:
            sock = connection.sock
            if sock is not None and getattr(connection, "method", "GET") == "GET":
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)  # TLS' own would forget its reader

    def _note(self, connection: HTTPConnection) -> None:
        with self._lock:
            self._opened[connection] = time.monotonic()


def _noted(base: type[HTTPConnection], note: Callable[[HTTPConnection], None]) -> type[HTTPConnection]:
    """A connection that reports when it is open, and knows the ``method`` of its last request."""

    class Noted(base):  # type: ignore[misc, valid-type]
        def connect(self) -> None:
            super().connect()
            note(self)

        def request(self, method: str, *arguments: Any, **options: Any) -> None:
            self.method = method
            super().request(method, *arguments, **options)

    return Noted
