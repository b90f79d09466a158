"""A Project as JSON and back, to hand it from one ``up`` to the host process of another.

The shell that runs the second ``up`` has resolved ``${VAR}`` and ``TOKEN:``; the host process has another
environment, so it can't read the file again by itself.  The naive way, pickle, would run whatever is in the
message.
"""

from __future__ import annotations

import dataclasses
import types
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from devcluster.config.model import Project


def encode_project(project: Project) -> dict[str, Any]:
    """Plain JSON.  It contains values of the environment, so it may travel only on a private socket."""
    encoded = _encode(project)
    assert isinstance(encoded, dict)
    return encoded


def decode_project(data: dict[str, Any]) -> Project:
    """The inverse of ``encode_project``; TypeError or KeyError for anything else."""
    project = _decode(Project, data)
    assert isinstance(project, Project)
    return project


def _encode(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: _encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_encode(item) for item in value]
    return str(value) if isinstance(value, Path) else value


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _decode(hint: Any, value: Any) -> Any:
    origin = get_origin(hint)
    if value is None or origin is Literal:
        return value
    if origin in (Union, types.UnionType):
        return _decode(next(kind for kind in get_args(hint) if kind is not types.NoneType), value)
    if origin is tuple:
        kinds = get_args(hint)
        every = len(kinds) == 2 and kinds[1] is Ellipsis
        return tuple(_decode(kinds[0 if every else index], item) for index, item in enumerate(value))
    if dataclasses.is_dataclass(hint):
        assert isinstance(hint, type)
        return hint(**{name: _decode(_hints(hint)[name], item) for name, item in value.items()})
    return Path(value) if hint is Path else value
