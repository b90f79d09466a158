"""Images that are made on this laptop: built from a folder, imported from a file, or pulled.

The sandbox and the examples need a Debian base and images on top of it, also on machines where no registry
answers.  The engine's classic builder is used: it is part of every engine and needs no plug-in.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from devcluster.edge.docker.call import Calls, EngineRefusedError, GoneError
from devcluster.errors import EngineError


async def image_id(calls: Calls, reference: str) -> str | None:
    """The engine's id of an image (``sha256:…``); None where there is none of that name."""
    try:
        found = await calls.call(f"inspect image {reference}", calls.api.inspect_image, reference)
    except GoneError:
        return None
    return str(found["Id"])


async def build_image(
    calls: Calls,
    tag: str,
    folder: Path,
    *,
    args: Mapping[str, str] | None = None,
) -> None:
    """Build *folder* (with its Dockerfile) as *tag*.

    :raises EngineRefusedError: a step failed; the message has the builder's last lines.
    """
    what = f"build image {tag}"
    said: list[str] = []

    def start() -> Any:
        return calls.api.build(
            path=str(folder), tag=tag, buildargs=dict(args or {}), rm=True, forcerm=True, decode=True
        )

    async for item in calls.stream(what, start):
        for text in str(item.get("stream", "")).splitlines():
            if text.strip():
                said.append(text)
        if "error" in item:
            tail = "\n".join(f"  {text}" for text in said[-10:])
            explanation = str(item["error"]).strip()
            raise EngineRefusedError(
                f"can't {what}: {explanation}\n{tail}", explanation=explanation, status=0
            )


async def import_image(calls: Calls, tag: str, archive: Path) -> None:
    """Make a root file system (a tar file) into the image *tag*."""
    repository, _, version = tag.rpartition(":")
    await calls.call(
        f"import image {tag}",
        calls.api.import_image_from_file,
        str(archive),
        repository=repository,
        tag=version,
    )


async def try_pull(calls: Calls, reference: str) -> bool:
    """Whether *reference* could be pulled.  A registry that does not answer is not an error here."""
    repository, _, version = reference.rpartition(":")
    try:
        await calls.call(f"pull {reference}", calls.api.pull, repository, tag=version)
    except EngineError:
        return False
    return await image_id(calls, reference) is not None


async def engine_architecture(calls: Calls) -> str:
    """The engine's machine in Go's words, ``amd64`` or ``arm64``."""
    version = await calls.call("ask the engine its version", calls.api.version)
    return str(version["Arch"])
