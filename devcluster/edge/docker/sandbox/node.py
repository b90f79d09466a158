"""The sandbox's container: made, asked, fed and removed.

Rules:
- ``--privileged`` fails where the engine itself lacks a capability, so each one is named, and the parts of
  /proc that Docker hides are shown;
- the published port is chosen once and kept in the container's settings.  An engine that chooses picks
  another one at each start, and the kubeconfig would be wrong after ``docker restart``;
- everything carries the label ``devcluster.sandbox=NAME`` and is found by it.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from devcluster.config.model import Publish
from devcluster.edge.docker.call import Calls, EngineRefusedError, GoneError, connect
from devcluster.edge.docker.ports import find_refusals
from devcluster.edge.docker.streams import Attached, start_exec
from devcluster.edge.docker.workload import run_in
from devcluster.errors import EngineError

LABEL = "devcluster.sandbox"
IMAGE = "devcluster/sandbox"
_CAPABILITIES = (
    *("AUDIT_WRITE", "DAC_READ_SEARCH", "IPC_LOCK", "LEASE", "MKNOD", "NET_ADMIN", "NET_RAW", "SETFCAP"),
    *("SYSLOG", "SYS_ADMIN", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE", "SYS_PTRACE", "SYS_RAWIO", "SYS_TIME"),
)
_UNCONFINED = ["seccomp=unconfined", "apparmor=unconfined"]
_CGROUP = "/sys/fs/cgroup"
_PORTS = range(26443, 27443)  # below the ports that the system gives to clients
_API = 6443  # inside
_TRIES = 3


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """A sandbox's container.  ``port``: of the API server on 127.0.0.1; ``state`` is Docker's word."""

    name: str
    image: str
    state: str
    port: int

    @property
    def running(self) -> bool:
        return self.state == "running"


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    out: bytes
    err: str


def container_name(name: str) -> str:
    """The name of the container, and of its volume."""
    return f"devcluster-sandbox-{name}"


@asynccontextmanager
async def open_sandbox_engine() -> AsyncIterator[SandboxEngine]:
    """The engine that the docker command line uses now."""
    calls = await connect()
    try:
        yield SandboxEngine(calls)
    finally:
        await calls.close()


class SandboxEngine:
    """What can be done with the sandboxes' containers; ``calls`` is for the rooms beside this one."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls

    async def find(self, name: str) -> NodeInfo | None:
        """The sandbox of that name."""
        what = f"inspect sandbox {name}"
        try:
            found = await self.calls.call(what, self.calls.api.inspect_container, container_name(name))
        except GoneError:
            return None
        if found["Config"].get("Labels", {}).get(LABEL) != name:
            raise EngineError(f"the container {container_name(name)} is not a sandbox of devcluster's")
        return NodeInfo(name, found["Config"]["Image"], found["State"]["Status"], _port(found))

    async def create(self, name: str, image: str, *, wish: int | None = None) -> NodeInfo:
        """Make and start its container on the first free port; *wish* is tried before the others."""
        refusal = EngineError(f"no free port from {_PORTS.start} to {_PORTS.stop - 1} for sandbox {name}")
        tries = 0
        for port in ([] if wish is None else [wish]) + _candidates(name):
            if await self.is_taken(port):
                continue
            await self.calls.call(f"create sandbox {name}", self._create, name, image, port)
            try:
                await self.start(name)
            except EngineRefusedError as error:  # by a port that nobody here knows of, or for another reason
                await self.remove(name)
                refusal, tries = error, tries + 1
            else:
                return NodeInfo(name, image, "running", port)
            if tries == _TRIES:
                break
        raise refusal

    async def is_taken(self, port: int) -> bool:
        """Whether *port* of 127.0.0.1 is known to be taken."""
        return bool(await find_refusals(self.calls, [Publish(_API, port)]))

    def _create(self, name: str, image: str, port: int) -> None:
        api = self.calls.api
        host = api.create_host_config(
            binds=[f"{_CGROUP}:{_CGROUP}:rw", f"{container_name(name)}:/var/lib/sandbox"],
            cap_add=list(_CAPABILITIES),
            cgroupns="host",
            device_cgroup_rules=["a *:* rwm"],
            port_bindings={_API: ("127.0.0.1", port)},
            security_opt=_UNCONFINED,
            tmpfs={"/run": ""},
        )
        host["MaskedPaths"], host["ReadonlyPaths"] = [], []
        api.create_volume(container_name(name), labels={LABEL: name})
        api.create_container(
            image,
            name=container_name(name),
            hostname="node",
            environment={"SANDBOX_NAME": name},
            labels={LABEL: name},
            ports=[_API],
            host_config=host,
            stop_signal="SIGTERM",
        )

    async def start(self, name: str) -> None:
        """Start its container.  EngineRefusedError where its port is taken, or for another reason."""
        await self.calls.call(f"start sandbox {name}", self.calls.api.start, container_name(name))

    async def remove(self, name: str) -> bool:
        """Remove its container, and what an interrupted sweep left; False where there was none."""
        what = f"remove sandbox {name}"
        only = {"label": f"{LABEL}={name}"}
        found = await self.calls.call(what, self.calls.api.containers, all=True, filters=only)
        for container in found:
            with contextlib.suppress(GoneError):
                await self.calls.call(what, self.calls.api.remove_container, container["Id"], force=True)
        return bool(found)

    async def remove_volume(self, name: str) -> bool:
        """Remove its volume; False where there was none."""
        what = f"remove the volume of sandbox {name}"
        try:
            await self.calls.call(what, self.calls.api.remove_volume, container_name(name))
        except GoneError:
            return False
        return True

    async def sweep(self, name: str, image: str) -> None:
        """Remove what a former sandbox left in the host's control groups."""
        answer = await self.calls.call(f"sweep the groups of sandbox {name}", self._sweep, name, image)
        if answer.code:
            raise EngineError(f"the control groups of sandbox {name} can't be removed: {answer.err.strip()}")

    def _sweep(self, name: str, image: str) -> Answer:
        api = self.calls.api
        host = api.create_host_config(
            binds=[f"{_CGROUP}:{_CGROUP}:rw"], cgroupns="host", network_mode="none", security_opt=_UNCONFINED
        )
        made = api.create_container(image, ["sweep", name], host_config=host, labels={LABEL: name})
        try:
            api.start(made["Id"])
            code = api.wait(made["Id"])["StatusCode"]
            return Answer(code, b"", api.logs(made["Id"]).decode(errors="replace"))
        finally:
            api.remove_container(made["Id"], force=True)

    async def images(self) -> tuple[str, ...]:
        """Tags of sandbox images, newest first."""
        found = await self.calls.call("list images", self.calls.api.images, IMAGE)
        newest = sorted(found, key=lambda image: -int(image["Created"]))
        return tuple(tag for image in newest for tag in image.get("RepoTags") or () if tag != "<none>:<none>")

    async def log(self, name: str, lines: int) -> str:
        """The last lines of the container's own log."""
        what = f"read the log of sandbox {name}"
        text = await self.calls.call(what, self.calls.api.logs, container_name(name), tail=lines)
        return str(text.decode(errors="replace")).rstrip()

    async def ask(self, name: str, *command: str) -> Answer:
        """Run ``node COMMAND`` inside."""
        said = await run_in(self.calls, container_name(name), ["node", *command])
        return Answer(said.code, said.stdout, said.stderr.decode(errors="replace"))

    async def watch(self, name: str) -> AsyncGenerator[dict[str, Any], None]:
        """The node's board after each change, until everything works or the container ends."""
        rest = b""
        async for chunk in self.calls.stream(f"watch sandbox {name}", lambda: self._watch(name)):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield json.loads(line)

    def _watch(self, name: str) -> _Output:
        made = self.calls.api.exec_create(container_name(name), ["node", "status", "watch"], stderr=False)
        return _Output(start_exec(self.calls, made["Id"], tty=False))

    async def load(self, name: str, reference: str) -> None:
        """Stream an image of the engine into the node's containerd, under the same reference."""
        answer = await self.calls.call(f"load {reference} into sandbox {name}", self._load, name, reference)
        if answer.code:
            reason = answer.err.strip().removeprefix("node: ")
            raise EngineError(f"can't load {reference} into sandbox {name}: {reason}")

    def _load(self, name: str, reference: str) -> Answer:
        api = self.calls.api
        made = api.exec_create(container_name(name), ["node", "load"], stdin=True)
        attached = start_exec(self.calls, made["Id"], tty=False)
        attached.limit(None)
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it says below why it ended
                for chunk in api.get_image(reference):
                    attached.write(chunk)
            said = b"".join(data for _, data in attached.frames())
        finally:
            attached.close()
        return Answer(api.exec_inspect(made["Id"])["ExitCode"], b"", said.decode(errors="replace"))


class _Output:
    """A command's output, as a stream that can be closed from another thread."""

    def __init__(self, attached: Attached) -> None:
        self._attached = attached
        attached.limit(None)

    def __iter__(self) -> Iterator[bytes]:
        return (data for _, data in self._attached.frames())

    def close(self) -> None:
        self._attached.close()


def _port(found: dict[str, Any]) -> int:
    bound = (found["HostConfig"].get("PortBindings") or {}).get(f"{_API}/tcp") or [{}]
    return int(bound[0].get("HostPort") or 0)


def _candidates(name: str) -> list[int]:
    """Every port for sandboxes, beginning with one that the name decides; ``default`` gets the first."""
    first = 0 if name == "default" else zlib.crc32(name.encode()) % len(_PORTS)
    return [*_PORTS[first:], *_PORTS[:first]]
