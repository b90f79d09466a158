"""Find the file, read it, and say all that is wrong with it at once.

``parse_project`` is pure; ``load_project`` brings it the file, ``.env`` beside it and the env files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from devcluster.config.build import Surroundings, build_project
from devcluster.config.document import Fault, Item, Scalar, compose, split_lines
from devcluster.config.document import Mapping as Map
from devcluster.config.dotenv import parse_dotenv
from devcluster.config.interpolate import Lookup, interpolate
from devcluster.config.keys import KEYS, PROJECT
from devcluster.config.masks import Place, secret_lines
from devcluster.config.model import Project
from devcluster.config.problems import Problem, refuse
from devcluster.config.shapes import Reading
from devcluster.errors import ConfigurationError

NAMES = ("devcluster.yaml", "devcluster.yml")
_HINT = "workloads:\n  NAME-OF-A-DEPLOYMENT: {}"


def find_file(cwd: Path) -> Path | None:
    """``devcluster.yaml`` in *cwd* or the nearest parent that has one."""
    for folder in (cwd, *cwd.parents):
        for name in NAMES:
            if os.path.isfile(folder / name):  # a folder that may not be looked into has none
                return folder / name
    return None


def load_project(
    *, file: Path | None, cwd: Path, environ: Mapping[str, str], name_override: str | None = None
) -> Project:
    """The project of *file*, or of the nearest one; ConfigurationError with every problem."""
    path = cwd / file if file is not None else find_file(cwd)
    if path is None:
        raise ConfigurationError(
            f"no devcluster.yaml in {cwd} or above", hint=f"write one, the shortest is\n{_HINT}"
        )
    path = _real(path)
    text = _read_text(path)
    return parse_project(
        text,
        path=path,
        environ=environ,
        dotenv=_read_dotenv(path.parent / ".env", environ),
        env_files=lambda other: other.read_text("utf-8"),
        name_override=name_override,
        shown=os.path.relpath(path, os.path.realpath(cwd)),
    )


def _real(path: Path) -> Path:
    """In the folder's real name: it is the project's, be one in it, say ``../devcluster.yaml`` or come by
    a symbolic link.  A link that is the file itself belongs where it stands, as with Compose."""
    return Path(os.path.realpath(path.parent)) / path.name


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8") from None
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from error


def _read_dotenv(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        pairs = parse_dotenv(_read_text(path), environ.get)
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from None
    return {name: value for name, value in pairs.items() if value is not None}


def parse_project(
    text: str,
    *,
    path: Path,
    environ: Mapping[str, str],
    dotenv: Mapping[str, str],
    env_files: Callable[[Path], str],
    name_override: str | None = None,
    shown: str | None = None,
) -> Project:
    """*text* as a Project.  *path*: absolute, for the default name and relative paths; not read.
    *env_files* gives an env file's text (OSError, UnicodeDecodeError); *shown*: the path for messages."""
    shown, lines = shown or path.name, split_lines(text)
    try:
        item, faults, secrets = compose(text)
    except Fault as fault:
        problem = Problem(fault.place, "", fault.text)
        refuse([problem], shown=shown, lines=lines, masks=secret_lines(lines, KEYS))
        raise AssertionError from fault
    problems = [Problem(fault.place, fault.path, fault.text) for fault in faults]
    lookup = _lookup(environ, dotenv)
    masks = [*secrets]
    reading = Reading(problems, lambda raw: interpolate(raw, lookup), masks=masks)
    found: Any = None
    if item is None or (isinstance(item, Scalar) and item.null):
        problems.append(Problem(Place(), "", "the file is empty: workloads is missing"))
    else:
        found = PROJECT.read(item, reading)
    refuse(problems, shown=shown, lines=lines, masks=masks)
    around = Surroundings(path.parent, lookup, env_files, _collector(item, problems))
    name = name_override or found.get("name") or normalise_name(path.parent.name)
    project = build_project(found, name, path, around)
    refuse(problems, shown=shown, lines=lines, masks=masks)
    return project


def _lookup(environ: Mapping[str, str], dotenv: Mapping[str, str]) -> Lookup:
    return lambda name: environ[name] if name in environ else dotenv.get(name)


def normalise_name(folder: str) -> str:
    """A folder's name as Compose makes a project's name of it."""
    return re.sub(r"[^a-z0-9_-]", "", folder.lower()).lstrip("_-")[:63] or "devcluster"


def _collector(item: Item | None, problems: list[Problem]) -> Callable[[str, str, str], None]:
    """Problems that only what lies outside of the file shows, at the place of the setting."""

    def note(workload: str, setting: str, reason: str) -> None:
        value = _at(item, ("workloads", workload, setting))
        place = value.place if value is not None else Place()
        problems.append(Problem(place, f"workloads.{workload}.{setting}", reason))

    return note


def _at(item: Item | None, path: tuple[str, ...]) -> Item | None:
    for name in path:
        entries = item.entries if isinstance(item, Map) else ()
        item = next((value for key, value in entries if key.text == name), None)
    return item
