"""Which project this is and where its state lives.

A project is context + namespace + name.  Its state (socket, log, volumes' manifests) is in
``$XDG_STATE_HOME/devcluster/PROJECT``, readable by nobody else.

Source: https://specifications.freedesktop.org/basedir-spec/latest/
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from devcluster.errors import ConfigurationError, FailedError
from devcluster.rules.cluster.identity import WorkloadRef, parse_title
from devcluster.rules.container.docker_names import project_id, project_name
from devcluster.run.private_file import write_private

# What a Unix socket's path may have in bytes: 104 on macOS and 108 on Linux, with the zero byte (unix(7)).
_LONGEST_SOCKET = 103


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
        """In ``state``; where that path is too long for a socket, in a private folder for temporary files."""
        path = self.state / "session.sock"
        if len(os.fsencode(path)) <= _LONGEST_SOCKET:
            return path
        return _private_folder() / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}.sock"

    @property
    def log(self) -> Path:
        return self.state / "session.log"

    @property
    def uses_docker(self) -> bool:
        """Whether anything of the project may be in Docker."""
        return (self.state / "docker").exists()

    def remove(self) -> None:
        """Nothing of the project is left on this laptop."""
        shutil.rmtree(self.state, ignore_errors=True)
        self.socket.unlink(missing_ok=True)

    def note_docker(self, used: bool) -> None:
        """Note that something of the project is in Docker from now on, or no longer."""
        if used:
            (self.state / "docker").touch(mode=0o600)
        else:
            (self.state / "docker").unlink(missing_ok=True)

    @property
    def workloads(self) -> dict[str, WorkloadRef]:
        """What its workloads meant when they were attached last, by key; what is on the laptop goes by the
        key, and no host process may be left to ask."""
        try:
            titles = json.loads(self._targets.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return {key: parse_title(title, self.namespace) for key, title in titles.items()}

    def note_workload(self, key: str, ref: WorkloadRef) -> None:
        """*key* means *ref* from now on."""
        self._write(self.workloads | {key: ref})

    def forget_workloads(self, keys: Collection[str] = ()) -> None:
        """Nothing of *keys* (none: of all) is here any more."""
        self._write({key: ref for key, ref in self.workloads.items() if keys and key not in keys})

    @property
    def _targets(self) -> Path:
        return self.state / "workloads.json"

    def _write(self, workloads: Mapping[str, WorkloadRef]) -> None:
        if not workloads:
            self._targets.unlink(missing_ok=True)
            return
        text = json.dumps({key: str(ref) for key, ref in workloads.items()})
        write_private(self._targets, text.encode())


def state_home(environ: Mapping[str, str]) -> Path:
    """The folder of all projects."""
    home = environ.get("XDG_STATE_HOME") or os.path.join(environ.get("HOME", "/"), ".local", "state")
    return Path(home) / "devcluster"


def known_projects(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The ids of the projects that have a folder here."""
    home = state_home(environ)
    return tuple(sorted(path.name for path in home.iterdir() if path.is_dir())) if home.is_dir() else ()


def places_of(
    identities: Iterable[str], context: str, namespaces: Iterable[str], environ: Mapping[str, str]
) -> tuple[Place, ...]:
    """Of *identities* those of the context and *namespaces*, by namespace and name."""
    named = {
        (namespace, name)
        for namespace, identity in itertools.product(namespaces, identities)
        if (name := project_name(identity, context, namespace)) is not None
    }
    return tuple(place_of(context, namespace, name, environ) for namespace, name in sorted(named))


def place_of(context: str, namespace: str, name: str, environ: Mapping[str, str]) -> Place:
    """The project's place; its private folder is made if it does not exist yet."""
    identity = project_id(context, namespace, name)
    home = state_home(environ)
    make_private(home)
    state = home / identity
    make_private(state)
    return Place(context, namespace, name, identity, state)


def make_private(folder: Path) -> None:
    """Make a folder for devcluster's own files.  ConfigurationError where it can't be made or written to."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"can't create the folder {folder}: {error.strerror}", hint=_HINT) from error
    _check_writable(folder)


def check_home(environ: Mapping[str, str]) -> None:
    """ConfigurationError where ``place_of`` would fail, as far as can be seen; makes nothing."""
    folder = state_home(environ)
    _check_writable(next(path for path in (folder, *folder.parents) if os.path.lexists(path)))


_HINT = "devcluster keeps its state there; set XDG_STATE_HOME to a folder that you can write to"


def _check_writable(folder: Path) -> None:
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is not a folder", hint=_HINT)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(f"can't write to the folder {folder}", hint=_HINT)


def _private_folder() -> Path:
    """A folder that only we can use, or an error: somebody else could answer there in our name."""
    folder = Path(tempfile.gettempdir()) / f"devcluster-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise FailedError(
            f"{folder} is not a folder that only you can read",
            hint="remove it, or set XDG_STATE_HOME to a shorter path",
        )
    return folder
