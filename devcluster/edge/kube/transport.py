"""Requests to the API server: in threads, with time-outs, with fresh credentials.

A raw upgraded connection (a lane) is opened by ``lanes`` itself; this module tells what it needs.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode, urlsplit

from devcluster.edge.kube.answer import refusal, strange, unreachable
from devcluster.edge.kube.paths import ApiPath

if TYPE_CHECKING:
    from devcluster.edge.kube.credentials import Access, Credentials

T = TypeVar("T")

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 60.0
PATIENCE = 8.0  # seconds for a server that asks to come again
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class UpgradeTarget:
    """What a raw connection to the API server needs.  ``prefix``: path before ``/api``, often empty.

    ``headers`` hold the credentials.  ``proxy``: host, port, Proxy-Authorization or None.
    """

    host: str
    port: int
    prefix: str
    server_name: str
    ssl: ssl.SSLContext | None = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    proxy: tuple[str, int, str | None] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Ping:
    """``version``: ``v1.34.4``.  ``seconds``: the round trip.  ``skew``: how many seconds the laptop's clock
    is ahead of the API server's; None where the server did not say the time."""

    version: str
    seconds: float
    skew: float | None


class Transport:
    """Credentials, and the threads in which they are used.  *timeout*: the most seconds that an answer may
    take."""

    def __init__(
        self, open_access: Callable[[], Access], threads: ThreadPoolExecutor, timeout: float = READ_TIMEOUT
    ) -> None:
        self._open_access = open_access
        self._access: Access | None = None
        self._opening = threading.Lock()
        self._threads = threads
        self._timeout = min(timeout, READ_TIMEOUT)

    @property
    def access(self) -> Access:
        """Opened once, by the first who needs it; blocks.  ClusterError where there are no credentials."""
        with self._opening:
            if self._access is None:
                self._access = self._open_access()
            return self._access

    async def credentials(self) -> Credentials:
        """What kind of credentials we have, without any secret."""
        return await self._in_thread(lambda: self.access.credentials())

    async def upgrade_target(self) -> UpgradeTarget:
        """How to open a raw connection to the API server.  Its token is fresh, so ask each time."""
        return await self._in_thread(self._upgrade_target)

    def _upgrade_target(self) -> UpgradeTarget:
        headers = self.access.headers()
        url = urlsplit(self.access.server)
        assert url.hostname
        return UpgradeTarget(
            host=url.hostname,
            port=url.port or (443 if url.scheme == "https" else 80),
            prefix=url.path.rstrip("/"),
            server_name=self.access.configuration.tls_server_name or url.hostname,
            ssl=self.access.tls(),
            headers=tuple(headers.items()),
            proxy=self.access.proxy(),
        )

    def distrust(self, moment: float) -> None:
        """End the connections that were opened before *moment* of the monotonic clock: they are dead, and
        whoever waits on one would wait long.  A watch starts again, a question is asked again.  This runs in
        no thread, since all of them may be waiting."""
        if self._access is not None:
            self._access.connections.end_older(moment)

    async def ping(self) -> Ping:
        """ClusterError where nothing answers or the credentials are not accepted."""
        return await self._in_thread(self._ping)

    def _ping(self) -> Ping:
        where = ApiPath("/version", "/version", None)
        began, asked = time.monotonic(), time.time()
        response = self.send("GET", where.path)
        seconds = time.monotonic() - began
        if response.status >= 400:
            raise refusal(response.status, response.data, "get", where, self.access.server)
        skew = None
        if told := response.headers.get("Date"):
            # The header has whole seconds (RFC 9110, 5.6.7): half of one is its mean error.
            skew = asked + seconds / 2 - (parsedate_to_datetime(told).timestamp() + 0.5)
        try:
            version = str(json.loads(response.data)["gitVersion"])
        except (ValueError, KeyError, TypeError) as error:
            raise strange(self.access.server, self.access.context, response.data) from error
        return Ping(version, seconds, skew)

    async def request(
        self,
        method: str,
        where: ApiPath,
        verb: str,
        *,
        query: dict[str, str] | None = None,
        body: Any = None,
        content: str = _JSON,
        accept: str = _JSON,
    ) -> bytes:
        """The answer's body.  Errors as in ``kube.answer``."""
        path = where.path + ("?" + urlencode(query) if query else "")
        payload = None if body is None else json.dumps(body).encode()

        def work() -> bytes:
            response = self.send(method, path, body=payload, content=content, accept=accept)
            if response.status >= 400:
                raise refusal(response.status, response.data, verb, where, self.access.server)
            return bytes(response.data)

        return await self._in_thread(work)

    def send(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        content: str = _JSON,
        accept: str = _JSON,
        stream: bool = False,
        read_timeout: float | None = None,
    ) -> Any:
        """One request, blocking: for threads.  ClusterError where nothing answers.

        A server that is too busy says when to try again, and has done nothing yet; it is obeyed for a while,
        as kubectl does.  Source: https://kubernetes.io/docs/concepts/cluster-administration/flow-control/
        """
        words = (method, path, body, (content, accept), stream, read_timeout or self._timeout)
        response = self._once(*words)
        if response.status == 401:  # credentials may have been revoked before they expired
            response.drain_conn()
            self.access.refresh(force=True)
            response = self._once(*words)
        deadline = time.monotonic() + PATIENCE
        while (pause := _pause(response)) is not None and time.monotonic() + pause < deadline:
            response.drain_conn()
            time.sleep(pause)
            response = self._once(*words)
        return response

    def _once(
        self,
        method: str,
        path: str,
        body: bytes | None,
        types: tuple[str, str],
        stream: bool,
        read_timeout: float,
    ) -> Any:
        import urllib3

        headers = self.access.headers() | {"Accept": types[1], "User-Agent": "devcluster"}
        if body is not None:
            headers["Content-Type"] = types[0]
        while True:
            ended = self.access.connections.ended
            try:
                return self.access.pool.request(
                    method,
                    self.access.server + path,
                    body=body,
                    headers=headers,
                    timeout=urllib3.Timeout(connect=min(CONNECT_TIMEOUT, self._timeout), read=read_timeout),
                    retries=urllib3.Retry(0, respect_retry_after_header=False),
                    preload_content=not stream,
                )
            except urllib3.exceptions.HTTPError as error:
                unsent = isinstance(error, urllib3.exceptions.ClosedPoolError)
                if self.access.connections.ended != ended and (unsent or method == "GET"):
                    continue  # it was we who ended its connection
                raise unreachable(self.access.server, self.access.context, error) from error

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _pause(response: Any) -> float | None:
    """After how many seconds the server wants to be asked again; None where it does not."""
    told = str(response.headers.get("Retry-After") or "")
    return max(float(told), 0.1) if response.status in (429, 503) and told.isdigit() else None
