"""Remove private copies, except those in which somebody has worked, and live volumes that are not
in the pod."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from devcluster.edge.docker.engine import Engine
from devcluster.edge.docker.files import VolumeDestination
from devcluster.errors import RemainsError
from devcluster.rules.counted import counted
from devcluster.run.place import Place
from devcluster.run.volume.live_note import forget_copy, load_note, note_path
from devcluster.run.volume.private_copy import describe_local_changes, manifest_path


@dataclass(frozen=True, slots=True)
class Kept:
    """A copy that stays, in words; ``unsent``: it holds what exists nowhere else, though it was to
    be sent."""

    text: str
    unsent: bool = False


async def remove_copies(
    engine: Engine, place: Place, only: Collection[str] = (), *, changed: bool = False
) -> list[Kept]:
    """Remove those of the workloads *only* (none: of all); *changed*: also copies that were changed here,
    unless they are live volumes.  Return what is kept.  The engine must have the gateway's image, which looks
    into them."""
    kept = []
    for name, key in await engine.list_volumes(place.id):
        if only and key not in only:
            continue
        destination = VolumeDestination.named(engine, place.id, key, name)
        manifest = manifest_path(place, destination)
        note = load_note(note_path(manifest))
        if note is not None and not note.equal:
            kept.append(describe_unsent(f"volume {name}", note.left, f"`docker volume rm {name}`"))
            continue
        live = note is not None
        changes = () if changed or live else await describe_local_changes(destination, manifest)
        if changes:
            made = counted(len(changes), "change", "changes")
            kept.append(Kept(f"kept: volume {name} has {made} made here; `down -v` removes it"))
            continue
        await engine.remove_volume(name)
        forget_copy(manifest)
    return kept


def find_unsent_folders(place: Place, only: Collection[str] = ()) -> list[Kept]:
    """Folders of a ``path`` that hold what is not in the pod, of the workloads *only* (none: of all)."""
    notes = (load_note(path) for path in sorted((place.state / "volumes").glob("*.live")))
    return [
        describe_unsent(f"folder {note.folder}", note.left, "removing it")
        for note in notes
        if note is not None and not note.equal and (not only or note.key in only)
        if note.folder and Path(note.folder).is_dir()
    ]


def describe_unsent(what: str, left: str, removal: str) -> Kept:
    """A live volume that is not known to be in the pod as it is here."""
    why = left or "devcluster was ended before it could look"
    text = f"kept: {what} may hold what is not in the pod ({why})"
    ways = f"`devcluster up` and `devcluster down` again bring it over, {removal} throws it away"
    return Kept(f"{text}; {ways}", unsent=True)


def find_unsent(kept: Collection[Kept]) -> list[RemainsError]:
    """An error where something that was to be sent exists only here."""
    unsent = [it.text for it in kept if it.unsent]
    return [RemainsError("; ".join(unsent))] if unsent else []
