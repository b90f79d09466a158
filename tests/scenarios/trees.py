"""What stands in a pod's volumes and in their copies, told by the test application on both sides.

In the pod it is run from the node's shell inside the container's own root, so that nothing of ours answers
for it; here by ``devcluster exec``.  Both say the same of what is the same: bytes, owner, mode, time, links.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from tests.scenarios.world import World

Tree = dict[str, dict[str, Any]]

_INSIDE = """
for process in /proc/[0-9]*; do
  [ -e "$process/root/app" ] || continue
  [ "$(cat "$process/root/etc/hostname" 2>/dev/null)" = "$0" ] || continue
  cd "$process/root" && exec "$@"
done
echo "no process of pod $0" >&2
exit 1
"""


@dataclass(frozen=True, slots=True)
class PodFiles:
    """The files of one pod.  ``node``: the container that is its node."""

    node: str
    pod: str

    def look(self, *paths: str) -> Tree:
        return _parse(self._run("chroot", ".", "/app", "look", *paths))

    def shell(self, script: str) -> str:
        """A script of the node's shell, in the container's root: paths without the leading slash."""
        return self._run("sh", "-euc", script)

    def _run(self, *words: str) -> str:
        command = ["docker", "exec", self.node, "sh", "-c", _INSIDE, self.pod, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout


async def pod_files(world: World, node: str, name: str = "web") -> PodFiles:
    """Of the one pod of the Deployment *name* that stays."""
    listing = await world.cluster.list("pod", world.namespace, selector=f"app={name}")
    staying = [pod for pod in listing.items if not pod["metadata"].get("deletionTimestamp")]
    (pod,) = (pod["metadata"]["name"] for pod in staying)
    return PodFiles(node, pod)


async def local_look(world: World, *paths: str, name: str = "web") -> Tree:
    """The same of the local container."""
    return _parse((await world.devcluster("exec", name, "--", "/app", "look", *paths)).stdout)


def _parse(output: str) -> Tree:
    found: Tree = json.loads(output)
    for seen in found.values():
        if seen["mode"].startswith("d"):
            seen["links"] = 0  # a count of its folders, and each file system's own affair
    return found
