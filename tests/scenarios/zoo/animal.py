"""A manifest of the zoo: what is created, what is asked, and by whom.

Its first document is the zoo's own (``kind: Animal``); the others are created as they stand, with the images
that ``zoo/NAME`` means.  So a new animal is a new file, and no line of Python.

    file:       of devcluster.yaml, what is below ``workloads``
    ordinary:   true: it belongs to every run of the tests
    ask:        from a pod of the cluster: {get: URL} or {tcp: HOST:PORT, send: TEXT}, and what the answer
                shows, as a regular expression: `says` always, or `original` and, while attached, `local`.
                $POD in a URL is the address of the workload's pod
    inside:     in the local container: {run: [WORDS]} and what its output shows: `says`
    plan, up:   what `plan` and the first `up` say
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]
FOLDER = Path(__file__).resolve().parent
_IMAGE = re.compile(r"^(zoo/)([a-z]+)$")


@dataclass(frozen=True, slots=True)
class Animal:
    """``file``: below ``workloads``; ``objects``: in the order of their creation."""

    name: str
    file: Json
    ordinary: bool
    ask: tuple[Json, ...]
    inside: tuple[Json, ...]
    plan: tuple[str, ...]
    up: tuple[str, ...]
    objects: tuple[Json, ...]

    @property
    def images(self) -> frozenset[str]:
        """The names behind ``zoo/``."""
        return frozenset(_images(self.objects))

    @property
    def workloads(self) -> tuple[Json, ...]:
        """Those that have pods."""
        return tuple(it for it in self.objects if "template" in it.get("spec", {}))

    @property
    def key(self) -> str:
        """The workload that is asked about."""
        return next(iter(self.file))


def read_animals() -> tuple[Animal, ...]:
    """All of the zoo, by name."""
    return tuple(_read(path) for path in sorted(FOLDER.glob("*.yaml")))


def _read(path: Path) -> Animal:
    own, *objects = yaml.safe_load_all(path.read_text())
    assert own.pop("kind") == "Animal", f"{path.name}: the first document is the zoo's own"
    ask, inside = tuple(own.pop("ask", ())), tuple(own.pop("inside", ()))
    plan, up = tuple(own.pop("plan", ())), tuple(own.pop("up", ()))
    animal = Animal(
        path.stem, own.pop("file"), own.pop("ordinary", False), ask, inside, plan, up, tuple(objects)
    )
    assert not own, f"{path.name}: {', '.join(own)}"
    return animal


def with_images(value: Any, tags: dict[str, str]) -> Any:
    """*value* with a tag of the engine for each ``zoo/NAME``."""
    if isinstance(value, dict):
        return {key: with_images(item, tags) for key, item in value.items()}
    if isinstance(value, list):
        return [with_images(item, tags) for item in value]
    found = _IMAGE.match(value) if isinstance(value, str) else None
    return tags[found[2]] if found else value


def _images(value: Any) -> list[str]:
    if isinstance(value, dict | list | tuple):
        items = value.values() if isinstance(value, dict) else value
        return functools.reduce(lambda known, item: known + _images(item), items, list[str]())
    found = _IMAGE.match(value) if isinstance(value, str) else None
    return [found[2]] if found else []
