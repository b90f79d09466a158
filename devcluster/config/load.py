"""Find the file, read it, and report all of its problems at once.

``parse_project`` is pure; ``load_project`` reads the file, ``.env`` beside it and the env files for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from devcluster.config.check.positions import Position
from devcluster.config.check.problems import Problem, refuse
from devcluster.config.model import Project
from devcluster.config.read.build import build_project
from devcluster.config.read.document import Fault, Scalar, compose, split_lines
from devcluster.config.read.keys import PROJECT
from devcluster.config.read.shapes import FileSurroundings, Reading
from devcluster.config.text.dotenv import parse_dotenv
from devcluster.config.text.interpolate import Lookup
from devcluster.errors import ConfigurationError

NAMES = ("devcluster.yaml", "devcluster.yml")


def find_file(cwd: Path) -> Path | None:
    """``devcluster.yaml`` in *cwd* or the nearest parent that has one."""
    for folder in (cwd, *cwd.parents):
        for name in NAMES:
            if os.path.isfile(folder / name):  # a folder that can't be read has none
                return folder / name
    return None


def _ignore(warning: str) -> None:
    pass


def load_project(
    *,
    file: Path,
    cwd: Path,
    environ: Mapping[str, str],
    warn: Callable[[str], None] = _ignore,
) -> Project:
    """The project of *file* (relative to *cwd*); ConfigurationError with every problem.  *warn* is called
    with what is not an error but may be a mistake."""
    path = _real(cwd / file)
    home = os.path.realpath(cwd)
    text, others, unset = _read_text(path), list[str](), _Unset(warn)
    return parse_project(
        text,
        path=path,
        environ=environ,
        dotenv=_read_dotenv(path.parent / ".env", home, environ, others, unset),
        env_files=lambda other: other.read_text("utf-8"),
        shown=os.path.relpath(path, home),
        others=others,
        unset=unset,
    )


class _Unset:
    """Warn once about each unset variable; it counts as empty, as in Compose.  A variable with a default is
    not unset."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._told: set[str] = set()

    def __call__(self, name: str, where: str) -> None:
        if (name or where) in self._told:
            return
        self._told.add(name or where)
        what, advice = (
            (f"the variable {name}", "") if name else ("a variable", "; write $$ for a dollar sign")
        )
        self._warn(f"{where}: warning: {what} is not set, so it is empty{advice}")


def _real(path: Path) -> Path:
    """Resolve links in the folder's path, because the folder names the project.  A link in place of the file
    itself belongs to its own folder, as with Compose."""
    return Path(os.path.realpath(path.parent)) / path.name


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8") from None
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from error


def _read_dotenv(
    path: Path, home: str, environ: Mapping[str, str], others: list[str], unset: _Unset
) -> dict[str, str]:
    """Its problems go to *others*, so that they are reported together with those of the file."""
    if not path.is_file():
        return {}
    shown = os.path.relpath(path, home)

    def fault(line: int, text: str) -> None:
        others.append(f"{shown}:{line}:1: {text}")

    def told(line: int, name: str) -> None:
        unset(name, f"{shown}:{line}:1")

    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        fault(1, "not UTF-8")
    except OSError as error:
        fault(1, f"can't be read: {error.strerror}")
    else:
        pairs = parse_dotenv(text, environ.get, fault=fault, unset=told)
        return {name: value for name, value in pairs.items() if value is not None}
    return {}


def parse_project(
    text: str,
    *,
    path: Path,
    environ: Mapping[str, str],
    dotenv: Mapping[str, str],
    env_files: Callable[[Path], str],
    shown: str | None = None,
    others: Sequence[str] = (),
    unset: Callable[[str, str], None] = lambda name, where: None,
) -> Project:
    """*text* as a Project.  *path*: absolute, for the default name and relative paths; not read.
    *env_files* gives an env file's text (OSError, UnicodeDecodeError); *shown*: the path for messages;
    *others*: what is wrong with another file; *unset*: see FileSurroundings."""
    shown, lines = shown or path.name, split_lines(text)
    near = os.path.dirname(shown)
    try:
        item, faults, values = compose(text)
    except Fault as fault:
        refuse([Problem(fault.position, "", fault.text)], shown=shown, others=others)
        raise AssertionError from fault
    problems = [Problem(fault.position, fault.path, fault.text) for fault in faults]

    def told(name: str, at: Position | str) -> None:
        here = f"{shown}:{at.line}:{at.column}" if isinstance(at, Position) else os.path.join(near, at)
        unset(name, here)

    around = FileSurroundings(path.parent, _lookup(environ, dotenv), env_files, told)
    reading = Reading(problems, around)
    found: Any = None
    if item is None or (isinstance(item, Scalar) and item.null):
        problems.append(Problem(Position(), "", "the file is empty: workloads is missing"))
    else:
        found = PROJECT.read(item, reading)
    refuse(problems, shown=shown, lines=lines, values=values, others=others)
    name = found.get("name") or normalise_name(path.parent.name)
    return build_project(found, name, path, around)


def _lookup(environ: Mapping[str, str], dotenv: Mapping[str, str]) -> Lookup:
    return lambda name: environ[name] if name in environ else dotenv.get(name)


def normalise_name(folder: str) -> str:
    """The project name that Compose makes of a folder's name."""
    return re.sub(r"[^a-z0-9_-]", "", folder.lower()).lstrip("_-")[:63] or "devcluster"
