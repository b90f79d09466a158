"""Private copies go, except those in which somebody has worked."""

from __future__ import annotations

from collections.abc import Collection

from devcluster.edge.docker.engine import Engine
from devcluster.edge.docker.files import VolumeDestination
from devcluster.run.place import Place
from devcluster.run.volume.volumes import describe_local_changes, manifest_path


async def remove_copies(
    engine: Engine, place: Place, only: Collection[str] = (), *, changed: bool = False
) -> list[str]:
    """Those of the workloads *only* (none: of all); *changed*: also what was changed here.  What is kept, in
    words.  The engine must have the gateway's image, which looks into them."""
    kept = []
    for name, key in await engine.list_volumes(place.id):
        if only and key not in only:
            continue
        target = VolumeDestination.named(engine, place.id, key, name)
        manifest = manifest_path(place, target)
        changes = () if changed else await describe_local_changes(target, manifest)
        if changes:
            kept.append(f"kept: volume {name} has {len(changes)} changes made here; `down -v` removes it")
            continue
        await engine.remove_volume(name)
        manifest.unlink(missing_ok=True)
    return kept
