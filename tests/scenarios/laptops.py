"""Other people's laptops: a user, a host name, a state folder and a project folder each.

They share this machine's engine, so each calls the cluster by a name of its own: a project is context +
namespace + name, and with it what it is called in Docker.  The host name is changed in a namespace of the
command's own (unshare --uts), which needs root.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from devcluster.edge.kube.cluster import open_cluster
from tests.scenarios.world import World


@contextlib.asynccontextmanager
async def open_laptop(world: World, user: str, *, identity: str | None = None) -> AsyncIterator[World]:
    """*user*'s laptop in *world*'s namespace, its file as *world*'s with IDENTITY *user*; at the end whatever
    is left in Docker goes away."""
    folder = world.folder / user
    folder.mkdir()
    kubeconfig = _renamed(Path(world.environ["KUBECONFIG"]), folder / "kubeconfig", f"at-{user}")
    environ = world.environ | {
        "KUBECONFIG": str(kubeconfig),
        "XDG_STATE_HOME": str(folder / "state"),
        "USER": user,
        "LOGNAME": user,
    }
    script = 'hostname "$0" && exec "$@"'
    before = ("unshare", "--uts", "sh", "-c", script, f"{user}-laptop")
    async with contextlib.AsyncExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KUBECONFIG", str(kubeconfig))
            cluster = await stack.enter_async_context(open_cluster())
        laptop = dataclasses.replace(world, cluster=cluster, folder=folder, environ=environ, before=before)
        laptop.write(shop(world.namespace, "web", user if identity is None else identity))
        try:
            yield laptop
        finally:
            await laptop.devcluster("down", "--volumes", code=None)


def shop(namespace: str, *keys: str) -> str:
    """A file with one workload or several: names, then the IDENTITY of all."""
    *names, identity = keys
    rows = [f"  {name}: {{environment: {{IDENTITY: {identity}}}}}\n" for name in names]
    return f"name: shop\nnamespace: {namespace}\nworkloads:\n{''.join(rows)}"


def host_process(world: World) -> int:
    """The process that ``up -d`` left behind."""
    (process,) = host_processes(world)
    return process


def host_processes(world: World) -> list[int]:
    """Those of *world*'s context and namespace; none where nothing is attached by ``up -d``."""
    words = [b"devcluster.run.host.process", world.cluster.context.encode(), world.namespace.encode()]
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            line = (folder / "cmdline").read_bytes().split(b"\0") if folder.name.isdigit() else []
            if all(word in line for word in words) and os.getpid() != int(folder.name):
                found.append(int(folder.name))
    return found


def resident(process: int) -> int:
    """Bytes of memory of a process of this machine, those of its containers included."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) * 1024


def _renamed(source: Path, target: Path, context: str) -> Path:
    """The same cluster under another name."""
    config = yaml.safe_load(source.read_text())
    (current,) = [item for item in config["contexts"] if item["name"] == config["current-context"]]
    config["contexts"] = [current | {"name": context}]
    config["current-context"] = context
    target.write_text(yaml.safe_dump(config))
    target.chmod(0o600)
    return target
