"""A mount that is one file (a ``subPath`` that names a key of a ConfigMap, or a file of a claim).

The problem: the agent lists such a root as its ``.`` alone, of type ``f``.  A Docker volume is always a
directory, and mounted at the file's path it puts a directory where the program expects a file.

So its tree is this one file under the last name of the mount path.  The private volume (or ``path:``) holds
it like any other file, with everything that a fill promises, and the container mounts the file out of the
volume.  What is written to it in place stays; as in the pod, it can't be renamed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from devcluster.errors import FailedError
from devcluster.rules.volume.tarstream import END, TarReader, render_head
from devcluster.rules.volume.tree import parse_entry
from devcluster.run.volume.private_copy import TreeSource


class SingleSource:
    """*source*'s root, which is one file, as a directory that holds it under *name*."""

    def __init__(self, source: TreeSource, name: str) -> None:
        self._source, self._name = source, name

    async def scan(self, root: str, exclude: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        lines = await self._source.scan(root, ())
        if any(line["type"] == "d" for line in lines):
            raise FailedError(f"{root} became a directory while it was copied")
        return [{**line, "path": self._name} for line in lines]

    async def pack(
        self, root: str, exclude: Sequence[str], paths: Sequence[str] | None
    ) -> AsyncIterator[bytes]:
        """If the pod's user may not read the file, an empty one with its owner and mode is sent all the same:
        something must be mounted, and the program is to be refused here as it is there."""
        reader, came = TarReader(self._source.pack(root, (), None)), False
        while (member := await reader.next()) is not None:
            if came := not member.left_out:
                stored = member.size if member.sparse else None
                yield render_head(replace(member.entry, path=self._name), stored=stored)
            async for part in reader.content():
                yield part
        for line in () if came else await self.scan(root, ()):
            yield render_head(replace(parse_entry(line), size=0))
        yield END
