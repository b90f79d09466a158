"""An image that only one scenario has: the test application's, with another id and perhaps a layer on top."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.edge.cluster_world import node_of
from tests.edge.registry import renamed
from tests.scenarios.world import World


@contextmanager
def own_image(world: World, reference: str, *, layer: bytes = b"", here: bool = True) -> Iterator[bytes]:
    """On the cluster's node as *reference* (with a registry's name) and, where it is to be *here*, in the
    laptop's engine; its archive.  *layer*: a tar."""
    node = ["exec", "-i", node_of(Path(world.environ["KUBECONFIG"])), "ctr", "-n", "k8s.io", "images"]
    archive = renamed(_docker("save", world.app), reference, world.namespace, layer)
    _docker(*node, "import", "-", given=archive)
    try:
        if here:
            _docker("load", given=archive)
        yield archive
    finally:
        _docker(*node, "rm", reference)
        if is_here(reference):
            _docker("rmi", reference)


def is_here(reference: str) -> bool:
    """Whether the laptop's engine has it."""
    command = ["docker", "image", "inspect", reference]
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0


def _docker(*words: str, given: bytes = b"") -> bytes:
    return subprocess.run(
        ["docker", *words], input=given, capture_output=True, check=True, timeout=120
    ).stdout
