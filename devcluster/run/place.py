"""Which project this is and where its state lives.

A project is context + namespace + name.  Its state (journal, socket, log, volumes' manifests) is in
``$XDG_STATE_HOME/devcluster/PROJECT``, readable by nobody else.

Source: https://specifications.freedesktop.org/basedir-spec/latest/
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from devcluster.rules.naming import project_id


@dataclass(frozen=True, slots=True)
class Place:
    """``id`` names the project's Docker objects and its folder ``state``."""

    context: str
    namespace: str
    name: str
    id: str
    state: Path

    @property
    def socket(self) -> Path:
        return self.state / "session.sock"

    @property
    def log(self) -> Path:
        return self.state / "session.log"


def state_home(environ: Mapping[str, str]) -> Path:
    """The folder of all projects."""
    home = environ.get("XDG_STATE_HOME") or os.path.join(environ.get("HOME", "/"), ".local", "state")
    return Path(home) / "devcluster"


def place_of(context: str, namespace: str, name: str, environ: Mapping[str, str]) -> Place:
    """The project's place; its folder is made, private, where it is not there yet."""
    identity = project_id(context, namespace, name)
    state = state_home(environ) / identity
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Place(context, namespace, name, identity, state)
