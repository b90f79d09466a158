"""The processes of a pod as its node sees them.

The test cluster's node is a container of this machine, so a pod without a shell, or one that must not be
touched, is looked at from outside: a process belongs to the pod whose name is in its /etc/hostname.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

_FIND = """
for process in /proc/[0-9]*; do
  [ "$(cat "$process/root/etc/hostname" 2>/dev/null)" = "$0" ] || continue
  tr '\\0' ' ' < "$process/cmdline" 2>/dev/null | grep -q '^/.devcluster/[^ ]* .*guard -- ' || continue
  basename "$process"
done
true
"""
_READ = """
cd "/proc/$0/root"
for file in "$@"; do
  find ".$file" -type f -readable 2>/dev/null | while read -r name; do cat "$name"; echo; done
done
"""


@dataclass(frozen=True, slots=True)
class AgentProcess:
    """The agent of one pod.  ``node``: the container; ``pid``: there."""

    node: str
    pid: int

    def rss(self) -> int:
        """Resident memory in bytes, of the agent alone."""
        status = _run(self.node, "cat", f"/proc/{self.pid}/status").decode()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1024

    def end_child(self) -> None:
        """Kill the application that the agent has started."""
        _run(self.node, "sh", "-c", "kill -9 $(cat /proc/$0/task/*/children)", str(self.pid))

    def files(self, *paths: str) -> bytes:
        """What stands in all files below *paths*, of the container's own file system, one after another."""
        return _run(self.node, "sh", "-c", _READ, str(self.pid), *paths)


def agent_process(node: str, pod: str) -> AgentProcess:
    """The agent that runs in *pod*."""
    found = _run(node, "sh", "-c", _FIND, pod).split()
    assert len(found) == 1, f"pod {pod}: {len(found)} agents"
    return AgentProcess(node, int(found[0]))


def _run(node: str, *words: str) -> bytes:
    command = ["docker", "exec", node, *words]
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
