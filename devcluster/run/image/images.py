"""A workload's images: which they are, and how they get here.

Rules:
- choosing an image asks no registry and changes nothing (``choose_images``);
- `up` pulls what is not here before it changes anything in the cluster, and shows how far it is;
- the pod's own image is needed where the local container runs it, or where only it knows the pod's command.
  Otherwise it only says how the pod's process is stopped, and `up` goes on without it.

The naive way, to pull where an image is looked for, makes `plan` fetch a gigabyte without a word.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from devcluster.config.model import Workload
from devcluster.edge.docker.engine import Docker, Engine, Pulled
from devcluster.edge.registry import read_image
from devcluster.errors import ConfigurationError, FailedError
from devcluster.plan.serving import serving_of
from devcluster.rules.container.image import ImageChoice, ImageFacts
from devcluster.run.report import Progress
from devcluster.run.site import gateway_binary
from devcluster.run.turn import Turn

Json = dict[str, Any]
Obtained = Mapping[str, ImageFacts | None]
"""What was pulled, by its source; None where it could not be had and nobody needs it."""

NOTHING: Obtained = MappingProxyType({})
_SAY_EVERY = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Images:
    """``local``: what the local container runs, None for a process; ``pod``: the pod's own, None where it
    can't be had; ``needed``: whether nothing goes on without the pod's; ``obtained``: what was pulled for
    them; ``trouble``: why its registry could not tell."""

    local: ImageChoice | None
    pod: ImageChoice | None
    needed: bool
    obtained: Obtained = field(default_factory=dict)
    trouble: str = ""

    @property
    def absent(self) -> tuple[ImageChoice, ...]:
        """What has to be pulled, each once."""
        found = {it.source: it for it in (self.local, self.pod) if it is not None and it.source}
        return tuple(found.values())

    @property
    def here(self) -> bool:
        """Whether the local container could be started now."""
        return self.local is None or self.local.facts is not None

    @property
    def pending(self) -> bool:
        """Whether it is still unknown what the pod's image says."""
        return self.pod is not None and self.pod.facts is None


async def choose_images(
    docker: Docker, workload: Workload, container: Json, image_id: str, obtained: Obtained
) -> Images:
    """*container*: of the template, without the agent; *image_id*: what its pods report, or ''.

    ConfigurationError where an image is not here and must not be pulled, or where its name is not valid.
    """
    needed = needs_pod_image(workload, container)
    if not serving_of(workload).needs_image:
        return await _choose_for_process(docker, container, image_id, needed, obtained)
    engine = await docker.open()
    policy = "missing" if workload.image is not None else workload.pull_policy
    pod: ImageChoice | None
    try:
        pod = await engine.choose_image(container["image"], image_id or None, policy)
    except ConfigurationError:
        if needed:
            raise
        pod = None
    if pod is not None:
        pod = _after(pod, obtained)
    if workload.image is None:
        assert pod is not None
        return Images(pod, pod, needed, obtained)
    local = _after(await engine.choose_image(workload.image, None, workload.pull_policy), obtained)
    assert local is not None
    return Images(local, pod, needed, obtained)


async def _choose_for_process(
    docker: Docker, container: Json, image_id: str, needed: bool, obtained: Obtained
) -> Images:
    """A process runs in no image: the pod's image is looked at only where nothing else knows the pod's
    command.  The engine is asked, if it has the image; then the registry, which costs no pull; otherwise the
    engine pulls it."""
    if not needed:
        return Images(None, None, needed, obtained)
    pod: ImageChoice | None = None
    if (engine := await docker.find()) is not None:
        with contextlib.suppress(ConfigurationError):
            pod = await engine.choose_image(container["image"], image_id or None, "missing")
    if pod is not None and (pod.facts is not None or pod.source in obtained):
        return Images(None, _after(pod, obtained), needed, obtained)
    try:
        facts = await read_image(container["image"], image_id)
    except ConfigurationError as error:
        return Images(None, pod, needed, obtained, trouble=error.message)
    return Images(None, ImageChoice(container["image"], image_id, facts), needed, obtained)


def needs_pod_image(workload: Workload, container: Json) -> bool:
    """Whether `up` ends where the pod's image can't be had."""
    own = serving_of(workload).needs_image and workload.image is None
    return own or not (container.get("command") or workload.pod_command)


def _after(choice: ImageChoice, obtained: Obtained) -> ImageChoice | None:
    """The same, once *obtained*."""
    if not choice.source or choice.source not in obtained:
        return choice
    facts = obtained[choice.source]
    return None if facts is None else replace(choice, facts=facts, source="")


def unread_command(key: str, image: str, why: str) -> ConfigurationError:
    """For the workload *key* of a process, which needs the pod's image for nothing else."""
    return ConfigurationError(
        f"can't tell which command image {image} runs: the pod's template has none, and the image can't be "
        f"read here: {why}",
        hint=f"write it in devcluster.yaml, under workloads.{key}: `pod_command: [...]`; "
        "or `docker login` to the image's registry",
    )


def pod_image(images: Images, workload: Workload, container: Json) -> ImageFacts | None:
    """What the pod's image says, or ``pod_command`` instead; None where neither is known."""
    if images.pod is not None:
        return images.pod.facts
    if container.get("command") or workload.pod_command is None:
        return None
    return ImageFacts("", workload.pod_command, (), None, "", "", "", ())  # the template's args stay


async def obtain_images(docker: Docker, wanted: Iterable[tuple[str, Images]], turn: Turn) -> Obtained:
    """Get everything that is not here, the gateway's image too; *wanted*: by the workload's key.

    ConfigurationError where one that is needed can't be had, FailedError where the time is over.
    """
    listed = [(key, images) for key, images in wanted if images.local is not None or images.absent]
    if not listed:
        return NOTHING
    engine = await docker.open()
    if any(images.local is not None for _, images in listed):
        facts = await engine.describe()
        await engine.ensure_gateway_image(gateway_binary(facts.architecture))
    obtained: dict[str, ImageFacts | None] = {}
    for key, images in listed:
        for choice in images.absent:
            if obtained.get(choice.source) is None:
                obtained[choice.source] = await _obtain(engine, key, images, choice, turn)
    return obtained


async def _obtain(
    engine: Engine, key: str, images: Images, choice: ImageChoice, turn: Turn
) -> ImageFacts | None:
    try:
        with turn.phase(key, f"pulling {choice.source}", "pull", ended=f"pulled {choice.source}"):
            async with turn.deadline.bound():
                return await engine.obtain_image(choice, _Telling(key, choice.source, turn))
    except ConfigurationError as error:
        if images.local is None:
            raise unread_command(key, choice.reference, error.message) from error
        if images.needed or choice is images.local:
            raise
        turn.say(key, f"{error.message}; going on without it")
        return None
    except TimeoutError as error:
        raise FailedError(
            f"image {choice.source} was not pulled within {turn.deadline.span:.0f} s",
            hint="try again with a longer --timeout: what was pulled is kept",
        ) from error


class _Telling:
    """Progress now and then, called from the loop."""

    def __init__(self, key: str, source: str, turn: Turn) -> None:
        self._key, self._source, self._turn = key, source, turn
        self._when = time.monotonic()

    def __call__(self, pulled: Pulled) -> None:
        now = time.monotonic()
        if now - self._when < _SAY_EVERY:
            return
        self._when = now
        self._turn.report(
            Progress(
                self._key,
                f"pulling {self._source}",
                pulled.layers,
                pulled.known,
                "layers",
                item=self._source,
                moved=pulled.size,
                moved_total=pulled.total,
            )
        )
