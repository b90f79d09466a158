"""What is known of a live volume on the laptop beside what its engine remembers: whether all that is in it is
in the pod, too, and where names were rewritten.

``equal`` is true only after an orderly end, when nothing here wrote any more: whatever ends us otherwise
leaves it false, and `down` keeps the copy.  The file is ours alone (0600): names can tell secrets too."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from devcluster.run.volume.manifest import FileRewrite


@dataclass(slots=True)
class LiveNote:
    """``copy``: which copy this is; another one for each that is made.  ``left``: what is not in the pod, in
    words."""

    copy: str = ""
    equal: bool = True
    left: str = ""
    rewrites: dict[str, list[FileRewrite]] = field(default_factory=dict)


def note_path(manifest: Path) -> Path:
    """Beside the *manifest* that the copy has in other modes."""
    return manifest.with_suffix(".live")


def load_note(path: Path) -> LiveNote | None:
    """None where it was never synced, or nobody knows."""
    try:
        data = json.loads(path.read_text())
        rewrites = {name: [FileRewrite(*item) for item in items] for name, items in data["rewrites"].items()}
        return LiveNote(data["copy"], data["equal"], data["left"], rewrites)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return LiveNote(equal=False)


def save_note(path: Path, note: LiveNote) -> None:
    """Whole or not at all."""
    data = asdict(note)
    data["rewrites"] = {
        name: [[it.path, it.line, it.service, it.to, it.kept] for it in items]
        for name, items in note.rewrites.items()
    }
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(json.dumps(data))
    part.replace(path)
