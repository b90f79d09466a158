"""What the laptop knows of the pod's image."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """An image as Docker's inspect gives it.  ``variables``: names only, never values."""

    id: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    stop_signal: str | None
    user: str
    working_dir: str
    architecture: str
    variables: tuple[str, ...]
