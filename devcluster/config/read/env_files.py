"""Other files that this file names: those of ``env_file``, and a seccomp profile of ``security_opt``.

They are read with the file, so that their problems are reported with all others, at the position of their
name.  No message shows a value of theirs.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from devcluster.config.read.document import Item, Mapping, value_of
from devcluster.config.read.document import Sequence as Items
from devcluster.config.read.shapes import FLAG, Choice, Reading, Schema
from devcluster.config.read.structures import Either, Fields, Key, many
from devcluster.config.read.values import FILLED, TEXT
from devcluster.config.text.dotenv import parse_dotenv
from devcluster.config.text.interpolate import Lookup

Variables = dict[str, str | None]

_FILES = many(
    Either(
        "a path, or {path: …, required: …}",
        scalar=FILLED,
        mapping=Fields(
            (
                Key("path", FILLED, "the file", needed=True),
                Key("required", FLAG, "false: the file may be missing"),
                Key("format", Choice(("raw",)), "raw: no interpolation, and quotes stay"),
            )
        ),
    ),
    alone=True,
    expected="a path or a list of paths",
)


class EnvFiles:
    """Paths; gives the variables of all files, None for one without a value.  A later file wins."""

    def read(self, item: Item, where: Reading) -> tuple[tuple[str, str | None], ...]:
        several = isinstance(item, Items)
        parts = item.items if isinstance(item, Items) else (item,)
        variables: Variables = {}
        for index, (part, entry) in enumerate(zip(parts, _FILES.read(item, where), strict=False)):
            if entry is not None:
                inside = where.at(index) if several else where
                variables |= _read_file(entry, part, inside, dict(variables))
        return tuple(variables.items())

    def schema(self) -> Schema:
        return _FILES.schema()


def _read_file(entry: Any, item: Item, where: Reading, before: Variables) -> Variables:
    settings = entry if isinstance(entry, dict) else {"path": entry}
    path = settings["path"]
    shown = where.told(value_of(item, "path") if isinstance(item, Mapping) else item, path)

    def fault(line: int, text: str) -> None:
        where.note(item, f"{shown}: line {line}: {text}")

    def unset(line: int, name: str) -> None:
        where.around.unset(name, f"{shown}:{line}:1")

    try:
        text = where.around.read(absolute(path, where.around.folder))
    except FileNotFoundError:
        if settings.get("required", True):
            where.note(item, f"{shown} does not exist")
    except OSError as error:
        where.note(item, _unreadable(shown, error))
    except UnicodeDecodeError:
        where.note(item, f"{shown} is not UTF-8")
    else:
        raw, known = settings.get("format") == "raw", _known(where.around.lookup, before)
        return parse_dotenv(text, known, raw=raw, fault=fault, unset=unset)
    return {}


def _known(lookup: Lookup, before: Variables) -> Lookup:
    """What an env file may refer to: the shell's variables, then those that earlier files set."""

    def known(name: str) -> str | None:
        value = lookup(name)
        return before.get(name) if value is None else value

    return known


class SecurityOptions:
    """Docker's.  A seccomp profile is sent as its text, since the engine can't read the laptop's files."""

    lines = many(TEXT)

    def read(self, item: Item, where: Reading) -> tuple[str, ...]:
        options = self.lines.read(item, where)
        parts = item.items if isinstance(item, Items) else ()
        return tuple(
            self._option(option, part, where.at(index))
            for index, (option, part) in enumerate(zip(options, parts, strict=False))
            if option is not None
        )

    def _option(self, option: str, item: Item, where: Reading) -> str:
        name, mark, path = option.partition("=" if "=" in option else ":")
        if name != "seccomp" or not mark or path in ("unconfined", "builtin") or path.startswith("{"):
            return option
        shown = where.told(item, path)
        try:
            profile = json.loads(where.around.read(absolute(path, where.around.folder)))
        except OSError as error:
            where.note(item, _unreadable(shown, error))
        except ValueError:
            where.note(item, f"{shown} is not JSON")
        else:
            return f"seccomp={json.dumps(profile, separators=(',', ':'))}"
        return option

    def schema(self) -> Schema:
        return self.lines.schema()


def absolute(path: str, folder: Path) -> Path:
    """Relative to the file, as in Compose; ``..`` is resolved without looking at the disk."""
    return Path(os.path.normpath(folder / os.path.expanduser(path)))


def _unreadable(path: str, error: OSError) -> str:
    return f"{path} can't be read: {os.strerror(error.errno or 5)}"
