"""Give an image another name and push it to a registry, with the docker command line's own login."""

from __future__ import annotations

from typing import Any

from devcluster.edge.docker.call import Calls, EngineRefusedError

_HINT = "run `docker login` for it, or use another --registry"


async def push_image(calls: Calls, tag: str, target: str) -> None:
    """Push *tag* as *target* (``registry.example/team/name:tag``).

    :raises EngineRefusedError: the registry said no, in its own words.
    """
    repository, _, version = target.rpartition(":")
    await calls.call(f"tag image {tag} as {target}", calls.api.tag, tag, repository, version)
    what = f"push image {target}"

    def start() -> Any:
        return calls.api.push(repository, tag=version, stream=True, decode=True)

    async for line in calls.stream(what, start):
        if "error" in line:
            text = str(line["error"])
            raise EngineRefusedError(f"can't {what}: {text}", explanation=text, status=0, hint=_HINT)
