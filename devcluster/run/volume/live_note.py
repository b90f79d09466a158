"""What is known of a live volume on the laptop beside its engine's memory: whether everything in it is in the
pod too, and where names were rewritten.

``equal`` is true only after an orderly end, when nothing here wrote any more.  Any other end leaves it false,
and `down` keeps the copy.  Only we can read the file (0600): names can tell secrets too.
"""

from __future__ import annotations

import json
import secrets
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from devcluster.run.private_file import write_private
from devcluster.run.volume.manifest import FileRewrite, Manifest, save_manifest


@dataclass(slots=True)
class LiveNote:
    """``copy``: which copy this is; it differs for each copy that is made, and after a while in which it was
    no live volume.  ``left``: what is not in the pod, in words.  ``key``: whose it is; ``folder``: of a
    ``path``, which `down` leaves where it is."""

    copy: str = field(default_factory=lambda: secrets.token_hex(8))
    equal: bool = True
    left: str = ""
    rewrites: dict[str, list[FileRewrite]] = field(default_factory=dict)
    key: str = ""
    folder: str = ""


def note_path(manifest: Path) -> Path:
    """Beside the *manifest* that the copy has in other modes."""
    return manifest.with_suffix(".live")


def load_note(path: Path) -> LiveNote | None:
    """None where it was never synced, or nobody knows."""
    try:
        data = json.loads(path.read_text())
        rewrites = {name: [FileRewrite(*item) for item in items] for name, items in data["rewrites"].items()}
        where = data.get("key", ""), data.get("folder", "")
        return LiveNote(data["copy"], data["equal"], data["left"], rewrites, *where)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return LiveNote(equal=False, left="its notes can't be read")


def memory_path(note: Path) -> Path:
    """Where the engine remembers what a folder of the laptop and the pod had in common."""
    return note.with_suffix(".memory")


def save_note(path: Path, note: LiveNote) -> None:
    """Whole or not at all."""
    data = asdict(note)
    data["rewrites"] = {
        name: [[it.path, it.line, it.service, it.to, it.kept] for it in items]
        for name, items in note.rewrites.items()
    }
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(path, json.dumps(data).encode())


def forget_copy(manifest: Path) -> None:
    """Forget all that is known of a copy that is removed, in any mode."""
    manifest.unlink(missing_ok=True)
    _forget_note(manifest)


def retire_note(manifest: Path, identity: str) -> None:
    """The copy *identity* is no live volume any more.  What it and the pod had in common says nothing about
    the future, and everything in it may be somebody's work."""
    if load_note(note_path(manifest)) is not None:
        save_manifest(manifest, Manifest(identity=identity))
    _forget_note(manifest)


def _forget_note(manifest: Path) -> None:
    note = note_path(manifest)
    note.unlink(missing_ok=True)
    shutil.rmtree(memory_path(note), ignore_errors=True)
