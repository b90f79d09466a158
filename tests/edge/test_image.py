"""Which image is meant, found without a pull; and the pull, told as it goes."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from devcluster.edge.docker.engine import Engine, GoneError, Pulled, open_docker, open_engine
from devcluster.edge.docker.image import image_archive
from devcluster.errors import ConfigurationError
from devcluster.rules.container.image import ImageChoice
from devcluster.run.image.images import Images, obtain_images
from devcluster.run.turn import Turn
from devcluster.sandbox.base_image import BASE_IMAGE, ensure_base_image
from tests.edge.gateway_binary import gateway_binary
from tests.edge.registry import Registry, serve_registry

_SIZE = 3 << 20


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with open_engine() as opened:
        await ensure_base_image(opened.calls)
        yield opened


@pytest.fixture
def registry() -> Iterator[Registry]:
    """With an image of 3 MiB that nobody has."""
    with serve_registry() as opened:
        binary = gateway_binary().read_bytes()[:64] + os.urandom(_SIZE)
        opened.put(image_archive(binary, opened.reference))
        yield opened


@contextlib.asynccontextmanager
async def removed_afterwards(engine: Engine, reference: str) -> AsyncIterator[None]:
    try:
        yield
    finally:
        with contextlib.suppress(GoneError):
            await engine.calls.call("remove the image", engine.calls.api.remove_image, reference)


async def test_what_is_not_here_is_pulled_when_it_is_obtained_and_not_before(
    engine: Engine, registry: Registry
) -> None:
    reference, told = registry.reference, list[Pulled]()
    async with removed_afterwards(engine, reference):
        choice = await engine.choose_image(reference, None)
        assert choice == ImageChoice(reference, "", None, source=reference)
        assert registry.asked == []
        facts = await engine.obtain_image(choice, told.append)
        assert facts.entrypoint == ("/devcluster-gateway",)
        assert _SIZE < told[-1].size < 2 * _SIZE
        assert [it.size for it in told] == sorted(it.size for it in told)
        assert (told[-1].layers, told[-1].known) == (1, 1)

        count = len(registry.asked)
        assert await engine.choose_image(reference, None) == ImageChoice(reference, "", facts)
        always = await engine.choose_image(reference, None, "always")
        assert always == ImageChoice(reference, "", facts, source=reference)
        assert len(registry.asked) == count
        assert await engine.obtain_image(always) == facts
        assert len(registry.asked) > count


async def test_the_pods_image_is_pulled_only_if_it_is_the_same(engine: Engine, registry: Registry) -> None:
    """By its configuration's id, as a node tells it into which the image was loaded."""
    reference = registry.reference
    image_id = f"sha256:{_config_id(registry)}"
    async with removed_afterwards(engine, reference):
        other = await engine.choose_image(reference, "sha256:" + "0" * 64)
        assert (other.source, other.same) == (reference, True)
        with pytest.raises(ConfigurationError, match="another image"):
            await engine.obtain_image(other)
        choice = await engine.choose_image(reference, image_id)
        assert choice.facts is not None  # the last one has brought it
        assert (await engine.obtain_image(choice)).id == image_id


def _config_id(registry: Registry) -> str:
    return next(
        digest.removeprefix("sha256:")
        for digest, (kind, _) in registry.blobs.items()
        if "container.image" in kind
    )


async def test_a_pull_that_is_cancelled_ends(engine: Engine, registry: Registry) -> None:
    reference = registry.reference
    choice = await engine.choose_image(reference, None)
    async with removed_afterwards(engine, reference):
        began = asyncio.Event()
        task = asyncio.ensure_future(engine.obtain_image(choice, lambda _: began.set()))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_the_pods_image_is_found_by_what_the_pod_reports(engine: Engine) -> None:
    facts = (await engine.choose_image(BASE_IMAGE, None)).facts
    assert facts is not None
    found = await engine.choose_image("registry.local/elsewhere:1", facts.id, "never")
    assert (found.facts, found.source) == (facts, "")
    assert facts.architecture == (await engine.describe()).architecture
    other = "sha256:" + "0" * 64
    with pytest.raises(ConfigurationError, match="another image") as caught:
        await engine.choose_image(BASE_IMAGE, other, "never")
    assert "`image:`" in caught.value.hint
    assert "`build:`" in caught.value.hint


@pytest.mark.parametrize("policy", ["missing", "always", "never"])
async def test_an_image_that_is_nowhere_is_named(engine: Engine, policy: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"No:Name can be neither found nor pulled: .*reference"):
        await engine.choose_image("No:Name", None, "missing")
    with pytest.raises(ConfigurationError, match="localhost:1/none:1 can be neither found nor pulled"):
        await engine.obtain_image(await engine.choose_image("localhost:1/none:1", None, policy))


async def test_a_process_is_told_to_write_the_command_that_the_image_knows() -> None:
    """`image`, which a container would be told, is none of its keys."""
    absent = ImageChoice("localhost:1/none:1", "", None, source="localhost:1/none:1")
    async with open_docker() as docker:
        with pytest.raises(ConfigurationError, match=r"which command image localhost:1/none:1 runs") as told:
            await obtain_images(docker, [("web", Images(None, absent, needed=True))], Turn.of(60))
    assert "`pod_command: [...]`" in told.value.hint
