"""Images: which one is meant, and what the laptop knows of it.

To decide which image a workload runs and to obtain it are two things.  The first changes nothing, `plan` does
it too; the second may take minutes and is done by `up` alone.  Of an image that is not here yet only its name
is known: neither the pod's command nor its stop signal.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """An image as Docker's inspect gives it."""

    id: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    stop_signal: str | None
    user: str
    working_dir: str
    architecture: str
    variables: tuple[tuple[str, str], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ImageChoice:
    """``reference``: as the pod or the file names it; ``exact``: the pod's id or digest of it, or ''.

    ``facts``: of the image that is here, or None.  ``source``: what has to be pulled, '' where what is here
    will do.  ``same``: whether the pulled image must have *exact* for its id.  ``other``: the id of another
    image that is here under this name, or ''.
    """

    reference: str
    exact: str
    facts: ImageFacts | None
    source: str = ""
    same: bool = False
    other: str = ""
