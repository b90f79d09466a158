"""``env: export``: the environment as a file, for an editor or a program that is started by hand.

Rules:
- it is written under another name, readable by nobody else, and then renamed: a reader never sees half of it;
- a file that devcluster did not write is never overwritten, and neither is one that was changed since;
- what the format can't carry is left out and named;
- `down` removes the file if it is unchanged.  A keyed digest of it is kept, since values of the environment
  are secrets.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from devcluster.config.read.forms import export_format
from devcluster.errors import ConfigurationError
from devcluster.rules.container.environment import LocalEnvironment
from devcluster.rules.container.environment_formats import can_carry, render_environment
from devcluster.run.place import Place
from devcluster.run.private_file import write_private
from devcluster.run.site import read_secret

Json = dict[str, Any]


class Exports:
    """Those of one project."""

    def __init__(self, place: Place) -> None:
        self._file = place.state / "exports.json"
        self._key = read_secret(place)
        self._known: dict[str, Json] = {}
        if self._file.exists():
            self._known = json.loads(self._file.read_text())

    def check(self, files: Iterable[Path]) -> None:
        """ConfigurationError for a file that devcluster did not write."""
        for file in files:
            if not os.access(file.parent, os.W_OK | os.X_OK):
                raise ConfigurationError(f"env.export: {file.parent} is not a folder that you may write to")
            if os.path.lexists(file) and str(file) not in self._known:
                raise ConfigurationError(
                    f"env.export: {file} already exists, and devcluster did not write it",
                    hint="move it away, or choose another name",
                )

    def write(self, key: str, file: Path | None, environment: LocalEnvironment) -> list[str]:
        """What there is to tell.  *file* None: the workload *key* exports nothing (any more)."""
        told = self.remove([key], but=file)
        if file is None:
            return told
        form = export_format(file.name)
        assert form is not None
        pairs = [pair for pair in environment.variables if can_carry(form, *pair)]
        left = sorted({name for name, _ in environment.variables} - {name for name, _ in pairs})
        content = render_environment(pairs, form).encode("utf-8", "surrogateescape")
        if left:
            shown = ", ".join(name.encode("unicode_escape").decode() for name in left)
            told.append(f"{file}: without {shown}, which the format {form} can't carry")
        if self._is_changed(file):
            return [*told, f"{file} was changed here, and is left as it is"]
        self._known[str(file)] = {"workload": key, "digest": self._digest(content)}
        self._save()  # before the file: one that is there is always known
        try:
            write_private(file, content)
        except OSError as error:
            return [*told, f"{file} can't be written: {error.strerror}"]
        return [*told, f"{len(pairs)} variables are in {file}"]

    def remove(self, only: Collection[str] = (), *, but: Path | None = None) -> list[str]:
        """Remove the files of the workloads *only* (none: of all) that are unchanged; name the others."""
        told = []
        for name, about in sorted(self._known.items()):
            if (only and about["workload"] not in only) or name == str(but):
                continue
            if self._is_changed(Path(name)):
                told.append(f"kept: {name} was changed here")
            else:
                Path(name).unlink(missing_ok=True)
            del self._known[name]
            self._save()
        return told

    def _is_changed(self, file: Path) -> bool:
        try:
            content = file.read_bytes()
        except OSError:
            return os.path.lexists(file)
        about = self._known.get(str(file))
        return about is None or not hmac.compare_digest(about["digest"], self._digest(content))

    def _digest(self, content: bytes) -> str:
        return hmac.new(self._key, content, hashlib.sha256).hexdigest()

    def _save(self) -> None:
        if self._known:
            write_private(self._file, json.dumps(self._known).encode())
        else:
            self._file.unlink(missing_ok=True)
