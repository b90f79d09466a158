"""Where a sandbox is found: its context, its kubeconfig, and the commands that tell more.

The kubeconfig holds an administrator's key: its folder is private and it is written in one step.
"""

from __future__ import annotations

import os
from pathlib import Path

from devcluster.edge.docker.sandbox.node import NodeInfo, SandboxEngine, container_name
from devcluster.errors import FailedError
from devcluster.run.place import make_private, state_home


def context_name(name: str) -> str:
    """The kubeconfig's context."""
    return f"sandbox-{name}"


def state_folder(name: str) -> Path:
    """Of this sandbox alone; its ``kubeconfig`` is all that is in it."""
    return state_home(os.environ) / "sandbox" / name


def name_option(name: str) -> str:
    """What a command needs to mean this sandbox."""
    return "" if name == "default" else f" --name {name}"


def where_to_look(name: str) -> str:
    return f"devcluster sandbox status{name_option(name)}; docker logs {container_name(name)}"


async def ensure_kubeconfig(engine: SandboxEngine, node: NodeInfo) -> Path:
    """Its path.  Written only where it is not there, or is of another port or another cluster: each one
    that the node gives has a key of its own, and the one in use stays good."""
    file = state_folder(node.name) / "kubeconfig"
    server = f"https://127.0.0.1:{node.port}"
    answer = await engine.ask(node.name, "kubeconfig", server, context_name(node.name))
    if answer.code:
        reason = answer.err.strip()
        raise FailedError(f"sandbox {node.name} gives no kubeconfig: {reason}", hint=where_to_look(node.name))
    if not file.is_file() or _cluster(file.read_bytes()) != _cluster(answer.out):
        _write_private(file, answer.out)
    return file


def _write_private(file: Path, content: bytes) -> None:
    make_private(file.parent)
    partial = file.with_suffix(".new")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(content)
    partial.replace(file)


def _cluster(text: bytes) -> bytes:
    """What the sandbox's kubeconfig says about the cluster: everything before its user."""
    return text.partition(b"\nusers:")[0]
