"""Images: the gateway's own, put together here, and the pod's, found or pulled.

Rules:
- the gateway's image needs no registry: it is one static file in ``FROM scratch``, named by its content;
- the pod's image is the one that the running pod reports, not what its tag means today;
- which image is meant is found out without a pull (``choose_image``); ``obtain_image`` pulls;
- if an image can be neither found nor pulled, the error says which, why, and what the user can do.

Source: https://github.com/moby/docker-image-spec/blob/main/spec.md (the archive of ``docker load``)
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from devcluster.config.model import PullPolicy
from devcluster.edge.docker.call import Calls, EngineRefusedError, GoneError
from devcluster.errors import ConfigurationError, EngineError
from devcluster.rules.container.image import ImageChoice, ImageFacts, parse_image

_HERE = ("Already exists", "Pull complete")


@dataclass(frozen=True, slots=True)
class _Layer:
    size: int = 0
    total: int = 0
    here: bool = False


@dataclass(frozen=True, slots=True)
class Pulled:
    """How far a pull is.  ``size``: bytes, as they travel, of ``total`` (0: not all sizes are known yet);
    ``layers``: how many are here, of ``known``."""

    size: int
    layers: int
    known: int
    total: int = 0

    @staticmethod
    def of(layers: Collection[_Layer]) -> Pulled:
        sized = all(it.total or it.here for it in layers)
        total = sum(it.total for it in layers) if sized else 0
        return Pulled(sum(it.size for it in layers), sum(it.here for it in layers), len(layers), total)


PullProgress = Callable[[Pulled], None]

_MACHINES = {62: "amd64", 183: "arm64"}  # e_machine of an ELF header


async def ensure_gateway_image(calls: Calls, binary: Path) -> str:
    """The tag of the image that holds *binary* at ``/devcluster-gateway``; loaded where it is absent."""
    try:
        content = binary.read_bytes()
    except OSError as error:
        raise EngineError(f"the gateway's binary {binary} can't be read: {error.strerror}") from error
    tag = f"devcluster/gateway:{hashlib.sha256(content).hexdigest()[:12]}"
    try:
        await calls.call(f"inspect image {tag}", calls.api.inspect_image, tag)
    except GoneError:
        archive = image_archive(content, tag)
        await calls.call(f"load image {tag}", lambda: list(calls.api.load_image(archive)))
        await calls.call(f"find image {tag} after loading it", calls.api.inspect_image, tag)
    return tag


def image_archive(binary: bytes, tag: str) -> bytes:
    """What ``docker load`` reads: one layer, no times and no names of this machine in it."""
    layer = _tar((("devcluster-gateway", binary, 0o755),))
    config = {
        "architecture": architecture(binary),
        "os": "linux",
        "config": {"Entrypoint": ["/devcluster-gateway"], "Labels": {"devcluster.role": "image"}},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created_by": "devcluster"}],
    }
    text = json.dumps(config, sort_keys=True).encode()
    name = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [tag], "Layers": ["layer.tar"]}]
    return _tar(((name, text, 0o644), ("layer.tar", layer, 0o644), ("manifest.json", _json(manifest), 0o644)))


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def architecture(binary: bytes) -> str:
    """Docker's name of the machine that an ELF file is for."""
    machine = int.from_bytes(binary[18:20], "little") if binary[:4] == b"\x7fELF" else -1
    if machine not in _MACHINES:
        raise EngineError("the gateway's binary is for a machine that devcluster does not know")
    return _MACHINES[machine]


def _tar(files: Iterable[tuple[str, bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content, mode in files:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


async def choose_image(
    calls: Calls, reference: str, image_id: str | None, pull_policy: PullPolicy
) -> ImageChoice:
    """Which image is meant, and whether it is here; nothing is pulled.

    *image_id*: the running pod's ``imageID`` (``repo@sha256:…`` or ``sha256:…``), or None for an image that
    the file names.  ConfigurationError where it is not here and must not be pulled, or where its name is not
    valid.
    """
    exact = _exact(image_id)
    wanted = exact or reference
    by_config = wanted.startswith("sha256:")
    found = await _inspect(calls, wanted)
    if found is not None and (pull_policy != "always" or exact):
        return ImageChoice(reference, exact, found)
    here = None
    if by_config:
        here = await _inspect(calls, reference)
        if await _names_manifests(calls):  # this engine's ids are of another kind
            found, here, by_config = here, None, False
            if found is not None and pull_policy != "always":
                return ImageChoice(reference, exact, found)
    choice = ImageChoice(
        reference,
        exact,
        found,
        source=reference if wanted.startswith("sha256:") else wanted,
        same=by_config,
        other=here.id if here is not None else "",
    )
    if pull_policy == "never":
        raise _absent(choice, "it is not here, and pull_policy is never")
    return choice


async def obtain_image(calls: Calls, choice: ImageChoice, progress: PullProgress | None = None) -> ImageFacts:
    """The facts of *choice*, pulled if needed; ConfigurationError where that fails."""
    if not choice.source:
        assert choice.facts is not None
        return choice.facts
    try:
        await _pull(calls, choice.source, progress)
    except (GoneError, EngineRefusedError) as error:
        raise _absent(choice, str(error)) from error
    found = await _inspect(calls, choice.source)
    if found is None:
        raise _absent(choice, "it was pulled, but is not here")
    if choice.same and found.id != choice.exact:
        raise _absent(replace(choice, other=found.id), "")
    return found


def _exact(image_id: str | None) -> str:
    """``docker-pullable://repo@sha256:…`` and the like, without their scheme."""
    return (image_id or "").rpartition("://")[2]


def _absent(choice: ImageChoice, reason: str) -> ConfigurationError:
    shown = f"{choice.reference} ({choice.exact[:90]})" if choice.exact else choice.reference
    if choice.other:
        reason = f"what is here under this name is another image, {choice.other[:19]}"
    return ConfigurationError(
        f"image {shown} can be neither found nor pulled: {reason}",
        hint="name one that this laptop has with `image:`, or build it with `docker build` (`build:` is not"
        " built yet); `docker login` if its registry wants a login",
    )


async def _names_manifests(calls: Calls) -> bool:
    """The containerd image store names an image by its manifest, not by its configuration."""
    info = await calls.call("ask the engine about itself", calls.api.info)
    return any("io.containerd.snapshotter" in str(pair) for pair in info.get("DriverStatus") or ())


async def _inspect(calls: Calls, name: str) -> ImageFacts | None:
    try:
        found = await calls.call(f"inspect image {name}", calls.api.inspect_image, name)
    except GoneError:
        return None
    except EngineRefusedError as error:
        if error.status != 400:  # what no image can be called
            raise
        raise _absent(ImageChoice(name, "", None), error.explanation) from error
    return parse_image(found)


async def _pull(calls: Calls, reference: str, progress: PullProgress | None) -> None:
    repository, tag = _split(reference)
    layers: dict[str, _Layer] = {}

    def start() -> Any:
        return iter(calls.api.pull(repository, tag=tag, stream=True, decode=True))

    what = f"pull {reference}"
    async for line in calls.stream(what, start):
        if "error" in line:
            text = str(line["error"])
            raise EngineRefusedError(f"can't {what}: {text}", explanation=text, status=0)
        if "progressDetail" in line:
            layers[line["id"]] = _told(layers.get(line["id"], _Layer()), line)
        if progress is not None and layers:
            progress(Pulled.of(layers.values()))


def _told(layer: _Layer, line: dict[str, Any]) -> _Layer:
    """*layer* after one *line* of progress.  Its status is only shown; nothing else depends on it."""
    detail = line["progressDetail"] or {}
    size = int(detail.get("current") or 0) if "total" in detail else 0  # or it counts something else
    total = max(layer.total, int(detail.get("total") or 0))
    return _Layer(max(layer.size, size), total, layer.here or line.get("status") in _HERE)


def _split(reference: str) -> tuple[str, str]:
    """Repository and tag (or digest), as the engine's pull wants them; no tag means ``latest``."""
    if "@" in reference:
        repository, _, digest = reference.partition("@")
        return repository, digest
    head, colon, tag = reference.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (reference, "latest")
