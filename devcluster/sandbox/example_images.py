"""The images of an example: built where they are absent, brought to where the cluster finds them.

A tag names its content (the build folder's files), so an edit makes another image and the same sources are
never built twice.  How an image gets to a node differs: a sandbox takes it from the Docker engine, any
other cluster from a registry, or from whatever its owner loads images with.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from devcluster.edge.docker.call import Calls, connect
from devcluster.edge.docker.sandbox.image_build import build_image, image_id
from devcluster.edge.docker.sandbox.push import push_image
from devcluster.errors import FailedError
from devcluster.run.report import Progress, Report
from devcluster.sandbox.base_image import ensure_base_image
from devcluster.sandbox.example_objects import Example

_SANDBOX = "sandbox-"


def example_folder(example: Example) -> Path:
    """``examples/NAME``: of the checkout, or the copy that an installed package carries."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package.parent / "examples", package / "_data" / "examples"):
        if (folder / example.name / "manifests").is_dir():
            return folder / example.name
    raise FailedError(
        "this installation of devcluster lacks the example's sources", hint="install from a checkout"
    )


def image_tag(folder: Path) -> str:
    """``devcluster/example-NAME:1-HASH12``, from the names and contents of the files in *folder*."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(folder).as_posix()}\0{len(content)}\0".encode() + content)
    return f"devcluster/example-{folder.name}:1-{digest.hexdigest()[:12]}"


async def ensure_images(
    example: Example, context: str, registry: str | None, report: Report
) -> dict[str, str]:
    """Build what is absent, then load (a sandbox) or push (*registry*: a prefix such as ``ghcr.io/me``).

    Returns the reference of each image, by its name, as the cluster must say it.
    """
    folder = example_folder(example)
    calls = await connect()
    try:
        tags = [await _ensure_image(calls, folder / name, report) for name in example.images]
        if registry:
            tags = [await _push(calls, tag, registry.rstrip("/"), report) for tag in tags]
    finally:
        await calls.close()
    if not registry and context.startswith(_SANDBOX):
        from devcluster.sandbox.sandbox import sandbox_load

        await sandbox_load(tags, context.removeprefix(_SANDBOX), report=report)
    elif not registry:
        report(Progress("", f"the nodes must have {' and '.join(tags)}: load them, or use --registry"))
    return dict(zip(example.images, tags, strict=True))


async def _ensure_image(calls: Calls, folder: Path, report: Report) -> str:
    tag = image_tag(folder)
    if await image_id(calls, tag) is None:
        base = await ensure_base_image(calls, report=report)
        report(Progress("", f"building {tag} (half a minute to some minutes, depending on Debian's mirror)"))
        began = time.monotonic()
        await build_image(calls, tag, folder, args={"BASE": base})
        report(Progress("", f"built {tag} in {time.monotonic() - began:.0f} s"))
    return tag


async def _push(calls: Calls, tag: str, registry: str, report: Report) -> str:
    target = f"{registry}/{tag.rpartition('/')[2]}"
    report(Progress("", f"pushing {target}"))
    await push_image(calls, tag, target)
    return target
