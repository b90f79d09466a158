"""An agent's control and files, by SSH over a lane.

The agent accepts one public key, the laptop's, and presents one host key.  Both were made by the first ``up``
and are kept in the workload's Secret, so neither side has to trust on first use.

asyncssh takes a third of a second to import, and most commands talk to no agent, so it is imported only where
it is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from devcluster.edge.background import running
from devcluster.edge.kube.cluster import UpgradeTarget
from devcluster.edge.lane.lanes import AgentAddress, LaneError, Side
from devcluster.edge.lane.ways import Ways
from devcluster.edge.lines import Json, Lines
from devcluster.errors import ClusterError
from devcluster.rules.agent.facts import PodFacts, parse_facts

if TYPE_CHECKING:
    import asyncssh

_USER = "devcluster"
_PART = 64 << 10  # bytes of a live volume at a time
_LONG = 24 * 3600.0  # the agent's own bounds end a stop or a release long before


@dataclass(frozen=True, slots=True)
class Keys:
    """Both sides' keys: ours in full (PEM), and the agent's public one (an OpenSSH line)."""

    laptop: bytes = field(repr=False)
    agent_public: str = ""


class UnreadableError(ClusterError):
    """The agent is well and can't read what it was asked for; ``reason``: its words."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class SyncChannel:
    """Raw bytes in both directions.  A lost connection is a ClusterError, and so is an agent's refusal."""

    def __init__(self, process: asyncssh.SSHClientProcess[bytes], pod: str, root: str) -> None:
        self._process, self._pod, self._root = process, pod, root

    async def read(self) -> bytes:
        """The next bytes; b'' at the end."""
        import asyncssh

        try:
            if part := await self._process.stdout.read(_PART):
                return part
            reason = (await self._process.stderr.read()).decode("utf-8", "replace").strip()
        except (asyncssh.Error, OSError) as error:
            raise ClusterError(f"the connection to pod {self._pod} was lost: {error}") from error
        if reason:
            raise ClusterError(f"the agent of {self._pod} can't sync {self._root}: {reason}")
        return b""

    async def write(self, data: bytes) -> None:
        """Return when there is room for more."""
        import asyncssh

        try:
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        except (asyncssh.Error, OSError) as error:
            raise ClusterError(f"the connection to pod {self._pod} was lost: {error}") from error


class AgentLink:
    """One agent: control calls, and trees of files (the TreeSource of ``run.volume``)."""

    def __init__(
        self, address: AgentAddress, connection: asyncssh.SSHClientConnection, lines: Lines, side: Side
    ) -> None:
        self.address = address
        self._side = side
        self._connection = connection
        self._lines = lines

    @property
    def heard(self) -> float:
        """When anything at all last came from there, by the monotonic clock.  An answer may be waiting behind
        megabytes."""
        return self._side.heard

    async def call(self, do: str, *, timeout: float = _LONG, **arguments: Any) -> Json:
        """One request of the control table.  Raises RefusedError, ConnectionError or TimeoutError."""
        return await self._lines.call(do, timeout=timeout, **arguments)

    async def ended(self) -> None:
        """Return when the connection is over."""
        await self._lines.ended()

    @contextlib.asynccontextmanager
    async def open_sync(self, root: str) -> AsyncIterator[SyncChannel]:
        """The pod's side of the live volume *root*: raw bytes for the engine that speaks with it."""
        import asyncssh

        try:
            process = await self._connection.create_process(subsystem="sync", encoding=None)
        except (asyncssh.Error, OSError) as error:
            raise ClusterError(f"the connection to pod {self.address.pod} was lost: {error}") from error
        try:
            process.stdin.write(json.dumps({"root": root}).encode() + b"\n")
            yield SyncChannel(process, self.address.pod, root)
        finally:
            process.close()

    async def inspect(self, paths: Sequence[str] = ()) -> PodFacts:
        """With where *paths* really lead."""
        return parse_facts(await self.call("inspect", timeout=30, paths=list(paths)))

    async def scan(self, root: str, exclude: Sequence[str]) -> list[Json]:
        """Every entry below *root* in walk order, as ``scan`` in docs/architecture.md gives it."""
        request = {"do": "scan", "root": root, "exclude": list(exclude)}
        data = b"".join([chunk async for chunk in self._files(request)])
        return [json.loads(line) for line in data.splitlines()]

    async def pack(
        self, root: str, exclude: Sequence[str], paths: Sequence[str] | None
    ) -> AsyncIterator[bytes]:
        """A PAX tar stream of *root*, or of *paths* below it."""
        request: Json = {"do": "pack", "root": root, "exclude": list(exclude)}
        if paths is not None:
            request["paths"] = list(paths)
        async for chunk in self._files(request):
            yield chunk

    async def _files(self, request: Json) -> AsyncIterator[bytes]:
        import asyncssh

        try:
            async for chunk in self._read_files(request):
                yield chunk
        except (asyncssh.Error, OSError) as error:
            raise ClusterError(
                f"the connection to the agent of pod {self.address.pod} was lost: {error}"
            ) from error

    async def _read_files(self, request: Json) -> AsyncIterator[bytes]:
        process = await self._connection.create_process(subsystem="files", encoding=None)
        async with process:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.write_eof()
            while chunk := await process.stdout.read(256 * 1024):
                yield chunk
            reason = (await process.stderr.read()).decode("utf-8", "replace").strip()
            await process.wait_closed()
            if process.exit_status != 0:
                pod, root = self.address.pod, request["root"]
                raise UnreadableError(f"the agent of {pod} could not read {root}: {reason}", reason=reason)


class StrangerError(LaneError):
    """The pod's agent has other keys: it was installed after the one that is asked for."""


@contextlib.asynccontextmanager
async def open_agent(
    ways: Ways,
    target: Callable[[], Awaitable[UpgradeTarget]],
    address: AgentAddress,
    keys: Keys,
    *,
    timeout: float,
    on_state: Callable[[Json], None] | None = None,
) -> AsyncIterator[AgentLink]:
    """The control conversation with one agent.  When it breaks, its calls raise ConnectionError.

    Raises LaneError where the agent can't be reached, StrangerError where it is not the one that *keys* name.
    """
    import asyncssh

    sock, side = await ways.open_socket(await target(), address, timeout=timeout)
    try:
        async with asyncio.timeout(timeout):
            connection = await _connect(sock, keys)
    except (asyncssh.HostKeyNotVerifiable, asyncssh.PermissionDenied) as error:
        sock.close()
        raise StrangerError(f"the agent of pod {address.pod} was installed anew, with other keys") from error
    except (asyncssh.Error, OSError, TimeoutError) as error:
        sock.close()
        raise LaneError(f"the agent of pod {address.pod} refused the login: {error}") from error
    async with connection:
        process = await _control(connection, address)

        def on_event(event: Json) -> None:
            if on_state is not None and event.get("event") == "state":
                on_state(event["state"])

        lines = Lines(process.stdout, process.stdin.write, on_event=on_event)
        try:
            async with running(_read(lines), name=f"control {address.pod}"):
                yield AgentLink(address, connection, lines, side)
        finally:
            connection.abort()


async def _control(
    connection: asyncssh.SSHClientConnection, address: AgentAddress
) -> asyncssh.SSHClientProcess[bytes]:
    import asyncssh

    try:
        return await connection.create_process(subsystem="control", encoding=None)
    except (asyncssh.Error, OSError) as error:
        raise LaneError(f"the agent of pod {address.pod} ended the connection: {error}") from error


async def _read(lines: Lines) -> None:
    import asyncssh

    try:
        await lines.run()
    except* asyncssh.Error:
        pass  # an end like any other: whoever waits for an answer knows


def _name_user() -> None:
    """asyncssh asks who runs it, though the answer is used nowhere; a container's user may have no name."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = str(os.getuid())


async def _connect(sock: Any, keys: Keys) -> asyncssh.SSHClientConnection:
    import asyncssh

    _name_user()
    host_key = asyncssh.import_public_key(keys.agent_public)
    return await asyncssh.connect(
        "agent",
        sock=sock,
        username=_USER,
        client_keys=[asyncssh.import_private_key(keys.laptop)],
        known_hosts=([host_key], [], []),
        server_host_key_algs=["ssh-ed25519"],
        agent_path=None,
        config=None,
        keepalive_interval=5,
        keepalive_count_max=3,
        compression_algs=["none"],
        encryption_algs=["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"],
    )
