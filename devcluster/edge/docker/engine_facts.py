"""What the engine says of itself."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from devcluster.edge.docker.call import Calls


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """For ``doctor``.  ``free_bytes`` None: the engine's disk is not on this machine."""

    version: str
    architecture: str
    context: str
    host: str
    rootless: bool
    free_bytes: int | None


async def describe(calls: Calls) -> EngineFacts:
    info = await calls.call("ask the engine about itself", calls.api.info)
    version = await calls.call("ask the engine for its version", calls.api.version)
    return EngineFacts(
        version=str(version.get("Version", "")),
        architecture=str(version.get("Arch", "")),
        context=calls.context,
        host=calls.host,
        rootless=any("rootless" in str(option) for option in info.get("SecurityOptions") or ()),
        free_bytes=_free(str(info.get("DockerRootDir") or "")) if calls.is_local else None,
    )


def _free(root: str) -> int | None:
    for path in (root, "/var/lib"):
        try:
            return shutil.disk_usage(path).free
        except OSError:
            continue
    return None
